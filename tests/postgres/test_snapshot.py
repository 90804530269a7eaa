"""One snapshot for a whole run, with locks that keep it true, whatever others do meanwhile.

Others act from inside the run's own events, where the run waits for them, or between the steps of
`open_snapshot`: no test depends on timing.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg import errors as pg_errors

from duckwarp.engine import layout
from duckwarp.model.errors import RunError
from duckwarp.model.events import Event, EventType
from duckwarp.model.results import SourceState
from duckwarp.model.source import Selection, Source
from duckwarp.postgres import registry, snapshot
from duckwarp.postgres.connection import APPLICATION_NAME
from tests.conftest import DatabaseMaker, RoleMaker
from tests.runs import (
    Recorder,
    by_code,
    column_values,
    dataset_files,
    export,
    published_files,
    reading_over,
    when,
)
from tests.support import Database, dsn_with

PUBLIC = Selection(schema="public")
DUCKWARP_SESSIONS = """
    FROM pg_stat_activity
    WHERE application_name LIKE 'duckwarp %' AND datname = current_database()"""


def named(*tables: str) -> Selection:
    return Selection(tables=tuple(f"public.{table}" for table in tables))


@pytest.fixture
def two_tables(database: Database) -> Database:
    """The tables `a` and `b`, with one row each."""
    database.execute("CREATE TABLE a AS SELECT 1 AS n; CREATE TABLE b AS SELECT 1 AS n")
    return database


class TestOneSnapshot:
    def test_a_load_that_commits_between_two_sources_is_in_neither_file(
        self, two_tables: Database, tmp_path: Path
    ) -> None:
        def load() -> None:
            two_tables.execute("INSERT INTO a VALUES (2); INSERT INTO b VALUES (2); DELETE FROM b")

        recorder = Recorder(when(EventType.STAGE_COMPLETED, "a", load))
        report = export(two_tables, named("a", "b"), tmp_path, recorder)
        assert [result.row_count for result in report.results] == [1, 1]
        assert column_values(tmp_path / "a.parquet", "n") == [1]
        assert column_values(tmp_path / "b.parquet", "n") == [1]
        assert two_tables.execute("SELECT count(*) FROM a UNION ALL SELECT count(*) FROM b") == [
            (2,),
            (0,),
        ]

    @pytest.mark.parametrize("connections", [1, 2])
    def test_a_load_that_commits_before_the_readers_begin_is_in_no_file(
        self,
        two_tables: Database,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        connections: int,
    ) -> None:
        """They read the snapshot that was exported, not one of their own."""
        monkeypatch.setattr(layout, "RANGE_MIN_BYTES", 2)
        original = snapshot._export_snapshot
        loaded: list[bool] = []

        def export_and_load(connection: psycopg.Connection[Any]) -> str:
            snapshot_id = original(connection)
            two_tables.execute("INSERT INTO a VALUES (2); UPDATE b SET n = 2")
            loaded.append(True)
            return snapshot_id

        monkeypatch.setattr(snapshot, "_export_snapshot", export_and_load)
        export(two_tables, named("a", "b"), tmp_path, **reading_over(connections))
        assert loaded == [True]
        assert column_values(tmp_path / "a.parquet", "n") == [1]
        assert column_values(tmp_path / "b.parquet", "n") == [1]

    def test_a_load_that_commits_before_the_run_is_in_both(
        self, two_tables: Database, tmp_path: Path
    ) -> None:
        two_tables.execute("INSERT INTO a VALUES (2); INSERT INTO b VALUES (2)")
        export(two_tables, named("a", "b"), tmp_path)
        assert column_values(tmp_path / "a.parquet", "n") == [1, 2]
        assert column_values(tmp_path / "b.parquet", "n") == [1, 2]

    def test_registry_and_metadata_are_of_the_same_snapshot(
        self, demo_copy: Database, tmp_path: Path
    ) -> None:
        def rename() -> None:
            demo_copy.execute(
                "UPDATE datawarp.tbl_data_sources SET name = 'Later', description = 'Later'; "
                "UPDATE datawarp.tbl_column_metadata SET description = 'Later'; "
                "INSERT INTO datawarp.tbl_data_sources (code, table_name, created_at) "
                "VALUES ('gp_appt_other', 'gp_appt_national_daily', now())"
            )

        def react(event: Any) -> None:
            if event.event_type is EventType.STAGE_STARTED and event.stage == "export_batch":
                rename()

        report = export(demo_copy, Selection(publication="gp_appt"), tmp_path, Recorder(react))
        assert [result.canonical_code for result in report.results] == ["gp_appt_national_daily"]
        page = (tmp_path / "gp_appt_national_daily.md").read_text(encoding="utf-8")
        assert "# GP Appointments - National, Daily" in page
        assert "Later" not in page

    def test_the_sessions_of_a_run_share_a_snapshot_a_name_and_a_role_that_cannot_write(
        self, database: Database, tmp_path: Path
    ) -> None:
        database.execute(
            "CREATE VIEW a AS SELECT pg_current_snapshot()::text AS seen, "
            "current_setting('application_name') AS name, "
            "current_setting('transaction_read_only') AS read_only, "
            "current_setting('transaction_isolation') AS isolation; "
            "CREATE VIEW b AS SELECT * FROM a"
        )

        def commit_something() -> None:
            database.execute("CREATE TABLE t AS SELECT txid_current()")

        recorder = Recorder(when(EventType.STAGE_COMPLETED, "a", commit_something))
        export(database, named("a", "b"), tmp_path, recorder)
        [first] = pq.read_table(tmp_path / "a.parquet").to_pylist()
        [second] = pq.read_table(tmp_path / "b.parquet").to_pylist()
        assert first == second
        assert first["name"].startswith("duckwarp ")
        assert (first["read_only"], first["isolation"]) == ("on", "repeatable read")


# What a run's sessions must be set to, whatever they were told before; see SESSION_SETTINGS.
WANTED = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "row_security": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_read_only": "on",
    "standard_conforming_strings": "on",
}
HOSTILE_ROLE = {
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kolkata",
    "extra_float_digits": "-5",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "row_security": "on",
    "statement_timeout": "100s",
    "idle_in_transaction_session_timeout": "100s",
    "idle_session_timeout": "100s",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "serializable",
    "standard_conforming_strings": "off",
}
HOSTILE_ENVIRONMENT = {
    "PGOPTIONS": "-c DateStyle=SQL,DMY -c TimeZone=America/New_York -c extra_float_digits=0 "
    "-c bytea_output=escape -c default_transaction_read_only=off -c statement_timeout=90s",
    "PGCLIENTENCODING": "SQL_ASCII",
    "PGDATESTYLE": "Postgres, MDY",
    "PGTZ": "Pacific/Auckland",
    "PGAPPNAME": "something else",
}


class TestSettings:
    @pytest.mark.parametrize(
        "environment",
        [
            pytest.param({}, id="with a role's defaults"),
            pytest.param(HOSTILE_ENVIRONMENT, id="with a role's defaults and an environment"),
        ],
    )
    def test_all_sessions_have_the_same_settings_whatever_the_defaults(
        self,
        database: Database,
        tmp_path: Path,
        make_role: RoleMaker,
        monkeypatch: pytest.MonkeyPatch,
        environment: dict[str, str],
    ) -> None:
        role = make_role()
        for name, value in HOSTILE_ROLE.items():
            database.execute(f"ALTER ROLE {role.name} SET {name} = '{value}'")
        names = ", ".join(f"'{name}'" for name in WANTED)
        database.execute(
            f"CREATE VIEW v AS SELECT name, setting FROM pg_settings WHERE name IN ({names}); "
            "GRANT SELECT ON v TO PUBLIC"
        )
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        found: dict[str, str] = {}
        original = snapshot._export_snapshot

        def look(connection: psycopg.Connection[Any]) -> str:
            found.update(connection.execute("SELECT name, setting FROM v").fetchall())
            found["application_name"] = connection.info.parameter_status("application_name") or ""
            return original(connection)

        monkeypatch.setattr(snapshot, "_export_snapshot", look)
        dsn = dsn_with(database.dsn, user=role.name)
        [result] = export(dsn, named("v"), tmp_path).results
        assert result.error is None
        of_duckdb = {
            row["name"]: row["setting"] for row in pq.read_table(tmp_path / "v.parquet").to_pylist()
        }
        assert of_duckdb == WANTED
        assert found.pop("application_name").startswith(f"{APPLICATION_NAME} ")
        assert found == WANTED

    def test_values_come_out_the_same_whatever_the_defaults(
        self, database: Database, tmp_path: Path, make_role: RoleMaker
    ) -> None:
        role = make_role()
        for name, value in HOSTILE_ROLE.items():
            database.execute(f"ALTER ROLE {role.name} SET {name} = '{value}'")
        database.execute(
            "CREATE VIEW v AS SELECT TIMESTAMPTZ '2026-03-04 05:06:07.000008+00' AS t, "
            "DATE '2026-03-04' AS d, INTERVAL '-1 day 2 hours' AS i, 0.1::float8 + 0.2 AS f, "
            "'\\x00ff'::bytea AS b, ARRAY[DATE '2026-03-04']::text[] AS x, 'é ✓'::text AS s, "
            "daterange('2026-03-04', '2026-03-05') AS r; GRANT SELECT ON v TO PUBLIC"
        )
        for dsn, folder in ((database.dsn, "plain"), (database.dsn_as(role), "hostile")):
            assert export(dsn, named("v"), tmp_path / folder).results[0].error is None
        plain, hostile = (
            (tmp_path / folder / "v.parquet").read_bytes() for folder in ("plain", "hostile")
        )
        assert plain == hostile
        assert column_values(tmp_path / "hostile" / "v.parquet", "r") == ["[2026-03-04,2026-03-05)"]

    def test_a_server_that_ends_idle_sessions_does_not_end_a_run_that_waits(
        self, two_tables: Database, tmp_path: Path, make_role: RoleMaker
    ) -> None:
        role = make_role("SUPERUSER")
        two_tables.execute(
            f"ALTER ROLE {role.name} SET idle_in_transaction_session_timeout = '400ms'; "
            f"ALTER ROLE {role.name} SET idle_session_timeout = '400ms'"
        )

        def let_time_pass() -> None:
            # Sessions that the server would end for idleness are gone after this.
            two_tables.execute("SELECT pg_sleep(0.8)")

        recorder = Recorder(when(EventType.STAGE_COMPLETED, "a", let_time_pass))
        report = export(two_tables.dsn_as(role), named("a", "b"), tmp_path, recorder)
        assert [result.error for result in report.results] == [None, None]


class TestLocks:
    @pytest.mark.parametrize(
        "statement",
        [
            pytest.param("TRUNCATE b", id="TRUNCATE, which would empty it for all"),
            pytest.param("ALTER TABLE b ALTER n TYPE text", id="ALTER TABLE"),
            pytest.param("ALTER TABLE b RENAME TO c", id="a new name"),
            pytest.param("DROP TABLE b CASCADE", id="DROP TABLE"),
            pytest.param("VACUUM FULL b", id="VACUUM FULL"),
            pytest.param("TRUNCATE child", id="TRUNCATE of a child"),
            pytest.param("REFRESH MATERIALIZED VIEW m", id="REFRESH MATERIALIZED VIEW"),
            pytest.param("DROP MATERIALIZED VIEW m2 CASCADE", id="DROP of what a view reads"),
            pytest.param("REFRESH MATERIALIZED VIEW m2", id="REFRESH of what a view reads"),
            pytest.param("CREATE OR REPLACE VIEW v AS SELECT 1 AS n", id="CREATE OR REPLACE VIEW"),
            pytest.param("TRUNCATE under", id="TRUNCATE of what a view reads"),
        ],
    )
    def test_what_would_change_a_relation_waits_for_the_end_of_the_run(
        self, database: Database, tmp_path: Path, statement: str
    ) -> None:
        database.execute(
            "CREATE TABLE a AS SELECT 1 AS n; CREATE TABLE b AS SELECT 1 AS n; "
            "CREATE TABLE child () INHERITS (b); INSERT INTO child VALUES (2); "
            "CREATE TABLE under AS SELECT 1 AS n; CREATE MATERIALIZED VIEW m AS SELECT 1 AS n; "
            "CREATE MATERIALIZED VIEW m2 AS SELECT 1 AS n; "
            "CREATE VIEW v AS SELECT n FROM under UNION ALL SELECT n FROM m2"
        )
        refused: list[str] = []

        def change() -> None:
            with (
                database.connect(options="-c lock_timeout=50") as connection,
                pytest.raises(pg_errors.LockNotAvailable),
            ):
                connection.execute(statement.encode())
            refused.append(statement)

        recorder = Recorder(when(EventType.STAGE_COMPLETED, "a", change))
        report = export(database, named("a", "b", "m", "v"), tmp_path, recorder)
        assert refused == [statement]
        rows = {code: result.row_count for code, result in by_code(report).items()}
        assert rows == {"a": 1, "b": 2, "m": 1, "v": 2}
        with database.connect(options="-c lock_timeout=5000") as connection:
            connection.execute(statement.encode())

    def test_a_load_that_empties_and_fills_a_table_meets_the_run_whole_or_not_at_all(
        self, two_tables: Database, tmp_path: Path
    ) -> None:
        """The load waits in the middle of the run; the file has the rows of before."""
        loader = two_tables.connect(autocommit=False)
        waited: list[bool] = []

        def start_load() -> None:
            loader.execute("SET LOCAL lock_timeout = 50")
            with pytest.raises(pg_errors.LockNotAvailable):
                loader.execute("TRUNCATE b; INSERT INTO b VALUES (7)")
            loader.rollback()
            waited.append(True)

        recorder = Recorder(when(EventType.STAGE_COMPLETED, "a", start_load))
        export(two_tables, named("a", "b"), tmp_path, recorder)
        assert waited == [True]
        assert column_values(tmp_path / "b.parquet", "n") == [1]
        loader.execute("TRUNCATE b; INSERT INTO b VALUES (7)")
        loader.commit()
        loader.close()
        export(two_tables, named("a", "b"), tmp_path)
        assert column_values(tmp_path / "b.parquet", "n") == [7]

    def test_a_load_that_commits_while_its_lock_is_waited_for_is_in_the_file(
        self, two_tables: Database, tmp_path: Path
    ) -> None:
        """A snapshot from before the lock would find the table empty."""
        loader = two_tables.connect(autocommit=False)
        loader.execute("TRUNCATE b; INSERT INTO b VALUES (7)")
        waiting = (
            "SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE NOT granted AND application_name LIKE 'duckwarp%'"
        )

        def commit() -> None:
            with two_tables.connect() as connection:
                while connection.execute(waiting).fetchone() is None:
                    pass
            loader.commit()

        with ThreadPoolExecutor(max_workers=1) as pool, loader:
            committed = pool.submit(commit)
            export(two_tables, named("a", "b"), tmp_path)
            committed.result()
        assert column_values(tmp_path / "b.parquet", "n") == [7]

    @pytest.mark.parametrize(
        "kind", ["TABLE b AS SELECT 1 AS n", "MATERIALIZED VIEW b AS SELECT 1 AS n"]
    )
    def test_a_lock_that_is_not_had_in_time_fails_that_source_alone(
        self, database: Database, tmp_path: Path, kind: str
    ) -> None:
        database.execute(
            f"CREATE TABLE a AS SELECT 1 AS n; CREATE {kind}; CREATE TABLE c AS SELECT 1 AS n"
        )
        lock = "LOCK TABLE b" if kind.startswith("TABLE") else "REFRESH MATERIALIZED VIEW b"
        with database.connect(autocommit=False) as other:
            other.execute(lock.encode())
            recorder = Recorder()
            names = named("a", "b", "c")
            report = export(database, names, tmp_path, recorder, lock_timeout_seconds=0.05)
        results = by_code(report)
        assert [e.context["sqlstate"] for e in recorder.of(EventType.WARNING, "retry")] == [
            "55P03",
            "55P03",
        ]
        assert results["b"].error == (
            "relation public.b could not be locked within 0.05 s: another session is changing it; "
            "run again later, or raise --lock-timeout"
        )
        assert results["a"].success
        assert results["c"].success
        assert published_files(tmp_path) == {"a.parquet", "a.md", "c.parquet", "c.md"}

    def test_a_lock_that_is_not_had_is_waited_for_once(
        self, two_tables: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The try for all locks at once waits for a moment only, and not for the whole time."""
        timeouts: list[tuple[str, bool]] = []
        original = snapshot._try

        def noting(connection: psycopg.Connection[Any], statement: Any) -> psycopg.Error | None:
            [timeout] = connection.execute("SHOW lock_timeout").fetchone() or ()
            timeouts.append((timeout, (error := original(connection, statement)) is None))
            return error

        monkeypatch.setattr(snapshot, "_try", noting)
        with two_tables.connect(autocommit=False) as other:
            other.execute("LOCK TABLE b")
            limits = {"lock_timeout_seconds": 0.2, "retries": 0}
            export(two_tables, named("a", "b"), tmp_path, **limits)
        assert timeouts == [("100ms", False), ("200ms", True), ("200ms", False)]

    @pytest.mark.parametrize("kind", ["TABLE", "MATERIALIZED VIEW"])
    def test_a_lock_that_is_had_at_another_try_costs_nothing(
        self, database: Database, tmp_path: Path, kind: str
    ) -> None:
        """The whole set is of the snapshot that is taken then."""
        database.execute(f"CREATE TABLE a AS SELECT 1 AS n; CREATE {kind} b AS SELECT 1 AS n")
        with database.connect(autocommit=False) as other:
            if kind == "TABLE":
                other.execute("TRUNCATE b; INSERT INTO b SELECT 2; INSERT INTO a SELECT 2")
            else:
                other.execute("INSERT INTO a SELECT 2; REFRESH MATERIALIZED VIEW b")

            def release(event: Event) -> None:
                if event.stage == "retry":
                    other.commit()

            recorder = Recorder(release)
            report = export(database, named("a", "b"), tmp_path, recorder, lock_timeout_seconds=0.2)
        assert all(result.success for result in by_code(report).values())
        assert column_values(tmp_path / "a.parquet", "n") == [1, 2]
        assert column_values(tmp_path / "b.parquet", "n") == [2 if kind == "TABLE" else 1]
        assert len(recorder.of(EventType.WARNING, "retry")) == 1

    def test_a_table_that_is_emptied_and_filled_all_the_time_is_exported(
        self, database: Database, tmp_path: Path
    ) -> None:
        """Each load queues behind the run, and the readers of the run behind the load."""
        database.execute("CREATE TABLE a AS SELECT 1 AS n, 0 AS load; CREATE TABLE b AS TABLE a")
        ended = threading.Event()

        def load() -> int:
            with database.connect() as connection:
                for number in itertools.count(1):
                    connection.execute(
                        f"BEGIN; TRUNCATE a, b; INSERT INTO a SELECT n, {number} "
                        f"FROM generate_series(1, 500) AS n; INSERT INTO b TABLE a; "
                        "SELECT pg_sleep(0.1); COMMIT".encode()
                    )
                    if ended.wait(0.1):
                        break
            return number

        with ThreadPoolExecutor() as pool:
            loading = pool.submit(load)
            try:
                for _ in range(4):
                    report = export(database, named("a", "b"), tmp_path, lock_timeout_seconds=1)
                    errors = {r.canonical_code: r.error for r in by_code(report).values()}
                    assert errors == {"a": None, "b": None}
                    found = [column_values(tmp_path / f"{c}.parquet", "load") for c in "ab"]
                    assert found[0] == found[1]
                    assert len(found[0]) == 500 or found[0] == [0]
                    assert len(set(found[0])) == 1
            finally:
                ended.set()
            assert loading.result() > 1

    def test_a_change_that_queues_before_the_readers_have_their_locks_costs_nothing(
        self, two_tables: Database, tmp_path: Path
    ) -> None:
        """The relation is read by the session that has the lock, and its file is the same."""
        two_tables.execute(
            "DROP TABLE b; CREATE TABLE b AS SELECT n, md5(n::text) AS s, n::numeric(12, 2) AS d, "
            "n::numeric AS m, date '2026-01-01' + n % 400 AS day, ARRAY[n, NULL] AS list "
            "FROM generate_series(130000, 1, -1) AS n"
        )
        export(two_tables, named("b"), tmp_path / "usual")
        queued = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'b'::regclass"
        changed: list[Future[list[tuple[object, ...]]]] = []

        with ThreadPoolExecutor(max_workers=1) as pool:

            def change(event: Event) -> None:
                begins = (EventType.STAGE_STARTED, "export_batch")
                if (event.event_type, event.stage) == begins and not changed:
                    changed.append(pool.submit(two_tables.execute, "ALTER TABLE b ADD added int"))
                    with two_tables.connect() as connection:
                        while connection.execute(queued).fetchone() is None:
                            pass

            report = export(
                two_tables,
                named("a", "b"),
                tmp_path,
                Recorder(change),
                lock_timeout_seconds=0.3,
                retries=0,
            )
            changed[0].result()
        results = by_code(report)
        assert results["a"].success
        assert results["b"].success
        usual = (tmp_path / "usual" / "b.parquet").read_bytes()
        assert (tmp_path / "b.parquet").read_bytes() == usual

    def test_a_change_that_queues_before_a_source_is_read_waits_until_the_run_is_over(
        self, two_tables: Database, tmp_path: Path
    ) -> None:
        """A reader asking for its lock after the change would wait for it, and it for the run."""
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
        with ThreadPoolExecutor() as executor:
            changes: list[Future[Any]] = []

            def queue() -> None:
                changes.append(executor.submit(two_tables.execute, "TRUNCATE b"))
                while not two_tables.execute(waiting):
                    assert not changes[0].done()

            recorder = Recorder(when(EventType.STAGE_COMPLETED, "a", queue))
            report = export(
                two_tables, named("a", "b"), tmp_path, recorder, lock_timeout_seconds=0.2
            )
            changes[0].result(timeout=30)
        results = by_code(report)
        assert results["a"].success
        assert results["b"].row_count == 1
        assert two_tables.execute("SELECT count(*) FROM b") == [(0,)]

    def test_no_lock_and_no_session_is_left_after_a_run(
        self, two_tables: Database, tmp_path: Path
    ) -> None:
        export(two_tables, named("a", "b"), tmp_path)
        with two_tables.connect(options="-c lock_timeout=5000") as connection:
            connection.execute("DROP TABLE a, b")


