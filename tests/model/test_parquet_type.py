"""The type of a column: its text, and what it is called elsewhere."""

from __future__ import annotations

import pickle

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckwarp.model.parquet_type import Kind, ParquetType

SCALARS = [ParquetType(kind) for kind in Kind if kind not in (Kind.DECIMAL, Kind.OTHER)]
SCALARS += [ParquetType(Kind.DECIMAL, *digits) for digits in ((1, 0), (18, 2), (38, 38))]
TYPES = SCALARS + [each.list for each in SCALARS]

# What is no type of a column that is written, or not as DuckDB writes it.
OTHERS = [
    *("", "[]", "x", "HUGEINT", "TIMESTAMP_NS", "STRUCT(a INTEGER)", "INTEGER[][]", "INTEGER[3]"),
    *("DECIMAL", "DECIMAL(", "DECIMAL(9)", "DECIMAL(9,2", "DECIMAL(09,2)", "DECIMAL(9, 2)"),
    *("DECIMAL(0,0)", "DECIMAL(9,2,1)", "DECIMAL(a,b)", "DECIMAL (from the data)", "integer"),
]


@pytest.mark.parametrize("parquet_type", TYPES, ids=str)
def test_the_text_is_the_name_that_duckdb_has(parquet_type: ParquetType) -> None:
    with duckdb.connect() as connection:
        [row] = connection.sql(f"DESCRIBE SELECT NULL::{parquet_type} AS c").fetchall()
    assert row[1] == str(parquet_type)
    assert ParquetType.parse(row[1]) == parquet_type
    assert pickle.loads(pickle.dumps(parquet_type)) == parquet_type


@pytest.mark.parametrize("text", [*OTHERS, *(f"{text}[]" for text in OTHERS)])
def test_what_no_export_writes_is_read_as_something_else(text: str) -> None:
    found = ParquetType.parse(text)
    assert (found.kind, found.table_schema) == (Kind.OTHER, "any")
    assert str(found) == text


@given(st.lists(st.sampled_from(["DECIMAL", *"(019,)-+ _x²", "[]"]), max_size=9).map("".join))
def test_a_text_that_is_read_is_written_the_same(text: str) -> None:
    assert str(ParquetType.parse(text)) == text


def test_a_decimal_that_the_data_decide_says_so() -> None:
    assert str(ParquetType(Kind.DECIMAL)) == "DECIMAL (from the data)"
    assert str(ParquetType(Kind.DECIMAL).list) == "DECIMAL (from the data)[]"


@pytest.mark.parametrize("parquet_type", TYPES, ids=str)
def test_text_bytes_and_lists_are_of_any_length(parquet_type: ParquetType) -> None:
    scalar = str(parquet_type.element)
    want = parquet_type.is_list or scalar in ("VARCHAR", "JSON", "BLOB")
    assert parquet_type.is_variable is want
    assert parquet_type.is_text is (not parquet_type.is_list and scalar in ("VARCHAR", "JSON"))


@pytest.mark.parametrize(
    ("text", "want"),
    [("DECIMAL(18,2)", 8), ("DECIMAL(19,2)", 16), ("INTEGER", 4), ("UUID", 16), ("VARCHAR", 24)],
)
def test_a_value_takes_so_many_bytes(text: str, want: int) -> None:
    assert ParquetType.parse(text).width_bytes == want
