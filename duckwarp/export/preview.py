"""Looking without exporting: which sources there are, what one holds, what a run would do."""

from __future__ import annotations

import os
from dataclasses import dataclass

from duckwarp.checks.admission import admit
from duckwarp.engine.arrays import form_of
from duckwarp.engine.cells import Context
from duckwarp.engine.column_form import ColumnForm
from duckwarp.engine.memory import check_columns, check_longest, memory_budget
from duckwarp.engine.plan import ExportPlan
from duckwarp.engine.planning import plan_source
from duckwarp.engine.session import resources_of
from duckwarp.model.column import Column
from duckwarp.model.errors import RelationMissing, SourceError
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection, Source
from duckwarp.postgres.access import check_texts
from duckwarp.postgres.columns import describe
from duckwarp.postgres.registry import find_sources
from duckwarp.postgres.snapshot import open_snapshot, server_traits, session


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSource:
    """What a run would do with a source: its plan, or the reason why there is none.

    `missing` says that the reason is only that the relation does not exist.
    """

    source: Source
    plan: ExportPlan | None
    reason: str | None = None
    missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDescription:
    """A source with its columns, and how each of them is written, in table order."""

    source: Source
    columns: tuple[Column, ...]
    forms: tuple[ColumnForm, ...]


def list_sources(selection: Selection, settings: Settings) -> tuple[Source, ...]:
    """The sources of `selection` as they are now, ordered by code.

    Raises `UsageError` and `RunError` as `run_export` does.
    """
    with session(settings, dict(os.environ)) as connection:
        return find_sources(connection, selection, settings.registry_schema)


def describe_source(selection: Selection, settings: Settings) -> SourceDescription:
    """The first source of `selection`, described from the database without reading its rows.

    Types that depend on the data are named as such. Raises `RelationMissing` for a source without
    a relation, and `UsageError` and `RunError` as `run_export` does.
    """
    with session(settings, dict(os.environ)) as connection:
        source = find_sources(connection, selection, settings.registry_schema)[0]
        check_texts(source)
        if source.relation is None:
            raise RelationMissing(source.qualified_name)
        columns = describe(connection, [source], settings.registry_schema)[source.code]
        check_texts(source, columns)
        context = Context(
            traits=server_traits(connection), special_values=settings.special_values, facts=None
        )
        return SourceDescription(
            source=source,
            columns=columns,
            forms=tuple(form_of(column, context) for column in columns),
        )


def plan_export(selection: Selection, settings: Settings) -> tuple[PlannedSource, ...]:
    """What `run_export` would do with each source, without copying anything.

    Takes the same snapshot and the same locks, and measures what a run would measure.
    """
    budget = memory_budget(settings)
    resources = resources_of(settings, budget)
    with open_snapshot(selection, settings, dict(os.environ)) as snapshot:
        connection = snapshot.connection
        present = [source for source in snapshot.sources if source.relation is not None]
        columns = describe(connection, present, settings.registry_schema)
        planned = []
        for source in snapshot.sources:
            try:
                known = columns.get(source.code, ())
                admit(snapshot, source, known, settings)
                check_columns(len(known), budget.process_bytes)
                plan = plan_source(snapshot, source, known, settings, resources)
                check_longest(plan.layout.longest_bytes, budget.process_bytes)
                planned.append(PlannedSource(source=source, plan=plan))
            except SourceError as error:
                missing = (
                    source.relation is None
                    and source.broken is None
                    and not settings.fail_on_missing
                )
                planned.append(
                    PlannedSource(source=source, plan=None, reason=str(error), missing=missing)
                )
        return tuple(planned)
