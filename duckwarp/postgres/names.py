"""Names and words as they come from a database and from people: alike, readable, one or many."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

NEAREST_NAMES = 5


def nearest(wanted: str, known: Iterable[str]) -> list[str]:
    """Up to five of the known names that resemble the wanted one, the most alike first.

    Upper and lower case make no difference, save among names that are otherwise the same.
    """
    by_lower: dict[str, list[str]] = {}
    for name in sorted(set(known)):
        by_lower.setdefault(name.lower(), []).append(name)
    alike = difflib.get_close_matches(wanted.lower(), by_lower, n=NEAREST_NAMES, cutoff=0.5)
    return [name for lower in alike for name in by_lower[lower]][:NEAREST_NAMES]


def words(value: list[str | None] | str | None) -> tuple[str, ...]:
    """Tags or keywords, of which some installations keep an array and others a line of text."""
    given = [value] if isinstance(value, str) else value or []
    return tuple(word for word in given if word)
