"""The lengths of rows, as the server counts them and as DuckDB watches over them: the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pytest

from duckwarp.engine.column_form import ColumnForm
from duckwarp.engine.layout import long_row_bytes
from duckwarp.engine.lengths import LENGTHS, UTF8_ENCODINGS, lengths_query
from duckwarp.engine.plan import ExportPlan
from duckwarp.engine.session import extension_path
from duckwarp.engine.statements import received_length, server_query
from duckwarp.export.preview import plan_export
from duckwarp.files.quoting import literal
from duckwarp.model.parquet_type import Kind, ParquetType
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from tests.conftest import DatabaseMaker
from tests.support import Database, dsn_with

TEXT = ColumnForm(select="r.s", type=ParquetType(Kind.VARCHAR))
BYTES = ColumnForm(select="r.b", type=ParquetType(Kind.BLOB))
NUMBER = ColumnForm(select="r.n", type=ParquetType(Kind.INTEGER))


def counted(
    database: Database, *forms: ColumnForm, relation: str = "t", **choices: Any
) -> dict[str, int]:
    """What the query gives, by name; 0 for NULL."""
    query = lengths_query(forms, relation, **({"in_utf8": True} | choices))
    [(values,)] = database.execute(query)
    assert all(value is None or isinstance(value, str) for value in values)
    return {name: int(value or 0) for name, value in zip(LENGTHS, values, strict=True)}


def as_counted(lengths: list[int], long_bytes: int) -> dict[str, int]:
    return {
        "rows": len(lengths),
        "text_bytes": sum(lengths),
        "squared": sum(length**2 for length in lengths),
        "long_bytes": sum(length for length in lengths if length > long_bytes),
        "longest": max(lengths, default=0),
    }


class TestCounting:
    def test_the_columns_of_variable_length_are_counted_together(self, database: Database) -> None:
        long = long_row_bytes([NUMBER, TEXT, BYTES])
        database.execute(
            "CREATE TABLE t (n int, s text, b bytea); INSERT INTO t VALUES "
            "(1, 'ab', '\\x00ff'), (2, 'é✓😀', NULL), (NULL, NULL, '\\x'), (4, NULL, NULL), "
            f"(5, repeat('x', {long - 1}), '\\x00'), (6, repeat('x', {long}), '\\x00')"
        )
        got = counted(database, NUMBER, TEXT, BYTES)
        assert got == as_counted([4, 9, 0, 0, long, long + 1], long)
        assert got["long_bytes"] == long + 1

    def test_a_table_without_rows_has_nothing(self, database: Database) -> None:
        database.execute("CREATE TABLE t (s text)")
        assert counted(database, TEXT) == as_counted([], 0)

    def test_the_first_rows_alone_are_counted_if_that_is_wanted(self, database: Database) -> None:
        database.execute("CREATE TABLE t AS SELECT 'abc'::text AS s FROM generate_series(1, 100)")
        assert counted(database, TEXT, limit=7) == as_counted([3] * 7, 1000)

    def test_bytes_are_counted_that_would_not_fit_into_four(self, database: Database) -> None:
        """The squares of lengths neither."""
        rows = "(SELECT repeat('x', 50000000) AS s FROM generate_series(1, 45))"
        got = counted(database, TEXT, relation=rows, limit=100)
        assert got["text_bytes"] == got["long_bytes"] == 2_250_000_000
        assert got["squared"] == 45 * 50_000_000**2

    @pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP", "WIN1252"])
    def test_text_has_the_bytes_that_it_has_in_the_file(
        self, make_database: DatabaseMaker, encoding: str
    ) -> None:
        words = {"LATIN1": "Größe £", "EUC_JP": "日本語 ﾃｽﾄ", "WIN1252": "Größe €"}
        database = make_database(encoding=encoding)
        database.execute("CREATE TABLE t (s text, a text[])")
        word = words[encoding]
        database.execute("INSERT INTO t VALUES (%s, ARRAY[%s, 'a'])", [word, word])
        size_bytes = len(word.encode())
        got = counted(database, TEXT, in_utf8=False)
        assert got["text_bytes"] == size_bytes
        assert counted(database, TEXT)["text_bytes"] != size_bytes

    def test_values_out_of_line_are_not_fetched(self, database: Database) -> None:
        version = database.execute("SELECT current_setting('server_version_num')::int")[0][0]
        if version < 150000:
            pytest.skip("this server does not tell at once what was read")
        database.execute("""
            CREATE TABLE t (s text, b bytea); ALTER TABLE t ALTER s SET STORAGE EXTERNAL;
            ALTER TABLE t ALTER b SET STORAGE EXTERNAL; INSERT INTO t
            SELECT repeat('x', 100000), convert_to(repeat('y', 100000), 'UTF8')
            FROM generate_series(1, 20);
            ALTER TABLE t SET (autovacuum_enabled = off, toast.autovacuum_enabled = off);
            SELECT pg_stat_force_next_flush()""")

        def fetched_by(query: str) -> int:
            with database.connect() as connection:
                before = connection.execute(FETCHED).fetchone()
                connection.execute(query.encode())
                connection.execute("SELECT pg_stat_force_next_flush()")
                after = connection.execute(FETCHED).fetchone()
            assert before is not None
            assert after is not None
            return int(after[0] - before[0])

        assert fetched_by(lengths_query([TEXT, BYTES], "t", in_utf8=True)) == 0
        assert fetched_by("SELECT sum(length(md5(s))) FROM t") > 20
        assert counted(database, TEXT, BYTES)["text_bytes"] == 20 * 200_000


FETCHED = """
    SELECT coalesce(toast_blks_read + toast_blks_hit, 0) FROM pg_statio_user_tables
    WHERE relname = 't'"""


ODD = """
    CREATE TYPE mood AS ENUM ('sad', 'élan');
    CREATE TYPE pair AS (a int, b text);
    CREATE TABLE t (n int, s text, c bpchar(9), v varchar, k "char", b bytea, j json, jb jsonb,
        i interval, m mood, p pair, r int4range, x inet, a text[], q int4[], y bytea[], u uuid[],
        f float8[], d numeric(9,2)[], e mood[], g int4range[], h timestamptz[], l bool[],
        pp pair[], z int4[], w numeric, o name, c1 character(1), c2 bpchar)"""
ROWS = (
    "INSERT INTO t (n) VALUES (1)",
    "INSERT INTO t (n, s, c, v, k, b, j, o) VALUES (2, '', '', '', '', '', '\"\"', '')",
    "INSERT INTO t (n, s, c, v, k, b) VALUES (3, 'é', 'é', ' é ', 'k', '\\x00ff')",
    "INSERT INTO t (n, j, jb, i, m, p) VALUES "
    "(4, ' {\"a\":  [1]}', '{\"a\":  [1]}', '1 day -2 hours', 'élan', ROW(1, 'a \"b\"'))",
    "INSERT INTO t (n, a, q, y, u) VALUES (5, '{}', '{}', '{}', '{}')",
    "INSERT INTO t (n, a, q, y, u) VALUES (6, '{NULL}', '{NULL}', '{NULL}', '{NULL}')",
    "INSERT INTO t (n, a, q) VALUES (7, ARRAY['', NULL, 'a', 'é', 'NULL', 'a,b'], '{1,NULL,-30}')",
    "INSERT INTO t (n, a) VALUES (8, ARRAY[repeat('\"', 99), repeat('\\', 99), '''', '{', '['])",
    "INSERT INTO t (n, y) VALUES (9, ARRAY['\\x', '\\x00', '\\x616263', NULL]::bytea[])",
    "INSERT INTO t (n, u, f) VALUES "
    "(10, ARRAY[gen_random_uuid(), NULL], '{NaN,-Infinity,0.1,NULL,1e-300}')",
    "INSERT INTO t (n, d, e, g) VALUES (11, '{1.5,NULL}', '{sad,NULL,élan}', '{\"[1,2)\",empty}')",
    "INSERT INTO t (n, h, l) VALUES (12, ARRAY[now(), NULL], '{t,NULL,f}')",
    "INSERT INTO t (n, pp, z) VALUES (13, ARRAY[ROW(1, 'b')::pair, NULL], '{{1,2},{3,4}}')",
    "INSERT INTO t (n, w, x, r) VALUES (14, 'NaN', '::1', 'empty')",
    "INSERT INTO t (n, w, o) VALUES (15, 1e60, 'é')",
    "INSERT INTO t (n, a) VALUES (16, '[5:6]={a,b}')",
    "INSERT INTO t (n, c, c1, c2) VALUES (17, ' ', ' ', 'é  ')",
)  # fmt: skip


@contextmanager
def attached(database: Database) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB to which the database is attached as pg."""
    path = extension_path()
    assert path is not None
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(f"LOAD {literal(str(path))}")
        dsn = dsn_with(database.dsn, client_encoding="UTF8")
        connection.execute(f"ATTACH {literal(dsn)} AS pg (TYPE postgres, READ_ONLY)")
        yield connection


