"""Writes docs/readers.md from what was observed; `make readers RECORD=1` observes and writes.

`readers.json` has what each reader made of each kind of column, `READERS` how it opens a file, and
`EXCEPTIONS` why a kind is not read exactly, and the way around. The tests run all the code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("readers.md")
OBSERVED = Path(__file__).with_name("readers.json")


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

    `packages` are the distributions whose versions matter, the reader's own first.
    """

    key: str
    name: str
    packages: tuple[str, ...]
    module: str
    imports: str
    whole: str
    some: str


READERS = (
    Reader(
        key="pyarrow",
        name="pyarrow",
        packages=("pyarrow",),
        module="pyarrow",
        imports="import pyarrow.parquet as pq",
        whole="pq.read_table(path)",
        some="pq.read_table(path, columns=columns)",
    ),
    Reader(
        key="pandas",
        name="pandas",
        packages=("pandas", "pyarrow"),
        module="pandas",
        imports="import pandas as pd",
        whole="pd.read_parquet(path)",
        some="pd.read_parquet(path, columns=columns)",
    ),
    Reader(
        key="pandas-arrow",
        name="pandas with Arrow's types",
        packages=("pandas", "pyarrow"),
        module="pandas",
        imports="import pandas as pd",
        whole='pd.read_parquet(path, dtype_backend="pyarrow")',
        some='pd.read_parquet(path, columns=columns, dtype_backend="pyarrow")',
    ),
    Reader(
        key="polars",
        name="polars",
        packages=("polars",),
        module="polars",
        imports="import polars as pl",
        whole="pl.read_parquet(path)",
        some="pl.read_parquet(path, columns=columns)",
    ),
    Reader(
        key="duckdb",
        name="DuckDB",
        packages=("duckdb",),
        module="duckdb",
        imports="import duckdb",
        whole="duckdb.read_parquet(path)",
        some="duckdb.read_parquet(path).project(', '.join(columns))",
    ),
    Reader(
        key="datafusion",
        name="DataFusion",
        packages=("datafusion",),
        module="datafusion",
        imports="from datafusion import SessionContext",
        whole="SessionContext().read_parquet(path)",
        some="SessionContext().read_parquet(path).select(*columns)",
    ),
    Reader(
        key="daft",
        name="Daft",
        packages=("daft",),
        module="daft",
        imports="import daft",
        whole="daft.read_parquet(path)",
        some="daft.read_parquet(path).select(*columns)",
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
    ),
    Reader(
        key="fastparquet",
        name="fastparquet",
        packages=("fastparquet",),
        module="fastparquet",
        imports="import fastparquet",
        whole="fastparquet.ParquetFile(path).to_pandas()",
        some="fastparquet.ParquetFile(path).to_pandas(columns=columns)",
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

_MARKS = {Verdict.EXACT: "", Verdict.DIFFERS: " ≠", Verdict.REFUSED: " ✗"}

INTRODUCTION = """# Readers

Generated from what the tests observed, by `docs/make_readers.py`; do not edit. `make readers` observes
again, and fails where one of these versions makes something else of a file.

Every type of the [type map](types.md) is written, with values at its edges and NULL, and each reader's
values are held against PostgreSQL's own.

{exact} read all of them exactly.
What the others do not is listed below, with a way around where there is one.
"""

LEGEND = """The reader's own type; **≠**: some values differ, **✗**: the reader refuses the column.
Both are explained [below](#exceptions). Without a mark all values are exact. "No NULL" is a column that
has none; the others have NULLs.
"""


def observations(path: Path = OBSERVED) -> dict[str, Any]:
    """For each reader its `version` and its `findings` by kind."""
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def page(observed: dict[str, Any]) -> str:
    """The whole page."""
    half = len(READERS) // 2
    exceptional = {each.reader for each in EXCEPTIONS}
    exact = [reader.name for reader in READERS if reader.key not in exceptional]
    sections = [
        INTRODUCTION.format(exact=f"{', '.join(exact[:-1])} and {exact[-1]}"),
        "## Versions and how they open a file\n\n" + "\n".join(_opening(observed)) + "\n",
        "```python\n" + "\n".join(dict.fromkeys(reader.imports for reader in READERS)) + "\n```\n",
        "## What becomes of each type\n\n" + LEGEND,
        "\n".join(_types(observed, READERS[:half])) + "\n",
        "\n".join(_types(observed, READERS[half:])) + "\n",
        "## Exceptions\n",
        *_exceptions(observed),
    ]
    return "\n".join(sections).rstrip("\n") + "\n"


def _opening(observed: dict[str, Any]) -> Iterator[str]:
    yield "| reader | version | whole | some columns |"
    yield "|---|---|---|---|"
    for reader in READERS:
        version = observed[reader.key]["version"]
        yield f"| {reader.name} | {version} | `{reader.whole}` | `{reader.some}` |"


def _types(observed: dict[str, Any], readers: tuple[Reader, ...]) -> Iterator[str]:
    yield f"| written as | {' | '.join(reader.name for reader in readers)} |"
    yield "|---" * (len(readers) + 1) + "|"
    for kind in observed[READERS[0].key]["findings"]:
        cells = [_cell(observed[reader.key]["findings"][kind]) for reader in readers]
        yield f"| {kind} | {' | '.join(cells)} |"


def _cell(finding: dict[str, Any]) -> str:
    own = f"`{finding['type']}`" if finding["type"] else ""
    return (own + _MARKS[Verdict(finding["verdict"])]).strip()


def _exceptions(observed: dict[str, Any]) -> Iterator[str]:
    for reader in READERS:
        exceptions = [each for each in EXCEPTIONS if each.reader == reader.key]
        if exceptions:
            yield f"### {reader.name} {observed[reader.key]['version']}\n"
            lines = [line for each in exceptions for line in _exception(observed, each)]
            yield "\n".join(lines).rstrip("\n") + "\n"


def _exception(observed: dict[str, Any], exception: Exceptional) -> Iterator[str]:
    findings = [observed[exception.reader]["findings"][kind] for kind in exception.kinds]
    refused = Verdict.REFUSED.value in (finding["verdict"] for finding in findings)
    whole_file = not all(finding["others"] for finding in findings)
    reach = " The whole file cannot be opened then, its other columns included."
    others = " The file's other columns can be selected." if refused else ""
    yield f"- **{exception.title or '; '.join(exception.kinds)}**: {exception.why}.{reach if whole_file else others}"
    if exception.way is not None:
        yield f"  Exact{f' ({exception.advice})' if exception.advice else ''}:\n"
        yield "  ```python"
        yield from (f"  {line}" for line in exception.way.splitlines())
        yield "  ```\n"


if __name__ == "__main__":
    PAGE.write_text(page(observations()), encoding="utf-8")
