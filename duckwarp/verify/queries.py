"""The questions that are asked of both sides, in PostgreSQL's SQL and in DuckDB's. Pure.

Each of the two has a row's text put together in the same way: the values in order, with a
separator between them; a NULL is a character of its own, and a value that is text has its length
in bytes before it, so that no two different rows have the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from duckwarp.engine.measure import RELATION_ALIAS
from duckwarp.files.quoting import identifier, literal
from duckwarp.model.pg_type import ServerTraits
from duckwarp.verify.comparing import Comparison, Order

# 15 hexadecimal digits of SHA-256: as many whole ones as a bigint holds without its sign.
HASH_DIGITS = 15
# How much of a value is told.
SHOWN_CHARACTERS = 256
# PostgreSQL passes at most 100 arguments to a function.
_MAX_ARGUMENTS = 90
# Encodings whose bytes are those of UTF-8, and those in which text is in the same order.
_IN_UTF8 = frozenset({"UTF8", "SQL_ASCII"})
_ORDERED = _IN_UTF8 | {"LATIN1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A side's SQL: all that differs between the two.

    `source` is what rows are read from, and `values` the names that the compared values have in it.
    `texts` are their texts, NULL where the value is NULL or could not be kept, and `plain` the
    templates over `{x}` of a value's text. The others are templates over a text `{t}`.
    `knows_order` says that the server has text in the order of its bytes in UTF-8.
    """

    source: str
    texts: tuple[str, ...]
    plain: tuple[str, ...]
    hash_of: str
    row_text: str
    values: tuple[str, ...]
    specials: tuple[str | None, ...]
    list_of: str
    text_type: str
    zero: str
    cut: str
    knows_order: bool


def table_side(
    comparisons: Sequence[Comparison],
    schema: str,
    table: str,
    condition: str,
    traits: ServerTraits,
) -> Side:
    """The rows of a table that `condition` takes, read once."""
    read = ", ".join(f"{each.value} AS c{place}" for place, each in enumerate(comparisons))
    relation = f"{identifier(schema)}.{identifier(table)} AS {RELATION_ALIAS}"
    where = f" WHERE {condition}" if condition else ""
    named = [f"c{place}" for place in range(len(comparisons))]
    texts = tuple(
        each.kept_text.replace("{v}", name) for each, name in zip(comparisons, named, strict=True)
    )
    length = "pg_catalog.octet_length({t})"
    if traits.encoding not in _IN_UTF8:
        length = "pg_catalog.octet_length(pg_catalog.convert_to({t}, 'UTF8'))"
    arguments = _arguments(comparisons, texts, "E'\\x1e'", length)
    return Side(
        # OFFSET keeps the planner from working out a value once for each time it is mentioned.
        source=f"(SELECT {read} FROM {relation}{where} OFFSET 0) AS s",
        texts=texts,
        plain=tuple(each.text.replace("{v}", "{x}") for each in comparisons),
        hash_of=(
            f"('x' || pg_catalog.left(pg_catalog.encode(pg_catalog.sha256("
            f"pg_catalog.convert_to({{t}}, 'UTF8')), 'hex'), {HASH_DIGITS}))"
            f"::pg_catalog.bit({HASH_DIGITS * 4})::pg_catalog.int8"
        ),
        row_text=_concatenated("pg_catalog.concat_ws", "E'\\x1f'", arguments),
        values=tuple(named),
        specials=tuple(
            None if each.special is None else each.special.replace("{v}", name)
            for each, name in zip(comparisons, named, strict=True)
        ),
        list_of="ARRAY[{values}]::pg_catalog.text[]",
        text_type="pg_catalog.text",
        zero="'0'",  # of the type of the other operand
        # A character of a database in SQL_ASCII is a byte.
        cut="{t}"
        if traits.encoding == "SQL_ASCII"
        else f"pg_catalog.left({{t}}, {SHOWN_CHARACTERS})",
        knows_order=traits.encoding in _ORDERED,
    )


def file_side(
    comparisons: Sequence[Comparison], places: Sequence[int], traits: ServerTraits
) -> Side:
    """The rows of a batch of the file; `places` are those of the compared columns in it."""
    named = [f"c{place}" for place in places]
    texts = tuple(
        each.file_text.replace("{d}", name) for each, name in zip(comparisons, named, strict=True)
    )
    return Side(
        source="batch",
        texts=texts,
        plain=tuple(each.file_text.replace("{d}", "{x}") for each in comparisons),
        hash_of=f"('0x' || left(sha256({{t}}), {HASH_DIGITS}))::BIGINT",
        row_text=_concatenated(
            "concat_ws", "chr(31)", _arguments(comparisons, texts, "chr(30)", "strlen({t})")
        ),
        values=tuple(named),
        specials=(None,) * len(comparisons),
        list_of="[{values}]",
        text_type="VARCHAR",
        zero="0",
        cut=f"left({{t}}, {SHOWN_CHARACTERS})",
        knows_order=traits.encoding in _ORDERED,
    )


