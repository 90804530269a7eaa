"""Cancelling what a run's sessions do, from the one that holds its snapshot."""

from __future__ import annotations

import threading
import time

from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from duckwarp.postgres.backends import cancel
from duckwarp.postgres.snapshot import open_snapshot
from tests.support import Database

PATIENCE_SECONDS = 20


def test_it_waits_for_no_thread_that_has_the_connection(database: Database) -> None:
    """The server may not have got that thread's question yet: then nothing is cancelled."""
    database.execute("CREATE TABLE t AS SELECT 1 AS n")
    settings = Settings(dsn=database.dsn)
    with open_snapshot(Selection(schema="public"), settings, {}) as snapshot:
        # As while psycopg waits for an answer, or is about to ask.
        with snapshot.connection.lock:
            asking = threading.Thread(target=cancel, args=(snapshot, settings.dsn, {}), daemon=True)
            asking.start()
            asking.join(PATIENCE_SECONDS)
            assert not asking.is_alive()
        assert snapshot.connection.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_a_question_under_way_is_cancelled(database: Database) -> None:
    """And the thread that asked has the connection again."""
    database.execute("CREATE TABLE t AS SELECT 1 AS n")
    settings = Settings(dsn=database.dsn)
    ended: list[str] = []

    with open_snapshot(Selection(schema="public"), settings, {}) as snapshot:

        def ask() -> None:
            try:
                snapshot.connection.execute("SELECT pg_sleep(600)")
            except Exception as error:
                ended.append(type(error).__name__)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while asking.is_alive() and time.monotonic() < deadline:
            cancel(snapshot, settings.dsn, {})
            asking.join(0.1)
    assert ended == ["QueryCanceled"]