def acting_after(
    monkeypatch: pytest.MonkeyPatch, call: int, action: Callable[[], Any]
) -> list[tuple[Source, ...]]:
    """Let `action` happen when `open_snapshot` has looked for sources for the `call`-th time.

    The first look is before the locks, the second one in the snapshot. Returns what was found.
    """
    found: list[tuple[Source, ...]] = []

    def acting(original: Callable[..., tuple[Source, ...]]) -> Callable[..., tuple[Source, ...]]:
        def find(*arguments: Any) -> tuple[Source, ...]:
            found.append(original(*arguments))
            if len(found) == call:
                action()
            return found[-1]

        return find

    monkeypatch.setattr(snapshot, "find_sources", acting(registry.find_sources))
    monkeypatch.setattr(snapshot, "find_sources_again", acting(registry.find_sources_again))
    return found


class TestChangesWhileTheRunBegins:
    @pytest.mark.parametrize(
        ("statements", "want"),
        [
            pytest.param("INSERT INTO a VALUES (2)", {"a": [1, 2], "b": [1]}, id="rows"),
            pytest.param("TRUNCATE a; INSERT INTO a VALUES (7)", {"a": [7], "b": [1]}, id="a load"),
            pytest.param("DROP TABLE a", {"b": [1]}, id="a table is dropped"),
            pytest.param(
                "CREATE TABLE c AS SELECT 3 AS n",
                {"a": [1], "b": [1], "c": [3]},
                id="a table is created",
            ),
            pytest.param(
                "ALTER TABLE a RENAME TO c", {"b": [1], "c": [1]}, id="a table is renamed"
            ),
            pytest.param(
                "CREATE TABLE n AS SELECT 9 AS n; ALTER TABLE a RENAME TO o; "
                "ALTER TABLE n RENAME TO a",
                {"a": [9], "b": [1], "o": [1]},
                id="a table is swapped for another",
            ),
            pytest.param(
                "DROP TABLE a; CREATE VIEW a AS SELECT 8 AS n",
                {"a": [8], "b": [1]},
                id="a view takes the place of a table",
            ),
            pytest.param(
                "ALTER TABLE a ALTER n TYPE text USING 'x' || n",
                {"a": ["x1"], "b": [1]},
                id="a column gets another type",
            ),
        ],
    )
    def test_what_commits_before_the_locks_is_in_the_files(
        self,
        two_tables: Database,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        statements: str,
        want: dict[str, list[Any]],
    ) -> None:
        acting_after(monkeypatch, 1, lambda: two_tables.execute(statements))
        report = export(two_tables, PUBLIC, tmp_path)
        assert [result.error for result in report.results] == [None] * len(want)
        got = {path.stem: column_values(path, "n") for path in dataset_files(tmp_path)}
        assert got == want

    @pytest.mark.parametrize("statement", ["DROP TABLE a", "ALTER TABLE a RENAME TO c"])
    def test_a_source_whose_table_goes_before_the_lock_fails_alone(
        self,
        two_tables: Database,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        statement: str,
    ) -> None:
        acting_after(monkeypatch, 1, lambda: two_tables.execute(statement))
        report = export(two_tables, named("a", "b"), tmp_path)
        assert [outcome.state for outcome in report.outcomes] == [
            SourceState.FAILED,
            SourceState.EXPORTED,
        ]
        assert report.outcomes[0].reason == (
            "relation public.a does not exist any more: it was dropped or renamed while the run "
            "began"
        )

    @pytest.mark.parametrize(
        ("made", "statement", "want"),
        [
            pytest.param(
                "CREATE MATERIALIZED VIEW m AS SELECT now() AS n",
                "REFRESH MATERIALIZED VIEW m",
                "was refreshed or rewritten while the run began",
                id="a materialized view is refreshed",
            ),
            pytest.param(
                "CREATE MATERIALIZED VIEW u AS SELECT now() AS n; CREATE VIEW w AS SELECT n FROM u;"
                "CREATE VIEW m AS SELECT n FROM w",
                "REFRESH MATERIALIZED VIEW u",
                "was refreshed or rewritten while the run began",
                id="one that a view of a view reads",
            ),
            pytest.param(
                "CREATE MATERIALIZED VIEW m AS SELECT now() AS n",
                "DROP MATERIALIZED VIEW m",
                "does not exist",
                id="a materialized view is dropped",
            ),
            pytest.param(
                "CREATE MATERIALIZED VIEW m AS SELECT 1 AS n",
                "ALTER MATERIALIZED VIEW m RENAME TO o; "
                "CREATE MATERIALIZED VIEW m AS SELECT 2 AS n",
                "was replaced by another",
                id="another takes its name",
            ),
        ],
    )
    def test_what_changes_between_the_snapshot_and_a_late_lock_fails_that_source(
        self,
        two_tables: Database,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        made: str,
        statement: str,
        want: str,
    ) -> None:
        two_tables.execute(made)
        acting_after(monkeypatch, 2, lambda: two_tables.execute(statement))
        results = by_code(export(two_tables, named("a", "m"), tmp_path))
        assert want in (results["m"].error or "")
        assert results["a"].success

    def test_a_schema_that_is_swapped_under_the_run_fails_the_source(
        self, database: Database, tmp_path: Path
    ) -> None:
        database.execute(
            "CREATE SCHEMA live; CREATE TABLE live.t AS SELECT 1 AS n; "
            "CREATE SCHEMA next; CREATE TABLE next.t AS SELECT 2 AS n"
        )

        def swap() -> None:
            database.execute("ALTER SCHEMA live RENAME TO old; ALTER SCHEMA next RENAME TO live")

        recorder = Recorder(when(EventType.STAGE_STARTED, "t", swap))
        [result] = export(database, Selection(schema="live"), tmp_path, recorder).results
        assert "was replaced by another" in (result.error or "")
        assert published_files(tmp_path) == set()

    @pytest.mark.parametrize(
        ("tables", "statement", "want"),
        [
            pytest.param(
                "CREATE TABLE t (n int) PARTITION BY LIST (n); "
                "CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1); CREATE TABLE x (n int)",
                "ALTER TABLE t ATTACH PARTITION x FOR VALUES IN (2)",
                "x became a part of public.t",
                id="a partition",
            ),
            pytest.param(
                "CREATE TABLE t (n int); CREATE TABLE t1 () INHERITS (t); CREATE TABLE x (n int)",
                "ALTER TABLE x INHERIT t1",
                "public.x became a part of public.t",
                id="a child of a child",
            ),
            pytest.param(
                "CREATE TABLE t (n int); CREATE TABLE x (n int)",
                "ALTER TABLE x INHERIT t",
                "public.x became a part of public.t",
                id="the first child",
            ),
            pytest.param(
                "CREATE TABLE u (n int) PARTITION BY LIST (n); CREATE TABLE x (n int); "
                "CREATE TABLE y (n int); CREATE VIEW w AS SELECT n FROM u UNION SELECT n FROM y; "
                "CREATE VIEW t AS SELECT n FROM w",
                "ALTER TABLE u ATTACH PARTITION x FOR VALUES IN (2)",
                "x became a part of public.t",
                id="a partition of what a view reads",
            ),
        ],
    )
    def test_a_part_that_joins_while_a_source_is_read_fails_it(
        self, two_tables: Database, tmp_path: Path, tables: str, statement: str, want: str
    ) -> None:
        two_tables.execute(tables)
        two_tables.execute("INSERT INTO x VALUES (2)")
        recorder = Recorder(
            when(EventType.STAGE_STARTED, "t", lambda: two_tables.execute(statement))
        )
        results = by_code(export(two_tables, named("a", "t"), tmp_path, recorder))
        assert f"{want} while it was read: run it again" in (results["t"].error or "")
        assert published_files(tmp_path) == {"a.parquet", "a.md"}
        assert export(two_tables, named("t"), tmp_path).results[0].row_count == 1

    def test_parts_that_were_there_before_fail_nothing(
        self, database: Database, tmp_path: Path, make_role: RoleMaker
    ) -> None:
        """Though the role may not see the schema of a child, and a policy reads another table."""
        role = make_role()
        database.execute(
            "CREATE SCHEMA hidden; CREATE TABLE t (n int); CREATE TABLE other AS SELECT 1 AS n; "
            'CREATE TABLE hidden."%s .c" () INHERITS (t); INSERT INTO hidden."%s .c" VALUES (1); '
            "CREATE POLICY p ON t USING (n IN (SELECT other.n FROM other)); "
            "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE VIEW v AS SELECT n FROM t; "
            f"GRANT SELECT ON t, other, v TO {role.name}"
        )
        dsn = database.dsn_as(role)
        [result] = export(dsn, named("v"), tmp_path).results
        assert result.error is None
        [result] = export(dsn, named("t"), tmp_path, enable_row_security=True).results
        assert result.error is None
        assert result.row_count == 1

    def test_a_materialized_view_without_data_fails_with_the_server_s_words(
        self, two_tables: Database, tmp_path: Path
    ) -> None:
        two_tables.execute("CREATE MATERIALIZED VIEW m AS SELECT 1 AS n WITH NO DATA")
        results = by_code(export(two_tables, named("a", "m"), tmp_path))
        assert "has not been populated" in (results["m"].error or "")
        assert results["a"].success


