"""The data of the benchmarks are what their titles say, and are made once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from psycopg.conninfo import conninfo_to_dict

from benchmarks.datasets import FULL, Dataset, datasets
from benchmarks.loading import load
from benchmarks.server import uri_of
from benchmarks.shapes import SHAPES
from tests.support import Database

FEW = 40


def few_of(name: str) -> Dataset:
    """A dataset with little in it."""
    dataset = datasets(FULL)[name]
    return replace(dataset, rows=FEW, table_count=min(dataset.table_count, 3))


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        pytest.param("t", 15, id="T"),
        pytest.param("wide", 400, id="400 columns"),
        pytest.param("w1600", 1600, id="1,600 columns"),
        *(pytest.param(name, len(shape.columns), id=name) for name, shape in SHAPES.items()),
    ],
)
def test_no_two_rows_are_equal(name: str, columns: int, database: Database) -> None:
    assert load(database.dsn, few_of(name)) is None
    query = f"SELECT count(DISTINCT t.*::text), count(*) FROM bench.{name} t"
    assert database.execute(query) == [(FEW, FEW)]
    query = f"SELECT count(*) FROM pg_attribute WHERE attrelid = 'bench.{name}'::regclass"
    assert database.execute(f"{query} AND attnum > 0") == [(columns,)]


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_the_same_whatever_the_server_is_set_to(name: str, database: Database) -> None:
    """The checksum of its rows as text, which is asked for in a session of one's own settings."""

    def checksum() -> list[tuple[str]]:
        database.execute(f"DROP TABLE IF EXISTS bench.{name}")
        assert load(database.dsn, few_of(name)) is None
        rows = "string_agg(t::text, ',' ORDER BY t::text COLLATE \"C\")"
        settings = "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'"
        with database.connect() as connection:
            connection.execute(settings)
            return connection.execute(f"SELECT md5({rows}) FROM bench.{name} t").fetchall()

    first = checksum()
    for setting in ("timezone = 'Pacific/Auckland'", "datestyle = 'SQL, DMY'"):
        database.execute(f"ALTER DATABASE {database.name} SET {setting}")
    assert checksum() == first


def test_a_declared_column_has_its_declaration(database: Database) -> None:
    for name in ("numerics", "mixed", "sparse", "codes"):
        assert load(database.dsn, few_of(name)) is None
    query = """
        SELECT DISTINCT attname FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
        WHERE attrelid::regclass::text LIKE 'bench.%' AND typname IN ('numeric', 'bpchar')
          AND atttypmod < 0 ORDER BY 1"""
    undeclared = ["budget", "growth", "patients", "rate_per_1000", "row_number"]
    assert database.execute(query) == [(name,) for name in undeclared]


def test_each_huge_value_is_of_its_size_and_its_own(database: Database) -> None:
    assert load(database.dsn, replace(few_of("huge"), rows=2)) is None
    query = "SELECT count(DISTINCT body), min(length(body)), max(length(body)) FROM bench.huge"
    assert database.execute(query) == [(2, 10_000_000, 10_000_000)]


def test_what_is_there_is_not_made_again_until_it_is_another(database: Database) -> None:
    def nodes() -> list[tuple[int]]:
        query = "SELECT pg_relation_filenode(format('bench_small.small_%s', lpad(n::text, 3, '0')))"
        return database.execute(f"{query} FROM generate_series(1, 3) n")

    dataset = few_of("small")
    assert load(database.dsn, dataset) is None
    made = nodes()
    assert load(database.dsn, dataset) is None
    assert nodes() == made
    assert load(database.dsn, replace(dataset, rows=FEW + 1)) is None
    assert not set(nodes()) & set(made)


def test_what_cannot_be_made_says_why(database: Database) -> None:
    dataset = replace(few_of("t"), statement="CREATE TABLE {schema}.{table} AS SELECT nonsense")
    assert 'column "nonsense" does not exist' in str(load(database.dsn, dataset))


@pytest.mark.parametrize(
    "dsn",
    [
        pytest.param("host=/tmp/some user=u dbname=d port=5433", id="a socket's folder"),
        pytest.param("host=db.example user=u password='a/b@c: d' dbname=d port=1", id="a password"),
    ],
)
def test_a_uri_leads_where_the_dsn_does(dsn: str) -> None:
    assert conninfo_to_dict(uri_of(dsn)) == conninfo_to_dict(dsn)
