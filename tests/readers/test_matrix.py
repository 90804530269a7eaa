"""Each reader makes of each kind of column what docs/readers.md says."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pyarrow.parquet as pq
import pytest

from docs import make_readers
from docs.reading import EXCEPTIONS, READERS, Exceptional, Finding, Reader, Verdict
from tests.readers.conftest import Published
from tests.readers.kinds import FILES, KINDS, Kind
from tests.readers.observing import differences, observed, version_of, write_down
from tests.readers.opening import evaluated, missing, opened
from tests.readers.questions import FILTERED

RECORDING = bool(os.environ.get("DUCKWARP_RECORD_READERS"))
RECORDED = make_readers.observations()
BY_NAME = {kind.name: kind for kind in (*KINDS, *FILES)}
EXPLAINED = {(each.reader, kind) for each in EXCEPTIONS for kind in each.kinds}
WORSE = {Verdict.EXACT: 0, Verdict.DIFFERS: 1, Verdict.REFUSED: 2}

# What readers warn about is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")


def _or_skip(reader: Reader) -> Reader:
    reason = missing(reader)
    if reason is not None:
        pytest.skip(reason)
    return reader


def _findings(key: str) -> dict[str, dict[str, Any]]:
    return RECORDED[key]["types"] | RECORDED[key]["files"]  # type: ignore[no-any-return]


def _as_recorded(finding: dict[str, Any]) -> Finding:
    return Finding(**(finding | {"verdict": Verdict(finding["verdict"])}))


def _only_here(reader: str) -> pytest.MarkDecorator:
    """One worker has all of a reader's tests, so that Spark starts once."""
    return pytest.mark.xdist_group(reader)


EACH_READER = [pytest.param(each, id=each.key, marks=_only_here(each.key)) for each in READERS]


@pytest.mark.parametrize("reader", EACH_READER)
def test_a_reader_makes_of_each_kind_what_the_page_says(
    reader: Reader, published: Published
) -> None:
    """To the letter in the version that the page names; in another one, nothing may be worse."""
    _or_skip(reader)
    version = version_of(reader)
    found: dict[str, Finding] = {}
    wrong: dict[str, list[str]] = {}
    for kind in (*KINDS, *FILES):
        found[kind.name], wrong[kind.name] = observed(
            reader, kind, published.path(kind), published.right[kind.name]
        )
    for kind in FILES:  # what types their columns have is said elsewhere
        found[kind.name] = replace(found[kind.name], type="")
    if RECORDING:
        _record(reader, version, found)
        return
    recorded = {name: _as_recorded(finding) for name, finding in _findings(reader.key).items()}
    assert list(found) == list(recorded)
    for name, finding in found.items():
        if version == RECORDED[reader.key]["version"]:
            assert finding == recorded[name], (name, wrong[name], "make readers RECORD=1")
        else:
            assert WORSE[finding.verdict] <= WORSE[recorded[name].verdict], (name, wrong[name])
            assert finding.others >= recorded[name].others, name


def _record(reader: Reader, version: str, found: dict[str, Finding]) -> None:
    def of(kinds: Sequence[Kind]) -> dict[str, Any]:
        return {
            kind.name: asdict(found[kind.name]) | {"verdict": found[kind.name].verdict.value}
            for kind in kinds
        }

    write_down(reader, version=version, types=of(KINDS), files=of(FILES))


WAYS = [
    pytest.param(each, BY_NAME[name], id=f"{each.reader}: {name}", marks=_only_here(each.reader))
    for each in EXCEPTIONS
    for name in each.kinds
    if each.way is not None
]


@pytest.mark.parametrize(("exceptional", "kind"), WAYS)
def test_a_way_around_reads_exactly(
    exceptional: Exceptional, kind: Kind, published: Published
) -> None:
    (reader,) = (each for each in READERS if each.key == exceptional.reader)
    _or_skip(reader)
    assert exceptional.way is not None
    right = published.right[kind.name]
    for case in kind.cases:
        frame = opened(reader, exceptional.way, published.path(kind), column=case.name)
        assert differences(frame, case, right[case.name]) == []


ROW_GROUPS = next(kind for kind in FILES if kind.name.startswith("several row groups"))


@pytest.mark.parametrize("reader", EACH_READER)
def test_rows_come_in_the_order_of_the_file(reader: Reader, published: Published) -> None:
    _or_skip(reader)
    path = published.path(ROW_GROUPS)
    assert pq.read_metadata(path).num_row_groups > 1
    frame = opened(reader, reader.in_order or reader.whole, path)
    assert frame.texts("n", "INTEGER") == [str(row) for row in range(ROW_GROUPS.rows)]


@pytest.mark.parametrize("reader", EACH_READER)
def test_what_the_file_says_of_its_columns_can_be_had(reader: Reader, published: Published) -> None:
    _or_skip(reader)
    path = published.path(BY_NAME["INT32"])
    if reader.field is not None:
        metadata = evaluated(reader, reader.field, path, column="int4")
        assert metadata[b"postgres_type"] == b"integer"
    if reader.footer is not None:
        text = evaluated(reader, reader.footer, path, key="duckwarp")
        columns = json.loads(text)["columns"]
        assert [(each["name"], each["data_type"]) for each in columns] == [
            *(("n", "integer"), ("int4", "integer"))
        ]


def test_every_exception_is_explained_and_no_other() -> None:
    exceptions = {
        (reader, name)
        for reader, about in RECORDED.items()
        for name, finding in (about["types"] | about["files"]).items()
        if finding["verdict"] != Verdict.EXACT.value
    }
    assert exceptions == EXPLAINED


def test_the_page_is_what_was_observed() -> None:
    page = make_readers.PAGE.read_text(encoding="utf-8")
    assert page == make_readers.page(RECORDED), "stale: run python -m docs.make_readers"


def test_the_page_names_every_kind_and_every_reader() -> None:
    page = make_readers.page(RECORDED)
    types, filters = page.split("\n## Filters\n")
    assert set(RECORDED) == {reader.key for reader in READERS}
    assert len(KINDS) > 40
    for kind in FILES:
        assert f"\n| {kind.name} |" in page
    for kind in KINDS:
        assert types.count(f"\n| {kind.name} |") == 2
    for filtered in FILTERED:
        assert filters.count(f"\n| {filtered.name} |") == 1
    for reader in READERS:
        assert f"\n| {reader.name} | {RECORDED[reader.key]['version']} |" in page
