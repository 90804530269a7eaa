"""Which failures of the server, and of the way to it, may pass when they are tried again.

By SQLSTATE wherever there is one. libpq keeps that of a refused connection to itself: it is heard
by asking once more and listening to the protocol. What DuckDB passes on of a failed copy are the
server's words alone, in its language.
"""

from __future__ import annotations

import errno
import os
import re
import select
import time
from typing import Any, TypeVar

import psycopg
from psycopg import pq, sql

from duckwarp.model.errors import DuckwarpError, quote_server

E = TypeVar("E", bound=DuckwarpError)

# PostgreSQL manual, appendix A. A conflict with recovery on a standby is a serialization failure.
PASSING = {
    "25P03": "idle_in_transaction_session_timeout",
    "25P04": "transaction_timeout",
    "40001": "serialization_failure",
    "40003": "statement_completion_unknown",
    "40P01": "deadlock_detected",
    "55P03": "lock_not_available",
    "53300": "too_many_connections",
    "57014": "query_canceled",
    "57P01": "admin_shutdown",
    "57P02": "crash_shutdown",
    "57P03": "cannot_connect_now",
    "57P05": "idle_session_timeout",
}
_CONNECTION_EXCEPTIONS = "08"
# PgBouncer has this code for all that it refuses; some of it passes with the server's return.
PROTOCOL_VIOLATION = "08P01"
_POOLER_WAITS = re.compile(
    "server login has been failing|server login failed|connect failed|cannot connect to server"
    "|server conn crashed|query_wait_timeout|no more connections allowed|shutting down"
)
# Those of a server that is not there, or no more, or not yet.
_NETWORK_ERRORS = (
    *(errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT),
    *(errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EAGAIN),
)
# libpq has no codes; psycopg's has no other language than this.
_LIBPQ_WAITS = re.compile(
    "server closed the connection|connection to server was lost|timeout expired"
    "|SSL connection has been closed|SSL SYSCALL error: EOF|Temporary failure in name resolution"
    "|Is the server running"
)
_WORDS = {
    "canceling statement due to statement timeout": "57014",
    "canceling statement due to user request": "57014",
    "canceling statement due to conflict with recovery": "40001",
    "canceling statement due to lock timeout": "55P03",
    "deadlock detected": "40P01",
}
_SERIALIZATION_WORDS = "could not serialize access"
_ENGLISH = re.compile(r"(?:en\b|en_|C\b|POSIX\b|English)|$")
_LISTENING_SECONDS = 10.0


def passes(sqlstate: str | None, reason: str = "") -> bool:
    """Whether what the server has refused with this code may go well a little later.

    `reason` are its words, which decide where the code is a pooler's for everything.
    """
    if sqlstate == PROTOCOL_VIOLATION:
        return bool(_POOLER_WAITS.search(reason))
    return sqlstate is not None and (
        sqlstate in PASSING or sqlstate.startswith(_CONNECTION_EXCEPTIONS)
    )


def explain(error: psycopg.Error) -> str:
    """Give the server's reason on one line: its message, and the detail and the hint it has."""
    diag = error.diag
    message = diag.message_primary or str(error)
    return quote_server(message, diag.message_detail, diag.message_hint)


def noted(error: E, cause: psycopg.Error) -> E:
    """`error`, with the code of its cause and whether that may pass.

    Without a code, it was the connection that failed, after it had been made.
    """
    error.sqlstate = cause.sqlstate
    without_code = cause.sqlstate is None and isinstance(cause, psycopg.OperationalError)
    error.may_pass = without_code or passes(cause.sqlstate, str(cause))
    return error


def refusal_noted(error: E, reason: str, conninfo: str) -> E:
    """`error`, with the code by which the server refuses a connection, if it is there to do so.

    `reason` is what libpq says of it.
    """
    if nobody_answers(reason):
        error.may_pass = True
    else:
        connected, error.sqlstate = _heard(conninfo)
        error.may_pass = connected or passes(error.sqlstate, reason)
    return error


def nobody_answers(reason: str) -> bool:
    """Whether libpq's reason for a failed connection is not the server's own refusal."""
    waits = any(os.strerror(number) in reason for number in _NETWORK_ERRORS)
    return waits or _LIBPQ_WAITS.search(reason) is not None


def _heard(conninfo: str) -> tuple[bool, str | None]:
    """Ask for a connection once more: whether it is granted now, and the code if it is refused."""
    if not hasattr(os, "memfd_create"):
        return False, None
    connection = pq.PGconn.connect_start(conninfo.encode())
    heard = os.memfd_create("duckwarp")
    try:
        if connection.status == pq.ConnStatus.BAD:
            return False, None
        connection.trace(heard)
        connected = _connected(connection)
        connection.untrace()
        os.lseek(heard, 0, os.SEEK_SET)
        with os.fdopen(os.dup(heard), "rb") as trace:
            codes = _REFUSED.findall(trace.read())
        return connected, codes[-1].decode() if codes else None
    finally:
        connection.finish()
        os.close(heard)


_REFUSED = re.compile(rb'\tErrorResponse\t S "[^"]*" (?:V "[^"]*" )?C "(\w{5})"')


def _connected(connection: pq.abc.PGconn) -> bool:
    """Wait until a connection that has been asked for is granted or refused."""
    deadline = time.monotonic() + _LISTENING_SECONDS
    while (state := connection.connect_poll()) != pq.PollingStatus.OK:
        left = deadline - time.monotonic()
        if state == pq.PollingStatus.FAILED or left <= 0:
            return False
        wanted = [connection.socket]
        reading = wanted if state == pq.PollingStatus.READING else []
        select.select(reading, [] if reading else wanted, [], left)
    return True


def words_pass(connection: psycopg.Connection[Any], words: str) -> bool:
    """Whether what the server said in these words may go well a little later.

    Its words for the end of a statement are learnt from itself where it speaks another language
    than English; `connection` must be in a transaction, which goes on.
    """
    if words in _WORDS or words.startswith(_SERIALIZATION_WORDS):
        return True
    try:
        row = connection.execute("SELECT pg_catalog.current_setting('lc_messages')").fetchone()
        if row is None or _ENGLISH.match(row[0]):
            return False
        return any(words == _learnt(connection, statement) for statement in _CANCELED)
    except psycopg.Error:
        return False


_CANCELED = (
    "SET LOCAL statement_timeout = '1ms'; SELECT pg_catalog.pg_sleep(60)",
    "SELECT pg_catalog.pg_cancel_backend(pg_catalog.pg_backend_pid()), pg_catalog.pg_sleep(60)",
)


def _learnt(connection: psycopg.Connection[Any], statement: str) -> str | None:
    """What the server says of a statement that does not come to its end."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(sql.SQL(statement))
    except psycopg.errors.QueryCanceled as error:
        return error.diag.message_primary
    return None