FILLED = """
    INSERT INTO {table}
    SELECT n, md5(n::text) FROM generate_series(1, 4000) AS n ORDER BY md5(n::text)"""


class TestRanges:
    @pytest.fixture(autouse=True)
    def _ranges_for_small_tables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(layout, "RANGE_MIN_BYTES", 2)

    @pytest.mark.parametrize(
        "statements",
        [
            pytest.param("CREATE TABLE t (n int, s text);" + FILLED.format(table="t"), id="table"),
            pytest.param(
                "CREATE TABLE t (n int, s text) PARTITION BY RANGE (n);"
                "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (3900);"
                "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (3900) TO (4001);"
                + FILLED.format(table="t"),
                id="partitions of unlike sizes",
            ),
            pytest.param(
                "CREATE TABLE t (n int, s text); CREATE TABLE child () INHERITS (t); "
                "INSERT INTO t VALUES (0, 'small parent');" + FILLED.format(table="child"),
                id="a child larger than its parent",
            ),
            pytest.param(
                "CREATE TABLE u (n int, s text);"
                + FILLED.format(table="u")
                + ";CREATE MATERIALIZED VIEW t AS SELECT * FROM u",
                id="materialized view",
            ),
            pytest.param(
                "CREATE TABLE t (n int, s text);"
                + FILLED.format(table="t")
                + "; DELETE FROM t WHERE n % 3 > 0; VACUUM t",
                id="table with holes",
            ),
        ],
    )
    @pytest.mark.parametrize("connections", [2, 3, 5])
    def test_ranges_take_every_row_once(
        self, database: Database, tmp_path: Path, statements: str, connections: int
    ) -> None:
        with database.connect() as connection:
            for statement in statements.split(";"):
                connection.execute(statement.encode())
        sessions: list[int] = []

        def count(event: Any) -> None:
            if event.event_type is EventType.STAGE_COMPLETED and event.stage == "read":
                sessions.extend(
                    row[0] for row in database.execute("SELECT count(*)" + DUCKWARP_SESSIONS)
                )

        export(database, named("t"), tmp_path, Recorder(count), **reading_over(connections))
        got = [tuple(row.values()) for row in pq.read_table(tmp_path / "t.parquet").to_pylist()]
        want = database.execute('SELECT * FROM t ORDER BY n, s COLLATE "C"')
        assert len(want) > 1000
        assert got == want
        if database.execute("SELECT current_setting('server_version_num')::int")[0][0] >= 140000:
            assert sessions == [connections + 1]

    def test_all_connections_read_the_same_snapshot(
        self, database: Database, tmp_path: Path
    ) -> None:
        """Rows that move to other pages meanwhile are neither missed nor read twice."""
        database.execute("CREATE TABLE t (n int, s text);" + FILLED.format(table="t"))

        def move() -> None:
            database.execute("UPDATE t SET s = 'moved'; INSERT INTO t VALUES (0, 'new')")

        recorder = Recorder(when(EventType.STAGE_STARTED, "t", move))
        export(database, named("t"), tmp_path, recorder)
        assert column_values(tmp_path / "t.parquet", "n") == [*range(1, 4001)]
        assert "moved" not in column_values(tmp_path / "t.parquet", "s")


