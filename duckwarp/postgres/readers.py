"""Further sessions that read a run's snapshot side by side, each one question at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from duckwarp.model.errors import RunError
from duckwarp.model.source import Source
from duckwarp.postgres.access import fetch_rows
from duckwarp.postgres.connection import apply_settings, connect
from duckwarp.postgres.snapshot import CANCEL_SECONDS, Snapshot
from duckwarp.postgres.watching import Watch

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Sessions in one snapshot, and the threads that wait for them."""

    watch: Watch
    connections: tuple[psycopg.Connection[Any], ...]
    free: SimpleQueue[psycopg.Connection[Any]]
    threads: ThreadPoolExecutor


@contextlib.contextmanager
def open_readers(snapshot: Snapshot, count: int) -> Iterator[Readers]:
    """Up to `count` sessions, with the run's locks.

    They are fewer where the server, the role or a pooler grants no more; where it grants none, the
    one that holds the snapshot answers itself.
    """
    with contextlib.ExitStack() as stack:
        connections = _joined(snapshot, count, stack) or [snapshot.connection]
        free: SimpleQueue[psycopg.Connection[Any]] = SimpleQueue()
        for connection in connections:
            free.put(connection)
        with ThreadPoolExecutor(len(connections), "duckwarp-reader") as threads:
            yield Readers(
                watch=snapshot.watch,
                connections=tuple(connections),
                free=free,
                threads=threads,
            )


def _joined(
    snapshot: Snapshot, count: int, stack: contextlib.ExitStack
) -> list[psycopg.Connection[Any]]:
    address = snapshot.address
    conninfo = make_conninfo("", **address.parameters, password=address.password)
    join = sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot.snapshot_id))
    connections: list[psycopg.Connection[Any]] = []
    for _ in range(count):
        try:
            connection = connect(conninfo, snapshot.application_name, snapshot.watch)
            stack.enter_context(contextlib.closing(connection))
            apply_settings(connection, snapshot.settings)
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute(join)
        except (psycopg.Error, RunError):
            break
        try:
            with connection.transaction():
                for lock in snapshot.locks:
                    connection.execute(lock.encode())
        except psycopg.Error:
            # Somebody waits to change a relation, and for the run: whoever asks now waits for both.
            break
        connections.append(connection)
    return connections


def ask(
    readers: Readers, source: Source, queries: Sequence[str], *, empty_search_path: bool = False
) -> list[Future[Rows]]:
    """Start to ask all queries, as many at once as there are sessions; their rows are to come.

    Each raises `SourceError`.
    """

    def answer(query: str) -> Rows:
        connection = readers.free.get()
        try:
            return fetch_rows(connection, source, query, empty_search_path=empty_search_path)
        finally:
            readers.free.put(connection)

    return [readers.threads.submit(answer, query) for query in queries]


def stop(readers: Readers, futures: Sequence[Future[Rows]]) -> None:
    """Cancel what has been asked, and wait until it has ended: a few seconds, if need be."""
    for future in futures:
        future.cancel()
    with readers.watch.hurrying():
        while wait(futures, timeout=0.1).not_done:
            for connection in readers.connections:
                if readers.watch.reason is None:
                    with contextlib.suppress(psycopg.Error):
                        connection.cancel_safe(timeout=CANCEL_SECONDS)
