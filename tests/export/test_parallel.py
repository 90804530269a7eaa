"""Small sources side by side: each as if it were alone, in one snapshot, and ended all together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from duckwarp.engine import memory
from duckwarp.export import run as exporter
from duckwarp.export.preview import plan_export
from duckwarp.model.events import Event, EventType
from duckwarp.model.results import SourceState
from duckwarp.model.settings import MIN_MEMORY_BYTES, Settings
from duckwarp.model.source import Selection
from tests.conftest import RoleMaker
from tests.runs import Recorder, by_code, column_values, export, published_files
from tests.support import Database

PUBLIC = Selection(schema="public")
SOURCES = 12
PATIENCE_SECONDS = 60.0
# Four lanes, whatever the machine.
LANES = {"jobs": 4, "threads": 4, "max_connections": 6}


@pytest.fixture(autouse=True)
def _budget_of_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of this one, which has mapped more libraries than a run needs."""
    monkeypatch.setattr(memory, "MAX_MAPPED_BYTES", 0)


@pytest.fixture
def many(database: Database) -> Database:
    """Twelve small tables t00, t01, …, each with rows of its own."""
    for number in range(SOURCES):
        database.execute(
            f"CREATE TABLE t{number:02} AS SELECT {number} AS source, n, n::float8 AS f, "
            f"'x' || n AS s FROM generate_series(1, {100 + number}) AS n"
        )
    return database


CODES = [f"t{number:02}" for number in range(SOURCES)]


