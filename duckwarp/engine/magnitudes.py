"""How large the numbers of a sample are, and what follows while rows are read and sorted.

Numbers are sorted in a shorter type, so that less is moved and less is spilled. A larger one than
it holds stops the copy, which is then made without. And DuckDB's reader takes NaN for 0: a number
that keeps away from 0 is read without its guard, for as long as the written file has no 0 in the
column. Either changes the time, and never a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from duckwarp.engine.column_form import ColumnForm
from duckwarp.engine.plan import PlannedColumn
from duckwarp.files.quoting import literal
from duckwarp.model.parquet_type import Kind, ParquetType

# How many times the least number of the sample the largest may be where 0 is not to be reckoned
# with: a search for NaN, if there is one, costs as much as three guards save.
NOT_NEAR_ZERO = 128
# How many times the largest number of the sample the shorter type has to hold: a copy that stops
# costs more than ten that are a little shorter save.
HEADROOM = 64
# The types of whole numbers, longest first, and the largest number of each.
_INTEGERS = {Kind.BIGINT: 2**63 - 1, Kind.INTEGER: 2**31 - 1, Kind.SMALLINT: 2**15 - 1}
# The digits of decimals of 16, 8, 4 and 2 bytes.
_DIGITS = (38, 18, 9, 4)


def is_looked_at(form: ColumnForm) -> bool:
    """Whether a look at numbers of this form may help."""
    return form.unguarded is not None or bool(_shorter_types(form.type))


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


def _looked_at(form: ColumnForm) -> str:
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


def never_zero(form: ColumnForm, sizes: Sizes) -> bool:
    """Whether a number that is guarded against NaN seems to be neither that nor 0."""
    if form.unguarded is None or sizes.largest is None or sizes.least is None:
        return False
    largest = Decimal(sizes.largest)
    return largest.is_finite() and 0 < largest <= Decimal(sizes.least) * NOT_NEAR_ZERO


def shorten_type(parquet_type: ParquetType, largest: str | None) -> ParquetType | None:
    """The shortest type that holds far larger numbers than the `largest`, None if there is none."""
    number = Decimal(largest or 0)
    if not number.is_finite():
        return None
    types = _shorter_types(parquet_type)
    fitting = [shorter for shorter, limit in types.items() if number * HEADROOM <= limit]
    return fitting[-1] if fitting else None


def _shorter_types(parquet_type: ParquetType) -> Mapping[ParquetType, Decimal]:
    """The shorter types, longest first, and about the largest number of each."""
    kind, scale = parquet_type.kind, parquet_type.scale
    if parquet_type.is_list:
        return {}
    if kind in _INTEGERS:
        shorter = {each: limit for each, limit in _INTEGERS.items() if limit < _INTEGERS[kind]}
        return {ParquetType(each): Decimal(limit) for each, limit in shorter.items()}
    if kind is not Kind.DECIMAL:
        return {}
    # A type is shorter where it takes fewer bytes, not where it has fewer digits.
    own = min(digits for digits in _DIGITS if digits >= parquet_type.precision)
    return {
        ParquetType(Kind.DECIMAL, digits, scale): Decimal(10) ** (digits - scale)
        for digits in _DIGITS
        if scale <= digits < own
    }
