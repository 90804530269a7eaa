"""What is asked of files whose values repeat, and do not, and which rows are right.

A file has a column of each, in several row groups, so that readers have all reasons to skip some:
values are in some row groups only, or nowhere but between minimum and maximum, and one row group
has no value at all. The rows that are right are PostgreSQL's.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

ROW_GROUP_ROWS = 2_048
ROW_GROUPS = 4
SCHEMA = "filters"

Operator = Literal["=", "<>", "<", ">", "BETWEEN", "IN", "JOIN", "IS NULL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered:
    """A kind of column of which rows are asked for.

    `many` is PostgreSQL's expression of a value for each number n. `compared` is its template of
    what is compared, over `{v}`.
    """

    name: str
    type: str
    written: str
    few: tuple[str, ...]
    many: str | None = None
    compared: str = "{v}"

    @property
    def relation(self) -> str:
        """The table in PostgreSQL, and the name of the file."""
        return re.sub(r"\W+", "_", self.name.lower())

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns besides the number n of the row."""
        return ("few",) if self.many is None else ("few", "many")


_AS_TEXT = '({v})::text COLLATE "C"'
# Those of which no maximum can be cut are in one row group.
_BYTES = (
    *("", "ff", "00", "0000", "ffff", "5c784646", "7f", "ff" * 300, "80", "7f" * 300),
    *("ff" * 299 + "00", "616263", "27", "fe" + "ff" * 300, "cfcd208495d565ef66e7dff9f98764da"),
)