class Meeting:
    """Lets the work on sources begin only when so many have begun, and counts those under way."""

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties)
        self._lock = threading.Lock()
        self._met = 0
        self._under_way = 0
        self.most = 0

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, with the meeting before it."""

        def met(*arguments: Any) -> Any:
            with self._lock:
                self._met += 1
                self._under_way += 1
                self.most = max(self.most, self._under_way)
                waits = self._met <= self._barrier.parties
            if waits:
                self._barrier.wait(PATIENCE_SECONDS)
            try:
                return work(*arguments)
            finally:
                with self._lock:
                    self._under_way -= 1

        return met


class TestSideBySide:
    @pytest.mark.parametrize(
        ("settings", "lanes"),
        [
            pytest.param({"jobs": 1, "threads": 4}, 1, id="one by one"),
            pytest.param({"jobs": 2, "threads": 4}, 2, id="two jobs"),
            pytest.param({"jobs": None, "threads": 3}, 3, id="one for each thread"),
            pytest.param(LANES, 4, id="four jobs"),
            pytest.param({"jobs": 9, "max_connections": 5}, 3, id="as many as may connect"),
            pytest.param({"jobs": 9, "max_connections": 2}, 1, id="two connections: one reads"),
            pytest.param(
                {"jobs": 99, "max_connections": 99, "memory_bytes": 4 * 10**9},
                SOURCES,
                id="no more than sources",
            ),
            pytest.param(
                {"jobs": 99, "max_connections": 99, "memory_bytes": 512_000_000},
                3,
                id="as many as the memory allows",
            ),
            pytest.param({"jobs": 4, "memory_bytes": MIN_MEMORY_BYTES}, 1, id="one at the minimum"),
        ],
    )
    def test_as_many_are_exported_at_once_as_there_may_be(
        self,
        many: Database,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        settings: dict[str, int | None],
        lanes: int,
    ) -> None:
        meeting = Meeting(lanes)
        monkeypatch.setattr(exporter, "prepared", meeting.around(exporter.prepared))
        report = export(many, PUBLIC, tmp_path, **settings)
        assert meeting.most == lanes
        assert [result.canonical_code for result in report.results] == CODES
        assert [result.error for result in report.results] == [None] * SOURCES
        assert [result.row_count for result in report.results] == [*range(100, 100 + SOURCES)]

    def test_each_file_has_the_rows_of_its_table_to_the_byte(
        self, many: Database, tmp_path: Path
    ) -> None:
        export(many, PUBLIC, tmp_path / "lanes", **LANES)
        export(many, PUBLIC, tmp_path / "alone", jobs=1)
        for number, code in enumerate(CODES):
            paths = [tmp_path / folder / f"{code}.parquet" for folder in ("lanes", "alone")]
            assert paths[0].read_bytes() == paths[1].read_bytes()
            assert set(column_values(paths[0], "source")) == {number}
            assert column_values(paths[0], "n") == [*range(1, 101 + number)]
        assert published_files(tmp_path / "lanes") == published_files(tmp_path / "alone")

    def test_all_of_them_are_of_one_snapshot(self, many: Database, tmp_path: Path) -> None:
        loaded: list[bool] = []
        lock = threading.Lock()

        def load(event: Event) -> None:
            if event.event_type is EventType.STAGE_COMPLETED and event.stage == "export":
                with lock:
                    if not loaded:
                        for code in CODES:
                            many.execute(f"INSERT INTO {code} VALUES (0, 0, 0, ''), (0, 1, 0, '')")
                        loaded.append(True)

        report = export(many, PUBLIC, tmp_path, Recorder(load), **LANES)
        assert loaded == [True]
        assert [result.row_count for result in report.results] == [*range(100, 100 + SOURCES)]

    def test_each_source_tells_its_steps_once_and_the_batch_counts_up(
        self, many: Database, tmp_path: Path
    ) -> None:
        recorder = Recorder()
        export(many, PUBLIC, tmp_path, recorder, **LANES)
        for code in CODES:
            told = [
                (event.event_type, event.stage)
                for event in recorder.events
                if event.context.get("source") == code and not event.is_tick
            ]
            assert told == [
                (EventType.STAGE_STARTED, "export"),
                (EventType.STAGE_STARTED, "read"),
                (EventType.STAGE_STARTED, "write"),
                (EventType.STAGE_COMPLETED, "read"),
                (EventType.STAGE_COMPLETED, "write"),
                (EventType.STAGE_COMPLETED, "export"),
                (EventType.STAGE_COMPLETED, "publish"),
            ]
        advanced = recorder.of(EventType.PROGRESS, "export_batch")
        assert [event.context["done"] for event in advanced] == [*range(1, SOURCES + 1)]


class TestAsIfAlone:
    def test_row_groups_are_cut_as_they_are_alone(self, database: Database, tmp_path: Path) -> None:
        """Also where a table has a few rows more than one of them, which is copied twice."""
        columns = ", ".join(f"'v' || n % {i + 3} AS t{i}" for i in range(40))
        database.execute(f"CREATE TABLE t AS SELECT n, {columns} FROM generate_series(1, 9) AS n")
        [planned] = plan_export(PUBLIC, Settings(dsn=database.dsn))
        assert planned.plan is not None
        full = planned.plan.layout.row_group_rows
        database.execute("DROP TABLE t")
        for number, rows in enumerate([full + 5, full - 5] * 8):
            database.execute(
                f"CREATE TABLE t{number:02} AS "
                f"SELECT n, {columns} FROM generate_series(1, {rows}) AS n"
            )
        report = export(database, PUBLIC, tmp_path, jobs=8, threads=4, max_connections=9)
        assert [result.error for result in report.results] == [None] * 16
        found = []
        for result in report.results:
            metadata = pq.read_metadata(result.parquet_path)
            found.append([metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)])
        assert found == [[full, 5], [full - 5]] * 8

    def test_what_is_special_in_one_is_learned_for_that_one(
        self, many: Database, tmp_path: Path
    ) -> None:
        many.execute("UPDATE t03 SET f = '-0' WHERE n = 7")
        many.execute("ALTER TABLE t05 ADD d date; UPDATE t05 SET d = 'infinity'")
        many.execute("ALTER TABLE t07 ADD m numeric; UPDATE t07 SET m = n / 8.0")
        many.execute("UPDATE t09 SET s = repeat('long', 500)")
        report = export(many, PUBLIC, tmp_path, **LANES)
        assert [result.error for result in report.results] == [None] * SOURCES
        assert str(column_values(tmp_path / "t03.parquet", "f")[6]) == "-0.0"
        losses = {o.code: [loss.column for loss in o.losses] for o in report.outcomes if o.losses}
        assert losses == {"t05": ["d"]}
        assert column_values(tmp_path / "t09.parquet", "s") == ["long" * 500] * 109

    def test_one_that_fails_fails_no_other(self, many: Database, tmp_path: Path) -> None:
        many.execute("ALTER TABLE t04 ADD d date DEFAULT 'infinity'; CREATE TABLE bare ()")
        report = export(many, PUBLIC, tmp_path, special_values="error", **LANES)
        failed = [outcome.code for outcome in report.of_state(SourceState.FAILED)]
        assert failed == ["bare", "t04"]
        exported = {f"{c}.{suffix}" for c in CODES if c != "t04" for suffix in ("parquet", "md")}
        assert published_files(tmp_path) == exported

    def test_large_ones_and_those_of_unknown_size_are_exported_after_them(
        self, many: Database, tmp_path: Path
    ) -> None:
        many.execute("""
            CREATE TABLE large AS SELECT n, md5(n::text) AS s FROM generate_series(1, 200000) AS n;
            CREATE VIEW aview AS SELECT * FROM t00;
            CREATE TABLE parted (n int) PARTITION BY RANGE (n);
            CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
            INSERT INTO parted VALUES (1)""")
        recorder = Recorder()
        report = export(many, PUBLIC, tmp_path, recorder, **LANES)
        assert [result.error for result in report.results] == [None] * len(report.results)
        ended = [e.context["source"] for e in recorder.of(EventType.STAGE_COMPLETED, "export")]
        assert set(ended[-3:]) == {"large", "aview", "parted"}
        codes = [outcome.code for outcome in report.outcomes]
        assert codes == sorted(codes)

    def test_one_that_is_only_small_on_the_server_s_disk_is_exported_alone(
        self, many: Database, tmp_path: Path
    ) -> None:
        """40 MB of text that are compressed to half of one."""
        many.execute(
            "CREATE TABLE a AS SELECT n, repeat('x', 1000000) AS s FROM generate_series(1, 40) n"
        )
        recorder = Recorder()
        report = export(many, PUBLIC, tmp_path, recorder, **LANES)
        assert [result.error for result in report.results] == [None] * (SOURCES + 1)
        assert column_values(tmp_path / "a.parquet", "n") == [*range(1, 41)]
        ended = [e.context["source"] for e in recorder.of(EventType.STAGE_COMPLETED, "export")]
        assert ended[-1] == "a"
        assert sorted(ended) == ["a", *CODES]
        started = [e.context["source"] for e in recorder.of(EventType.STAGE_STARTED, "export")]
        assert started.count("a") == 1

    def test_a_server_that_ends_their_sessions_does_not_end_the_run(
        self, many: Database, tmp_path: Path
    ) -> None:
        """The readers' sessions, not the one that holds the snapshot."""
        ended: list[bool] = []
        lock = threading.Lock()

        def end(event: Event) -> None:
            if event.event_type is EventType.STAGE_COMPLETED and event.stage == "export":
                with lock:
                    if not ended:
                        many.execute(END_READERS)
                        ended.append(True)

        results = by_code(export(many, PUBLIC, tmp_path, Recorder(end), **LANES))
        assert ended == [True]
        assert set(results) == set(CODES)
        failed = [result for result in results.values() if not result.success]
        assert len(failed) <= 4
        assert all("connection" in (result.error or "") for result in failed)
        good = {code for code, result in results.items() if result.success}
        assert published_files(tmp_path) == {f"{c}.{s}" for c in good for s in ("parquet", "md")}


