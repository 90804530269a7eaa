"""What is kept in another form is no loss, and what is lost is named, column by column."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from duckwarp.engine.encoding import explain_encoding
from duckwarp.model.errors import SourceError
from duckwarp.model.settings import Settings, SpecialValues
from duckwarp.model.source import Selection
from duckwarp.postgres.columns import describe
from duckwarp.postgres.registry import find_sources
from duckwarp.postgres.snapshot import server_traits, session
from tests.conftest import DatabaseMaker, RoleMaker
from tests.support import Database
from tests.types.harness import READERS, export, sha256, texts

KEPT = [
    pytest.param("numeric", ["NaN", "Infinity", "1e-50", "1e50"], id="numbers that become text"),
    pytest.param("numeric(5,2)[]", ["{{NaN,1}}", "{NaN}"], id="NaN in arrays that become JSON"),
    pytest.param("date[]", ["{{infinity,2024-01-01}}"], id="endless dates in arrays of dates"),
]


@pytest.mark.parametrize(("type_", "values"), KEPT)
def test_a_source_is_not_stopped_by_values_that_the_file_has(
    database: Database, tmp_path: Path, type_: str, values: list[str]
) -> None:
    database.execute(f"CREATE SCHEMA staging; CREATE TABLE staging.t (v {type_})")
    for value in values:
        database.execute(f"INSERT INTO staging.t VALUES ('{value}')")
    exported = export(database.dsn, tmp_path, special_values=SpecialValues.ERROR)
    as_null = export(database.dsn, tmp_path / "null")
    for reader, read in READERS.items():
        found = texts(read(exported.parquet("t"))["v"])
        assert len(found) == len(values)
        assert None not in found
        assert found == texts(read(as_null.parquet("t"))["v"]), reader


def test_all_columns_with_something_to_lose_are_named(database: Database, tmp_path: Path) -> None:
    database.execute("""
        CREATE SCHEMA staging;
        CREATE TABLE staging.t (
            a numeric, b date, c int[], d numeric(5,2)[], kept numeric(5,2)[], fine numeric(5,2));
        INSERT INTO staging.t VALUES
            ('NaN', 'infinity', '[0:1]={1,2}', '{NaN}', '{{NaN}}', 1),
            ('Infinity', '2024-01-01', '{1}', '{NaN,NaN}', NULL, 2)""")
    error = export(database.dsn, tmp_path, special_values=SpecialValues.ERROR).error("t")
    assert 'column "a" has values that Parquet cannot hold (1 x NaN, 1 x infinity)' in error
    assert 'column "c" has values that Parquet cannot hold (1 x lower bounds other than 1)' in error
    assert 'column "d" has values that Parquet cannot hold (3 x NaN)' in error
    assert 'column "b" has values that Parquet cannot hold (1 x infinity)' in error
    assert "kept" not in error
    assert "fine" not in error
    assert error.count("--special-values null or text") == 1


CAST = """
    CREATE SCHEMA staging;
    CREATE TYPE staging.mood AS ENUM ('sad', 'happy');
    CREATE FUNCTION staging.mood_json(staging.mood) RETURNS json
        LANGUAGE sql IMMUTABLE AS $$SELECT '"?"'::json$$;
    CREATE CAST (staging.mood AS json) WITH FUNCTION staging.mood_json(staging.mood);
    CREATE DOMAIN staging.temper AS staging.mood;
    CREATE TYPE staging.person AS (name text, mood staging.temper);
    CREATE TABLE staging.t (
        n int, one staging.person, many staging.person[], grid staging.mood[], list staging.mood[]);
    INSERT INTO staging.t VALUES (
        1, ROW('a b', 'happy'), ARRAY[ROW('c', 'sad')::staging.person], '{{sad,happy}}',
        '{happy}')"""


def test_a_cast_to_json_that_somebody_wrote_decides_nothing(
    database: Database, tmp_path: Path
) -> None:
    database.execute(CAST)
    exported = export(database.dsn, tmp_path)
    for read in READERS.values():
        table = read(exported.parquet("t"))
        assert {name: texts(table[name]) for name in ("one", "many", "grid", "list")} == {
            "one": ['("a b",happy)'],
            "many": ['{"(c,sad)"}'],
            "grid": ["{{sad,happy}}"],
            "list": [["happy"]],
        }
    page = exported.page("t")
    assert page.count("a type inside it makes JSON of its own") == 3


def test_geometries_inside_a_composite_keep_what_geojson_has_no_room_for(
    database: Database, tmp_path: Path
) -> None:
    if not database.execute("SELECT name FROM pg_available_extensions WHERE name = 'postgis'"):
        pytest.skip("this server has no PostGIS")
    database.execute("""
        CREATE SCHEMA staging; CREATE EXTENSION postgis;
        CREATE TYPE staging.place AS (g geometry);
        CREATE TABLE staging.t AS
        SELECT ROW(g)::staging.place AS place, ARRAY[[g]] AS grid
        FROM ST_GeomFromEWKT('SRID=3857;POINT M(1 2 3)') AS g""")
    table = READERS["pyarrow"](export(database.dsn, tmp_path).parquet("t"))
    for name in ("place", "grid"):
        ((wanted,),) = database.execute(f"SELECT {name}::text FROM staging.t")
        assert texts(table[name]) == [wanted]


def test_the_cast_of_hstore_is_exact_and_stays(database: Database, tmp_path: Path) -> None:
    available = "SELECT name FROM pg_available_extensions WHERE name = 'hstore'"
    if not database.execute(available):
        pytest.skip("this server has no hstore")
    database.execute("""
        CREATE SCHEMA staging; CREATE EXTENSION hstore;
        CREATE TYPE staging.pair AS (h hstore);
        CREATE TABLE staging.t AS SELECT ROW('a=>NULL, b=>1')::staging.pair AS v""")
    (found,) = texts(READERS["pyarrow"](export(database.dsn, tmp_path).parquet("t"))["v"])
    assert json.loads(str(found)) == {"h": {"a": None, "b": "1"}}


UNTRANSLATABLE = [
    pytest.param("WIN1252", r"\x81", "0x81", id="WIN1252"),
    pytest.param("EUC_JP", r"\xa9a1", "0xa9 0xa1", id="EUC_JP"),
]


@pytest.mark.parametrize(("encoding", "raw", "named"), UNTRANSLATABLE)
def test_text_without_equivalent_in_utf8_is_named_with_its_column_and_row(
    make_database: DatabaseMaker, tmp_path: Path, encoding: str, raw: str, named: str
) -> None:
    database = make_database(encoding=encoding)
    text = f"convert_from('{raw}', '{encoding}')"
    database.execute(f"""
        CREATE SCHEMA staging;
        CREATE TABLE staging.t (id int, b bytea, fine text, v text[]);
        INSERT INTO staging.t VALUES (1, '\\x81', 'a', '{{b}}'), (2, '', 'a', ARRAY['a' || {text}])
        """)
    error = untranslatable(database, "t")
    assert 'column "v"' in error
    assert f"{named} of {encoding}" in error
    assert "ctid (0,2) of staging.t" in error
    assert "no equivalent" in export(database.dsn, tmp_path).error("t")


def test_text_that_has_its_equivalents_is_not_accused(make_database: DatabaseMaker) -> None:
    database = make_database(encoding="WIN1252")
    database.execute("CREATE SCHEMA staging; CREATE TABLE staging.t AS SELECT 'a'::text AS v")
    assert untranslatable(database, "t") == ""


def untranslatable(database: Database, table: str) -> str:
    """What is said of a source whose copy has failed; nothing if its text is in order."""
    with session(Settings(dsn=database.dsn), {}) as connection:
        (source,) = find_sources(connection, Selection(tables=(f"staging.{table}",)), "staging")
        columns = describe(connection, [source], "staging")[source.code]
        try:
            explain_encoding(connection, source, columns, server_traits(connection))
        except SourceError as error:
            return str(error)
    return ""


def test_no_type_or_function_of_a_user_stands_in_for_one_of_postgresql(
    database: Database, make_role: RoleMaker, tmp_path: Path
) -> None:
    database.execute("""
        CREATE SCHEMA staging; CREATE SCHEMA evil;
        CREATE TABLE staging.t AS SELECT
            1.5::numeric AS n, ARRAY[2.5::numeric] AS ns, 'a'::text AS t, ARRAY['b'::text] AS ts,
            5::oid AS o, '12:00+01'::timetz AS z, ARRAY['{"a": 1}'::json] AS j,
            '\\351'::"char" AS c""")
    role = make_role("SUPERUSER")
    plain = export(database.dsn_as(role), tmp_path / "plain").parquet("t")
    database.execute("""
        CREATE DOMAIN evil.text AS pg_catalog.int2; CREATE DOMAIN evil.int8 AS pg_catalog.bool;
        CREATE DOMAIN evil.int4 AS pg_catalog.bool; CREATE DOMAIN evil.bool AS pg_catalog.int2;
        CREATE FUNCTION evil.unnest(pg_catalog.anyarray) RETURNS pg_catalog.int4
            LANGUAGE sql AS $$SELECT 1$$;
        CREATE AGGREGATE evil.max(pg_catalog."numeric") (
            SFUNC = pg_catalog.numeric_add, STYPE = pg_catalog."numeric")""")
    database.execute(f"ALTER ROLE {role.name} SET search_path = evil, pg_catalog")
    evil = export(database.dsn_as(role), tmp_path / "evil").parquet("t")
    assert sha256(evil) == sha256(plain)
