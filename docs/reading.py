"""The readers of docs/readers.md: how each opens a file, and what it does not read exactly.

`READERS` has code that opens a file, `EXCEPTIONS` why a kind of column or file is not read exactly, and
the way around. The tests run all the code, and hold the exceptions against what is observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """Whether the values are the right ones."""

    EXACT = "exact"
    DIFFERS = "differs"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a reader makes of one kind of column.

    `type` is its own type. `others` says whether the file's other columns can be read where one of
    this kind is refused.
    """

    type: str
    verdict: Verdict
    others: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A reader and how it opens a file: `whole`, and `some` columns of it, after its `imports`.

    `filtered` reads the rows for which a `condition` in the reader's own words holds, or
    `skips_only` row groups without any.
    `packages` are the distributions whose versions matter, the reader's own first. `in_order` reads
    the rows in the file's order where `whole` may not. `field` gives the metadata of the field
    `column`, `footer` the text of the footer's `key`.
    """

    key: str
    name: str
    packages: tuple[str, ...]
    module: str
    imports: str
    whole: str
    some: str
    filtered: str
    skips_only: bool = False
    in_order: str | None = None
    field: str | None = None
    footer: str | None = None


READERS = (
    Reader(
        key="pyarrow",
        name="pyarrow",
        packages=("pyarrow",),
        module="pyarrow",
        imports="import pyarrow.parquet as pq",
        whole="pq.read_table(path)",
        some="pq.read_table(path, columns=columns)",
        filtered="pq.read_table(path, filters=condition)",
        field="pq.read_schema(path).field(column).metadata",
        footer="pq.read_metadata(path).metadata[key.encode()]",
    ),
    Reader(
        key="pandas",
        name="pandas",
        packages=("pandas", "pyarrow"),
        module="pandas",
        imports="import pandas as pd",
        whole="pd.read_parquet(path)",
        some="pd.read_parquet(path, columns=columns)",
        filtered="pd.read_parquet(path, filters=condition)",
    ),
    Reader(
        key="pandas-arrow",
        name="pandas with Arrow's types",
        packages=("pandas", "pyarrow"),
        module="pandas",
        imports="import pandas as pd",
        whole='pd.read_parquet(path, dtype_backend="pyarrow")',
        some='pd.read_parquet(path, columns=columns, dtype_backend="pyarrow")',
        filtered='pd.read_parquet(path, filters=condition, dtype_backend="pyarrow")',
    ),
    Reader(
        key="polars",
        name="polars",
        packages=("polars",),
        module="polars",
        imports="import polars as pl",
        whole="pl.read_parquet(path)",
        some="pl.read_parquet(path, columns=columns)",
        filtered="pl.scan_parquet(path).filter(condition).collect()",
        footer="pl.read_parquet_metadata(path)[key]",
    ),
    Reader(
        key="duckdb",
        name="DuckDB",
        packages=("duckdb",),
        module="duckdb",
        imports="import duckdb",
        whole="duckdb.read_parquet(path)",
        some="duckdb.read_parquet(path).project(', '.join(columns))",
        filtered="duckdb.read_parquet(path).filter(condition)",
        footer="dict(duckdb.execute("
        "f\"SELECT decode(key), value FROM parquet_kv_metadata('{path}')\").fetchall())[key]",
    ),
    Reader(
        key="datafusion",
        name="DataFusion",
        packages=("datafusion",),
        module="datafusion",
        imports="from datafusion import SessionConfig, SessionContext",
        whole="SessionContext().read_parquet(path)",
        some="SessionContext().read_parquet(path).select(*columns)",
        filtered="SessionContext().read_parquet(path).filter(condition)",
        in_order="SessionContext(SessionConfig().with_target_partitions(1)).read_parquet(path)",
        field="SessionContext().read_parquet(path, skip_metadata=False)"
        ".schema().field(column).metadata",
    ),
    Reader(
        key="daft",
        name="Daft",
        packages=("daft",),
        module="daft",
        imports="import daft",
        whole="daft.read_parquet(path)",
        some="daft.read_parquet(path).select(*columns)",
        filtered="daft.read_parquet(path).where(condition)",
        field="daft.read_parquet(path).schema().to_pyarrow_schema().field(column).metadata",
    ),
    Reader(
        key="chdb",
        name="chDB",
        packages=("chdb-core",),
        module="chdb",
        imports="""import chdb