SLOW = """
    CREATE VIEW slow AS SELECT n, pg_sleep(0.01)::text AS s FROM generate_series(1, 100000) AS n;
    CREATE VIEW z AS SELECT 1 AS n"""


@pytest.fixture
def lost(two_tables: Database) -> Callable[[str], None]:
    """Ends the run's sessions of which the condition holds."""

    def end(condition: str) -> None:
        rows = two_tables.execute(
            f"SELECT pg_terminate_backend(pid, 5000) {DUCKWARP_SESSIONS} AND {condition}"
        )
        assert rows

    return end


def test_a_snapshot_that_is_lost_while_a_source_is_read_fails_the_sources_that_are_left(
    two_tables: Database, tmp_path: Path, lost: Callable[[str], None]
) -> None:
    two_tables.execute(SLOW)
    done: list[bool] = []

    def react(event: Any) -> None:
        if event.is_tick and not done:
            done.append(True)
            lost("pid NOT IN (SELECT pid FROM pg_stat_progress_copy)")

    recorder = Recorder(react)
    results = by_code(export(two_tables, named("a", "slow", "z"), tmp_path, recorder, retries=0))
    assert done
    assert results["a"].success
    for code in ("slow", "z"):
        assert "lost" in (results[code].error or "")
    assert published_files(tmp_path) == {"a.parquet", "a.md"}
    assert two_tables.execute("SELECT count(*)" + DUCKWARP_SESSIONS + " AND state = 'active'") == [
        (0,)
    ]


