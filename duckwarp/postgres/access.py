"""Asking one relation something, in the run's snapshot: may it be read, and what does it hold?

A source's failure leaves the snapshot usable. psycopg's errors are translated here, by SQLSTATE.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg import errors as pg_errors

from duckwarp.model.column import Column
from duckwarp.model.errors import PrivilegeMissing, RelationMissing, SourceError
from duckwarp.model.source import Source
from duckwarp.model.texts import BrokenText
from duckwarp.postgres.faults import explain, noted
from duckwarp.postgres.parts import parts_joined
from duckwarp.postgres.questions import ask


def check_access(source: Source, columns: Sequence[Column], role: str, row_security: bool) -> None:
    """Whether the role may read all of `source`, by what the catalog says.

    `row_security` says that rows hidden by a policy are accepted. Raises `PrivilegeMissing`, or
    `SourceError` for what cannot be read at all: no rows to export, no columns, hidden rows.
    """
    check_texts(source, columns)
    relation = source.relation
    if relation is None:
        raise RelationMissing(source.qualified_name)
    if relation.kind is None:
        raise SourceError(
            f"{source.qualified_name} is no table, view, materialized view or foreign table "
            f'(relkind "{relation.raw_kind}")'
        )
    if not relation.may_use_schema:
        raise PrivilegeMissing("USAGE", f'schema "{source.schema}"', role)
    if not columns:
        raise SourceError(f"{source.qualified_name} has no columns: there is nothing to write")
    _check_columns(source, columns, role)
    if relation.row_security_active and not row_security:
        raise SourceError(
            f'row-level security would hide rows of {source.qualified_name} from role "{role}": '
            "export as a role that sees them all, or accept the rows that it sees with "
            "--enable-row-security"
        )


def check_texts(source: Source, columns: Sequence[Column] = ()) -> None:
    """Whether all that is said of `source` is text. Raises `SourceError` with what is none."""
    for what, text, advice in (*_texts(source), *_texts_of_columns(source, columns)):
        if isinstance(text, BrokenText):
            shown = "" if text in what else f' ("{_excerpt(text)}")'
            raise SourceError(f"{what} is not valid UTF-8{shown}: {advice}")


_Said = tuple[str, str | None, str]  # what it is, the text, and what to do where it is none


def _texts(source: Source) -> Iterator[_Said]:
    column, text = source.broken or ("", None)
    relation = source.relation
    if column == "description" and relation is not None and text == relation.comment:
        yield f"the comment of {source.qualified_name}", text, "correct it with COMMENT ON"
    elif source.registered:
        what = f'"{column}" of the registry\'s row "{source.code}"'
        yield what, text, "correct it in the registry"
    else:
        yield f"the name of {source.qualified_name}", text, "rename it"


def _texts_of_columns(source: Source, columns: Sequence[Column]) -> Iterator[_Said]:
    of = f"of {source.qualified_name}"
    for column in columns:
        one = f'column "{column.name}" {of}'
        yield f"the name of {one}", column.name, "rename it"
        yield f"the name of the type of {one}", column.pg_type.broken_name, "rename the type"
        of_metadata = (column.description, column.original_name, *column.keywords)
        for text in of_metadata:
            advice = "correct it in tbl_column_metadata, or with COMMENT ON COLUMN"
            yield f"the description of {one}", text, advice


def _excerpt(text: BrokenText) -> str:
    """What stands around the first byte that is shown as an escape."""
    place = max(0, text.find("\\x"))
    start = max(0, place - 30)
    end = place + 30
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def _check_columns(source: Source, columns: Sequence[Column], role: str) -> None:
    refused = [column.name for column in columns if not column.may_select]
    assert source.relation is not None
    kind = source.relation.kind.label if source.relation.kind is not None else "relation"
    where = f"{kind} {source.qualified_name}"
    if len(refused) == len(columns):
        raise PrivilegeMissing("SELECT", where, role)
    if refused:
        names = ", ".join(f'"{name}"' for name in refused)
        raise PrivilegeMissing("SELECT", f"column {names} of {where}", role)


def check_still_the_same(connection: psycopg.Connection[Any], source: Source) -> None:
    """Whether what was read by its name is the relation that was locked and described.

    A lock on a relation does not keep its schema from getting another name, nor the relation from
    getting further partitions and children. Raises `SourceError`.
    """
    if not is_still_the_same(connection, source):
        raise SourceError(
            f"relation {source.qualified_name} was replaced by another while it was read: "
            "run it again"
        )
    try:
        joined = parts_joined(connection, source)
    except psycopg.Error as error:
        raise translated(error, source) from error
    if joined:
        raise SourceError(
            f"{', '.join(joined)} became a part of {source.qualified_name} while it was read: "
            "run it again"
        )


def is_still_the_same(connection: psycopg.Connection[Any], source: Source) -> bool:
    """Whether the name of `source` stands for the same relation now as in the snapshot."""
    # The name is looked up in the present; with the table, what others have committed is noticed.
    query = """
        SELECT pg_catalog.to_regclass(pg_catalog.format('%%I.%%I', %s::text, %s::text)) = oid
        FROM pg_catalog.pg_class WHERE oid = %s"""
    assert source.relation is not None
    try:
        values = [source.schema, source.table, source.relation.oid]
        row = connection.execute(query, values).fetchone()
    except psycopg.Error as error:
        raise translated(error, source) from error
    return bool(row and row[0])


def probe(connection: psycopg.Connection[Any], source: Source, query: str) -> None:
    """Let the server analyse and plan `query`, without a row: its errors have their own codes here.

    Raises `SourceError`.
    """
    _ask(connection, source, query)


def fetch_values(
    connection: psycopg.Connection[Any], source: Source, query: str
) -> list[str | None]:
    """The one text[] that a measuring query gives. Raises `SourceError`."""
    rows = _ask(connection, source, query)
    return list(rows[0][0])


def fetch_rows(
    connection: psycopg.Connection[Any],
    source: Source,
    query: str,
    *,
    empty_search_path: bool = False,
) -> list[Any]:
    """The rows of a query about `source`. Raises `SourceError`.

    With an empty search path, the names of objects in a text are qualified.
    """
    if not empty_search_path:
        return _ask(connection, source, query)
    _ask(connection, source, "SELECT pg_catalog.set_config('search_path', '', true)")
    try:
        return _ask(connection, source, query)
    finally:
        if not connection.closed:
            connection.execute("SET LOCAL search_path TO DEFAULT")


def _ask(connection: psycopg.Connection[Any], source: Source, query: str) -> list[Any]:
    try:
        return ask(connection, query)
    except psycopg.Error as error:
        raise translated(error, source) from error
    except UnicodeDecodeError as error:
        # A server in UTF8 sends what it has, and has what it was loaded with.
        shown = BrokenText(error.object.decode(errors="backslashreplace"))
        raise SourceError(
            f"cannot read {source.qualified_name}: it has text that is not valid UTF-8 "
            f'("{_excerpt(shown)}")'
        ) from error


def translated(error: psycopg.Error, source: Source) -> SourceError:
    """The server's error as a source's, in words that name the relation."""
    reason = explain(error)
    if isinstance(error, pg_errors.UndefinedTable):
        return RelationMissing(source.qualified_name)
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        lost = f"the connection was lost while reading {source.qualified_name}: {reason}"
        return noted(SourceError(lost), error)
    return noted(SourceError(f"cannot read {source.qualified_name}: {reason}"), error)
