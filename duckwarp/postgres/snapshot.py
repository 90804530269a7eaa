"""The one connection that holds the snapshot of a run, and the locks that keep it true.

Everything of a run is read in one REPEATABLE READ, READ ONLY transaction, whose snapshot others
import. Locks are taken before the snapshot where PostgreSQL allows it: a table that is truncated or
rewritten between the two would look empty to the older snapshot (PostgreSQL manual, "Caveats" of
concurrency control).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql
from psycopg.pq import TransactionStatus

from duckwarp.model.errors import RelationMissing, RunError, SnapshotTooOld, SourceError
from duckwarp.model.pg_type import ServerTraits
from duckwarp.model.relation import RelationKind
from duckwarp.model.settings import MIN_CONNECTIONS, ServerAddress, Settings
from duckwarp.model.source import Selection, Source
from duckwarp.model.texts import BrokenText
from duckwarp.postgres.access import is_still_the_same
from duckwarp.postgres.connection import (
    PG_CATALOG_FIRST,
    apply_settings,
    connect_plainly,
    known_settings,
    own_name,
    prepare,
    resolve_conninfo,
    search_path,
    server_address,
)
from duckwarp.postgres.faults import explain, noted
from duckwarp.postgres.loads import load_marks
from duckwarp.postgres.looking import watch_server
from duckwarp.postgres.poolers import is_pooled, sessions_within_reach
from duckwarp.postgres.registry import find_sources, find_sources_again
from duckwarp.postgres.relations import REACHED
from duckwarp.postgres.watching import Watch

# LOCK TABLE takes these kinds; the others are locked by a SELECT, which needs the snapshot first.
_LOCKABLE = frozenset({RelationKind.TABLE, RelationKind.PARTITIONED, RelationKind.VIEW})
# Of a view, LOCK TABLE leaves out the materialized views and the foreign tables that it reads.
_LOCKED_AHEAD = _LOCKABLE - {RelationKind.VIEW}
_MOMENT_SECONDS = 0.1
CANCEL_SECONDS = 2.0
# Errors that those who look at the source tell in better words: no privilege, gone since.
_TOLD_LATER = (
    pg_errors.InsufficientPrivilege,
    pg_errors.UndefinedTable,
    pg_errors.InvalidSchemaName,
    pg_errors.WrongObjectType,
    pg_errors.FeatureNotSupported,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An open transaction, the id of its snapshot, and the sources seen in it.

    `taken_at` is the server's clock just before the snapshot, in UTC; `began` is when its first
    lock was asked for, on this machine's clock that nobody sets. `sessions` is how many a run may
    have, this one among them; `search_path` is what they have to set, if they do not come with it.
    `locks` are the statements by which it locked their relations, for other sessions to repeat;
    `watch` bounds the waits of all of its sessions.
    `unlocked` has the reason, by source code, for each relation whose lock could not be had, and
    `marks`, where they were asked for, what shows later whether something was loaded since.
    """

    connection: psycopg.Connection[Any] = field(repr=False)
    watch: Watch
    snapshot_id: str
    taken_at: datetime
    began: float
    sessions: int
    application_name: str
    address: ServerAddress
    search_path: str | None
    settings: dict[str, str]
    traits: ServerTraits
    sources: tuple[Source, ...]
    locks: tuple[str, ...]
    unlocked: dict[str, SourceError]
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def role(self) -> str:
        """Who reads, also once the connection is lost."""
        return self.address.parameters["user"]

    @property
    def age_seconds(self) -> float:
        """How long it has been holding back what wants to change or to clean up."""
        return time.monotonic() - self.began


@contextlib.contextmanager
def session(settings: Settings, environ: dict[str, str]) -> Iterator[psycopg.Connection[Any]]:
    """A plain read-only session for looking around, without a snapshot."""
    conninfo = resolve_conninfo(settings.dsn, environ)
    name = own_name()
    with (
        _errors_translated(),
        watch_server(conninfo, name, settings) as watch,
        contextlib.closing(connect_plainly(conninfo, name, watch)) as connection,
    ):
        sessions_within_reach(connection, conninfo, MIN_CONNECTIONS)
        prepare(connection)
        yield connection


