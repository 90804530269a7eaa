"""Numeric and money: which DECIMAL holds the values, from the declaration or from the data.

A declared numeric(p,s) that a DECIMAL can hold keeps its declaration. For the rest the smallest
scale and one of two precisions are chosen from what was measured, as a function of the data alone.
"""

from __future__ import annotations

from decimal import Decimal

from duckwarp.engine.types import Facts, Special
from duckwarp.model.parquet_type import NARROW_PRECISION, WIDE_PRECISION, Kind, ParquetType
from duckwarp.model.pg_type import PgType
from duckwarp.postgres.types import numeric_precision

MONEY_PRECISION = 19
INFINITY_SINCE = 140000

NAN = Special(kind="NaN", predicate="{c} = 'NaN'")
INFINITE = Special(kind="infinity", predicate="{c} IN ('Infinity', '-Infinity')")


def declared(pg_type: PgType, typmod: int, money_scale: int) -> ParquetType | None:
    """The DECIMAL that the declaration alone gives, or None where the data have to be measured."""
    if pg_type.name == "money":
        return ParquetType(Kind.DECIMAL, MONEY_PRECISION, money_scale)
    if typmod < 0:
        return None
    precision, scale = numeric_precision(typmod)
    if scale < 0:
        precision, scale = precision - scale, 0
    fits = scale <= precision <= WIDE_PRECISION
    return ParquetType(Kind.DECIMAL, precision, scale) if fits else None


def declares(pg_type: PgType, typmod: int, decimal: ParquetType) -> bool:
    """Whether `decimal` is the very declaration of the type."""
    return pg_type.name == "numeric" and numeric_precision(typmod) == (
        decimal.precision,
        decimal.scale,
    )


def measured(facts: Facts) -> ParquetType | None:
    """The DECIMAL that holds all measured values exactly, or None if there is none.

    `facts` has `min_scale`, `minimum` and `maximum` over the finite values; an empty column is
    DECIMAL(18,0).
    """
    scale = int(facts["min_scale"] or 0)
    extremes = [Decimal(value) for name in ("minimum", "maximum") if (value := facts[name])]
    digits = max((_integer_digits(value) for value in extremes), default=0)
    for precision in (NARROW_PRECISION, WIDE_PRECISION):
        if digits + scale <= precision:
            return ParquetType(Kind.DECIMAL, precision, scale)
    return None


def _integer_digits(value: Decimal) -> int:
    return max(value.adjusted() + 1, 0) if value else 0


def specials(pg_type: PgType, typmod: int, server_version: int) -> tuple[Special, ...]:
    """What a numeric of this declaration may hold besides numbers; a declared one no infinity."""
    if pg_type.name == "money":
        return ()
    if typmod >= 0 or server_version < INFINITY_SINCE:
        return (NAN,)
    return (NAN, INFINITE)


def scale_measure(server_version: int) -> str:
    """The expression for the fewest fraction digits that hold `{c}`; `min_scale` came with 13."""
    if server_version >= 130000:
        return "pg_catalog.min_scale({c})"
    digits = "pg_catalog.split_part({c}::pg_catalog.text, '.', 2)"
    return f"pg_catalog.length(pg_catalog.rtrim({digits}, '0'))"


def misfit(decimal: ParquetType, server_version: int) -> str:
    """The predicate of a number `{c}` that `decimal` does not hold exactly."""
    limit = f"pg_catalog.abs({{c}}) >= 1e{decimal.precision - decimal.scale}"
    return f"{scale_measure(server_version)} > {decimal.scale} OR {limit}"
