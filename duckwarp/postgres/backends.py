"""The run's other sessions, seen from the one that holds the snapshot: progress and cancellation.

Sessions of a run are known by their `application_name`, which is unique to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import psycopg

from duckwarp.model.errors import SnapshotLost
from duckwarp.postgres.connection import connect, resolve_conninfo
from duckwarp.postgres.snapshot import Snapshot, stop_asking

# Since PostgreSQL 14. The activity views are a copy taken at first use in a transaction: the copy
# is dropped first, or a poll would see the same figures for ever.
PROGRESS_SINCE = 140000
_PROGRESS = """
    SELECT coalesce(sum(p.tuples_processed), 0)::int8, count(*)::int
    FROM pg_catalog.pg_stat_get_activity(NULL) a
    JOIN pg_catalog.pg_stat_progress_copy p USING (pid)
    WHERE a.application_name = %s"""
_CANCEL = """
    SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity
    WHERE application_name = %s AND pid <> pg_catalog.pg_backend_pid()"""


def rows_being_read(snapshot: Snapshot) -> tuple[int, int]:
    """(rows sent so far, sessions still sending) of the copies under way; zeros before 14.

    Raises `SnapshotLost` where the snapshot's connection is gone.
    """
    if snapshot.traits.version < PROGRESS_SINCE:
        return 0, 0
    try:
        snapshot.connection.execute("SELECT pg_catalog.pg_stat_clear_snapshot()")
        row = snapshot.connection.execute(_PROGRESS, [snapshot.application_name]).fetchone()
    except psycopg.Error as error:
        raise SnapshotLost(snapshot.watch.reason or " ".join(str(error).split())) from error
    return (row[0], row[1]) if row else (0, 0)


def cancel(snapshot: Snapshot, dsn: str | None, environ: Mapping[str, str]) -> None:
    """Cancel what the run's sessions are doing; to be repeated until they have ended.

    Ends the snapshot's transaction, unless another thread reads in it. Nothing is asked of a server
    that has fallen silent.

    Asks through the snapshot's own connection, or through a new one where that is gone. Errors are
    swallowed: this is for the way out, where nobody could act on them.
    """
    if snapshot.watch.reason is not None:
        return
    with contextlib.suppress(psycopg.Error):
        stop_asking(snapshot)
        if snapshot.connection.lock.locked():
            # Another thread reads from it. If the server had not got its question yet, there was
            # nothing to cancel: to wait here would be to wait for the answer.
            return
        snapshot.connection.rollback()
        snapshot.connection.execute(_CANCEL, [snapshot.application_name])
        return
    with (
        contextlib.suppress(Exception),
        contextlib.closing(
            connect(resolve_conninfo(dsn, environ), "duckwarp", snapshot.watch)
        ) as connection,
    ):
        connection.execute(_CANCEL, [snapshot.application_name])
