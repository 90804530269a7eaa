"""Rows as PostgreSQL sends them in binary, made into Arrow's record batches.

The layouts are those of the types' send functions: numbers big-endian, days and microseconds
counted from 2000 (PostgreSQL manual, COPY, "Binary Format", and `array_send`). A whole column is
turned at once, so that a value of many megabytes is neither looked at byte by byte nor copied more
often than needed.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import pyarrow as pa

from duckwarp.engine.wiretypes import ReadColumn, WireType, schema_of
from duckwarp.model.errors import InvalidText, SourceError

# A row of fields, each the bytes of a value or None for NULL.
Row = tuple[bytes | None, ...]


def record_batch(columns: Sequence[ReadColumn], rows: Sequence[Row]) -> pa.RecordBatch:
    """The rows, at least one, as a record batch with the columns c1, c2, ….

    Raises `InvalidText`, and `SourceError` for arrays of several dimensions.
    """
    fields = zip(columns, zip(*rows, strict=True), strict=True)
    arrays = [_column(column, values) for column, values in fields]
    return pa.RecordBatch.from_arrays(arrays, schema=schema_of(columns))


def _column(column: ReadColumn, values: Row) -> pa.Array:
    made = _lists(column, values) if column.is_array else _scalars(column.type, values)
    if column.type.arrow == pa.string():
        _refuse_invalid_text(column, made)
    return made


def _refuse_invalid_text(column: ReadColumn, texts: pa.Array) -> None:
    """DuckDB would take whatever bytes Arrow has."""
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise InvalidText(f"column {column.position} of the query") from error


def _scalars(wire_type: WireType, values: Row) -> pa.Array:
    blank = bytes(wire_type.width_bytes)
    return _flat(
        wire_type,
        data=b"".join(blank if value is None else value for value in values),
        offsets=_offsets(0 if value is None else len(value) for value in values),
        present=bytes(value is not None for value in values),
    )


def _offsets(lengths: Iterable[int]) -> array[int]:
    return array("i", accumulate(lengths, initial=0))


def _flat(
    wire_type: WireType,
    *,
    data: bytes | bytearray,
    offsets: array[int],
    present: bytes | bytearray,
) -> pa.Array:
    """An Arrow array of values that stand one after another; `present` has a 0 for each NULL."""
    buffers = [_validity(present)]
    if wire_type.width_bytes:
        buffers.append(pa.py_buffer(_native(wire_type, data)))
    else:
        buffers += [pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(wire_type.arrow, len(present), buffers)


def _validity(present: bytes | bytearray) -> pa.Buffer | None:
    if all(present):
        return None
    return pa.array([flag != 0 for flag in present], pa.bool_()).buffers()[1]


# Codes of the module `array` for signed integers of a width.
_CODES = {1: "b", 2: "h", 4: "i", 8: "q"}


def _native(wire_type: WireType, data: bytes | bytearray) -> array[int]:
    """Big-endian values of one width in this machine's order, in Arrow's count."""
    values = _numbers(wire_type.width_bytes, data)
    if sys.byteorder == "little":
        values.byteswap()
    return _counted_from_1970(values, wire_type.epoch) if wire_type.epoch else values


def _numbers(width_bytes: int, data: bytes | bytearray | memoryview) -> array[int]:
    numbers = array(_CODES[width_bytes])
    numbers.frombytes(data)
    return numbers


def _counted_from_1970(values: array[int], epoch: int) -> array[int]:
    """Days or microseconds since 2000 in Arrow's count, with DuckDB's infinities.

    Moments past the range wrap to before PostgreSQL's first one, as DuckDB's own reader has them,
    and where the guards of the type map look for them.
    """
    largest = 2 ** (values.itemsize * 8 - 1) - 1
    infinities = {largest: largest, -largest - 1: -largest}
    return array(
        values.typecode,
        (
            infinities.get(value) or (value + epoch + largest + 1) % (2 * largest + 2) - largest - 1
            for value in values
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Elements:
    """The elements of a column of arrays, collected one after another."""

    data: bytearray = field(default_factory=bytearray)
    offsets: array[int] = field(default_factory=lambda: array("i", [0]))
    present: bytearray = field(default_factory=bytearray)


def _lists(column: ReadColumn, values: Row) -> pa.Array:
    elements = _Elements()
    lengths = [0 if value is None else _collect(value, elements, column) for value in values]
    flat = _flat(
        column.type, data=elements.data, offsets=elements.offsets, present=elements.present
    )
    present = bytes(value is not None for value in values)
    buffers = [_validity(present), pa.py_buffer(_offsets(lengths))]
    return pa.Array.from_buffers(column.arrow_type, len(values), buffers, children=[flat])


# An array begins with the number of its dimensions, whether it has NULLs, and its elements' type;
# each dimension then has its size and its lower bound. Every element has its length before it.
_HEADER_BYTES = 12
_DIMENSION_BYTES = 8
_LENGTH_BYTES = 4
_int4_at = struct.Struct(">i").unpack_from


def _collect(value: bytes, elements: _Elements, column: ReadColumn) -> int:
    """Add the elements of an array to the others; their number."""
    (dimensions,) = _int4_at(value, 0)
    if dimensions == 0:
        return 0
    if dimensions > 1:
        raise SourceError(
            f"column {column.position} of the query has an array of {dimensions} dimensions, "
            "which no list holds"
        )
    count: int = _int4_at(value, _HEADER_BYTES)[0]
    body = memoryview(value)[_HEADER_BYTES + _DIMENSION_BYTES :]
    width = column.type.width_bytes
    if width and len(body) == count * (_LENGTH_BYTES + width):
        _add_all(elements, _without_lengths(body, count, width), count)
    else:
        _add_each(elements, body, blank=bytes(width))
    return count


def _without_lengths(body: memoryview, count: int, width: int) -> array[int]:
    """Values of one width, none of them NULL, without the length that stands before each."""
    unit = min(width, _LENGTH_BYTES)
    units = _numbers(unit, body)
    lead, units_each = _LENGTH_BYTES // unit, width // unit
    found = _numbers(unit, bytes(count * width))
    for part in range(units_each):
        found[part::units_each] = units[lead + part :: lead + units_each]
    return found


def _add_all(elements: _Elements, values: array[int], count: int) -> None:
    data, present = elements.data, elements.present
    data += values
    present += b"\1" * count


def _add_each(elements: _Elements, body: memoryview, blank: bytes) -> None:
    data, present = elements.data, elements.present
    for element in _each(body):
        data += blank if element is None else element
        elements.offsets.append(len(data))
        present.append(element is not None)


def _each(body: memoryview) -> Iterator[memoryview | None]:
    position = 0
    while position < len(body):
        (length,) = _int4_at(body, position)
        position += _LENGTH_BYTES
        if length < 0:
            yield None
        else:
            yield body[position : position + length]
            position += length