FILTERED = (
    Filtered(name="BOOLEAN", type="bool", written="BOOLEAN", few=("t", "f")),
    Filtered(
        name="INT16",
        type="int2",
        written="SMALLINT",
        few=("-32768", "-256", "-1", "0", "1", "127", "128", "32767"),
        many="n * 4 - 16000",
    ),
    Filtered(
        name="INT32",
        type="int4",
        written="INTEGER",
        few=("-2147483648", "-65536", "-1", "0", "1", "32768", "2147483647"),
        many="n * 100000 - 400000000",
    ),
    Filtered(
        name="INT64",
        type="int8",
        written="BIGINT",
        few=("-9223372036854775808", "-1", "0", "1", "9007199254740992", "9007199254740993",
             "9223372036854775807"),
        many="(n - 4000) * 1000000000000001",
    ),
    Filtered(
        name="UINT32",
        type="oid",
        written="UINTEGER",
        few=("0", "1", "2147483647", "2147483648", "4294967294", "4294967295"),
        many="(n * 500000::int8)::text::oid",
    ),
    Filtered(
        name="FLOAT",
        type="float4",
        written="FLOAT",
        few=("-Infinity", "-1.1", "1e-45", "1.1", "16777216", "3.4028235e38", "Infinity"),
        many="(n - 4000) / 7.0",
    ),
    Filtered(
        name="DOUBLE",
        type="float8",
        written="DOUBLE",
        few=("-Infinity", "-1.1", "5e-324", "1.1", "0.30000000000000004", "0.3", "Infinity"),
        many="(n - 4000) / 7.0",
    ),
    Filtered(
        name="FLOAT, with NaN and -0.0",
        type="float4",
        written="FLOAT",
        few=("-0", "NaN", "0", "1.5", "-1.5"),
    ),
    Filtered(
        name="DOUBLE, with NaN and -0.0",
        type="float8",
        written="DOUBLE",
        few=("-0", "NaN", "0", "1.5", "-1.5"),
    ),
    Filtered(
        name="DECIMAL of up to 9 digits",
        type="numeric(9,2)",
        written="DECIMAL(9,2)",
        few=("-9999999.99", "-0.01", "0", "0.01", "1.10", "2.56", "9999999.99"),
        many="(n - 4000) * 1.01",
    ),
    Filtered(
        name="DECIMAL of up to 18 digits",
        type="numeric(18,3)",
        written="DECIMAL(18,3)",
        few=("-999999999999999.999", "-0.001", "0", "0.001", "9007199254740.993",
             "9007199254740.992", "999999999999999.999"),
        many="(n - 4000) * 10000000.001",
    ),
    Filtered(
        name="DECIMAL of up to 38 digits",
        type="numeric(38,10)",
        written="DECIMAL(38,10)",
        few=("-" + "9" * 28 + "." + "9" * 10, "-0.0000000001", "0", "0.0000000001", "1.5",
             "12345678901234567890.1234567890", "9" * 28 + "." + "9" * 10),
        many="(n - 4000) * 10000000000000000.0000000001",
    ),
    Filtered(
        name="STRING",
        type="text",
        written="VARCHAR",
        few=("", " ", "a", "a ", "A", "ab", "\x7f", "é", "\uffff", "😀", "a" * 300, "a" * 299 + "b",
             "a" * 254 + "é" * 9, "z" * 300, "\U0010ffff" * 80, "NULL", "it's", "back\\slash"),
        many="md5(n::text)",
        compared=_AS_TEXT,
    ),
    Filtered(
        name="BYTE_ARRAY",
        type="bytea",
        written="BLOB",
        few=tuple(f"\\x{digits}" for digits in _BYTES),
        many="decode(md5(n::text), 'hex')",
    ),
    Filtered(
        name="UUID",
        type="uuid",
        written="UUID",
        few=("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
             "80000000-0000-0000-0000-000000000001", "7fffffff-ffff-ffff-ffff-ffffffffffff",
             "11111111-2222-3333-4444-555555555500", "11111111-2222-3333-4444-555555555555"),
        many="md5(n::text)::uuid",
    ),
    Filtered(
        name="JSON",
        type="jsonb",
        written="JSON",
        few=('{"a": 1}', '{"a": 2}', '{"é": "日本語"}', '{"b": [1, 2]}', '{"b": "it\'s"}'),
        many="jsonb_build_object('n', md5(n::text))",
        compared=_AS_TEXT,
    ),
    Filtered(
        name="DATE",
        type="date",
        written="DATE",
        few=("1700-01-01", "1969-12-31", "1970-01-01", "2024-02-28", "2024-02-29", "2200-12-31"),
        many="date '2000-01-01' + n - 4000",
    ),
    Filtered(
        name="TIMESTAMP",
        type="timestamp",
        written="TIMESTAMP",
        few=("1700-01-01 00:00:00", "1969-12-31 23:59:59.999999", "1970-01-01 00:00:00",
             "2024-02-29 12:34:56.789012", "2024-02-29 12:34:56.789013", "2200-12-31 00:00:00"),
        many="timestamp '1970-01-01' + (n - 4000) * interval '1 hour 1 microsecond'",
    ),
    Filtered(
        name="TIMESTAMP UTC",
        type="timestamptz",
        written="TIMESTAMP WITH TIME ZONE",
        few=("1700-01-01 00:00:00+00", "1969-12-31 23:59:59.999999+00", "1970-01-01 00:00:00+00",
             "2024-02-29 12:34:56.789012+00", "2024-02-29 12:34:56.789013+00",
             "2200-12-31 00:00:00+00"),
        many="timestamptz '1970-01-01 00:00:00+00' + (n - 4000) * interval '1 hour 1 microsecond'",
    ),
    Filtered(
        name="TIME",
        type="time",
        written="TIME",
        few=("00:00:00", "00:00:00.000001", "11:59:59.999999", "12:00:00", "23:59:59.999999"),
        many="time '00:00:00' + n * interval '10.000001 seconds'",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which rows have a value like that; `operands` are rows that have the value asked for."""

    column: str
    operator: Operator
    operands: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.column} {self.operator} {', '.join(map(str, self.operands))}"


def create_filtered(connection: psycopg.Connection[Any]) -> None:
    """The tables, with their rows.

    The first value is in every row group with values, each other one in one of them; the last row
    group has none.
    """
    connection.execute(f"CREATE SCHEMA {SCHEMA}".encode())
    for each in FILTERED:
        table = f"{SCHEMA}.{each.relation}"
        extra = f", many {each.type}" if each.many is not None else ""
        connection.execute(f"CREATE TABLE {table} (n int, few {each.type}{extra})".encode())
        arms = []
        for group in range(ROW_GROUPS - 1):
            own = [0, *range(1 + group, len(each.few), ROW_GROUPS - 1)]
            turns = " ".join(
                f"WHEN {turn} THEN {_quoted(each.few[place])}::{each.type}"
                for turn, place in enumerate(own)
            )
            arms.append(f"WHEN {group} THEN CASE n % {len(own) + 1} {turns} END")
        few = f"CASE n / {ROW_GROUP_ROWS} {' '.join(arms)} END"
        is_null = f"n % 9 = 8 OR n >= {ROW_GROUP_ROWS * (ROW_GROUPS - 1)}"
        many = "" if each.many is None else f", CASE WHEN {is_null} THEN NULL ELSE {each.many} END"
        rows = ROW_GROUP_ROWS * ROW_GROUPS
        connection.execute(
            f"INSERT INTO {table} SELECT n, {few}{many} FROM generate_series(0, {rows - 1}) AS n"
            "".encode()
        )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def questions(connection: psycopg.Connection[Any], each: Filtered) -> list[Question]:
    """What is asked of the columns of a file."""
    return [
        question
        for column in each.columns
        for question in _questions(column, _places(connection, each, column))
    ]


def _places(connection: psycopg.Connection[Any], each: Filtered, column: str) -> list[int]:
    """A row of each value that is asked for, in the order of the values."""
    value = each.compared.replace("{v}", column)
    # Both zeros are asked for: they are equal, and differ in their text.
    rows = connection.execute(
        f"SELECT min(n) FROM {SCHEMA}.{each.relation} WHERE {column} IS NOT NULL "
        f'GROUP BY {value}, {column}::text ORDER BY {value}, {column}::text COLLATE "C"'.encode()
    ).fetchall()
    places = [row[0] for row in rows]
    return places if column == "few" else places[:: len(places) // 3]


def _questions(column: str, places: Sequence[int]) -> Iterator[Question]:
    def ask(operator: Operator, *operands: int) -> Question:
        return Question(column=column, operator=operator, operands=operands)

    first, middle, last = places[0], places[len(places) // 2], places[-1]
    pair = next(each for each in itertools.pairwise(places) if middle in each)
    yield ask("BETWEEN", *pair)
    yield ask("JOIN", *pair)
    if column == "many":
        yield ask("=", middle)
        yield ask("IN", first, last)
        return
    for place in places:
        yield ask("=", place)
    for place in dict.fromkeys((middle, last)):
        yield ask("<", place)
        yield ask(">", place)
    yield ask("<>", first)
    yield ask("IN", last)
    yield ask("IN", first, last)
    yield ask("JOIN", last)
    yield ask("IS NULL")


def right_rows(
    connection: psycopg.Connection[Any], each: Filtered, question: Question
) -> list[int]:
    """The numbers of the rows that PostgreSQL finds, in order."""
    table = f"{SCHEMA}.{each.relation}"
    value = each.compared.replace("{v}", question.column)
    operands = [f"(SELECT {value} FROM {table} WHERE n = {row})" for row in question.operands]
    if question.operator == "BETWEEN":
        condition = f"{value} BETWEEN {operands[0]} AND {operands[1]}"
    elif question.operator in ("IN", "JOIN"):
        condition = f"{value} IN ({', '.join(operands)})"
    else:
        condition = f"{value} {question.operator} {''.join(operands)}"
    rows = connection.execute(f"SELECT n FROM {table} WHERE {condition} ORDER BY n".encode())
    return [row[0] for row in rows.fetchall()]
