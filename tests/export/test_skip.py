"""--skip-unchanged: what was not loaded since it was published is not read, and only that."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from duckwarp.model.events import EventType
from duckwarp.model.results import RunReport, SourceState
from duckwarp.model.source import Selection
from duckwarp.postgres import snapshot
from duckwarp.store.remembered import RECORD_NAME
from duckwarp.store.staging import STAGING_FOLDER
from tests.conftest import RoleMaker
from tests.runs import Recorder, column_values, export
from tests.store.publications import identity
from tests.support import Database

PUBLIC = Selection(schema="public")


@pytest.fixture
def plain(database: Database) -> Database:
    """A database with the plain table `t`, of ten rows."""
    done(database, "CREATE TABLE t AS SELECT n, 'x'::text AS v FROM generate_series(1, 10) n")
    return database


def done(database: Database, statements: str) -> None:
    """Execute the statements, and have the server count what they did at once."""
    with database.connect() as connection:
        if connection.info.server_version < 150000:
            pytest.skip("before version 15 nobody can tell when the server has counted a load")
        connection.execute(statements.encode())
        connection.execute("SELECT pg_stat_force_next_flush()")
        connection.execute("SELECT 1")


def again(
    database: Database | str, folder: Path, selection: Selection = PUBLIC, **settings: Any
) -> RunReport:
    """A run that skips what is unchanged."""
    return export(database, selection, folder, skip_unchanged=True, **settings)


def read(report: RunReport) -> set[str]:
    """The codes of the sources that were read."""
    return {outcome.code for outcome in report.outcomes if outcome.read}


def test_a_table_into_which_nothing_was_loaded_is_not_read(plain: Database, tmp_path: Path) -> None:
    first = again(plain, tmp_path)
    before = {path.name: identity(path) for path in tmp_path.iterdir() if path.is_file()}
    assert read(first) == {"t"}
    recorder = Recorder()
    second = export(plain, PUBLIC, tmp_path, recorder, skip_unchanged=True)
    assert read(second) == set()
    [outcome] = second.outcomes
    assert outcome.state is SourceState.UNCHANGED
    assert outcome.reason == "not read: nothing was loaded since it was published"
    assert second.results == first.results
    assert recorder.of(EventType.STAGE_STARTED, "read") == []
    [event] = recorder.of(EventType.STAGE_COMPLETED, "export")
    assert (event.context["state"], event.context["read"]) == ("unchanged", False)
    after = {path.name: identity(path) for path in tmp_path.iterdir() if path.is_file()}
    assert after == before


def test_without_the_option_it_is_read_and_nothing_is_remembered(
    plain: Database, tmp_path: Path
) -> None:
    export(plain, PUBLIC, tmp_path)
    assert not (tmp_path / STAGING_FOLDER).exists()
    again(plain, tmp_path)
    report = export(plain, PUBLIC, tmp_path)
    assert read(report) == {"t"}


LOADS = {
    "more": "INSERT INTO more VALUES (11)",
    "another": "UPDATE another SET v = 'y' WHERE n = 1",
    "less": "DELETE FROM less WHERE n = 1",
    "none": "TRUNCATE none",
    "anew": "BEGIN; CREATE TABLE o AS TABLE anew; TRUNCATE anew; INSERT INTO anew TABLE o; "
    "DROP TABLE o; END",
    "in_its_place": "ALTER TABLE in_its_place RENAME TO o; CREATE TABLE in_its_place AS TABLE o; "
    "DROP TABLE o",
    "wider": "ALTER TABLE wider ADD COLUMN w int DEFAULT 1",
    "renamed": "ALTER TABLE renamed RENAME v TO w",
    "retyped": "ALTER TABLE retyped ALTER n TYPE bigint",
    "described": "COMMENT ON TABLE described IS 'x'",
    "explained": "COMMENT ON COLUMN explained.n IS 'x'",
    "reset": "SELECT pg_stat_reset_single_table_counters('reset'::regclass)",
}


def test_what_was_changed_in_any_way_is_read(database: Database, tmp_path: Path) -> None:
    for name in (*LOADS, "untouched"):
        done(
            database,
            f"CREATE TABLE {name} AS SELECT n, 'x'::text AS v FROM generate_series(1, 10) n",
        )
    again(database, tmp_path)
    assert read(again(database, tmp_path)) == set()
    *others, last = LOADS
    for name in others:
        done(database, LOADS[name])
    assert read(again(database, tmp_path)) == {*others}
    for name in others:
        want = database.execute(f"SELECT n FROM {name} ORDER BY n")
        assert column_values(tmp_path / f"{name}.parquet", "n") == [n for (n,) in want]
    assert read(again(database, tmp_path)) == set()
    # The moment of a reset is that of the whole database.
    for statement in (LOADS[last], "SELECT pg_stat_reset()"):
        done(database, statement)
        assert read(again(database, tmp_path)) == {*LOADS, "untouched"}


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(lambda folder: (folder / "t.parquet").unlink(), id="a file that is gone"),
        pytest.param(lambda folder: (folder / "t.md").write_text("x"), id="one that was edited"),
        pytest.param(lambda folder: (folder / "t.md").touch(), id="one of another time"),
        pytest.param(
            lambda folder: (folder / STAGING_FOLDER / RECORD_NAME).write_text("{}"),
            id="a record without it",
        ),
        pytest.param(
            lambda folder: (folder / STAGING_FOLDER / RECORD_NAME).write_text('{"t": [1]}'),
            id="a record that is none",
        ),
    ],
)
def test_it_is_read_where_the_folder_is_not_as_it_was_left(
    plain: Database, tmp_path: Path, tamper: Callable[[Path], object]
) -> None:
    again(plain, tmp_path)
    tamper(tmp_path)
    assert read(again(plain, tmp_path)) == {"t"}
    assert column_values(tmp_path / "t.parquet", "n") == [*range(1, 11)]
    assert "**Rows:** 10" in (tmp_path / "t.md").read_text()


def test_it_is_read_for_another_codec(plain: Database, tmp_path: Path) -> None:
    again(plain, tmp_path)
    assert read(again(plain, tmp_path, compression="zstd")) == {"t"}
    assert read(again(plain, tmp_path, compression="zstd")) == set()


def test_it_is_read_in_another_database(
    plain: Database, tmp_path: Path, make_database: Callable[[], Database]
) -> None:
    again(plain, tmp_path)
    other = make_database()
    done(other, "CREATE TABLE t AS SELECT n, 'z'::text AS v FROM generate_series(1, 10) n")
    assert read(again(other, tmp_path)) == {"t"}


def test_a_load_that_commits_after_the_marks_were_taken_is_published_by_the_next_run(
    plain: Database, tmp_path: Path
) -> None:
    """What the snapshot does not have must not be counted as published."""

    def load(event: Any) -> None:
        if event.event_type is EventType.STAGE_STARTED and event.stage == "export":
            done(plain, "INSERT INTO t VALUES (11)")

    export(plain, PUBLIC, tmp_path, Recorder(load), skip_unchanged=True)
    assert column_values(tmp_path / "t.parquet", "n") == [*range(1, 11)]
    assert read(again(plain, tmp_path)) == {"t"}
    assert column_values(tmp_path / "t.parquet", "n") == [*range(1, 12)]


def test_what_is_not_read_is_of_the_same_state_as_what_is(
    plain: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load of two tables commits after the first look: neither is taken for unchanged."""
    done(plain, "CREATE TABLE u AS TABLE t; CREATE TABLE w AS TABLE t")
    again(plain, tmp_path)
    done(plain, "INSERT INTO w VALUES (11, 'x')")
    pending = ["INSERT INTO u SELECT n, 'y' FROM generate_series(11, 12) n; DELETE FROM t"]
    look = snapshot.load_marks

    def then_load(*arguments: Any) -> dict[str, str]:
        marks = look(*arguments)
        if pending:
            done(plain, pending.pop())
        return marks

    monkeypatch.setattr(snapshot, "load_marks", then_load)
    report = again(plain, tmp_path)
    assert read(report) == {"t", "u", "w"}
    rows = {result.canonical_code: result.row_count for result in report.results}
    assert rows == {"t": 0, "u": 12, "w": 11}


