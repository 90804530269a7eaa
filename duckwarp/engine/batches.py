"""Asking DuckDB about rows that another library has read: batches in Arrow's form.

A DuckDB of its own, without the extension, without files and without a way out: all that it sees
is the batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from duckwarp.errors import SourceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """A DuckDB that answers questions about a batch, which they call `batch`."""

    connection: duckdb.DuckDBPyConnection

    def ask(self, query: str, batch: Any) -> list[tuple[Any, ...]]:
        """The rows that the query gives. Raises `SourceError`."""
        try:
            self.connection.register("batch", batch)
            return self.connection.execute(query).fetchall()
        except duckdb.Error as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise SourceError(f"the file's values cannot be compared: {reason}") from error
        finally:
            self.connection.unregister("batch")


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
    with contextlib.closing(duckdb.connect(":memory:", config=config)) as connection:
        connection.execute("SET enable_progress_bar = false")
        for macro in macros:
            connection.execute(macro)
        yield Asker(connection=connection)
