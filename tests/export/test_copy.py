"""How a source is copied, end to end: rows of any length, time limits, and how many connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from duckwarp.engine import layout
from duckwarp.engine.copy import CopyJob, start_copy
from duckwarp.engine.layout import Reader
from duckwarp.engine.session import Running, Session
from duckwarp.export import copy as copying
from duckwarp.model.events import EventType
from duckwarp.model.results import ExportResult
from duckwarp.model.source import Selection
from tests.conftest import RoleMaker
from tests.runs import (
    Recorder,
    by_code,
    column_values,
    export,
    published_files,
    reading_over,
    when,
)
from tests.support import Database

PUBLIC = Selection(schema="public")
MB = 1_000_000


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[CopyJob]:
    """The copies that were started."""
    jobs: list[CopyJob] = []

    def start(session: Session, job: CopyJob) -> Running[int]:
        jobs.append(job)
        return start_copy(session, job)

    monkeypatch.setattr(copying, "start_copy", start)
    return jobs


def row_groups(path: Path | str) -> list[int]:
    """The rows of each row group of a file."""
    metadata = pq.read_metadata(path)
    return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


ROWS = 10_600
# Rows of 3,000 bytes that are compressed so well that no value is out of line, or in no table.
LONG = f"SELECT n, repeat('x', 3000) || n AS s FROM generate_series(1, {ROWS}) AS n"
LONG_RELATIONS = [
    pytest.param(f"CREATE TABLE t AS {LONG}", id="a table without values out of line"),
    pytest.param(f"CREATE VIEW t AS {LONG}", id="a view"),
    pytest.param(f"CREATE MATERIALIZED VIEW t AS {LONG}", id="a materialized view"),
    pytest.param(
        "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw; "
        "CREATE FOREIGN TABLE t (n int, s text) SERVER files OPTIONS (format 'csv', "
        'program \'x=$(printf %3000s | tr " " x); seq 1 10600 | sed "s/.*/&,$x&/"\')',
        id="a foreign table",
    ),
]


class TestLongRows:
    @pytest.mark.parametrize("statements", LONG_RELATIONS)
    def test_those_that_are_met_on_the_way_are_counted_and_the_copy_begins_anew(
        self, database: Database, tmp_path: Path, statements: str, started: list[CopyJob]
    ) -> None:
        database.execute(statements)
        recorder = Recorder()
        [result] = export(database, PUBLIC, tmp_path, recorder).results
        assert result.error is None
        again = [event for event in recorder.events if "again" in event.message]
        assert [(event.event_type, event.stage) for event in again] == [
            (EventType.PROGRESS, "read")
        ]
        assert again[0].message.startswith("copying t again: it has long rows")
        assert again[0].context["source"] == "t"
        first, second = (job.plan.layout for job in started)
        assert (first.row_group_rows, first.max_text_bytes is None) == (122_880, False)
        assert (second.row_group_rows, second.max_text_bytes is None) == (8_192, True)
        assert row_groups(tmp_path / "t.parquet") == [8_192, ROWS - 8_192]
        assert column_values(tmp_path / "t.parquet", "n") == [*range(1, ROWS + 1)]
        assert column_values(tmp_path / "t.parquet", "s") == [
            f"{'x' * 3000}{n}" for n in range(1, ROWS + 1)
        ]

    def test_those_that_are_known_beforehand_are_copied_once(
        self, database: Database, tmp_path: Path, started: list[CopyJob]
    ) -> None:
        database.execute(
            "CREATE TABLE t (n int, s text); ALTER TABLE t ALTER s SET STORAGE EXTERNAL; "
            f"INSERT INTO t {LONG}"
        )
        [result] = export(database, PUBLIC, tmp_path).results
        assert result.error is None
        assert [job.plan.layout.row_group_rows for job in started] == [8_192]
        assert row_groups(tmp_path / "t.parquet") == [8_192, ROWS - 8_192]

    def test_a_single_one_among_many_short_ones_does_not_shrink_row_groups_much(
        self, database: Database, tmp_path: Path
    ) -> None:
        database.execute("""
            CREATE TABLE t AS SELECT n, CASE n WHEN 777 THEN repeat('x', 2000) ELSE 'abc' END AS s
            FROM generate_series(1, 100000) AS n""")
        [result] = export(database, PUBLIC, tmp_path).results
        assert result.row_count == 100_000
        assert row_groups(tmp_path / "t.parquet") == [100_000]
        assert max(map(len, column_values(tmp_path / "t.parquet", "s"))) == 2000

    @pytest.mark.parametrize("encoding", ["LATIN1", "UTF8"])
    def test_the_length_is_that_in_the_file(
        self, make_database: Any, tmp_path: Path, encoding: str, started: list[CopyJob]
    ) -> None:
        """200 characters that take 400 bytes: too many for row groups by the types."""
        database = make_database(encoding=encoding)
        database.execute("CREATE TABLE t (s text)")
        database.execute("INSERT INTO t VALUES (repeat(%s, 200))", ["é"])
        [result] = export(database, PUBLIC, tmp_path).results
        assert result.error is None
        assert len(started) == 2
        assert column_values(tmp_path / "t.parquet", "s") == ["é" * 200]


# 40 rows of a megabyte; the rest of the query is for the byte reader alone to meet.
BY_BYTES = "current_query() LIKE 'COPY (SELECT c1%'"
HUGE = "SELECT n, repeat(chr(65 + n % 20), 1000000) AS s {more} FROM generate_series(1, 40) AS n"


@pytest.fixture
def huge(database: Database) -> Database:
    """The table `b`, read by its bytes, between two small ones."""
    database.execute(
        "CREATE TABLE a AS SELECT 1 AS n; CREATE TABLE c AS SELECT 3 AS n; "
        f"CREATE TABLE b AS {HUGE.format(more='')}"
    )
    return database


def view_instead(database: Database, more: str) -> None:
    """Make `b` a view that does more than a table could."""
    database.execute(f"DROP TABLE b; CREATE VIEW b AS {HUGE.format(more=f', {more} AS m')}")


def exported_around(huge: Database, output_dir: Path, **settings: Any) -> ExportResult:
    """The result of `b`; the sources before and after it must be exported."""
    results = by_code(export(huge, PUBLIC, output_dir, **settings))
    assert [results[code].error for code in ("a", "c")] == [None, None]
    return results["b"]


class TestHugeValues:
    def test_they_are_read_by_their_bytes_and_come_out_right(
        self, huge: Database, tmp_path: Path, started: list[CopyJob]
    ) -> None:
        result = exported_around(huge, tmp_path)
        assert result.error is None
        readers = {job.plan.code: job.plan.layout.reader for job in started}
        assert readers == {"a": Reader.VECTORS, "b": Reader.BYTES, "c": Reader.VECTORS}
        assert column_values(tmp_path / "b.parquet", "n") == [*range(1, 41)]
        want = [chr(65 + n % 20) * 1_000_000 for n in range(1, 41)]
        assert column_values(tmp_path / "b.parquet", "s") == want
        assert 1 < len(row_groups(tmp_path / "b.parquet")) < 10

    def test_a_view_of_them_as_well(
        self, huge: Database, tmp_path: Path, started: list[CopyJob]
    ) -> None:
        view_instead(huge, "pg_sleep(0)::text")
        assert exported_around(huge, tmp_path).row_count == 40
        of_view = [job.plan.layout.reader for job in started if job.plan.code == "b"]
        assert of_view == [Reader.VECTORS, Reader.BYTES]

    @pytest.mark.parametrize(
        ("more", "settings", "want"),
        [
            pytest.param(
                f"1 / CASE WHEN n = 33 AND {BY_BYTES} THEN 0 ELSE 1 END", {},
                "PostgreSQL: division by zero", id="an error of the server",
            ),
            pytest.param(
                f"CASE WHEN {BY_BYTES} THEN pg_sleep(0.5) END::text",
                {"statement_timeout_seconds": 2.5},
                "PostgreSQL: canceling statement due to statement timeout", id="too much time",
            ),
            pytest.param(
                f"CASE WHEN n = 33 AND {BY_BYTES} THEN pg_terminate_backend(pg_backend_pid()) END",
                {}, "the session that holds the snapshot was lost: ", id="a session that was ended",
            ),
            pytest.param(
                f"CASE WHEN n = 33 AND {BY_BYTES} THEN 'NaN' ELSE '1' END::numeric", {},
                "the data change while they are read", id="data that change",
            ),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("order", ["all", "none"])
    def test_what_goes_wrong_meanwhile_fails_the_source_in_the_server_s_words(
        self,
        huge: Database,
        tmp_path: Path,
        more: str,
        settings: dict[str, Any],
        want: str,
        order: str,
    ) -> None:
        view_instead(huge, more)
        result = exported_around(huge, tmp_path, order=order, retries=0, **settings)
        assert (result.error or "").startswith(want)
        assert "\n" not in (result.error or "")
        assert published_files(tmp_path) == {"a.parquet", "a.md", "c.parquet", "c.md"}

    @pytest.mark.parametrize(
        "changed", [pytest.param("b", id="of their own"), pytest.param("c", id="of the next one")]
    )
    def test_a_change_of_a_table_that_queues_meanwhile_waits_until_the_run_is_over(
        self, huge: Database, tmp_path: Path, changed: str
    ) -> None:
        with ThreadPoolExecutor(max_workers=1) as pool:
            changes: list[Future[Any]] = []

            def queue() -> None:
                changes.append(pool.submit(huge.execute, f"ALTER TABLE {changed} ADD z int"))
                while not huge.execute(WAITING)[0][0]:
                    assert not changes[0].done()

            recorder = Recorder(when(EventType.STAGE_STARTED, "b", queue))
            report = export(huge, PUBLIC, tmp_path, recorder, lock_timeout_seconds=2)
            changes[0].result()
        errors = {result.canonical_code: result.error for result in report.results}
        assert errors == {"a": None, "b": None, "c": None}
        assert "z" not in pq.read_schema(tmp_path / f"{changed}.parquet").names

    def test_a_special_value_among_them_is_counted_and_they_are_read_again(
        self, huge: Database, tmp_path: Path
    ) -> None:
        huge.execute("ALTER TABLE b ADD f float8 DEFAULT 0, ADD d date DEFAULT '2024-01-01'")
        huge.execute("UPDATE b SET f = '-0', d = 'infinity' WHERE n = 33")
        assert exported_around(huge, tmp_path).error is None
        table = pq.read_table(tmp_path / "b.parquet").slice(32, 1)
        assert (str(table["f"][0]), table["d"][0].as_py()) == ("-0.0", None)


WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


# A query that takes a second in all.
SLOW = "SELECT n, pg_sleep(0.1)::text AS nap FROM generate_series(1, 10) AS n"
TIMEOUT = "canceling statement due to statement timeout"


class TestStatementTimeout:
    @pytest.mark.parametrize(
        ("view", "settings"),
        [
            pytest.param(SLOW, {}, id="while rows are read"),
            pytest.param(SLOW, {"sort_in": "postgres"}, id="while the server sorts"),
            pytest.param(SLOW.replace("SELECT n", "SELECT n::numeric"), {}, id="while measured"),
        ],
    )
    def test_a_statement_that_takes_longer_fails_its_source_and_no_other(
        self, database: Database, tmp_path: Path, view: str, settings: dict[str, Any]
    ) -> None:
        database.execute(
            f"CREATE TABLE a AS SELECT 1 AS n; CREATE VIEW b AS {view}; "
            "CREATE TABLE c AS SELECT 3 AS n; CREATE VIEW d AS SELECT 4 AS n"
        )
        results = by_code(
            export(database, PUBLIC, tmp_path, statement_timeout_seconds=0.3, **settings)
        )
        assert TIMEOUT in (results["b"].error or "")
        assert [results[code].error for code in ("a", "c", "d")] == [None, None, None]
        assert "b.parquet" not in published_files(tmp_path)

    def test_every_session_has_it(self, database: Database, tmp_path: Path) -> None:
        database.execute("CREATE VIEW v AS SELECT current_setting('statement_timeout') AS t")
        export(database, PUBLIC, tmp_path, statement_timeout_seconds=90.5)
        assert column_values(tmp_path / "v.parquet", "t") == ["90500ms"]

    def test_there_is_none_by_default_though_the_role_has_one(
        self, database: Database, tmp_path: Path, make_role: RoleMaker
    ) -> None:
        role = make_role()
        database.execute(
            f"CREATE VIEW b AS {SLOW}; GRANT SELECT ON b TO {role.name}; "
            f"ALTER ROLE {role.name} SET statement_timeout = '300ms'"
        )
        [result] = export(database.dsn_as(role), PUBLIC, tmp_path).results
        assert result.error is None
        assert result.row_count == 10

    def test_waiting_between_statements_is_no_statement(
        self, database: Database, tmp_path: Path
    ) -> None:
        database.execute("CREATE TABLE a AS SELECT 1 AS n; CREATE TABLE b AS SELECT 1 AS n")

        def wait(event: Any) -> None:
            if event.event_type is EventType.STAGE_COMPLETED and event.stage == "export":
                database.execute("SELECT pg_sleep(0.6)")

        report = export(database, PUBLIC, tmp_path, Recorder(wait), statement_timeout_seconds=0.3)
        assert [result.error for result in report.results] == [None, None]


COUNT = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name LIKE 'duckwarp %' AND datname = current_database()"""


