"""Several small sources at once: lanes beside the run, each with a session of its own.

A small source is mostly waiting: for the server to answer, for the disk to flush. Lanes share the
run's snapshot, its memory and its connections; what turns out to be no small source after all is
left to the run itself, one at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from queue import Empty, SimpleQueue

from duckwarp.engine.session import THREAD_BYTES, Session, interrupt, session_beside
from duckwarp.export.copy import STOP_SECONDS, TICK_SECONDS, Deferred, Run, connected
from duckwarp.model.errors import RunError
from duckwarp.model.relation import RelationKind
from duckwarp.model.source import Source
from duckwarp.postgres.backends import cancel

# A table of this size is copied in a tenth of a second.
SMALL_BYTES = 8 * 1024 * 1024
_OF_KNOWN_SIZE = frozenset({RelationKind.TABLE, RelationKind.MATERIALIZED_VIEW})


def is_small(source: Source) -> bool:
    """Whether a source may be copied beside others."""
    relation = source.relation
    return (
        relation is not None
        and relation.kind in _OF_KNOWN_SIZE
        and not relation.has_foreign_part
        and relation.size_bytes <= SMALL_BYTES
    )


def lanes_for(run: Run, small: int, connections: int) -> int:
    """How many lanes may be opened for so many small sources; 0 where one would be alone.

    `connections` are those that the run itself needs for its other sources.
    """
    spare = run.settings.max_connections - 1 - connections
    affordable = run.resources.duckdb_bytes // THREAD_BYTES
    lanes = min(run.settings.jobs or run.resources.threads, spare, affordable, small)
    return lanes if lanes > 1 else 0


def in_lanes(
    run: Run, sources: Sequence[Source], lanes: int, work: Callable[[Run, Source], object]
) -> list[Source]:
    """Do `work` for each source, several at a time; the sources that are left.

    Whatever interrupts the run ends the lanes before it goes on.
    """
    waiting: SimpleQueue[Source] = SimpleQueue()
    for source in sources:
        waiting.put(source)
    left: list[Source] = []
    sessions: list[Session] = []

    def lane(number: int) -> None:
        with session_beside(run.session, number) as session:
            sessions.append(session)
            own = replace(run, session=session, in_lane=True)
            try:
                connected(own, 1)
            except RunError:
                # Without a connection of its own, a lane leaves the sources to the others.
                return
            while not run.stop.is_set():
                try:
                    source = waiting.get_nowait()
                except Empty:
                    return
                try:
                    work(own, source)
                except Deferred:
                    left.append(source)

    futures: list[Future[None]] = []
    with ThreadPoolExecutor(max_workers=lanes, thread_name_prefix="duckwarp-lane") as pool:
        try:
            futures += [pool.submit(lane, number) for number in range(1, lanes + 1)]
            while wait(futures, timeout=TICK_SECONDS).not_done:
                pass
        except BaseException:
            _stop(run, futures, sessions)
            raise
        for future in futures:
            future.result()
    while not waiting.empty():
        left.append(waiting.get())
    return left


def _stop(run: Run, futures: Sequence[Future[None]], sessions: Sequence[Session]) -> None:
    """Cancel on both sides until every lane has ended."""
    run.stop.set()
    with run.snapshot.watch.hurrying():
        while wait(futures, timeout=STOP_SECONDS).not_done:
            cancel(run.snapshot, run.settings.dsn, os.environ)
            for session in sessions:
                interrupt(session)
