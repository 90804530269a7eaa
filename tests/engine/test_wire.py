"""Fields as they are on the wire become Arrow, laid out by the manual's description alone.

What PostgreSQL itself sends is held against DuckDB's reader in `test_stream.py`.
"""

from __future__ import annotations

import struct

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckwarp.engine.wire import record_batch
from duckwarp.engine.wiretypes import ReadColumn, WireColumn, read_columns

INTEGERS = {"int2": (1005, 21, "h"), "int4": (1007, 23, "i"), "int8": (1016, 20, "q")}
TEXT, TEXT_ARRAY = 25, 1009


def columns_of(*oids: int) -> tuple[ReadColumn, ...]:
    return read_columns([WireColumn(type_oid=oid, typmod=-1) for oid in oids])


def field_of(element_oid: int, elements: list[bytes | None], lower_bound: int = 1) -> bytes:
    """An array of one dimension, or of none where it is empty."""
    has_null = None in elements
    head = struct.pack(">3i", bool(elements), has_null, element_oid)
    if not elements:
        return head
    body = b"".join(
        struct.pack(">i", -1) if e is None else struct.pack(">i", len(e)) + e for e in elements
    )
    return head + struct.pack(">2i", len(elements), lower_bound) + body


@pytest.mark.parametrize(("array_oid", "oid", "code"), INTEGERS.values(), ids=INTEGERS)
@given(data=st.data())
def test_arrays_of_one_width_are_read_whether_or_not_they_have_nulls(
    array_oid: int, oid: int, code: str, data: st.DataObject
) -> None:
    bits = 8 * struct.calcsize(f">{code}")
    number = st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    arrays = st.lists(number) | st.lists(number | st.none()) | st.none()
    wanted = data.draw(st.lists(arrays, min_size=1, max_size=5))
    rows: list[tuple[bytes | None, ...]] = [
        (
            None
            if numbers is None
            else field_of(
                oid, [None if n is None else struct.pack(f">{code}", n) for n in numbers]
            ),
        )
        for numbers in wanted
    ]
    batch = record_batch(columns_of(array_oid), rows)
    batch.validate(full=True)
    assert batch.to_pydict() == {"c1": wanted}


@given(wanted=st.lists(st.none() | st.lists(st.none() | st.text()), min_size=1, max_size=5))
def test_arrays_of_any_width_are_read(wanted: list[list[str | None] | None]) -> None:
    rows: list[tuple[bytes | None, ...]] = [
        (
            None
            if texts is None
            else field_of(TEXT, [None if text is None else text.encode() for text in texts], 7),
        )
        for texts in wanted
    ]
    batch = record_batch(columns_of(TEXT_ARRAY), rows)
    batch.validate(full=True)
    assert batch.to_pydict() == {"c1": wanted}


def test_the_bytes_of_a_single_value_are_not_copied() -> None:
    value = b"x" * 100
    column = record_batch(columns_of(TEXT), [(value,)]).column(0)
    assert column.buffers()[2].address == pa.py_buffer(value).address
    assert column.to_pylist() == ["x" * 100]


def test_a_row_with_a_field_too_few_is_no_row() -> None:
    with pytest.raises(ValueError, match="shorter"):
        record_batch(columns_of(TEXT, TEXT), [(b"x",)])
