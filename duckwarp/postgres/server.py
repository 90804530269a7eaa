"""What the server says of itself and of the role, for those who want to know before a run.

Asks catalog and settings only, nothing that a role might not be allowed to ask.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from duckwarp.model.settings import SESSION_SETTINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """The server behind a session.

    `max_connections` are those that the role may have a share in, `used_connections` those that
    anybody has at this moment, this session among them; the limits of the role and of the database
    are None where there are none.
    """

    host: str
    port: int
    database: str
    is_encrypted: bool
    version: int
    version_text: str
    encoding: str
    role: str
    is_superuser: bool
    may_create: bool
    max_connections: int
    used_connections: int
    role_limit: int | None
    database_limit: int | None
    is_standby: bool
    seconds_behind: float | None
    settings: dict[str, str]
    timeouts: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How far the server's clock is ahead of this machine's, and how exactly that is known."""

    ahead_seconds: float
    within_seconds: float


def server_facts(connection: psycopg.Connection[Any]) -> ServerFacts:
    """Everything that one look at the catalog tells."""
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        row: Any = cursor.execute(_FACTS).fetchone()
        settings = cursor.execute(_SETTINGS, [list(SETTINGS)]).fetchall()
        timeouts = cursor.execute(_TIMEOUTS, [_timeout_names()]).fetchall()
    shown: dict[str, str] = dict(settings)
    info = connection.info
    reserved = [
        int(shown.get(name, 0))
        for name in ("superuser_reserved_connections", "reserved_connections")
    ]
    return ServerFacts(
        host=info.host or info.hostaddr,
        port=info.port,
        database=info.dbname,
        is_encrypted=bool(connection.pgconn.ssl_in_use),
        version=row.version,
        version_text=row.version_text.split()[0],
        encoding=row.encoding,
        role=row.role,
        is_superuser=row.is_superuser,
        may_create=row.may_create,
        max_connections=row.max_connections - (0 if row.is_superuser else sum(reserved)),
        used_connections=row.used_connections,
        role_limit=_limit(row.role_limit),
        database_limit=_limit(row.database_limit),
        is_standby=row.is_standby,
        seconds_behind=row.seconds_behind,
        settings=shown,
        timeouts=dict(timeouts),
    )


def clock_of(connection: psycopg.Connection[Any]) -> Clock:
    """Compare the clocks; the answer was under way for as long as it is inexact."""
    query = "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8"
    before = time.time()
    row = connection.execute(query).fetchone()
    after = time.time()
    assert row is not None
    return Clock(ahead_seconds=row[0] - (before + after) / 2, within_seconds=(after - before) / 2)


def _limit(number: int) -> int | None:
    return None if number < 0 else number


def _timeout_names() -> list[str]:
    return [name for name in SESSION_SETTINGS if name.endswith("_timeout")]


SETTINGS = (
    "superuser_reserved_connections",
    "reserved_connections",
    "max_standby_streaming_delay",
    "max_standby_archive_delay",
    "hot_standby_feedback",
    "old_snapshot_threshold",
)

# A connection that is no client's has no database, but for workers, which are few.
_FACTS = """
    SELECT pg_catalog.current_setting('server_version_num')::int AS version,
           pg_catalog.current_setting('server_version') AS version_text,
           pg_catalog.current_setting('server_encoding') AS encoding,
           session_user::text AS role,
           r.rolsuper AS is_superuser,
           r.rolconnlimit AS role_limit,
           d.datconnlimit AS database_limit,
           pg_catalog.has_database_privilege(d.oid, 'CREATE') AS may_create,
           pg_catalog.current_setting('max_connections')::int AS max_connections,
           (SELECT count(*)::int FROM pg_catalog.pg_stat_activity WHERE datid IS NOT NULL)
               AS used_connections,
           pg_catalog.pg_is_in_recovery() AS is_standby,
           CASE WHEN pg_catalog.pg_is_in_recovery() THEN extract(epoch FROM
               pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::float8
           END AS seconds_behind
    FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
    WHERE r.rolname = session_user AND d.datname = pg_catalog.current_database()"""
_SETTINGS = """
    SELECT name, pg_catalog.current_setting(name)
    FROM pg_catalog.pg_settings WHERE name = ANY(%s::text[])"""
# What a new session begins with, whatever this one has been set to since.
_TIMEOUTS = """
    SELECT name, reset_val || coalesce(unit, '')
    FROM pg_catalog.pg_settings WHERE name = ANY(%s::text[]) AND reset_val <> '0'"""
