"""How an array column is written: a LIST where every array has one dimension, else JSON text."""

from __future__ import annotations

from dataclasses import replace

from duckwarp.engine.forms import (
    AS_NULL,
    Cell,
    Context,
    cell_of,
    checked_json,
    kept_as_text,
    null_note,
    refuse_invalid_text,
    scalar_form,
    special_losses,
    srids_lost,
    text_form,
)
from duckwarp.engine.measure import ELEMENT_ALIAS, LOWER_BOUNDS, SEVERAL_DIMENSIONS, specials_of
from duckwarp.engine.types import COMPOSITE, Form, filled
from duckwarp.errors import ValueNotKept
from duckwarp.results import Loss
from duckwarp.settings import SpecialValues
from duckwarp.source.metadata import Column

USUAL_ELEMENTS = 4  # of a list, for the size of row groups


def form_of(column: Column, context: Context) -> Form:
    """How `column` is written.

    Raises `ValueNotKept` where the user asked to be stopped by special values and there are some,
    and `SourceError` for text that is no UTF-8.
    """
    refuse_invalid_text(column, context)
    cell = cell_of(column, context.traits)
    if cell.pg_type.kind == "array":
        return checked_json(_array_form(cell, context), column, context)
    return checked_json(scalar_form(cell, context), column, context)


def _array_form(cell: Cell, context: Context) -> Form:
    inner = _elements(cell, context)
    losses = _bounds_lost(cell, context) + special_losses(inner, context, AS_NULL)
    losses += srids_lost(inner, context)
    if losses and context.special_values == SpecialValues.TEXT:
        return replace(text_form(cell, context), losses=kept_as_text(losses))
    if context.count(SEVERAL_DIMENSIONS) or inner.pg_type.kind in ("array", "composite"):
        return _json(cell, inner, context)
    form = _in_list(scalar_form(inner, context))
    return replace(_list_of(form, inner, cell), losses=_bounds_lost(cell, context) + form.losses)


def _elements(cell: Cell, context: Context) -> Cell:
    assert cell.pg_type.element is not None
    pg_type, typmod = cell.pg_type.element.resolved(cell.typmod)
    return Cell(
        column=cell.column,
        pg_type=pg_type,
        typmod=typmod,
        source=ELEMENT_ALIAS,
        specials=specials_of(pg_type, typmod, context.traits),
    )


def _bounds_lost(cell: Cell, context: Context) -> tuple[Loss, ...]:
    count = context.count(LOWER_BOUNDS)
    if not count:
        return ()
    kind = "lower bounds other than 1"
    if context.special_values == SpecialValues.ERROR:
        raise ValueNotKept(cell.column.name, [(kind, count)])
    outcome = "written without their bounds"
    return (Loss(column=cell.column.name, kind=kind, count=count, outcome=outcome),)


def _json(cell: Cell, inner: Cell, context: Context) -> Form:
    """Arrays that no LIST holds, as JSON text: nested, of several dimensions, of composites.

    Special values stay, as strings; lower bounds are lost in JSON as in a LIST.
    """
    is_money = inner.pg_type.builtin and inner.pg_type.name == "money"
    source = f"{cell.source}::numeric[]" if is_money else cell.source
    count = context.count(SEVERAL_DIMENSIONS)
    kept = Loss(
        column=cell.column.name,
        kind="arrays of more than one dimension",
        count=count,
        outcome="kept: the whole column is JSON",
    )
    return Form(
        select=filled(COMPOSITE.select, cell.pg_type, source),
        duckdb_type="VARCHAR",
        json=True,
        obvious=False,
        width_bytes=COMPOSITE.width_bytes,
        losses=_bounds_lost(cell, context) + ((kept,) if count else ()),
        note=null_note(inner.pg_type),
    )


def _in_list(form: Form) -> Form:
    """The form of an element, where a list of what a column would be cannot be read.

    DuckDB's reader of PostgreSQL knows no arrays of bytea, so they travel as hex. pandas refuses
    the whole file for a list of UUIDs, so they are text.
    """
    if form.duckdb_type == "BLOB":
        return replace(form, select=f"pg_catalog.encode({form.select}, 'hex')", value="unhex({d})")
    if form.duckdb_type == "UUID":
        return replace(form, select=f"{form.select}::text", duckdb_type="VARCHAR", obvious=False)
    return form


def _list_of(form: Form, inner: Cell, cell: Cell) -> Form:
    """A LIST of what the elements are written as.

    Elements that are at most cast have the array cast; others are written one by one, in their
    order, so that NULL arrays, empty arrays and NULL elements stay apart.
    """
    casts = form.select.split("::")
    if casts[0] == ELEMENT_ALIAS and (inner.pg_type.builtin or len(casts) > 1):
        select = cell.source + "".join(f"::{cast}[]" for cast in casts[1:])
    else:
        select = (
            f"CASE WHEN {cell.source} IS NULL THEN NULL ELSE ARRAY(SELECT {form.select} "
            f"FROM pg_catalog.unnest({cell.source}) WITH ORDINALITY AS u({ELEMENT_ALIAS}, o) "
            "ORDER BY u.o) END"
        )
        # An array that is put together has lost the declaration of its elements.
        if casts[-1].startswith("numeric("):
            select = f"({select})::{casts[-1]}[]"
    return Form(
        select=select,
        duckdb_type=f"{form.duckdb_type}[]",
        value=_each(form.value),
        order=tuple(_each(key) for key in form.order),
        obvious=form.obvious and not form.json,
        guarded=form.guarded,
        width_bytes=form.width_bytes * USUAL_ELEMENTS,
        note=form.note and f"elements are {form.note}",
        signed_zeros=form.signed_zeros,
    )


def _each(template: str) -> str:
    """A template over a value, applied to every element of a list."""
    if template == "{d}":
        return template
    return f"list_transform({{d}}, lambda x: {template.replace('{d}', 'x')})"
