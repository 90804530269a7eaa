"""What the server has to bear while a contestant works, sampled from a session of its own.

The database is the benchmarks' own: every other client in it is the contestant's.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

SAMPLE_SECONDS = 0.2
# How long a contestant's sessions may take to end after it; their figures are then complete.
END_SECONDS = 15.0

_SAMPLE = """
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start))
                    FILTER (WHERE state = 'active'), 0)::float8,
           coalesce(max(extract(epoch FROM clock_timestamp() - xact_start))
                    FILTER (WHERE backend_xmin IS NOT NULL), 0)::float8,
           count(*)::integer
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND backend_type = 'client backend'"""
_TEMP = "SELECT temp_bytes::bigint FROM pg_stat_database WHERE datname = current_database()"


@dataclass(slots=True)
class Burden:
    """The largest values seen so far; `temp_bytes` only when the watch is over."""

    statement_seconds: float = 0.0
    snapshot_seconds: float = 0.0
    connections: int = 0
    temp_bytes: int = 0


@contextlib.contextmanager
def watching(dsn: str) -> Iterator[Burden]:
    """The burden of the database `dsn`, as long as the block and the sessions in it last."""
    burden = Burden()
    over = threading.Event()
    with psycopg.connect(dsn, autocommit=True) as connection:
        temp_bytes = _asked(connection, _TEMP)[0]
        sampler = threading.Thread(target=_sample_until, args=(over, connection, burden))
        sampler.start()
        try:
            yield burden
        finally:
            over.set()
            sampler.join()
            _wait_for_end(connection)
            burden.temp_bytes = _asked(connection, _TEMP)[0] - temp_bytes


def _sample_until(over: threading.Event, connection: psycopg.Connection[Any], seen: Burden) -> None:
    while not over.wait(SAMPLE_SECONDS):
        statement, snapshot, connections = _asked(connection, _SAMPLE)
        seen.statement_seconds = max(seen.statement_seconds, statement)
        seen.snapshot_seconds = max(seen.snapshot_seconds, snapshot)
        seen.connections = max(seen.connections, connections)


def _wait_for_end(connection: psycopg.Connection[Any]) -> None:
    """Sessions report their temporary files when they end, which may be after their client did."""
    deadline = time.monotonic() + END_SECONDS
    while _asked(connection, _SAMPLE)[2] and time.monotonic() < deadline:
        time.sleep(SAMPLE_SECONDS / 4)


def _asked(connection: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return tuple(row)