def test_a_reader_that_is_lost_fails_its_source_and_no_other(
    two_tables: Database, tmp_path: Path, lost: Callable[[str], None]
) -> None:
    two_tables.execute(SLOW)
    done: list[bool] = []

    def react(event: Any) -> None:
        if event.is_tick and not done:
            done.append(True)
            lost("state = 'active' AND query LIKE 'COPY%'")

    recorder = Recorder(react)
    results = by_code(export(two_tables, named("a", "slow", "z"), tmp_path, recorder, retries=0))
    assert done
    assert results["a"].success
    assert not results["slow"].success
    assert results["z"].success


def test_a_question_that_the_server_refuses_is_an_error_of_the_run(
    database: Database, tmp_path: Path, make_role: RoleMaker
) -> None:
    """A registry of which a policy would hide sources is not read as if it were shorter."""
    role = make_role()
    database.execute(
        "CREATE SCHEMA datawarp; "
        "CREATE TABLE datawarp.tbl_data_sources (code text, table_name text); "
        f"GRANT USAGE ON SCHEMA datawarp TO {role.name}; "
        f"GRANT SELECT ON datawarp.tbl_data_sources TO {role.name}; "
        "ALTER TABLE datawarp.tbl_data_sources ENABLE ROW LEVEL SECURITY"
    )
    with pytest.raises(RunError, match="row-level security"):
        export(database.dsn_as(role), Selection(everything=True), tmp_path)


