"""Which failures of the server, and of the way to it, may pass when they are tried again.

By SQLSTATE wherever there is one. Of a refused connection libpq gives the server's words alone, and
so does DuckDB of a failed copy: those that matter are known in English, and in no other language.
"""

from __future__ import annotations

import errno
import os
import re
from typing import TypeVar

import psycopg

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
_REFUSALS = (
    (re.compile("FATAL: +(?:sorry, )?too many (?:clients|connections)"), "53300"),
    (re.compile("FATAL: +remaining connection slots are reserved"), "53300"),
    (re.compile("FATAL: +the database system is"), "57P03"),
    (re.compile("FATAL: +terminating connection due to administrator command"), "57P01"),
    (_POOLER_WAITS, PROTOCOL_VIOLATION),
)
_STATEMENT_WORDS = (
    "canceling statement due to statement timeout",
    "canceling statement due to user request",
    "canceling statement due to conflict with recovery",
    "canceling statement due to lock timeout",
    "deadlock detected",
)
_SERIALIZATION_WORDS = "could not serialize access"


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


def refusal_noted(error: E, reason: str) -> E:
    """`error`, with the code by which the server refuses a connection, where its words tell.

    `reason` is what libpq says of it.
    """
    if nobody_answers(reason):
        error.may_pass = True
    else:
        error.sqlstate = next((code for words, code in _REFUSALS if words.search(reason)), None)
        error.may_pass = error.sqlstate is not None
    return error


def nobody_answers(reason: str) -> bool:
    """Whether libpq's reason for a failed connection is not the server's own refusal."""
    waits = any(os.strerror(number) in reason for number in _NETWORK_ERRORS)
    return waits or _LIBPQ_WAITS.search(reason) is not None


def words_pass(words: str) -> bool:
    """Whether what the server said of a statement, in English, may go well a little later."""
    return words in _STATEMENT_WORDS or words.startswith(_SERIALIZATION_WORDS)
