"""Facts of files that DuckDB wrote, against what was written."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckwarp.files import pgtext
from duckwarp.files.facts import read_facts
from duckwarp.model.errors import SourceError
from duckwarp.model.results import ColumnStatistics


def write(path: Path, select: str) -> Path:
    """A file of row groups of 2,048 rows."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    return path


def statistics_of(path: Path, *expressions: str) -> ColumnStatistics:
    """The statistics of one column with these values."""
    rows = " UNION ALL ".join(f"SELECT {expression} AS v" for expression in expressions)
    (column,) = read_facts(write(path / "t.parquet", rows)).columns
    return column


RANGES = [
    pytest.param(["1::SMALLINT", "-7"], "-7", "1", id="smallint"),
    pytest.param(["9223372036854775807", "-9223372036854775808"],
                 "-9223372036854775808", "9223372036854775807", id="bigint at its ends"),
    pytest.param(["4294967295::UINTEGER", "7::UINTEGER"],
                 "7", "4294967295", id="oid, unsigned"),
    pytest.param(["18446744073709551615::UBIGINT", "7::UBIGINT"],
                 "7", "18446744073709551615", id="unsigned in 8 bytes"),
    pytest.param(["true", "false"], "false", "true", id="boolean"),
    pytest.param(["true"], "true", "true", id="one boolean only"),
    pytest.param(["1.1::DOUBLE", "1e300"], "1.1", "1e+300", id="double"),
    pytest.param(["1.1::FLOAT", "16777216"], "1.1", "16777216.0", id="real, as short as it is"),
    pytest.param(["3.4028235e38::FLOAT", "1e-45::FLOAT"],
                 "1e-45", "3.4028235e+38", id="real at its ends"),
    pytest.param(["'inf'::DOUBLE", "'-inf'::DOUBLE"],
                 "-Infinity", "Infinity", id="infinite doubles"),
    pytest.param(["-0.0::DOUBLE"], "0.0", "0.0", id="a zero without a sign"),
    pytest.param(["'nan'::DOUBLE", "1"], None, None, id="NaN: DuckDB leaves the range out"),
    pytest.param(["1.5::DECIMAL(4,1)", "-2.5"], "-2.5", "1.5", id="decimal in 4 bytes"),
    pytest.param(["1234567890.12::DECIMAL(12,2)", "0.01"],
                 "0.01", "1234567890.12", id="decimal in 8 bytes"),
    pytest.param(["-123456789012345678901234567890.12345678::DECIMAL(38,8)", "2"],
                 "-123456789012345678901234567890.12345678", "2.00000000", id="decimal, 38 digits"),
    pytest.param(["0.00000000000000000001::DECIMAL(38,20)"],
                 "0.00000000000000000001", "0.00000000000000000001",
                 id="a small decimal has no exponent"),
    pytest.param(["7::DECIMAL(18,0)", "-7"], "-7", "7", id="decimal without a fraction"),
    pytest.param(["DATE '2024-01-31'", "DATE '1969-12-31'"],
                 "1969-12-31", "2024-01-31", id="date"),
    pytest.param(["DATE '5874897-12-31'", "DATE '4713-01-01 (BC)'"],
                 "4713-01-01 BC", "5874897-12-31", id="dates at PostgreSQL's ends"),
    pytest.param(["DATE '0044-03-15 (BC)'", "DATE '12024-01-01'"],
                 "0044-03-15 BC", "12024-01-01", id="dates beyond Python's"),
    pytest.param(["DATE '0001-01-01'", "DATE '0001-12-31 (BC)'"],
                 "0001-12-31 BC", "0001-01-01", id="no year 0"),
    pytest.param(["TIMESTAMP '2024-01-31 09:30:00.5'", "TIMESTAMP '1969-12-31 23:59:59.999999'"],
                 "1969-12-31 23:59:59.999999", "2024-01-31 09:30:00.5", id="timestamp"),
    pytest.param(["TIMESTAMP '294246-12-31 23:59:59'", "TIMESTAMP '4713-01-01 (BC) 01:00:00'"],
                 "4713-01-01 01:00:00 BC", "294246-12-31 23:59:59", id="timestamps at their ends"),
    pytest.param(["TIMESTAMPTZ '2024-01-31 09:30:00+02'",
                  "TIMESTAMPTZ '0044-03-15 (BC) 12:00:00+00'"],
                 "0044-03-15 12:00:00+00 BC", "2024-01-31 07:30:00+00", id="timestamptz in UTC"),
    pytest.param(["TIME '09:30:00'", "TIME '23:59:59.25'"], "09:30:00", "23:59:59.25", id="time"),
    pytest.param(["UUID 'ffffffff-0000-0000-0000-0000000000ff'",
                  "UUID '00000000-0000-0000-0000-000000000001'"],
                 "00000000-0000-0000-0000-000000000001", "ffffffff-0000-0000-0000-0000000000ff",
                 id="uuid, unsigned"),
    pytest.param(["'zz'", "'é'", "'Z'"], "Z", "é", id="text by its bytes"),
    pytest.param(["''", "'a'"], "", "a", id="the empty text"),
    pytest.param(["'ab'::BLOB"], None, None, id="bytes have no readable range"),
    pytest.param(["'{}'::JSON"], None, None, id="json has no range"),
    pytest.param(["TIMESTAMP_NS '2024-01-31 09:30:00'"], None, None, id="a unit never written"),
    pytest.param(["NULL::INTEGER"], None, None, id="nothing but NULL"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "minimum", "maximum"), RANGES)
