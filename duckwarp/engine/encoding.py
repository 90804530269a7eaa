"""Telling which column and which row have text that has no UTF-8, once a source has failed by it.

All of a source's text is read for that on the server, in the run's snapshot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from duckwarp.engine.layout import WITH_CTID
from duckwarp.engine.measure import Measure, all_rows, measuring_query
from duckwarp.engine.texts import (
    convert,
    count_invalid,
    find_character,
    find_invalid,
    row_name,
    written_text,
)
from duckwarp.model.column import Column
from duckwarp.model.errors import InvalidText, SourceError
from duckwarp.model.pg_type import ServerTraits
from duckwarp.model.source import Source
from duckwarp.postgres.access import fetch_values

if TYPE_CHECKING:
    import psycopg

# Databases whose bytes are taken for UTF-8 as they stand, and why they may be none.
_WHY = {
    "UTF8": "they came past the check of the encoding, as with COPY … ENCODING 'SQL_ASCII': mend "
    "them, or load them again in the encoding that they are in",
    "SQL_ASCII": "the database is SQL_ASCII and does not say what encoding they are in",
}
# The server names the bytes, in whatever language it speaks.
_BYTES = re.compile("0x[0-9a-f]{2}(?: 0x[0-9a-f]{2})*")
UNTRANSLATABLE = "22P05"
NOT_IN_REPERTOIRE = "22021"
_WHAT = {
    UNTRANSLATABLE: "which have no equivalent in UTF-8",
    NOT_IN_REPERTOIRE: "which are no character of it",
}


def is_about_encoding(error: SourceError) -> bool:
    """Whether text that has no UTF-8 may be what a source has failed by."""
    return isinstance(error, InvalidText) or _BYTES.search(str(error)) is not None


def explain_encoding(
    connection: psycopg.Connection[Any],
    source: Source,
    columns: Sequence[Column],
    traits: ServerTraits,
) -> None:
    """Raises `SourceError` with the column and a row of text that has no UTF-8, if one is found."""
    has_ctid = source.relation is not None and source.relation.kind in WITH_CTID
    row = row_name(source.qualified_name, columns[0], has_ctid=has_ctid)
    found = {column.name: written_text(column) for column in columns}
    texts = {name: text for name, text in found.items() if text is not None}
    if traits.encoding in _WHY:
        _explain_invalid(connection, source, texts, row, _WHY[traits.encoding])
        return
    for name, text in texts.items():
        _explain_unconverted(connection, source, name, text, row, traits.encoding)


def _explain_invalid(
    connection: psycopg.Connection[Any],
    source: Source,
    texts: Mapping[str, str],
    row: str,
    why: str,
) -> None:
    counts = _ask(connection, source, [count_invalid(text) for text in texts.values()])
    for (name, text), count in zip(texts.items(), counts, strict=False):
        values = int(count or 0)
        if values:
            places = _ask(connection, source, [find_invalid(text, row)])
            what = "value that is not" if values == 1 else "values that are not"
            raise SourceError(
                f'column "{name}" has {values:,} {what} valid UTF-8{_look_at(places)}; {why}'
            )


def _explain_unconverted(  # a column of a source, and how to look for its text
    connection: psycopg.Connection[Any],
    source: Source,
    name: str,
    text: str,
    row: str,
    encoding: str,
) -> None:
    try:
        _fetch(connection, source, [convert(text)])
    except SourceError as error:
        character = _BYTES.search(str(error))
        what = _WHAT.get(error.sqlstate or "")
        if what is None or character is None:
            return
        searched = character[0].replace(" ", "").replace("0x", "")
        places = _ask(connection, source, [find_character(text, searched, encoding, row)])
        raise SourceError(
            f'column "{name}" has text with the bytes {character[0]} of {encoding}, {what}'
            f"{_look_at(places)}"
        ) from error


def _look_at(places: Sequence[str | None]) -> str:
    return "".join(f" (look at {place})" for place in places if place)


def _fetch(
    connection: psycopg.Connection[Any], source: Source, measures: Sequence[Measure]
) -> list[str | None]:
    return fetch_values(connection, source, measuring_query(measures, all_rows(source)))


def _ask(
    connection: psycopg.Connection[Any], source: Source, measures: Sequence[Measure]
) -> list[str | None]:
    """What the server answers; nothing where it refuses, since it is asked about a failure."""
    try:
        return _fetch(connection, source, measures)
    except SourceError:
        return []
