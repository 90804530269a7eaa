"""Asking DuckDB about rows that another library has read: batches in Arrow's form.

A DuckDB of its own, without the extension, without files and without a way out: all that it sees
is the batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import duckdb

from duckwarp.model.errors import SourceError

# What each of DuckDB's threads needs for a column that becomes text: a few vectors. With 1,600
# columns 75 kB of each were enough.
COLUMN_BYTES = 75_000
TICK_SECONDS = 0.5
STOP_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """A DuckDB that answers questions about a batch, which they call `batch`.

    It works in a thread of its own, one question after the other whoever asks: so that signals are
    heard, and not made into errors of DuckDB's.
    """

    connection: duckdb.DuckDBPyConnection
    worker: ThreadPoolExecutor
    limit_bytes: int
    threads: int

    def prepare(self, columns: int) -> None:
        """Use as many threads as there is memory for, where so many columns become text."""
        affordable = self.limit_bytes // max(columns * COLUMN_BYTES, 1)
        statement = f"SET threads = {max(1, min(self.threads, affordable))}"
        self.worker.submit(self.connection.execute, statement).result()

    def ask(self, query: str, batch: Any) -> list[tuple[Any, ...]]:
        """The rows that the query gives. Raises `SourceError`."""
        future = self.worker.submit(_answer, self.connection, query, batch)
        try:
            while not wait([future], timeout=TICK_SECONDS).done:
                pass
        except BaseException:
            while not wait([future], timeout=STOP_SECONDS).done:
                self.connection.interrupt()
            raise
        return future.result()


def _answer(connection: duckdb.DuckDBPyConnection, query: str, batch: Any) -> list[Any]:
    try:
        connection.register("batch", batch)
        return connection.execute(query).fetchall()
    except duckdb.OutOfMemoryException as error:
        raise SourceError(
            "the file's values cannot be compared within this memory: allow more with --memory"
        ) from error
    except duckdb.Error as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise SourceError(f"the file's values cannot be compared: {reason}") from error
    finally:
        connection.unregister("batch")


@contextlib.contextmanager
def open_asker(limit_bytes: int, threads: int, macros: Sequence[str]) -> Iterator[Asker]:
    """A DuckDB within this limit of memory that knows these macros."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "enable_external_access": False,
        "memory_limit": f"{limit_bytes}B",
        "threads": threads,
        "preserve_insertion_order": False,
    }
    with (
        contextlib.closing(duckdb.connect(":memory:", config=config)) as connection,
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="duckwarp-asker") as worker,
    ):
        connection.execute("SET enable_progress_bar = false")
        for macro in macros:
            connection.execute(macro)
        yield Asker(connection=connection, worker=worker, limit_bytes=limit_bytes, threads=threads)
