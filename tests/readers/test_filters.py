"""Each reader finds the rows that PostgreSQL finds, or docs/readers.md says which it does not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from docs import make_readers
from docs.reading import FILTER_EXCEPTIONS, READERS, Exceptional, Reader, Verdict
from tests.readers.filtering import NoSuchQuestion, missed, rows_found
from tests.readers.observing import version_of, write_down
from tests.readers.opening import missing
from tests.readers.questions import (
    FILTERED,
    ROW_GROUP_ROWS,
    ROW_GROUPS,
    SCHEMA,
    Filtered,
    Question,
    create_filtered,
    questions,
    right_rows,
)
from tests.types.harness import export, scratch_database

RECORDING = bool(os.environ.get("DUCKWARP_RECORD_READERS"))
RECORDED = make_readers.observations()
EXPLAINED = {(each.reader, kind) for each in FILTER_EXCEPTIONS for kind in each.kinds}
WORSE = {Verdict.EXACT: 0, Verdict.REFUSED: 1, Verdict.DIFFERS: 2}

# What readers warn about is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")

Asked = list[tuple[Question, list[int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files that are asked, and what with which answers."""

    folder: Path
    asked: dict[str, Asked]

    def path(self, each: Filtered) -> Path:
        """The file of one kind."""
        return self.folder / f"{each.relation}.parquet"


@pytest.fixture(scope="session")
def files(
    server_dsn: str, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Files]:
    """All files, exported with small row groups."""
    folder = tmp_path_factory.mktemp("filters")
    with scratch_database(server_dsn, worker_id) as database:
        with database.connect() as connection:
            create_filtered(connection)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("duckwarp.engine.layout.MAX_ROW_GROUP_ROWS", ROW_GROUP_ROWS)
            found = export(database.dsn, folder, schema=SCHEMA)
        for each in FILTERED:
            assert pq.read_metadata(found.parquet(each.relation)).num_row_groups == ROW_GROUPS
        with database.connect() as connection:
            asked = {
                each.name: [
                    (question, right_rows(connection, each, question))
                    for question in questions(connection, each)
                ]
                for each in FILTERED
            }
        yield Files(folder=folder, asked=asked)


def answers(
    reader: Reader, each: Filtered, files: Files, way: str = ""
) -> tuple[Verdict, list[str]]:
    """The verdict on one kind, and in words what is wrong."""
    verdict, wrong = Verdict.EXACT, []
    for question, right in files.asked[each.name]:
        # A way is for a condition.
        if way and question.operator == "JOIN":
            continue
        try:
            found = rows_found(reader, files.path(each), each, question, way)
        except NoSuchQuestion:
            continue
        except Exception as error:
            told = f"{type(error).__name__}: {str(error)[:100]}"
            answer = Verdict.REFUSED
        else:
            lost, more = missed(reader, question, found, right)
            told = f"{lost} of {len(right)} rows are missing, {more} more are found"
            answer = Verdict.DIFFERS if lost or more else Verdict.EXACT
        if answer is not Verdict.EXACT:
            wrong.append(f"{question}: {told}")
            verdict = max(verdict, answer, key=WORSE.__getitem__)
    return verdict, wrong


def _only_here(reader: str) -> pytest.MarkDecorator:
    """One worker has all of a reader's tests, so that Spark starts once."""
    return pytest.mark.xdist_group(reader)


@pytest.mark.parametrize(
    "reader", [pytest.param(each, id=each.key, marks=_only_here(each.key)) for each in READERS]
)
def test_a_reader_finds_the_rows_of_each_kind(reader: Reader, files: Files) -> None:
    """As the page says in the version that it names; in another one, nothing may be worse."""
    reason = missing(reader)
    if reason is not None:
        pytest.skip(reason)
    found = {each.name: answers(reader, each, files) for each in FILTERED}
    if RECORDING:
        write_down(reader, filters={name: verdict.value for name, (verdict, _) in found.items()})
        return
    recorded = RECORDED[reader.key]["filters"]
    assert list(found) == list(recorded)
    for name, (verdict, wrong) in found.items():
        if version_of(reader) == RECORDED[reader.key]["version"]:
            assert verdict is Verdict(recorded[name]), (name, wrong, "make readers RECORD=1")
        else:
            assert WORSE[verdict] <= WORSE[Verdict(recorded[name])], (name, wrong)


WAYS = [
    pytest.param(each, kind, id=f"{each.reader}: {kind.name}", marks=_only_here(each.reader))
    for each in FILTER_EXCEPTIONS
    for kind in FILTERED
    if each.way is not None and kind.name in each.kinds
]


@pytest.mark.parametrize(("exceptional", "kind"), WAYS)
def test_a_way_around_finds_the_rows(
    exceptional: Exceptional, kind: Filtered, files: Files
) -> None:
    (reader,) = (each for each in READERS if each.key == exceptional.reader)
    reason = missing(reader)
    if reason is not None:
        pytest.skip(reason)
    assert answers(reader, kind, files, exceptional.way or "") == (Verdict.EXACT, [])


def test_every_exception_is_explained_and_no_other() -> None:
    exceptions = {
        (reader, name)
        for reader, about in RECORDED.items()
        for name, verdict in about["filters"].items()
        if verdict != Verdict.EXACT.value
    }
    assert exceptions == EXPLAINED


def test_wrong_answers_are_noticed(files: Files) -> None:
    """An answer that lacks a row, and one that has a row too many."""
    reader = next(each for each in READERS if each.key == "pyarrow")
    each = next(kind for kind in FILTERED if kind.name == "INT32")
    question, right = files.asked["INT32"][2]
    assert len(right) > 1
    lacking = Files(folder=files.folder, asked={"INT32": [(question, right[1:])]})
    assert answers(reader, each, lacking)[0] is Verdict.DIFFERS
    more = Files(folder=files.folder, asked={"INT32": [(question, [*right, -1])]})
    assert answers(reader, each, more)[0] is Verdict.DIFFERS