def lengths_in_duckdb(plan: ExportPlan, database: Database) -> dict[int, int]:
    """The length of each row as DuckDB sees it while it copies, by its number."""
    lengths = " + ".join(
        f"coalesce({received_length(plan, column).replace('{d}', f'c{n}')}, 0)"
        for n, column in enumerate(plan.columns, start=1)
        if column.form.type.is_variable
    )
    with attached(database) as connection:
        rows = connection.execute(
            f"SELECT c1, {lengths} FROM postgres_query('pg', {literal(server_query(plan, ''))})"
        ).fetchall()
    return dict(rows)


class TestBothSides:
    @pytest.mark.parametrize("encoding", ["UTF8", "LATIN1"])
    def test_the_server_and_duckdb_count_every_row_alike(
        self, make_database: DatabaseMaker, encoding: str
    ) -> None:
        """Else a table would be laid out in one way or in another by where its length was seen."""
        database = make_database(encoding=encoding)
        database.execute(ODD)
        for statement in ROWS:
            database.execute(statement)
        settings = Settings(dsn=database.dsn)
        [planned] = plan_export(Selection(tables=("public.t",)), settings)
        assert planned.plan is not None
        forms = [column.form for column in planned.plan.columns]
        assert sum(form.type.is_variable for form in forms) > 20
        got = lengths_in_duckdb(planned.plan, database)
        assert sorted(got) == [*range(1, len(ROWS) + 1)]
        assert got[1] == 0
        assert got[8] > 200
        in_utf8 = encoding in UTF8_ENCODINGS
        of_server = {
            n: counted(
                database, *forms, relation=f"(SELECT * FROM t WHERE n = {n})", in_utf8=in_utf8
            )["text_bytes"]
            for n in got
        }
        assert got == of_server
