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
from collections.abc import Callable, Iterator

import duckdb  # noqa: F401  # loads the library that is spoken to
import psutil

# How often the process is looked at, and the share of its bound that is near.
WATCH_SECONDS = 0.05
NEAR_SHARE = 0.85
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
        args=(give_back, int(process_bytes * NEAR_SHARE), ended),
        name="duckwarp-memory",
        daemon=True,
    )
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _watch(give_back: Callable[[], None], near_bytes: int, ended: threading.Event) -> None:
    process = psutil.Process()
    while not ended.wait(WATCH_SECONDS):
        if process.memory_info().rss > near_bytes:
            give_back()


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
