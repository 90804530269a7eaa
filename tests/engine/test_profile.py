"""What is counted of a file's columns, beside what another reader counts."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from duckwarp.engine.profile import BINS, ColumnProfile, Histogram, profile_columns
from tests.files.test_facts import write

MB = 1_000_000


def profiles(path: Path, select: str, memory_bytes: int = 200 * MB) -> tuple[ColumnProfile, ...]:
    return profile_columns(write(path / "t.parquet", select), memory_bytes=memory_bytes, threads=1)


def histogram(path: Path, *values: str) -> Histogram | None:
    rows = " UNION ALL ".join(f"SELECT {value} AS v" for value in values)
    (column,) = profiles(path, rows)
    return column.histogram


def test_the_counts_are_those_of_the_values(tmp_path: Path) -> None:
    select = "SELECT (n * n) % 1000 / 7.0 AS v FROM range(5000) AS r(n)"
    (column,) = profiles(tmp_path, select)
    values = pq.read_table(tmp_path / "t.parquet")["v"].to_pylist()
    low, high = min(values), max(values)
    wanted = [0] * BINS
    for value in values:
        wanted[min(int((value - low) / (high - low) * BINS), BINS - 1)] += 1
    assert column.histogram == Histogram(low=low, high=high, counts=tuple(wanted))
    assert (column.distinct, column.distinct_is_exact) == (len(set(values)), True)


def test_different_values_among_many_are_estimated(tmp_path: Path) -> None:
    (column,) = profiles(tmp_path, "SELECT n % 5000 AS v FROM range(150_000) AS r(n)")
    assert column.distinct is not None
    assert not column.distinct_is_exact
    assert 2500 < column.distinct < 10_000


@pytest.mark.parametrize(
    ("values", "want"),
    [
        pytest.param(["1", "3", "3", "NULL"], (1.0, 3.0, (1, 0, 2)), id="few whole numbers"),
        pytest.param(["7", "7"], (7.0, 7.0, (2,)), id="one number"),
        pytest.param(["0.5::DOUBLE"] * 3, (0.5, 0.5, (3,)), id="one double"),
        pytest.param(
            ["'nan'::DOUBLE", "'inf'::DOUBLE", "'-inf'::DOUBLE", "2.0::DOUBLE"],
            (2.0, 2.0, (1,)),
            id="finite ones alone",
        ),
        pytest.param(["NULL::INTEGER"], None, id="no values"),
        pytest.param(["'nan'::DOUBLE"], None, id="no finite values"),
        pytest.param(["'1'"], None, id="text"),
        pytest.param(["true"], None, id="no numbers"),
    ],
)
def test_a_histogram_of_few_values(
    tmp_path: Path, values: list[str], want: tuple[float, float, tuple[int, ...]] | None
) -> None:
    got = histogram(tmp_path, *values)
    assert got == (None if want is None else Histogram(low=want[0], high=want[1], counts=want[2]))


@pytest.mark.parametrize(
    "ends",
    [
        pytest.param(("-1.7976931348623157e308::DOUBLE", "1.7976931348623157e308"), id="doubles"),
        pytest.param(("(-9223372036854775808)::BIGINT", "9223372036854775807"), id="bigints"),
        pytest.param(
            ("-99999999999999999999999999999999999999::DECIMAL(38,0)",
             "99999999999999999999999999999999999999::DECIMAL(38,0)"), id="decimals"),
        pytest.param(("0::DOUBLE", "5e-324"), id="the smallest step"),
    ],
)  # fmt: skip
def test_both_ends_of_a_type_are_counted(tmp_path: Path, ends: tuple[str, str]) -> None:
    got = histogram(tmp_path, *ends)
    assert got is not None
    assert (got.counts[0], got.counts[-1], sum(got.counts)) == (1, 1, 2)


def test_every_type_has_a_profile_and_names_may_be_odd(tmp_path: Path) -> None:
    path = tmp_path / "odd [1]*.parquet"
    duckdb.sql(
        'COPY (SELECT 1 AS "a ""b", [1, 2] AS l, NULL::DATE AS d, \'x\'::BLOB AS b, '
        f"{{'k': 1}} AS s) TO '{path}' (FORMAT parquet)"
    )
    got = profile_columns(path, memory_bytes=200 * MB, threads=1)
    assert [column.distinct for column in got] == [1, 1, 0, 1, 1]
    assert [column.histogram is not None for column in got] == [True, *[False] * 4]


def test_a_column_that_does_not_fit_into_memory_is_passed_over(tmp_path: Path) -> None:
    select = "SELECT n, repeat(chr(65 + n::INTEGER % 26), 6000000) AS t FROM range(64) AS r(n)"
    small, long = profiles(tmp_path, select, memory_bytes=60 * MB)
    assert (small.distinct, long.distinct) == (64, None)


def test_no_rows_are_no_values(tmp_path: Path) -> None:
    (column,) = profiles(tmp_path, "SELECT 1 AS v LIMIT 0")
    assert column == ColumnProfile(distinct=0, distinct_is_exact=True)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1" * 4)
    with pytest.raises(ValueError, match=r"(?i)parquet"):
        profile_columns(tmp_path / "t.parquet", memory_bytes=200 * MB, threads=1)
