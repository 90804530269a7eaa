"""Codes that stand for frequent texts while rows are sorted: a dictionary that keeps their order.

Which texts are frequent is seen in a sample of the table's pages. That decides about the time a
sort takes, and about nothing else: a text without a code has its place between two codes and is
compared itself there, so that rows come in the order of their texts whatever the sample was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from duckwarp.engine.column_form import ColumnForm
from duckwarp.engine.measure import RELATION_ALIAS
from duckwarp.files.quoting import literal

# Codes and the gaps between them take a byte together. A text of two letters is as long as its
# code, and where a few texts in a hundred have none, codes cost more than they save.
MAX_CODES = 127
MAX_CODED_BYTES = 64
MIN_CODED_BYTES = 3
MIN_CODED_SHARE = 0.97


@dataclass(frozen=True, slots=True)
class SampledText:
    """How many `rows` of a sample have a text in the column at `position`; any text if it is None.
    `on_several_pages` is False where one page has them all: others may be full of other texts.
    """

    position: int
    text: str | None
    rows: int
    on_several_pages: bool


def may_have_codes(form: ColumnForm) -> bool:
    """Whether values of this form are texts."""
    return form.type.is_text and not form.order


def sampling_query(texts: Mapping[int, ColumnForm], sample: str) -> str:
    """The query whose rows are the fields of `SampledText`, of the columns at these positions.

    Texts come as their bytes in UTF-8.
    """
    named = ", ".join(
        f'({form.select}) COLLATE "C" AS c{position}' for position, form in texts.items()
    )
    # A text that is cut here is too long to have a code. Bytes that are no text are refused.
    cut = ", ".join(
        f"({position}, pg_catalog.convert_to("
        f"pg_catalog.left(s.c{position}, {MAX_CODED_BYTES + 1}), 'UTF8'))"
        for position in texts
    )
    return (
        "SELECT u.position, u.text, pg_catalog.count(*), "
        "pg_catalog.min(s.page) < pg_catalog.max(s.page) "
        f"FROM (SELECT ({RELATION_ALIAS}.ctid::pg_catalog.text::pg_catalog.point)[0] AS page, "
        f"{named} FROM {sample}) AS s, "
        f"LATERAL (VALUES {cut}) AS u(position, text) "
        "WHERE u.text IS NOT NULL "
        "GROUP BY GROUPING SETS ((u.position, u.text), (u.position)) HAVING pg_catalog.count(*) > 1"
    )


def coded_texts(sampled: Sequence[SampledText]) -> dict[int, tuple[str, ...]]:
    """The texts that get codes, in the order of their bytes, by the position of their column.

    Columns in which codes save nothing are left out.
    """
    rows = {each.position: each.rows for each in sampled if each.text is None}
    frequent: dict[int, dict[bytes, int]] = {position: {} for position in rows}
    for each in sampled:
        if each.text is not None and each.on_several_pages:
            frequent[each.position][each.text.encode()] = each.rows
    chosen = {position: _chosen(frequent[position], rows[position]) for position in rows}
    return {position: texts for position, texts in chosen.items() if texts}


def _chosen(frequent: Mapping[bytes, int], rows: int) -> tuple[str, ...]:
    """The most frequent texts of a column, whose texts are in so many rows; none if too few."""
    short = (text for text in frequent if len(text) <= MAX_CODED_BYTES)
    texts = sorted(short, key=lambda text: (-frequent[text], text))[:MAX_CODES]
    covered = sum(frequent[text] for text in texts)
    if covered < MIN_CODED_SHARE * rows:
        return ()
    if sum(frequent[text] * len(text) for text in texts) < MIN_CODED_BYTES * covered:
        return ()
    return tuple(text.decode() for text in sorted(texts))


# In DuckDB's SQL, for a column: first its text as one of an ENUM (NULL where it has no code), then
# the code or the gap in which the text has its place, and beside that the text in a gap. A gap is
# named by the least text that may be in it, so that it does no harm if that very text comes.


def coded(column: str, texts: Sequence[str]) -> str:
    """The text, as one of those with codes; NULL for all others."""
    return f"TRY_CAST({column} AS {_enum(texts)})"


def code_or_gap(column: str, coded: str, texts: Sequence[str]) -> str:
    """The code or the gap of a text; NULL for NULL."""
    gaps = ", ".join(map(literal, _gaps(texts)))
    below = f"len(list_filter([{', '.join(map(literal, texts))}], lambda x: x < {column}))"
    gap = f"CAST([{gaps}][{below} + 1] AS {_enum(texts)})"
    return f"coalesce({coded}, CASE WHEN {column} IS NOT NULL THEN {gap} END)"


def in_gap(column: str, coded: str) -> str:
    """The text, where it has no code."""
    return f"CASE WHEN {coded} IS NULL THEN {column} END"


def keys(code: str, text: str) -> tuple[str, str]:
    """What the column is sorted by: a text that names its gap is the first in it."""
    return code, f"{text} NULLS FIRST"


def decoded(code: str, text: str) -> str:
    """The text again."""
    return f"coalesce({text}, {code}::VARCHAR)"


def _enum(texts: Sequence[str]) -> str:
    first, *others = _gaps(texts)
    names = [first]
    for text, gap in zip(texts, others, strict=True):
        names += [text, gap]
    return f"ENUM({', '.join(map(literal, dict.fromkeys(names)))})"


def _gaps(texts: Sequence[str]) -> list[str]:
    """The names of the gaps: before the first text, and after each."""
    return ["", *(f"{text}{_LEAST}" for text in texts)]


# The least character that a text of PostgreSQL's may have.
_LEAST = "\x01"
