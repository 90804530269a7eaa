"""The rows of a source as batches of bytes, for DuckDB: over the snapshot's own connection.

It has the locks of the run from the beginning; one of its own would ask for them anew, behind
whoever waits to change the relation.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from duckwarp.engine.layout import BATCH_BYTES
from duckwarp.engine.plan import ExportPlan
from duckwarp.engine.session import Session
from duckwarp.engine.statements import server_query
from duckwarp.postgres.snapshot import within_snapshot

if TYPE_CHECKING:
    import psycopg

RELATION = "duckwarp_stream"


@contextlib.contextmanager
def byte_stream(
    session: Session,
    connection: psycopg.Connection[Any],
    plan: ExportPlan,
    on_rows: Callable[[int], None],
) -> Iterator[str]:
    """DuckDB's query of all rows of `plan`, under c1, c2, …; to be run once.

    `connection` is nobody else's meanwhile; `on_rows` is told how many have come. Raises
    `SourceError` for what the server says, and for a type that it cannot read.
    """
    from duckwarp.engine.stream import describe_query, stream_projection, stream_reader

    query = server_query(plan, plan.ranges[0])
    failures: list[Exception] = []
    with within_snapshot(connection), contextlib.ExitStack() as ending:
        if plan.empty_search_path:
            connection.execute("SET LOCAL search_path = ''")
        columns = describe_query(connection, query)
        reader = stream_reader(
            connection, query, BATCH_BYTES, failures, on_rows=on_rows, ending=ending
        )
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
