"""By which columns a row of a relation is known."""

from __future__ import annotations

from typing import Any

import psycopg

from duckwarp.source.registry import Source

# The primary key first, then any unique index over plain columns that are never NULL.
_KEYS = """
    SELECT ARRAY(
        SELECT a.attname::text
        FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE k.place <= i.indnkeyatts ORDER BY k.place
    )
    FROM pg_catalog.pg_index i
    WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
      AND NOT EXISTS (
          SELECT FROM pg_catalog.unnest(i.indkey::int2[]) AS k (attnum)
          LEFT JOIN pg_catalog.pg_attribute a
              ON a.attrelid = i.indrelid AND a.attnum = k.attnum
          WHERE k.attnum = 0 OR NOT a.attnotnull
      )
    ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid
    LIMIT 1"""


def key_of(connection: psycopg.Connection[Any], source: Source) -> tuple[str, ...]:
    """The names of the columns of a key of `source`, in its order; empty where it has none."""
    if source.relation is None:
        return ()
    row = connection.execute(_KEYS, [source.relation.oid]).fetchone()
    return () if row is None else tuple(row[0])
