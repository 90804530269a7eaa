"""Amended footers, written by DuckDB and read by pyarrow, DuckDB, polars and pandas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from duckwarp.engine.footer import amend_footer

ROWS = 5_000  # three row groups of 2,048


def write(path: Path, select: str = "i AS a, 'v' || i AS b, i / 2 AS c", options: str = "") -> Path:
    """A file of `ROWS` rows and three row groups; `i` counts the rows."""
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT {select} FROM range({ROWS}) t(i) ORDER BY i) TO '{path}' "
            f"(FORMAT parquet, ROW_GROUP_SIZE 2048, KV_METADATA {{owner: 'é', note: 'x'}}{options})"
        )
    return path


def query(sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(sql).fetchall()


def chunks(path: Path) -> list[dict[str, Any]]:
    """All that pyarrow knows of each column chunk, in the file's order."""
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return [group.column(n).to_dict() for group in groups for n in range(group.num_columns)]


def without_path(chunk: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in chunk.items() if key != "path_in_schema"}


NAMES = [
    pytest.param(["Val", "val", "VAL"], id="names that differ in case only"),
    pytest.param(["val", "val_1", "Val"], id="a name that DuckDB gives to a renamed column"),
    pytest.param(["a.b", "a", "b.element"], id="dots"),
    pytest.param(['quo"te', "it's", "back`tick"], id="quotes"),
    pytest.param([" lead", "trail ", "a b\tc\nd"], id="blanks and line breaks"),
    pytest.param(["🦆", "é", "\u0065\u0301"], id="an emoji and two spellings of one letter"),
    pytest.param(["n" * 63, "é" * 31 + "x", "🦆" * 15 + "abc"], id="63 bytes"),
    pytest.param(["%s", "$1", "\\"], id="signs that other programs give a meaning"),
    pytest.param(["n" * 300, "b", "c"], id="a name whose length takes two bytes"),
]


@pytest.mark.parametrize("names", NAMES)
def test_every_reader_finds_the_names_and_the_same_values(tmp_path: Path, names: list[str]) -> None:
    path = write(tmp_path / "t.parquet")
    want = pq.read_table(path).to_pydict().values()
    amend_footer(path, names=names, json_columns=())
    table = pq.read_table(path)
    assert table.column_names == names
    assert [column.to_pylist() for column in table.columns] == list(want)
    frame = pl.read_parquet(path)
    assert frame.columns == names
    assert [series.to_list() for series in frame] == list(want)
    pandas = pd.read_parquet(path)
    assert list(pandas.columns) == names
    assert [pandas[name].to_list() for name in names] == list(want)
    assert query(f"SELECT * FROM '{path}'") == list(zip(*want, strict=True))
    assert [row[0] for row in query(f"SELECT name FROM parquet_schema('{path}')")][1:] == names


def test_new_names_reach_every_column_chunk_and_change_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet")
    before, metadata = chunks(path), pq.read_metadata(path)
    amend_footer(path, names=["Val", "val", "c.d"], json_columns=())
    after = chunks(path)
    assert [chunk["path_in_schema"] for chunk in after] == ["Val", "val", "c.d"] * 3
    assert [without_path(chunk) for chunk in after] == [without_path(chunk) for chunk in before]
    assert after[0]["statistics"]["max"] == 2047
    amended = pq.read_metadata(path)
    assert amended.metadata == metadata.metadata == {b"owner": "é".encode(), b"note": b"x"}
    assert amended.created_by == metadata.created_by
    assert amended.created_by.startswith("DuckDB")


def test_shorter_names_give_the_file_that_duckdb_writes_with_them(tmp_path: Path) -> None:
    want = write(tmp_path / "want.parquet", "i AS a, [i] AS b, 'x' AS c").read_bytes()
    path = write(tmp_path / "t.parquet", "i AS placeholder_1, [i] AS placeholder_2, 'x' AS p3")
    assert path.stat().st_size > len(want)
    amend_footer(path, names=["a", "b", "c"], json_columns=())
    assert path.read_bytes() == want


# One column of each kind of statistics and of each shape.
WIDE = """
    i AS a, i % 2 = 0 AS b, i / 3 AS c, 'x' || repeat('é', 200) AS d, '\\xC3\\xFF'::BLOB AS e,
    [i, NULL] AS f, {'p': i, 'q': {'r': 'z'}} AS g, '[1]'::JSON AS h, uuid() AS i, DATE '2024-01-31'
    AS j, 1.5::DECIMAL(38, 2) AS k, NULL::INTEGER AS l, MAP {'m': i} AS m, 'inf'::FLOAT AS n"""
WIDE_NAMES = list("abcdefghijklmn")


@pytest.mark.parametrize("compression", ["snappy", "zstd"])
def test_a_file_given_its_own_names_stays_the_same_byte_for_byte(
    tmp_path: Path, compression: str
) -> None:
    path = write(tmp_path / "t.parquet", WIDE, f", COMPRESSION {compression}")
    before = path.read_bytes()
    assert pq.read_schema(path).names == WIDE_NAMES
    amend_footer(path, names=WIDE_NAMES, json_columns=())
    assert path.read_bytes() == before


