"""A reader of tables with values of many megabytes, bounded by bytes where DuckDB's is by rows.

DuckDB's own reader of PostgreSQL fills vectors of 2,048 rows before anything is written: for rows
of 10 MB they would be 20 GB. Here the rows come over a COPY of psycopg's, one by one, and go on to
DuckDB in record batches that are as small as their bytes demand. The types are `wiretypes.py`'s
matter, the layouts `wire.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from duckwarp.engine.layout import VECTOR_ROWS
from duckwarp.engine.wire import Row, record_batch
from duckwarp.engine.wiretypes import ReadColumn, WireColumn, read_columns, schema_of

if TYPE_CHECKING:
    import psycopg


def describe_query(connection: psycopg.Connection[Any], query: str) -> tuple[WireColumn, ...]:
    """The columns of a query's result, without running it. Raises psycopg's errors."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({query}) AS s LIMIT 0".encode())
        result = cursor.pgresult
        assert result is not None
        return tuple(
            WireColumn(type_oid=result.ftype(number), typmod=result.fmod(number))
            for number in range(result.nfields)
        )


def stream_reader(
    connection: psycopg.Connection[Any],
    query: str,
    batch_bytes: int,
    failures: list[Exception] | None = None,
    *,
    on_rows: Callable[[int], None] = lambda _: None,
    ending: ExitStack | None = None,
) -> pa.RecordBatchReader:
    """The rows of a query whose columns are named c1, c2, …, read when they are asked for.

    A batch has rows until their values have `batch_bytes` bytes (below 1 GiB) on the wire or until
    they are 2,048, so that the batches follow from the data alone. The connection must have UTF8 as
    its client encoding. It is locked from the first batch until the reader has ended or nobody
    holds it any more; its transaction has failed where that was before the last row.

    DuckDB has to be given `reader.__arrow_c_stream__()`: of the reader itself it fetches batches
    ahead, in a thread of its own, and keeps them. What fails while rows are read reaches the caller
    as text inside of DuckDB's error; the exception itself is added to `failures`. `on_rows` is told
    the rows of each batch. At the end of `ending` a COPY that is still under way is canceled.

    Raises psycopg's errors, and `SourceError` for a column whose type is not known.
    """
    columns = read_columns(describe_query(connection, query))
    batches = _batches(connection, _copy_statement(query, columns), columns, batch_bytes, on_rows)
    if ending is not None:
        ending.callback(batches.close)
    noted = _noted(batches, [] if failures is None else failures)
    return pa.RecordBatchReader.from_batches(schema_of(columns), noted)


def stream_projection(columns: Sequence[WireColumn], relation: str) -> str:
    """DuckDB's query that gives the columns of a stream the types that `postgres_query` has.

    Raises `SourceError` for a column whose type is not known.
    """
    values = ", ".join(
        f"c{column.position}::{column.duckdb_type} AS c{column.position}"
        for column in read_columns(columns)
    )
    return f"SELECT {values} FROM {relation}"


def _copy_statement(query: str, columns: Sequence[ReadColumn]) -> str:
    """The COPY, with the casts of what is sent as text.

    They stand outside of the query, so that a sort in it carries the values as they are stored; its
    order is kept, since nothing else is done to the rows.
    """
    values = ", ".join(_sent(column) for column in columns)
    return f"COPY (SELECT {values} FROM ({query}) AS s) TO STDOUT (FORMAT binary)"


def _sent(column: ReadColumn) -> str:
    name = f"c{column.position}"
    if not column.type.sent_as_text:
        return name
    return f"{name}::pg_catalog.text{'[]' if column.is_array else ''} AS {name}"


def _noted(
    batches: Iterator[pa.RecordBatch], failures: list[Exception]
) -> Iterator[pa.RecordBatch]:
    """The batches, with the exception that ends them added to `failures`."""
    try:
        yield from batches
    except Exception as error:
        failures.append(error)
        raise


def _batches(
    connection: psycopg.Connection[Any],
    statement: str,
    columns: Sequence[ReadColumn],
    batch_bytes: int,
    on_rows: Callable[[int], None],
) -> Generator[pa.RecordBatch]:
    """Nothing of a batch is kept here while the next one is read, hence no variables."""
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        # psycopg then hands out the bytes of every field as they came.
        copy.set_types(["bytea"] * len(columns))

        def next_batch() -> pa.RecordBatch | None:
            rows = _next_rows(copy.read_row, batch_bytes)
            on_rows(len(rows))
            return record_batch(columns, rows) if rows else None

        yield from iter(next_batch, None)


def _next_rows(read_row: Callable[[], Row | None], batch_bytes: int) -> list[Row]:
    """The rows of one batch; none after the last one."""
    rows: list[Row] = []
    missing_bytes = batch_bytes
    while len(rows) < VECTOR_ROWS and missing_bytes > 0 and (row := read_row()) is not None:
        rows.append(row)
        missing_bytes -= sum(len(value) for value in row if value is not None)
    return rows