def test_a_range_reads_as_postgresql_writes_the_values(
    tmp_path: Path, values: list[str], minimum: str | None, maximum: str | None
) -> None:
    column = statistics_of(tmp_path, *values)
    assert (column.minimum, column.maximum) == (minimum, maximum)
    assert column.null_count == (values == ["NULL::INTEGER"])


CUT = "x" * 59 + "…"
LONG_TEXTS = [
    pytest.param(["repeat('x', 60)"], "x" * 60, "x" * 60, id="60 characters are whole"),
    pytest.param(["repeat('x', 61)"], CUT, CUT, id="61 characters are cut"),
    pytest.param(["repeat('é', 61)"], "é" * 59 + "…", "é" * 59 + "…", id="characters, not bytes"),
    pytest.param(["repeat('x', 5000)"], CUT, CUT, id="DuckDB's own cut is not seen"),
    pytest.param(["repeat('x', 100) || repeat('é', 200)"], CUT, CUT,
                 id="rounded up after what is shown"),
    pytest.param(["'x' || repeat('é', 200)"], "x" + "é" * 58 + "…", None,
                 id="rounded up to y, which is no value"),
    pytest.param(["'x' || repeat('é', 200)", "'y'"], "x" + "é" * 58 + "…", None,
                 id="y in the same row group: the footer cannot tell"),
    pytest.param(["'x' || repeat('é', 200)", "'z'"], "x" + "é" * 58 + "…", "z",
                 id="a greater value that is exact"),
    pytest.param(["repeat('é', 200)"], None, None, id="text that DuckDB cannot round up"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "minimum", "maximum"), LONG_TEXTS)
def test_a_text_range_shows_values_and_never_a_rounded_bound(
    tmp_path: Path, values: list[str], minimum: str | None, maximum: str | None
) -> None:
    column = statistics_of(tmp_path, *values)
    if maximum is None and column.maximum == "y":
        pytest.fail("a bound was shown as if it were a value")
    assert (column.minimum, column.maximum) == (minimum, maximum)


