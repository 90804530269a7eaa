"""Data that change between measuring and copying: a changed value is never written in silence.

A view, a foreign table and a relation with parts may give other values at the second read of one
snapshot. Here they look at the query that reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest

from duckwarp.engine.layout import Resources
from duckwarp.engine.planning import plan_source
from duckwarp.engine.statements import server_query
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from duckwarp.postgres.columns import describe
from duckwarp.postgres.snapshot import open_snapshot
from tests.support import Database
from tests.types.harness import export, file_types

COPIED = "current_query() LIKE 'COPY%'"
# Special values of a date are counted only once a guard has met something.
COUNTED = "current_query() LIKE '%''-infinity''%'"
CHANGE = "the data change while they are read"


@pytest.fixture
def changing(module_database: Database) -> Iterator[Database]:
    """A database with an empty schema."""
    module_database.execute("CREATE SCHEMA staging")
    yield module_database
    module_database.execute("DROP SCHEMA staging CASCADE")


CHANGES = [
    pytest.param("numeric", "1", "0.123456789", id="a number with more digits"),
    pytest.param("numeric", "1", "12345678901234567890123", id="a larger number"),
    pytest.param("numeric", "1", "-1e18", id="a negative number as large"),
    pytest.param("numeric", "1", "NaN", id="NaN"),
    pytest.param("numeric", "1", "Infinity", id="infinity"),
    pytest.param("numeric", None, "1.5", id="a number where there was none"),
    pytest.param("numeric[]", "{1}", "{1.5}", id="an array of numbers with more digits"),
    pytest.param("numeric[]", "{1}", "{NaN}", id="an array with NaN"),
    pytest.param("numeric(5,2)[]", "{1}", "{NaN}", id="a declared array with NaN"),
    pytest.param("date[]", "{2024-01-01}", "{infinity}", id="an array with an endless date"),
    pytest.param("int4[]", "{1}", "[0:0]={1}", id="an array with another lower bound"),
    pytest.param("int4[]", "{1}", "{{1}}", id="an array of two dimensions"),
    pytest.param("uuid[]", "{}", "[0:0]={5e5a4a4e-8cb4-4c5a-9a6b-1d2f6a0f3f4e}", id="uuids"),
    pytest.param("int4[]", "{{1}}", "[0:0][1:1]={{1}}", id="bounds in JSON"),
]


@pytest.mark.parametrize(("type_", "measured", "copied"), CHANGES)
def test_a_value_that_comes_after_the_measuring_stops_its_source(
    changing: Database, tmp_path: Path, type_: str, measured: str | None, copied: str
) -> None:
    first = "NULL" if measured is None else f"'{measured}'"
    changing.execute(f"""
        CREATE VIEW staging.v AS
        SELECT (CASE WHEN {COPIED} THEN '{copied}' ELSE {first} END)::{type_} AS v""")
    exported = export(changing.dsn, tmp_path)
    error = exported.error("v")
    assert CHANGE in error
    assert 'column "v"' in error
    assert not (tmp_path / "v.parquet").exists()


def test_a_special_value_that_was_not_there_when_it_was_counted_stops_its_source(
    changing: Database, tmp_path: Path
) -> None:
    # The first attempt counts nothing, since guards notice; the second counts before it copies.
    changing.execute(f"""
        CREATE VIEW staging.v AS
        SELECT (CASE WHEN {COPIED} THEN 'infinity' ELSE '2024-01-01' END)::date AS v""")
    assert CHANGE in export(changing.dsn, tmp_path).error("v")


def test_another_kind_than_was_counted_stops_its_source(changing: Database, tmp_path: Path) -> None:
    changing.execute(f"""
        CREATE VIEW staging.v AS
        SELECT (CASE WHEN {COPIED} THEN 'Infinity' ELSE 'NaN' END)::numeric AS v""")
    assert CHANGE in export(changing.dsn, tmp_path).error("v")


def test_what_changed_once_is_measured_anew(changing: Database, tmp_path: Path) -> None:
    changing.execute(f"""
        CREATE VIEW staging.v AS SELECT
        (CASE WHEN {COPIED} OR {COUNTED} THEN 0.125 ELSE 1 END)::numeric AS v,
        '2024-01-01'::date AS d""")
    path = export(changing.dsn, tmp_path).parquet("v")
    assert file_types(path) == ["DECIMAL(18,3)", "DATE"]
    assert pq.read_table(path)["v"].to_pylist() == [Decimal("0.125")]


@pytest.mark.parametrize("type_", ["geometry", "geometry[]"])
def test_a_geometry_of_another_reference_system_stops_its_source(
    changing: Database, tmp_path: Path, type_: str
) -> None:
    if not changing.execute("SELECT name FROM pg_available_extensions WHERE name = 'postgis'"):
        pytest.skip("this server has no PostGIS")
    point = "ST_SetSRID(ST_MakePoint(1, 2), srid)"
    value = f"ARRAY[{point}]" if type_ == "geometry[]" else point
    changing.execute(f"""
        CREATE EXTENSION IF NOT EXISTS postgis;
        CREATE VIEW staging.v AS
        SELECT {value} AS v FROM (SELECT CASE WHEN {COPIED} THEN 3857 ELSE 4326 END) AS s (srid)""")
    assert CHANGE in export(changing.dsn, tmp_path).error("v")


def test_a_foreign_table_is_read_in_no_snapshot(changing: Database, tmp_path: Path) -> None:
    """The program looks at the title of the server's process that runs it."""
    changing.execute("""
        CREATE EXTENSION IF NOT EXISTS file_fdw;
        CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
        CREATE FOREIGN TABLE staging.f (v numeric) SERVER files
        OPTIONS (program 'grep -qa COPY /proc/$PPID/cmdline && echo 0.5 || echo 1');
        CREATE TABLE staging.parent (v numeric);
        ALTER FOREIGN TABLE staging.f INHERIT staging.parent""")
    exported = export(changing.dsn, tmp_path)
    for code in ("f", "parent"):
        assert CHANGE in exported.error(code)
    changing.execute("DROP EXTENSION file_fdw CASCADE")


