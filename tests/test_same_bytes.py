"""The same rows give the same file, to the byte: whoever sorts, with what memory, over how many
threads and connections, wherever the rows lie in PostgreSQL, whatever its locale and encoding.

Every table has heavy ties in its leading columns, rows that are there twice, and NULLs, and is
filled by a query that gives the same rows on every server.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Protocol

import psycopg
import pyarrow.parquet as pq
import pytest

from duckwarp.demo.server import embedded_server
from duckwarp.engine import codes, layout, sampling
from duckwarp.engine.copy import CopyJob, start_copy
from duckwarp.engine.session import Running, Session
from duckwarp.export import copy as copying
from duckwarp.export.preview import plan_export
from duckwarp.model.settings import MIN_MEMORY_BYTES, Settings, SortIn
from duckwarp.model.source import Selection
from tests.conftest import TEST_DSN, DatabaseMaker
from tests.runs import Recorder, column_values, export, reading_over
from tests.support import Database
from tests.types.harness import scratch_database, sha256, texts

MB = 1_000_000
ROWS = 300_000

# A value of each type for the row k, and how often it is NULL: once in so many rows, 0 for never.
WORDS = """(ARRAY['Zebra','zebra','Ähre','ähre','Apfel','apfel','Äpfel','straße','strasse','ß',
    '日本','😀','a b','ab','a-b','','_','Œuvre','œuf','￿'])[1 + k % 20]"""
FLOATS = "(ARRAY['NaN','0','Infinity','-Infinity','1e-40','-7','0.1'])[1 + k % 7]"
COLUMNS = (
    ("bool", "k % 2 = 0", 3),
    ("int2", "k % 5 - 2", 7),
    ("float4", FLOATS, 9),
    ("float8", FLOATS, 0),
    ("text", WORDS, 11),
    ("int4", "k % 9 - 4", 0),
    ("numeric(12,3)", "(k % 8 - 4) / 3.0", 6),
    ("numeric", "(k % 7 - 3) / 8.0", 5),
    ("money", "(k % 6 - 3)::numeric", 4),
    ("bpchar(9)", f"left({WORDS}, 9)", 8),
    ("varchar(30)", f"{WORDS} || k % 3", 0),
    ('"char"', "chr(65 + k % 4)", 5),
    ("name", f"'n' || {WORDS}", 0),
    ("mood", "(ARRAY['sad','Happy','élan'])[1 + k % 3]", 6),
    ("bytea", "decode((ARRAY['','00','0000','80','ff','61'])[1 + k % 6], 'hex')", 7),
    ("json", """(ARRAY['null','1','10','{"b": 1, "a": ["é"]}','[ 1]'])[1 + k % 5]""", 4),
    ("jsonb", f"jsonb_build_object('a', k % 3, 'b', {WORDS})", 6),
    ("date", "(ARRAY['5874897-12-31','0044-03-15 BC','2024-02-29','4714-11-24 BC'])[1 + k % 4]", 9),
    ("timestamp", "timestamp '0001-12-31 BC' + k % 5 * interval '3 months 1.5 seconds'", 8),
    ("timestamptz", "timestamptz '1969-12-31 23:59:59.5+00' + k % 4 * interval '1 day'", 0),
    ("time", "(ARRAY['00:00','23:59:59.999999'])[1 + k % 2]", 4),
    ("timetz", "(ARRAY['09:00+00','09:00-01','10:00+05'])[1 + k % 3]", 0),
    ("interval", "(ARRAY['-1 mon','10 days','1 day','2 days','1 hour'])[1 + k % 5]", 9),
    ("inet", "(ARRAY['10.0.0.0/8','10.0.0.1','9.0.0.0','::1'])[1 + k % 4]", 7),
    ("bit(3)", "(ARRAY['000','001','100'])[1 + k % 3]", 0),
    ("oid", "(ARRAY['0','9','4294967295'])[1 + k % 3]", 0),
    ("int4[]", "(ARRAY['{}','{1}','{1,2}','{1,NULL}','{NULL}','{10}'])[1 + k % 6]", 5),
    ("text[]", f"ARRAY[{WORDS}, CASE k % 3 WHEN 1 THEN NULL ELSE 'é' END]", 7),
    ("float8[]", "(ARRAY['{}','{NaN}','{NULL}','{0,NULL}','{0}'])[1 + k % 5]", 6),
    ("numeric(9,2)[]", "(ARRAY['{}','{0.5,1}','{0.5}','{NULL,9}','{10}'])[1 + k % 5]", 4),
    ("bytea[]", r"""(ARRAY['{}','{"\\x"}','{"\\x80",NULL}','{"\\xff"}'])[1 + k % 4]""", 5),
    ("pair", f"ROW(k % 11, {WORDS})::pair", 6),
    ("int4range", "(ARRAY['empty','[1,2)','[10,11)','[9,)'])[1 + k % 4]", 5),
    ("amount", "k % 12 - 6", 7),
    ("uuid", "md5((k / 3)::text)", 0),
    ("int8", "(k / 2)::int8 * 1000003", 0),
)  # fmt: skip
TYPES = """
    CREATE TYPE mood AS ENUM ('sad', 'Happy', 'élan');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN amount AS numeric(12,2);"""


def values_of(columns: tuple[tuple[str, str, int], ...]) -> str:
    """The select list that makes these columns, called v1, v2, …, of the row k."""
    parts = []
    for number, (type_, expression, nulls) in enumerate(columns, start=1):
        # A text that is a constant has to become of its type by itself.
        value = f"({expression})::text::{type_}"
        if type_ in ("bool", "pair", "bytea", "text[]", "money"):
            value = f"({expression})::{type_}"
        if nulls:
            value = f"CASE WHEN (k + {number}) % {nulls} > 0 THEN {value} END"
        parts.append(f"{value} AS v{number}")
    return ", ".join(parts)


def every_type(rows: int) -> str:
    """Rows with all of them: each is there twice, and neighbours here are none in the file."""
    rows_of_k = f"SELECT n * 7001 % {rows // 2} AS k FROM generate_series(1, {rows}) n"
    return f"SELECT {values_of(COLUMNS)} FROM ({rows_of_k}) s"


# -0.0 is nowhere, so that it is not reckoned with.
PLAIN_FLOATS = """
    SELECT (ARRAY['NaN','0','Infinity','-Infinity','1','-1'])[1 + k % 6]::float8 AS f,
           CASE WHEN k % 5 > 0 THEN (ARRAY['NaN','0','1'])[1 + k % 3]::float4 END AS g,
           ARRAY[k % 2, NULL, k % 3]::float8[] AS a, k / 2 AS n
    FROM (SELECT n * 7001 % 25000 AS k FROM generate_series(1, 50000) n) s"""
SIGNED_ZEROS = """
    SELECT (ARRAY['-0','0'])[1 + k % 2]::float4 AS g, (ARRAY['0','-0','1'])[1 + k % 3]::float8 AS f,
           (ARRAY['{-0,0}','{0,-0}','{-0}','{0}'])[1 + k % 4]::float4[] AS a, k % 100 AS n,
           (ARRAY['-0','0'])[1 + k % 2]::float8 AS z
    FROM generate_series(1, 40000) AS k"""
# Rows of 600 to 5,000 bytes, some of which PostgreSQL keeps out of line and some compressed.
LONG_ROWS = """
    SELECT k % 4 AS g, repeat(chr(65 + k % 3), 400) AS ties,
           substr((SELECT string_agg(md5((k * 200 + i)::text), '') FROM generate_series(1, 150) i),
                  1, 200 + k % 97 * 45) AS s,
           repeat('compressible ', k % 50) AS t
    FROM (SELECT n * 7001 % 4500 AS k FROM generate_series(1, 9000) n) s"""
# A few values of many megabytes among rows that are small.
HUGE_ROWS = """
    SELECT k % 3 AS g, CASE WHEN k % 250 = 0 THEN repeat(md5(k::text), 250000) ELSE 'x' || k END AS s,
           CASE WHEN k % 500 = 1 THEN convert_to(repeat(md5(k::text), 90000), 'UTF8') END AS b, k AS n
    FROM (SELECT n * 7001 % 3012 AS k FROM generate_series(0, 3011) n) s"""  # noqa: E501
# Values that the Parquet types do not hold, and -0.0.
SPECIALS = """
    SELECT (ARRAY['NaN',NULL,'0','1','2.5'])[1 + k % 5]::numeric(9,2) AS d,
           (ARRAY['infinity','-infinity','2024-02-29',NULL])[1 + k % 4]::date AS day,
           (ARRAY['-0','0','NaN'])[1 + k % 3]::float8 AS f,
           (ARRAY['infinity','2024-02-29 12:00'])[1 + k % 2]::timestamptz AS t,
           (ARRAY['24:00','00:00',NULL])[1 + k % 3]::time AS h,
           (ARRAY['{NaN,1}','{1,NULL}','{Infinity}'])[1 + k % 3]::numeric[] AS a, k % 1000 AS n
    FROM (SELECT n * 7001 % 7500 AS k FROM generate_series(1, 15000) n) s"""
# Wide tables: rows that are shorter, and longer, than their types let expect.
FORTY = ", ".join(f"'v' || n % {i + 3} AS t{i}" for i in range(40))
FOUR_HUNDRED = ", ".join(f"left(md5((n + {i})::text), 12) AS t{i}" for i in range(400))
TABLES = {
    "every": every_type(ROWS),
    "sample": every_type(ROWS // 15),
    "specials": SPECIALS,
    "floats": PLAIN_FLOATS,
    "zeros": SIGNED_ZEROS,
    "long": LONG_ROWS,
    "huge": HUGE_ROWS,
}
SMALL = tuple(table for table in TABLES if table != "every")
Digests = dict[str, str]


class Exported(Protocol):
    """Exports tables in one run, for their digests; the keywords are those of `Settings`."""

    def __call__(
        self, *tables: str, database: Database | None = None, **settings: Any
    ) -> Digests: ...


def fill(database: Database, *tables: str) -> None:
    """Make the tables in the schema public."""
    database.execute(TYPES)
    for table in tables:
        create = f"CREATE TABLE {table} AS {TABLES[table]} LIMIT 0"
        # To compress values that are written once would take most of the time.
        store = f"ALTER TABLE {table} ALTER s SET STORAGE EXTERNAL;" if table == "huge" else ""
        database.execute(f"{create}; {store} INSERT INTO {table} {TABLES[table]}; ANALYZE {table}")


def digests_of(database: Database, folder: Path, *tables: str, **settings: Any) -> Digests:
    """Export the tables in one run; the digests of their files."""
    selection = Selection(tables=tuple(f"public.{table}" for table in tables))
    results = export(database, selection, folder, **settings).results
    assert [result.error for result in results] == [None] * len(tables)
    return {table: sha256(folder / f"{table}.parquet") for table in tables}


@pytest.fixture(scope="module")
def filled(server_dsn: str, worker_id: str) -> Iterator[Database]:
    """A database with all tables; tests rewrite them, and they keep their rows."""
    with scratch_database(server_dsn, worker_id) as database:
        fill(database, *TABLES)
        yield database


@pytest.fixture
def exported(filled: Database, tmp_path: Path) -> Exported:
    def run(*tables: str, database: Database | None = None, **settings: Any) -> Digests:
        return digests_of(database or filled, tmp_path, *tables, **settings)

    return run


@pytest.fixture(scope="module")
def wanted(filled: Database, tmp_path_factory: pytest.TempPathFactory) -> Digests:
    """The digests of a plain run, before anything was done to the tables."""
    folder = tmp_path_factory.mktemp("wanted")
    small = digests_of(filled, folder, *SMALL)
    return small | digests_of(filled, folder, "every", sort_in="duckdb")


def among(wanted: Digests, *tables: str) -> Digests:
    return {table: wanted[table] for table in tables}


# What a run may use, and what it is asked for.
VARIANTS = [
    pytest.param({}, id="another run"),
    pytest.param({"threads": 1}, id="one thread"),
    pytest.param({"threads": 2, "memory_bytes": 512 * MB}, id="two threads, 512 MB"),
    pytest.param({"threads": 4, "memory_bytes": 2000 * MB}, id="four threads, 2 GB"),
    pytest.param({"sort_in": "duckdb", "threads": 2}, id="sorted in DuckDB"),
    pytest.param({"sort_in": "postgres"}, id="sorted in PostgreSQL"),
    pytest.param({"max_connections": 2, "jobs": 1}, id="two connections, one by one"),
    pytest.param({"max_connections": 5, "threads": 4, "jobs": 4}, id="five connections"),
]


class TestWhateverARunMayUse:
    @pytest.mark.parametrize("settings", VARIANTS)
    def test_small_tables(
        self, exported: Exported, wanted: Digests, settings: dict[str, Any]
    ) -> None:
        assert exported(*SMALL, **settings) == among(wanted, *SMALL)

    def test_small_tables_at_the_minimum(self, exported: Exported, wanted: Digests) -> None:
        """But the one whose values are huge: each of them takes a share of the memory."""
        tables = [table for table in SMALL if table != "huge"]
        assert exported(*tables, memory_bytes=MIN_MEMORY_BYTES) == among(wanted, *tables)

    @pytest.mark.parametrize("connections", [1, 2, 3, 4])
    def test_small_tables_read_in_ranges(
        self,
        exported: Exported,
        wanted: Digests,
        monkeypatch: pytest.MonkeyPatch,
        connections: int,
    ) -> None:
        tables = ("specials", "floats", "zeros", "long")
        monkeypatch.setattr(layout, "RANGE_MIN_BYTES", 200_000)
        settings = reading_over(connections) | {"sort_in": "duckdb", "jobs": 1}
        assert exported(*tables, **settings) == among(wanted, *tables)

    @pytest.mark.parametrize(
        "settings",
        [
            pytest.param({"threads": 1, "memory_bytes": 2000 * MB}, id="one thread, 2 GB"),
            pytest.param({"threads": 2, "memory_bytes": 512 * MB}, id="two threads, 512 MB"),
            pytest.param({"threads": 4, "max_connections": 5}, id="four threads, 5 connections"),
        ],
    )
    def test_a_large_table_sorted_in_duckdb(
        self, exported: Exported, wanted: Digests, settings: dict[str, Any]
    ) -> None:
        assert exported("every", sort_in="duckdb", **settings) == among(wanted, "every")

    def test_a_large_table_at_the_minimum(self, exported: Exported, wanted: Digests) -> None:
        assert exported("every", memory_bytes=MIN_MEMORY_BYTES) == among(wanted, "every")

    def test_the_large_table_is_read_in_ranges_of_its_own_as_the_tests_above_rely_on(
        self, filled: Database, wanted: Digests
    ) -> None:
        assert len(set(wanted.values())) == len(TABLES)
        settings = Settings(dsn=filled.dsn, threads=2, sort_in=SortIn.DUCKDB)
        [planned] = plan_export(Selection(tables=("public.every",)), settings)
        assert planned.plan is not None
        assert len(planned.plan.ranges) == 2


def coded_columns(database: Database, table: str) -> list[str]:
    """The columns of a table in whose place codes are sorted."""
    settings = Settings(dsn=database.dsn, sort_in=SortIn.DUCKDB)
    [planned] = plan_export(Selection(tables=(f"public.{table}",)), settings)
    assert planned.plan is not None, planned.reason
    return [column.name for column in planned.plan.columns if column.codes]


class TestWhateverHasACode:
    """Frequent texts are sorted by codes, which a sample of large tables decides about."""

    @pytest.fixture(autouse=True)
    def all_tables_are_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sampling, "SAMPLED_MIN_BYTES", 0)

    @pytest.mark.parametrize(
        ("constants", "some"),
        [
            pytest.param({}, {"v5", "v11", "v14", "v16"}, id="frequent texts"),
            pytest.param({"MAX_CODES": 2, "MIN_CODED_SHARE": 0.0}, {"v5", "v11"}, id="two"),
            pytest.param({"MAX_CODES": 1, "MIN_CODED_SHARE": 0.0}, {"v13"}, id="one"),
        ],
    )
    def test_small_tables(
        self,
        filled: Database,
        exported: Exported,
        wanted: Digests,
        monkeypatch: pytest.MonkeyPatch,
        constants: dict[str, float],
        some: set[str],
    ) -> None:
        for name, value in constants.items():
            monkeypatch.setattr(codes, name, value)
        assert some <= set(coded_columns(filled, "sample"))
        assert exported("sample", "long", sort_in="duckdb") == among(wanted, "sample", "long")

    @pytest.mark.parametrize(
        ("create", "has_codes"),
        [
            pytest.param("CREATE TABLE t AS {rows}", True, id="a table"),
            pytest.param(
                "CREATE TABLE t (v text, n int) PARTITION BY RANGE (n); "
                "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (3000); "
                "CREATE TABLE t2 PARTITION OF t DEFAULT; INSERT INTO t {rows}",
                True,
                id="a partitioned table",
            ),
            pytest.param("CREATE MATERIALIZED VIEW t AS {rows}", True, id="a materialized view"),
            pytest.param(
                "CREATE TABLE u AS {rows}; CREATE VIEW t AS SELECT * FROM u", False, id="a view"
            ),
            pytest.param("CREATE DOMAIN d AS varchar(9); CREATE TABLE t (v d, n int); "
                "INSERT INTO t {rows}", True, id="a domain"),
            pytest.param("CREATE COLLATION c (provider = icu, locale = 'und-u-ks-level2', "
                "deterministic = false); CREATE TABLE t (v text COLLATE c, n int); "
                "INSERT INTO t {rows}", True, id="a collation that ignores case"),
            pytest.param("CREATE TABLE t AS SELECT NULL::text AS v, n FROM ({rows}) s", False,
                id="no text at all"),
            pytest.param("CREATE TABLE t AS {rows} LIMIT 0", False, id="an empty table"),
        ],
    )  # fmt: skip
    def test_whatever_the_relation(
        self, database: Database, tmp_path: Path, create: str, has_codes: bool
    ) -> None:
        rows = (
            "SELECT (ARRAY['Word', 'word', 'Wörter', NULL, '', 'it''s', 'rare' || n])"
            "[CASE WHEN n % 400 = 0 THEN 7 ELSE 1 + n % 6 END] AS v, n "
            "FROM generate_series(1, 6000) AS n"
        )
        try:
            database.execute(create.replace("{rows}", rows))
        except psycopg.errors.FeatureNotSupported as error:
            pytest.skip(f"this server cannot: {error}")
        assert coded_columns(database, "t") == (["v"] if has_codes else [])
        sorted_by = {
            sorter: digests_of(database, tmp_path / sorter, "t", sort_in=sorter)
            for sorter in ("duckdb", "postgres")
        }
        assert sorted_by["duckdb"] == sorted_by["postgres"]

    def test_other_encodings(self, make_database: DatabaseMaker, tmp_path: Path) -> None:
        digests = set()
        for encoding, has_codes in (("UTF8", True), ("LATIN1", True), ("SQL_ASCII", False)):
            made = make_database(encoding=encoding)
            made.execute(
                "CREATE TABLE t AS SELECT (ARRAY['Straße', 'strasse', 'Ähre'])[1 + n % 3] AS v "
                "FROM generate_series(1, 3000) AS n"
            )
            assert coded_columns(made, "t") == (["v"] if has_codes else [])
            digests |= set(digests_of(made, tmp_path, "t", sort_in="duckdb").values())
        assert len(digests) == 1

    def test_numbers_of_every_kind(self, filled: Database) -> None:
        settings = Settings(dsn=filled.dsn, sort_in=SortIn.DUCKDB)
        [planned] = plan_export(Selection(tables=("public.sample",)), settings)
        assert planned.plan is not None
        columns = planned.plan.columns
        narrowed = {c.name: (str(c.form.type), str(c.narrowed)) for c in columns if c.narrowed}
        assert narrowed == {
            "v6": ("INTEGER", "SMALLINT"),
            "v7": ("DECIMAL(18,3)", "DECIMAL(9,3)"),
            "v8": ("DECIMAL(18,3)", "DECIMAL(9,3)"),
            "v9": ("DECIMAL(19,2)", "DECIMAL(9,2)"),
            "v34": ("DECIMAL(18,0)", "DECIMAL(4,0)"),
        }

    @pytest.mark.parametrize(
        ("type_", "usual", "largest"),
        [
            pytest.param("int8", "n % 9", "-9223372036854775808", id="int8"),
            pytest.param("int4", "n % 9", "2147483647", id="int4"),
            pytest.param("numeric(15,2)", "n % 9 / 4.0", "9999999999999.99", id="numeric(15,2)"),
            pytest.param("numeric(30,3)", "n % 9 / 8.0", "-9e26", id="numeric(30,3)"),
            pytest.param("money", "(n % 9)::numeric", "'92233720368547758.07'", id="money"),
        ],
    )
    def test_a_number_that_no_sample_let_expect(
        self,
        database: Database,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        type_: str,
        usual: str,
        largest: str,
    ) -> None:
        monkeypatch.setattr(sampling, "SAMPLED_PAGES", 4)
        database.execute(
            f"CREATE TABLE t AS SELECT ({usual})::{type_} AS v, repeat('x', 60) || n AS w "
            "FROM generate_series(1, 40000) AS n; "
            f"UPDATE t SET v = {largest} WHERE w LIKE '%x39999'"
        )
        [planned] = plan_export(
            Selection(tables=("public.t",)), Settings(dsn=database.dsn, sort_in=SortIn.DUCKDB)
        )
        assert planned.plan is not None
        assert planned.plan.columns[0].narrowed is not None
        recorder = Recorder()
        selection = Selection(tables=("public.t",))
        [result] = export(
            database, selection, tmp_path / "duckdb", recorder, sort_in="duckdb"
        ).results
        assert result.error is None
        [again] = [e for e in recorder.events if "larger numbers" in str(e.message)]
        assert again.context["source"] == "t"
        by_server = digests_of(database, tmp_path / "postgres", "t", sort_in="postgres")
        assert by_server == {"t": sha256(tmp_path / "duckdb" / "t.parquet")}

    def test_texts_that_are_together_on_few_pages_have_none(self, database: Database) -> None:
        database.execute(
            "CREATE TABLE t AS SELECT 'word ' || n / 300 AS v, repeat('x', 50) AS w "
            "FROM generate_series(1, 60000) AS n"
        )
        assert coded_columns(database, "t") == ["w"]

    def test_a_small_table_is_not_looked_at(
        self, filled: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert coded_columns(filled, "sample")
        monkeypatch.setattr(sampling, "SAMPLED_MIN_BYTES", 10**9)
        assert coded_columns(filled, "sample") == []


class TestRowGroups:
    """They are cut where the plan says, by whoever sorts and however many threads write."""

    @pytest.mark.parametrize(
        ("groups", "more"),
        [
            pytest.param(1, -1, id="one that is not full"),
            pytest.param(1, 0, id="a full one"),
            pytest.param(1, 1, id="a row more"),
            pytest.param(1, 2047, id="nearly a vector more"),
            pytest.param(1, 2048, id="a vector more"),
            pytest.param(2, 5, id="a few more than two"),
            pytest.param(8, 100, id="a few more than DuckDB sorts as one"),
        ],
    )
    def test_as_many_rows_as_planned_and_the_rest(
        self, database: Database, tmp_path: Path, groups: int, more: int
    ) -> None:
        database.execute(f"CREATE TABLE t AS SELECT n, {FORTY} FROM generate_series(1, 9) n")
        [planned] = plan_export(Selection(tables=("public.t",)), Settings(dsn=database.dsn))
        assert planned.plan is not None
        full = planned.plan.layout.row_group_rows
        assert 8 * full > 122_880 > 2 * full
        rows = groups * full + more
        database.execute(f"INSERT INTO t SELECT n, {FORTY} FROM generate_series(10, {rows}) n")
        digests = set()
        for settings in ({"threads": 1}, {"threads": 2}, {"threads": 4}, {"sort_in": "postgres"}):
            digests.add(digests_of(database, tmp_path, "t", **settings)["t"])
            metadata = pq.read_metadata(tmp_path / "t.parquet")
            got = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
            assert got == [full] * (rows // full) + ([rows % full] if rows % full else []), settings
        assert len(digests) == 1


# What rewrites a table and leaves its rows as they are.
REWRITES = [
    pytest.param(["UPDATE {t} SET {c} = {c}"], id="UPDATE of every row"),
    pytest.param(["UPDATE {t} SET {c} = {c}", "VACUUM FULL {t}"], id="and VACUUM FULL"),
    pytest.param(
        ["CREATE INDEX other ON {t} ({k}, {c})", "CLUSTER {t} USING other", "DROP INDEX other"],
        id="CLUSTER on another index",
    ),
]
# The first column of each table, and one that has a sort of its own.
KEYS = {
    "every": ("v1", "v36"),
    "sample": ("v1", "v35"),
    "specials": ("d", "n"),
    "floats": ("f", "n"),
    "zeros": ("g", "n"),
    "long": ("g", "t"),
    "huge": ("g", "n"),
}


class TestWhereverTheRowsLie:
    @pytest.mark.parametrize("statements", REWRITES)
    def test_small_tables(
        self, filled: Database, exported: Exported, wanted: Digests, statements: list[str]
    ) -> None:
        for table in SMALL:
            rewrite(filled, table, statements)
        assert exported(*SMALL, memory_bytes=512 * MB) == among(wanted, *SMALL)

    @pytest.mark.parametrize("statements", REWRITES[1:])
    def test_a_large_table(
        self, filled: Database, exported: Exported, wanted: Digests, statements: list[str]
    ) -> None:
        rewrite(filled, "every", statements)
        assert exported("every", sort_in="duckdb") == among(wanted, "every")

    def test_rows_of_a_partitioned_table(self, filled: Database, exported: Exported) -> None:
        """Whichever part they are in, and however many there are."""
        digests = []
        for parts in ((), (0, 3, 4)):
            filled.execute("CREATE TABLE whole (LIKE zeros) PARTITION BY RANGE (n)")
            bounds = ["MINVALUE", *map(str, parts), "MAXVALUE"]
            for number, (low, high) in enumerate(pairwise(bounds)):
                filled.execute(
                    f"CREATE TABLE whole_{number} PARTITION OF whole "
                    f"FOR VALUES FROM ({low}) TO ({high})"
                )
            filled.execute("INSERT INTO whole SELECT * FROM zeros")
            digests.append(exported("whole"))
            filled.execute("DROP TABLE whole")
        assert digests[0] == digests[1]


def rewrite(database: Database, table: str, statements: list[str]) -> None:
    column, key = KEYS[table]
    for statement in statements:
        database.execute(statement.format(t=table, c=column, k=key))


class TestWhateverATableWentThrough:
    """Were lengths counted in one case and not in the other, row groups would be others."""

    @pytest.mark.parametrize(
        ("columns", "rows"),
        [
            pytest.param(FORTY, 100_000, id="short rows, by their types long ones"),
            pytest.param(FOUR_HUNDRED, 9_000, id="long rows, as their types say"),
        ],
    )
    def test_a_long_value_that_was_there_once(
        self, database: Database, exported: Exported, columns: str, rows: int
    ) -> None:
        """It leaves a place for values out of line, which is not empty until VACUUM."""
        database.execute(f"CREATE TABLE t AS SELECT n, {columns} FROM generate_series(1, {rows}) n")
        database.execute("ALTER TABLE t ALTER t0 SET STORAGE EXTERNAL")
        before = exported("t", database=database)
        database.execute("INSERT INTO t (n, t0) VALUES (0, repeat('x', 5000))")
        database.execute("DELETE FROM t WHERE n = 0")
        assert exported("t", database=database) == before

    def test_rows_that_are_dead(self, database: Database, exported: Exported) -> None:
        """They make the table large enough for a look at its first rows."""
        quotes = "repeat('\"', 140)"
        database.execute(
            f"CREATE TABLE t AS SELECT n, ARRAY[{quotes}, {quotes}] AS a "
            "FROM generate_series(1, 75000) n"
        )
        before = exported("t", database=database)
        database.execute("UPDATE t SET n = n; UPDATE t SET n = n")
        assert exported("t", database=database) == before

    def test_long_rows_among_which_the_first_ones_are_short(
        self, database: Database, exported: Exported
    ) -> None:
        """They are met in the middle of the copy, or seen before it."""
        database.execute("""
            CREATE TABLE t AS SELECT n, repeat('x', CASE WHEN n < 90000 THEN 300 ELSE 2500 END) AS s
            FROM generate_series(1, 120000) n""")
        before = exported("t", database=database)
        database.execute("CREATE TABLE u AS SELECT * FROM t ORDER BY n DESC")
        database.execute("DROP TABLE t; ALTER TABLE u RENAME TO t")
        assert exported("t", database=database) == before

    def test_memory_that_ran_out(
        self,
        database: Database,
        exported: Exported,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        database.execute(
            # Once it is analysed, it is known to be too large for DuckDB.
            "CREATE TABLE t WITH (autovacuum_enabled = off) AS "
            f"SELECT n, {FORTY} FROM generate_series(1, 150000) n ORDER BY n DESC"
        )
        before = exported("t", database=database)
        started: list[CopyJob] = []

        def start(session: Session, job: CopyJob) -> Running[int]:
            started.append(job)
            layout = replace(job.plan.layout, duckdb_bytes=(20 if len(started) == 1 else 500) * MB)
            return start_copy(session, replace(job, plan=replace(job.plan, layout=layout)))

        monkeypatch.setattr(copying, "start_copy", start)
        again = exported("t", database=database, sort_in="auto")
        assert [job.plan.layout.sort_in for job in started] == [SortIn.DUCKDB, SortIn.POSTGRES]
        assert again == before


class TestWhateverTheServer:
    @pytest.mark.parametrize(
        "options",
        [
            pytest.param("LOCALE 'C'", id="C"),
            pytest.param("LOCALE 'C.UTF-8'", id="C.UTF-8"),
            pytest.param("LOCALE 'en_US.UTF-8'", id="English"),
            pytest.param("LOCALE 'de_DE.UTF-8'", id="German"),
            pytest.param("LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'", id="ICU's English"),
            pytest.param("LOCALE_PROVIDER icu ICU_LOCALE 'sv' LOCALE 'C'", id="ICU's Swedish"),
            pytest.param(
                "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST' LOCALE 'C'",
                id="PostgreSQL's own",
            ),
        ],
    )
    def test_its_locale_decides_nothing(
        self, server_dsn: str, worker_id: str, exported: Exported, wanted: Digests, options: str
    ) -> None:
        with ExitStack() as stack:
            try:
                database = stack.enter_context(
                    scratch_database(server_dsn, worker_id, options=options)
                )
            except psycopg.Error as error:
                pytest.skip(f"this server cannot: {error.diag.message_primary}")
            fill(database, "sample")
            for sort_in in ("duckdb", "postgres"):
                got = exported("sample", database=database, sort_in=sort_in)
                assert got == among(wanted, "sample"), sort_in

    @pytest.mark.parametrize(
        ("encoding", "codec", "alphabet"),
        [
            pytest.param("LATIN1", "latin-1", range(0xA0, 0x100), id="LATIN1"),
            pytest.param(
                "WIN1252",
                "cp1252",
                [ord(letter) for letter in bytes(range(0x80, 0x100)).decode("cp1252", "ignore")],
                id="WIN1252, whose bytes are in another order",
            ),
            pytest.param(
                "EUC_JP",
                "euc_jp",
                [
                    *range(0xFF66, 0xFF9E),
                    *range(0x3041, 0x3094),
                    *range(0x391, 0x3A2),
                    *range(0x4E00, 0x4E20),
                ],
                id="EUC_JP, whose bytes are in another order",
            ),
        ],
    )
    @pytest.mark.parametrize("sort_in", ["duckdb", "postgres"])
    def test_its_encoding_decides_nothing(
        self,
        make_database: DatabaseMaker,
        tmp_path: Path,
        encoding: str,
        codec: str,
        alphabet: Sequence[int],
        sort_in: str,
    ) -> None:
        letters = [chr(point) for point in alphabet if in_codec(chr(point), codec)]
        assert len(letters) > 50
        words = [*letters, *(f"a{letter}{letter}" for letter in letters), "a", "Z", ""]
        digests = set()
        for name in ("UTF8", encoding):
            database = make_database(encoding=name)
            fill_with_words(database, words)
            folder = tmp_path / name
            digests |= set(digests_of(database, folder, "t", sort_in=sort_in).values())
            got = column_values(folder / "t.parquet", "s")
            assert got == sorted(words * 8)
        assert len(digests) == 1

    @pytest.mark.embedded
    def test_its_version_decides_nothing(self, exported: Exported, wanted: Digests) -> None:
        if not TEST_DSN:
            pytest.skip("there is one server here: DUCKWARP_TEST_DSN names another")
        with embedded_server() as server:
            other = Database(dsn=server.dsn)
            fill(other, *SMALL)
            assert exported(*SMALL, database=other) == among(wanted, *SMALL)
            assert exported("sample", database=other, sort_in="postgres") == among(wanted, "sample")


def in_codec(letter: str, codec: str) -> bool:
    try:
        letter.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def fill_with_words(database: Database, words: list[str]) -> None:
    """A table of these words in every kind of text, in an order that is none."""
    database.execute("""
        CREATE TYPE pair AS (a int, b text);
        CREATE TABLE t (s text, c bpchar(9), a text[], p pair, j json, n name, b bytea[], k int)""")
    rows = [(word, k) for k in range(8) for word in words]
    Random(7).shuffle(rows)
    with database.connect() as connection:
        connection.cursor().executemany(
            """INSERT INTO t SELECT s, s, ARRAY[s, NULL, right(s, 1)], ROW(k, s)::pair,
            to_json(s), s, ARRAY[convert_to(s, 'UTF8')], k FROM (VALUES (%s, %s)) v (s, k)""",
            rows,
        )


FEW_TABLES = ("sample", "specials", "zeros")


@pytest.fixture(scope="module")
def in_full_order(filled: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where the files of a few tables are, in the order that is promised."""
    folder = tmp_path_factory.mktemp("all")
    digests_of(filled, folder, *FEW_TABLES)
    return folder


class TestOtherOrders:
    @pytest.mark.parametrize("order", ["first", "none"])
    @pytest.mark.parametrize("sort_in", ["duckdb", "postgres"])
    def test_the_rows_are_the_same(
        self, filled: Database, tmp_path: Path, in_full_order: Path, order: str, sort_in: str
    ) -> None:
        digests_of(filled, tmp_path, *FEW_TABLES, order=order, sort_in=sort_in)
        for table in FEW_TABLES:
            all_rows, rows = (
                rows_of(folder / f"{table}.parquet") for folder in (in_full_order, tmp_path)
            )
            assert len(rows) >= 15_000
            assert Counter(rows) == Counter(all_rows)
            if order == "first":
                first = pq.read_schema(tmp_path / f"{table}.parquet").names[0]
                got, want = (
                    column_values(folder / f"{table}.parquet", first)
                    for folder in (tmp_path, in_full_order)
                )
                assert list(map(repr, got)) == list(map(repr, want))


def rows_of(path: Path) -> list[str]:
    """Each row in a text that tells NaN and -0.0 from other values."""
    table = pq.read_table(path)
    return [repr(row) for row in zip(*map(texts, table.columns), strict=True)]
