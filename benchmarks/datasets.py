"""The tables that are exported: what they hold, and the SQL that makes them.

T is a publication's table with the columns that a warehouse adds; `lineitem` is TPC-H's. The wide
ones and the one with huge values are what a reader of rows in memory trips over. Those of
`shapes.py` take plain DuckDB some seconds each. No two rows of a table are equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.shapes import SHAPES

SCHEMA = "bench"
SMALL_SCHEMA = "bench_small"
SMALL_ROWS = 1_304
HUGE_MEGABYTES = 10
# md5 gives 32 hexadecimal digits, which PostgreSQL does not manage to compress.
HUGE_DIGESTS = HUGE_MEGABYTES * 1_000_000 // 32

TABLE = """
    CREATE TABLE {schema}.{table} AS
    SELECT 'E54' || lpad((g % 106)::text, 6, '0') AS icb_code, 'NHS region ' || g % 42 AS region,
           (array['0-4', '5-17', '18-24', '25+'])[1 + g % 4] AS age_band,
           date '2020-01-01' + (g % 2000) AS activity_date,
           (g::bigint * 7919) % 1000003 AS patients,
           (g % 1000) / 8.0::float8 AS rate, ((g * 31::bigint) % 100000 / 100.0)::{first} AS cost,
           ((g * 17::bigint) % 99999 / 100.0)::{second} AS share, g % 2 = 0 AS suppressed,
           md5(g::text) AS reference, CASE WHEN g % 5 > 0 THEN 'x' || g % 977 END AS note, g AS id,
           17::bigint AS _load_id, timestamp '2026-01-01' + g * interval '1 second' AS _loaded_at,
           '2025-0' || 1 + g % 9 AS _period
    FROM generate_series(1, {rows}) g"""

LINEITEM = """
    CREATE TABLE {schema}.{table} (
        l_orderkey bigint NOT NULL, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL,
        l_linenumber integer NOT NULL, l_quantity numeric(15,2) NOT NULL,
        l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL,
        l_tax numeric(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL,
        l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL,
        l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL, l_comment varchar(44))"""

HUGE = """
    CREATE TABLE {schema}.{table} AS
    SELECT r AS id,
           (SELECT string_agg(md5(r || ':' || k), '' ORDER BY k)
            FROM generate_series(1, {digests}) k) AS body
    FROM generate_series(1, {rows}) r"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Tables that are exported together: `rows` in each, made by `statement` (a template).

    With `tpch_scale` the statement makes an empty table, which TPC-H's generator fills.
    """

    name: str
    title: str
    statement: str
    rows: int
    schema: str = SCHEMA
    table_count: int = 1
    tpch_scale: float | None = None

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables' names, without the schema."""
        if self.table_count == 1:
            return (self.name,)
        return tuple(f"{self.name}_{number:03}" for number in range(1, self.table_count + 1))

    @property
    def all_rows(self) -> int:
        """The rows of all tables."""
        return self.rows * self.table_count

    @property
    def fingerprint(self) -> str:
        """What the data are made by, in short: equal where a table need not be made again."""
        recipe = f"{self.statement} {self.rows} {self.tables} {self.tpch_scale}"
        return "duckwarp benchmarks " + hashlib.sha256(recipe.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much data: rows, but for `lineitem` its scale and the rows that this gives.

    Of each shape, so many of a thousand of its rows.
    """

    t: tuple[int, int, int, int] = (1_000_000, 5_000_000, 10_000_000, 20_000_000)
    lineitem: tuple[float, int] = (1, 6_001_215)
    wide: int = 200_000
    w1600: int = 20_000
    huge: int = 60
    small_tables: int = 200
    shape_permille: int = 1_000


FULL = Sizes()
QUICK = Sizes(
    t=(20_000, 100_000, 150_000, 200_000),
    lineitem=(0.01, 60_175),
    wide=2_000,
    w1600=500,
    huge=3,
    small_tables=10,
    shape_permille=10,
)


def datasets(sizes: Sizes) -> dict[str, Dataset]:
    """All datasets by their names."""
    scale, lineitem_rows = sizes.lineitem
    made = [
        *(_t(name, rows) for name, rows in zip(("t1", "t", "t10", "t20"), sizes.t, strict=True)),
        Dataset(
            name="lineitem",
            title=f"TPC-H lineitem at scale {scale:g}, {lineitem_rows:,} rows of 16 columns",
            statement=LINEITEM,
            rows=lineitem_rows,
            tpch_scale=scale,
        ),
        Dataset(
            name="wide",
            title=f"{sizes.wide:,} rows of 400 columns",
            statement=_columns(_mixed_column(number) for number in range(1, 400)),
            rows=sizes.wide,
        ),
        Dataset(
            name="w1600",
            title=f"{sizes.w1600:,} rows of 1,600 columns",
            statement=_columns(_whole_column(number) for number in range(1, 1600)),
            rows=sizes.w1600,
        ),
        Dataset(
            name="huge",
            title=f"{sizes.huge} rows with {HUGE_MEGABYTES} MB of text each",
            statement=HUGE.replace("{digests}", str(HUGE_DIGESTS)),
            rows=sizes.huge,
        ),
        Dataset(
            name="small",
            title=f"{sizes.small_tables} tables of {SMALL_ROWS:,} rows of 15 columns",
            statement=_plain_t(),
            rows=SMALL_ROWS,
            schema=SMALL_SCHEMA,
            table_count=sizes.small_tables,
        ),
        *(_shape(name, sizes.shape_permille) for name in SHAPES),
    ]
    return {dataset.name: dataset for dataset in made}


def _t(name: str, rows: int) -> Dataset:
    return Dataset(
        name=name, title=f"T, {rows:,} rows of 15 columns", statement=_plain_t(), rows=rows
    )


def _shape(name: str, permille: int) -> Dataset:
    shape = SHAPES[name]
    rows = shape.rows * permille // 1_000
    return Dataset(
        name=name,
        title=f"{shape.title}: {rows:,} rows of {len(shape.columns)} columns",
        statement=shape.statement,
        rows=rows,
    )


def _plain_t() -> str:
    return TABLE.replace("{first}", "numeric(12,2)").replace("{second}", "numeric(10,2)")


def _columns(expressions: Iterable[str]) -> str:
    listed = ", ".join(expressions)
    return f"CREATE TABLE {{schema}}.{{table}} AS SELECT g AS id, {listed} " + (
        "FROM generate_series(1, {rows}) g"
    )


def _mixed_column(number: int) -> str:
    return (
        f"(g::bigint * {number + 6} % 1000003)::integer AS i{number}",
        f"(g + {number}) / 8.0::float8 AS f{number}",
        f"md5((g + {number})::text) AS s{number}",
        f"'note ' || (g + {number}) % 977 AS n{number}",
    )[number % 4]


def _whole_column(number: int) -> str:
    if number % 2:
        return f"g * {number % 90 + 1} AS c{number}"
    return f"((g + {number}) % 30000)::smallint AS c{number}"
