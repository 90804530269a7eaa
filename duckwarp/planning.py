"""From a described source to its plan: measure what the type map has to know, then decide.

The only place where measuring (source) and deciding (engine) meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from duckwarp.engine.arrays import form_of
from duckwarp.engine.forms import Context
from duckwarp.engine.geo import file_key
from duckwarp.engine.measure import (
    Measure,
    closer_measures,
    facts_from,
    measures_of,
    measuring_query,
    row_name,
)
from duckwarp.engine.plan import (
    WITH_CTID,
    ExportPlan,
    PlannedColumn,
    build_plan,
    names_objects,
    server_query,
)
from duckwarp.engine.types import SIGNED_TYPES, Facts
from duckwarp.errors import SourceError
from duckwarp.settings import Settings
from duckwarp.source.access import fetch_values, probe
from duckwarp.source.metadata import Column
from duckwarp.source.pgtypes import ServerTraits
from duckwarp.source.registry import Source

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """What earlier attempts at a source have met, so that the next one is not stopped by it.

    `special_values` says that a special value was met: all are counted beforehand. `lax_json` has
    the positions of the columns in which there is JSON that strict parsers refuse. `signed_zeros`
    says that -0.0 was met.
    """

    special_values: bool = False
    lax_json: frozenset[int] = frozenset()
    signed_zeros: bool = False

    def of(self, position: int, plan: ExportPlan) -> Experience:
        """This, and a special value met in the column at `position` of `plan`."""
        form = plan.columns[position - 1].form
        if form.json:
            return replace(self, lax_json=self.lax_json | {position})
        if form.duckdb_type.removesuffix("[]") in SIGNED_TYPES:
            return replace(self, signed_zeros=True)
        return replace(self, special_values=True)


def plan_source(
    connection: psycopg.Connection[Any],
    source: Source,
    columns: Sequence[Column],
    settings: Settings,
    traits: ServerTraits,
    experience: Experience,
) -> ExportPlan:
    """The plan for one source, after measuring it where its types ask for that.

    Raises `SourceError` for what the server refuses, and for values that cannot be kept where the
    user wants none of them.
    """
    measured = _measured(connection, source, columns, traits, experience.special_values)
    planned = []
    for column, facts in zip(columns, measured, strict=True):
        context = Context(
            traits=traits,
            special_values=settings.special_values,
            facts=facts,
            lax_json=column.position in experience.lax_json,
            signed_zeros=experience.signed_zeros,
        )
        planned.append(PlannedColumn(name=column.name, form=form_of(column, context)))
    plan = build_plan(
        source,
        planned,
        settings,
        traits,
        names_objects=any(names_objects(column.pg_type.reaches) for column in columns),
        geo=file_key({each.name: each.form.geo for each in planned if each.form.geo is not None}),
    )
    query = server_query(plan, plan.ranges[0], limit=0)
    probe(connection, source, query)
    hides_rows = settings.enable_row_security and _hides_rows(connection, source, query)
    return replace(plan, hides_rows=hides_rows)


def _hides_rows(connection: psycopg.Connection[Any], source: Source, query: str) -> bool:
    """Whether policies, of the relation or of one behind a view, leave rows out of the query.

    PostgreSQL itself says so, by refusing it when policies may not apply.
    """
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL row_security = off")
            probe(connection, source, query)
    except SourceError:
        return True
    return False


def _measured(
    connection: psycopg.Connection[Any],
    source: Source,
    columns: Sequence[Column],
    traits: ServerTraits,
    everything: bool,
) -> list[Facts]:
    """What was measured of each column: one query for all of them, or none.

    A second one only where the first asks for it: which row has text that is no UTF-8, how many
    geometries are of another reference system.
    """
    wanted = [measures_of(column, traits, everything=everything) for column in columns]
    facts = _asked(connection, source, wanted)
    relation = source.relation
    has_ctid = relation is not None and relation.kind in WITH_CTID
    row = row_name(source.qualified_name, columns[0], has_ctid=has_ctid)
    closer = [closer_measures(*pair, row) for pair in zip(columns, facts, strict=True)]
    more = _asked(connection, source, closer)
    return [{**first, **second} for first, second in zip(facts, more, strict=True)]


def _asked(
    connection: psycopg.Connection[Any], source: Source, wanted: Sequence[Sequence[Measure]]
) -> list[Facts]:
    """The values of the wanted measures of each column, asked all at once."""
    flat = [measure for measures in wanted for measure in measures]
    if not flat:
        return [{} for _ in wanted]
    values = iter(
        fetch_values(connection, source, measuring_query(flat, source.schema, source.table))
    )
    return [facts_from(measures, [next(values) for _ in measures]) for measures in wanted]
