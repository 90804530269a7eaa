"""What the forms of scalars and of arrays share: a cell, what was measured of it, and its guards.

A guard fails the copy at the first value that its column's form does not hold. On the server it is
a cast that cannot be, in DuckDB a call of `error`; both with the same words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from duckwarp.engine import geo
from duckwarp.engine.column_form import ColumnForm
from duckwarp.engine.measure import reference, specials_of
from duckwarp.engine.types import FALLBACK, Facts, Special, filled
from duckwarp.model.column import Column
from duckwarp.model.parquet_type import Kind, ParquetType
from duckwarp.model.pg_type import PgType, ServerTraits
from duckwarp.model.results import KEPT, Loss
from duckwarp.model.settings import SpecialValues

AS_NULL = "written as NULL"
AS_TEXT = f"{KEPT} the whole column is text"
# A guard's words, followed by the position of its column.
GUARD = "duckwarp met a special value in column"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the form of a column depends on besides its type.

    `facts` is None before anything was measured: forms are then good for showing, and for copying
    where the column needs no measure. `changing` says that the copy may meet other values than were
    measured. `lax_json` says that a value was met in the column which strict parsers of JSON
    refuse, `signed_zeros` that -0.0 was met in the relation.
    """

    traits: ServerTraits
    special_values: SpecialValues
    facts: Facts | None
    changing: bool = False
    lax_json: bool = False
    signed_zeros: bool = False

    def count(self, measure: str) -> int:
        """What a counting measure gave; 0 where it was not taken."""
        return int((self.facts or {}).get(measure) or 0)

    def becomes_text(self, losses: tuple[Loss, ...]) -> bool:
        """Whether the user wants the whole column as text because of these."""
        return bool(losses) and self.special_values == SpecialValues.TEXT


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

    def finds(self, specials: Iterable[Special]) -> list[str]:
        """PostgreSQL's predicates of special values, over this cell."""
        return [each.predicate.replace("{c}", self.source) for each in specials]

    def needs_guard(self, context: Context) -> bool:
        """Whether a special value may come that was not counted."""
        if not self.specials:
            return False
        facts = {} if context.facts is None or context.changing else context.facts
        return any(each.kind not in facts for each in self.specials)

    def kept_values(self, context: Context, guard: str = "", trap: str = "") -> str:
        """The value, or NULL where it is of a kind that was counted; `trap` where `guard` holds."""
        met = self.finds(each for each in self.specials if context.count(each.kind))
        arms = [f"WHEN {' OR '.join(met)} THEN NULL"] if met else []
        arms += [f"WHEN {guard} THEN {trap}"] if guard else []
        return f"(CASE {' '.join(arms)} ELSE {self.source} END)" if arms else self.source


def cell_of(column: Column, traits: ServerTraits) -> Cell:
    """The column itself, freed of its domains."""
    pg_type, typmod = column.pg_type.resolved(column.typmod)
    specials = () if pg_type.kind == "array" else specials_of(pg_type, typmod, traits)
    source = reference(column, pg_type)
    return Cell(column=column, pg_type=pg_type, typmod=typmod, source=source, specials=specials)


def losses_of(cell: Cell, context: Context) -> tuple[Loss, ...]:
    """The values that were counted and that the type of the file cannot hold."""
    kinds = [(each.kind, each.kind, AS_NULL) for each in cell.specials]
    if geo.is_geo(cell.pg_type):
        kinds.append((geo.OTHER_SRIDS, "several reference systems", "written without their SRID"))
    return counted(cell.column, context, kinds)


def counted(
    column: Column, context: Context, kinds: Iterable[tuple[str, str, str]]
) -> tuple[Loss, ...]:
    """A loss for each (measure, kind, outcome) of which there were any."""
    return tuple(
        Loss(column=column.name, kind=kind, count=count, outcome=outcome)
        for measure, kind, outcome in kinds
        if (count := context.count(measure))
    )


def text_form(cell: Cell, losses: tuple[Loss, ...], note: str | None = None) -> ColumnForm:
    """The whole column as PostgreSQL's text, exact, because of what would be lost otherwise."""
    return ColumnForm(
        select=filled(FALLBACK.template, cell.pg_type, cell.source),
        type=ParquetType(Kind.VARCHAR),
        obvious=False,
        width_bytes=FALLBACK.width_bytes,
        losses=tuple(replace(loss, outcome=AS_TEXT) for loss in losses),
        note=note or "text, because of values that the column's own type in Parquet cannot hold",
    )


def trap(column: Column, pg_type: str) -> str:
    """PostgreSQL's expression of a type that stops the copy when it is evaluated.

    `concat` is not immutable, so that the planner does not evaluate it beforehand.
    """
    return f"pg_catalog.concat('{GUARD} {column.position}')::{pg_type}"


def checked(expression: str, guards: list[str], column: Column) -> str:
    """An expression of PostgreSQL's, of whatever type, that stops the copy where a guard holds."""
    if not guards:
        return expression
    passes = f"CASE WHEN {' OR '.join(guards)} THEN {trap(column, 'pg_catalog.bool')} ELSE true END"
    # The same in both branches, since a NULL would lose the modifier of the type.
    return f"(CASE WHEN {passes} THEN {expression} ELSE {expression} END)"


def guarded_value(misfit: str, value: str, column: Column) -> str:
    """DuckDB's expression of a value, which stops the copy at the first one that does not fit."""
    return f"CASE WHEN {misfit} THEN error('{GUARD} {column.position}') ELSE {value} END"


def length_of_text(text: str) -> str:
    """DuckDB's expression for the bytes of a text, which raises an error if they are no UTF-8.

    The reader takes whatever bytes come, and the sort takes 0xff for the end of a text.
    """
    return f"strlen(decode(encode({text})))"
