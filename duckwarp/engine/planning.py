"""From a described source to its plan: measure what the type map has to know, then decide.

The only place where measuring (source) and deciding (engine) meet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from duckwarp.engine.arrays import form_of
from duckwarp.engine.cells import Context
from duckwarp.engine.column_form import ColumnForm
from duckwarp.engine.geo import file_key
from duckwarp.engine.layout import (
    WITH_CTID,
    Resources,
    RowSizes,
    frugal,
    layout_of,
    max_text_bytes,
)
from duckwarp.engine.lengths import LENGTHS, UTF8_ENCODINGS, lengths_query
from duckwarp.engine.measure import (
    Measure,
    all_rows,
    closer_measures,
    facts_from,
    measures_of,
    measuring_query,
)
from duckwarp.engine.plan import ExportPlan, PlannedColumn, build_plan, names_objects
from duckwarp.engine.sampling import is_worth_a_sample, looked_at, sample_of
from duckwarp.engine.statements import server_query
from duckwarp.engine.types import Facts
from duckwarp.files.quoting import identifier
from duckwarp.model.column import Column
from duckwarp.model.errors import SourceError, ValueNotKept
from duckwarp.model.parquet_type import FLOATS, Kind
from duckwarp.model.pg_type import ServerTraits
from duckwarp.model.relation import RelationKind
from duckwarp.model.settings import Settings, SortIn, SpecialValues
from duckwarp.model.source import Source
from duckwarp.postgres.access import fetch_values, probe
from duckwarp.postgres.snapshot import Snapshot

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """What earlier attempts at a source have met, so that the next one is not stopped by it.

    `special_values` says that a special value was met: all are counted beforehand. `lax_json` has
    the positions of the columns in which there is JSON that strict parsers refuse. `signed_zeros`
    says that -0.0 was met, `long_rows` that a row was longer than reckoned with, `short_of_memory`
    that memory ran out, `one_thread` that several have made other row groups than one does,
    `large_numbers` that one was larger than a sample let expect, and `locked_out` that further
    sessions could not have the lock that the snapshot's own session has.
    """

    special_values: bool = False
    lax_json: frozenset[int] = frozenset()
    signed_zeros: bool = False
    long_rows: bool = False
    short_of_memory: bool = False
    one_thread: bool = False
    large_numbers: bool = False
    locked_out: bool = False

    def of(self, position: int, plan: ExportPlan) -> Experience:
        """This, and a special value met in the column at `position` of `plan`."""
        form = plan.columns[position - 1].form
        if form.type.kind is Kind.JSON:
            return replace(self, lax_json=self.lax_json | {position})
        if form.type.kind in FLOATS:
            return replace(self, signed_zeros=True)
        return replace(self, special_values=True)


def plan_source(
    snapshot: Snapshot,
    source: Source,
    columns: Sequence[Column],
    settings: Settings,
    resources: Resources,
    experience: Experience = Experience(),
) -> ExportPlan:
    """The plan for one source, after measuring it where its types and its lengths ask for that.

    Raises `SourceError` for what the server refuses, and for values that cannot be kept where the
    user wants none of them.
    """
    connection, traits = snapshot.connection, snapshot.traits
    wanted = [
        measures_of(column, traits, everything=experience.special_values) for column in columns
    ]
    measured, sampled = _measured(connection, source, columns, traits, experience, wanted)
    changing = any(measured) and (sampled or _may_change(connection, source))
    planned = []
    for column, facts in zip(columns, measured, strict=True):
        context = Context(
            traits=traits,
            special_values=settings.special_values,
            facts=facts,
            changing=changing,
            lax_json=column.position in experience.lax_json,
            signed_zeros=experience.signed_zeros,
        )
        planned.append(PlannedColumn(name=column.file_name, form=form_of(column, context)))
    lost = _losses(planned) if settings.special_values is SpecialValues.ERROR else {}
    if lost and not experience.special_values:
        # What a guard would notice is counted as well, so that all of it is named at once.
        everything = replace(experience, special_values=True)
        return plan_source(snapshot, source, columns, settings, resources, everything)
    if lost:
        raise ValueNotKept(lost)
    forms = [column.form for column in planned]
    sizes = _sizes(connection, source, forms, traits, experience)
    assert source.relation is not None
    granted = replace(resources, threads=1) if experience.one_thread else resources
    granted = frugal(granted) if experience.short_of_memory else granted
    if experience.locked_out:
        granted = replace(granted, threads=1, connections=1)
        settings = replace(settings, sort_in=SortIn.POSTGRES)
    plan = build_plan(
        source,
        planned,
        layout_of(source.relation, forms, settings, granted, traits, sizes),
        settings,
        traits,
        names_objects=any(names_objects(column.pg_type.reaches) for column in columns),
        geo=file_key({each.name: each.form.geo for each in planned if each.form.geo is not None}),
    )
    query = server_query(plan, plan.ranges[0], limit=0)
    probe(connection, source, query)
    plan = looked_at(connection, source, plan, traits, narrow=not experience.large_numbers)
    hides_rows = settings.enable_row_security and _hides_rows(connection, source, query)
    renamed = tuple((each.name, each.file_name) for each in columns if each.renamed is not None)
    return replace(
        plan, hides_rows=hides_rows, renamed=renamed, is_locked_out=experience.locked_out
    )


def _sizes(
    connection: psycopg.Connection[Any],
    source: Source,
    forms: Sequence[ColumnForm],
    traits: ServerTraits,
    experience: Experience,
) -> RowSizes | None:
    """The lengths of the rows, counted where there are long ones or may well be."""
    if not any(form.type.is_variable for form in forms):
        return None
    relation = f"{identifier(source.schema)}.{identifier(source.table)}"
    query = partial(lengths_query, forms, relation, in_utf8=traits.encoding in UTF8_ENCODINGS)
    known = experience.long_rows or experience.short_of_memory
    if known or _has_long_rows(connection, source, query, max_text_bytes(forms)):
        values = [int(value or 0) for value in fetch_values(connection, source, query())]
        return RowSizes(**dict(zip(LENGTHS, values, strict=True)))
    return None


def _has_long_rows(
    connection: psycopg.Connection[Any],
    source: Source,
    query: Callable[..., str],
    most_text: int,
) -> bool:
    """Whether long rows are to be reckoned with: the copy would stop at the first one.

    Values stored out of line are long. Else a look at the first rows will do, where a copy that
    stops would cost more than a look.
    """
    relation = source.relation
    assert relation is not None
    if relation.kind not in WITH_CTID:
        return False
    if relation.toast_bytes != 0:
        return True
    if relation.size_bytes < GLANCE_MIN_BYTES:
        return False
    values = fetch_values(connection, source, query(limit=GLANCE_ROWS))
    return int(dict(zip(LENGTHS, values, strict=True))["longest"] or 0) > most_text


GLANCE_ROWS = 1_000
GLANCE_MIN_BYTES = 8 * 1024 * 1024


def _losses(columns: Sequence[PlannedColumn]) -> dict[str, list[tuple[str, int]]]:
    """The (kind, count) of what the file would not keep in any form, of each column."""
    lost = {
        column.name: [(loss.kind, loss.count) for loss in column.form.losses if not loss.kept]
        for column in columns
    }
    return {name: counts for name, counts in lost.items() if counts}


def _may_change(connection: psycopg.Connection[Any], source: Source) -> bool:
    """Whether the copy may meet other values than were measured, though it reads one snapshot.

    Functions behind a view or a policy, other servers, and partitions attached meanwhile are not
    bound to the snapshot.
    """
    relation = source.relation
    assert relation is not None
    if relation.kind is RelationKind.MATERIALIZED_VIEW:
        return False
    if relation.kind is not RelationKind.TABLE or relation.row_security_active:
        return True
    has_children = (
        "SELECT ARRAY[relhassubclass::pg_catalog.text] FROM pg_catalog.pg_class "
        f"WHERE oid = {relation.oid}"
    )
    return fetch_values(connection, source, has_children) == ["true"]


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
    experience: Experience,
    wanted: Sequence[Sequence[Measure]],
) -> tuple[list[Facts], bool]:
    """What was measured of each column, and whether in a sample of the pages alone.

    One query for all of them, or none. What some pages show is what the whole table shows, unless
    the copy meets a value beyond it: the guards of the copy look for that, and all is measured
    then. A second query only where the first asks for it: how many geometries are of another
    reference system.
    """
    assert source.relation is not None
    if not experience.special_values and is_worth_a_sample(source.relation, traits):
        facts = _asked(connection, source, wanted, sample_of(source, traits))
        if not any(map(_has_specials, wanted, facts)):
            return facts, True
    facts = _asked(connection, source, wanted, all_rows(source))
    closer = [closer_measures(*pair) for pair in zip(columns, facts, strict=True)]
    more = _asked(connection, source, closer, all_rows(source))
    return [{**first, **second} for first, second in zip(facts, more, strict=True)], False


def _has_specials(measures: Sequence[Measure], facts: Facts) -> bool:
    """Whether values were counted that have to be counted in all rows."""
    return any(facts.get(measure.name) not in (None, "0") for measure in measures if measure.counts)


def _asked(
    connection: psycopg.Connection[Any],
    source: Source,
    wanted: Sequence[Sequence[Measure]],
    rows: str,
) -> list[Facts]:
    """The values of the wanted measures of each column of `rows`, asked all at once."""
    flat = [measure for measures in wanted for measure in measures]
    if not flat:
        return [{} for _ in wanted]
    values = iter(fetch_values(connection, source, measuring_query(flat, rows)))
    return [facts_from(measures, [next(values) for _ in measures]) for measures in wanted]
