"""What shows that nothing was loaded into a relation: marks that are equal then, and only then.

A mark is of the moment before a snapshot: whatever is counted in it is in the snapshot, too. What
is loaded after it has another mark, at the latest once the server has counted it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from duckwarp.model.relation import RelationKind
from duckwarp.model.source import Source
from duckwarp.postgres.relations import REACHED


def load_marks(connection: psycopg.Connection[Any], sources: Sequence[Source]) -> dict[str, str]:
    """The mark of each source of which it can be told whether it was loaded, by its code.

    It has the registry's `last_load_at`, and for a plain table the server's counters. A source has
    none where neither is to be had, or where the rows depend on who reads them.
    """
    server = _server(connection)
    counters = _counters(connection, sources) if server is not None else {}
    marks = {}
    for source in sources:
        relation = source.relation
        if relation is None or relation.row_security_active:
            continue
        counted = counters.get(relation.oid)
        if source.last_load_at is None and counted is None:
            continue
        loaded = None if source.last_load_at is None else source.last_load_at.isoformat()
        of_relation = (relation.oid, relation.raw_kind, _definition(connection, source))
        # Loads make a table larger before they are counted.
        of_table = None
        if counted is not None:
            of_table = (server, counted, relation.heap_bytes, relation.toast_bytes)
        database = connection.info.dbname
        marks[source.code] = json.dumps([database, of_relation, loaded, of_table])
    return marks


def _server(connection: psycopg.Connection[Any]) -> list[Any] | None:
    """Since when the server has been counting; None where it does not, as on a standby."""
    row = connection.execute(_SERVER).fetchone()
    return list(row) if row is not None else None


# A crash and a reset by hand begin the counters anew; either shows in one of the moments.
_SERVER = """
    SELECT pg_catalog.pg_postmaster_start_time()::text, d.oid::int8,
           pg_catalog.pg_stat_get_db_stat_reset_time(d.oid)::text,
           pg_catalog.pg_stat_get_bgwriter_stat_reset_time()::text
    FROM pg_catalog.pg_database d
    WHERE d.datname = pg_catalog.current_database()
      AND NOT pg_catalog.pg_is_in_recovery()
      AND pg_catalog.current_setting('track_counts') = 'on'"""


def _counters(
    connection: psycopg.Connection[Any], sources: Sequence[Source]
) -> dict[int, list[Any]]:
    """The counters of the plain tables among the relations, by OID."""
    relations = [source.relation for source in sources if source.relation is not None]
    plain = [each.oid for each in relations if each.kind is RelationKind.TABLE]
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        rows: list[Any] = cursor.execute(_COUNTERS, [plain]).fetchall()
    return {row.oid: list(row)[1:] for row in rows}


# TRUNCATE and whatever rewrites a table give it another file. Not of tables that have children,
# whose rows are read with theirs, nor of those whose text depends on more than what was stored:
# labels of enums, parts of composite types, columns that are computed when they are read.
_COUNTERS = """
    SELECT c.oid::int8 AS oid, c.relfilenode::int8,
           pg_catalog.pg_stat_get_tuples_inserted(c.oid),
           pg_catalog.pg_stat_get_tuples_updated(c.oid),
           pg_catalog.pg_stat_get_tuples_deleted(c.oid)
    FROM pg_catalog.pg_class c
    WHERE c.oid = ANY(%s::oid[]) AND c.relkind = 'r' AND NOT c.relhassubclass
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_attribute a
          JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            AND (a.attgenerated = 'v'
                 OR t.oid >= 16384 AND NOT (t.typtype = 'd' AND t.typbasetype < 16384)))"""


def _definition(connection: psycopg.Connection[Any], source: Source) -> str | None:
    """What the rows of a view are made by, its own rules and those of the views that it reads."""
    relation = source.relation
    if relation is None or relation.kind not in {
        RelationKind.VIEW,
        RelationKind.MATERIALIZED_VIEW,
    }:
        return None
    row = connection.execute(_RULES, [relation.oid]).fetchone()
    return None if row is None else row[0]


_RULES = f"""
    WITH RECURSIVE {REACHED}
    SELECT pg_catalog.md5(pg_catalog.string_agg(
        c.relfilenode::text || coalesce(rule.ev_action::text, ''), ',' ORDER BY c.oid, rule.oid))
    FROM reached
    JOIN pg_catalog.pg_class c ON c.oid = reached.oid
    LEFT JOIN pg_catalog.pg_rewrite rule ON rule.ev_class = c.oid"""
