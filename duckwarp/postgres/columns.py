"""Columns: what a relation has, joined with what is known about it.

Names, types and nullability come from the catalog; descriptions, original names, roles and keywords
from the warehouse's `tbl_column_metadata` where it exists, else from `COMMENT ON`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import sql

from duckwarp.model.column import Column
from duckwarp.model.pg_type import PgType
from duckwarp.model.source import Source
from duckwarp.model.texts import BrokenText
from duckwarp.postgres.names import words
from duckwarp.postgres.texts import in_bytes, read_columns, read_rows
from duckwarp.postgres.types import load_types, spoken_name

METADATA_TABLE = "tbl_column_metadata"
OPTIONAL_COLUMNS = ("original_name", "description", "is_dimension", "is_measure", "query_keywords")


def describe(
    connection: psycopg.Connection[Any], sources: Sequence[Source], registry_schema: str
) -> dict[str, tuple[Column, ...]]:
    """The columns of each source that has a relation, in table order, keyed by the source's code.

    Three queries for all sources together, however many there are.
    """
    present = [source for source in sources if source.relation is not None]
    oids = [source.relation.oid for source in present if source.relation is not None]
    rows = read_rows(connection, _COLUMNS.encode(), [oids])
    types = load_types(connection, {row.type_oid for row in rows})
    knowledge = _knowledge(connection, [s.code for s in present if s.registered], registry_schema)
    columns = {}
    for source, oid in zip(present, oids, strict=True):
        of_source = [row for row in rows if row.relation == oid]
        extras = _matched([row.name for row in of_source], knowledge.get(source.code, []))
        columns[source.code] = _named_apart(
            _column(row, position, types[row.type_oid], extra)
            for position, (row, extra) in enumerate(zip(of_source, extras, strict=True), start=1)
        )
    return columns


def _named_apart(columns: Iterable[Column]) -> tuple[Column, ...]:
    """The columns, with other names in the file for those that differ in case only."""
    found = tuple(columns)
    taken = {column.name.lower() for column in found}
    seen: set[str] = set()
    apart = []
    for column in found:
        renamed = None
        if column.name.lower() in seen:
            numbers = itertools.count(1)
            renamed = next(
                name for n in numbers if (name := f"{column.name}_{n}").lower() not in taken
            )
            taken.add(renamed.lower())
        seen.add(column.name.lower())
        apart.append(replace(column, renamed=renamed))
    return tuple(apart)


# The key of a table with children holds for its own rows alone, and theirs are read with them.
# Nothing is asked of the columns that were dropped: their numbers stay as gaps. A constraint may be
# declared NOT VALID since PostgreSQL 18, and a view's column may be NULL whatever its domain says.
_COLUMNS = f"""
    SELECT a.attrelid::int8 AS relation, {in_bytes("a.attname")} AS name,
           a.atttypid::int8 AS type_oid, a.atttypmod AS typmod,
           a.attnotnull AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_constraint k
               WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
                 AND a.attnum = ANY(k.conkey)) AS not_null,
           c.relkind IN ('r', 'p') AS is_table,
           (SELECT pg_catalog.array_position(k.conkey, a.attnum) FROM pg_catalog.pg_constraint k
            WHERE k.conrelid = a.attrelid AND k.contype = 'p'
              AND (c.relkind = 'p' OR NOT c.relhassubclass)) AS key,
           {in_bytes("pg_catalog.format_type(a.atttypid, a.atttypmod)")} AS formatted,
           {in_bytes("pg_catalog.col_description(a.attrelid, a.attnum)")} AS comment,
           pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS may_select
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    WHERE a.attrelid = ANY(%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum"""


def _column(row: Any, position: int, pg_type: PgType, extra: dict[str, Any]) -> Column:
    return Column(
        name=row.name,
        position=position,
        data_type=spoken_name(pg_type, row.formatted),
        pg_type=pg_type,
        typmod=row.typmod,
        nullable=not (row.not_null or (row.is_table and pg_type.forbids_null)),
        key=row.key,
        may_select=row.may_select,
        description=extra.get("description") or row.comment or None,
        original_name=extra.get("original_name") or None,
        is_dimension=_is_true(extra.get("is_dimension")),
        is_measure=_is_true(extra.get("is_measure")),
        keywords=words(extra.get("query_keywords")),
    )


def _matched(names: Sequence[str], known: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is known of each column: by its exact name first, by lower case otherwise.

    What is known of a column by its exact name is said of no other.
    """
    exact = {row["column_name"]: row for row in reversed(known)}
    alike = {
        row["column_name"].lower(): row
        for row in reversed(known)
        if row["column_name"] not in names
    }
    return [exact.get(name) or alike.get(name.lower(), {}) for name in names]


def _is_true(value: str | None) -> bool:
    """A mark, for which some installations keep a boolean and others a word or a number."""
    word = (value or "").strip().lower()
    return word in ("true", "t", "yes", "y", "on") or bool(_NOT_ZERO.fullmatch(word))


_NOT_ZERO = re.compile(r"[+-]?0*\.?0*[1-9][0-9.]*")


def _knowledge(
    connection: psycopg.Connection[Any], codes: Sequence[str], registry_schema: str
) -> dict[str, list[dict[str, Any]]]:
    """The rows of the metadata table, by source; nothing where it is absent or may not be read.

    What is said of a column whose name is no text is said of none that can be exported.
    """
    categories = _metadata_columns(connection, registry_schema)
    sound = [code for code in codes if not isinstance(code, BrokenText)]
    if not sound or not {"canonical_source_code", "column_name"} <= categories.keys():
        return {}
    wanted = ("canonical_source_code", "column_name", *OPTIONAL_COLUMNS)
    query = sql.SQL(
        "SELECT {columns} FROM {table} WHERE canonical_source_code = ANY({codes}::text[]) "
        'AND column_name IS NOT NULL ORDER BY canonical_source_code, column_name COLLATE "C"'
    ).format(
        columns=read_columns({n: categories[n] for n in wanted if n in categories}),
        table=sql.Identifier(registry_schema, METADATA_TABLE),
        # No parameter: a percent sign in the schema's name would be taken for another one.
        codes=sql.Literal(sound),
    )
    by_code: dict[str, list[dict[str, Any]]] = {}
    for row in read_rows(connection, query):
        by_code.setdefault(row.canonical_source_code, []).append(row._asdict())
    return by_code


def _metadata_columns(connection: psycopg.Connection[Any], registry_schema: str) -> dict[str, str]:
    """The columns that may be read, and the category of the type of each."""
    query = f"""
        SELECT {in_bytes("a.attname")} AS name, t.typcategory::text AS category
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
          AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')"""
    rows = read_rows(connection, query.encode(), [registry_schema, METADATA_TABLE])
    return {row.name: row.category for row in rows}
