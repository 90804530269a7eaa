"""Figures and names as a person reads them, for every screen and every line of text. Pure.

Owns the units and the rounding; where a figure stands on the screen is up to whoever shows it.
"""

from __future__ import annotations

import unicodedata

_UNSAFE_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def counted(count: int, noun: str) -> str:
    """`1 row`, `1,304 rows`; the noun takes its plural with an s."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def duration(seconds: float) -> str:
    """`40 ms`, `0.4 s`, `41.0 s`, `2 min 05 s`, `1 h 02 min`."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60:,} h {minutes % 60:02} min"


def clock(seconds: float) -> str:
    """`0:07`, `12:41`, `1:02:41`: seconds that count up or down."""
    hours, rest = divmod(max(0, int(seconds)), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def one_line(text: str) -> str:
    """The text on one line and harmless to a terminal: what would move the cursor is escaped."""
    return "".join(map(_harmless, " ".join(text.split())))


def _harmless(character: str) -> str:
    unsafe = unicodedata.category(character) in _UNSAFE_CATEGORIES or character in _BIDI_CONTROLS
    return character.encode("unicode_escape").decode("ascii") if unsafe else character