# The snapshot's own session is the eldest.
END_READERS = """
    WITH sessions AS (
        SELECT pid, backend_start, min(backend_start) OVER () AS first FROM pg_stat_activity
        WHERE application_name LIKE 'duckwarp %' AND datname = current_database()
    )
    SELECT pg_terminate_backend(pid, 5000) FROM sessions WHERE backend_start > first"""
READING = """
    SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'duckwarp %'
    AND datname = current_database() AND wait_event = 'PgSleep'"""


@pytest.mark.parametrize(
    ("signal_number", "exit_code"),
    [
        pytest.param(signal.SIGINT, 130, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, 143, id="SIGTERM"),
    ],
)
def test_an_interrupt_ends_all_lanes_and_leaves_nothing(
    many: Database,
    tmp_path: Path,
    make_role: RoleMaker,
    signal_number: signal.Signals,
    exit_code: int,
) -> None:
    """Policies make the reading of small tables slow."""
    role = make_role()
    for code in CODES:
        many.execute(
            f"CREATE POLICY p ON {code} USING (pg_sleep(1) IS NOT NULL); GRANT SELECT ON {code} "
            f"TO {role.name}; ALTER TABLE {code} ENABLE ROW LEVEL SECURITY"
        )
    command = [sys.executable, "-m", "duckwarp", "export", "--schema", "public", "--jobs", "4"]
    command += [
        "--max-connections",
        "6",
        "--threads",
        "4",
        "--enable-row-security",
        "--output",
        str(tmp_path),
    ]
    with subprocess.Popen(
        [*command, "--dsn", many.dsn_as(role)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    ) as process:
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while many.execute(READING)[0][0] < 4:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            process.send_signal(signal_number)
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
    assert process.returncode == exit_code, errors
    assert "Traceback" not in errors
    assert many.execute(READING) == [(0,)]
    assert published_files(tmp_path) == set()


def test_a_lane_is_no_lane_for_a_single_source(many: Database, tmp_path: Path) -> None:
    one = Selection(tables=("public.t00",))
    recorder = Recorder()
    [result] = export(many, one, tmp_path, recorder, **LANES).results
    assert result.row_count == 100
    assert pq.read_table(tmp_path / "t00.parquet").num_rows == 100
