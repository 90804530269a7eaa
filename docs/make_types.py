"""Writes docs/types.md from the type map; run `python docs/make_types.py` after changing either."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from duckwarp.engine.types import COMPOSITE, ENUM, FALLBACK, RULES, Rule

PAGE = Path(__file__).with_name("types.md")


# How the page calls a row of the map that has no names of its own.
NAMELESS = (
    ("enums", ENUM),
    ("composites, arrays of composites", COMPOSITE),
    ("ranges, multiranges, and every type not named here", FALLBACK),
)

INTRODUCTION = """# Types

Generated from the type map by `docs/make_types.py`; do not edit.

A value in the file equals the value in PostgreSQL, or the run names the column and says how many
values could not be kept. Types are what `pg_type` says by OID, under all domains: a user's enum
called `date` is an enum. "Text" is PostgreSQL's own output under fixed settings (ISO dates, ISO
8601 intervals, UTC, UTF-8), whatever the server's defaults are.
"""

NUMBERS = """## Numbers with decimals

| PostgreSQL | written as | why |
|---|---|---|
| `numeric(p,s)` with p ≤ 38 and 0 ≤ s ≤ p | `DECIMAL(p,s)` | the declaration; NaN is a special value |
| `numeric(p,s)` with s < 0 | `DECIMAL(p-s,0)` while p-s ≤ 38 | whole numbers |
| `numeric` without precision, with p > 38, or with s > p | `DECIMAL(18,s)` or `DECIMAL(38,s)` | measured in the run's snapshot: the smallest s that holds every value exactly, a function of the data alone; an empty column is `DECIMAL(18,0)`; text if no DECIMAL holds them |
| `money` | `DECIMAL(19,2)` | the scale is what the database's `lc_monetary` gives |
"""

ARRAYS = """## Arrays

| PostgreSQL | written as | why |
|---|---|---|
| one dimension everywhere | LIST of what the elements are written as | NULL arrays, empty arrays and NULL elements stay apart; JSON and UUID elements are text, since pandas refuses a file with a list of UUIDs |
| any array with more dimensions, arrays of composites, arrays of arrays through domains | JSON | PostgreSQL does not enforce declared dimensions: the data are looked at, and the number of such arrays is reported |

Lower bounds other than 1 have no place in a LIST or in JSON: they are counted and reported.
"""

SPECIAL = """## Special values

What a column's Parquet type cannot hold: {kinds}. `--special-values` says what becomes of them:

- `null` (default): the type stays, the value is NULL, and an event, the summary and the dictionary
  say how many there were of which kind;
- `text`: the whole column is PostgreSQL's text, exact;
- `error`: the source fails, and the message names the column.

The same goes for elements of arrays. In composites, ranges and arrays that are written as JSON or
text such values are kept as they are, since text holds them.

## Bytes that are no text

A database in SQL_ASCII takes any bytes for text. In any other, UTF8 included, an ordinary load can bring in
bytes that its encoding does not have: `COPY … ENCODING 'SQL_ASCII'` is not checked (seen with PostgreSQL 15
and 18), nor is a foreign table of files read in that way. And in an encoding such as
WIN1252 there are characters without an equivalent in UTF-8. No setting makes text of them, so the source
fails, and the message names the column and a row to look at: its `ctid`, or the first value of a view's row.
All text is checked as it is read, of whatever type: also within arrays, composites, JSON and ranges. What
is one character of `"char"` is none of it: above 127 it is written as an escape.
"""

ORDER = """## Order

Rows are ordered by the first column, then by the others from left to right, ascending, NULLs last.
The order is that of the values as they are written, so that it can be checked in the file:

- text, enums, JSON and everything written as text by their bytes in UTF-8, not by a locale;
- numbers, dates and times by value; -0.0 directly before 0.0, NaN after infinity;
- booleans false first, UUIDs and bytes as unsigned bytes;
- lists element by element, a shorter list before its continuation, NULL elements last.

Every column takes part, so no two different rows tie, and the file does not depend on the physical
order of the rows.
"""

READING = """## In the file itself

The footer has an Arrow schema whose fields carry metadata, read with
`pyarrow.parquet.read_schema(path).field(name).metadata`: `postgres_type`, `description` and
`original_name` where they are known, `not_kept` with the number of values that could not be kept,
and `note`. The key `duckwarp` has what programs need of these words, as JSON:
`{"not_kept":{"NaN":3}}` counts the values of each kind, and `{"unmarked_json":true}` is a text that
is JSON all the same. It is left out where there is nothing to say.

## How readers see it

[readers.md](readers.md) has what each of ten readers makes of each type, and where a value is not the
right one, a way around.
"""


def page() -> str:
    """The whole page."""
    kinds = sorted(
        {special.kind for rule in RULES for special in rule.specials} | {"NaN in a DECIMAL"}
    )
    sections = [
        INTRODUCTION,
        "\n".join(_map()) + "\n",
        NUMBERS,
        ARRAYS,
        SPECIAL.format(kinds=", ".join(kinds)),
        ORDER,
        READING,
    ]
    return "\n".join(sections)


def _map() -> Iterator[str]:
    yield "| PostgreSQL | written as | why |"
    yield "|---|---|---|"
    for rule in RULES:
        yield _row(", ".join(f"`{name}`" for name in rule.types) + _origin(rule), rule)
    yield "| domains | as the type under them | |"
    for name, rule in NAMELESS:
        yield _row(name, rule)


def _row(name: str, rule: Rule) -> str:
    return f"| {name} | {rule.kind.words} | {rule.why} |"


def _origin(rule: Rule) -> str:
    return f" ({rule.extension})" if rule.extension else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