def test_a_partition_that_is_attached_meanwhile_stops_or_is_measured(
    changing: Database, tmp_path: Path
) -> None:
    """Its rows are in the snapshot, and the copy sees that it is a part."""
    changing.execute("""
        CREATE TABLE staging.t (k int, v numeric) PARTITION BY LIST (k);
        CREATE TABLE staging.t_1 PARTITION OF staging.t FOR VALUES IN (1);
        INSERT INTO staging.t VALUES (1, 1)""")
    query = guarded_query(changing, "t")
    changing.execute("""
        CREATE TABLE staging.t_2 (k int, v numeric); INSERT INTO staging.t_2 VALUES (2, 0.5);
        ALTER TABLE staging.t ATTACH PARTITION staging.t_2 FOR VALUES IN (2)""")
    with pytest.raises(psycopg.DataError, match="duckwarp met a special value in column 2"):
        changing.execute(query)


@pytest.mark.parametrize(
    ("relation", "has_guard"),
    [
        pytest.param("CREATE TABLE staging.r (v numeric)", False, id="a table"),
        pytest.param(
            "CREATE MATERIALIZED VIEW staging.r AS SELECT 1::numeric AS v",
            False,
            id="a materialized view",
        ),
        pytest.param("CREATE VIEW staging.r AS SELECT 1::numeric AS v", True, id="a view"),
        pytest.param(
            "CREATE TABLE staging.r (v numeric); CREATE TABLE staging.c () INHERITS (staging.r)",
            True,
            id="a table with children",
        ),
        pytest.param(
            "CREATE TABLE staging.r (v numeric) PARTITION BY LIST (v)", True, id="a partitioned one"
        ),
    ],
)
def test_only_what_may_change_within_a_snapshot_pays_for_guards(
    changing: Database, relation: str, has_guard: bool
) -> None:
    changing.execute(relation)
    query = guarded_query(changing, "r")
    assert ("duckwarp met" in query) == has_guard
    assert "numeric(18,0)" in query


def guarded_query(database: Database, table: str) -> str:
    """What the server is asked for a measured relation of the schema."""
    settings = Settings(dsn=database.dsn)
    resources = Resources(duckdb_bytes=500_000_000, threads=1, connections=1)
    with open_snapshot(Selection(tables=(f"staging.{table}",)), settings, {}) as snapshot:
        (source,) = snapshot.sources
        columns = describe(snapshot.connection, [source], "staging")[source.code]
        return server_query(plan_source(snapshot, source, columns, settings, resources), "")


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        pytest.param("numeric(5,2)", "NaN", id="NaN"),
        pytest.param("date", "infinity", id="infinity"),
        pytest.param("numeric", "NaN", id="NaN without a declaration"),
    ],
)
def test_a_constant_of_a_view_is_not_taken_for_a_change(
    changing: Database, tmp_path: Path, type_: str, value: str
) -> None:
    changing.execute(f"CREATE VIEW staging.v AS SELECT '{value}'::{type_} AS v")
    exported = export(changing.dsn, tmp_path)
    assert pq.read_table(exported.parquet("v"))["v"].to_pylist() == [None]
    assert [loss.count for loss in exported.outcome("v").losses] == [1]