@pytest.mark.parametrize(
    "relation",
    [
        pytest.param("CREATE VIEW s AS SELECT 1 AS n", id="a view"),
        pytest.param("CREATE TABLE s (n int) PARTITION BY LIST (n)", id="a partitioned table"),
        pytest.param(
            "CREATE TABLE s (n int); CREATE TABLE child () INHERITS (s)", id="a table with children"
        ),
        pytest.param(
            "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE s (n mood)", id="labels that may change"
        ),
    ],
)
def test_of_what_the_server_does_not_count_nothing_is_taken_for_granted(
    database: Database, tmp_path: Path, relation: str
) -> None:
    done(database, relation)
    again(database, tmp_path)
    assert "s" in read(again(database, tmp_path))


def test_nor_where_policies_hide_rows(
    plain: Database, tmp_path: Path, make_role: RoleMaker
) -> None:
    role = make_role()
    done(
        plain,
        f"""
        GRANT SELECT ON t TO {role.name}; ALTER TABLE t ENABLE ROW LEVEL SECURITY;
        CREATE POLICY few ON t USING (n < 5)""",
    )
    for _ in range(2):
        report = export(
            plain.dsn_as(role), PUBLIC, tmp_path, skip_unchanged=True, enable_row_security=True
        )
        assert read(report) == {"t"}


