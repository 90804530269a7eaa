"""Each reader makes of each kind of column what docs/readers.md says."""

from __future__ import annotations

import importlib.metadata
import json
import os
from dataclasses import asdict
from typing import Any

import pytest

from docs import make_readers
from docs.make_readers import EXCEPTIONS, READERS, Exceptional, Finding, Reader, Verdict
from tests.readers.conftest import Published
from tests.readers.kinds import KINDS, Kind
from tests.readers.observing import differences, observed
from tests.readers.opening import missing, opened

RECORDING = bool(os.environ.get("DUCKWARP_RECORD_READERS"))
RECORDED = make_readers.observations()
BY_NAME = {kind.name: kind for kind in KINDS}
EXPLAINED = {(each.reader, kind) for each in EXCEPTIONS for kind in each.kinds}
WORSE = {Verdict.EXACT: 0, Verdict.DIFFERS: 1, Verdict.REFUSED: 2}

# What readers warn about is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")


def _or_skip(reader: Reader) -> Reader:
    reason = missing(reader)
    if reason is not None:
        pytest.skip(reason)
    return reader


def _version(reader: Reader) -> str:
    own, *others = reader.packages
    of_others = "".join(f" with {each} {importlib.metadata.version(each)}" for each in others)
    return importlib.metadata.version(own) + of_others


def _as_recorded(finding: dict[str, Any]) -> Finding:
    return Finding(**(finding | {"verdict": Verdict(finding["verdict"])}))


def _only_here(reader: str) -> pytest.MarkDecorator:
    """One worker has all of a reader's tests, so that Spark starts once."""
    return pytest.mark.xdist_group(reader)


@pytest.mark.parametrize(
    "reader", [pytest.param(each, id=each.key, marks=_only_here(each.key)) for each in READERS]
)
def test_a_reader_makes_of_each_kind_what_the_page_says(
    reader: Reader, published: Published
) -> None:
    """To the letter in the version that the page names; in another one, nothing may be worse."""
    _or_skip(reader)
    version = _version(reader)
    found: dict[str, Finding] = {}
    wrong: dict[str, list[str]] = {}
    for kind in KINDS:
        found[kind.name], wrong[kind.name] = observed(
            reader, kind, published.path(kind), published.right[kind.name]
        )
    if RECORDING:
        _record(reader, version, found)
        return
    recorded = {
        name: _as_recorded(finding) for name, finding in RECORDED[reader.key]["findings"].items()
    }
    assert list(found) == list(recorded)
    for name, finding in found.items():
        if version == RECORDED[reader.key]["version"]:
            assert finding == recorded[name], (name, wrong[name], "make readers RECORD=1")
        else:
            assert WORSE[finding.verdict] <= WORSE[recorded[name].verdict], (name, wrong[name])
            assert finding.others >= recorded[name].others, name


def _record(reader: Reader, version: str, found: dict[str, Finding]) -> None:
    observations = RECORDED | {
        reader.key: {
            "version": version,
            "findings": {
                name: asdict(finding) | {"verdict": finding.verdict.value}
                for name, finding in found.items()
            },
        }
    }
    RECORDED.update(observations)
    text = json.dumps(observations, indent=1, ensure_ascii=False)
    make_readers.OBSERVED.write_text(text + "\n", encoding="utf-8")
    if all(each.key in observations for each in READERS):
        make_readers.PAGE.write_text(make_readers.page(observations), encoding="utf-8")


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


def test_every_exception_is_explained_and_no_other() -> None:
    exceptions = {
        (reader, name)
        for reader, about in RECORDED.items()
        for name, finding in about["findings"].items()
        if finding["verdict"] != Verdict.EXACT.value
    }
    assert exceptions == EXPLAINED


def test_the_page_is_what_was_observed() -> None:
    page = make_readers.PAGE.read_text(encoding="utf-8")
    assert page == make_readers.page(RECORDED), "stale: run python docs/make_readers.py"


def test_the_page_names_every_kind_and_every_reader() -> None:
    page = make_readers.page(RECORDED)
    assert set(RECORDED) == {reader.key for reader in READERS}
    assert len(KINDS) > 40
    for kind in KINDS:
        assert page.count(f"\n| {kind.name} |") == 2
    for reader in READERS:
        assert f"\n| {reader.name} | {RECORDED[reader.key]['version']} |" in page
