"""Which types the reader of large values knows, and what Arrow and DuckDB have for each.

The types that the type map can ask PostgreSQL for, and no others: what is not here is an error and
never a guess. How values are laid out on the wire is `wire.py`'s matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from duckwarp.model.errors import SourceError
from duckwarp.model.parquet_type import WIDE_PRECISION, Kind, ParquetType
from duckwarp.postgres.types import numeric_precision

_DAYS_TO_2000 = 10_957
_MICROSECONDS_TO_2000 = _DAYS_TO_2000 * 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WireColumn:
    """A column of a query's result as PostgreSQL describes it."""

    type_oid: int
    typmod: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WireType:
    """A type that can be read: what Arrow and DuckDB have for it.

    A DECIMAL is declared by each column. `width_bytes` is that
    of every value, 0 where it differs. `epoch` is PostgreSQL's day or moment zero in Arrow's count.
    `sent_as_text` says that the server is asked for the value as text, and DuckDB makes the type of
    it.
    """

    kind: Kind
    arrow: pa.DataType
    width_bytes: int = 0
    epoch: int = 0
    sent_as_text: bool = False


_BOOL = WireType(kind=Kind.BOOLEAN, arrow=pa.uint8(), width_bytes=1)
_TEXT = WireType(kind=Kind.VARCHAR, arrow=pa.string())
# The padding of char(n) is no part of its value, as DuckDB's reader of PostgreSQL has it too.
_BPCHAR = WireType(kind=Kind.VARCHAR, arrow=pa.string(), sent_as_text=True)
_NUMERIC = WireType(kind=Kind.DECIMAL, arrow=pa.string(), sent_as_text=True)
_DATE = WireType(kind=Kind.DATE, arrow=pa.date32(), width_bytes=4, epoch=_DAYS_TO_2000)
_TIME = WireType(kind=Kind.TIME, arrow=pa.time64("us"), width_bytes=8)
_TIMESTAMP = WireType(
    kind=Kind.TIMESTAMP, arrow=pa.timestamp("us"), width_bytes=8, epoch=_MICROSECONDS_TO_2000
)
_TIMESTAMPTZ = WireType(
    kind=Kind.TIMESTAMPTZ,
    arrow=pa.timestamp("us", "UTC"),
    width_bytes=8,
    epoch=_MICROSECONDS_TO_2000,
)

# By OID in pg_type, which PostgreSQL never changes for its own types.
_SCALARS: dict[int, WireType] = {
    16: _BOOL,
    17: WireType(kind=Kind.BLOB, arrow=pa.binary()),
    18: _TEXT,  # "char"
    19: _TEXT,  # name
    20: WireType(kind=Kind.BIGINT, arrow=pa.int64(), width_bytes=8),
    21: WireType(kind=Kind.SMALLINT, arrow=pa.int16(), width_bytes=2),
    23: WireType(kind=Kind.INTEGER, arrow=pa.int32(), width_bytes=4),
    25: _TEXT,
    700: WireType(kind=Kind.FLOAT, arrow=pa.float32(), width_bytes=4),
    701: WireType(kind=Kind.DOUBLE, arrow=pa.float64(), width_bytes=8),
    1042: _BPCHAR,
    1043: _TEXT,  # varchar
    1082: _DATE,
    1083: _TIME,
    1114: _TIMESTAMP,
    1184: _TIMESTAMPTZ,
    1700: _NUMERIC,
    2950: WireType(kind=Kind.UUID, arrow=pa.string(), sent_as_text=True),
}
# The array types, each with the type of its elements.
_ELEMENTS: dict[int, int] = {
    1000: 16,
    1002: 18,
    1005: 21,
    1007: 23,
    1009: 25,
    1014: 1042,
    1015: 1043,
    1016: 20,
    1021: 700,
    1022: 701,
    1115: 1114,
    1182: 1082,
    1183: 1083,
    1185: 1184,
    1231: 1700,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadColumn:
    """A column that can be read: its position from 1, its type, and whether it is an array.

    `duckdb_type` is what DuckDB's own reader of PostgreSQL has for it.
    """

    position: int
    type: WireType
    is_array: bool
    duckdb_type: ParquetType

    @property
    def arrow_type(self) -> pa.DataType:
        """The type in record batches."""
        return pa.list_(self.type.arrow) if self.is_array else self.type.arrow


def read_columns(columns: Sequence[WireColumn]) -> tuple[ReadColumn, ...]:
    """How the columns of a result are read. Raises `SourceError` for a type that is not known."""
    return tuple(_read_column(column, n) for n, column in enumerate(columns, start=1))


def _read_column(column: WireColumn, position: int) -> ReadColumn:
    is_array = column.type_oid in _ELEMENTS
    wire_type = _SCALARS.get(_ELEMENTS.get(column.type_oid, column.type_oid))
    if wire_type is None:
        raise SourceError(
            f"column {position} of the query has the type with OID {column.type_oid}, which the "
            "reader of large values does not know: this is an error in duckwarp, please report it"
        )
    scalar = ParquetType(wire_type.kind)
    if wire_type.kind is Kind.DECIMAL:
        scalar = _decimal(column.typmod, position)
    return ReadColumn(
        position=position,
        type=wire_type,
        is_array=is_array,
        duckdb_type=scalar.list if is_array else scalar,
    )


def _decimal(typmod: int, position: int) -> ParquetType:
    """The DECIMAL of a declared numeric; a negative scale takes the digits that it stands for."""
    precision, scale = numeric_precision(typmod) if typmod >= 0 else (0, 0)
    found = ParquetType(Kind.DECIMAL, precision - min(scale, 0), max(scale, 0))
    if not 0 < found.precision <= WIDE_PRECISION or found.scale > found.precision:
        raise SourceError(
            f"column {position} of the query is a numeric that no DECIMAL holds (type modifier "
            f"{typmod}): this is an error in duckwarp, please report it"
        )
    return found


def schema_of(columns: Sequence[ReadColumn]) -> pa.Schema:
    """The schema of the record batches."""
    return pa.schema([(f"c{column.position}", column.arrow_type) for column in columns])
