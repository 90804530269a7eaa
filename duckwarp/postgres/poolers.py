"""How far a connection reaches: how many sessions there are, and whether they are one's own.

Tries it out with plain sessions and changes none of their settings: a pooler that lends out one
server session in turn would hand them on to others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psycopg

from duckwarp.model.errors import ConnectionFailed
from duckwarp.model.settings import SESSION_SETTINGS, Settings
from duckwarp.postgres.connection import (
    APPLICATION_NAME,
    NEEDS,
    connect_plainly,
    own_name,
    resolve_conninfo,
)
from duckwarp.postgres.looking import ANSWER_SECONDS, ask_directly, watch_server

# One more than two is not worth a longer wait.
_FURTHER_SECONDS = 2.0
# A pooler that lends out its sessions in turn may give another one at first.
_TURNS = 4
_PID = b"SELECT pg_catalog.pg_backend_pid()"
_BEGIN = (
    b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
    b"SET LOCAL idle_in_transaction_session_timeout = 0; "
)


class Pooler(StrEnum):
    """What stands between: nothing, or a pooler that lends a server session for how long."""

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What was tried: `sessions` could be held at once, and `refusal` is why not one more.

    `snapshot_refusal` is why a second session could not read the first one's snapshot.
    """

    sessions: int
    pooler: Pooler
    refusal: str | None = None
    snapshot_refusal: str | None = None


@contextlib.contextmanager
def examining(
    settings: Settings, environ: dict[str, str]
) -> Iterator[tuple[psycopg.Connection[Any], Reach]]:
    """A session to ask questions in, and how far it reached before.

    All questions are in one read-only transaction, with settings that end with it, so that nothing
    stays behind in a session that a pooler lends to others. Raises `ConnectionFailed`.
    """
    conninfo = resolve_conninfo(settings.dsn, environ)
    name = own_name()
    with (
        watch_server(conninfo, name, settings) as watch,
        contextlib.closing(connect_plainly(conninfo, name, watch)) as connection,
    ):
        connection.prepare_threshold = None
        try:
            reach = _tried(connection, conninfo, settings.max_connections)
            _begin(connection)
        except psycopg.Error as error:
            raise ConnectionFailed(" ".join(str(error).split())) from error
        yield connection, reach


def is_pooled(connection: psycopg.Connection[Any], own: str | None = None) -> bool:
    """Whether something stands between that gives the server's sessions other numbers.

    `own` is the server's number for the session, if it is known.
    """
    return (own or ask_directly(connection, _PID)) != str(connection.info.backend_pid)


def sessions_within_reach(connection: psycopg.Connection[Any], conninfo: str, wanted: int) -> int:
    """How many sessions a run may have, `connection` among them: as many as it wants, or fewer.

    A server refuses one too many, and a run is content then; a pooler lets it wait. So those of a
    pooler are tried for. Raises `ConnectionFailed` where it lends no second one, or one session to
    several in turn: before anything was set in a session that others are lent as well.
    """
    own = ask_directly(connection, _PID)
    if not is_pooled(connection, own):
        return wanted
    with contextlib.ExitStack() as held:
        try:
            second = held.enter_context(_another(conninfo))
            lent = _is_lent(second, own)
        except (ConnectionFailed, psycopg.Error) as error:
            raise _too_small(error) from None
        if lent:
            raise ConnectionFailed(
                "a pooler stands between that lends one session of the server to several in turn, "
                "and a snapshot does not stay in it: connect to the server itself, or to a pool "
                "with pool_mode = session"
            )
        sessions = 2
        while sessions < wanted:
            try:
                ask_directly(held.enter_context(_another(conninfo)), _PID, seconds=_FURTHER_SECONDS)
            except (ConnectionFailed, psycopg.Error):
                break
            sessions += 1
    return sessions


def _too_small(error: Exception) -> ConnectionFailed:
    reason = error.reason if isinstance(error, ConnectionFailed) else " ".join(str(error).split())
    refused = ConnectionFailed(f"the pooler gives no second session: {reason}; {NEEDS}")
    refused.may_pass = True
    return refused


def _begin(connection: psycopg.Connection[Any]) -> None:
    """Begin to ask, without the timeouts and the search path that others may have chosen."""
    connection.execute("BEGIN READ ONLY")
    connection.execute("SET LOCAL statement_timeout = 0")
    connection.execute("SET LOCAL search_path = pg_catalog")
    known = "SELECT name FROM pg_catalog.pg_settings WHERE name = ANY(%s::text[])"
    timeouts = [name for name in SESSION_SETTINGS if name.endswith("_timeout")]
    for (name,) in connection.execute(known, [timeouts]).fetchall():
        value = "0" if name != "statement_timeout" else f"{ANSWER_SECONDS:.0f}s"
        connection.execute(f"SET LOCAL {name} = '{value}'".encode())
    connection.execute("SET LOCAL lock_timeout = '100ms'")


def _tried(first: psycopg.Connection[Any], conninfo: str, wanted: int) -> Reach:
    """Hold up to `wanted` sessions at once, of which `first` is one, and leave them again."""
    own = ask_directly(first, _PID)
    pooler = Pooler.SESSION if is_pooled(first, own) else Pooler.NONE
    refusal: str | None = None
    others: list[psycopg.Connection[Any]] = []
    with contextlib.ExitStack() as held:
        try:
            second = held.enter_context(_another(conninfo))
            if _is_lent(second, own):
                pooler = Pooler.TRANSACTION
        except (ConnectionFailed, psycopg.Error) as error:
            refusal = " ".join(str(error).split())
        # Within a transaction a session is one's own, whoever lends it.
        ask_directly(first, _BEGIN + _PID)
        try:
            while refusal is None and len(others) < wanted - 1:
                other = held.enter_context(_another(conninfo)) if others else second
                ask_directly(other, _BEGIN + _PID)
                others.append(other)
        except (ConnectionFailed, psycopg.Error) as error:
            refusal = " ".join(str(error).split())
        snapshot_refusal = _snapshot_refusal(first, others)
        ask_directly(first, b"ROLLBACK")
    return Reach(
        sessions=1 + len(others),
        pooler=pooler,
        refusal=refusal,
        snapshot_refusal=snapshot_refusal,
    )


def _another(conninfo: str) -> contextlib.closing[psycopg.Connection[Any]]:
    return contextlib.closing(connect_plainly(conninfo, APPLICATION_NAME))


def _is_lent(other: psycopg.Connection[Any], own: str) -> bool:
    """Whether another session is given the server session that the first one has not left."""
    return any(ask_directly(other, _PID) == own for _ in range(_TURNS))


def _snapshot_refusal(
    first: psycopg.Connection[Any], others: list[psycopg.Connection[Any]]
) -> str | None:
    """Why the second session cannot read the snapshot of the first; None where it can."""
    if not others:
        return "it takes a second session to read it"
    try:
        snapshot_id = ask_directly(first, b"SELECT pg_catalog.pg_export_snapshot()")
        join = f"ROLLBACK; {_BEGIN.decode()}SET TRANSACTION SNAPSHOT '{snapshot_id}'; SELECT 1"
        ask_directly(others[0], join.encode())
    except psycopg.Error as error:
        return " ".join(str(error).split())
    return None
