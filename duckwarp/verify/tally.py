"""What is counted of the rows on each side: `Tally`, and how the tallies of parts become one. Pure.

A checksum is the sum of 60 bits of SHA-256 of each row's text. It does not depend on the order of
the rows, and a row that comes twice changes it, as it would not if hashes were combined by XOR.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from duckwarp.verify.comparing import Comparison, Order

_YEAR = re.compile(r"(\d+)-")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnTally:
    """One column: the values that are there, those that a file could not keep, and the extremes.

    `least` and `greatest` are in PostgreSQL's text, long ones cut; None where there is no value.
    """

    filled: int
    not_kept: int = 0
    least: str | None = None
    greatest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """All rows of a side, or of a part of it; `columns` are in the order of the comparisons."""

    rows: int
    checksum: int
    columns: tuple[ColumnTally, ...]

    def nulls(self, place: int) -> int:
        """How many values of a column a file has NULL for."""
        return self.rows - self.columns[place].filled + self.columns[place].not_kept


def tally_from(values: Sequence[str | None], columns: int) -> Tally:
    """The tally that a query of `queries.py` gave as one array of texts."""
    rows, checksum, *rest = values
    parts = [rest[4 * place : 4 * place + 4] for place in range(columns)]
    return Tally(
        rows=int(rows or 0),
        checksum=int(checksum or 0),
        columns=tuple(
            ColumnTally(
                filled=int(filled or 0),
                not_kept=int(not_kept or 0),
                least=least,
                greatest=greatest,
            )
            for filled, not_kept, least, greatest in parts
        ),
    )


def merged(parts: Iterable[Tally], comparisons: Sequence[Comparison]) -> Tally:
    """The tally of all parts together."""
    found = list(parts)
    return Tally(
        rows=sum(part.rows for part in found),
        checksum=sum(part.checksum for part in found),
        columns=tuple(
            _merged_column([part.columns[place] for part in found], _KEYS[each.order])
            for place, each in enumerate(comparisons)
        ),
    )


def _merged_column(parts: Sequence[ColumnTally], key: Callable[[str], Any]) -> ColumnTally:
    least = [part.least for part in parts if part.least is not None]
    greatest = [part.greatest for part in parts if part.greatest is not None]
    return ColumnTally(
        filled=sum(part.filled for part in parts),
        not_kept=sum(part.not_kept for part in parts),
        least=min(least, key=key, default=None),
        greatest=max(greatest, key=key, default=None),
    )


def _number_key(text: str) -> tuple[bool, Decimal]:
    """NaN is greater than all others."""
    return (True, Decimal(0)) if text == "NaN" else (False, Decimal(text))


def _moment_key(text: str) -> tuple[int, str]:
    """Years before 1 count backwards, and infinity is beyond all years."""
    if text.endswith("infinity"):
        return (-(10**9) if text.startswith("-") else 10**9), ""
    year = _YEAR.match(text)
    if year is None:  # a time of day
        return 0, text
    number = -int(year[1]) if text.endswith(" BC") else int(year[1])
    return number, text[year.end() :]


def _text_key(text: str) -> str:
    """By code points, which is the order of the bytes in UTF-8."""
    return text


_KEYS: dict[Order, Callable[[str], Any]] = {
    Order.NUMBER: _number_key,
    Order.MOMENT: _moment_key,
    Order.TEXT: _text_key,
}
