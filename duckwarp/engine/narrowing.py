"""Numbers in a shorter type while rows are sorted, so that less is moved and less is spilled.

How large numbers are is seen in a sample of the table's pages. A larger one than the shorter type
holds stops the copy, which is then made without: it changes the time, and never a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from duckwarp.engine.form import Form

# How many times the largest number of the sample the shorter type has to hold: a copy that stops
# costs more than ten that are a little shorter save.
HEADROOM = 64
# The types of whole numbers, longest first, and the largest number of each.
_INTEGERS = {"BIGINT": 2**63 - 1, "INTEGER": 2**31 - 1, "SMALLINT": 2**15 - 1}
# The digits of decimals of 16, 8, 4 and 2 bytes.
_DIGITS = (38, 18, 9, 4)
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def may_be_narrowed(form: Form) -> bool:
    """Whether values of this form are numbers of which there is a shorter type."""
    return bool(_narrower_types(form.duckdb_type))


def narrowed(duckdb_type: str, largest: str | None) -> str | None:
    """The shortest type that holds far larger numbers than the `largest`, None if there is none."""
    number = Decimal(largest or 0)
    if not number.is_finite():
        return None
    types = _narrower_types(duckdb_type)
    fitting = [name for name, limit in types.items() if number * HEADROOM <= limit]
    return fitting[-1] if fitting else None


def _narrower_types(duckdb_type: str) -> Mapping[str, Decimal]:
    """The shorter types, longest first, and about the largest number of each."""
    if duckdb_type in _INTEGERS:
        names = list(_INTEGERS)
        shorter = names[names.index(duckdb_type) + 1 :]
        return {name: Decimal(_INTEGERS[name]) for name in shorter}
    decimal = _DECIMAL.fullmatch(duckdb_type)
    if decimal is None:
        return {}
    precision, scale = int(decimal[1]), int(decimal[2])
    # A type is shorter where it takes fewer bytes, not where it has fewer digits.
    own = min(digits for digits in _DIGITS if digits >= precision)
    shorter_digits = [digits for digits in _DIGITS if digits < own and digits >= scale]
    return {f"DECIMAL({n},{scale})": Decimal(10) ** (n - scale) for n in shorter_digits}
