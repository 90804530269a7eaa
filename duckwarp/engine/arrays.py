"""How an array column is written: a LIST where every array has one dimension, else JSON text."""

from __future__ import annotations

from dataclasses import replace

from duckwarp.engine.cells import (
    Cell,
    Context,
    cell_of,
    checked,
    counted,
    losses_of,
    text_form,
)
from duckwarp.engine.column_form import ColumnForm
from duckwarp.engine.forms import FOREIGN_JSON, checked_json, null_note, scalar_form
from duckwarp.engine.measure import (
    ELEMENT_ALIAS,
    HAS_LOWER_BOUNDS,
    HAS_SEVERAL_DIMENSIONS,
    LOWER_BOUNDS,
    LOWER_BOUNDS_LOST,
    SEVERAL_DIMENSIONS,
    specials_of,
)
from duckwarp.engine.types import COMPOSITE, TEXT, cast_to, filled
from duckwarp.model.column import Column
from duckwarp.model.parquet_type import Kind, ParquetType
from duckwarp.model.results import KEPT, Loss

USUAL_ELEMENTS = 4  # of a list, for the size of row groups


def form_of(column: Column, context: Context) -> ColumnForm:
    """How `column` is written."""
    cell = cell_of(column, context.traits)
    if cell.pg_type.kind == "array":
        return checked_json(_array_form(cell, context), column, context)
    return checked_json(scalar_form(cell, context), column, context)


def _array_form(cell: Cell, context: Context) -> ColumnForm:
    inner = _elements(cell, context)
    losses = _bounds_lost(cell, context)
    if context.becomes_text(losses + losses_of(inner, context)):
        return text_form(cell, losses + losses_of(inner, context))
    if context.count(SEVERAL_DIMENSIONS) or inner.pg_type.kind in ("array", "composite"):
        if inner.pg_type.has_json_cast:
            return text_form(cell, (), FOREIGN_JSON)
        return _json(cell, inner, context)
    form = _in_list(scalar_form(inner, context))
    source = _checked(cell, context, HAS_SEVERAL_DIMENSIONS)
    if context.count(LOWER_BOUNDS):
        # PostgreSQL's order looks at the bounds as well.
        source = f"({source})[:]"
    return replace(_list_of(form, inner, cell, source), losses=losses + form.losses)


def _checked(cell: Cell, context: Context, *guards: str) -> str:
    """The array, which stops the copy where it is unlike all that were measured."""
    if not context.changing:
        return cell.source
    if not context.count(LOWER_BOUNDS):
        guards = (HAS_LOWER_BOUNDS, *guards)
    found = [guard.replace("{c}", cell.source) for guard in guards]
    return checked(cell.source, found, cell.column)


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
    kind = (LOWER_BOUNDS, LOWER_BOUNDS_LOST, "written without their bounds")
    return counted(cell.column, context, [kind])


def _json(cell: Cell, inner: Cell, context: Context) -> ColumnForm:
    """Arrays that no LIST holds, as JSON text: nested, of several dimensions, of composites.

    Special values stay, as strings; lower bounds are lost in JSON as in a LIST.
    """
    is_money = inner.pg_type.builtin and inner.pg_type.name == "money"
    source = cast_to(_checked(cell, context), ("numeric",) if is_money else (), "[]")
    outcome = f"{KEPT} the whole column is JSON"
    kind = (SEVERAL_DIMENSIONS, "arrays of more than one dimension", outcome)
    return ColumnForm(
        select=filled(COMPOSITE.template, cell.pg_type, source),
        type=ParquetType(Kind.JSON),
        obvious=False,
        width_bytes=COMPOSITE.width_bytes,
        losses=_bounds_lost(cell, context) + counted(cell.column, context, [kind]),
        note=null_note(inner.pg_type),
    )


def _in_list(form: ColumnForm) -> ColumnForm:
    """The form of an element, where a list of what a column would be cannot be read.

    DuckDB's reader of PostgreSQL knows no arrays of bytea, so they travel as hex. pandas refuses
    the whole file for a list of UUIDs, so they are text, and so is JSON.
    """
    if form.type.kind is Kind.BLOB:
        hexadecimal = f"pg_catalog.encode({form.select}, 'hex')"
        return replace(form, select=hexadecimal, casts=None, value="unhex({d})")
    text = ParquetType(Kind.VARCHAR)
    if form.type.kind is Kind.UUID:
        select = cast_to(form.select, TEXT)
        return replace(form, select=select, casts=TEXT, type=text, obvious=False)
    if form.type.kind is Kind.JSON:
        return replace(form, type=text, obvious=False)
    return form


def _list_of(form: ColumnForm, inner: Cell, cell: Cell, source: str) -> ColumnForm:
    """A LIST of what the elements are written as; `source` is the array, checked.

    Elements that are at most cast have the array cast; others are written one by one, in their
    order, so that NULL arrays, empty arrays and NULL elements stay apart.
    """
    if form.casts or (form.casts is not None and inner.pg_type.builtin):
        select = cast_to(source, form.casts, "[]")
    else:
        select = (
            f"CASE WHEN {source} IS NULL THEN NULL ELSE ARRAY(SELECT {form.select} "
            f"FROM pg_catalog.unnest({cell.source}) WITH ORDINALITY AS u({ELEMENT_ALIAS}, o) "
            "ORDER BY u.o) END"
        )
        # An array that is put together has lost the declaration of its elements.
        if form.type.kind is Kind.DECIMAL:
            select = cast_to(f"({select})", (form.type.postgres,), "[]")
    return ColumnForm(
        select=select,
        type=form.type.list,
        value=_each(form.value),
        order=tuple(_each(key) for key in form.order),
        obvious=form.obvious,
        width_bytes=form.width_bytes * USUAL_ELEMENTS,
        note=form.note and f"elements are {form.note}",
        signed_zeros=form.signed_zeros,
    )


def _each(template: str) -> str:
    """A template over a value, applied to every element of a list."""
    if template == "{d}":
        return template
    return f"list_transform({{d}}, lambda x: {template.replace('{d}', 'x')})"