def test_statistics_are_of_all_row_groups(tmp_path: Path) -> None:
    select = """
        SELECT i AS counted, 4999 - i AS backwards,
               CASE WHEN i < 10 THEN 'v' || i END AS text_then_null,
               CASE WHEN i = 4999 THEN 'nan'::DOUBLE ELSE i END AS ends_in_nan,
               CASE WHEN i < 3000 THEN 'a' ELSE 'x' || repeat('é', 200) END AS rounded_at_the_end,
               [i, NULL] AS listed, NULL::INTEGER AS nothing
        FROM range(5000) t(i)"""
    path = write(tmp_path / "t.parquet", select)
    assert pq.read_metadata(path).num_row_groups == 3
    facts = read_facts(path, expected_rows=5000)
    assert facts.rows == 5000
    assert facts.size_bytes == path.stat().st_size
    assert facts.columns == (
        ColumnStatistics(null_count=0, minimum="0", maximum="4999"),
        ColumnStatistics(null_count=0, minimum="0", maximum="4999"),
        ColumnStatistics(null_count=4990, minimum="v0", maximum="v9"),
        ColumnStatistics(null_count=0),
        ColumnStatistics(null_count=0, minimum="a"),
        ColumnStatistics(),
        ColumnStatistics(null_count=5000),
    )


def test_an_exact_maximum_wins_over_an_equal_rounded_bound(tmp_path: Path) -> None:
    select = """
        SELECT CASE WHEN i < 2048 THEN 'x' || repeat('é', 200) ELSE 'y' END AS v
        FROM range(3000) t(i)"""
    (column,) = read_facts(write(tmp_path / "t.parquet", select)).columns
    assert column.maximum == "y"


def test_columns_keep_their_places_beside_nested_ones_and_odd_names(tmp_path: Path) -> None:
    select = """SELECT {'p': 1, 'q': [2]} AS s, 3 AS "a.b", MAP {'k': 4} AS m, 5 AS "s.p" """
    facts = read_facts(write(tmp_path / "t.parquet", select))
    assert [column.minimum for column in facts.columns] == [None, "3", None, "5"]
    assert [column.null_count for column in facts.columns] == [None, 0, None, 0]


