"""What the values of a published file are like, column by column, counted by DuckDB.

Each column is read by itself, so that no more than one is in memory; one whose values are too long
for that is passed over.
"""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from duckwarp.files.opening import check_readable
from duckwarp.files.quoting import file_pattern, identifier
from duckwarp.model.parquet_type import FLOATS, INTEGERS, Kind, ParquetType

BINS = 20
COUNTED_VALUES = 100_000  # different values of more than that are estimated
_NUMERIC = INTEGERS | FLOATS | {Kind.DECIMAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How often the finite values of a numeric column are in each of equal steps from low to high.

    There is one step where all values are the same, and one for each of few whole numbers.
    """

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """A column: how many different values it has, None where they are too long to be counted.

    Of many values that is an estimate. `histogram` is there for a numeric column with values.
    """

    distinct: int | None = None
    distinct_is_exact: bool = False
    histogram: Histogram | None = None


def profile_columns(path: Path, *, memory_bytes: int, threads: int) -> tuple[ColumnProfile, ...]:
    """The profile of each column, in the file's order. Raises `ValueError` for an unreadable file.

    DuckDB may use `memory_bytes` and so many `threads`. Raises `OSError` for what is no file.
    """
    check_readable(path)
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "memory_limit": f"{memory_bytes}B",
        "threads": threads,
        "temp_directory": "",
    }
    source = f"read_parquet({file_pattern(path.absolute())}, hive_partitioning = false)"
    try:
        with closing(duckdb.connect(":memory:", config=config)) as connection:
            connection.execute("SET enable_progress_bar = false")
            connection.execute("SET enable_geoparquet_conversion = false")
            described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
            types = [(row[0], ParquetType.parse(row[1])) for row in described]
            return tuple(_profile(connection, source, *each) for each in types)
    except duckdb.Error as error:
        raise ValueError(str(error).splitlines()[0]) from error


def _profile(
    connection: duckdb.DuckDBPyConnection, source: str, name: str, found: ParquetType
) -> ColumnProfile:
    column = identifier(name)
    try:
        (values,) = _row(connection, f"SELECT count({column}) FROM {source}")
        exact = values <= COUNTED_VALUES
        count = f"count(DISTINCT {column})" if exact else f"approx_count_distinct({column})"
        (distinct,) = _row(connection, f"SELECT {count} FROM {source}")
        histogram = None
        if found.kind in _NUMERIC and not found.is_list:
            whole = found.kind in INTEGERS
            histogram = _histogram(connection, source, f"{column}::DOUBLE", whole=whole)
    except duckdb.OutOfMemoryException:
        return ColumnProfile()
    return ColumnProfile(
        distinct=min(distinct, values), distinct_is_exact=exact, histogram=histogram
    )


def _histogram(
    connection: duckdb.DuckDBPyConnection, source: str, value: str, *, whole: bool
) -> Histogram | None:
    finite = f"FROM (SELECT {value} AS v FROM {source}) WHERE isfinite(v)"
    low, high, count = _row(connection, f"SELECT min(v), max(v), count(*) {finite}")
    if not count:
        return None
    steps, place = 1, "0"
    if whole and high - low < BINS:
        # A step for each number: of others some would have more numbers in them.
        steps, place = round(high - low) + 1, f"v - {low!r}"
    elif low < high:
        # The distance between the ends of the doubles is no double, that of their halves is.
        half = "" if math.isfinite(high - low) else " / 2"
        first, last = (f"({end!r}::DOUBLE{half})" for end in (low, high))
        steps = BINS
        place = f"floor((v{half} - {first}) / ({last} - {first}) * {BINS})"
    query = f"SELECT least({place}, {steps - 1})::INTEGER AS p, count(*) {finite} GROUP BY p"
    counts = dict(connection.execute(query).fetchall())
    return Histogram(low=low, high=high, counts=tuple(counts.get(n, 0) for n in range(steps)))


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row
