"""Relations: what the catalog has under a name, of what kind, how large, and for whom.

Asks the catalog itself, which shows what exists whoever asks, as information_schema does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from duckwarp.model.relation import Relation, RelationKind
from duckwarp.model.texts import BrokenText
from duckwarp.postgres.texts import in_bytes, read_rows


def find_relations(
    connection: psycopg.Connection[Any], names: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Relation]:
    """The relations of these (schema, name) pairs that exist, from the catalog itself.

    The catalog shows what exists whoever asks, as information_schema does not.
    """
    # None is found under what is shown of a name that is no text.
    sound = [pair for pair in dict.fromkeys(names) if not _is_broken(pair)]
    wanted = [[schema for schema, _ in sound], [name for _, name in sound]]
    rows = read_rows(connection, _RELATIONS.encode(), wanted)
    kinds = {kind.value: kind for kind in RelationKind}
    return {
        sound[row.place - 1]: Relation(
            oid=row.oid,
            raw_kind=row.relkind,
            kind=kinds.get(row.relkind),
            estimated_rows=row.estimated_rows,
            size_bytes=row.size_bytes,
            heap_bytes=tuple(row.heap_bytes),
            toast_bytes=row.toast_bytes,
            has_foreign_part=row.has_foreign_part,
            may_use_schema=row.may_use_schema,
            row_security_active=row.row_security_active,
            comment=row.comment or None,
        )
        for row in rows
    }


def _is_broken(pair: tuple[str, str]) -> bool:
    return any(isinstance(name, BrokenText) for name in pair)


# What `%s` is, and what it reads where it is a view: to be put after WITH RECURSIVE.
REACHED = """reached AS (
        SELECT %s::oid AS oid
        UNION
        SELECT dependency.refobjid
        FROM reached
        JOIN pg_catalog.pg_class view ON view.oid = reached.oid AND view.relkind = 'v'
        JOIN pg_catalog.pg_rewrite rule ON rule.ev_class = view.oid
        JOIN pg_catalog.pg_depend dependency
            ON dependency.objid = rule.oid
            AND dependency.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
            AND dependency.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    )"""

# A composite type has a row in pg_class too, but is no relation that anybody would name. To ask for
# a size is to wait for the lock of whoever rewrites the relation: its size is an estimate then.
_RELATIONS = f"""
    WITH being_changed AS MATERIALIZED (
        SELECT relation FROM pg_catalog.pg_locks WHERE mode = 'AccessExclusiveLock'
        EXCEPT SELECT relation FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid()
    )
    SELECT wanted.place, c.oid::int8 AS oid, c.relkind::text AS relkind,
           {in_bytes("pg_catalog.obj_description(c.oid, 'pg_class')")} AS comment,
           pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS may_use_schema,
           c.relkind IN ('r', 'p') AND pg_catalog.row_security_active(c.oid)
               AS row_security_active,
           parts.*
    FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS wanted (nspname, relname, place)
    JOIN pg_catalog.pg_namespace n ON n.nspname = wanted.nspname
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.relname
    CROSS JOIN LATERAL (
        WITH RECURSIVE tree AS (
            SELECT c.oid AS oid
            UNION
            SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid
        )
        SELECT coalesce(sum(size.of_table), 0)::int8 AS size_bytes,
               coalesce(pg_catalog.array_agg(size.of_heap ORDER BY size.of_heap DESC), '{{}}')
                   AS heap_bytes,
               CASE WHEN bool_and(size.of_toast IS NOT NULL)
                    THEN sum(size.of_toast)::int8 END AS toast_bytes,
               coalesce(bool_or(part.relkind = 'f'), false) AS has_foreign_part,
               CASE WHEN bool_and(part.reltuples >= 0 AND part.relpages > 0)
                    THEN sum(part.reltuples)::int8 END AS estimated_rows
        FROM tree JOIN pg_catalog.pg_class part USING (oid)
        CROSS JOIN LATERAL (
            SELECT pg_catalog.pg_table_size(part.oid), pg_catalog.pg_relation_size(part.oid),
                   CASE WHEN part.relkind <> 'f' THEN coalesce(
                       pg_catalog.pg_relation_size(nullif(part.reltoastrelid, 0)), 0) END
            WHERE part.oid NOT IN (SELECT relation FROM being_changed WHERE relation IS NOT NULL)
            UNION ALL
            SELECT relpages * pages.bytes, relpages * pages.bytes, NULL
            FROM (SELECT pg_catalog.current_setting('block_size')::int8) AS pages (bytes)
            WHERE part.oid IN (SELECT relation FROM being_changed)
        ) AS size (of_table, of_heap, of_toast)
        WHERE part.relkind IN ('r', 'm', 'f')
    ) parts
    WHERE c.relkind <> 'c'"""
