"""Tables that are exported without a registry: which there are, and the code that each goes by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg

from duckwarp.model.errors import NothingMatched, UsageError
from duckwarp.model.relation import Relation
from duckwarp.postgres.names import as_text, in_bytes, is_text, nearest


def distinct_codes(pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """A code for each table: its name, with the schema's before it where that alone clashes.

    Raises `UsageError` where two tables are called the same even so, as `"a.b".c` and `a."b.c"`.
    """
    qualified: set[tuple[str, str]] = set()
    while True:
        by_code: dict[str, list[tuple[str, str]]] = {}
        for pair in pairs:
            by_code.setdefault(".".join(pair) if pair in qualified else pair[1], []).append(pair)
        clashing = [same for same in by_code.values() if len(same) > 1]
        if not clashing:
            return {code: pair for code, [pair] in by_code.items()}
        for first, second, *_ in clashing:
            if {first, second} <= qualified:
                names = " and ".join(f'"{schema}"."{table}"' for schema, table in (first, second))
                raise UsageError(f"{names} would get the same file name: export them one by one")
        qualified.update(pair for same in clashing for pair in same)


def split_table(text: str) -> tuple[str, str]:
    """`schema.name`, either of them in double quotes where it holds a dot or a quote."""
    match = _QUALIFIED_NAME.fullmatch(text)
    if match is None:
        raise UsageError(f'--table takes schema.name, not "{text}"')
    schema, table = (_unquoted(part) for part in match.groups())
    return schema, table


_PART = r'("(?:[^"]|"")+"|[^".]+)'
_QUALIFIED_NAME = re.compile(rf"{_PART}\.{_PART}", re.DOTALL)


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def tables_of(
    connection: psycopg.Connection[Any], schema: str
) -> dict[tuple[str, str], Relation | None]:
    """The relations of a schema; those whose names are no text with what is known of them."""
    query = f"""
        SELECT c.oid::int8, {in_bytes("c.relname")}
        FROM pg_catalog.pg_namespace n
        LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
            AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
        WHERE n.nspname = %s"""
    rows = connection.execute(query.encode(), [schema]).fetchall()
    if not rows:
        names = f"SELECT {in_bytes('nspname')} FROM pg_catalog.pg_namespace"
        known = [as_text(row[0]) for row in connection.execute(names.encode())]
        raise NothingMatched(f'schema "{schema}"', nearest(schema, known))
    tables = {
        (schema, as_text(name)): _nameless(oid, name) for oid, name in rows if oid is not None
    }
    if not tables:
        raise NothingMatched(f'schema "{schema}" (it has no tables or views)')
    return tables


def _nameless(oid: int, name: bytes) -> Relation | None:
    """The relation, where its name cannot be written and it can be found by its OID only."""
    return None if is_text(name) else Relation(oid=oid, raw_kind="", name_is_text=False)


def qualified_names(connection: psycopg.Connection[Any]) -> list[str]:
    """`schema.name` of all relations that hold rows, PostgreSQL's own left out."""
    query = f"""
        SELECT {in_bytes("n.nspname")}, {in_bytes("c.relname")}
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"""
    rows = connection.execute(query.encode())
    return [f"{as_text(schema)}.{as_text(name)}" for schema, name in rows]
