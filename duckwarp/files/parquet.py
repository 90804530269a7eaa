"""A written Parquet file, as its own footer describes it.

Reads no pages: rows, sizes and the statistics of each column. Statistics are shown to people as
facts, so a bound appears only where it is known to be a value of the column.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duckwarp.files import pgtext
from duckwarp.files.filemetadata import (
    ColumnMetaData,
    FileMetaData,
    LogicalType,
    SchemaElement,
    TimeParameters,
    read_file_metadata,
)
from duckwarp.files.schematext import schema_text
from duckwarp.model.errors import SourceError, quote_error
from duckwarp.model.filenames import name_from_disk
from duckwarp.model.results import ColumnStatistics, ParquetFacts


def read_facts(path: Path, *, expected_rows: int | None = None) -> ParquetFacts:
    """The rows, the size and the statistics of each top-level column of a Parquet file.

    Raises `SourceError` where the footer cannot be read, or where the file does not have
    `expected_rows`.
    """
    try:
        size_bytes = path.stat().st_size
        metadata = read_file_metadata(path)
        columns = _columns(metadata)
    except (OSError, ValueError) as error:
        raise SourceError(
            f"the written file {name_from_disk(path.name)} cannot be read back: "
            f"{quote_error(error)}"
        ) from error
    if expected_rows is not None and metadata.num_rows != expected_rows:
        raise SourceError(
            f"the written file {name_from_disk(path.name)} has {metadata.num_rows:,} rows, "
            f"but {expected_rows:,} were read"
        )
    return ParquetFacts(
        rows=metadata.num_rows,
        size_bytes=size_bytes,
        columns=columns,
        row_group_rows=tuple(group.num_rows for group in metadata.row_groups),
        schema=schema_text(metadata.schema),
    )


def column_names(path: Path) -> tuple[str, ...]:
    """The names of the top-level columns of a Parquet file, in its order.

    Raises `OSError`, and `ValueError` where it is no Parquet file.
    """
    elements = read_file_metadata(path).schema
    return tuple(element.name.decode(errors="replace") for _, element in _columns_of(elements))


def read_key(path: Path, key: str) -> str | None:
    """The text of a key in the footer of a Parquet file, None where it has no such key.

    Raises `SourceError` where the footer cannot be read.
    """
    try:
        keys = read_file_metadata(path).key_value_metadata or []
    except (OSError, ValueError) as error:
        raise SourceError(
            f"the file {name_from_disk(path.name)} cannot be read: {quote_error(error)}"
        ) from error
    found = (each.value for each in keys if each.key == key.encode())
    value = next(found, None)
    return None if value is None else value.decode(errors="replace")


def _columns(metadata: FileMetaData) -> tuple[ColumnStatistics, ...]:
    groups = [[chunk.meta_data for chunk in group.columns] for group in metadata.row_groups]

    def statistics(leaf: int | None, element: SchemaElement) -> ColumnStatistics:
        if leaf is None:
            return ColumnStatistics()
        return _statistics(_kind(element), [_chunk(group[leaf]) for group in groups])

    return tuple(statistics(leaf, element) for leaf, element in _columns_of(metadata.schema))


def _columns_of(
    elements: Sequence[SchemaElement],
) -> Iterator[tuple[int | None, SchemaElement]]:
    """The place of each column among the leaves; None for nested ones, whose leaves are parts."""
    leaf = 0
    pending = 0  # elements that still belong to the current column
    for element in elements[1:]:
        children = element.num_children or 0
        if pending == 0:
            yield (None if children else leaf), element
            pending = 1
        pending += children - 1
        leaf += not children


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The statistics of one column in one row group, raw; `bounds` is None where there are none."""

    values: int
    null_count: int | None
    bounds: tuple[bytes, bytes] | None
    rounded_up: bool