class TestTheRegistry:
    CODE = "adhd_summary_open_referrals_age"
    ONE = Selection(codes=(CODE,))

    def test_its_time_of_the_last_load_decides(self, demo_copy: Database, tmp_path: Path) -> None:
        done(
            demo_copy,
            f"""
            ALTER TABLE staging.{self.CODE} RENAME TO base;
            CREATE VIEW staging.{self.CODE} AS TABLE staging.base;
            UPDATE datawarp.tbl_data_sources SET last_load_at = now()""",
        )
        again(demo_copy, tmp_path, self.ONE)
        assert read(again(demo_copy, tmp_path, self.ONE)) == set()
        done(demo_copy, "UPDATE datawarp.tbl_data_sources SET last_load_at = now()")
        assert read(again(demo_copy, tmp_path, self.ONE)) == {self.CODE}

    def test_a_view_of_another_definition_is_read(
        self, demo_copy: Database, tmp_path: Path
    ) -> None:
        done(
            demo_copy,
            f"""
            ALTER TABLE staging.{self.CODE} RENAME TO base;
            CREATE VIEW staging.middle AS TABLE staging.base;
            CREATE VIEW staging.{self.CODE} AS TABLE staging.middle;
            UPDATE datawarp.tbl_data_sources SET last_load_at = now()""",
        )
        again(demo_copy, tmp_path, self.ONE)
        done(
            demo_copy, "CREATE OR REPLACE VIEW staging.middle AS SELECT * FROM staging.base LIMIT 9"
        )
        assert read(again(demo_copy, tmp_path, self.ONE)) == {self.CODE}

    def test_a_plain_table_needs_the_counters_as_well(
        self, demo_copy: Database, tmp_path: Path
    ) -> None:
        """A loader that has not told the registry."""
        done(demo_copy, "UPDATE datawarp.tbl_data_sources SET last_load_at = now()")
        again(demo_copy, tmp_path, self.ONE)
        assert read(again(demo_copy, tmp_path, self.ONE)) == set()
        done(demo_copy, f"DELETE FROM staging.{self.CODE}")
        assert read(again(demo_copy, tmp_path, self.ONE)) == {self.CODE}


def test_a_source_that_fails_is_not_remembered(plain: Database, tmp_path: Path) -> None:
    again(plain, tmp_path)
    done(plain, "DELETE FROM t")
    report = again(plain, tmp_path, max_row_drop_percent=10)
    assert [outcome.state for outcome in report.outcomes] == [SourceState.FAILED]
    report = again(plain, tmp_path, max_row_drop_percent=10)
    assert [outcome.state for outcome in report.outcomes] == [SourceState.FAILED]


def test_the_record_is_small_and_nobody_else_s(plain: Database, tmp_path: Path) -> None:
    again(plain, tmp_path)
    hidden = tmp_path / STAGING_FOLDER
    assert [path.name for path in hidden.iterdir()] == [RECORD_NAME]
    assert hidden.stat().st_mode & 0o777 == 0o700
    assert json.loads((hidden / RECORD_NAME).read_text()).keys() == {"t"}
