"""The facts of a Parquet file, as its own footer tells them: all that is asked of a footer.

Reads no pages. Statistics are shown to people as facts, so a bound appears only where it is known
to be a value of the column.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duckwarp.files import pgtext
from duckwarp.files.dataset import FOOTER_KEY
from duckwarp.files.footer import Struct, read_footer
from duckwarp.files.schematext import name_text, schema_text, type_text
from duckwarp.model.errors import SourceError, quote_error
from duckwarp.model.filenames import name_from_disk
from duckwarp.model.results import ColumnStatistics, FileFacts

# What a footer raises that can be parsed and makes no sense.
_NONSENSE = (ValueError, TypeError, AttributeError, LookupError, RecursionError, struct.error)


def read_facts(path: Path, *, expected_rows: int | None = None) -> FileFacts:
    """Read the facts of a Parquet file.

    Raises `SourceError` where the footer cannot be read, or where the file does not have
    `expected_rows`.
    """
    try:
        footer = read_footer(path)
        facts = _facts(footer, path.stat().st_size)
    except (OSError, *_NONSENSE) as error:
        raise SourceError(
            f"the file {name_from_disk(path.name)} cannot be read: {quote_error(error)}"
        ) from error
    if expected_rows is not None and facts.rows != expected_rows:
        raise SourceError(
            f"the written file {name_from_disk(path.name)} has {facts.rows:,} rows, "
            f"but {expected_rows:,} were read"
        )
    return facts


def _facts(footer: Struct, size_bytes: int) -> FileFacts:
    columns = footer.schema.children
    keys = {each.key: each.value for each in footer.key_value_metadata or ()}
    description = keys.get(FOOTER_KEY.encode())
    return FileFacts(
        rows=footer.num_rows,
        size_bytes=size_bytes,
        names=tuple(map(name_text, columns)),
        types=tuple(map(type_text, columns)),
        columns=tuple(_columns(footer)),
        row_group_rows=tuple(group.num_rows for group in footer.row_groups),
        schema=schema_text(footer.schema),
        description=None if description is None else description.decode(errors="replace"),
    )


def _columns(footer: Struct) -> Iterator[ColumnStatistics]:
    """The statistics of each column; those of nested ones, whose leaves are parts, are unknown."""
    leaf = 0
    for element in footer.schema.children:
        if element.children:
            yield ColumnStatistics()
        else:
            chunks = [_chunk(group.columns[leaf].meta_data) for group in footer.row_groups]
            yield _statistics(_kind(element), chunks)
        leaf += _leaf_count(element)


def _leaf_count(element: Struct) -> int:
    return sum(map(_leaf_count, element.children)) if element.children else 1


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The statistics of one column in one row group, raw; `bounds` is None where there are none."""

    values: int
    null_count: int | None
    bounds: tuple[bytes, bytes] | None
    rounded_up: bool


def _chunk(column: Struct) -> _Chunk:
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


def _kind(element: Struct) -> _Kind | None:
    """How to read the bounds of a column; None where a range would tell nobody anything."""
    logical = element.logical_type
    if logical is not None:
        return _of_logical(logical, element.type)
    if element.converted_type is not None:
        return _CONVERTED.get(element.converted_type)
    return None if element.type is None else _PHYSICAL.get(element.type)


def _of_logical(logical: Struct, physical: int | None) -> _Kind | None:
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


def _in_micros(parameters: Struct) -> bool:
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
