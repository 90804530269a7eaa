"""PostgreSQL's types as `pg_type` has them, by OID: `PgType`, and how a person writes one.

A type is what the catalog says it is, never what its bare name says: an enum may be called `date`.
What is written to Parquet for a type is `engine/types.py`'s matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import psycopg

from duckwarp.model.pg_type import PgType, TypeKind
from duckwarp.postgres.texts import in_bytes, read_rows

_KINDS: dict[str, TypeKind] = {
    "b": "base",
    "d": "domain",
    "e": "enum",
    "c": "composite",
    "r": "range",
    "m": "multirange",
    "p": "pseudo",
}


def load_types(connection: psycopg.Connection[Any], oids: Iterable[int]) -> dict[int, PgType]:
    """The types of these OIDs, keyed by OID, with everything that they are made of."""
    found = read_rows(connection, _TYPES.encode(), [list(oids)])
    rows = {row.oid: row for row in found}
    types: dict[int, PgType] = {}

    def build(oid: int) -> PgType:
        if oid not in types:
            row = rows[oid]
            inside = _reach(oid, rows)
            types[oid] = PgType(
                oid=oid,
                name=row.name,
                schema=row.schema,
                kind="array" if row.is_array else _KINDS[row.kind],
                output_function=row.output_function,
                element=build(row.element) if row.is_array else None,
                base=build(row.base) if row.base else None,
                base_typmod=row.base_typmod,
                not_null=row.not_null,
                extension=row.extension,
                reaches=frozenset(each.name for each in inside if each.schema == "pg_catalog"),
                has_json_cast=any(each.has_json_cast for each in inside),
            )
        return types[oid]

    return {oid: build(oid) for oid in rows}


def _reach(oid: int, rows: dict[int, Any]) -> list[Any]:
    """The rows of the types that a value of type `oid` may hold."""
    seen: set[int] = set()
    todo = [oid]
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo += rows[current].parts
    return [rows[each] for each in seen]


# The closure over elements, base types, attributes and subtypes of the wanted types. An array is
# what its element type names as its array: `typelem` alone is also set for `name`, `point`,
# `int2vector` and others. A refcursor is text under another name, as domains are, and has no output
# function of its own.
_PARTS = """
    SELECT e.oid FROM pg_catalog.pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid
    UNION ALL
    SELECT t.typbasetype WHERE t.typtype = 'd'
    UNION ALL
    SELECT alias.base FROM alias WHERE alias.oid = t.oid
    UNION ALL
    SELECT a.atttypid FROM pg_catalog.pg_attribute a
    WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid"""
_OUTPUT_FUNCTION = "pg_catalog.quote_ident(fn.nspname) || '.' || pg_catalog.quote_ident(f.proname)"
_TYPES = f"""
    WITH RECURSIVE alias AS (
        SELECT 'pg_catalog.refcursor'::pg_catalog.regtype AS oid,
               'pg_catalog.text'::pg_catalog.regtype AS base
    ), wanted AS (
        SELECT unnest(%s::oid[]) AS oid
        UNION
        SELECT part.oid FROM wanted JOIN pg_catalog.pg_type t USING (oid)
        CROSS JOIN LATERAL ({_PARTS}) AS part (oid)
    )
    SELECT t.oid::int8 AS oid, {in_bytes("t.typname")} AS name, {in_bytes("n.nspname")} AS schema,
           t.typelem::int8 AS element,
           CASE WHEN alias.oid IS NULL THEN t.typtype::text ELSE 'd' END AS kind,
           coalesce(alias.base, t.typbasetype)::int8 AS base, t.typtypmod AS base_typmod,
           t.typnotnull AS not_null, e.typarray IS NOT NULL AS is_array,
           {in_bytes(_OUTPUT_FUNCTION)} AS output_function,
           {in_bytes("x.extname")} AS extension,
           -- to_json asks for casts of what is no built-in type, array, domain or composite.
           -- That of hstore is exact.
           t.oid >= 16384 AND t.typtype NOT IN ('c', 'd') AND e.typarray IS NULL
               AND x.extname IS DISTINCT FROM 'hstore' AND EXISTS (
                   SELECT FROM pg_catalog.pg_cast k WHERE k.castsource = t.oid
                   AND k.castmethod = 'f' AND k.casttarget = 'pg_catalog.json'::pg_catalog.regtype
               ) AS has_json_cast,
           ARRAY(SELECT part.oid::int8 FROM ({_PARTS}) AS part (oid)) AS parts
    FROM wanted
    JOIN pg_catalog.pg_type t USING (oid)
    JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    JOIN pg_catalog.pg_proc f ON f.oid = t.typoutput
    JOIN pg_catalog.pg_namespace fn ON fn.oid = f.pronamespace
    LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
    LEFT JOIN alias ON alias.oid = t.oid
    LEFT JOIN pg_catalog.pg_depend d
        ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid
        AND d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
    LEFT JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid"""

_VARLENA_HEADER = 4

# How `format_type` writes the built-in types whose standard names nobody types.
_SPOKEN = (
    (re.compile(r"^character varying"), "varchar"),
    (re.compile(r"^bit varying"), "varbit"),
    (re.compile(r"^character\b"), "char"),
    (re.compile(r"^(time|timestamp)(\(\d+\))? without time zone"), r"\1\2"),
    (re.compile(r"^(time|timestamp)(\(\d+\))? with time zone"), r"\1tz\2"),
)


_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_$]*")
_MODIFIER = re.compile(r"\(.*\)")


def spoken_name(pg_type: PgType, formatted: str) -> str:
    """What `format_type` gave, as a person writes it: `varchar(255)`, `timestamptz`, `text[]`.

    Types that are not PostgreSQL's own carry their schema unless it is `public`, whatever the
    search path is.
    """
    base = pg_type.element or pg_type
    if base.builtin:
        for standard, short in _SPOKEN:
            formatted = standard.sub(short, formatted)
        return formatted
    parts = [base.name] if base.schema == "public" else [base.schema, base.name]
    name = ".".join(p if _PLAIN_NAME.fullmatch(p) else f'"{p}"' for p in parts)
    modifier = _MODIFIER.search(formatted.removeprefix(name))
    suffix = "[]" if pg_type.element is not None else ""
    return f"{name}{modifier[0] if modifier else ''}{suffix}"


def numeric_precision(typmod: int) -> tuple[int, int]:
    """The declared (precision, scale) of a numeric; the scale is an 11-bit signed number."""
    packed = typmod - _VARLENA_HEADER
    return (packed >> 16) & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024