@contextmanager
def counting(database: Database) -> Iterator[Callable[[], int]]:
    """Counts the sessions of runs all the time; gives the most that there were at once."""
    most = 0
    stop = threading.Event()

    def count() -> None:
        nonlocal most
        with database.connect() as connection:
            while not stop.is_set():
                row = connection.execute(COUNT).fetchone()
                assert row is not None
                most = max(most, row[0])

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield lambda: most
    finally:
        stop.set()
        thread.join()


class TestConnections:
    @pytest.fixture(autouse=True)
    def _ranges_for_small_tables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(layout, "RANGE_MIN_BYTES", 100_000)

    @pytest.fixture
    def mixed(self, huge: Database) -> Database:
        """Small tables, a view, one with huge values, and one that is worth many ranges."""
        for number in range(6):
            huge.execute(f"CREATE TABLE s{number} AS SELECT n FROM generate_series(1, 9) AS n")
        huge.execute(
            "CREATE VIEW v AS SELECT * FROM a; CREATE TABLE large AS "
            "SELECT n, md5(n::text) AS s FROM generate_series(1, 300000) AS n; ANALYZE large"
        )
        return huge

    @pytest.mark.parametrize(
        ("settings", "most"),
        [
            pytest.param({"max_connections": 2}, 2, id="two"),
            pytest.param({"max_connections": 2, "threads": 4, "jobs": 4}, 2, id="two of threads"),
            pytest.param({"max_connections": 3, "threads": 4, "jobs": 4}, 3, id="three"),
            pytest.param({"max_connections": 5, "threads": 4, "jobs": 4}, 5, id="five"),
            pytest.param({"threads": 9, "jobs": 9}, 5, id="five by default"),
            pytest.param(
                {"max_connections": 9, "threads": 1, "jobs": 1}, 3, id="one thread, alone"
            ),
        ],
    )
    def test_a_run_has_never_more_of_them_than_it_may(
        self, mixed: Database, tmp_path: Path, settings: dict[str, int], most: int
    ) -> None:
        with counting(mixed) as most_seen:
            report = export(mixed, PUBLIC, tmp_path, **settings)
        assert [result.error for result in report.results] == [None] * 11
        assert by_code(report)["large"].row_count == 300_000
        assert 2 <= most_seen() <= most

    @pytest.mark.parametrize("limit", [2, 3, 4])
    @pytest.mark.parametrize("settings", [{}, {"threads": 4, "jobs": 4}], ids=["defaults", "many"])
    def test_a_role_that_may_have_few_is_content_with_them(
        self,
        mixed: Database,
        tmp_path: Path,
        make_role: RoleMaker,
        limit: int,
        settings: dict[str, int],
    ) -> None:
        role = make_role(f"CONNECTION LIMIT {limit}")
        mixed.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role.name}")
        report = export(mixed.dsn_as(role), PUBLIC, tmp_path, **settings)
        errors = {result.canonical_code: result.error for result in report.results}
        assert errors == dict.fromkeys(errors)
        assert len(errors) == 11

    @pytest.mark.parametrize("connections", [2, 4])
    def test_a_large_table_alone_has_those_that_it_may(
        self, database: Database, tmp_path: Path, connections: int
    ) -> None:
        database.execute(
            "CREATE TABLE t AS SELECT n, md5(n::text) AS s FROM generate_series(1, 300000) AS n"
        )
        with counting(database) as most_seen:
            export(database, PUBLIC, tmp_path, **reading_over(connections))
        assert most_seen() == connections + 1

    def test_a_table_with_huge_values_alone_needs_two(self, huge: Database, tmp_path: Path) -> None:
        with counting(huge) as most_seen:
            selection = Selection(tables=("public.b",))
            [result] = export(huge, selection, tmp_path, max_connections=2).results
        assert result.error is None
        assert most_seen() == 2
