"""Looking on the server for text that has no UTF-8, as SQL for PostgreSQL.

Bytes are looked at, and by nothing that minds what bytes they are.
"""

from __future__ import annotations

from duckwarp.engine.measure import RELATION_ALIAS, Measure, is_numeric, reference
from duckwarp.engine.types import FALLBACK, filled, rule_for
from duckwarp.files.quoting import literal
from duckwarp.model.column import Column
from duckwarp.model.parquet_type import TEXTS

# Well-formed UTF-8 (Unicode 16, table 3-7), two hexadecimal digits for each byte.
_UTF8 = (
    "^([0-7].|(c[2-9a-f]|d.)[89ab].|e0[ab].[89ab].|(e[1-9abcef]([89ab].){2})|ed[89].[89ab]."
    "|f0[9ab].([89ab].){2}|f[1-3]([89ab].){3}|f48.([89ab].){2})*$"
)
# The characters of an encoding, by their length: those of EUC begin with a byte above 127.
_OF_ONE_BYTE = "(..)*?"
_OF_EUC = "([0-7].|8f.{4}|8e.{%d}|[89a-f]...)*?"


def written_text(column: Column) -> str | None:
    """PostgreSQL's expression for the text of a value; None for a type whose values stay none."""
    resolved, _ = column.pg_type.resolved(column.typmod)
    source = reference(column, resolved)
    if resolved.kind == "array":
        return filled(FALLBACK.template, resolved, source)
    rule = rule_for(resolved)
    is_text = rule.kind in TEXTS and not is_numeric(resolved)
    return filled(rule.template, resolved, source) if is_text else None


def count_invalid(text: str) -> Measure:
    """How many texts are not valid UTF-8 as they stand."""
    return Measure(
        name="invalid UTF-8",
        expression=f"pg_catalog.count(*) FILTER (WHERE {_hexadecimal(text)} !~ '{_UTF8}')",
    )


def find_invalid(text: str, row: str) -> Measure:
    """The name of a row with such a text; `row` is what `row_name` gives."""
    return _first(row, f"{_hexadecimal(text)} !~ '{_UTF8}'")


def convert(text: str) -> Measure:
    """What fails where a text has no equivalent in UTF-8, with the bytes of the character."""
    converted = f"pg_catalog.convert_to({text}, 'UTF8')"
    return Measure(name="values in UTF-8", expression=f"pg_catalog.count({converted})")


def find_character(text: str, character: str, encoding: str, row: str) -> Measure:
    """The name of a row with a character, whose bytes in the database's `encoding` are in hex."""
    before = _OF_ONE_BYTE
    if encoding.startswith("EUC_"):
        before = _OF_EUC % (6 if encoding == "EUC_TW" else 2)
    return _first(row, f"{_hexadecimal(text)} ~ '^{before}{character}'")


def _first(row: str, condition: str) -> Measure:
    return Measure(name="row", expression=f"pg_catalog.min({row}) FILTER (WHERE {condition})")


def _bytes(text: str) -> str:
    """The bytes of a text, in quotes: `convert_to` refuses those that are no text."""
    return f"pg_catalog.quote_literal({text})::pg_catalog.bytea"


def _hexadecimal(text: str) -> str:
    return f"pg_catalog.encode({_bytes(text)}, 'hex')"


def row_name(relation: str, first: Column, *, has_ctid: bool) -> str:
    """PostgreSQL's expression for words that lead to a row of `relation`.

    Its place where it has one, else its first value, which is shown as bytes: it may be the very
    text that is no UTF-8.
    """
    if has_ctid:
        place = f"{RELATION_ALIAS}.ctid::pg_catalog.text || ' of ' || {RELATION_ALIAS}.tableoid"
        return f"'ctid ' || {place}::pg_catalog.regclass::pg_catalog.text"
    resolved, _ = first.pg_type.resolved(first.typmod)
    text = filled(FALLBACK.template, resolved, reference(first, resolved))
    # Numbers stand without quotes, and so does all that is shown.
    quoted = f"pg_catalog.encode({_bytes(text)}, 'escape')"
    shown = f"pg_catalog.regexp_replace({quoted}, '^E?''(.*)''$', '\\1')"
    words = literal(f'the row of {relation} with "{first.name}" = ')
    return f"{words} || coalesce({shown}, 'NULL')"
