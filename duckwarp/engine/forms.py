"""How one column is written: the type map applied to a column and to what was measured of it.

Scalars here, arrays in `arrays.py`.
"""

from __future__ import annotations

from dataclasses import replace

from duckwarp.engine import geo, numbers
from duckwarp.engine.cells import (
    Cell,
    Context,
    checked,
    guarded_value,
    length_of_text,
    losses_of,
    text_form,
    trap,
)
from duckwarp.engine.column_form import ColumnForm, Raw, Unguarded
from duckwarp.engine.measure import is_numeric
from duckwarp.engine.types import (
    COMPOSITE,
    FALLBACK,
    LAX_JSON_TYPE,
    MISFIT_JSON,
    NEGATIVE_ZERO,
    TEXT,
    Rule,
    cast_to,
    filled,
    rule_for,
)
from duckwarp.model.column import Column
from duckwarp.model.parquet_type import FLOATS, Kind, ParquetType
from duckwarp.model.pg_type import PgType
from duckwarp.model.results import Loss

_CHARACTER = "bpchar"
_ONE_CHARACTER = 5  # the modifier of character(1)
_BLANK = "CASE WHEN {d} = '' THEN ' ' ELSE {d} END"
LAX_JSON_NOTE = "text: it has JSON that strict parsers refuse (single surrogates)"
FOREIGN_JSON = "text: a type inside it makes JSON of its own, which may leave something out"


def scalar_form(cell: Cell, context: Context) -> ColumnForm:
    """How a value that is no array is written."""
    losses = losses_of(cell, context)
    if context.becomes_text(losses):
        return text_form(cell, losses)
    if is_numeric(cell.pg_type):
        return _numeric(cell, losses, context)
    if geo.is_geo(cell.pg_type):
        return _geo(cell, losses, context)
    rule = rule_for(cell.pg_type)
    misfit = _misfit(rule, cell, context)
    value = rule.value if misfit is None else guarded_value(misfit, rule.value, cell.column)
    source = cell.kept_values(context)
    return ColumnForm(
        select=filled(rule.template, cell.pg_type, source),
        type=ParquetType(rule.kind),
        raw=_raw(cell, source),
        casts=rule.casts if rule.casts_only and source == cell.source else None,
        value=value,
        # Without -0.0, which stops the copy where it is not reckoned with, the value is the key.
        order=rule.order if context.signed_zeros else (),
        obvious=rule.obvious,
        width_bytes=rule.width_bytes,
        losses=losses,
        note=_note(rule, cell.pg_type),
        signed_zeros=context.signed_zeros and rule.kind in FLOATS,
    )


def _raw(cell: Cell, source: str) -> Raw | None:
    """How character(n) is read: as bytes, since DuckDB's reader drops the padding of the type."""
    if not (cell.pg_type.builtin and cell.pg_type.name == _CHARACTER):
        return None
    if cell.typmod == _ONE_CHARACTER:
        # There is no padding, but a blank is taken for some.
        length = f"{length_of_text('{d}')} + ({{d}} = '')::BIGINT"
        return Raw(select=source, value=_BLANK, length=length)
    sent = f"pg_catalog.bpcharsend({source})"
    return Raw(select=sent, value="decode({d})", length="octet_length({d})")


def _misfit(rule: Rule, cell: Cell, context: Context) -> str | None:
    """DuckDB's predicate for values that have to stop the copy; None where all are known."""
    if rule.kind in FLOATS:
        return None if context.signed_zeros else NEGATIVE_ZERO
    return rule.misfit if cell.needs_guard(context) else None


def _note(rule: Rule, pg_type: PgType) -> str | None:
    if pg_type.kind == "composite" and pg_type.has_json_cast:
        return FOREIGN_JSON
    return null_note(pg_type) if rule is COMPOSITE else None


def null_note(inside: PgType) -> str | None:
    """What `to_json` cannot tell apart where there is JSON inside what becomes JSON."""
    has_json = inside.reaches & {"json", "jsonb"}
    return "a JSON null inside a value looks like NULL" if has_json else None


def _geo(cell: Cell, losses: tuple[Loss, ...], context: Context) -> ColumnForm:
    """Well-known binary, which has no room for the reference system of each value."""
    rule = rule_for(cell.pg_type)
    facts = context.facts or {}
    described = geo.geo_column(cell.pg_type, cell.typmod, facts)
    is_declared = geo.declared_srid(cell.typmod) is not None
    guards = []
    if context.changing and not (is_declared or described.several):
        guards.append(geo.other_srid(cell.pg_type, cell.source, facts))
    return ColumnForm(
        select=filled(rule.template, cell.pg_type, checked(cell.source, guards, cell.column)),
        type=ParquetType(rule.kind),
        obvious=rule.obvious,
        width_bytes=rule.width_bytes,
        losses=losses,
        note=described.note if is_declared or context.facts is not None else None,
        geo=described,
    )


def checked_json(form: ColumnForm, column: Column, context: Context) -> ColumnForm:
    """A JSON column whose text may be laxer than readers accept: guarded, or plain text."""
    if form.type.kind is not Kind.JSON or LAX_JSON_TYPE not in column.pg_type.reaches:
        return form
    if context.lax_json:
        text = ParquetType(Kind.VARCHAR)
        return replace(form, type=text, unmarked_json=True, obvious=False, note=LAX_JSON_NOTE)
    return replace(form, value=guarded_value(MISFIT_JSON, form.value, column))


def _numeric(cell: Cell, losses: tuple[Loss, ...], context: Context) -> ColumnForm:
    declared = numbers.declared(cell.pg_type, cell.typmod, context.traits.money_scale)
    if declared is not None:
        guards = cell.finds(cell.specials) if cell.needs_guard(context) else []
        form = _decimal(cell, declared, losses, guards, context)
        if not guards:
            return form
        unguarded = _decimal(cell, declared, losses, [], context).select
        nan = " OR ".join(guards)
        return replace(form, unguarded=Unguarded(select=unguarded, nan=nan))
    if context.facts is None:
        unknown = ParquetType(Kind.DECIMAL)
        return ColumnForm(
            select=cell.source, type=unknown, obvious=False, width_bytes=unknown.width_bytes
        )
    measured = numbers.measured(context.facts)
    if measured is None:
        return ColumnForm(
            select=cast_to(cell.source, TEXT),
            type=ParquetType(Kind.VARCHAR),
            casts=TEXT,
            obvious=False,
            width_bytes=FALLBACK.width_bytes,
            note="text, exact: no DECIMAL of 38 digits holds every value",
        )
    guards = []
    if context.changing:
        misfit = numbers.misfit(measured, context.traits.version)
        guards = [*cell.finds(cell.specials), misfit.replace("{c}", cell.source)]
    return _decimal(cell, measured, losses, guards, context)


def _decimal(
    cell: Cell, decimal: ParquetType, losses: tuple[Loss, ...], guards: list[str], context: Context
) -> ColumnForm:
    """A DECIMAL, with what has to be noticed on the server: the reader takes NaN for 0.

    All branches of the guard have the same declaration, so that a declared column keeps its own
    without another cast at every row.
    """
    is_money = cell.pg_type.name == "money"
    casts = ("numeric", decimal.postgres) if is_money else (decimal.postgres,)
    source = cell.kept_values(context, " OR ".join(guards), trap(cell.column, decimal.postgres))
    return ColumnForm(
        select=cast_to(source, casts),
        type=decimal,
        casts=casts if source == cell.source else None,
        obvious=numbers.declares(cell.pg_type, cell.typmod, decimal),
        width_bytes=decimal.width_bytes,
        losses=losses,
    )
