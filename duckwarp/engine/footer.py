"""The footer of a written Parquet file: mending what DuckDB's writer cannot say.

DuckDB renames columns that differ in case only, and marks a column as JSON only if the query casts
it, which fails for a value that its own parser refuses. The file is written under names and types
that it takes, and this module then sets the names and the JSON annotation. Pages, statistics and
metadata keys stay byte for byte.

The footer is a `FileMetaData` in Thrift's compact protocol; field numbers are those of
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.Thrift import TException, TType
from thrift.transport.TTransport import TMemoryBuffer

from duckwarp.files.footerbytes import MAGIC, TAIL_BYTES, read_footer

# Field numbers of the structs on the way to what is changed.
_FILE_SCHEMA, _FILE_ROW_GROUPS = 2, 4
_ELEMENT_TYPE, _ELEMENT_NAME, _ELEMENT_CHILDREN = 1, 4, 5
_ELEMENT_CONVERTED_TYPE, _ELEMENT_LOGICAL_TYPE = 6, 10
_ROW_GROUP_COLUMNS, _CHUNK_META_DATA, _META_PATH = 1, 3, 3

_BYTE_ARRAY = 6
_CONVERTED_JSON = 19
_LOGICAL_JSON = 12

# A struct is {field number: (type, value)} in the order of the file, a list (element type, values).
Struct: TypeAlias = dict[int, tuple[int, Any]]


def amend_footer(path: Path, *, names: Sequence[str] | None, json_columns: Collection[int]) -> None:
    """Set the names of the columns of a Parquet file, and mark columns as JSON, in place.

    `names` are those of all top-level columns in the file's order, None to leave them;
    `json_columns` are 0-based places of top-level text columns. The old footer is overwritten, so
    the file must not be published yet; the caller syncs it. Without `names` only the schema is
    encoded anew, which for 1,600 columns in 50 row groups takes 0.04 s instead of 5 s.

    Mark only what DuckDB's `json_valid` accepts: its reader refuses the whole column otherwise, as
    for the lone surrogate `"\\ud800"` that PostgreSQL's json (not jsonb) may hold.

    Raises `ValueError` for a file that is not Parquet, a wrong number of names, or a JSON column
    that is not text; the file is then as it was.
    """
    if names is None and not json_columns:
        return
    with path.open("r+b") as file:
        try:
            footer = read_footer(file)
            amended = _amended(footer, names, json_columns)
        except (TException, EOFError, LookupError, AssertionError) as error:
            raise ValueError(f"{path}: the Parquet footer cannot be parsed: {error!r}") from error
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        file.seek(-TAIL_BYTES - len(footer), os.SEEK_END)
        file.truncate()
        file.write(amended + len(amended).to_bytes(4, "little") + MAGIC)


def _amended(footer: bytes, names: Sequence[str] | None, json_columns: Collection[int]) -> bytes:
    source, target = TMemoryBuffer(footer), TMemoryBuffer()
    reader = TCompactProtocol(source, string_length_limit=len(footer))
    writer = TCompactProtocol(target)
    leaves: list[int] = []
    writer.writeStructBegin("")
    for field, kind in _fields(reader):
        writer.writeFieldBegin("", kind, field)
        if field == _FILE_SCHEMA:
            schema = _read(reader, kind)
            leaves = _amend_schema(schema[1], names, json_columns)
            _write(writer, kind, schema)
            if names is None:
                # What follows names its fields relative to this one: it holds as it stands.
                return bytes(target.getvalue() + source.read(len(footer)))
        elif field == _FILE_ROW_GROUPS and names is not None:
            _copy_row_groups(reader, writer, [names[column] for column in leaves])
        else:
            _write(writer, kind, _read(reader, kind))
        writer.writeFieldEnd()
    if not leaves:
        raise ValueError("the Parquet footer has no columns")
    writer.writeFieldStop()
    writer.writeStructEnd()
    return bytes(target.getvalue())


def _amend_schema(
    elements: list[Struct], names: Sequence[str] | None, json_columns: Collection[int]
) -> list[int]:
    """Change the schema's elements; gives the place of the top-level column of each leaf."""
    columns, leaves = _layout(elements)
    if names is not None:
        if len(names) != len(columns):
            raise ValueError(f"{len(names)} names for {len(columns)} columns")
        for column, name in zip(columns, names, strict=True):
            column[_ELEMENT_NAME] = (TType.STRING, name.encode())
    for place in json_columns:
        if not 0 <= place < len(columns):
            raise ValueError(f"no column {place} to mark as JSON: there are {len(columns)}")
        _mark_json(columns[place])
    return leaves