def test_the_parts_of_nested_columns_keep_their_names(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", "[i] AS a, {'p': i, 'q': {'r': 'z'}} AS b, 'x' AS c")
    amend_footer(path, names=["A.1", "a.1", "C"], json_columns=[2])
    schema = pq.ParquetFile(path).schema
    assert [schema.column(n).path for n in range(4)] == [
        "A.1.list.element", "a.1.p", "a.1.q.r", "C"
    ]  # fmt: skip
    assert [chunk["path_in_schema"] for chunk in chunks(path)[:4]] == [
        "A.1.list.element", "a.1.p", "a.1.q.r", "C"
    ]  # fmt: skip
    assert schema.column(3).logical_type.type == "JSON"
    row = {"A.1": [7], "a.1": {"p": 7, "q": {"r": "z"}}, "C": "x"}
    assert pq.read_table(path).slice(7, 1).to_pylist() == [row]


def test_a_text_column_becomes_json_for_every_reader(tmp_path: Path) -> None:
    text = 'CASE WHEN i <> 1 THEN \'{"n":  \' || i || \', "n": "\\u0000"}\' END'
    path = write(tmp_path / "t.parquet", f"[i] AS l, {text} AS j, 'x' AS t")
    want = pq.read_table(path).to_pylist()
    assert [row["j"] for row in want[:2]] == ['{"n":  0, "n": "\\u0000"}', None]
    amend_footer(path, names=None, json_columns=[1])
    schema = pq.ParquetFile(path).schema
    kinds = [(schema.column(n).logical_type.type, schema.column(n).converted_type) for n in (1, 2)]
    assert kinds == [("JSON", "JSON"), ("STRING", "UTF8")]
    types = query(f"SELECT column_type FROM (DESCRIBE FROM '{path}')")
    assert types == [("BIGINT[]",), ("JSON",), ("VARCHAR",)]
    assert query(f"SELECT l, j, t FROM '{path}'") == [tuple(row.values()) for row in want]
    assert pq.read_table(path).to_pylist() == want
    # polars gives JSON as bytes, whoever wrote it.
    assert pl.read_parquet(path).cast({"j": pl.String}).to_dicts() == want
    assert pd.read_parquet(path)["j"][0] == want[0]["j"]


def test_json_that_duckdb_cannot_parse_is_refused_by_its_reader_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", """'"\\ud800"' AS j""")
    amend_footer(path, names=None, json_columns=[0])
    assert pd.read_parquet(path)["j"][0] == '"\\ud800"'
    with pytest.raises(duckdb.InvalidInputException, match="Invalid JSON found in Parquet file"):
        query(f"SELECT j FROM '{path}'")


def test_the_annotation_equals_what_duckdb_writes_itself(tmp_path: Path) -> None:
    want = write(tmp_path / "want.parquet", "i AS a, '[1]'::JSON AS b, 'x' AS c")
    path = write(tmp_path / "t.parquet", "i AS a, '[1]' AS b, 'x' AS c")
    assert path.read_bytes() != want.read_bytes()
    amend_footer(path, names=None, json_columns=[1])
    assert path.read_bytes() == want.read_bytes()


def test_marking_json_touches_nothing_but_the_schema(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", WIDE)
    before, pages_end = path.read_bytes(), path.stat().st_size - 8 - footer_bytes(path)
    amend_footer(path, names=None, json_columns=[3])
    after = path.read_bytes()
    assert after != before
    assert after[:pages_end] == before[:pages_end]
    statistics_and_keys = before[-8 - footer_bytes(path) // 2 : -8]
    assert after.endswith(statistics_and_keys + after[-8:])


def footer_bytes(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[-8:-4], "little")


def test_names_and_json_are_set_together_in_a_file_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    query(f"COPY (SELECT 1 AS a, 'x' AS b WHERE false) TO '{path}' (FORMAT parquet)")
    amend_footer(path, names=["Val", "val"], json_columns=[1])
    schema = pq.ParquetFile(path).schema
    assert schema.names == ["Val", "val"]
    assert schema.column(1).logical_type.type == "JSON"
    assert query(f"SELECT count(*) FROM '{path}'") == [(0,)]


REFUSALS = [
    pytest.param({"names": ["a", "b"]}, "2 names for 3 columns", id="too few names"),
    pytest.param({"names": list("abcd")}, "4 names for 3 columns", id="too many names"),
    pytest.param({"json_columns": [3]}, "no column 3 .* there are 3", id="no such column"),
    pytest.param({"json_columns": [-1]}, "no column -1", id="a place from the end"),
    pytest.param({"json_columns": [0]}, '"a" cannot be .* not stored as text', id="a number"),
    pytest.param({"json_columns": [2]}, '"l" cannot be .* not stored as text', id="a list"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSALS)
def test_a_change_that_does_not_fit_is_refused_and_the_file_untouched(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / "t.parquet", "i AS a, 'x' AS b, [i] AS l")
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        amend_footer(path, **{"names": None, "json_columns": ()} | arguments)
    assert path.read_bytes() == before


NOT_PARQUET = [
    pytest.param(b"", "not a Parquet file", id="an empty file"),
    pytest.param(b"PAR1", "not a Parquet file", id="a magic alone"),
    pytest.param(b"a,b\n1,2\n3,4\n5,6\n", "not a Parquet file", id="a CSV file"),
    pytest.param(
        b"PAR1" + (99).to_bytes(4, "little") + b"PAR1", "not a Parquet file",
        id="a footer longer than the file",
    ),
    pytest.param(b"PAR1\x00\x01\x00\x00\x00PAR1", "no columns", id="a footer without a schema"),
    pytest.param(b"PAR1\x00\x00\x00\x00PAR1", "cannot be parsed", id="a footer of no bytes"),
    pytest.param(
        b"PAR1\x29\xffab\x04\x00\x00\x00PAR1", "cannot be parsed", id="a footer of noise"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), NOT_PARQUET)
def test_a_file_that_is_not_parquet_is_named_and_left_alone(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"t.parquet: .*{message}"):
        amend_footer(path, names=["a"], json_columns=())
    assert path.read_bytes() == content