exact = "SETTINGS output_format_json_quote_denormals = 1, output_format_json_quote_decimals = 1"
form = "JSONCompactEachRowWithNamesAndTypes"
query = lambda sql, *more: chdb.query(", ".join([f"{sql} {exact}", *more]), form)""",
        whole="query(f\"SELECT * FROM file('{path}', Parquet)\")",
        some="query(f\"SELECT {', '.join(columns)} FROM file('{path}', Parquet)\")",
        filtered="query(f\"SELECT n FROM file('{path}', Parquet) WHERE {condition}\")",
        in_order="query(f\"SELECT * FROM file('{path}', Parquet)\", "
        '"input_format_parquet_preserve_order = 1")',
    ),
    Reader(
        key="spark",
        name="Spark",
        packages=("pyspark",),
        module="pyspark",
        imports="from pyspark.sql import SparkSession\n\n"
        'spark = SparkSession.builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()',
        whole="spark.read.parquet(path)",
        some="spark.read.parquet(path).select(*columns)",
        filtered="spark.read.parquet(path).filter(condition)",
    ),
    Reader(
        key="fastparquet",
        name="fastparquet",
        packages=("fastparquet",),
        module="fastparquet",
        imports="import fastparquet",
        whole="fastparquet.ParquetFile(path).to_pandas()",
        some="fastparquet.ParquetFile(path).to_pandas(columns=columns)",
        filtered="fastparquet.ParquetFile(path).to_pandas(filters=condition)",
        skips_only=True,
        footer="fastparquet.ParquetFile(path).key_value_metadata[key]",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exceptional:
    """Kinds of columns that a reader does not read exactly: why, and code that does, if any.

    The code may name the file's `path` and the `column`; its last line is what it gives. `title`
    stands for many kinds.
    """

    reader: str
    kinds: tuple[str, ...]
    why: str
    way: str | None = None
    advice: str = ""
    title: str | None = None


_NAN = "NaN and NULL are both NaN"
_DATES_OF_PYTHON = "Python's `date` ends at the years 1 and 9999: one date beyond is enough"
_BY_ARROW = 'pd.read_parquet(path, dtype_backend="pyarrow")'
_DAYS = "LIST of DATE, years 1678 to 2261", "LIST of DATE, years 1 to 9999"
_MOMENTS = (
    "LIST of TIMESTAMP, years 1678 to 2261",
    "LIST of TIMESTAMP, years 1 to 9999",
    "LIST of TIMESTAMP UTC, years 1678 to 2261",
)
_DECIMALS = "DECIMAL of up to 18 digits", "DECIMAL of up to 38 digits"
_LISTS_OF_DECIMALS = tuple(f"LIST of {name}" for name in _DECIMALS)
_FLOATS = "FLOAT", "DOUBLE", "LIST of FLOAT", "LIST of DOUBLE"

EXCEPTIONS = (
    Exceptional(
        reader="pandas",
        kinds=("INT64", "LIST of INT64"),
        why="a NULL makes the column floating point, which rounds integers beyond 2^53; without "
        "NULL it stays whole and exact",
        way=_BY_ARROW,
    ),
    Exceptional(reader="pandas", kinds=_FLOATS, why=_NAN, way=_BY_ARROW),
    Exceptional(
        reader="pandas",
        kinds=("DATE, all years", "LIST of DATE, all years"),
        why=_DATES_OF_PYTHON,
        way=_BY_ARROW,
    ),
    Exceptional(
        reader="chdb",
        kinds=("JSON",),
        why="it becomes ClickHouse's JSON type, which takes objects only, each key once, and drops "
        "members that are null",
        way="query(f\"SELECT * FROM file('{path}', Parquet)\", "
        '"input_format_parquet_enable_json_parsing = 0")',
    ),
    Exceptional(
        reader="chdb",
        kinds=("DATE, all years",),
        why="Date32 ends at the years 0 and 9999",
        way="query(f\"SELECT {column} FROM file('{path}', Parquet, '{column} Nullable(Int32)')\")",
        advice="days since 1970",
    ),
    Exceptional(
        reader="chdb",
        kinds=("TIMESTAMP, all years", "TIMESTAMP UTC, all years"),
        why="the value is right, but printed as the nearest one in the years 0 to 9999",
        way='query(f"SELECT toUnixTimestamp64Micro({column}) AS {column} '
        "FROM file('{path}', Parquet)\")",
        advice="microseconds since 1970",
    ),
    Exceptional(
        reader="chdb",
        kinds=("TIME",),
        why="it becomes a moment of 1970-01-01",
        way='query(f"SELECT {column} '
        "FROM file('{path}', Parquet, '{column} Nullable(Time64(6))')\")",
    ),
    Exceptional(
        reader="chdb",
        kinds=(
            *("LIST of BOOLEAN", "LIST of INT16", "LIST of INT32", "LIST of INT64"),
            *("LIST of UINT32", "LIST of FLOAT", "LIST of DOUBLE", *_LISTS_OF_DECIMALS),
            *("LIST of STRING", "LIST of BYTE_ARRAY", *_DAYS, *_MOMENTS),
        ),
        title="every LIST",
        why="a NULL list is read as an empty one; NULL elements stay NULL",
    ),
    Exceptional(
        reader="chdb",
        kinds=("LIST of DATE, all years", "LIST of TIMESTAMP, all years", "LIST of TIME"),
        why="as with the same type outside a LIST",
    ),
    Exceptional(
        reader="spark",
        kinds=("UUID",),
        why="Spark has no type for it, and fails when it derives a schema from the file",
        way='spark.read.schema(f"{column} binary").parquet(path)',
        advice="name the columns that you want, a UUID as its 16 bytes",
    ),
    Exceptional(
        reader="spark",
        kinds=("TIME", "LIST of TIME"),
        why="its type TIME is switched off",
        way="session = spark.newSession()\n"
        'session.conf.set("spark.sql.timeType.enabled", "true")\n'
        "session.read.parquet(path)",
    ),
    Exceptional(
        reader="spark",
        kinds=("TIME",),
        why="the same, where the setting cannot be made",
        way='spark.read.schema(f"{column} bigint").parquet(path)',
        advice="name the columns that you want, a TIME as microseconds since midnight",
    ),
    Exceptional(reader="fastparquet", kinds=_FLOATS, why=_NAN),
    Exceptional(
        reader="fastparquet",
        kinds=_DECIMALS,
        why="they become floating point, of 15 digits",
    ),
    Exceptional(
        reader="fastparquet",
        kinds=("UUID",),
        why="zero bytes at the end of a value are lost",
        way="frame = fastparquet.ParquetFile(path).to_pandas()\n"
        'padded = lambda value: None if value is None else value.ljust(16, b"\\0")\n'
        "frame[[column]].map(padded)",
    ),
    Exceptional(
        reader="fastparquet",
        kinds=("JSON",),
        why="it is parsed: JSON's null is None as NULL is, long numbers are rounded, repeated keys "
        "lost",
    ),
    Exceptional(
        reader="fastparquet",
        kinds=("DATE, years 1 to 9999", "DATE, all years"),
        why="dates outside the years 1678 to 2261 become other dates, without a word",
    ),
    Exceptional(
        reader="fastparquet",
        kinds=("LIST of UINT32", *_LISTS_OF_DECIMALS),
        why="the elements are what is stored: signed integers, and decimals without their point",
    ),
    Exceptional(
        reader="fastparquet",
        kinds=(
            *(*_DAYS, "LIST of DATE, all years"),
            *(*_MOMENTS, "LIST of TIMESTAMP, all years", "LIST of TIME"),
        ),
        title="LIST of DATE, of TIMESTAMP, of TIME",
        why="the elements are what is stored: days, or microseconds, since 1970 or midnight",
    ),
    Exceptional(
        reader="fastparquet",
        kinds=("LIST of STRING",),
        why="a column that is stored without a dictionary is read as NULL altogether, without a word",
    ),
)

_FLOATING = "FLOAT, with NaN and -0.0", "DOUBLE, with NaN and -0.0"
_IEEE = "NaN is neither equal to itself nor larger than a number, as IEEE 754 has it"
_NAMED_TYPES = "Arrow compares no values of a type that it knows by name only"

# What is asked is answered otherwise than PostgreSQL would, or not at all. A way may name the `path`
# and the `condition`.
FILTER_EXCEPTIONS = (
    Exceptional(reader="pyarrow", kinds=_FLOATING, why=_IEEE),
    Exceptional(
        reader="pyarrow",
        kinds=("UUID", "JSON"),
        why=_NAMED_TYPES,
        way="pq.read_table(path, filters=condition, arrow_extensions_enabled=False)",
        advice="a UUID as its 16 bytes, JSON as text",
    ),
    Exceptional(reader="pandas", kinds=_FLOATING, why=_IEEE),
    Exceptional(
        reader="pandas",
        kinds=("UUID", "JSON"),
        why=_NAMED_TYPES,
        way="pd.read_parquet(path, filters=condition, arrow_extensions_enabled=False)",
        advice="a UUID as its 16 bytes, JSON as text",
    ),
    Exceptional(reader="pandas-arrow", kinds=_FLOATING, why=_IEEE),
    Exceptional(
        reader="pandas-arrow",
        kinds=("UUID", "JSON"),
        why=_NAMED_TYPES,
        way='plain = {"dtype_backend": "pyarrow", "arrow_extensions_enabled": False}\n'
        "pd.read_parquet(path, filters=condition, **plain)",
        advice="a UUID as its 16 bytes, JSON as text",
    ),
    Exceptional(
        reader="datafusion",
        kinds=("STRING", "BYTE_ARRAY", *_FLOATING),
        why="**rows are missing, without a word,** where some row groups have a minimum and a maximum and "
        "others have none (those with NaN, with bytes that begin with 256 times `ff`, with text that "
        "begins with 64 times U+10FFFF): DataFusion takes those of some for those of the file",
        way='config = SessionConfig().set("datafusion.execution.collect_statistics", "false")\n'
        "SessionContext(config).read_parquet(path).filter(condition)",
    ),
    Exceptional(
        reader="daft",
        kinds=_FLOATING,
        why="-0.0 is less than 0.0, and **rows with 0.0 are missing** in a row group of negative numbers "
        "and both zeros; NaN is not joined with NaN",
    ),
    Exceptional(reader="chdb", kinds=_FLOATING, why=_IEEE),
    Exceptional(
        reader="chdb",
        kinds=("UUID",),
        why="ClickHouse orders UUIDs by their second half first: equality is right, ranges are not",
    ),
    Exceptional(
        reader="chdb",
        kinds=("JSON",),
        why="ClickHouse's JSON type is not compared with text",
        way="found = f\"SELECT n FROM file('{path}', Parquet) WHERE {condition}\"\n"
        'query(found, "input_format_parquet_enable_json_parsing = 0")',
    ),
    Exceptional(
        reader="spark", kinds=("UUID", "TIME"), why="the file is not opened, as is said above"
    ),
    Exceptional(reader="daft", kinds=("UUID",), why="no condition compares it"),
    Exceptional(
        reader="fastparquet", kinds=("JSON",), why="it is parsed, and objects are not compared"
    ),
    Exceptional(
        reader="fastparquet",
        kinds=_FLOATING,
        why="NaN and NULL are one, and are joined with each other",
    ),
)