@contextlib.contextmanager
def _errors_translated() -> Iterator[None]:
    """What the server refuses for the run as a whole, as `RunError`."""
    try:
        yield
    except psycopg.Error as error:
        refused = RunError(f"the database refuses: {' '.join(str(error).split())}")
        raise noted(refused, error) from error
    except UnicodeError as error:
        raise RunError(f"a name is not valid text: {error}") from error


@contextlib.contextmanager
def _age_told(watch: Watch, settings: Settings) -> Iterator[None]:
    """What fails because the snapshot is too old, and the server silent, as `SnapshotTooOld`."""
    try:
        yield
    except (psycopg.Error, RunError) as error:
        if not watch.is_expired:
            raise
        raise SnapshotTooOld(settings.max_snapshot_age_seconds) from error


@contextlib.contextmanager
def open_snapshot(
    selection: Selection, settings: Settings, environ: dict[str, str]
) -> Iterator[Snapshot]:
    """The snapshot of a run over `selection`, with its relations locked in ACCESS SHARE mode.

    Raises `ConnectionFailed`, `RegistryMissing`, `NothingMatched`, or `RunError` where the server
    cannot export a snapshot or refuses a question that is about no single source.
    """
    conninfo = resolve_conninfo(settings.dsn, environ)
    name = own_name()
    with (
        _errors_translated(),
        watch_server(conninfo, name, settings) as watch,
        _age_told(watch, settings),
        contextlib.closing(connect_plainly(conninfo, name, watch)) as connection,
    ):
        sessions = sessions_within_reach(connection, conninfo, settings.max_connections)
        prepare(connection)
        chosen = _chosen(settings)
        session_settings = known_settings(connection) | chosen
        apply_settings(connection, chosen)
        glance = find_sources(connection, selection, settings.registry_schema)
        # Before the snapshot: what is counted in them is in it.
        marks = load_marks(connection, glance) if settings.skip_unchanged else {}
        pooled = is_pooled(connection)
        path = search_path(connection)
        began = time.monotonic()
        if settings.max_snapshot_age_seconds:
            watch.end_at(began + settings.max_snapshot_age_seconds)
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # No question before the locks: the first one takes the snapshot.
        locks = _Locks(
            connection=connection,
            timeout_seconds=settings.lock_timeout_seconds,
            until=began + age if (age := settings.max_snapshot_age_seconds) else None,
        )
        _lock_ahead(locks, glance)
        taken_at = _moment_of_snapshot(connection)
        sources = find_sources_again(connection, selection, settings.registry_schema)
        _note_gone(locks, glance, sources)
        _lock_late(locks, [source for source in sources if not _was_locked(source, glance)])
        if marks:
            # What was loaded between the two looks is in the snapshot, and not in the first mark.
            since = load_marks(connection, sources)
            marks = {code: mark for code, mark in marks.items() if since.get(code) == mark}
        yield Snapshot(
            connection=connection,
            watch=watch,
            snapshot_id=_export_snapshot(connection),
            taken_at=taken_at,
            began=began,
            sessions=sessions,
            application_name=name,
            address=server_address(connection, takes_options=not pooled),
            search_path=path if pooled and path.startswith(PG_CATALOG_FIRST) else None,
            settings=session_settings,
            traits=server_traits(connection),
            sources=sources,
            locks=tuple(locks.taken),
            unlocked=locks.refused,
            marks=marks,
        )


