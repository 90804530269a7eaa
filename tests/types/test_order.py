"""The order of rows: the first column decides, the rest break ties, NULLs last, and it is total.

Each row of the table gives the values of a type in the order that is promised. They are inserted in
other orders, into a table whose second column has ties to break.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from duckwarp.engine import layout
from tests.runs import reading_over
from tests.support import Database
from tests.types.harness import Exported, by_duckdb, by_pyarrow, export, pages_sha256, texts

SETUP = """
    CREATE SCHEMA staging;
    CREATE TYPE staging.mood AS ENUM ('sad', 'ok', 'Happy', 'élan');
    CREATE TYPE staging.pair AS (a int, b text);
    CREATE DOMAIN staging.amount AS numeric(12,2);"""

BYTES = ["", " ", "10", "9", "A", "B", "Z", "_under", "a", "a ", "aa", "b", "Ä", "é", "日",
         "\uffff", "😀"]  # fmt: skip

ORDERS = (
    ("bool", ["f", "t"]),
    ("int2", ["-32768", "-1", "0", "1", "9", "10", "32767"]),
    ("int8", ["-9223372036854775808", "-1", "0", "9", "10", "9223372036854775807"]),
    ("oid", ["0", "9", "10", "2147483648", "4294967295"]),
    ("float4", ["-Infinity", "-1", "-1e-45", "-0", "0", "1e-45", "9", "10", "Infinity", "NaN"]),
    ("float8", ["-Infinity", "-1", "-5e-324", "-0", "0", "5e-324", "9", "10", "Infinity", "NaN"]),
    ("numeric", ["-1.5", "-1", "0", "0.001", "9", "10"]),
    ("numeric(38,2)", ["-99999999999999999999", "-1", "0", "0.01", "9", "10"]),
    ("staging.amount", ["-1", "0", "9", "10"]),
    ("money", ["-10", "-9", "0", "9", "10"]),
    ("text", BYTES),
    ('text COLLATE "C"', BYTES),
    ("varchar", BYTES),
    ("name", BYTES),
    ("char(9)", ["10", "9", "A", "B", "_", "a", "aa", "b", "é"]),
    ('"char"', ["", " ", "1", "A", "a"]),
    ("bytea", ["\\x", "\\x00", "\\x0000", "\\x00ff", "\\x01", "\\x7f", "\\x80", "\\xff"]),
    ("uuid", ["00000000-0000-0000-0000-000000000000", "7fffffff-ffff-ffff-ffff-ffffffffffff",
              "80000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-7fff-ffffffffffff",
              "ffffffff-ffff-ffff-8000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    ("date", ["4714-11-24 BC", "0001-12-31 BC", "0001-01-01", "1969-12-31", "5874897-12-31"]),
    ("timestamp", ["4714-11-24 BC", "1969-12-31 23:59:59.999999", "1970-01-01", "294246-01-01"]),
    ("timestamptz", ["2020-01-01 00:00+01", "2020-01-01 00:00+00", "2020-01-01 00:00-01"]),
    ("time", ["00:00:00", "00:00:00.000001", "23:59:59.999999"]),
    ("timetz", ["09:00:00+00", "09:00:00-01", "10:00:00+05"]),
    ("interval", ["-1 mon", "10 days", "1 day", "2 days", "1 hour"]),
    ("json", ['"a"', "1", "10", "9", "[1]", "[1] ", "null", "{}"]),
    ("jsonb", ['"a"', "1", "10", "9", "[1]", "null", "{}"]),
    ("staging.mood", ["Happy", "ok", "sad", "élan"]),
    ("staging.pair", ["(10,a)", "(10,)", "(9,a)", "(,)"]),
    ("bit(3)", ["000", "001", "100"]),
    ("inet", ["10.0.0.0/8", "10.0.0.1", "9.0.0.0", "::1"]),
    ("int4range", ["[1,2)", "[10,11)", "[9,10)", "empty"]),
    ("int4[]", ["{}", "{-1}", "{1}", "{1,2}", "{1,10}", "{1,NULL}", "{2}", "{NULL}"]),
    ("bool[]", ["{}", "{f}", "{f,t}", "{t}", "{NULL}"]),
    ("text[]", ["{}", '{""}', '{"",a}', "{A}", "{_}", "{a}", "{a,b}", "{a,NULL}", "{é}", "{NULL}"]),
    ("float8[]", ["{}", "{-1}", "{-0,0}", "{0,-0}", "{0,1}", "{-0,NULL}", "{NaN}", "{NULL}"]),
    ("numeric[]", ["{}", "{-1}", "{0.5}", "{0.5,1}", "{9}", "{10}", "{NULL}"]),
    ("date[]", ["{}", "{0001-12-31 BC}", "{1969-12-31}", "{NULL}"]),
    ("bytea[]", ["{}", '{"\\\\x"}', '{"\\\\x00"}', '{"\\\\x80"}', '{"\\\\xff"}', "{NULL}"]),
    ("uuid[]", ["{}", "{00000000-0000-0000-0000-000000000000}",
                "{7fffffff-ffff-ffff-ffff-ffffffffffff}",
                "{80000000-0000-0000-0000-000000000000}", "{NULL}"]),
)  # fmt: skip


@pytest.fixture(scope="module")
def ordered(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Two tables for each type with the same rows (v, place) in different physical orders."""
    module_database.execute(SETUP)
    generator = random.Random(7)
    for number, (type_, values) in enumerate(ORDERS):
        # Places tie and break ties: each value comes with two of them, and once more with each.
        rows = [(value, place, n) for n, value in enumerate([*values, None]) for place in (2, 1, 2)]
        for name in ("first", "second"):
            generator.shuffle(rows)
            _fill(module_database, f"staging.{name}_{number}", type_, rows)
    return export(module_database.dsn, tmp_path_factory.mktemp("order"))


