"""Sources: what may be exported, and which relation stands behind each.

Reads the warehouse's own registry (`tbl_data_sources`), or plain schemas and tables where there is
none. Owns the choice of sources; what their columns mean is `metadata.py`'s matter.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from duckwarp.errors import NothingMatched, RegistryMissing, UsageError
from duckwarp.source.relations import Relation, find_relations

SOURCES_TABLE = "tbl_data_sources"
DEFAULT_SCHEMA = "staging"
OPTIONAL_COLUMNS = ("name", "schema_name", "description", "domain", "tags", "last_load_at")
NEAREST_NAMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A dataset to publish: its code, its relation, and what the registry says of it.

    `relation` is None where the catalog has no relation of that schema and name.
    """

    code: str
    name: str
    schema: str
    table: str
    relation: Relation | None = None
    description: str | None = None
    domain: str | None = None
    tags: tuple[str, ...] = ()
    last_load_at: datetime | None = None
    registered: bool = True

    @property
    def qualified_name(self) -> str:
        """`schema.table` as a person writes it, unquoted; for messages only."""
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which sources a run is about.

    From the registry: those whose code starts with `publication`, those of `codes`, or all
    (`everything`). Without it: all relations of `schema`, or those of `tables` ("schema.name").
    """

    publication: str | None = None
    codes: tuple[str, ...] = ()
    everything: bool = False
    schema: str | None = None
    tables: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        from_registry = bool(self.publication is not None or self.codes or self.everything)
        without_registry = bool(self.schema is not None or self.tables)
        if from_registry and without_registry:
            raise UsageError(
                "a publication, --source and --all choose from the registry, "
                "--schema and --table do without it: use one or the other"
            )
        if not (from_registry or without_registry):
            raise UsageError(
                "say what to export: a publication, --source, --all, --schema or --table"
            )
        if self.publication == "":
            raise UsageError("the publication is empty; --all exports every source")
        if self.everything and (self.publication is not None or self.codes):
            raise UsageError(
                "--all already has every source; leave out the publication and --source"
            )

    @property
    def uses_registry(self) -> bool:
        """Whether the registry of sources is read."""
        return self.schema is None and not self.tables

    def __str__(self) -> str:
        if self.everything:
            return "any source"
        if self.uses_registry:
            parts = [f'publication "{self.publication}"'] if self.publication is not None else []
            parts += [f'source "{code}"' for code in self.codes]
        else:
            parts = [f'schema "{self.schema}"'] if self.schema is not None else []
            parts += [f'table "{table}"' for table in self.tables]
        return ", ".join(parts)

    def takes(self, code: str) -> bool:
        """Whether the registry's source `code` belongs to the selection."""
        starts = self.publication is not None and code.startswith(self.publication)
        return self.everything or starts or code in self.codes


def find_sources(
    connection: psycopg.Connection[Any], selection: Selection, registry_schema: str
) -> tuple[Source, ...]:
    """The sources of `selection`, ordered by code, each with its relation where there is one.

    Raises `NothingMatched` (with the nearest names) or `RegistryMissing`.
    """
    if selection.uses_registry:
        sources = _registered(connection, selection, registry_schema)
    else:
        sources = _unregistered(connection, selection)
    relations = find_relations(connection, [(s.schema, s.table) for s in sources])
    found = [_with_relation(s, relations.get((s.schema, s.table))) for s in sources]
    return tuple(sorted(found, key=lambda source: source.code))


def nearest(wanted: str, known: Iterable[str]) -> list[str]:
    """Up to five of the known names that resemble the wanted one, the most alike first."""
    return difflib.get_close_matches(wanted, sorted(set(known)), n=NEAREST_NAMES, cutoff=0.5)


def _with_relation(source: Source, relation: Relation | None) -> Source:
    return dataclasses.replace(source, relation=relation)


def _registered(
    connection: psycopg.Connection[Any], selection: Selection, registry_schema: str
) -> list[Source]:
    present = _registry_columns(connection, registry_schema)
    wanted = ["code", "table_name", *(name for name in OPTIONAL_COLUMNS if name in present)]
    # As text: not every time of PostgreSQL's is one of Python's.
    as_text = {"last_load_at": sql.SQL("last_load_at::text")}
    query = sql.SQL("SELECT {} FROM {} WHERE code IS NOT NULL").format(
        sql.SQL(", ").join(as_text.get(name, sql.Identifier(name)) for name in wanted),
        sql.Identifier(registry_schema, SOURCES_TABLE),
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query).fetchall()
    codes = [row["code"] for row in rows]
    taken = [_registered_source(row) for row in rows if selection.takes(row["code"])]
    _require_each_named(selection, codes)
    if not taken:
        raise NothingMatched(str(selection), nearest(selection.publication or "", _names(codes)))
    return taken


def _registry_columns(connection: psycopg.Connection[Any], registry_schema: str) -> set[str]:
    query = """
        SELECT a.attname,
               pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
               pg_catalog.has_table_privilege(c.oid, 'SELECT')
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"""
    rows = connection.execute(query, [registry_schema, SOURCES_TABLE]).fetchall()
    if not rows:
        raise RegistryMissing(registry_schema, connection.info.dbname)
    _, may_use_schema, may_select = rows[0]
    if not may_use_schema:
        reason = f'is in a schema on which role "{connection.info.user}" has no USAGE privilege'
        raise RegistryMissing(registry_schema, connection.info.dbname, reason)
    if not may_select:
        reason = f'may not be read by role "{connection.info.user}" (no SELECT privilege)'
        raise RegistryMissing(registry_schema, connection.info.dbname, reason)
    return {row[0] for row in rows}


def _registered_source(row: dict[str, Any]) -> Source:
    code = row["code"]
    return Source(
        code=code,
        name=row.get("name") or code,
        schema=row.get("schema_name") or DEFAULT_SCHEMA,
        table=row["table_name"] or "",
        description=row.get("description") or None,
        domain=row.get("domain") or None,
        tags=_words(row.get("tags")),
        last_load_at=_moment(row.get("last_load_at")),
    )


def _words(value: list[str | None] | str | None) -> tuple[str, ...]:
    """Tags, of which some installations keep an array and others a line of text."""
    words = [value] if isinstance(value, str) else value or []
    return tuple(word for word in words if word)


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


def _unregistered(connection: psycopg.Connection[Any], selection: Selection) -> list[Source]:
    pairs = [_split_table(table) for table in selection.tables]
    if selection.schema is not None:
        pairs += _tables_of(connection, selection.schema)
    clashing = {table for _, table in pairs if len({s for s, t in pairs if t == table}) > 1}
    return [
        Source(
            code=f"{schema}.{table}" if table in clashing else table,
            name=table,
            schema=schema,
            table=table,
            registered=False,
        )
        for schema, table in dict.fromkeys(pairs)
    ]


def _split_table(text: str) -> tuple[str, str]:
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


def _tables_of(connection: psycopg.Connection[Any], schema: str) -> list[tuple[str, str]]:
    query = """
        SELECT n.nspname, c.relname
        FROM pg_catalog.pg_namespace n
        LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
            AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
        WHERE n.nspname = %s"""
    rows = connection.execute(query, [schema]).fetchall()
    if not rows:
        known = connection.execute("SELECT nspname FROM pg_catalog.pg_namespace").fetchall()
        raise NothingMatched(f'schema "{schema}"', nearest(schema, (row[0] for row in known)))
    tables = [(namespace, table) for namespace, table in rows if table is not None]
    if not tables:
        raise NothingMatched(f'schema "{schema}" (it has no tables or views)')
    return tables
