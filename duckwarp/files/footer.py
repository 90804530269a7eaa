"""The footer of a Parquet file: its schema, its row groups and their statistics, its keys.

It is read by the thrift package: an export needs no more of a Parquet library, which would map
50 MB of code, and DuckDB takes five times as long for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from thrift.protocol.TBase import TBase
from thrift.protocol.TCompactProtocol import TCompactProtocolAccelerated
from thrift.Thrift import TException, TType
from thrift.transport.TTransport import TMemoryBuffer

from duckwarp.files.opening import open_regular

# Of the tables below; thrift comes without type hints.
Struct: TypeAlias = Any

_MAGIC = b"PAR1"
_TAIL_BYTES = 8  # length of the footer and magic


class _Struct(TBase):  # type: ignore[misc]  # thrift comes without type hints
    """What thrift's C reader can make: it gives the fields it found, by name."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


def _struct(*fields: tuple[int, str, Any]) -> type[_Struct]:
    """A struct of fields: number, name, and type, `[type]` for a list. What is absent is None."""
    by_number = {number: _specify(number, name, kind) for number, name, kind in fields}
    # The specification has each field at the index of its number.
    found = tuple(by_number.get(number) for number in range(max(by_number, default=-1) + 1))
    absent = {name: None for _, name, _ in fields}
    return type("Struct", (_Struct,), {"thrift_spec": found, **absent})


def _specify(number: int, name: str, kind: Any) -> tuple[int, int, str, Any, None]:
    """A field as the thrift package has it."""
    if kind is bytes:
        return number, TType.STRING, name, "BINARY", None
    if isinstance(kind, list):
        (element,) = kind
        element_spec = (TType.STRUCT, [element, element.thrift_spec], False)
        return number, TType.LIST, name, element_spec, None
    if isinstance(kind, type) and issubclass(kind, _Struct):
        return number, TType.STRUCT, name, [kind, kind.thrift_spec], None
    return number, kind, name, None, None


# The fields that are asked for, by the numbers of
# https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
# Text is bytes, since it need not be UTF-8.
_EMPTY = _struct()
_UNIT = _struct((1, "millis", _EMPTY), (2, "micros", _EMPTY), (3, "nanos", _EMPTY))
_TIME = _struct((1, "is_adjusted_to_utc", TType.BOOL), (2, "unit", _UNIT))
_INTEGER = _struct((1, "bit_width", TType.BYTE), (2, "is_signed", TType.BOOL))
_DECIMAL = _struct((1, "scale", TType.I32), (2, "precision", TType.I32))
# A union: the field that is set says which type it is.
_LOGICAL_TYPE = _struct(
    (1, "string", _EMPTY),
    (2, "map", _EMPTY),
    (3, "list", _EMPTY),
    (4, "enum", _EMPTY),
    (5, "decimal", _DECIMAL),
    (6, "date", _EMPTY),
    (7, "time", _TIME),
    (8, "timestamp", _TIME),
    (10, "integer", _INTEGER),
    (12, "json", _EMPTY),
    (13, "bson", _EMPTY),
    (14, "uuid", _EMPTY),
)
_SCHEMA_ELEMENT = _struct(
    (1, "type", TType.I32),
    (2, "type_length", TType.I32),
    (3, "repetition_type", TType.I32),
    (4, "name", bytes),
    (5, "num_children", TType.I32),
    (6, "converted_type", TType.I32),
    (7, "scale", TType.I32),
    (8, "precision", TType.I32),
    (10, "logical_type", _LOGICAL_TYPE),
)
# Bounds are as the physical type stores them. The old ones are named since what is not named is
# skipped as UTF-8, which they need not be.
_STATISTICS = _struct(
    (1, "old_max", bytes),
    (2, "old_min", bytes),
    (3, "null_count", TType.I64),
    (5, "max_value", bytes),
    (6, "min_value", bytes),
    (7, "is_max_value_exact", TType.BOOL),
)
_COLUMN_META_DATA = _struct((5, "num_values", TType.I64), (12, "statistics", _STATISTICS))
_COLUMN_CHUNK = _struct((3, "meta_data", _COLUMN_META_DATA))
_ROW_GROUP = _struct((1, "columns", [_COLUMN_CHUNK]), (3, "num_rows", TType.I64))
_KEY_VALUE = _struct((1, "key", bytes), (2, "value", bytes))
_FILE_META_DATA = _struct(
    (2, "schema", [_SCHEMA_ELEMENT]),
    (3, "num_rows", TType.I64),
    (4, "row_groups", [_ROW_GROUP]),
    (5, "key_value_metadata", [_KEY_VALUE]),
)


def read_footer(path: Path) -> Struct:
    """Read the metadata of a Parquet file: 1,600 columns in 50 row groups take 0.3 s.

    `schema` is the root of its tree, each of whose elements has its `children`. Raises `OSError`,
    and `ValueError` where it is no Parquet file.
    """
    with open_regular(path) as file:
        footer = _footer_bytes(file)
    metadata: Struct = _FILE_META_DATA()
    try:
        metadata.read(TCompactProtocolAccelerated(TMemoryBuffer(footer)))
        # Unlike pages, the fields are not checked by the protocol.
        if None in (metadata.schema, metadata.num_rows, metadata.row_groups):
            raise ValueError("a field is missing")
        metadata.schema = _take_element(iter(metadata.schema))
    except (TException, ArithmeticError, EOFError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the Parquet footer cannot be parsed: {error!r}") from error
    return metadata


def _footer_bytes(file: BinaryIO) -> bytes:
    """The bytes of the metadata, which stand before their length and the magic number."""
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(max(0, size_bytes - _TAIL_BYTES))
    tail = file.read()
    footer_bytes = int.from_bytes(tail[:4], "little")
    start = size_bytes - _TAIL_BYTES - footer_bytes
    if tail[4:] != _MAGIC or start < len(_MAGIC):
        raise ValueError(f"not a Parquet file ({size_bytes:,} bytes)")
    file.seek(start)
    return file.read(footer_bytes)


def _take_element(elements: Iterator[Struct]) -> Struct:
    """The next element, with its children, which stand after it."""
    element = next(elements, None)
    if element is None or element.name is None:
        raise ValueError("an element of the schema is missing")
    element.children = [_take_element(elements) for _ in range(element.num_children or 0)]
    return element
