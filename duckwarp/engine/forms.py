"""How one column is written: the type map applied to a column and to what was measured of it.

Scalars here, arrays in `arrays.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from duckwarp.engine import geo, numbers
from duckwarp.engine.measure import INVALID_ROW, INVALID_TEXT, is_numeric, reference, specials_of
from duckwarp.engine.numbers import DecimalType
from duckwarp.engine.types import (
    COMPOSITE,
    FALLBACK,
    LAX_JSON_TYPE,
    MISFIT_JSON,
    NEGATIVE_ZERO,
    SIGNED_TYPES,
    Facts,
    Form,
    Rule,
    Special,
    filled,
    rule_for,
)
from duckwarp.errors import SourceError, ValueNotKept
from duckwarp.results import Loss
from duckwarp.settings import SpecialValues
from duckwarp.source.metadata import Column
from duckwarp.source.pgtypes import PgType, ServerTraits

AS_NULL = "written as NULL"
AS_TEXT = "kept: the whole column is text"
UNMEASURED = "DECIMAL (from the data)"
# A guard's words, followed by the position of its column.
GUARD = "duckwarp met a special value in column"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the form of a column depends on besides its type.

    `facts` is None before anything was measured: forms are then good for showing, and for copying
    where the column needs no measure. `lax_json` says that a value was met in the column which
    strict parsers of JSON refuse, `signed_zeros` that -0.0 was met in the relation.
    """

    traits: ServerTraits
    special_values: SpecialValues
    facts: Facts | None
    lax_json: bool = False
    signed_zeros: bool = False

    def count(self, measure: str) -> int:
        """What a counting measure gave; 0 where it was not taken."""
        return int((self.facts or {}).get(measure) or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What is written: a column, or the elements of an array column.

    `pg_type` is no domain; `source` is PostgreSQL's expression for the value.
    """

    column: Column
    pg_type: PgType
    typmod: int
    source: str
    specials: tuple[Special, ...]

    def without_specials(self) -> str:
        """The value, or NULL where it is special."""
        found = " OR ".join(each.predicate.replace("{c}", self.source) for each in self.specials)
        return f"(CASE WHEN {found} THEN NULL ELSE {self.source} END)"

    def counted(self, context: Context) -> bool:
        """Whether all its special values were counted, so that none needs a guard."""
        return context.facts is not None and all(s.kind in context.facts for s in self.specials)


def cell_of(column: Column, traits: ServerTraits) -> Cell:
    """The column itself, freed of its domains."""
    pg_type, typmod = column.pg_type.resolved(column.typmod)
    specials = () if pg_type.kind == "array" else specials_of(pg_type, typmod, traits)
    source = reference(column, pg_type)
    return Cell(column=column, pg_type=pg_type, typmod=typmod, source=source, specials=specials)


def refuse_invalid_text(column: Column, context: Context) -> None:
    """Raises `SourceError` for text that is no UTF-8, which no file could hold as text."""
    count = context.count(INVALID_TEXT)
    if count:
        row = (context.facts or {}).get(INVALID_ROW)
        values = "value" if count == 1 else "values"
        raise SourceError(
            f'column "{column.name}" has {count:,} {values} that {_NOT_UTF8[count == 1]} valid '
            f"UTF-8 (look at {row}); the database is SQL_ASCII and does not say what encoding "
            "they are in"
        )


_NOT_UTF8 = {True: "is not", False: "are not"}


def scalar_form(cell: Cell, context: Context) -> Form:
    """How a value that is no array is written.

    Raises `ValueNotKept` where the user asked to be stopped by special values and there are some.
    """
    losses = special_losses(cell, context, AS_NULL)
    if losses and context.special_values == SpecialValues.TEXT:
        return text_form(cell, context)
    if is_numeric(cell.pg_type):
        return _numeric(cell, losses, context)
    if geo.is_geo(cell.pg_type):
        return _geo(cell, context)
    rule = rule_for(cell.pg_type)
    misfit = _misfit(rule, cell, context)
    value = rule.value if misfit is None else guarded_value(misfit, rule.value, cell.column)
    source = cell.without_specials() if losses else cell.source
    return Form(
        select=filled(rule.select, cell.pg_type, source),
        duckdb_type=rule.duckdb_type,
        value=value,
        order=rule.order,
        json=rule.json,
        guarded=misfit is not None,
        obvious=rule.obvious,
        width_bytes=rule.width_bytes,
        losses=losses,
        note=null_note(cell.pg_type) if rule is COMPOSITE else None,
        signed_zeros=context.signed_zeros and rule.duckdb_type in SIGNED_TYPES,
    )


def _misfit(rule: Rule, cell: Cell, context: Context) -> str | None:
    """DuckDB's predicate for values that have to stop the copy; None where all are known."""
    if rule.duckdb_type in SIGNED_TYPES:
        return None if context.signed_zeros else NEGATIVE_ZERO
    return None if cell.counted(context) else rule.misfit


def null_note(inside: PgType) -> str | None:
    """What `to_json` cannot tell apart where there is JSON inside what becomes JSON."""
    has_json = inside.reaches & {"json", "jsonb"}
    return "a JSON null inside a value looks like NULL" if has_json else None


def _geo(cell: Cell, context: Context) -> Form:
    """Well-known binary, which has no room for the reference system of each value."""
    losses = srids_lost(cell, context)
    if losses and context.special_values == SpecialValues.TEXT:
        return replace(text_form(cell, context), losses=kept_as_text(losses))
    rule = rule_for(cell.pg_type)
    described = geo.geo_column(cell.pg_type, cell.typmod, context.facts or {})
    known = context.facts is not None or geo.declared_srid(cell.typmod) is not None
    return Form(
        select=filled(rule.select, cell.pg_type, cell.source),
        duckdb_type=rule.duckdb_type,
        obvious=rule.obvious,
        width_bytes=rule.width_bytes,
        losses=losses,
        note=described.note if known else None,
        geo=described,
    )


def srids_lost(cell: Cell, context: Context) -> tuple[Loss, ...]:
    """The geometries whose SRID is not that of their column, where it has several."""
    count = context.count(geo.OTHER_SRIDS) if geo.is_geo(cell.pg_type) else 0
    if not count:
        return ()
    kind = "several reference systems"
    if context.special_values == SpecialValues.ERROR:
        raise ValueNotKept(cell.column.name, [(kind, count)])
    outcome = "written without their SRID"
    return (Loss(column=cell.column.name, kind=kind, count=count, outcome=outcome),)


def kept_as_text(losses: tuple[Loss, ...]) -> tuple[Loss, ...]:
    """What would have been lost, had the column not become text."""
    return tuple(replace(loss, outcome=AS_TEXT) for loss in losses)


def special_losses(cell: Cell, context: Context, outcome: str) -> tuple[Loss, ...]:
    """The special values that were counted; raises `ValueNotKept` where the user wants none."""
    losses = tuple(
        Loss(column=cell.column.name, kind=each.kind, count=count, outcome=outcome)
        for each in cell.specials
        if (count := context.count(each.kind))
    )
    if losses and context.special_values == SpecialValues.ERROR:
        raise ValueNotKept(cell.column.name, [(loss.kind, loss.count) for loss in losses])
    return losses


def text_form(cell: Cell, context: Context) -> Form:
    """The whole column as PostgreSQL's text, exact, because of its special values."""
    return Form(
        select=filled(FALLBACK.select, cell.pg_type, cell.source),
        duckdb_type="VARCHAR",
        obvious=False,
        width_bytes=FALLBACK.width_bytes,
        losses=special_losses(cell, context, AS_TEXT),
        note="text, because of values that the column's own type in Parquet cannot hold",
    )


def guarded_value(misfit: str, value: str, column: Column) -> str:
    """The value, or an error that stops the copy at the first one that does not fit."""
    return f"CASE WHEN {misfit} THEN error('{GUARD} {column.position}') ELSE {value} END"


def checked_json(form: Form, column: Column, context: Context) -> Form:
    """A JSON column whose text may be laxer than readers accept: guarded, or plain text."""
    if not form.json or LAX_JSON_TYPE not in column.pg_type.reaches:
        return form
    if context.lax_json:
        note = "text: it has JSON that strict parsers refuse (single surrogates)"
        return replace(form, json=False, obvious=False, note=note)
    return replace(form, value=guarded_value(MISFIT_JSON, form.value, column), guarded=True)


def _numeric(cell: Cell, losses: tuple[Loss, ...], context: Context) -> Form:
    declared = numbers.declared(cell.pg_type, cell.typmod, context.traits.money_scale)
    if declared is not None:
        return _declared(cell, declared, losses, context)
    if context.facts is None:
        return Form(select=cell.source, duckdb_type=UNMEASURED, obvious=False, width_bytes=16)
    measured = numbers.measured(context.facts)
    if measured is None:
        return Form(
            select=f"{cell.source}::text",
            duckdb_type="VARCHAR",
            obvious=False,
            width_bytes=FALLBACK.width_bytes,
            note="text, exact: no DECIMAL of 38 digits holds every value",
        )
    source = cell.without_specials() if losses else cell.source
    return Form(
        select=f"{source}::{measured.postgres}",
        duckdb_type=measured.duckdb,
        obvious=False,
        width_bytes=measured.width_bytes,
        losses=losses,
    )


def _declared(cell: Cell, decimal: DecimalType, losses: tuple[Loss, ...], context: Context) -> Form:
    """A DECIMAL known from the declaration, guarded on the server until NaN was counted."""
    guarded = bool(cell.specials) and not cell.counted(context)
    source = cell.source
    if losses:
        source = cell.without_specials()
    elif guarded:
        source = _tripwire(cell, decimal)
    elif cell.pg_type.name == "money":
        source = f"{source}::numeric"
    return Form(
        select=f"{source}::{decimal.postgres}",
        duckdb_type=decimal.duckdb,
        guarded=guarded,
        obvious=numbers.declares(cell.pg_type, cell.typmod, decimal),
        width_bytes=decimal.width_bytes,
        losses=losses,
    )


def _tripwire(cell: Cell, decimal: DecimalType) -> str:
    """A CASE that fails to make a number of the guard's words at the first NaN.

    The reader takes NaN for 0, so it has to be noticed on the server. Both branches have the same
    declaration, so that the column keeps its own without another cast at every row. The empty
    string made of the value keeps the planner from evaluating the branch beforehand.
    """
    words = f"pg_catalog.left({cell.source}::text, 0) || '{GUARD} {cell.column.position}'"
    return (
        f"(CASE WHEN {cell.source} = 'NaN' THEN ({words})::{decimal.postgres} "
        f"ELSE {cell.source} END)"
    )
