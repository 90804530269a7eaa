"""Values of Parquet's statistics as PostgreSQL writes them. Pure: raw values in, text out.

Dates and timestamps are formatted from their integers, since Python's own end at the years 1 and
9999. The text settings are those of every session: ISO dates, UTC, the shortest exact floats.
"""

from __future__ import annotations

import struct
import uuid
from decimal import Context, Decimal

LONGEST_TEXT_CHARACTERS = 60

_DAYS_FROM_0000_03_01_TO_EPOCH = 719_468
_DAYS_IN_400_YEARS = 146_097
_US_IN_SECOND = 1_000_000
_US_IN_DAY = 86_400 * _US_IN_SECOND
# Enough digits for any decimal of Parquet: scaling must not round.
_EXACT = Context(prec=100)


def date_text(days: int) -> str:
    """The date that many days after 1970-01-01: `2024-01-31`, `12024-01-01`, `0044-03-15 BC`."""
    date, era = _date_and_era(days)
    return date + era


def timestamp_text(microseconds: int, zone: str = "") -> str:
    """The moment that many µs after 1970; `zone` follows the time, as in `2024-01-31 09:30:00+00`.

    The era comes last, as PostgreSQL has it: `0044-03-15 09:30:00+00 BC`.
    """
    days, within = divmod(microseconds, _US_IN_DAY)
    date, era = _date_and_era(days)
    return f"{date} {time_text(within)}{zone}{era}"


def time_text(microseconds: int) -> str:
    """The time of day, with a fraction only where there is one: `09:30:00`, `23:59:59.5`."""
    seconds, fraction = divmod(microseconds, _US_IN_SECOND)
    minutes, second = divmod(seconds, 60)
    clock = f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}"
    return clock + f".{fraction:06d}".rstrip("0") if fraction else clock


def _date_and_era(days: int) -> tuple[str, str]:
    """Year, month and day in the proleptic Gregorian calendar, and " BC" for years before 1.

    Counts years from 1 March, so that the leap day is the last of its year; see
    https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    """
    cycle, day_of_cycle = divmod(days + _DAYS_FROM_0000_03_01_TO_EPOCH, _DAYS_IN_400_YEARS)
    leap_days = day_of_cycle // 1_460 - day_of_cycle // 36_524 + day_of_cycle // 146_096
    year_of_cycle = (day_of_cycle - leap_days) // 365
    day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle // 4 - year_of_cycle // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = (month_from_march + 2) % 12 + 1
    year = 400 * cycle + year_of_cycle + (month <= 2)
    spoken, era = (year, "") if year > 0 else (1 - year, " BC")
    return f"{spoken:04d}-{month:02d}-{day:02d}", era


def decimal_text(unscaled: int, scale: int) -> str:
    """An exact decimal with all digits of its scale, never with an exponent."""
    return f"{Decimal(unscaled).scaleb(-scale, _EXACT):f}"


def double_text(value: float) -> str:
    """The shortest text that reads back as the same double; the sign of zero is left out.

    Parquet's statistics say nothing reliable about the sign of a zero.
    """
    return _float_text(repr(value + 0.0))


def single_text(value: float) -> str:
    """The shortest text that reads back as the same 4-byte float: 1.1, not 1.100000023841858."""
    candidates = (f"{value + 0.0:.{digits}g}" for digits in range(1, 10))
    shortest = next(text for text in candidates if _as_single(float(text)) == value)
    return _float_text(repr(float(shortest)))


def _as_single(value: float) -> float:
    """The nearest 4-byte float; rounding up beyond the largest is infinite, as in C."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _float_text(text: str) -> str:
    return text.replace("inf", "Infinity")


def bool_text(value: bool) -> str:
    """`true` or `false`."""
    return "true" if value else "false"


def uuid_text(raw: bytes) -> str:
    """A UUID with its hyphens."""
    return str(uuid.UUID(bytes=raw))


def is_cut(raw: bytes) -> bool:
    """Whether `short_text` shows only the beginning of this text."""
    return len(raw.decode(errors="replace")) > LONGEST_TEXT_CHARACTERS


def short_text(raw: bytes) -> str:
    """The text itself, or its beginning and `…` where it is longer than 60 characters."""
    text = raw.decode(errors="replace")
    return text[: LONGEST_TEXT_CHARACTERS - 1] + "…" if is_cut(raw) else text