def _layout(elements: list[Struct]) -> tuple[list[Struct], list[int]]:
    """The top-level columns among the elements, and for each leaf the place of its column.

    The elements are the tree of the schema, root first, each before its children.
    """
    columns: list[Struct] = []
    leaves: list[int] = []
    pending = 0  # elements that still belong to the current column
    for element in elements[1:]:
        _, children = element.get(_ELEMENT_CHILDREN, (TType.I32, 0))
        if pending == 0:
            columns.append(element)
            pending = 1
        pending += children - 1
        if not children:
            leaves.append(len(columns) - 1)
    return columns, leaves


def _mark_json(column: Struct) -> None:
    if column.get(_ELEMENT_TYPE) != (TType.I32, _BYTE_ARRAY):
        name = column[_ELEMENT_NAME][1].decode(errors="replace")
        raise ValueError(f'column "{name}" cannot be marked as JSON: it is not stored as text')
    column[_ELEMENT_CONVERTED_TYPE] = (TType.I32, _CONVERTED_JSON)
    column[_ELEMENT_LOGICAL_TYPE] = (TType.STRUCT, {_LOGICAL_JSON: (TType.STRUCT, {})})


def _copy_row_groups(
    reader: TCompactProtocol, writer: TCompactProtocol, names: Sequence[str]
) -> None:
    """Copy the list of row groups; `names` has the column name of each chunk.

    One row group is in memory at a time.
    """
    kind, count = reader.readListBegin()
    writer.writeListBegin(kind, count)
    for _ in range(count):
        row_group = _read(reader, kind)
        chunks = row_group[_ROW_GROUP_COLUMNS][1][1]
        if len(chunks) != len(names):
            raise ValueError(f"{len(chunks)} column chunks for {len(names)} columns of the schema")
        for chunk, name in zip(chunks, names, strict=True):
            chunk[_CHUNK_META_DATA][1][_META_PATH][1][1][0] = name.encode()
        _write(writer, kind, row_group)
    reader.readListEnd()
    writer.writeListEnd()


# Parquet uses no other types, neither sets nor maps.
_SCALARS = {
    TType.BOOL: ("readBool", "writeBool"),
    TType.BYTE: ("readByte", "writeByte"),
    TType.I16: ("readI16", "writeI16"),
    TType.I32: ("readI32", "writeI32"),
    TType.I64: ("readI64", "writeI64"),
    TType.DOUBLE: ("readDouble", "writeDouble"),
    TType.STRING: ("readBinary", "writeBinary"),
}


def _fields(reader: TCompactProtocol) -> Iterator[tuple[int, int]]:
    """Number and type of each field of a struct; the consumer reads the value in between."""
    reader.readStructBegin()
    while True:
        _, kind, field = reader.readFieldBegin()
        if kind == TType.STOP:
            break
        yield field, kind
        reader.readFieldEnd()
    reader.readStructEnd()


def _read(reader: TCompactProtocol, kind: int) -> Any:
    """A value of any type, strings as bytes."""
    if kind == TType.STRUCT:
        return {field: (inner, _read(reader, inner)) for field, inner in _fields(reader)}
    if kind == TType.LIST:
        element, count = reader.readListBegin()
        values = [_read(reader, element) for _ in range(count)]
        reader.readListEnd()
        return element, values
    return getattr(reader, _SCALARS[kind][0])()


def _write(writer: TCompactProtocol, kind: int, value: Any) -> None:
    """What `_read` gave, the fields of a struct in the order of their numbers."""
    if kind == TType.STRUCT:
        writer.writeStructBegin("")
        for field, (inner, inside) in sorted(value.items()):
            writer.writeFieldBegin("", inner, field)
            _write(writer, inner, inside)
            writer.writeFieldEnd()
        writer.writeFieldStop()
        writer.writeStructEnd()
    elif kind == TType.LIST:
        element, values = value
        writer.writeListBegin(element, len(values))
        for each in values:
            _write(writer, element, each)
        writer.writeListEnd()
    else:
        getattr(writer, _SCALARS[kind][1])(value)