def test_a_registry_that_somebody_changes_is_waited_for_as_long_as_for_a_table(
    database: Database, tmp_path: Path
) -> None:
    database.execute(
        "CREATE SCHEMA datawarp; "
        "CREATE TABLE datawarp.tbl_data_sources (code text, table_name text)"
    )
    with database.connect(autocommit=False) as other:
        other.execute("LOCK TABLE datawarp.tbl_data_sources")
        with pytest.raises(RunError, match="lock timeout"):
            export(database, Selection(everything=True), tmp_path, lock_timeout_seconds=0.05)


class TestNamesThatAreNoText:
    """A database in SQL_ASCII takes any bytes for text."""

    @pytest.fixture
    def ascii_database(self, make_database: DatabaseMaker) -> Database:
        database = make_database(encoding="SQL_ASCII")
        database.execute("CREATE TABLE a (n int); INSERT INTO a VALUES (1)")
        return database

    def test_a_name_fails_its_source_alone(self, ascii_database: Database, tmp_path: Path) -> None:
        with ascii_database.connect(client_encoding="SQL_ASCII") as connection:
            connection.execute(b'CREATE TABLE b ("caf\xe9" int)')
            connection.execute(b'CREATE TABLE "t\xe9" (n int)')
            connection.execute(b"CREATE TABLE parent (n int)")
            connection.execute(b'CREATE TABLE "k\xe9" () INHERITS (parent)')
        results = by_code(export(ascii_database, PUBLIC, tmp_path))
        assert {code: result.error for code, result in results.items()} == {
            "a": None,
            "b": r'the name of column "caf\xe9" of public.b is not valid UTF-8: rename it',
            r"t\xe9": r"the name of public.t\xe9 is not valid UTF-8: rename it",
            r"k\xe9": r"the name of public.k\xe9 is not valid UTF-8: rename it",
            "parent": None,
        }

    def test_a_description_fails_its_source_alone(
        self, ascii_database: Database, tmp_path: Path
    ) -> None:
        with ascii_database.connect(client_encoding="SQL_ASCII") as connection:
            connection.execute(b"CREATE TABLE b (n int); CREATE TABLE c (n int)")
            connection.execute(b"COMMENT ON TABLE b IS 'caf\xe9 table'")
            connection.execute(b"COMMENT ON COLUMN c.n IS 'caf\xe9 column'")
        results = by_code(export(ascii_database, PUBLIC, tmp_path))
        assert results["a"].error is None
        assert r'the comment of public.b is not valid UTF-8 ("caf\xe9 table")' in str(
            results["b"].error
        )
        assert r'of column "n" of public.c is not valid UTF-8 ("caf\xe9 column")' in str(
            results["c"].error
        )
