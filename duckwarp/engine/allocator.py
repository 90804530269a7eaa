"""The memory that DuckDB has freed and its allocator has not given back yet.

DuckDB brings an allocator of its own, jemalloc, which keeps freed pages for two seconds: under load
that is a hundred megabytes and more that its `memory_limit` does not count. They go back to the
kernel as soon as the process comes near its bound. Where there is no such allocator nothing is
done: `memory.py` leaves room for what is usually kept.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
import time
from collections.abc import Callable, Iterator

import duckdb  # noqa: F401  # loads the library that is spoken to
import psutil

# How often the process is looked at, the share of its bound that is near, and the one that is so
# near that nothing is waited for: giving back costs the time in which it is taken again.
WATCH_SECONDS = 0.05
NEAR_SHARE = 0.8
VERY_NEAR_SHARE = 0.9
REST_SECONDS = 0.5
# jemalloc's control for all of its arenas: https://jemalloc.net/jemalloc.3.html#arena.i.purge
_PURGE = b"arena.4096.purge"


@contextlib.contextmanager
def memory_given_back(process_bytes: int) -> Iterator[None]:
    """While it lasts, what is freed goes back when the process comes near `process_bytes`."""
    give_back = _giving_back()
    if give_back is None:
        yield
        return
    ended = threading.Event()
    watcher = threading.Thread(
        target=_watch,
        args=(give_back, process_bytes, ended),
        name="duckwarp-memory",
        daemon=True,
    )
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _watch(give_back: Callable[[], None], process_bytes: int, ended: threading.Event) -> None:
    process = psutil.Process()
    rested = time.monotonic()
    while not ended.wait(WATCH_SECONDS):
        share = process.memory_info().rss / process_bytes
        now = time.monotonic()
        if share > VERY_NEAR_SHARE or (share > NEAR_SHARE and now >= rested):
            give_back()
            rested = now + REST_SECONDS


def _giving_back() -> Callable[[], None] | None:
    """What makes DuckDB's allocator return its freed pages; None where it has none to ask."""
    try:
        mallctl = ctypes.CDLL(sys.modules["_duckdb"].__file__).duckdb_je_mallctl
    except (OSError, AttributeError, KeyError):
        return None
    no_length = ctypes.c_size_t(0)

    def give_back() -> None:
        mallctl(_PURGE, None, None, None, no_length)

    return give_back
