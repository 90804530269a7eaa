"""Which bounds in a Parquet footer are values of the column, and which only lie beyond them.

DuckDB cuts text statistics at 256 bytes and rounds the maximum up: a column that holds `xéé…` may
have the maximum `y`. The footer says so, and pyarrow's Python interface does not pass it on. This
module reads these flags alone; the structs name only the fields on the way to them, by the numbers
of https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

from thrift.protocol.TBase import TBase
from thrift.protocol.TCompactProtocol import TCompactProtocolAccelerated
from thrift.Thrift import TType
from thrift.transport.TTransport import TMemoryBuffer

_TAIL_BYTES = 8  # length of the footer and magic

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


class _Statistics(_Struct):
    # The values are named since what is not named is skipped as UTF-8, which they need not be.
    thrift_spec = _fields(
        *((n, TType.STRING, f"_value_{n}", "BINARY") for n in (1, 2, 5, 6)),
        (7, TType.BOOL, "is_max_value_exact", None),
    )
    is_max_value_exact: bool | None = None


class _ColumnMetaData(_Struct):
    thrift_spec = _fields((12, TType.STRUCT, "statistics", [_Statistics, _Statistics.thrift_spec]))
    statistics: _Statistics | None = None


class _ColumnChunk(_Struct):
    thrift_spec = _fields(
        (3, TType.STRUCT, "meta_data", [_ColumnMetaData, _ColumnMetaData.thrift_spec])
    )
    meta_data: _ColumnMetaData | None = None


class _RowGroup(_Struct):
    thrift_spec = _fields(
        (1, TType.LIST, "columns", (TType.STRUCT, [_ColumnChunk, _ColumnChunk.thrift_spec], False))
    )
    columns: list[_ColumnChunk]


class _FileMetaData(_Struct):
    thrift_spec = _fields(
        (4, TType.LIST, "row_groups", (TType.STRUCT, [_RowGroup, _RowGroup.thrift_spec], False))
    )
    row_groups: list[_RowGroup]


def rounded_maxima(path: Path) -> frozenset[tuple[int, int]]:
    """The (row group, leaf column) of each chunk whose maximum may lie beyond its values.

    A chunk without the flag counts as exact: writers that do not know it do not round. Reads
    1,600 columns in 50 row groups in 0.1 s.
    """
    metadata = _FileMetaData()
    metadata.read(TCompactProtocolAccelerated(TMemoryBuffer(_footer(path))))
    return frozenset(
        (group, leaf)
        for group, row_group in enumerate(metadata.row_groups)
        for leaf, chunk in enumerate(row_group.columns)
        if _is_rounded(chunk)
    )


def _is_rounded(chunk: _ColumnChunk) -> bool:
    statistics = chunk.meta_data and chunk.meta_data.statistics
    return statistics is not None and statistics.is_max_value_exact is False


def _footer(path: Path) -> bytes:
    """The bytes of the `FileMetaData` of a file that is known to be Parquet."""
    with path.open("rb") as file:
        file.seek(-_TAIL_BYTES, os.SEEK_END)
        footer_bytes = int.from_bytes(file.read(4), "little")
        file.seek(-_TAIL_BYTES - footer_bytes, os.SEEK_END)
        return file.read(footer_bytes)
