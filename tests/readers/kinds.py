"""The kinds of columns in a published file, each with the types of PostgreSQL that are written so.

A kind is a table of its own, so that what a reader refuses spoils nothing else: a number of the
row, and one column for each case of the type map's suite, NULL and the extremes among its values.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from duckwarp.model.settings import Compression
from tests.types.harness import SCHEMA, Text, by_duckdb, expected, session, texts
from tests.types.type_cases import CASES, SETUP, Case, Sql, case

_NAMES = {
    "BOOLEAN": "BOOLEAN",
    "SMALLINT": "INT16",
    "INTEGER": "INT32",
    "BIGINT": "INT64",
    "UINTEGER": "UINT32",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "VARCHAR": "STRING",
    "BLOB": "BYTE_ARRAY",
    "UUID": "UUID",
    "JSON": "JSON",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP UTC",
    "TIME": "TIME",
}

# Readers differ in the years that they know: those of 64 bits of nanoseconds, those of Python's
# `datetime`, and PostgreSQL's own.
_DATED = ("DATE", "TIMESTAMP", "TIMESTAMP UTC")
_NANOSECONDS = ", years 1678 to 2261"
_PYTHON = ", years 1 to 9999"
_ALL = ", all years"
_YEARS = (
    (_NANOSECONDS, ("1678-01-01", "1969-12-31", "1970-01-01", "2024-02-29", "2261-12-31")),
    (_PYTHON, ("0001-01-01", "1582-10-10", "2024-02-29", "9999-12-31")),
)
_FAR = {"date", "timestamp", "timestamptz", "array_date", "array_timestamp"}

WITHOUT_NULL = ", no NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of column or of file: its name in the documentation, and its cases.

    There are as many `rows` as the case with the most values needs, a NULL among them, unless a
    number is given. `codec` is that of the pages.
    """

    name: str
    cases: tuple[Case, ...]
    given_rows: int | None = None
    codec: Compression = Compression.SNAPPY

    @property
    def relation(self) -> str:
        """The table in PostgreSQL, and the name of the file."""
        return re.sub(r"\W+", "_", self.name.lower())

    @property
    def schema(self) -> str:
        """The schema of the table, all of whose files have the same codec."""
        return SCHEMA if self.codec is Compression.SNAPPY else self.codec.value

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        if self.given_rows is not None:
            return self.given_rows
        return max(len(_cells(case)) for case in self.cases)


def _kinds() -> Iterator[Kind]:
    cases = sorted(_all_cases(), key=_name)
    by_name = {name: tuple(group) for name, group in itertools.groupby(cases, key=_name)}
    for name in sorted(by_name, key=_rank):
        yield Kind(name=name, cases=by_name[name])


def _all_cases() -> Iterator[Case]:
    """Those of the suite that need no extension and no newest PostgreSQL, and more."""
    yield from (each for each in CASES if each.needs is None and each.since == 0)
    yield case("int2_filled", "int2", "SMALLINT", "-32768", "32767", null=False)
    yield case("int4_filled", "int4", "INTEGER", "-2147483648", "2147483647", null=False)
    yield case("int8_filled", "int8", "BIGINT", "-9223372036854775808", "9007199254740993",
               "9223372036854775807", null=False)  # fmt: skip
    yield case("array_int8_filled", "int8[]", "BIGINT[]", "{}", "{9007199254740993}", null=False)
    for number, (_, days) in enumerate(_YEARS):
        ends = tuple(f"{day} 23:59:59.999999" for day in days)
        yield case(f"date_of_{number}", "date", "DATE", *days)
        yield case(f"timestamp_of_{number}", "timestamp", "TIMESTAMP", *ends)
        zoned = tuple(f"{end}+00" for end in ends)
        yield case(f"timestamptz_of_{number}", "timestamptz", "TIMESTAMP WITH TIME ZONE", *zoned)
        yield case(f"array_date_of_{number}", "date[]", "DATE[]", "{}", f"{{{days[0]},NULL}}")
        listed = f'{{"{ends[0]}",NULL,"{ends[-1]}"}}'
        yield case(f"array_timestamp_of_{number}", "timestamp[]", "TIMESTAMP[]", "{}", listed)


def _name(each: Case) -> str:
    written = each.written.removesuffix("[]")
    decimal = re.fullmatch(r"DECIMAL\((\d+),\d+\)", written)
    name = _NAMES[written] if decimal is None else _decimal(int(decimal[1]))
    if name in _DATED:
        name += _years(each.name)
    if each.name.endswith("_filled"):
        name += WITHOUT_NULL
    return name if written == each.written else f"LIST of {name}"


def _decimal(precision: int) -> str:
    return f"DECIMAL of up to {18 if precision <= 18 else 38} digits"


def _years(case_name: str) -> str:
    return _ALL if case_name in _FAR else _PYTHON if case_name.endswith("_of_1") else _NANOSECONDS


