"""`export --verify`: a file that does not equal its table is not published."""

from __future__ import annotations

from pathlib import Path

import pytest

from duckwarp.model.errors import RunError
from duckwarp.model.events import Event, EventType
from duckwarp.model.results import SourceState
from duckwarp.model.source import Selection
from tests.runs import Recorder, export, published_files, reading_over
from tests.support import Database
from tests.types.type_cases import SETUP
from tests.verify.tampering import rewrite, with_values

EVERYTHING = Selection(schema="public")
MEMORY = {"memory_bytes": 600_000_000}


@pytest.fixture
def tables(database: Database) -> Database:
    """Two small tables and one that is read over several connections."""
    database.execute(SETUP)
    database.execute(
        """CREATE TABLE regions AS SELECT n AS id, 'region ' || n AS name, 'low'::types.mood AS mood
           FROM generate_series(1, 1300) AS n;
           CREATE TABLE prices AS SELECT n AS id, CASE WHEN n % 100 = 0 THEN 'NaN'
           ELSE n / 8.0 END::numeric(12,3) AS price FROM generate_series(1, 1300) AS n;
           CREATE TABLE visits AS SELECT n AS id, md5(n::text) AS code, repeat('x', 100) AS filler
           FROM generate_series(1, 300000) AS n; ANALYZE"""
    )
    return database


def staged_file(output: Path, code: str) -> Path:
    [path] = (output / ".duckwarp").glob(f"*/{code}.parquet")
    return path


def tampering_with(output: Path, code: str, column: str, value: object) -> Recorder:
    """A sink that changes the staged file of a source as soon as it is to be verified."""

    def react(event: Event) -> None:
        begins = event.event_type is EventType.STAGE_STARTED and event.stage == "verify"
        if begins and event.context["source"] == code:
            rewrite(staged_file(output, code), with_values(column, {7: value}))

    return Recorder(react)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="ordinarily"),
        pytest.param({"max_connections": 2}, id="over the snapshot's connection"),
        pytest.param(reading_over(4), id="over several connections"),
        pytest.param({"jobs": 2, "max_connections": 9, "threads": 2}, id="in lanes"),
        pytest.param({"publish": "each"}, id="each at once"),
    ],
)
def test_files_that_are_equal_are_published(
    settings: dict[str, int], tables: Database, tmp_path: Path
) -> None:
    sink = Recorder()
    report = export(tables, EVERYTHING, tmp_path, sink, verify=True, **MEMORY, **settings)
    assert [outcome.state for outcome in report.outcomes] == [SourceState.EXPORTED] * 3
    verified = {event.context["source"] for event in sink.of(EventType.STAGE_COMPLETED, "verify")}
    assert verified == {"prices", "regions", "visits"}


def test_a_file_that_differs_fails_its_source_and_the_published_one_stays(
    tables: Database, tmp_path: Path
) -> None:
    export(tables, EVERYTHING, tmp_path)
    before = {
        name: (tmp_path / name).read_bytes()
        for name in published_files(tmp_path)
        if name.startswith("regions")
    }
    tables.execute("UPDATE regions SET name = 'new ' || id")
    sink = tampering_with(tmp_path, "regions", "name", "not in the table")
    report = export(tables, EVERYTHING, tmp_path, sink, verify=True, **MEMORY)
    by_code = {outcome.code: outcome for outcome in report.outcomes}
    assert by_code["regions"].state is SourceState.FAILED
    reason = by_code["regions"].reason or ""
    assert reason.startswith("the staged file does not equal the table: ")
    assert 'of column "name"' in reason
    assert "id = '8'" in reason
    assert by_code["prices"].state is not SourceState.FAILED
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_nothing_is_verified_that_nobody_asked_for(tables: Database, tmp_path: Path) -> None:
    sink = tampering_with(tmp_path, "regions", "name", "not in the table")
    report = export(tables, EVERYTHING, tmp_path, sink)
    assert [outcome.state for outcome in report.outcomes] == [SourceState.EXPORTED] * 3
    assert sink.of(EventType.STAGE_STARTED, "verify") == []


@pytest.mark.parametrize("most", [2, 3, 5])
def test_the_connections_stay_within_their_bound(
    most: int, tables: Database, tmp_path: Path
) -> None:
    seen: list[int] = []

    def count(event: Event) -> None:
        if event.stage == "verify":
            query = "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^duckwarp'"
            [(sessions,)] = tables.execute(f"{query} AND datname = current_database()")
            seen.append(sessions)

    export(
        tables,
        EVERYTHING,
        tmp_path,
        Recorder(count),
        verify=True,
        max_connections=most,
        threads=4,
        **MEMORY,
    )
    assert len(seen) == 6
    assert 2 <= max(seen) <= most


def test_too_little_memory_is_refused(tables: Database, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="--verify needs at least --memory"):
        export(tables, EVERYTHING, tmp_path, verify=True, memory_bytes=320_000_000)
    assert published_files(tmp_path) == set()