@contextlib.contextmanager
def within_snapshot(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Statements about one source in the snapshot's transaction, which outlives them.

    What the server says in it is a `SourceError`.
    """
    try:
        with connection.transaction(force_rollback=True):
            yield
    except psycopg.Error as error:
        is_lost = error.sqlstate is None or isinstance(error, pg_errors.AdminShutdown)
        what = "the connection to PostgreSQL was lost" if is_lost else "PostgreSQL"
        raise noted(SourceError(f"{what}: {explain(error)}"), error) from error


def stop_asking(snapshot: Snapshot) -> None:
    """Have the server cancel what the snapshot's own session is asked, if it is; from any thread.

    Errors are swallowed: this is for the way out.
    """
    with contextlib.suppress(psycopg.Error):
        if snapshot.connection.info.transaction_status is TransactionStatus.ACTIVE:
            snapshot.connection.cancel_safe(timeout=CANCEL_SECONDS)


def is_in_the_way(snapshot: Snapshot) -> bool:
    """Whether somebody waits for a lock that the snapshot's own are in the way of.

    A further session that asks for a lock on the same relation stands behind whoever does.
    """
    query = """
        SELECT EXISTS (
            SELECT FROM pg_catalog.pg_locks waiting
            JOIN pg_catalog.pg_locks own USING (database, relation)
            WHERE NOT waiting.granted AND own.granted
            AND own.pid = pg_catalog.pg_backend_pid())"""
    with contextlib.suppress(psycopg.Error):
        row = snapshot.connection.execute(query).fetchone()
        return bool(row and row[0])
    return False


def holds(snapshot: Snapshot) -> bool:
    """Whether the snapshot's transaction can still be read in."""
    try:
        snapshot.connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def _chosen(settings: Settings) -> dict[str, str]:
    """The session settings that are the user's choice."""
    chosen = {"lock_timeout": _milliseconds(settings.lock_timeout_seconds)}
    if settings.enable_row_security:
        chosen["row_security"] = "on"
    if settings.statement_timeout_seconds:
        chosen["statement_timeout"] = _milliseconds(settings.statement_timeout_seconds)
    return chosen


def _milliseconds(seconds: float) -> str:
    # Zero would be for ever.
    return f"{max(1, round(seconds * 1000))}ms"


def _was_locked(source: Source, glance: Sequence[Source]) -> bool:
    """Whether `_lock_ahead` saw the relation and could lock all of it."""
    seen = {each.relation.oid for each in glance if each.relation is not None}
    relation = source.relation
    return relation is None or (relation.kind in _LOCKED_AHEAD and relation.oid in seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Locks:
    """The statements whose locks could be had, and why others could not, by source code."""

    connection: psycopg.Connection[Any]
    timeout_seconds: float
    until: float | None = None
    taken: list[str] = field(default_factory=list)
    refused: dict[str, SourceError] = field(default_factory=dict)

    def take(self, statement: sql.Composed) -> psycopg.Error | None:
        """Try for a lock: the error, or None once it is had.

        With an end, `until` on the monotonic clock, those after it are waited for a moment each.
        """
        if self.until is not None:
            left = max(_MOMENT_SECONDS, self.until - time.monotonic())
            self.connection.execute(_lock_timeout(min(self.timeout_seconds, left)))
        error = _try(self.connection, statement)
        if error is None:
            self.taken.append(statement.as_string(self.connection))
        return error

    @contextlib.contextmanager
    def impatient(self) -> Iterator[None]:
        """Wait for a moment only: what cannot be had is tried for again with the time it has."""
        seconds = min(self.timeout_seconds, _MOMENT_SECONDS)
        self.connection.execute(_lock_timeout(seconds))
        yield
        self.connection.execute(_lock_timeout(self.timeout_seconds))


def _lock_ahead(locks: _Locks, sources: Sequence[Source]) -> None:
    """Lock what LOCK TABLE takes, all at once if that is soon done, else one by one."""
    wanted = [s for s in sources if s.relation is not None and s.relation.kind in _LOCKABLE]
    names = [sql.Identifier(source.schema, source.table) for source in wanted]
    if not names:
        return
    with locks.impatient():
        if locks.take(_lock_statement(names)) is None:
            return
    for source, name in zip(wanted, names, strict=True):
        error = locks.take(_lock_statement([name]))
        if error is not None and not isinstance(error, _TOLD_LATER):
            locks.refused[source.code] = _not_locked(source, error, locks.timeout_seconds)


def _note_gone(locks: _Locks, glance: Sequence[Source], sources: Sequence[Source]) -> None:
    """Refuse what had a relation at the first look, and has none in the snapshot."""
    seen = {source.code for source in glance if source.relation is not None}
    for source in sources:
        if source.relation is None and source.code in seen:
            locks.refused[source.code] = SourceError(
                f"relation {source.qualified_name} does not exist any more: it was dropped or "
                "renamed while the run began"
            )


def _lock_late(locks: _Locks, sources: Sequence[Source]) -> None:
    """Lock what a SELECT has to lock, and refuse what has changed since the snapshot."""
    for source in sources:
        if isinstance(source.table, BrokenText):
            continue
        select = sql.SQL("SELECT FROM {} LIMIT 0").format(
            sql.Identifier(source.schema, source.table)
        )
        error = locks.take(select)
        if isinstance(error, (pg_errors.LockNotAvailable, pg_errors.DeadlockDetected)):
            locks.refused[source.code] = _not_locked(source, error, locks.timeout_seconds)
        elif isinstance(error, pg_errors.UndefinedTable):
            locks.refused[source.code] = RelationMissing(source.qualified_name)
        elif error is None and (change := _change(locks.connection, source)):
            locks.refused[source.code] = SourceError(
                f"relation {source.qualified_name} {change} while the run began: run it again"
            )


def _lock_timeout(seconds: float) -> sql.Composed:
    return sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(_milliseconds(seconds)))


def _not_locked(source: Source, error: psycopg.Error, timeout_seconds: float) -> SourceError:
    what = f"relation {source.qualified_name} could not be locked"
    why = f"{what}: {explain(error)}"
    if isinstance(error, pg_errors.LockNotAvailable):
        why = (
            f"{what} within {timeout_seconds:g} s: another session is changing it; "
            "run again later, or raise --lock-timeout"
        )
    refused = noted(SourceError(why), error)
    refused.may_pass = isinstance(error, (pg_errors.LockNotAvailable, pg_errors.DeadlockDetected))
    return refused


def _lock_statement(names: Sequence[sql.Identifier]) -> sql.Composed:
    return sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.SQL(", ").join(names))


