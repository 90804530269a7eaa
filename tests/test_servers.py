"""Runs against servers that restart, that follow another one, and that speak another language."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from duckwarp.model.errors import ConnectionFailed
from duckwarp.model.events import Event, EventType
from duckwarp.model.source import Selection
from tests.runs import Recorder, by_code, column_values, export, published_files
from tests.servers import Server, needs_programs, own_server, standby_of
from tests.support import dsn_with

pytestmark = [pytest.mark.standby, needs_programs]

EVERYTHING = Selection(schema="public")
PATIENCE_SECONDS = 60.0
# Rows of `t` come slowly: it takes a second or more to read them.
SLOW = """
    DROP SCHEMA public CASCADE; CREATE SCHEMA public;
    CREATE TABLE t AS SELECT n FROM generate_series(1, 150) AS n;
    CREATE VIEW a AS SELECT 1 AS n;
    CREATE VIEW b AS SELECT n, pg_sleep(0.01)::text AS s FROM t;
    CREATE VIEW c AS SELECT 3 AS n"""
FILES = {f"{code}.{suffix}" for code in "abct" for suffix in ("parquet", "md")}


def at_first_tick(action: Any) -> Recorder:
    """A recorder that does `action` while the first copy is under way."""
    pending = [action]

    def react(event: Event) -> None:
        if event.is_tick and pending:
            pending.pop()()

    return Recorder(react)


def retries_in(recorder: Recorder) -> list[Event]:
    return recorder.of(EventType.WARNING, "retry")


class TestARestart:
    def test_a_server_that_restarts_meanwhile_is_waited_for(self, tmp_path: Path) -> None:
        with own_server() as server:
            server.database.execute(SLOW)
            export(server.database, EVERYTHING, tmp_path)
            server.database.execute("INSERT INTO t VALUES (151)")
            timer = threading.Timer(0.5, server.start)

            def stop() -> None:
                server.stop()
                timer.start()

            recorder = at_first_tick(stop)
            report = export(server.database, EVERYTHING, tmp_path, recorder, retries=8)
            timer.join()
            assert {result.error for result in by_code(report).values()} == {None}
            assert column_values(tmp_path / "b.parquet", "n") == [*range(1, 152)]
            assert published_files(tmp_path) == FILES
            # Lost once, and in vain for as long as the server was away.
            assert len(retries_in(recorder)) >= 2

    def test_one_that_stays_away_leaves_the_published_set(self, tmp_path: Path) -> None:
        with own_server() as server:
            server.database.execute(SLOW)
            export(server.database, EVERYTHING, tmp_path)
            before = {name: (tmp_path / name).read_bytes() for name in FILES}
            server.database.execute("INSERT INTO t VALUES (151)")
            recorder = at_first_tick(server.stop)
            report = export(server.database, EVERYTHING, tmp_path, recorder, retries=1)
            assert all(not result.success for result in by_code(report).values())
            assert {name: (tmp_path / name).read_bytes() for name in FILES} == before
            assert published_files(tmp_path) == FILES
            server.start()
            again = export(server.database, EVERYTHING, tmp_path)
            assert all(result.success for result in by_code(again).values())


@pytest.fixture(scope="module")
def primary() -> Iterator[Server]:
    with own_server() as server:
        server.database.execute(SLOW)
        yield server


def followed(primary: Server, standby: Server) -> None:
    """Wait until the standby has all that the primary has."""
    [(position,)] = primary.database.execute("SELECT pg_current_wal_lsn()::text")
    query = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
    until(lambda: standby.database.execute(query) == [(True,)])


def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds, and fail if that takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class TestAStandby:
    def test_what_a_standby_gives_under_writes_is_of_one_state(
        self, primary: Server, tmp_path: Path
    ) -> None:
        primary.database.execute(
            "CREATE TABLE debits AS SELECT n, 0 AS v FROM generate_series(1, 40000) AS n;"
            "CREATE TABLE credits AS SELECT n, 0 AS v FROM generate_series(1, 40000) AS n"
        )
        ended = threading.Event()

        def write() -> None:
            while not ended.is_set():
                primary.database.execute(
                    "WITH d AS (UPDATE debits SET v = v - 1 WHERE n % 20 = 0) "
                    "UPDATE credits SET v = v + 1 WHERE n % 20 = 0"
                )

        with standby_of(primary, max_standby_streaming_delay="-1") as standby:
            followed(primary, standby)
            writer = threading.Thread(target=write)
            writer.start()
            try:
                selection = Selection(tables=("public.credits", "public.debits"))
                for number in range(3):
                    folder = tmp_path / str(number)
                    report = export(standby.database, selection, folder, threads=3)
                    assert {result.error for result in by_code(report).values()} == {None}
                    credits, debits = (
                        column_values(folder / f"{name}.parquet", "v")
                        for name in ("credits", "debits")
                    )
                    assert len(credits) == len(debits) == 40000
                    assert sum(credits) + sum(debits) == 0
            finally:
                ended.set()
                writer.join()

    def test_a_conflict_with_recovery_is_tried_again(self, primary: Server, tmp_path: Path) -> None:
        with standby_of(primary, max_standby_streaming_delay="50ms") as standby:
            followed(primary, standby)

            def clean_up() -> None:
                primary.database.execute("DELETE FROM t WHERE n > 140")
                primary.database.execute("VACUUM t")
                followed(primary, standby)

            recorder = at_first_tick(clean_up)
            selection = Selection(tables=("public.a", "public.b", "public.c"))
            report = export(standby.database, selection, tmp_path, recorder)
            assert {result.error for result in by_code(report).values()} == {None}
            assert column_values(tmp_path / "b.parquet", "n") == [*range(1, 141)]
            # What was cleaned up may stand in the way of the next try, too.
            again = retries_in(recorder)
            assert 1 <= len(again) <= 2
            # A session that is ended has words for it, if they get through before it is closed.
            known = ("conflict with recovery", "server closed the connection")
            for event in again:
                assert any(words in event.context["error"] for words in known)
            conflicts = "SELECT sum(confl_snapshot) > 0 FROM pg_stat_database_conflicts"
            until(lambda: standby.database.execute(conflicts) == [(True,)])


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose messages are German."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/de_DE").exists():
        pytest.skip("localedef has no German here")
    with contextlib.ExitStack() as stack:
        locales = Path(stack.enter_context(_open_to_all()))
        compiled = locales / "de_DE.UTF-8"
        subprocess.run(
            ["localedef", "-i", "de_DE", "-f", "UTF-8", str(compiled)], check=True, timeout=60
        )
        environ = {"LOCPATH": str(locales), "LC_ALL": "", "LC_MESSAGES": "de_DE.UTF-8"}
        server = stack.enter_context(own_server(environ, lc_messages="de_DE.UTF-8"))
        try:
            server.database.execute("SELECT 1 / 0")
        except psycopg.Error as error:
            if "durch Null" not in str(error):
                pytest.skip(f"the server has no German: {error}")
        server.database.execute(SLOW)
        server.database.execute("CREATE VIEW divided AS SELECT 1 / (n - 100) AS v FROM t")
        yield server


@contextlib.contextmanager
def _open_to_all() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="duckwarp-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield folder


class TestAnotherLanguage:
    def test_a_statement_timeout_is_told_and_not_tried_again(
        self, german: Server, tmp_path: Path
    ) -> None:
        recorder = Recorder()
        report = export(
            german.database,
            Selection(tables=("public.b",)),
            tmp_path,
            recorder,
            statement_timeout_seconds=0.2,
        )
        assert "Zeitüberschreitung" in (by_code(report)["b"].error or "")
        assert retries_in(recorder) == []

    def test_a_session_that_was_ended_is_known(self, german: Server, tmp_path: Path) -> None:
        def end() -> None:
            german.database.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_progress_copy"
            )

        recorder = at_first_tick(end)
        report = export(german.database, Selection(tables=("public.b",)), tmp_path, recorder)
        assert by_code(report)["b"].success
        [event] = retries_in(recorder)
        assert "the connection to PostgreSQL was lost" in event.context["error"]

    def test_what_trying_cannot_mend_is_known(self, german: Server, tmp_path: Path) -> None:
        recorder = Recorder()
        report = export(german.database, Selection(tables=("public.divided",)), tmp_path, recorder)
        assert "Division durch Null" in (by_code(report)["divided"].error or "")
        with pytest.raises(ConnectionFailed, match="existiert nicht"):
            export(dsn_with(german.database.dsn, dbname="x"), EVERYTHING, tmp_path, recorder)
        assert retries_in(recorder) == []

    def test_nor_are_too_many_connections(self, german: Server, tmp_path: Path) -> None:
        german.database.execute("CREATE ROLE nobody_else LOGIN CONNECTION LIMIT 0")
        recorder = Recorder()
        with pytest.raises(ConnectionFailed, match="zu viele Verbindungen"):
            export(
                dsn_with(german.database.dsn, user="nobody_else"), EVERYTHING, tmp_path, recorder
            )
        assert retries_in(recorder) == []
