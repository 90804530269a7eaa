"""docs/types.md is what its generator writes, and readers see types as it says."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest

from docs import make_types
from duckwarp.engine.footer import amend_footer
from duckwarp.engine.types import COMPOSITE, ENUM, FALLBACK, RULES
from duckwarp.output.schema import ARROW_SCHEMA_KEY, arrow_schema
from tests.output.test_schema import facts, write

# A value of each Parquet type, as DuckDB writes it.
VALUES = {
    "BOOLEAN": "true",
    "INT16": "1::SMALLINT",
    "INT32": "1::INTEGER",
    "INT64": "1::BIGINT",
    "UINT32": "1::UINTEGER",
    "FLOAT": "1::FLOAT",
    "DOUBLE": "1::DOUBLE",
    "DECIMAL": "1.5::DECIMAL(12,2)",
    "STRING": "'a'",
    "BYTE_ARRAY": "'a'::BLOB",
    "UUID": "'ffffffff-ffff-ffff-ffff-ffffffffffff'::UUID",
    "JSON": "'{}'",
    "DATE": "DATE '2024-01-01'",
    "TIMESTAMP": "TIMESTAMP '2024-01-01'",
    "TIMESTAMP UTC": "TIMESTAMPTZ '2024-01-01 00:00:00+00'",
    "TIME": "TIME '10:00'",
    "LIST": "[1, 2]",
}


def test_the_page_of_types_is_what_the_type_map_says() -> None:
    page = make_types.PAGE.read_text(encoding="utf-8")
    assert page == make_types.page(), "stale: run python docs/make_types.py"


def test_every_row_of_the_map_is_on_the_page() -> None:
    page = make_types.page()
    for rule in (*RULES, ENUM, COMPOSITE, FALLBACK):
        assert f"| {rule.shown} | {rule.why} |" in page
        assert all(f"`{name}`" in page for name in rule.types)


def test_the_page_says_how_each_written_type_is_read() -> None:
    assert set(make_types.READERS) == set(VALUES)


@pytest.mark.parametrize("name", list(VALUES))
def test_readers_see_the_types_that_the_page_promises(name: str, tmp_path: Path) -> None:
    (row,) = duckdb.sql(f"DESCRIBE SELECT {VALUES[name]} AS c").fetchall()
    key = (ARROW_SCHEMA_KEY, arrow_schema([facts(duckdb_type=row[1])]))
    path = write(tmp_path / "one.parquet", f"{VALUES[name]} AS c", key)
    if name == "JSON":
        amend_footer(path, names=None, json_columns={0})
    readers = make_types.READERS[name]
    frame = pd.read_parquet(path)
    dtype = str(frame["c"].dtype)
    if dtype == "object" and readers.pandas != "str":
        kind = "array" if name == "LIST" else type(frame["c"][0]).__name__
        dtype = f"object ({kind})"
    # Before version 3 pandas had no type of its own for text.
    assert dtype in (readers.pandas, "object" if readers.pandas == "str" else None)
    seen_by_polars = str(pl.read_parquet(path)["c"].dtype)
    assert seen_by_polars.startswith(readers.polars.split("(")[0])
    seen_by_duckdb = duckdb.sql(f"DESCRIBE FROM '{path}'").fetchall()[0][1]
    assert seen_by_duckdb in (readers.duckdb, "DECIMAL(12,2)", "INTEGER[]")
