"""A server or a network that falls silent: whatever waits for it comes to an end on this side."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest

from duckwarp.doctor import diagnose
from duckwarp.export.preview import describe_source, list_sources, plan_export
from duckwarp.model.errors import DuckwarpError, RunError, SnapshotTooOld
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from duckwarp.postgres import watching
from duckwarp.postgres.connection import connect
from duckwarp.postgres.watching import Sight, Watch
from duckwarp.store.staging import STAGING_FOLDER
from duckwarp.verify.published import verify_published
from tests.export.test_retry import at_ticks
from tests.proxies import Proxy, falling_silent
from tests.runs import Recorder, by_code, column_values, export, published_files
from tests.support import Database
from tests.test_interrupt import running_export, sessions, wait_until

T = TypeVar("T")

PATIENCE_SECONDS = 120.0
EVERYTHING = Selection(schema="public")
FILES = {"a.parquet", "a.md", "b.parquet", "b.md"}
# Short waits, but for locks.
HASTY: dict[str, Any] = {"idle_timeout_seconds": 1.0, "retries": 0}
SAID = "--idle-timeout 1 allows no more|timeout expired|no session of the server within"
# In the order in which a run says them. The rows of `a` take several megabytes.
COPY = b"COPY ("
PHASES = [
    pytest.param({"pattern": None}, id="connecting"),
    pytest.param({"pattern": b"pg_backend_pid"}, id="the first question"),
    pytest.param({"pattern": b"SET statement_timeout"}, id="settings"),
    pytest.param({"pattern": b"BEGIN ISOLATION"}, id="the beginning of the transaction"),
    pytest.param({"pattern": b"LOCK TABLE"}, id="locks"),
    pytest.param({"pattern": b"pg_export_snapshot"}, id="the snapshot"),
    pytest.param({"pattern": b"SET TRANSACTION SNAPSHOT"}, id="a further session"),
    pytest.param({"pattern": b"SAVEPOINT duckwarp_question"}, id="measuring"),
    pytest.param({"pattern": COPY}, id="the beginning of a copy"),
    pytest.param({"pattern": COPY, "after_bytes": 100_000}, id="rows"),
    pytest.param(
        {"pattern": COPY, "after_bytes": 100_000, "others_go_on": True}, id="rows of one session"
    ),
]


def ended(work: Callable[[], T]) -> T:
    """What `work` gives or raises; it must end."""
    got: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            got.append(work())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive(), "it waits for ever"
    if raised:
        raise raised[0]
    return got[0]


def reasons(work: Callable[[], Any]) -> str:
    """Why a run failed, as a whole or with all its sources."""
    try:
        report = ended(work)
    except DuckwarpError as error:
        return str(error)
    results = by_code(report)
    assert not any(result.success for result in results.values())
    return "; ".join(result.error or "" for result in results.values())


@pytest.fixture
def published(database: Database, tmp_path: Path) -> Database:
    """A database whose sources `a` and `b` were exported, and have other rows since."""
    database.execute("CREATE TABLE a AS SELECT 1 AS n; CREATE TABLE b AS SELECT 1::numeric AS n")
    export(database, EVERYTHING, tmp_path)
    database.execute(
        "DROP TABLE a; DROP TABLE b; CREATE TABLE b AS SELECT 2::numeric AS n; "
        "CREATE TABLE a AS SELECT n, md5(n::text) AS s FROM generate_series(1, 200000) AS n"
    )
    return database


def nothing_is_left(output_dir: Path) -> bool:
    """Whether the previous files are all that is in the folder."""
    assert column_values(output_dir / "a.parquet", "n") == [1]
    return published_files(output_dir) == FILES and not (output_dir / STAGING_FOLDER).exists()


class TestARun:
    @pytest.mark.parametrize("silence", PHASES)
    def test_ends_wherever_the_server_falls_silent(
        self, published: Database, tmp_path: Path, silence: dict[str, Any]
    ) -> None:
        with falling_silent(published, **silence) as proxy:
            why = reasons(lambda: export(proxy.dsn, EVERYTHING, tmp_path, **HASTY))
            assert proxy.silent.is_set(), why
        [said] = {word for word in SAID.split("|") if word in why} or {why}
        assert said in SAID
        assert nothing_is_left(tmp_path)

    @pytest.mark.parametrize(
        ("rows", "settings"),
        [
            pytest.param("md5(n::text)", {"sort_in": "postgres"}, id="the server sorts"),
            pytest.param("repeat(md5(n::text), 300)", {}, id="long values"),
            pytest.param("md5(n::text)", {"verify": True, "jobs": 1}, id="with verification"),
        ],
    )
    def test_ends_in_whatever_way_it_reads(
        self, published: Database, tmp_path: Path, rows: str, settings: dict[str, Any]
    ) -> None:
        published.execute(
            f"DROP TABLE a; CREATE TABLE a AS SELECT {rows} AS s, n FROM "
            "generate_series(1, 6000) AS n"
        )
        pattern = b"sha256(" if "verify" in settings else COPY
        with falling_silent(published, pattern) as proxy:
            why = reasons(lambda: export(proxy.dsn, EVERYTHING, tmp_path, **HASTY, **settings))
            assert proxy.silent.is_set(), why
        assert "--idle-timeout 1 allows no more" in why
        assert nothing_is_left(tmp_path)

    def test_tries_again_and_ends(self, published: Database, tmp_path: Path) -> None:
        with falling_silent(published, COPY) as proxy:
            limits = HASTY | {"retries": 1}
            why = reasons(lambda: export(proxy.dsn, EVERYTHING, tmp_path, **limits))
        assert "timeout expired" in why
        assert nothing_is_left(tmp_path)

    @pytest.mark.parametrize(
        "pattern",
        [pytest.param(COPY, id="while rows are read"), pytest.param(b"LOCK TABLE", id="locks")],
    )
    def test_ends_when_its_snapshot_is_too_old_on_this_clock(
        self, published: Database, tmp_path: Path, pattern: bytes
    ) -> None:
        limits = {"idle_timeout_seconds": 0, "max_snapshot_age_seconds": 1.0}
        with falling_silent(published, pattern) as proxy:
            why = reasons(lambda: export(proxy.dsn, EVERYTHING, tmp_path, **limits))
        assert why in {
            str(SnapshotTooOld(1.0)),
            f"{SnapshotTooOld(1.0)}; {SnapshotTooOld(1.0)}",
        }
        assert nothing_is_left(tmp_path)

    def test_waits_for_a_server_that_is_at_work(self, database: Database, tmp_path: Path) -> None:
        """It says so, and no row comes for longer than a silent server is waited for."""
        database.execute("CREATE VIEW a AS SELECT 1 AS n FROM pg_sleep(4)")
        results = by_code(export(database, EVERYTHING, tmp_path, idle_timeout_seconds=1.0))
        assert results["a"].success


class TestOtherCommands:
    @pytest.mark.parametrize(
        ("work", "pattern"),
        [
            pytest.param(
                lambda settings: list_sources(EVERYTHING, settings), b"SET ", id="sources"
            ),
            pytest.param(
                lambda settings: describe_source(EVERYTHING, settings), b"SET ", id="describe"
            ),
            pytest.param(
                lambda settings: plan_export(EVERYTHING, settings), b"LOCK TABLE", id="plan"
            ),
            pytest.param(
                lambda settings: verify_published(EVERYTHING, settings), b"LOCK TABLE", id="verify"
            ),
        ],
    )
    def test_end(
        self,
        published: Database,
        tmp_path: Path,
        work: Callable[[Settings], object],
        pattern: bytes,
    ) -> None:
        with falling_silent(published, pattern) as proxy:
            settings = Settings(dsn=proxy.dsn, output_dir=tmp_path, idle_timeout_seconds=1.0)
            with pytest.raises(RunError, match="--idle-timeout 1 allows no more"):
                ended(lambda: work(settings))

    def test_a_verification_ends_while_values_are_compared(
        self, published: Database, tmp_path: Path
    ) -> None:
        with falling_silent(published, b"sha256(") as proxy:
            settings = Settings(dsn=proxy.dsn, output_dir=tmp_path, idle_timeout_seconds=1.0)
            report = ended(lambda: verify_published(EVERYTHING, settings))
            assert proxy.silent.is_set()
        assert not report.is_well
        told = [" ".join(verdict.reasons) for verdict in report.verdicts]
        assert any("--idle-timeout 1 allows no more" in each for each in told)

    @pytest.mark.parametrize(
        "pattern",
        [pytest.param(None, id="at once"), pytest.param(b"pg_roles", id="at a question")],
    )
    def test_a_diagnosis_ends(
        self, published: Database, tmp_path: Path, pattern: bytes | None
    ) -> None:
        with falling_silent(published, pattern) as proxy:
            settings = Settings(dsn=proxy.dsn, output_dir=tmp_path, idle_timeout_seconds=1.0)
            assert not ended(lambda: diagnose(EVERYTHING, settings)).is_healthy


class TestSignals:
    """Cleaning up takes a few seconds, however long the server may be silent."""

    @pytest.mark.parametrize(
        ("silence", "number", "code"),
        [
            pytest.param({"pattern": None}, signal.SIGTERM, 143, id="while it connects"),
            pytest.param({"pattern": b"LOCK TABLE"}, signal.SIGINT, 130, id="for locks"),
            pytest.param({"pattern": b"LOCK TABLE"}, signal.SIGTERM, 143, id="for locks, SIGTERM"),
            pytest.param({"pattern": COPY}, signal.SIGINT, 130, id="for rows"),
            pytest.param(
                {"pattern": COPY, "after_bytes": 100_000}, signal.SIGTERM, 143, id="for more rows"
            ),
            pytest.param(
                {"pattern": COPY, "after_bytes": 100_000}, signal.SIGHUP, 129, id="on a terminal"
            ),
        ],
    )
    def test_end_a_run_that_waits(
        self,
        published: Database,
        tmp_path: Path,
        silence: dict[str, Any],
        number: signal.Signals,
        code: int,
    ) -> None:
        with falling_silent(published, **silence) as proxy:
            events = tmp_path.parent / f"{tmp_path.name}.jsonl"
            options = ["--idle-timeout", "0", "--events", str(events)]
            with running_export(lasting(proxy.dsn), tmp_path, *options) as process:
                assert_falls_silent(proxy, events)
                process.send_signal(number)
                _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == code
        [line] = errors.splitlines()
        assert line.startswith("error: ")
        assert f'"exit_code":{code}' in events.read_text().replace(" ", "").splitlines()[-1]
        assert nothing_is_left(tmp_path)
        assert by_code(export(published, EVERYTHING, tmp_path))["a"].success


def lasting(dsn: str) -> str:
    """The DSN, with more patience for a connection than the test has."""
    return dsn.replace("connect_timeout=2", "connect_timeout=3600")


def assert_falls_silent(proxy: Proxy, events: Path) -> None:
    assert proxy.silent.wait(PATIENCE_SECONDS)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (events.exists() and events.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.05)


# It takes more than a second to read them.
SLOW = """
    DROP TABLE a; CREATE VIEW a AS
    SELECT n, pg_sleep(0.01)::text AS s FROM generate_series(1, {}) AS n"""


@pytest.fixture
def stop(published: Database) -> Iterator[Callable[[], None]]:
    """Stops the processes of the server that copy; they go on when the test has ended."""
    stopped: list[int] = []

    def stop() -> None:
        found = published.execute(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active' "
            "AND datname = current_database()"
        )
        assert found
        for (pid,) in found:
            os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)

    yield stop
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.embedded
class TestAStoppedProcessOfTheServer:
    """It goes on no more, while all others answer."""

    @pytest.mark.parametrize(
        ("retries", "is_exported"),
        [pytest.param(0, False, id="fails"), pytest.param(1, True, id="is replaced by another")],
    )
    def test_ends_no_run_for_ever(
        self,
        published: Database,
        tmp_path: Path,
        stop: Callable[[], None],
        retries: int,
        is_exported: bool,
    ) -> None:
        published.execute(SLOW.format(150))
        recorder = Recorder(at_ticks(stop))
        limits = {"idle_timeout_seconds": 0.5, "lock_timeout_seconds": 1, "retries": retries}
        report = ended(lambda: export(published, EVERYTHING, tmp_path, recorder, **limits))
        result = by_code(report)["a"]
        assert result.success is is_exported
        if is_exported:
            assert column_values(tmp_path / "a.parquet", "n") == [*range(1, 151)]
        else:
            assert "--idle-timeout 0.5 allows no more" in (result.error or "")
            assert nothing_is_left(tmp_path)

    def test_nor_after_a_signal(
        self, published: Database, tmp_path: Path, stop: Callable[[], None]
    ) -> None:
        published.execute(SLOW.format(1_000_000))
        with running_export(published, tmp_path, "--idle-timeout", "0") as process:
            wait_until(lambda: copying(published), process)
            stop()
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 143, errors
        [line] = errors.splitlines()
        assert line.startswith("error: ")
        assert nothing_is_left(tmp_path)


def copying(database: Database) -> bool:
    """Whether the server is sending rows."""
    return sessions(database, "state = 'active' AND query LIKE 'COPY%'") > 0


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.busy = 0.0

    def monotonic(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.busy


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watching, "time", clock)
    return clock


def waited(watch: Watch, clock: Clock, seconds: float) -> str | None:
    """Why the watch has shut the sockets after so many seconds in which it looks each second."""
    for _ in range(int(seconds)):
        clock.now += 1
        watch.check()
    return watch.reason


class TestTheWatch:
    """With ten seconds of silence allowed."""

    @pytest.mark.parametrize(
        ("sight", "lasts"),
        [
            pytest.param(None, 10, id="no answer over another connection"),
            pytest.param(Sight(state="sending"), 10, id="sent, and not taken"),
            pytest.param(Sight(state="idle"), 10, id="the answer was lost"),
            pytest.param(Sight(state="working"), 120 + 7, id="at work, without a sign"),
        ],
    )
    def test_a_wait_without_progress_has_an_end(
        self, clock: Clock, sight: Sight | None, lasts: int
    ) -> None:
        watch = Watch(10.0, lock_seconds=7.0)
        watch.look = lambda: sight
        watch.begin()
        assert waited(watch, clock, lasts - 1) is None
        assert "--idle-timeout 10 allows no more" in (waited(watch, clock, 1) or "")

    def test_signs_of_progress_prolong_it(self, clock: Clock) -> None:
        watch = Watch(10.0)
        watch.look = lambda: Sight(state="working", signs=str(clock.now))
        watch.begin()
        assert waited(watch, clock, 1000) is None

    def test_rows_prolong_it(self, clock: Clock) -> None:
        watch = Watch(10.0)
        watch.begin()
        for _ in range(100):
            assert waited(watch, clock, 9) is None
            watch.mark()

    def test_other_waits_do_not(self, clock: Clock) -> None:
        """A question that is answered says nothing about one that is not."""
        watch = Watch(10.0)
        watch.begin()
        for _ in range(9):
            watch.end(watch.begin())
            assert waited(watch, clock, 1) is None
        watch.end(watch.begin())
        assert waited(watch, clock, 1) is not None

    def test_where_nobody_waits_nothing_ends(self, clock: Clock) -> None:
        watch = Watch(10.0)
        watch.end(watch.begin())
        assert waited(watch, clock, 1000) is None

    @pytest.mark.parametrize(
        ("busy_share", "lasts"),
        [pytest.param(0.9, 1000, id="busy"), pytest.param(0.3, 119, id="waiting for a disk")],
    )
    def test_a_computation_of_this_side_s_is_not_the_server_s_silence(
        self, clock: Clock, busy_share: float, lasts: int
    ) -> None:
        watch = Watch(10.0)
        watch.look = lambda: Sight(state="idle")
        watch.begin(computes=True)
        for _ in range(lasts):
            clock.busy += busy_share
            assert waited(watch, clock, 1) is None

    def test_no_limit_is_none(self, clock: Clock) -> None:
        watch = Watch(0.0)
        watch.begin()
        assert waited(watch, clock, 100_000) is None


class TestTheSockets:
    def test_only_those_of_the_run_are_shut(self, database: Database) -> None:
        """Others lead elsewhere, or were there before."""
        with database.connect() as before, watching.open_watch(0.0) as watch:
            connection = connect(database.dsn, "duckwarp", watch)
            pair = socket.socketpair()
            watch._shut("silent")
            with pytest.raises(psycopg.OperationalError, match=r"^silent$"):
                connection.execute("SELECT 1")
            connection.close()
            assert before.execute("SELECT 1").fetchone() == (1,)
            pair[0].sendall(b"x")
            assert pair[1].recv(1) == b"x"
            for each in pair:
                each.close()
