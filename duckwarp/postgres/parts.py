"""The partitions and children of a relation, and which of them came after the snapshot.

A lock in ACCESS SHARE mode holds off neither ATTACH PARTITION nor INHERIT, and a query takes the
parts that there are when it is planned, with the rows that its snapshot has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql

from duckwarp.model.relation import RelationKind
from duckwarp.model.source import Source
from duckwarp.model.texts import BrokenText
from duckwarp.postgres.questions import ask
from duckwarp.postgres.relations import REACHED
from duckwarp.postgres.texts import in_bytes, read_rows


def parts_joined(connection: psycopg.Connection[Any], source: Source) -> list[str]:
    """The names of the parts that `source`, or a relation that it reads, has got since.

    Raises psycopg's errors.
    """
    relation = source.relation
    assert relation is not None
    if relation.kind is RelationKind.MATERIALIZED_VIEW:
        return []
    if relation.kind is RelationKind.TABLE:
        name = sql.Identifier(source.schema, source.table).as_string(connection)
        return sorted(_children_joined(connection, relation.oid, name))
    joined: set[str] = set()
    with connection.transaction():
        for oid, kind, name in read_rows(connection, _READ.encode(), [relation.oid]):
            if kind == "p":
                joined |= {row.name for row in _partitions_joined(connection, oid)}
            elif not isinstance(name, BrokenText):
                joined |= _children_joined(connection, oid, name)
    return sorted(joined)


# Of the tables behind a view, those that the role may not read itself cannot be asked about.
_READ = f"""
    WITH RECURSIVE {REACHED}
    SELECT c.oid::int8, c.relkind::text AS kind,
           {in_bytes("pg_catalog.format('%%I.%%I', n.nspname, c.relname)")} AS name
    FROM reached
    JOIN pg_catalog.pg_class c USING (oid)
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname <> 'pg_catalog'
      AND (c.relkind = 'p'
           OR c.relkind = 'r' AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
           AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'))"""
# The tables are the snapshot's, the functions look at the present.
_TREE = """tree AS (
        SELECT %s::oid AS oid
        UNION
        SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid
    )"""
_PARTITIONS_JOINED = f"""
    WITH RECURSIVE {_TREE}
    SELECT {in_bytes("relid")} AS name FROM pg_catalog.pg_partition_tree(%s::pg_catalog.regclass)
    WHERE relid::oid NOT IN (SELECT oid FROM tree)"""
_NAMES_OF_TREE = f"""
    WITH RECURSIVE {_TREE}
    SELECT pg_catalog.concat(n.nspname, '.', c.relname)
    FROM tree
    JOIN pg_catalog.pg_class c USING (oid)
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"""


def _partitions_joined(connection: psycopg.Connection[Any], oid: int) -> list[Any]:
    return read_rows(connection, _PARTITIONS_JOINED.encode(), [oid, oid])


def _children_joined(connection: psycopg.Connection[Any], oid: int, name: str) -> set[str]:
    try:
        now = _children_now(connection, name)
        if len(now) == 1:
            # Itself alone: nothing has joined it.
            return set()
        return now - {row[0] for row in ask(connection, _NAMES_OF_TREE.replace("%s", str(oid)))}
    except _NOTHING_TOLD:
        return set()


# A policy that does not hold for the owner of the view through which the table is read; the name of
# a child that is no text, which only a server in UTF8 sends.
_NOTHING_TOLD = (
    pg_errors.InsufficientPrivilege,
    pg_errors.CharacterNotInRepertoire,
    pg_errors.UntranslatableCharacter,
    UnicodeDecodeError,
)


def _children_now(connection: psycopg.Connection[Any], name: str) -> set[str]:
    """The table and its children in the present, which only the planner shows."""
    explain = f"EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT FROM {name}"
    [(told,)] = ask(connection, explain)
    return set(_scanned(told[0]["Plan"]))


def _scanned(plan: dict[str, Any]) -> Iterator[str]:
    """The names of what a plan reads, without what the policies of a table ask."""
    if "Relation Name" in plan:
        yield f"{plan['Schema']}.{plan['Relation Name']}"
    for child in plan.get("Plans", []):
        if child["Parent Relationship"] in ("Member", "Outer"):
            yield from _scanned(child)
