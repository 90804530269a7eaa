"""A Parquet file as pyarrow reads it: its columns, what their fields say, and its rows in batches.

The file was written by DuckDB; that another library decodes it is what makes verification worth
something. Nothing here knows of PostgreSQL.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from duckwarp.files.opening import describe_error, open_regular
from duckwarp.model.errors import FileUnreadable, quote_error
from duckwarp.model.parquet_type import Kind, ParquetType

# A batch of rows in memory, and the most rows in one: half a row group of an ordinary table.
BATCH_BYTES = 16_000_000
BATCH_ROWS = 61_440
# What is scanned at once by one of DuckDB's threads.
SLICE_ROWS = 8_192
# The key under which a file and its fields describe themselves, and the form of a file's
# description that is known here.
DESCRIPTION_KEY = b"duckwarp"
DESCRIPTION_FORMAT = 1

_PLAIN = {
    "bool": Kind.BOOLEAN,
    "int8": Kind.TINYINT,
    "int16": Kind.SMALLINT,
    "int32": Kind.INTEGER,
    "int64": Kind.BIGINT,
    "uint8": Kind.UTINYINT,
    "uint16": Kind.USMALLINT,
    "uint32": Kind.UINTEGER,
    "uint64": Kind.UBIGINT,
    "float": Kind.FLOAT,
    "double": Kind.DOUBLE,
    "string": Kind.VARCHAR,
    "large_string": Kind.VARCHAR,
    "binary": Kind.BLOB,
    "large_binary": Kind.BLOB,
    "fixed_size_binary[16]": Kind.UUID,
    "date32[day]": Kind.DATE,
    "time64[us]": Kind.TIME,
    "timestamp[us]": Kind.TIMESTAMP,
    "timestamp[us, tz=UTC]": Kind.TIMESTAMPTZ,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileColumn:
    """One column of a file.

    A type that no export writes has Arrow's name. `not_kept` is what its field says was not kept:
    how many values of each kind, or None where it does not say how many. `unmarked_json` says that
    its text is JSON.
    """

    name: str
    type: ParquetType
    postgres_type: str | None = None
    not_kept: Mapping[str, int] | None = field(default_factory=dict)
    unmarked_json: bool = False

    def has_lost(self, kind: str) -> bool:
        """Whether values of a kind may have become NULL, or lost their bounds."""
        return self.not_kept is None or kind in self.not_kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """An open file.

    `described_code` and `order_by` are what its footer says of itself: which source it is of, and
    the columns by which it is sorted; None where it does not say.
    """

    file: pq.ParquetFile
    rows: int
    columns: tuple[FileColumn, ...]
    described_code: str | None = None
    order_by: tuple[str, ...] | None = None

    def batches(self) -> Iterator[pa.Table]:
        """All rows, in the file's order, under the names c0, c1, …

        Raises `FileUnreadable` where a page cannot be read.
        """
        metadata = self.file.metadata
        names = [f"c{number}" for number in range(len(self.columns))]
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            row_bytes = max(group.total_byte_size // max(group.num_rows, 1), 1)
            most = max(1, min(BATCH_ROWS, BATCH_BYTES // row_bytes))
            with _errors_translated():
                for batch in self.file.iter_batches(batch_size=most, row_groups=[number]):
                    arrays = [_storage(array) for array in batch.columns]
                    yield _sliced(pa.RecordBatch.from_arrays(arrays, names=names))


@contextmanager
def open_contents(path: Path) -> Iterator[Contents]:
    """The file at `path`, with what its footer says. Raises `FileUnreadable`."""
    with ExitStack() as ending:
        with _errors_translated():
            # Its memory goes back to the system, and nothing is read ahead.
            ending.callback(pa.set_memory_pool, pa.default_memory_pool())
            pa.set_memory_pool(pa.system_memory_pool())
            # By its descriptor, whatever the path looks like and is replaced by.
            opened = ending.enter_context(open_regular(path))
            file = ending.enter_context(pq.ParquetFile(opened, pre_buffer=False))
            schema = file.schema_arrow
            logical = [_logical(file.schema, leaf) for leaf in _first_leaves(schema)]
            columns = tuple(map(_column, schema, logical))
            described = _described(file.metadata.metadata or {})
        order_by = described.get("order_by", ()) if described else None
        yield Contents(
            file=file,
            rows=file.metadata.num_rows,
            columns=columns,
            described_code=described.get("code"),
            order_by=None if order_by is None else tuple(map(str, order_by)),
        )


@contextmanager
def _errors_translated() -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise FileUnreadable(describe(error)) from error


def describe(error: OSError | pa.ArrowException) -> str:
    """What is wrong with a file, on one line."""
    if isinstance(error, OSError) and error.strerror:
        return describe_error(error)
    return quote_error(error)


def _first_leaves(schema: pa.Schema) -> list[int]:
    leaves, leaf = [], 0
    for data_type in schema.types:
        leaves.append(leaf)
        leaf += _leaf_count(data_type)
    return leaves


def _leaf_count(data_type: pa.DataType) -> int:
    if not data_type.num_fields:
        return 1
    return sum(_leaf_count(data_type.field(n).type) for n in range(data_type.num_fields))


def _logical(schema: pq.ParquetSchema, leaf: int) -> str:
    return str(schema.column(leaf).logical_type.type)


def _column(column: pa.Field, logical: str) -> FileColumn:
    known = column.metadata or {}
    data = _read_json(known.get(DESCRIPTION_KEY))
    postgres_type = known.get(b"postgres_type")
    found = _type(column.type)
    is_json = found == ParquetType(Kind.VARCHAR) and logical == "JSON"
    not_kept = data.get("not_kept")
    if not isinstance(not_kept, dict):
        # With the words alone it has lost something, and does not say how much of what.
        not_kept = None if b"not_kept" in known else {}
    return FileColumn(
        name=column.name,
        type=ParquetType(Kind.JSON) if is_json else found,
        postgres_type=None if postgres_type is None else postgres_type.decode(),
        not_kept=not_kept,
        unmarked_json=bool(data.get("unmarked_json")),
    )


def _type(data_type: pa.DataType) -> ParquetType:
    if isinstance(data_type, pa.BaseExtensionType):
        data_type = data_type.storage_type
    if pa.types.is_decimal(data_type):
        return ParquetType(Kind.DECIMAL, data_type.precision, data_type.scale)
    if pa.types.is_list(data_type) or pa.types.is_large_list(data_type):
        element = _type(data_type.value_type)
        if not element.is_list:
            return element.list
    name = str(data_type)
    return ParquetType(_PLAIN[name]) if name in _PLAIN else ParquetType(Kind.OTHER, name=name)


def _described(keys: Mapping[bytes, bytes]) -> dict[str, Any]:
    """What the file says of itself; empty where it does not, or in no way that is known here."""
    found = _read_json(keys.get(DESCRIPTION_KEY))
    return found if found.get("format") == DESCRIPTION_FORMAT else {}


def _read_json(text: bytes | None) -> dict[str, Any]:
    """The object that a text is, empty where there is none."""
    try:
        found = json.loads(text or b"null")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _storage(array: pa.Array) -> pa.Array:
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def _sliced(batch: pa.RecordBatch) -> pa.Table:
    """The batch in pieces, which several threads may scan at once."""
    starts: Any = range(0, batch.num_rows, SLICE_ROWS)
    return pa.Table.from_batches(
        [batch.slice(start, SLICE_ROWS) for start in starts], schema=batch.schema
    )
