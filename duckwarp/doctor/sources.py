"""Checks of what is to be read: the registry, and each source of the publication."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from duckwarp.checks.admission import check_source
from duckwarp.doctor.checks import Check, failed, ok, warning
from duckwarp.doctor.examination import Examination
from duckwarp.engine.memory import check_columns
from duckwarp.files.opening import describe_refusal
from duckwarp.files.quoting import identifier
from duckwarp.model.column import Column
from duckwarp.model.errors import SourceError
from duckwarp.model.settings import MIN_MEMORY_BYTES
from duckwarp.model.sizes import size_text
from duckwarp.model.source import Selection, Source
from duckwarp.postgres.access import check_access, probe
from duckwarp.postgres.columns import describe
from duckwarp.postgres.registry import find_sources
from duckwarp.store.publishing import check_places

if TYPE_CHECKING:
    from duckwarp.model.relation import Relation

_LOCK_NOT_AVAILABLE = "55P03"


def registry(examination: Examination) -> Iterator[Check]:
    """Whether the registry can be read, and what it has."""
    session, settings = examination.session, examination.settings
    assert session is not None
    selection = examination.selection or Selection(everything=True)
    with session.transaction():
        found = find_sources(session, selection, settings.registry_schema)
    examination.sources = found if examination.selection is not None else None
    name = (
        f'"{settings.registry_schema}".tbl_data_sources'
        if selection.uses_registry
        else "the catalog"
    )
    number = f"{len(found):,} source{'' if len(found) == 1 else 's'}"
    of = "" if examination.selection is None else f" of {selection}"
    yield ok("registry", f"{name} has {number}{of}", sources=len(found))


def sources(examination: Examination) -> Iterator[Check]:
    """Whether each source can be read."""
    session, settings = examination.session, examination.settings
    assert session is not None
    known = examination.sources or ()
    with session.transaction():
        columns = describe(session, known, settings.registry_schema)
    for source in known:
        yield replace(
            _of_source(examination, source, columns.get(source.code, ())), source=source.code
        )


def _of_source(examination: Examination, source: Source, columns: Sequence[Column]) -> Check:
    session, settings = examination.session, examination.settings
    assert session is not None
    if source.relation is None and source.broken is None and not settings.fail_on_missing:
        finding = f"relation {source.qualified_name} does not exist"
        return warning("source", finding, "an export skips it: load it, or take it out")
    memory = examination.budget.process_bytes if examination.budget else MIN_MEMORY_BYTES
    try:
        check_source(source)
        check_places(settings.output_dir, source.code)
        check_access(source, columns, session.info.user, settings.enable_row_security)
        check_columns(len(columns), memory)
        relation = f"{identifier(source.schema)}.{identifier(source.table)}"
        probe(session, source, f"SELECT FROM {relation} LIMIT 0")
    except OSError as error:
        return failed("source", describe_refusal(error, settings.output_dir))
    except SourceError as error:
        if getattr(error.__cause__, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            finding = f"{source.qualified_name} is being altered at this moment"
            return warning("source", finding, "an export waits for as long as --lock-timeout says")
        return failed("source", str(error), _advice(error, source))
    assert source.relation is not None
    return ok("source", f"{source.qualified_name}, {_size(source.relation)}", **_figures(source))


def _advice(error: SourceError, source: Source) -> str | None:
    privilege = getattr(error, "privilege", None)
    role = getattr(error, "role", None)
    if privilege is None or role is None:
        return None
    schema = identifier(source.schema)
    target = f"SCHEMA {schema}" if privilege == "USAGE" else f"{schema}.{identifier(source.table)}"
    return f"GRANT {privilege} ON {target} TO {identifier(role)};"


def _size(relation: Relation) -> str:
    rows = (
        "not counted yet"
        if relation.estimated_rows is None
        else f"~{relation.estimated_rows:,} rows"
    )
    return f"{rows}, {size_text(relation.size_bytes)}"


def _figures(source: Source) -> dict[str, int | None]:
    assert source.relation is not None
    return {
        "estimated_rows": source.relation.estimated_rows,
        "size_bytes": source.relation.size_bytes,
    }
