"""What is known of a column, and of which column it is known."""

from __future__ import annotations

import pytest

from duckwarp.model.column import Column
from duckwarp.model.source import Selection
from duckwarp.postgres.columns import describe
from duckwarp.postgres.connection import connect
from duckwarp.postgres.registry import find_sources
from tests.support import Database


def columns_of(database: Database, relation: str = "r") -> dict[str, Column]:
    """The columns of a relation in `public`, registered where there is a registry."""
    connection = connect(database.dsn, "duckwarp")
    registered = database.execute("SELECT to_regclass('datawarp.tbl_data_sources') IS NOT NULL")
    if registered == [(True,)]:
        selection = Selection(codes=(relation,))
    else:
        selection = Selection(tables=(f"public.{relation}",))
    try:
        sources = find_sources(connection, selection, "datawarp")
        [columns] = describe(connection, sources, "datawarp").values()
        return {column.name: column for column in columns}
    finally:
        connection.close()


@pytest.fixture
def known(database: Database) -> Database:
    """A registry with the source `r`, and metadata of which the types are a test's own."""
    database.execute(
        "CREATE SCHEMA datawarp; "
        "CREATE TABLE datawarp.tbl_data_sources (code text, table_name text, schema_name text); "
        "INSERT INTO datawarp.tbl_data_sources VALUES ('r', 'r', 'public')"
    )
    return database


def test_what_is_known_of_a_column_is_said_of_no_other(known: Database) -> None:
    known.execute(
        """CREATE TABLE r (val int, "Val" int, "OTHER" int, plain int);
        CREATE TABLE datawarp.tbl_column_metadata
            (canonical_source_code text, column_name text, description text);
        INSERT INTO datawarp.tbl_column_metadata VALUES
            ('r', 'val', 'of val'), ('r', 'other', 'of other'), ('r', 'PLAIN', 'of plain'),
            ('s', 'Val', 'of another source')"""
    )
    got = {name: column.description for name, column in columns_of(known).items()}
    assert got == {"val": "of val", "Val": None, "OTHER": "of other", "plain": "of plain"}


@pytest.mark.parametrize(
    ("value", "want"),
    [
        *((word, False) for word in ("false", "f", "No", "0", "", None)),
        *((word, True) for word in ("true", "T", "yes", "1")),
    ],
)
def test_marks_and_keywords_may_be_kept_as_text(
    known: Database, value: str | None, want: bool
) -> None:
    known.execute(
        """CREATE TABLE r (n int);
        CREATE TABLE datawarp.tbl_column_metadata (canonical_source_code text, column_name text,
            is_dimension text, is_measure text, query_keywords text)"""
    )
    known.execute(
        "INSERT INTO datawarp.tbl_column_metadata VALUES ('r', 'n', %s, %s, 'rate, age')",
        [value, value],
    )
    column = columns_of(known)["n"]
    assert (column.is_dimension, column.is_measure) == (want, want)
    assert column.keywords == ("rate, age",)


def test_a_constraint_counts_once_it_is_validated(database: Database) -> None:
    [(version,)] = database.execute("SELECT current_setting('server_version_num')::int")
    if version < 180000:
        pytest.skip("NOT NULL ... NOT VALID came with PostgreSQL 18")
    database.execute(
        "CREATE TABLE r (a int, b int NOT NULL, c int); INSERT INTO r VALUES (NULL, 1, 1); "
        "ALTER TABLE r ADD CONSTRAINT later NOT NULL a NOT VALID; "
        "ALTER TABLE r ADD CONSTRAINT known NOT NULL c NOT VALID; "
        "ALTER TABLE r VALIDATE CONSTRAINT known"
    )
    got = {name: column.nullable for name, column in columns_of(database).items()}
    assert got == {"a": True, "b": False, "c": False}


def test_a_domain_forbids_null_in_tables_only(database: Database) -> None:
    database.execute(
        "CREATE DOMAIN strict AS int NOT NULL; CREATE TABLE r (n strict, m int); "
        "INSERT INTO r VALUES (1, 1); "
        "CREATE VIEW v AS SELECT r.n FROM (VALUES (2)) AS x (k) LEFT JOIN r ON r.m = x.k"
    )
    assert database.execute("SELECT n FROM v") == [(None,)]
    assert not columns_of(database)["n"].nullable
    assert columns_of(database, "v")["n"].nullable


@pytest.mark.parametrize(
    ("statements", "want"),
    [
        pytest.param("CREATE TABLE r (a int, b int)", {}, id="none"),
        pytest.param("CREATE TABLE r (a int PRIMARY KEY, b int)", {"a": 1}, id="one column"),
        pytest.param(
            "CREATE TABLE r (a int, x int, b int, PRIMARY KEY (b, a)); ALTER TABLE r DROP x",
            {"b": 1, "a": 2},
            id="two, in another order",
        ),
        pytest.param("CREATE TABLE r (a int NOT NULL UNIQUE)", {}, id="unique only"),
        pytest.param(
            "CREATE TABLE r (a int PRIMARY KEY) PARTITION BY RANGE (a); "
            "CREATE TABLE p PARTITION OF r FOR VALUES FROM (0) TO (9)",
            {"a": 1},
            id="of all partitions",
        ),
        pytest.param(
            "CREATE TABLE r (a int PRIMARY KEY); CREATE TABLE child () INHERITS (r)",
            {},
            id="not of the children, which are read as well",
        ),
        pytest.param(
            "CREATE TABLE t (a int PRIMARY KEY); CREATE VIEW r AS SELECT * FROM t", {}, id="a view"
        ),
    ],
)
def test_the_primary_key_is_known_where_it_holds(
    database: Database, statements: str, want: dict[str, int]
) -> None:
    database.execute(statements)
    got = {name: column.key for name, column in columns_of(database).items()}
    assert {name: key for name, key in got.items() if key is not None} == want