def _arguments(
    comparisons: Sequence[Comparison], texts: Sequence[str], null: str, length: str
) -> list[str]:
    """What a row's text is made of; a length of NULL is left out."""
    found = []
    for each, text in zip(comparisons, texts, strict=True):
        if each.order is Order.TEXT:
            found.append(length.replace("{t}", text))
        found.append(f"coalesce({text}, {null})")
    return found


def _concatenated(function: str, separator: str, arguments: Sequence[str]) -> str:
    if len(arguments) <= _MAX_ARGUMENTS:
        return f"{function}({', '.join([separator, *arguments])})"
    parts = [
        _concatenated(function, separator, arguments[start : start + _MAX_ARGUMENTS])
        for start in range(0, len(arguments), _MAX_ARGUMENTS)
    ]
    return _concatenated(function, separator, parts)


def _row_hash(side: Side) -> str:
    return side.hash_of.replace("{t}", side.row_text)


def _as_text(side: Side, expression: str) -> str:
    return f"({expression})::{side.text_type}"


def _listed(side: Side, expressions: Sequence[str]) -> str:
    return side.list_of.replace("{values}", ", ".join(expressions))


def tally_query(side: Side, comparisons: Sequence[Comparison]) -> str:
    """One array of texts: rows, checksum, and of each column what `ColumnTally` has."""
    wanted = ["count(*)", f"coalesce(sum({_row_hash(side)}), 0)"]
    for place, each in enumerate(comparisons):
        special = side.specials[place]
        wanted.append(f"count({side.values[place]})")
        wanted.append("0" if special is None else f"count(*) FILTER (WHERE {special})")
        wanted += [_extreme(side, place, each, function) for function in ("min", "max")]
    return f"SELECT {_listed(side, [_as_text(side, each) for each in wanted])} FROM {side.source}"


def _extreme(side: Side, place: int, column: Comparison, function: str) -> str:
    """The least or the greatest value, as text."""
    value, special = side.values[place], side.specials[place]
    if column.order is Order.TEXT:
        found = side.cut.replace("{t}", f"{function}({side.texts[place]})")
        return found if side.knows_order else "NULL"
    kept = "" if special is None else f" FILTER (WHERE NOT ({special}))"
    extreme = f"{function}({value}){kept}"
    # Zeros compare alike, and either of them may come first.
    chosen = f"({extreme} + {side.zero})" if column.is_float else f"({extreme})"
    return side.plain[place].replace("{x}", chosen)


def counting_query(side: Side) -> str:
    """One array of texts: rows, nothing, and of each column the values and those not kept."""
    wanted = ["count(*)", "0"]
    for value, special in zip(side.values, side.specials, strict=True):
        wanted.append(f"count({value})")
        wanted.append("0" if special is None else f"count(*) FILTER (WHERE {special})")
        wanted += ["NULL", "NULL"]
    return f"SELECT {_listed(side, [_as_text(side, each) for each in wanted])} FROM {side.source}"


def column_checksums_query(side: Side) -> str:
    """One array of texts: the checksum of each column over its values."""
    sums = [f"coalesce(sum({side.hash_of.replace('{t}', text)}), 0)" for text in side.texts]
    return f"SELECT {_listed(side, [_as_text(side, each) for each in sums])} FROM {side.source}"


def buckets_query(side: Side, buckets: int) -> str:
    """(bucket, rows, checksum) of the rows, divided by their hashes; `buckets` is a power of 2."""
    return (
        f"SELECT h & {buckets - 1} AS bucket, count(*)::{side.text_type}, "
        f"sum(h)::{side.text_type} FROM (SELECT {_row_hash(side)} AS h FROM {side.source}) AS t "
        "GROUP BY 1"
    )


def hashes_query(side: Side, buckets: int, wanted: Sequence[int]) -> str:
    """(hash, rows) of the different rows in the `wanted` buckets."""
    chosen = ", ".join(map(str, wanted))
    return (
        f"SELECT h, count(*) FROM (SELECT {_row_hash(side)} AS h FROM {side.source}) AS t "
        f"WHERE h & {buckets - 1} IN ({chosen}) GROUP BY h"
    )


def values_query(side: Side, hashes: Sequence[int]) -> str:
    """(hash, rows, texts of the values, long ones cut) of rows with these hashes."""
    return _values_where(side, f"h IN ({', '.join(map(str, hashes))})")


def keys_query(side: Side, places: Sequence[int], keys: Sequence[Sequence[str]]) -> str:
    """The same of the rows with these keys.

    `places` are those of the key's columns, `keys` the texts of their values.
    """
    wanted = " OR ".join(
        "(" + " AND ".join(f"{side.texts[p]} = {literal(text)}" for p, text in pairs) + ")"
        for pairs in (zip(places, key, strict=True) for key in keys)
    )
    return _values_where(side, wanted)


def _values_where(side: Side, condition: str) -> str:
    """The values are made into a list after the condition: of few rows, however many there are."""
    values = _listed(side, [side.cut.replace("{t}", text) for text in side.texts])
    return (
        f"SELECT h, count(*), min({values}) FROM (SELECT {_row_hash(side)} AS h, * "
        f"FROM {side.source}) AS t WHERE {condition} GROUP BY h"
    )
