"""What can be told of a server that sends nothing, over another connection: is it at work?"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import pq, sql
from psycopg.errors import error_from_result

from duckwarp.model.settings import Settings
from duckwarp.postgres.connection import APPLICATION_NAME
from duckwarp.postgres.faults import nobody_answers
from duckwarp.postgres.watching import Sight, Watch, open_watch

# A pooler lets those wait whom it has no server session for: for two minutes by default.
ANSWER_SECONDS = 10.0
# A busy machine takes a while for a further session.
SHORTEST_SECONDS = 5.0
PROGRESS_SINCE = 140000
# A session at work is active, and does not wait for this side. What it waits for changes while it
# sorts on disk or reads from it, and the rows of a COPY are counted. Nothing shows of a computation
# in memory, of which a stopped process cannot be told. What a run itself asks about its progress,
# again and again, is none.
_LOOK = """
    SELECT CASE WHEN bool_or(state = 'active' AND wait_event_type IS DISTINCT FROM 'Client')
                THEN 'working' WHEN bool_or(state = 'active') THEN 'sending' ELSE 'idle' END
        || ' ' || coalesce(pg_catalog.string_agg(pg_catalog.concat_ws(' ', pid, state,
            wait_event_type, wait_event, query_start, {counted}), ', ' ORDER BY pid), '')
    FROM pg_catalog.pg_stat_activity {progress}
    WHERE application_name = {name} AND pg_catalog.strpos(query, 'pg_catalog.pg_stat_') = 0"""
_PROGRESS = "LEFT JOIN pg_catalog.pg_stat_progress_copy p USING (pid)"
_COUNTED = "p.tuples_processed, p.bytes_processed"


@contextlib.contextmanager
def watch_server(conninfo: str, application_name: str, settings: Settings) -> Iterator[Watch]:
    """A watch over the sessions of this name, which looks after them over one of its own."""
    seconds = min(ANSWER_SECONDS, max(settings.idle_timeout_seconds / 2, SHORTEST_SECONDS))
    window = _Window(conninfo, application_name, seconds)
    with open_watch(settings.idle_timeout_seconds, settings.lock_timeout_seconds) as watch:
        watch.look, watch.stop_looking = window.look, window.close
        yield watch


class _Window:
    """A connection that is opened for the first look, and kept until nobody looks any more."""

    def __init__(self, conninfo: str, application_name: str, seconds: float) -> None:
        self._seconds = seconds
        self._conninfo = conninfo
        self._application_name = application_name
        self._connection: psycopg.Connection[Any] | None = None

    def look(self) -> Sight | None:
        """What the server tells; None where it does not answer."""
        answered_before = self._connection is not None
        try:
            connection = self._connection = self._connection or self._connect()
        except psycopg.Error as error:
            # Somebody is there to refuse it, and nothing can be told of the others.
            return None if nobody_answers(str(error)) else Sight(state="working")
        try:
            said = ask_directly(connection, self._query(connection), self._seconds)
        except psycopg.Error:
            self.close()
            # A pooler answers at once, and may have no session of the server for one more.
            return None if answered_before else Sight(state="working")
        state, _, signs = said.partition(" ")
        return Sight(state=state, signs=signs)

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            self._conninfo,
            autocommit=True,
            application_name=f"{APPLICATION_NAME} look",
            connect_timeout=round(self._seconds),
        )

    def _query(self, connection: psycopg.Connection[Any]) -> bytes:
        counts = connection.info.server_version >= PROGRESS_SINCE
        query = sql.SQL(_LOOK).format(
            counted=sql.SQL(_COUNTED if counts else "NULL"),
            progress=sql.SQL(_PROGRESS if counts else ""),
            name=sql.Literal(self._application_name),
        )
        return query.as_bytes(connection)


def ask_directly(
    connection: psycopg.Connection[Any], query: bytes, seconds: float | None = None
) -> str:
    """The value that the last statement gives, empty for none, within so many seconds.

    They are `ANSWER_SECONDS` unless said. Raises `psycopg.Error`.
    """
    pgconn = connection.pgconn
    pgconn.send_query(query)
    seconds = ANSWER_SECONDS if seconds is None else seconds
    deadline = time.monotonic() + seconds
    value, error = "", None
    while True:
        while pgconn.is_busy():
            remaining = max(0.0, deadline - time.monotonic())
            if not select.select([pgconn.socket], [], [], remaining)[0]:
                raise psycopg.OperationalError(f"no session of the server within {seconds:.0f} s")
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            break
        if result.status == pq.ExecStatus.FATAL_ERROR:
            error = error or error_from_result(result)
        value = (result.get_value(0, 0) or b"").decode() if result.ntuples else ""
    if error is not None:
        raise error
    return value