def _try(connection: psycopg.Connection[Any], statement: sql.Composed) -> psycopg.Error | None:
    """Run a statement under a savepoint: its error, or None."""
    connection.execute("SAVEPOINT attempt")
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        if connection.closed:
            raise
        # Released as well: no snapshot is exported from within a savepoint.
        connection.execute("ROLLBACK TO SAVEPOINT attempt")
        connection.execute("RELEASE SAVEPOINT attempt")
        return error
    connection.execute("RELEASE SAVEPOINT attempt")
    return None


def _change(connection: psycopg.Connection[Any], source: Source) -> str | None:
    """What happened between the snapshot and the lock to the relation, or to one that it reads."""
    assert source.relation is not None
    if not is_still_the_same(connection, source):
        return "was replaced by another"
    row = connection.execute(_REWRITTEN, [source.relation.oid]).fetchone()
    return "was refreshed or rewritten" if row and row[0] else None


# The catalog is read in the snapshot, pg_relation_filenode() looks at the present.
_REWRITTEN = f"""
    WITH RECURSIVE {REACHED}
    SELECT bool_or(relfilenode <> pg_catalog.pg_relation_filenode(oid))
    FROM reached JOIN pg_catalog.pg_class USING (oid)
    WHERE relfilenode <> 0"""


def _moment_of_snapshot(connection: psycopg.Connection[Any]) -> datetime:
    """When the statement began that takes the transaction's snapshot: this one, the first query."""
    row = connection.execute("SELECT pg_catalog.statement_timestamp()").fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment.astimezone(UTC)


def _export_snapshot(connection: psycopg.Connection[Any]) -> str:
    try:
        row = connection.execute("SELECT pg_catalog.pg_export_snapshot()").fetchone()
    except psycopg.Error as error:
        raise noted(RunError(f"the server cannot export a snapshot: {error}"), error) from error
    assert row is not None
    return str(row[0])


def server_traits(connection: psycopg.Connection[Any]) -> ServerTraits:
    """What a plan has to know of the server behind `connection`."""
    query = """
        SELECT pg_catalog.current_setting('server_version_num')::int,
               pg_catalog.current_setting('server_encoding'),
               pg_catalog.scale('0'::pg_catalog.money::numeric),
               pg_catalog.current_setting('block_size')::int"""
    row = connection.execute(query).fetchone()
    assert row is not None
    version, encoding, money_scale, block_bytes = row
    return ServerTraits(
        version=version, encoding=encoding, money_scale=money_scale, block_bytes=block_bytes
    )