def _chunk(column: ColumnMetaData) -> _Chunk:
    statistics = column.statistics
    if statistics is None:
        return _Chunk(column.num_values, None, None, rounded_up=False)
    least, greatest = statistics.min_value, statistics.max_value
    return _Chunk(
        values=column.num_values,
        null_count=statistics.null_count,
        bounds=None if least is None or greatest is None else (least, greatest),
        # DuckDB cuts text at 256 bytes and rounds the maximum up: a column that holds `xéé…` may
        # have the maximum `y`. Writers that do not know the flag do not round.
        rounded_up=statistics.is_max_value_exact is False,
    )


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the bounds of a column are read.

    `value` turns what the file has into what compares as the column does, `text` prints that.
    """

    value: Callable[[bytes], Any]
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


def _kind(element: SchemaElement) -> _Kind | None:
    """How to read the bounds of a column; None where a range would tell nobody anything."""
    logical = element.logical_type
    if logical is not None:
        return _of_logical(logical, element.type)
    if element.converted_type is not None:
        return _CONVERTED.get(element.converted_type)
    return None if element.type is None else _PHYSICAL.get(element.type)


def _of_logical(logical: LogicalType, physical: int | None) -> _Kind | None:
    """Only µs are written, so that other units are left out; JSON has no order that tells."""
    if logical.decimal is not None:
        scale = logical.decimal.scale
        value = _big_endian if physical == _FIXED_LEN_BYTE_ARRAY else _little_endian
        return _Kind(value, lambda unscaled: pgtext.decimal_text(unscaled, scale))
    if logical.time is not None:
        return _Kind(_little_endian, pgtext.time_text) if _in_micros(logical.time) else None
    if logical.timestamp is not None:
        zone = "+00" if logical.timestamp.is_adjusted_to_utc else ""
        kind = _Kind(_little_endian, lambda moment: pgtext.timestamp_text(moment, zone))
        return kind if _in_micros(logical.timestamp) else None
    if logical.integer is not None:
        return _SIGNED if logical.integer.is_signed else _UNSIGNED
    plain = {"string": _TEXT, "date": _DATE, "uuid": _Kind(bytes, pgtext.uuid_text)}
    return next((kind for name, kind in plain.items() if getattr(logical, name) is not None), None)


def _in_micros(parameters: TimeParameters) -> bool:
    return parameters.unit.micros is not None


def _little_endian(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


def _big_endian(raw: bytes) -> int:
    return int.from_bytes(raw, "big", signed=True)


def _unsigned(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def _float(form: str) -> Callable[[bytes], float]:
    """Zeros compare alike, and a bound of zero may stand for either."""
    return lambda raw: float(struct.unpack(form, raw)[0]) + 0.0


_SIGNED = _Kind(_little_endian, str)
_UNSIGNED = _Kind(_unsigned, str)
_TEXT = _Kind(bytes, pgtext.short_text, is_text=True)
_DATE = _Kind(_little_endian, pgtext.date_text)
# Physical types, and the older annotations that DuckDB writes alone, by their numbers.
_BOOLEAN, _INT32, _INT64, _FLOAT, _DOUBLE, _FIXED_LEN_BYTE_ARRAY = 0, 1, 2, 4, 5, 7
_UTF8, _CONVERTED_DATE = 0, 6
_UNSIGNED_NUMBERS, _SIGNED_NUMBERS = range(11, 15), range(15, 19)
_PHYSICAL = {
    _BOOLEAN: _Kind(lambda raw: raw != b"\0", pgtext.bool_text),
    _INT32: _SIGNED,
    _INT64: _SIGNED,
    _FLOAT: _Kind(_float("<f"), pgtext.single_text),
    _DOUBLE: _Kind(_float("<d"), pgtext.double_text),
}
_CONVERTED = {
    _UTF8: _TEXT,
    _CONVERTED_DATE: _DATE,
    **dict.fromkeys(_UNSIGNED_NUMBERS, _UNSIGNED),
    **dict.fromkeys(_SIGNED_NUMBERS, _SIGNED),
}