def test_a_file_without_rows_has_facts(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", "SELECT 1 AS a, 'x' AS b, [1] AS c WHERE false")
    facts = read_facts(path, expected_rows=0)
    assert facts.rows == 0
    assert facts.size_bytes == path.stat().st_size
    nothing = ColumnStatistics(null_count=0)
    assert facts.columns == (nothing, nothing, ColumnStatistics())


def test_a_file_without_statistics_has_no_ranges(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", None]}), path, write_statistics=False)
    assert read_facts(path).columns == (ColumnStatistics(), ColumnStatistics())


def test_a_wrong_number_of_rows_is_an_error_with_both_figures(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", "SELECT i FROM range(1304) t(i)")
    with pytest.raises(SourceError, match=r"t\.parquet has 1,304 rows, but 1,305 were read"):
        read_facts(path, expected_rows=1305)


def test_a_file_that_cannot_be_read_is_an_error_with_its_name(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.parquet", "SELECT i FROM range(1000) t(i)").read_bytes()
    broken = {
        "absent": None,
        "empty": b"",
        "cut": whole[:-20],
        "noise": whole[:-40] + b"\xff" * 32 + whole[-8:],
    }
    for name, content in broken.items():
        path = tmp_path / f"{name}.parquet"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SourceError, match=rf"{name}\.parquet cannot be read: .+"):
            read_facts(path)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.dates())
def test_dates_are_those_of_python_where_it_has_them(day: date) -> None:
    assert pgtext.date_text((day - EPOCH.date()).days) == day.isoformat()


@given(st.datetimes(timezones=st.just(UTC)))
def test_timestamps_are_those_of_python_where_it_has_them(moment: datetime) -> None:
    microseconds = (moment - EPOCH) // timedelta(microseconds=1)
    text = pgtext.timestamp_text(microseconds, "+00")
    assert datetime.fromisoformat(text) == moment
    assert not text.partition(".")[2].removesuffix("+00").endswith("0")


@given(st.integers(-(10**38) + 1, 10**38 - 1), st.integers(0, 38))
def test_decimals_keep_every_digit(unscaled: int, scale: int) -> None:
    text = pgtext.decimal_text(unscaled, scale)
    assert Decimal(text).as_tuple().exponent == -scale
    assert int(text.replace(".", "")) == unscaled


@given(st.floats(width=32, allow_nan=False))
def test_reals_read_back_as_the_same_value(value: float) -> None:
    assert pgtext._as_single(float(pgtext.single_text(value))) == value


def test_a_file_that_cannot_be_opened_is_named_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / r"a\b.parquet"
    with pytest.raises(SourceError) as caught:
        read_facts(path)
    assert str(caught.value).endswith(f": No such file or directory: {path}")


def test_a_file_has_the_description_that_was_written(tmp_path: Path) -> None:
    rows = pa.table({"a": [1]})
    for name, keys, want in (
        ("none", {}, None),
        ("other", {"x": "y"}, None),
        ("ours", {"x": "y", "duckwarp": '{"é": 1}'}, '{"é": 1}'),
        ("no_utf8", {b"duckwarp": b"\xff"}, "\ufffd"),
    ):
        path = tmp_path / f"{name}.parquet"
        pq.write_table(rows.replace_schema_metadata(keys), path)
        assert read_facts(path).description == want


TYPES = {
    "true": "BOOLEAN", "1::TINYINT": "INT8", "1::SMALLINT": "INT16", "1::INTEGER": "INT32",
    "1::BIGINT": "INT64", "1::UTINYINT": "UINT8", "1::USMALLINT": "UINT16", "1::UINTEGER": "UINT32",
    "1::UBIGINT": "UINT64", "1::FLOAT": "FLOAT", "1::DOUBLE": "DOUBLE", "'x'": "STRING",
    "1::DECIMAL(12,2)": "DECIMAL(12,2)", "1::DECIMAL(38,0)": "DECIMAL(38,0)",
    "'x'::BLOB": "BYTE_ARRAY", "'{}'::JSON": "JSON", "uuid()": "UUID", "DATE '2024-01-01'": "DATE",
    "TIME '01:00:00'": "TIME", "TIMESTAMP '2024-01-01'": "TIMESTAMP",
    "TIMESTAMPTZ '2024-01-01 00:00:00+00'": "TIMESTAMP UTC", "[1]": "LIST(INT32)",
    "[['x']]": "LIST(LIST(STRING))", "{'p': 1, 'q': ['x']}": "(INT32, LIST(STRING))",
    "MAP {'k': 1}": "((STRING, INT32))",
}  # fmt: skip


def test_types_are_told_in_words_whoever_wrote_the_file(tmp_path: Path) -> None:
    columns = ", ".join(f"{value} AS c{place}" for place, value in enumerate(TYPES))
    path = write(tmp_path / "t.parquet", f"SELECT {columns}")
    facts = read_facts(path)
    assert facts.names == tuple(f"c{place}" for place in range(len(TYPES)))
    assert dict(zip(TYPES, facts.types, strict=True)) == TYPES
    # With the newer annotations that Arrow writes, but for bytes of one length.
    pq.write_table(pq.read_table(path), tmp_path / "arrow.parquet", store_schema=False)
    again = dict(zip(TYPES, read_facts(tmp_path / "arrow.parquet").types, strict=True))
    for value in ("uuid()", "'{}'::JSON"):  # of which pyarrow's versions make different types
        del again[value]
    assert again.items() <= TYPES.items()


def test_whatever_a_footer_holds_is_facts_or_an_error_with_the_name(tmp_path: Path) -> None:
    select = "SELECT 1 AS a, 'x' AS b, [1.5::DECIMAL(4,1)] AS c, uuid() AS d, 1::DOUBLE AS e"
    whole = write(tmp_path / "whole.parquet", select).read_bytes()
    footer_bytes = int.from_bytes(whole[-8:-4], "little")
    path = tmp_path / "t.parquet"
    refused = []
    for place in range(len(whole) - 8 - footer_bytes, len(whole) - 8):
        for byte in (0x00, 0x7F, 0xFF, whole[place] ^ 0x01, whole[place] ^ 0x10):
            path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
            try:
                read_facts(path)
            except SourceError as error:
                refused.append(str(error))
    assert len(refused) > 100
    assert all("t.parquet cannot be read: " in reason for reason in refused)
