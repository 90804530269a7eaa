"""Tables that are exported without a registry: which there are, and the code that each goes by."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from duckwarp.model.errors import NothingMatched, UsageError
from duckwarp.model.relation import Relation
from duckwarp.model.texts import BrokenText, join_table
from duckwarp.postgres.names import nearest
from duckwarp.postgres.texts import in_bytes, read_rows


def distinct_codes(
    pairs: Sequence[tuple[str, str]], given: Mapping[tuple[str, str], str]
) -> dict[str, tuple[str, str]]:
    """A code for each table: what was given, or its name, with the schema's where that clashes.

    Raises `UsageError` where two tables are called the same even so, as `"a.b".c` and `a."b.c"`.
    """
    qualified: set[tuple[str, str]] = set()

    def code(pair: tuple[str, str]) -> str:
        return given.get(pair) or (".".join(pair) if pair in qualified else pair[1])

    while True:
        by_code: dict[str, list[tuple[str, str]]] = {}
        for pair in pairs:
            by_code.setdefault(code(pair), []).append(pair)
        clashing = [same for same in by_code.values() if len(same) > 1]
        if not clashing:
            return {code: pair for code, [pair] in by_code.items()}
        for first, second, *_ in clashing:
            if {first, second} <= qualified | given.keys():
                names = " and ".join(f'"{schema}"."{table}"' for schema, table in (first, second))
                raise UsageError(
                    f"{names} would get the same file name: give one of them another code with "
                    "--table CODE=schema.name"
                )
        qualified.update(pair for same in clashing for pair in same)


def split_table(text: str) -> tuple[str | None, tuple[str, str]]:
    """The code, if one is given, and the table of `CODE=schema.name`.

    The parts of the name are in double quotes where they hold a dot, a quote or an equals sign.
    """
    match = _QUALIFIED_NAME.fullmatch(text)
    if match is None:
        raise UsageError(f'--table takes schema.name or CODE=schema.name, not "{text}"')
    code, schema, table = match.groups()
    return code, (_unquoted(schema), _unquoted(table))


_PART = r'("(?:[^"]|"")+"|[^".=]+)'
_QUALIFIED_NAME = re.compile(rf'(?:([^"=]+)=)?{_PART}\.{_PART}', re.DOTALL)


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def codes_given(tables: Sequence[str]) -> dict[tuple[str, str], str]:
    """The codes that were given to tables. Raises `UsageError` for a table with two of them."""
    given: dict[tuple[str, str], str] = {}
    for code, pair in map(split_table, tables):
        if code is not None and given.setdefault(pair, code) != code:
            raise UsageError(
                f'--table gives {join_table(*pair)} two codes, "{given[pair]}" and "{code}": '
                "export it once"
            )
    return given


def tables_of(
    connection: psycopg.Connection[Any], schema: str
) -> dict[tuple[str, str], Relation | None]:
    """The relations of a schema; those whose names are no text with what is known of them."""
    query = f"""
        SELECT c.oid::int8 AS oid, {in_bytes("c.relname")} AS name
        FROM pg_catalog.pg_namespace n
        LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
            AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
        WHERE n.nspname = %s"""
    rows = read_rows(connection, query.encode(), [schema])
    if not rows:
        names = f"SELECT {in_bytes('nspname')} AS name FROM pg_catalog.pg_namespace"
        known = [row.name for row in read_rows(connection, names.encode())]
        raise NothingMatched(f'schema "{schema}"', nearest(schema, known))
    tables = {
        (schema, row.name): _nameless(row.oid, row.name) for row in rows if row.oid is not None
    }
    if not tables:
        raise NothingMatched(f'schema "{schema}" (it has no tables or views)')
    return tables


def _nameless(oid: int, name: str) -> Relation | None:
    """The relation, where its name cannot be written and it can be found by its OID only."""
    return Relation(oid=oid, raw_kind="") if isinstance(name, BrokenText) else None


def qualified_names(connection: psycopg.Connection[Any]) -> list[str]:
    """`schema.name` of all relations that hold rows, PostgreSQL's own left out."""
    query = f"""
        SELECT {in_bytes("n.nspname")} AS schema, {in_bytes("c.relname")} AS name
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"""
    return [f"{row.schema}.{row.name}" for row in read_rows(connection, query.encode())]