def _rank(name: str) -> tuple[bool, int, int, bool, str]:
    bare = name.removeprefix("LIST of ")
    order = [
        *("BOOLEAN", "INT16", "INT32", "INT64", "UINT32", "FLOAT", "DOUBLE", "DECIMAL", "STRING"),
        *("BYTE_ARRAY", "UUID", "JSON", "DATE", "TIMESTAMP", "TIMESTAMP UTC", "TIME"),
    ]
    years = [_NANOSECONDS, _PYTHON, _ALL]
    of_years = next((n for n, each in enumerate(years) if name.endswith(each)), 0)
    first = re.split(r",| of up", bare)[0]
    return (bare != name, order.index(first), of_years, name.endswith(WITHOUT_NULL), name)


def _cells(each: Case) -> list[str | Sql]:
    return [*each.values, *[Sql("NULL")] * each.null]


KINDS = tuple(_kinds())

_ORDINARY = (
    case("whole", "int8", "BIGINT", "1", "2", null=False),
    case("price", "numeric(10,2)", "DECIMAL(10,2)", "1.10", "-99999999.99"),
    case("label", "text", "VARCHAR", "one", "two", "three"),
    case("numbers", "int4[]", "INTEGER[]", "{1,2}", "{3}", null=False),
)
_ODD_NAMES = (
    *("with blank", " blank first", "with.dot", "with,comma", "with;semicolon", "with=sign"),
    *(
        "(parentheses)",
        "{braces}",
        "[brackets]",
        "<angles>",
        "a/b",
        "a\\b",
        "100%",
        "#1",
        "$1",
        "*",
    ),
    *(
        "it's",
        'the "quoted"',
        "a `tick`",
        "select",
        "1st",
        "tab\there",
        "line\nbreak",
        "Größe",
        "日本",
    ),
)
FILES = (
    *(Kind(name=f"codec {codec}", cases=_ORDINARY, codec=codec) for codec in Compression),
    Kind(name="no rows", cases=_ORDINARY, given_rows=0),
    Kind(
        name="several row groups, text with a dictionary",
        cases=(
            case("label", "text", "VARCHAR", "one", "two", "three"),
            case("counted", "int4", "INTEGER", Sql("n % 1000"), null=False),
        ),
        given_rows=250_000,
    ),
    Kind(
        name="odd characters in names of columns",
        cases=tuple(
            case(name, "int4", "INTEGER", str(number), null=False)
            for number, name in enumerate(_ODD_NAMES)
        ),
    ),
)


def create_tables(connection: psycopg.Connection[Any], kinds: Sequence[Kind]) -> None:
    """The tables of some kinds, with their rows."""
    connection.execute(SETUP.encode())
    for kind in kinds:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(_named(kind.schema)))
        columns = [
            sql.SQL("{} {}").format(_named(each.name), sql.SQL(each.type))  # type: ignore[arg-type]
            for each in kind.cases
        ]
        cells = [_cycled(each, connection) for each in kind.cases]
        table = sql.Identifier(kind.schema, kind.relation)
        connection.execute(
            sql.SQL("CREATE TABLE {} (n int, {})").format(table, sql.SQL(", ").join(columns))
        )
        connection.execute(
            sql.SQL("INSERT INTO {} SELECT n, {} FROM generate_series(0, {} - 1) AS n").format(
                table, sql.SQL(", ").join(cells), kind.rows
            )
        )


def _named(name: str) -> sql.Identifier:
    return sql.Identifier(name)


def _cycled(each: Case, connection: psycopg.Connection[Any]) -> sql.Composable:
    """The values of a case in turn, over and over, as a function of the row's number n."""
    cells = [
        sql.SQL("({})").format(
            sql.SQL(cell.expression) if isinstance(cell, Sql) else sql.Literal(cell)  # type: ignore[arg-type]
        )
        for cell in _cells(each)
    ]
    turns = [
        sql.SQL("WHEN {} THEN {}::{}").format(number, cell, sql.SQL(each.type))  # type: ignore[arg-type]
        for number, cell in enumerate(cells)
    ]
    return sql.SQL("CASE n % {} {} END").format(len(turns), sql.SQL(" ").join(turns))


def right_values(
    dsn: str, kinds: Sequence[Kind], path: Callable[[Kind], Path]
) -> dict[str, dict[str, list[Text]]]:
    """What each column of each kind should read as, in the canonical text of the type map's suite.

    It is PostgreSQL's own. Where a value has another form in the file, it is the text in the file,
    which that suite holds against PostgreSQL's.
    """
    found: dict[str, dict[str, list[Text]]] = {}
    with session(dsn) as connection:
        for kind in kinds:
            relation = f"{kind.schema}.{kind.relation}"
            found[kind.name] = {
                each.name: expected(
                    connection, relation, each.written, column=_named(each.name).as_string()
                )
                if each.compare == "text" and each.expected is None
                else texts(by_duckdb(path(kind))[each.name])
                for each in kind.cases
            }
    return found
