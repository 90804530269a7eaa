"""What passes when it is tried again: connections that are lost, servers that restart, timeouts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from duckwarp.export import retry as retrying
from duckwarp.export.retry import Trial
from duckwarp.model.errors import ConnectionFailed, SourceError
from duckwarp.model.events import Event, EventLevel, EventType
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from duckwarp.postgres import faults
from tests.conftest import RoleMaker
from tests.runs import Recorder, by_code, column_values, export, published_files, when
from tests.support import Database, dsn_with

PATIENCE_SECONDS = 30.0
EVERYTHING = Selection(schema="public")
SESSIONS = (
    "FROM pg_stat_activity WHERE application_name LIKE 'duckwarp %' "
    "AND datname = current_database()"
)
# Rows come slowly: it takes more than a second to read them.
SLOW = """
    CREATE VIEW b AS
    SELECT n, pg_sleep(0.01)::text AS s FROM generate_series(1, 120) AS n"""


@pytest.fixture
def three(database: Database) -> Database:
    """A database with the sources `a`, `b` (which takes more than a second) and `c`."""
    database.execute(SLOW)
    database.execute("CREATE VIEW a AS SELECT 1 AS n; CREATE VIEW c AS SELECT 3 AS n")
    return database


def ended(database: Database, condition: str) -> None:
    """End the run's sessions of which the condition holds."""
    assert database.execute(f"SELECT pg_terminate_backend(pid, 5000) {SESSIONS} AND {condition}")


