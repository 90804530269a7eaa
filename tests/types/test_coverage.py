"""No type of a server is forgotten: each has a row of the type map, or is a reviewed fallback.

All extensions that the server offers are made, and every type in `pg_type` that a column can have
is looked at. A new version of PostgreSQL or of an extension that brings a type fails here, until
somebody has decided whether its text is what its readers want.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from duckwarp.engine.measure import is_numeric
from duckwarp.engine.types import FALLBACK, RULES, rule_for
from duckwarp.model.pg_type import PgType
from duckwarp.postgres.types import load_types
from tests.support import Database
from tests.types.harness import by_pyarrow, export, file_types

# Types whose own text is what is written, by the extension that has them.
REVIEWED = {
    # The type map names them, or says text for everything that it does not name.
    "pg_catalog": """
        bit varbit inet cidr macaddr macaddr8 tsvector tsquery pg_lsn jsonpath xml
        regclass regcollation regconfig regdictionary regnamespace regoper regoperator regproc
        regprocedure regrole regtype txid_snapshot pg_snapshot xid xid8 cid tid aclitem
        int2vector oidvector point line lseg box path polygon circle
        int4range int8range numrange daterange tsrange tstzrange
        int4multirange int8multirange nummultirange datemultirange tsmultirange tstzmultirange
        gtsvector pg_brin_bloom_summary pg_brin_minmax_multi_summary pg_dependencies pg_mcv_list
        pg_ndistinct pg_node_tree oid8""",
    "ltree": "ltree lquery ltxtquery ltree_gist",
    "cube": "cube",
    "seg": "seg",
    "isn": "ean13 isbn isbn13 ismn ismn13 issn issn13 upc",
    "intarray": "query_int intbig_gkey",
    # Text of these is a list of numbers in brackets, which its readers know how to parse.
    "vector": "vector halfvec sparsevec",
    # Keys of indexes: no table has them.
    "btree_gist": "gbtreekey2 gbtreekey4 gbtreekey8 gbtreekey16 gbtreekey32 gbtreekey_var",
    "hstore": "ghstore",
    "pg_trgm": "gtrgm",
    # Boxes have no well-known binary; a raster's text is its own, in hex.
    "postgis": "box2d box2df box3d gidx spheroid",
    "postgis_raster": "raster",
}


@pytest.fixture(scope="module")
def server(module_database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a database with all extensions that can be made on the server."""
    with module_database.connect() as connection:
        names = connection.execute("SELECT name FROM pg_available_extensions ORDER BY name")
        for (name,) in names.fetchall():
            statement = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} CASCADE")
            try:
                connection.execute(statement.format(sql.Identifier(name)))
            except psycopg.Error:
                continue  # a library or a version that this server lacks
        yield connection


@pytest.fixture(scope="module")
def types(server: psycopg.Connection[Any]) -> dict[int, PgType]:
    """All types that a column can have, but for arrays and composites."""
    oids = server.execute("""
        SELECT t.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE t.typtype IN ('b', 'd', 'e', 'r', 'm') AND n.nspname <> 'information_schema'
          AND NOT EXISTS (SELECT FROM pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid)
        """).fetchall()
    wanted = [oid for (oid,) in oids]
    loaded = load_types(server, wanted)
    assert len(wanted) > 80
    return {oid: loaded[oid] for oid in wanted}


def test_every_type_has_a_row_or_is_a_reviewed_fallback(types: dict[int, PgType]) -> None:
    forgotten = {
        (owner, name)
        for owner, name in _fallbacks(types)
        if name not in REVIEWED.get(owner, "").split()
    }
    assert forgotten == set()


def test_no_reviewed_fallback_has_a_row(types: dict[int, PgType]) -> None:
    reviewed = {(owner, name) for owner, names in REVIEWED.items() for name in names.split()}
    known = {(_owner(t), t.name) for t in types.values()}
    assert (reviewed & known) - _fallbacks(types) == set()
    assert ("pg_catalog", "inet") in reviewed & known


def _fallbacks(types: dict[int, PgType]) -> set[tuple[str, str]]:
    found = set()
    for pg_type in types.values():
        resolved, _ = pg_type.resolved(-1)
        if resolved.kind != "array" and not is_numeric(resolved) and rule_for(resolved) is FALLBACK:
            found.add((_owner(resolved), resolved.name))
    return found


def _owner(pg_type: PgType) -> str:
    return pg_type.extension or pg_type.schema


def test_every_row_of_the_map_is_for_a_type_that_exists(types: dict[int, PgType]) -> None:
    known = {(_owner(pg_type), pg_type.name) for pg_type in types.values()}
    owners = {owner for owner, _ in known}
    rows = {(rule.extension or "pg_catalog", name) for rule in RULES for name in rule.types}
    assert {row for row in rows if row[0] in owners} - known == set()


def test_a_column_of_every_type_and_of_every_array_is_exported(
    types: dict[int, PgType],
    server: psycopg.Connection[Any],
    module_database: Database,
    tmp_path: Path,
) -> None:
    rows = server.execute(
        """SELECT format_type(t.oid, NULL), t.typarray <> 0
        FROM pg_type t WHERE t.oid = ANY(%s::oid[])""",
        [list(types)],
    ).fetchall()
    # `bit` and `character` without a length would be of length 1.
    spoken = {"bit": 'pg_catalog."bit"', "character": 'pg_catalog."bpchar"'}
    columns = [spoken.get(name, name) for name, _ in rows]
    columns += [f"{spoken.get(name, name)}[]" for name, has_array in rows if has_array]
    declared = ", ".join(f"c{n} {name}" for n, name in enumerate(columns))
    server.execute("CREATE SCHEMA staging")
    server.execute(f"CREATE TABLE staging.t ({declared})".encode())
    server.execute("INSERT INTO staging.t DEFAULT VALUES")
    path = export(module_database.dsn, tmp_path).parquet("t")
    assert len(file_types(path)) == len(columns) > 1.5 * len(types)
    assert all(column.null_count == 1 for column in by_pyarrow(path).columns)
