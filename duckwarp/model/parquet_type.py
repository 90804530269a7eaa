"""`ParquetType`: the type of a column in a file, and the names that it has elsewhere.

The text of a type is DuckDB's name of it. Footers, catalogs and events have that text, and `parse`
is the only place that takes it apart.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from enum import Enum

NARROW_PRECISION = 18  # the largest that fits 64 bits
WIDE_PRECISION = 38  # the largest that fits 128 bits, and that DuckDB and Arrow have


class Kind(Enum):
    """What a type is without its digits: DuckDB's name, Parquet's, and that of Table Schema.

    Last are the bytes of a value: usual ones where values are of any length. `any` is what Table
    Schema has for values that its types know as text only, which a reader of Parquet does not give.
    `OTHER` stands for all types that no export writes.
    """

    BOOLEAN = "BOOLEAN", "BOOLEAN", "boolean", 1
    TINYINT = "TINYINT", "INT8", "integer", 1
    SMALLINT = "SMALLINT", "INT16", "integer", 2
    INTEGER = "INTEGER", "INT32", "integer", 4
    BIGINT = "BIGINT", "INT64", "integer", 8
    UTINYINT = "UTINYINT", "UINT8", "integer", 1
    USMALLINT = "USMALLINT", "UINT16", "integer", 2
    UINTEGER = "UINTEGER", "UINT32", "integer", 4
    UBIGINT = "UBIGINT", "UINT64", "integer", 8
    FLOAT = "FLOAT", "FLOAT", "number", 4
    DOUBLE = "DOUBLE", "DOUBLE", "number", 8
    DECIMAL = "DECIMAL", "DECIMAL", "number", 16
    VARCHAR = "VARCHAR", "STRING", "string", 24
    JSON = "JSON", "JSON", "any", 64
    BLOB = "BLOB", "BYTE_ARRAY", "any", 32
    UUID = "UUID", "UUID", "any", 16
    DATE = "DATE", "DATE", "date", 4
    TIME = "TIME", "TIME(MICROS)", "time", 8
    TIMESTAMP = "TIMESTAMP", "TIMESTAMP(MICROS, not UTC-adjusted)", "datetime", 8
    TIMESTAMPTZ = (
        *("TIMESTAMP WITH TIME ZONE", "TIMESTAMP(MICROS, UTC-adjusted)"),
        *("datetime", 8),
    )
    OTHER = "", "", "any", 8

    def __init__(self, duckdb: str, words: str, table_schema: str, width_bytes: int) -> None:
        self.duckdb = duckdb
        self.words = words
        self.table_schema = table_schema
        self.width_bytes = width_bytes


INTEGERS = frozenset(kind for kind in Kind if kind.table_schema == "integer")
FLOATS = frozenset({Kind.FLOAT, Kind.DOUBLE})
TEXTS = frozenset({Kind.VARCHAR, Kind.JSON})
_KINDS = {kind.duckdb: kind for kind in Kind if kind is not Kind.OTHER}
_LIST = "[]"


@dataclass(frozen=True, slots=True)
class ParquetType:
    """A type in a Parquet file.

    `precision` and `scale` are a DECIMAL's; a precision of 0 says that the data decide, and were
    not looked at. With `is_list` the other fields are those of the elements. `name` is what a type
    of the kind `OTHER` is called where it was met.
    """

    kind: Kind
    precision: int = 0
    scale: int = 0
    is_list: bool = False
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> ParquetType:
        """Read the text of a type, whose text it is again; `OTHER` if no export writes it."""
        scalar = text.removesuffix(_LIST)
        found = cls(_KINDS.get(scalar, Kind.OTHER), is_list=scalar != text)
        head, _, digits = scalar.partition("(")
        if head == Kind.DECIMAL.duckdb:
            with contextlib.suppress(ValueError):
                precision, scale = map(int, digits.removesuffix(")").split(","))
                found = replace(found, kind=Kind.DECIMAL, precision=precision, scale=scale)
        return found if str(found) == text else replace(found, kind=Kind.OTHER, name=scalar)

    def __str__(self) -> str:
        """DuckDB's name for it, or words where a DECIMAL has no digits yet."""
        text = self.kind.duckdb or self.name
        if self.kind is Kind.DECIMAL:
            text += f"({self.precision},{self.scale})" if self.precision else " (from the data)"
        return text + _LIST * self.is_list

    @property
    def postgres(self) -> str:
        """PostgreSQL's name for a DECIMAL."""
        return f"numeric({self.precision},{self.scale})"

    @property
    def table_schema(self) -> str:
        """The type of Table Schema."""
        return "any" if self.is_list else self.kind.table_schema

    @property
    def width_bytes(self) -> int:
        """Bytes of a value, or of an element, in a Parquet page, uncompressed."""
        if self.kind is Kind.DECIMAL and 0 < self.precision <= NARROW_PRECISION:
            return 8
        return self.kind.width_bytes

    @property
    def is_text(self) -> bool:
        """Whether the values are texts."""
        return self.kind in TEXTS and not self.is_list

    @property
    def is_variable(self) -> bool:
        """Whether values may be of any length."""
        return self.is_list or self.is_text or self.kind is Kind.BLOB

    @property
    def element(self) -> ParquetType:
        """The type of a list's elements."""
        return replace(self, is_list=False)

    @property
    def list(self) -> ParquetType:
        """The type of a list of such values."""
        return replace(self, is_list=True)
