"""A written Parquet file, as its own footer describes it.

Reads no pages: rows, sizes and the statistics of each column. Statistics are shown to people as
facts, so a bound appears only where it is known to be a value of the column.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from duckwarp.errors import SourceError
from duckwarp.output import pgtext
from duckwarp.output.exactness import rounded_maxima
from duckwarp.results import ColumnStatistics, ParquetFacts


def read_facts(path: Path, *, expected_rows: int | None = None) -> ParquetFacts:
    """The rows, the size and the statistics of each top-level column of a Parquet file.

    Raises `SourceError` where the footer cannot be read, or where the file does not have
    `expected_rows`.
    """
    try:
        size_bytes = path.stat().st_size
        metadata = pq.read_metadata(path)
        columns = _columns(path, metadata)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"the written file {path.name} cannot be read back: {error}") from error
    if expected_rows is not None and metadata.num_rows != expected_rows:
        raise SourceError(
            f"the written file {path.name} has {metadata.num_rows:,} rows, "
            f"but {expected_rows:,} were read"
        )
    groups = range(metadata.num_row_groups)
    return ParquetFacts(
        rows=metadata.num_rows,
        size_bytes=size_bytes,
        columns=columns,
        row_group_rows=tuple(metadata.row_group(number).num_rows for number in groups),
    )


def _columns(path: Path, metadata: pq.FileMetaData) -> tuple[ColumnStatistics, ...]:
    leaves = list(_leaf_of_each_column(metadata.schema.to_arrow_schema()))
    kinds = [None if leaf is None else _kind(metadata.schema.column(leaf)) for leaf in leaves]
    has_text = any(kind is not None and kind.is_text for kind in kinds)
    rounded = rounded_maxima(path) if has_text else frozenset()
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]

    def statistics(leaf: int | None, kind: _Kind | None) -> ColumnStatistics:
        if leaf is None:
            return ColumnStatistics()
        chunks = [
            _chunk(group.column(leaf), (n, leaf) in rounded) for n, group in enumerate(groups)
        ]
        return _statistics(kind, chunks)

    return tuple(statistics(leaf, kind) for leaf, kind in zip(leaves, kinds, strict=True))


def _leaf_of_each_column(schema: pa.Schema) -> Iterator[int | None]:
    """The place of each column among the leaves; None for nested ones, whose leaves are parts."""
    leaf = 0
    for data_type in schema.types:
        yield None if data_type.num_fields else leaf
        leaf += _leaf_count(data_type)


def _leaf_count(data_type: pa.DataType) -> int:
    if not data_type.num_fields:
        return 1
    return sum(_leaf_count(data_type.field(n).type) for n in range(data_type.num_fields))


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The statistics of one column in one row group, raw; `bounds` is None where there are none."""

    values: int
    null_count: int | None
    bounds: tuple[Any, Any] | None
    rounded_up: bool


def _chunk(column: pq.ColumnChunkMetaData, rounded_up: bool) -> _Chunk:
    statistics = column.statistics
    if statistics is None:
        return _Chunk(column.num_values, None, None, rounded_up)
    return _Chunk(
        values=column.num_values,
        null_count=statistics.null_count if statistics.has_null_count else None,
        # min and max themselves raise for dates beyond Python's.
        bounds=(statistics.min_raw, statistics.max_raw) if statistics.has_min_max else None,
        rounded_up=rounded_up,
    )


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the bounds of a column are read.

    `value` turns what the file has into what compares as the column does, `text` prints that.
    """

    value: Callable[[Any], Any]
    text: Callable[[Any], str]
    is_text: bool = False


def _statistics(kind: _Kind | None, chunks: list[_Chunk]) -> ColumnStatistics:
    counts = [chunk.null_count for chunk in chunks]
    null_count = None if None in counts else sum(count for count in counts if count is not None)
    # A row group that is all NULL has no bounds and needs none.
    filled = [chunk for chunk in chunks if chunk.null_count != chunk.values]
    bounded = [chunk for chunk in filled if chunk.bounds is not None]
    if kind is None or not filled or len(bounded) < len(filled):
        return ColumnStatistics(null_count=null_count)
    return ColumnStatistics(
        null_count=null_count, minimum=_minimum(kind, bounded), maximum=_maximum(kind, bounded)
    )


def _minimum(kind: _Kind, chunks: list[_Chunk]) -> str:
    """The least value. A text that the writer cut is over 60 characters and is cut here as well."""
    return kind.text(min(kind.value(chunk.bounds[0]) for chunk in chunks if chunk.bounds))


def _maximum(kind: _Kind, chunks: list[_Chunk]) -> str | None:
    """The greatest value, None where the footer has only something beyond it.

    The writer rounds a long text up in its last character. Of a bound over 60 characters that
    character is not shown, and what is shown is the beginning of the greatest value.
    """
    greatest, exact = max(
        (kind.value(chunk.bounds[1]), not chunk.rounded_up) for chunk in chunks if chunk.bounds
    )
    if exact or (kind.is_text and pgtext.is_cut(greatest)):
        return kind.text(greatest)
    return None


def _kind(column: pq.ColumnSchema) -> _Kind | None:
    """How to read the bounds of a column; None where a range would tell nobody anything."""
    logical = column.logical_type.type
    if logical == "NONE":
        return _PLAIN.get(column.physical_type)
    if logical == "DECIMAL":
        scale = column.scale
        return _Kind(_unscaled, lambda unscaled: pgtext.decimal_text(unscaled, scale))
    if logical in ("INT", "TIME", "TIMESTAMP"):
        return _parametrised(logical, json.loads(column.logical_type.to_json()), column)
    return _LOGICAL.get(logical)


def _parametrised(logical: str, about: dict[str, Any], column: pq.ColumnSchema) -> _Kind | None:
    """The kinds that the file describes further; only µs are written, other units are left out."""
    if logical == "INT":
        bits = 32 if column.physical_type == "INT32" else 64
        return _INTEGER if about["isSigned"] else _Kind(lambda raw: raw % (1 << bits), str)
    if about["timeUnit"] != "microseconds":
        return None
    if logical == "TIME":
        return _Kind(int, pgtext.time_text)
    zone = "+00" if about["isAdjustedToUTC"] else ""
    return _Kind(int, lambda microseconds: pgtext.timestamp_text(microseconds, zone))


def _unscaled(raw: int | bytes) -> int:
    """A decimal's integer; what does not fit 8 bytes is stored big-endian in a fixed array."""
    return raw if isinstance(raw, int) else int.from_bytes(raw, "big", signed=True)


_INTEGER = _Kind(int, str)
_PLAIN = {
    "BOOLEAN": _Kind(bool, pgtext.bool_text),
    "INT32": _INTEGER,
    "INT64": _INTEGER,
    "FLOAT": _Kind(float, pgtext.single_text),
    "DOUBLE": _Kind(float, pgtext.double_text),
}
_LOGICAL = {
    "STRING": _Kind(bytes, pgtext.short_text, is_text=True),
    "DATE": _Kind(int, pgtext.date_text),
    "UUID": _Kind(bytes, pgtext.uuid_text),
}
