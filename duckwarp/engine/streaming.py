"""The rows of a source as batches of bytes, for DuckDB: over a connection of their own.

It reads the same snapshot as the attachments, and takes the place of one of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from duckwarp.engine.layout import BATCH_BYTES
from duckwarp.engine.plan import ExportPlan, server_query
from duckwarp.engine.session import Session, SharedSnapshot, detach
from duckwarp.errors import ConnectionFailed
from duckwarp.source.snapshot import joined_snapshot

if TYPE_CHECKING:
    import psycopg

RELATION = "duckwarp_stream"


@contextlib.contextmanager
def byte_stream(
    session: Session, shared: SharedSnapshot, plan: ExportPlan, max_connections: int
) -> Iterator[str]:
    """DuckDB's query of all rows of `plan`, under c1, c2, …; to be run once.

    Raises `SourceError` for what the server says, and for a type that it cannot read.
    """
    from duckwarp.engine.stream import describe_query, stream_projection, stream_reader

    if len(session.attached) + 2 > max_connections:
        detach(session)
    query = server_query(plan, plan.ranges[0])
    failures: list[Exception] = []
    with contextlib.ExitStack() as stack:
        connection = _joined(session, shared, stack)
        if plan.empty_search_path:
            connection.execute("SET LOCAL search_path = ''")
        columns = describe_query(connection, query)
        reader = stream_reader(connection, query, BATCH_BYTES, failures)
        # The capsule alone: of a reader DuckDB would read ahead, and hold twice as much.
        session.connection.register(RELATION, reader.__arrow_c_stream__())
        del reader
        try:
            yield stream_projection(columns, RELATION)
        except Exception:
            if failures:
                # What DuckDB makes of it is its words and a traceback.
                raise failures[0] from None
            raise
        finally:
            session.connection.unregister(RELATION)


def _joined(
    session: Session, shared: SharedSnapshot, stack: contextlib.ExitStack
) -> psycopg.Connection[Any]:
    """A connection in the snapshot, in the place of the attachments where there is no other."""
    address, name = session.address, session.application_name
    joined = partial(joined_snapshot, address, name, shared.snapshot_id, shared.settings)
    try:
        return stack.enter_context(joined())
    except ConnectionFailed:
        if not session.attached:
            raise
    detach(session)
    return stack.enter_context(joined())
