"""Sources: what may be exported, and which relation stands behind each.

Reads the warehouse's own registry (`tbl_data_sources`), or plain schemas and tables where there is
none. Owns the choice of sources; what their columns mean is `metadata.py`'s matter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from duckwarp.model.errors import NothingMatched, RegistryMissing, RunError
from duckwarp.model.filenames import find_twins
from duckwarp.model.relation import Relation
from duckwarp.model.source import Selection, Source
from duckwarp.postgres.names import nearest, words
from duckwarp.postgres.relations import find_relations
from duckwarp.postgres.tables import (
    codes_given,
    distinct_codes,
    qualified_names,
    split_table,
    tables_of,
)
from duckwarp.postgres.texts import in_bytes, read_columns, read_rows

SOURCES_TABLE = "tbl_data_sources"
DEFAULT_SCHEMA = "staging"
OPTIONAL_COLUMNS = ("name", "schema_name", "description", "domain", "tags", "last_load_at")


def find_sources(
    connection: psycopg.Connection[Any], selection: Selection, registry_schema: str
) -> tuple[Source, ...]:
    """The sources of `selection`, ordered by code, each with its relation where there is one.

    No two have the same code. Each table that was named has a relation. Raises
    `NothingMatched` (with the nearest names), `UsageError` for tables that cannot be told apart,
    `RegistryMissing`, or `RunError` for a registry that has a code twice.
    """
    sources = find_sources_again(connection, selection, registry_schema)
    _require_each_table(connection, selection, sources)
    return sources


def find_sources_again(
    connection: psycopg.Connection[Any], selection: Selection, registry_schema: str
) -> tuple[Source, ...]:
    """As `find_sources`, for a run that has looked before: any relation may be gone since."""
    if selection.uses_registry:
        sources = _registered(connection, selection, registry_schema)
    else:
        sources = _unregistered(connection, selection)
    relations = find_relations(connection, [(s.schema, s.table) for s in sources])
    found = [_with_relation(s, s.relation or relations.get((s.schema, s.table))) for s in sources]
    found.sort(key=lambda source: source.code)
    twins = find_twins(source.code for source in found if source.relation is not None)
    return tuple(dataclasses.replace(source, twin=twins.get(source.code)) for source in found)


def _with_relation(source: Source, relation: Relation | None) -> Source:
    comment = relation.comment if relation is not None else None
    return dataclasses.replace(source, relation=relation, description=source.description or comment)


def _registered(
    connection: psycopg.Connection[Any], selection: Selection, registry_schema: str
) -> list[Source]:
    categories = _registry_columns(connection, registry_schema)
    required = dict.fromkeys(("code", "table_name"), "")
    wanted = (*required, *(name for name in OPTIONAL_COLUMNS if name in categories))
    # Times as text, too: not every time of PostgreSQL's is one of Python's.
    query = sql.SQL("SELECT {} FROM {} WHERE code IS NOT NULL").format(
        read_columns({name: (required | categories)[name] for name in wanted}),
        sql.Identifier(registry_schema, SOURCES_TABLE),
    )
    rows = [row._asdict() for row in read_rows(connection, query)]
    codes = [row["code"] for row in rows]
    taken = [_registered_source(row) for row in rows if selection.takes(row["code"])]
    _require_each_named(selection, codes)
    if not taken:
        raise NothingMatched(str(selection), nearest(selection.publication or "", _names(codes)))
    _require_unique_codes(taken)
    return taken


def _require_unique_codes(sources: Sequence[Source]) -> None:
    """A registry may be a view, without the key that the table has."""
    by_code: dict[str, list[str]] = {}
    for source in sources:
        by_code.setdefault(source.code, []).append(source.qualified_name)
    for code, names in by_code.items():
        if len(names) > 1:
            raise RunError(
                f'the registry has the code "{code}" {len(names)} times, for {", ".join(names)}: '
                "each source needs a code of its own"
            )


def _registry_columns(connection: psycopg.Connection[Any], registry_schema: str) -> dict[str, str]:
    """The columns, and the category of the type of each. Raises `RegistryMissing`."""
    query = f"""
        SELECT {in_bytes("a.attname")} AS name, t.typcategory::text AS category,
               pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS may_use_schema,
               pg_catalog.has_table_privilege(c.oid, 'SELECT') AS may_select
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"""
    rows = read_rows(connection, query.encode(), [registry_schema, SOURCES_TABLE])
    if not rows:
        raise RegistryMissing(registry_schema, connection.info.dbname)
    if not rows[0].may_use_schema:
        reason = f'is in a schema on which role "{connection.info.user}" has no USAGE privilege'
        raise RegistryMissing(registry_schema, connection.info.dbname, reason)
    if not rows[0].may_select:
        reason = f'may not be read by role "{connection.info.user}" (no SELECT privilege)'
        raise RegistryMissing(registry_schema, connection.info.dbname, reason)
    return {row.name: row.category for row in rows}


def _registered_source(row: dict[str, Any]) -> Source:
    code = row["code"]
    return Source(
        code=code,
        name=row.get("name") or code,
        schema=row.get("schema_name") or DEFAULT_SCHEMA,
        table=row["table_name"] or "",
        description=row.get("description") or None,
        domain=row.get("domain") or None,
        tags=words(row.get("tags")),
        last_load_at=_moment(row.get("last_load_at")),
    )


def _moment(text: str | None) -> datetime | None:
    """A time in ISO form, in UTC where it does not say; None for infinity and years past 9999."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _require_each_named(selection: Selection, known: Sequence[str]) -> None:
    for code in selection.codes:
        if code not in known:
            raise NothingMatched(f'source "{code}"', nearest(code, known))


def _names(codes: Iterable[str]) -> list[str]:
    """The codes, and the publications that they may be taken to belong to."""
    publications = set()
    for code in codes:
        words = code.split("_")
        publications |= {"_".join(words[:count]) for count in range(1, min(len(words), 3))}
    return sorted(publications | set(codes))


def _require_each_table(
    connection: psycopg.Connection[Any], selection: Selection, sources: Sequence[Source]
) -> None:
    found = {(s.schema, s.table) for s in sources if s.relation is not None}
    for _, (schema, table) in map(split_table, selection.tables):
        if (schema, table) not in found:
            wanted = f"{schema}.{table}"
            raise NothingMatched(f'table "{wanted}"', nearest(wanted, qualified_names(connection)))


def _unregistered(connection: psycopg.Connection[Any], selection: Selection) -> list[Source]:
    """The relations that were named, and those of the schema, each under a code of its own."""
    pairs: dict[tuple[str, str], Relation | None] = {}
    given = codes_given(selection.tables)
    pairs |= dict.fromkeys(pair for _, pair in map(split_table, selection.tables))
    if selection.schema is not None:
        pairs |= tables_of(connection, selection.schema)
    return [
        Source(
            code=code, name=table, schema=schema, table=table, relation=relation, registered=False
        )
        for (code, (schema, table)), relation in zip(
            distinct_codes(list(pairs), given).items(), pairs.values(), strict=True
        )
    ]
