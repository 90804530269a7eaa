"""The metadata in a Parquet file's footer: its schema, its row groups and their statistics.

The structs name only the fields that are asked for, by the numbers of
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift and are read by
the thrift package: an export needs no more of a Parquet library, which would map 50 MB of code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

from thrift.protocol.TBase import TBase
from thrift.protocol.TCompactProtocol import TCompactProtocolAccelerated
from thrift.Thrift import TException, TType
from thrift.transport.TTransport import TMemoryBuffer

from duckwarp.files.footerbytes import read_footer
from duckwarp.files.opening import open_regular

Specification: TypeAlias = tuple[Any, ...]


def _fields(*fields: tuple[int, int, str, Any]) -> Specification:
    """The specification as the thrift package reads it: each field at the index of its number."""
    by_number = {field[0]: (*field, None) for field in fields}
    return tuple(by_number.get(number) for number in range(max(by_number) + 1))


class _Struct(TBase):  # type: ignore[misc]  # thrift comes without type hints
    """What thrift's C reader can make: it gives the fields it found, by name."""

    def __init__(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self, name, value)


def _struct(number: int, name: str, kind: type[_Struct]) -> tuple[int, int, str, Any]:
    return number, TType.STRUCT, name, [kind, kind.thrift_spec]


def _structs(number: int, name: str, kind: type[_Struct]) -> tuple[int, int, str, Any]:
    return number, TType.LIST, name, (TType.STRUCT, [kind, kind.thrift_spec], False)


class Empty(_Struct):
    """A type without parameters."""

    thrift_spec: Specification = ()


class Unit(_Struct):
    """The unit of a time: the field that is set."""

    thrift_spec = _fields(
        _struct(1, "millis", Empty), _struct(2, "micros", Empty), _struct(3, "nanos", Empty)
    )
    micros: Empty | None = None


class TimeParameters(_Struct):
    """Those of TIME and TIMESTAMP."""

    thrift_spec = _fields((1, TType.BOOL, "is_adjusted_to_utc", None), _struct(2, "unit", Unit))
    is_adjusted_to_utc: bool
    unit: Unit


class IntegerParameters(_Struct):
    """Those of INTEGER."""

    thrift_spec = _fields((1, TType.BYTE, "bit_width", None), (2, TType.BOOL, "is_signed", None))
    bit_width: int
    is_signed: bool


class DecimalParameters(_Struct):
    """Those of DECIMAL."""

    thrift_spec = _fields((1, TType.I32, "scale", None), (2, TType.I32, "precision", None))
    scale: int
    precision: int


class LogicalType(_Struct):
    """A union: the field that is set says which type it is."""

    thrift_spec = _fields(
        _struct(1, "string", Empty),
        _struct(2, "map", Empty),
        _struct(3, "list", Empty),
        _struct(4, "enum", Empty),
        _struct(5, "decimal", DecimalParameters),
        _struct(6, "date", Empty),
        _struct(7, "time", TimeParameters),
        _struct(8, "timestamp", TimeParameters),
        _struct(10, "integer", IntegerParameters),
        _struct(12, "json", Empty),
        _struct(13, "bson", Empty),
        _struct(14, "uuid", Empty),
    )
    string: Empty | None = None
    decimal: DecimalParameters | None = None
    date: Empty | None = None
    time: TimeParameters | None = None
    timestamp: TimeParameters | None = None
    integer: IntegerParameters | None = None
    uuid: Empty | None = None


class SchemaElement(_Struct):
    """A node of the schema's tree. Its `name` is bytes, since it need not be UTF-8."""

    thrift_spec = _fields(
        (1, TType.I32, "type", None),
        (2, TType.I32, "type_length", None),
        (3, TType.I32, "repetition_type", None),
        (4, TType.STRING, "name", "BINARY"),
        (5, TType.I32, "num_children", None),
        (6, TType.I32, "converted_type", None),
        (7, TType.I32, "scale", None),
        (8, TType.I32, "precision", None),
        _struct(10, "logical_type", LogicalType),
    )
    type: int | None = None
    type_length: int | None = None
    repetition_type: int | None = None
    name: bytes
    num_children: int | None = None
    converted_type: int | None = None
    scale: int | None = None
    precision: int | None = None
    logical_type: LogicalType | None = None


class Statistics(_Struct):
    """Bounds are bytes, as the physical type stores them."""

    # The old bounds are named since what is not named is skipped as UTF-8, which they need not be.
    thrift_spec = _fields(
        (1, TType.STRING, "_old_max", "BINARY"),
        (2, TType.STRING, "_old_min", "BINARY"),
        (3, TType.I64, "null_count", None),
        (5, TType.STRING, "max_value", "BINARY"),
        (6, TType.STRING, "min_value", "BINARY"),
        (7, TType.BOOL, "is_max_value_exact", None),
    )
    null_count: int | None = None
    max_value: bytes | None = None
    min_value: bytes | None = None
    is_max_value_exact: bool | None = None


class ColumnMetaData(_Struct):
    """A column chunk; `num_values` counts NULLs, too."""

    thrift_spec = _fields((5, TType.I64, "num_values", None), _struct(12, "statistics", Statistics))
    num_values: int
    statistics: Statistics | None = None


class ColumnChunk(_Struct):
    """One column in one row group."""

    thrift_spec = _fields(_struct(3, "meta_data", ColumnMetaData))
    meta_data: ColumnMetaData


class RowGroup(_Struct):
    """`columns` has a chunk for each leaf of the schema."""

    thrift_spec = _fields(_structs(1, "columns", ColumnChunk), (3, TType.I64, "num_rows", None))
    columns: list[ColumnChunk]
    num_rows: int


class KeyValue(_Struct):
    """One key of the footer and its text, both bytes."""

    thrift_spec = _fields((1, TType.STRING, "key", "BINARY"), (2, TType.STRING, "value", "BINARY"))
    key: bytes
    value: bytes | None = None


class FileMetaData(_Struct):
    """The whole footer. `schema` is its tree, root first, each element before its children."""

    thrift_spec = _fields(
        _structs(2, "schema", SchemaElement),
        (3, TType.I64, "num_rows", None),
        _structs(4, "row_groups", RowGroup),
        _structs(5, "key_value_metadata", KeyValue),
    )
    schema: list[SchemaElement]
    num_rows: int
    row_groups: list[RowGroup]
    key_value_metadata: list[KeyValue] | None = None


def read_file_metadata(path: Path) -> FileMetaData:
    """The metadata of a Parquet file. Reads 1,600 columns in 50 row groups in 0.3 s.

    Raises `OSError`, and `ValueError` where it is no Parquet file.
    """
    with open_regular(path) as file:
        footer = read_footer(file)
    metadata = FileMetaData()
    try:
        metadata.read(TCompactProtocolAccelerated(TMemoryBuffer(footer)))
        # Unlike pages, the fields are not checked by the protocol.
        _ = metadata.schema, metadata.num_rows, metadata.row_groups
    except (TException, EOFError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"the Parquet footer cannot be parsed: {error!r}") from error
    return metadata
