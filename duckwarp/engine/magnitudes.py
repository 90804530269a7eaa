"""How large the numbers of a sample are, and which of them need no guard against NaN.

DuckDB's reader takes NaN for 0. A number that keeps away from 0 is read without its guard, for as
long as the written file has no 0 in the column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from duckwarp.engine.form import Form
from duckwarp.engine.narrowing import may_be_narrowed
from duckwarp.engine.plan import PlannedColumn
from duckwarp.files.quoting import literal

# How many times the least number of the sample the largest may be where 0 is not to be reckoned
# with: a search for NaN, if there is one, costs as much as three guards save.
NOT_NEAR_ZERO = 128


def is_looked_at(form: Form) -> bool:
    """Whether a look at numbers of this form may help."""
    return form.unguarded is not None or may_be_narrowed(form)


@dataclass(frozen=True, slots=True)
class Sizes:
    """The largest and the least absolute value of a column in a sample; None without numbers."""

    largest: str | None
    least: str | None


def sizes_query(columns: Sequence[PlannedColumn], schema: str, table: str, sample: str) -> str:
    """The query that gives the `Sizes` of each of the columns as one text[].

    First are the largest of all, then the least. `sample` is what stands behind FROM. What ANALYZE
    has seen counts as well towards the least number of a column that may be read unguarded.
    """
    largest, least = [], []
    for column in columns:
        size = f"pg_catalog.abs(({_looked_at(column.form)})::pg_catalog.numeric)"
        largest.append(f"pg_catalog.max({size})")
        least.append(f"pg_catalog.min({size})")
        if column.form.unguarded is not None:
            least[-1] = f"least({least[-1]}, ({_least_analysed(schema, table, column.name)}))"
    values = ", ".join(f"({each})::pg_catalog.text" for each in (*largest, *least))
    return f"SELECT ARRAY[{values}]::pg_catalog.text[] FROM {sample}"


def _looked_at(form: Form) -> str:
    return form.select if form.unguarded is None else form.unguarded.select


def _least_analysed(schema: str, table: str, column: str) -> str:
    """PostgreSQL's query for the least absolute value among those in the planner's statistics."""
    kept = " || ".join(
        f"coalesce(p.{values}::pg_catalog.text::pg_catalog.numeric[], '{{}}')"
        for values in ("most_common_vals", "histogram_bounds")
    )
    return (
        f"SELECT pg_catalog.min(pg_catalog.abs(v)) FROM pg_catalog.pg_stats AS p, "
        f"LATERAL pg_catalog.unnest({kept}) AS v WHERE p.schemaname = {literal(schema)} "
        f"AND p.tablename = {literal(table)} AND p.attname = {literal(column)}"
    )


def sizes_from(values: Sequence[str | None]) -> list[Sizes]:
    """What the query gave."""
    columns = len(values) // 2
    return [Sizes(*pair) for pair in zip(values[:columns], values[columns:], strict=True)]


def never_zero(form: Form, sizes: Sizes) -> bool:
    """Whether a number that is guarded against NaN seems to be neither that nor 0."""
    if form.unguarded is None or sizes.largest is None or sizes.least is None:
        return False
    largest = Decimal(sizes.largest)
    return largest.is_finite() and 0 < largest <= Decimal(sizes.least) * NOT_NEAR_ZERO