def all_sessions_end(database: Database) -> bool:
    """Whether the run has left no session, once the server has noticed the last one's end."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while database.execute("SELECT count(*) " + SESSIONS) != [(0,)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


COPYING = "query LIKE 'COPY%'"
SNAPSHOT = "pid NOT IN (SELECT pid FROM pg_stat_progress_copy)"


def at_ticks(action: Callable[[], Any], times: int = 1) -> Callable[[Event], None]:
    """Do `action` at the first tick of the first `times` copies."""
    left = times
    armed = False

    def react(event: Event) -> None:
        nonlocal left, armed
        if event.event_type is EventType.STAGE_STARTED and event.stage == "read":
            armed = True
        elif event.is_tick and armed and left:
            armed, left = False, left - 1
            action()

    return react


def retries_in(recorder: Recorder) -> list[Event]:
    return recorder.of(EventType.WARNING, "retry")


class TestOfASource:
    def test_a_backend_that_is_ended_while_rows_are_copied_is_replaced(
        self, three: Database, tmp_path: Path
    ) -> None:
        recorder = Recorder(at_ticks(lambda: ended(three, COPYING)))
        report = export(three, EVERYTHING, tmp_path, recorder)
        assert [outcome.state for outcome in report.outcomes] == ["exported"] * 3
        assert column_values(tmp_path / "b.parquet", "n") == [*range(1, 121)]
        [event] = retries_in(recorder)
        assert event.level is EventLevel.WARNING
        assert event.context["source"] == "b"
        assert (event.context["retry"], event.context["retries"]) == (1, 2)
        assert "the connection to PostgreSQL was lost" in event.context["error"]
        assert published_files(tmp_path) == {f"{c}.{e}" for c in "abc" for e in ("parquet", "md")}
        assert all_sessions_end(three)

    def test_it_is_tried_as_often_as_was_said(self, three: Database, tmp_path: Path) -> None:
        recorder = Recorder(at_ticks(lambda: ended(three, COPYING), times=9))
        results = by_code(export(three, EVERYTHING, tmp_path, recorder, retries=1))
        assert "the connection to PostgreSQL was lost" in (results["b"].error or "")
        assert results["c"].success
        assert len(retries_in(recorder)) == 1

    def test_a_statement_timeout_is_tried_again(self, three: Database, tmp_path: Path) -> None:
        recorder = Recorder()
        results = by_code(
            export(three, EVERYTHING, tmp_path, recorder, statement_timeout_seconds=0.3)
        )
        assert "statement timeout" in (results["b"].error or "")
        assert results["a"].success
        assert results["c"].success
        assert [event.context["retry"] for event in retries_in(recorder)] == [1, 2]

    def test_a_statement_that_is_canceled_by_somebody_is_tried_again(
        self, three: Database, tmp_path: Path
    ) -> None:
        def cancel() -> None:
            assert three.execute(f"SELECT pg_cancel_backend(pid) {SESSIONS} AND {COPYING}")

        recorder = Recorder(at_ticks(cancel))
        results = by_code(export(three, EVERYTHING, tmp_path, recorder))
        assert results["b"].success
        assert len(retries_in(recorder)) == 1

    @pytest.mark.parametrize(
        "expression",
        [
            pytest.param("1 / (n - 2)", id="a value that cannot be computed"),
            pytest.param("('x' || n)::int", id="a value of another type"),
        ],
    )
    def test_what_trying_cannot_mend_is_not_tried(
        self, database: Database, tmp_path: Path, expression: str
    ) -> None:
        database.execute(
            f"CREATE VIEW a AS SELECT n, {expression} AS v FROM generate_series(1, 3) AS n"
        )
        recorder = Recorder()
        assert not by_code(export(database, EVERYTHING, tmp_path, recorder))["a"].success
        assert retries_in(recorder) == []


class TestOfTheRun:
    def test_a_snapshot_that_is_lost_is_followed_by_another(
        self, three: Database, tmp_path: Path
    ) -> None:
        recorder = Recorder(at_ticks(lambda: ended(three, SNAPSHOT)))
        report = export(three, EVERYTHING, tmp_path, recorder)
        assert [outcome.code for outcome in report.outcomes] == ["a", "b", "c"]
        assert [outcome.state for outcome in report.outcomes] == ["exported"] * 3
        [event] = retries_in(recorder)
        assert "the session that holds the snapshot was lost" in event.context["error"]
        assert "source" not in event.context
        assert all_sessions_end(three)

    @pytest.mark.parametrize(
        ("publish", "want"),
        [
            pytest.param("together", [2, 2, 2], id="the set is of one snapshot"),
            pytest.param("each", [1, 2, 2], id="each stays as it was published"),
        ],
    )
    def test_what_is_published_says_which_snapshot_it_is_of(
        self, database: Database, tmp_path: Path, publish: str, want: list[int]
    ) -> None:
        database.execute(
            "CREATE TABLE t AS SELECT 1 AS n; CREATE VIEW a AS SELECT n FROM t; "
            "CREATE VIEW b AS SELECT n FROM t; CREATE VIEW c AS SELECT n FROM t"
        )

        def change() -> None:
            database.execute("UPDATE t SET n = 2")
            ended(database, "true")

        selection = Selection(tables=("public.a", "public.b", "public.c"))
        recorder = Recorder(when(EventType.STAGE_COMPLETED, "a", change))
        export(database, selection, tmp_path, recorder, publish=publish)
        values = [column_values(tmp_path / f"{code}.parquet", "n")[0] for code in "abc"]
        assert values == want
        [retry] = retries_in(recorder)
        kept = 1 if publish == "each" else 0
        assert (retry.context["sources_done"], retry.context["sources_dropped"]) == (kept, 1 - kept)
        assert ("in another snapshot" in retry.message) is bool(kept)
        ids = {
            event.context["source"]: event.context["snapshot_id"]
            for event in recorder.of(EventType.STAGE_COMPLETED, "export")
        }
        assert len(set(ids.values())) == len(set(want))
        taken = [e.context["snapshot_id"] for e in recorder.of(EventType.STAGE_STARTED, "snapshot")]
        assert ids["c"] == taken[-1]

    def test_a_source_that_ends_every_snapshot_comes_last(
        self, three: Database, tmp_path: Path
    ) -> None:
        def react(event: Event) -> None:
            begins = event.event_type is EventType.STAGE_STARTED and event.stage == "export"
            if begins and event.context["source"] == "b":
                ended(three, "true")

        results = by_code(export(three, EVERYTHING, tmp_path, Recorder(react), retries=1))
        assert results["a"].success
        assert results["c"].success
        assert "the session that holds the snapshot was lost" in (results["b"].error or "")
        assert published_files(tmp_path) == {"a.parquet", "a.md", "c.parquet", "c.md"}

    @pytest.mark.parametrize("retries", [0, 2])
    def test_sessions_of_lanes_that_are_lost_end_no_process(
        self, database: Database, tmp_path: Path, retries: int
    ) -> None:
        """The server ends those that wait in a transaction, too."""
        for number in range(80):
            database.execute(f"CREATE TABLE t{number} AS SELECT n FROM generate_series(1, 9) AS n")
        pending = [lambda: ended(database, "true")]

        def react(event: Event) -> None:
            completed = event.event_type is EventType.STAGE_COMPLETED and event.stage == "export"
            if completed and pending:
                pending.pop()()

        report = export(
            database, EVERYTHING, tmp_path, Recorder(react), jobs=3, threads=3, retries=retries
        )
        failed = [outcome for outcome in report.outcomes if outcome.state == "failed"]
        assert len(report.outcomes) == 80
        assert bool(failed) is not bool(retries)
        assert [o.reason for o in failed if "lost" not in (o.reason or "")] == []

    def test_all_sessions_lost_between_two_sources_are_made_anew(
        self, three: Database, tmp_path: Path
    ) -> None:
        recorder = Recorder(when(EventType.STAGE_COMPLETED, "a", lambda: ended(three, "true")))
        results = by_code(export(three, EVERYTHING, tmp_path, recorder))
        assert all(result.success for result in results.values())
        assert len(retries_in(recorder)) == 1

    def test_a_server_that_is_not_there_is_asked_again(self, tmp_path: Path) -> None:
        recorder = Recorder()
        with pytest.raises(ConnectionFailed, match="onnection refused"):
            export("host=127.0.0.1 port=1", EVERYTHING, tmp_path, recorder)
        assert [event.context["retry"] for event in retries_in(recorder)] == [1, 2]

    def test_a_role_that_has_too_many_connections_is_let_in_later(
        self, database: Database, make_role: RoleMaker, tmp_path: Path
    ) -> None:
        role = make_role("CONNECTION LIMIT 2")
        database.execute("CREATE TABLE a AS SELECT 1 AS n; GRANT SELECT ON a TO PUBLIC")
        others = [psycopg.connect(database.dsn_as(role)) for _ in range(2)]
        recorder = Recorder(lambda event: others.pop().close() if event.stage == "retry" else None)
        results = by_code(export(database.dsn_as(role), EVERYTHING, tmp_path, recorder))
        assert results["a"].success
        events = retries_in(recorder)
        assert {event.context["sqlstate"] for event in events} == {"53300"}
        assert len(events) == 2

    def test_a_role_with_one_connection_is_told_that_it_takes_two(
        self, database: Database, make_role: RoleMaker, tmp_path: Path
    ) -> None:
        role = make_role("CONNECTION LIMIT 1")
        database.execute("CREATE TABLE a AS SELECT 1 AS n; GRANT SELECT ON a TO PUBLIC")
        recorder = Recorder()
        report = export(database.dsn_as(role), EVERYTHING, tmp_path, recorder)
        assert "needs at least 2 connections" in (by_code(report)["a"].error or "")
        assert [event.context["sqlstate"] for event in retries_in(recorder)] == ["53300"] * 2
        assert published_files(tmp_path) == set()

    @pytest.mark.parametrize(
        "wrong",
        [
            pytest.param({"dbname": "no_such"}, id="no such database"),
            pytest.param({"user": "no_such"}, id="no such role"),
        ],
    )
    def test_what_trying_cannot_mend_is_not_tried(
        self, database: Database, tmp_path: Path, wrong: dict[str, str]
    ) -> None:
        recorder = Recorder()
        with pytest.raises(ConnectionFailed):
            export(dsn_with(database.dsn, **wrong), EVERYTHING, tmp_path, recorder)
        assert retries_in(recorder) == []


# A numeric without precision is measured first, which takes for ever here.
UNMEASURABLE = """
    CREATE VIEW b AS
    SELECT n::numeric FROM generate_series(1, 100000000) AS n WHERE pg_sleep(0.01) IS NOT NULL"""
ENDLESS = """
    CREATE VIEW b AS
    SELECT n, pg_sleep(0.01)::text AS s FROM generate_series(1, 100000000) AS n"""


class TestTheAgeOfTheSnapshot:
    @pytest.mark.parametrize(
        "view",
        [
            pytest.param(ENDLESS, id="while rows are read"),
            pytest.param(UNMEASURABLE, id="while it is measured"),
        ],
    )
    def test_a_run_that_would_hold_it_too_long_ends(
        self, three: Database, tmp_path: Path, view: str
    ) -> None:
        three.execute(f"DROP VIEW b; {view}")
        recorder = Recorder()
        report = export(three, EVERYTHING, tmp_path, recorder, max_snapshot_age_seconds=1.5)
        results = by_code(report)
        assert results["a"].success
        for code in "bc":
            assert "the most that --max-snapshot-age allows" in (results[code].error or "")
        assert published_files(tmp_path) == {"a.parquet", "a.md"}
        assert retries_in(recorder) == []
        [event] = recorder.of(EventType.STAGE_COMPLETED, "snapshot")
        assert event.context["snapshot_age_seconds"] >= 1.5
        assert all_sessions_end(three)

    def test_a_wait_before_another_try_does_not_outlive_it(
        self, three: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retrying, "FIRST_WAIT_SECONDS", 3600.0)
        monkeypatch.setattr(retrying, "LONGEST_WAIT_SECONDS", 3600.0)
        three.execute(f"DROP VIEW b; {ENDLESS}")
        limits = {"statement_timeout_seconds": 0.2, "max_snapshot_age_seconds": 1.5}
        results = by_code(export(three, EVERYTHING, tmp_path, **limits))
        assert results["a"].success
        assert "the most that --max-snapshot-age allows" in (results["b"].error or "")

    def test_nor_do_waits_for_locks(self, database: Database, tmp_path: Path) -> None:
        for number in range(6):
            database.execute(f"CREATE TABLE t{number} AS SELECT 1 AS n")
        recorder = Recorder()
        with database.connect(autocommit=False) as other:
            other.execute("LOCK TABLE t0, t1, t2, t3, t4")
            limits = {"lock_timeout_seconds": 600, "max_snapshot_age_seconds": 0.5}
            results = by_code(export(database, EVERYTHING, tmp_path, recorder, **limits))
        assert {result.success for result in results.values()} == {False}
        # Locks that were not had are tried again, each time in another snapshot.
        held = recorder.of(EventType.STAGE_COMPLETED, "snapshot")
        assert len(held) == Settings().retries + 1
        assert all(event.context["snapshot_age_seconds"] < 600 for event in held)

    def test_one_that_does_not_is_left_alone(self, three: Database, tmp_path: Path) -> None:
        recorder = Recorder()
        report = export(three, EVERYTHING, tmp_path, recorder, max_snapshot_age_seconds=60)
        assert all(result.success for result in by_code(report).values())
        [event] = recorder.of(EventType.STAGE_COMPLETED, "snapshot")
        assert 0 < event.context["snapshot_age_seconds"] < 60


def test_a_wait_in_a_lane_ends_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_WAIT_SECONDS", 3600.0)
    monkeypatch.setattr(retrying, "LONGEST_WAIT_SECONDS", 3600.0)
    ended = threading.Event()
    trials: list[Trial] = []

    def told(trial: Trial) -> None:
        trials.append(trial)
        threading.Timer(0.05, ended.set).start()

    def fail() -> None:
        error = SourceError("lost")
        error.may_pass = True
        raise error

    with pytest.raises(SourceError):
        retrying._retrying(9, lambda _: True, ended, told)(fail)
    assert [trial["retry"] for trial in trials] == [1]
    assert trials[0]["wait_seconds"] >= 3600


class TestTheWords:
    @pytest.mark.parametrize(
        "words",
        [
            "canceling statement due to statement timeout",
            "canceling statement due to conflict with recovery",
            "deadlock detected",
            "could not serialize access due to concurrent update",
        ],
    )
    def test_of_a_statement_that_may_pass(self, words: str) -> None:
        assert faults.words_pass(words)

    @pytest.mark.parametrize(
        "words",
        [
            pytest.param("division by zero", id="of the data"),
            pytest.param("no deadlock detected", id="of a view's own"),
            pytest.param("storniere Anfrage wegen Zeitüberschreitung der Anfrage", id="German"),
        ],
    )
    def test_of_one_that_does_not(self, words: str) -> None:
        assert not faults.words_pass(words)

    @pytest.mark.parametrize(
        ("reason", "sqlstate"),
        [
            ("FATAL:  sorry, too many clients already", "53300"),
            ('FATAL: too many connections for role "reader"', "53300"),
            ('FATAL:  too many connections for database "warehouse"', "53300"),
            (
                "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER "
                "attribute",
                "53300",
            ),
            ("FATAL:  the database system is starting up", "57P03"),
            ("FATAL:  the database system is in recovery mode", "57P03"),
            ("FATAL:  the database system is not yet accepting connections", "57P03"),
            ("FATAL:  terminating connection due to administrator command", "57P01"),
            ("FATAL:  server login has been failing, cached error: …", "08P01"),
            ("Connection refused\n\tIs the server running on that host?", None),
            ("connection timeout expired", None),
        ],
    )
    def test_of_a_login_that_may_pass(self, reason: str, sqlstate: str | None) -> None:
        reason = f'connection to server at "127.0.0.1", port 5432 failed: {reason}'
        error = faults.refusal_noted(ConnectionFailed(reason), reason)
        assert (error.may_pass, error.sqlstate) == (True, sqlstate)

    @pytest.mark.parametrize(
        "reason",
        [
            'FATAL:  password authentication failed for user "too many clients"',
            'FATAL:  role "the database system is" does not exist',
            "FATAL:  zu viele Verbindungen für Rolle »reader«",
            "FATAL:  no such database: warehouse",
        ],
    )
    def test_of_one_that_does_not_pass(self, reason: str) -> None:
        reason = f'connection to server at "127.0.0.1", port 5432 failed: {reason}'
        error = faults.refusal_noted(ConnectionFailed(reason), reason)
        assert (error.may_pass, error.sqlstate) == (False, None)


class TestTheCodes:
    @pytest.mark.parametrize(
        "code", ["40001", "40P01", "53300", "57014", "57P01", "57P03", "08006"]
    )
    def test_of_what_passes(self, code: str) -> None:
        assert faults.passes(code)

    @pytest.mark.parametrize("code", ["28P01", "3D000", "42501", "42601", "22012", "08P01", None])
    def test_of_what_does_not(self, code: str | None) -> None:
        assert not faults.passes(code, "why")

    def test_a_pooler_s_code_means_what_its_words_say(self) -> None:
        assert faults.passes("08P01", "FATAL:  query_wait_timeout")
        assert not faults.passes("08P01", "FATAL:  unsupported startup parameter: options")

    def test_what_a_source_raises_by_code_passes(self, database: Database, tmp_path: Path) -> None:
        """A conflict with recovery, in the words and with the code of a standby."""
        database.execute("""
            CREATE FUNCTION conflict(n int) RETURNS int LANGUAGE plpgsql AS $$
            BEGIN
                IF current_query() LIKE 'COPY%' THEN
                    RAISE EXCEPTION 'canceling statement due to conflict with recovery'
                    USING ERRCODE = 'serialization_failure';
                END IF;
                RETURN n;
            END $$;
            CREATE VIEW a AS SELECT conflict(n) AS n FROM generate_series(1, 3) AS n""")
        recorder = Recorder()
        results = by_code(export(database, EVERYTHING, tmp_path, recorder))
        assert "conflict with recovery" in (results["a"].error or "")
        assert [event.context["retry"] for event in retries_in(recorder)] == [1, 2]