def _fill(
    database: Database, table: str, type_: str, rows: Sequence[tuple[str | None, int, int]]
) -> None:
    plain = type_.partition(" COLLATE")[0]
    with database.connect() as connection:
        connection.execute(f"CREATE TABLE {table} (v {type_}, place int, rank int)".encode())
        statement = f"INSERT INTO {table} SELECT (%s::text)::{plain}, %s, %s"
        if plain == "money":
            statement = statement.replace("(%s::text)", "(%s::numeric)")
        connection.cursor().executemany(statement.encode(), rows)


@pytest.mark.parametrize(
    "number", [pytest.param(n, id=type_) for n, (type_, _) in enumerate(ORDERS)]
)
def test_rows_are_in_the_promised_order_whatever_the_order_in_the_table(
    ordered: Exported, number: int
) -> None:
    _, values = ORDERS[number]
    first, second = (ordered.parquet(f"{name}_{number}") for name in ("first", "second"))
    wanted = [(str(n), str(p)) for n in range(len(values) + 1) for p in (1, 2, 2)]
    for read in (by_pyarrow, by_duckdb):
        table = read(first)
        found = list(zip(texts(table["rank"]), texts(table["place"]), strict=True))
        assert found == wanted
    assert table["v"].null_count == 3
    assert table["v"].slice(len(table) - 3).null_count == 3
    assert pages_sha256(first) == pages_sha256(second)


def test_columns_break_ties_from_left_to_right(database: Database, tmp_path: Path) -> None:
    database.execute("""
        CREATE SCHEMA staging;
        CREATE TABLE staging.t (a float8, b text, c int4[], d json);
        INSERT INTO staging.t VALUES
            (0, 'b', '{1}', '1'), ('-0', 'c', '{1}', '1'), (0, 'a', '{2}', '1'),
            (0, 'a', NULL, '1'), (0, 'a', '{1,NULL}', '2'), (0, 'a', '{1,NULL}', '1'),
            (0, NULL, '{0}', '0'), (NULL, '', '{}', '0'), (-1, 'z', '{9}', NULL),
            (-1, 'z', '{9}', '9')""")
    path = export(database.dsn, tmp_path).parquet("t")
    found = [tuple(row.values()) for row in by_pyarrow(path).to_pylist()]
    assert repr(found) == repr([
        (-1.0, "z", [9], "9"), (-1.0, "z", [9], None), (-0.0, "c", [1], "1"),
        (0.0, "a", [1, None], "1"), (0.0, "a", [1, None], "2"), (0.0, "a", [2], "1"),
        (0.0, "a", None, "1"), (0.0, "b", [1], "1"), (0.0, None, [0], "0"),
        (None, "", [], "0"),
    ])  # fmt: skip


def test_the_collation_of_a_column_does_not_decide(database: Database, tmp_path: Path) -> None:
    collations = ["C"]
    if database.execute("SELECT 1 FROM pg_collation WHERE collname = 'en-x-icu'"):
        collations += ["en-x-icu", "case_insensitive"]
        database.execute("""CREATE COLLATION case_insensitive
            (provider = icu, locale = 'und-u-ks-level2', deterministic = false)""")
    database.execute("CREATE SCHEMA staging")
    for number, collation in enumerate(collations):
        database.execute(f'CREATE TABLE staging.t_{number} (v text COLLATE "{collation}")')
        with database.connect() as connection:
            connection.cursor().executemany(
                f"INSERT INTO staging.t_{number} VALUES (%s)", [(text,) for text in BYTES[::-1]]
            )
    exported = export(database.dsn, tmp_path)
    for number in range(len(collations)):
        assert by_pyarrow(exported.parquet(f"t_{number}"))["v"].to_pylist() == BYTES


MANY = """
    CREATE TABLE staging.{table} AS
    SELECT CASE n % 7 WHEN 0 THEN 0 WHEN 1 THEN '-0' WHEN 2 THEN 'NaN' WHEN 3 THEN -('NaN'::float8)
               WHEN 4 THEN NULL ELSE n % 3 END::float8 AS f,
           CASE n % 5 WHEN 0 THEN NULL ELSE chr(65 + n % 60) END AS t,
           CASE n % 4 WHEN 0 THEN ARRAY[n % 3, NULL] WHEN 1 THEN '{{}}' ELSE NULL END::int4[] AS a,
           CASE n % 3 WHEN 0 THEN ARRAY['-0', n % 2]::float4[] ELSE ARRAY[0, n % 2]::float4[] END AS g,
           (n % 11)::numeric / 4 AS d, repeat('x', n % 50) AS filler
    FROM generate_series(1, 20000) AS n ORDER BY {order}"""  # noqa: E501


def test_the_same_rows_give_the_same_bytes_whatever_moves_them(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "RANGE_MIN_BYTES", 2)
    database.execute("CREATE SCHEMA staging")
    for table, order in (("one", "n"), ("two", "n DESC"), ("three", "n % 17, n")):
        database.execute(MANY.format(table=table, order=order))
    database.execute("""
        CREATE TABLE staging.clustered AS SELECT * FROM staging.one;
        CREATE INDEX i ON staging.clustered (t, d);
        CLUSTER staging.clustered USING i""")
    digests = set()
    for number, settings in enumerate(
        (reading_over(1), {"threads": 2, "max_connections": 4}, reading_over(3), {"threads": 4})
    ):
        exported = export(database.dsn, tmp_path / str(number), **settings)
        assert exported.report.total_rows == 80_000
        tables = ("one", "two", "three", "clustered")
        digests |= {pages_sha256(exported.parquet(table)) for table in tables}
    assert len(digests) == 1
