"""The data dictionary: `<code>.md`, one page for one Parquet file. Text in, text out, no I/O.

What the page says, and in what order. That nothing in it is taken for Markdown is the matter of
`marking.py`, through which every name, description and value goes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from duckwarp.files.marking import code, paragraphs, prose
from duckwarp.model.column import Column
from duckwarp.model.dataset import CATALOG
from duckwarp.model.results import BYTES_PER_MB, ColumnStatistics, FileFacts
from duckwarp.model.source import Source

SHOWN_CHARACTERS = 80  # of a minimum or maximum: a text column may hold whole documents
SMALLEST_SHOWN_BYTES = BYTES_PER_MB // 100
SMALLEST_SHOWN_PERCENT = 0.01
GENERATED = "Generated"  # begins the one line that differs when nothing else does


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnEntry:
    """A column as the dictionary tells it.

    `written_as` is the Parquet type in words, None where it is the obvious one. `statistics` are
    those of the written file. `notes` are sentences: what the file could not keep, for example.
    """

    column: Column
    written_as: str | None = None
    statistics: ColumnStatistics | None = None
    notes: tuple[str, ...] = ()


def dictionary(
    source: Source,
    columns: Sequence[ColumnEntry],
    *,
    facts: FileFacts,
    generated: datetime,
    version: str,
    notes: Sequence[str] = (),
) -> str:
    """The page for `source`, ending in a line break; the columns appear in the order given.

    A column with a description has a section, one without is an item of a list. `facts` are those
    of the Parquet file, `version` is duckwarp's own, `notes` are about the file as a whole.
    `generated` is printed as it is, whatever its time zone.
    """
    enriched = source.registered and any(_is_enriched(entry.column) for entry in columns)
    blocks = [
        f"# {_title(source)}",
        *paragraphs(source.description),
        f"**Dataset:** {code(source.code)}",
        f"**Rows:** {facts.rows:,}",
        f"**Columns:** {len(columns):,}",
        f"**File Size:** {_megabytes(facts.size_bytes)}",
        *(f"*Note:* {prose(note)}" for note in notes),
        "---",
        "## Columns",
        *_columns(columns, facts.rows),
        "---",
        f"*{GENERATED}: {generated:%Y-%m-%d %H:%M:%S}*",
        f"*Source: duckwarp {version}{' with enriched metadata' if enriched else ''}*",
        f"*Catalog: [{CATALOG}]({CATALOG})*",
    ]
    return "\n\n".join(blocks) + "\n"


def _is_enriched(column: Column) -> bool:
    return bool(
        column.description
        or column.original_name
        or column.is_dimension
        or column.is_measure
        or column.keywords
    )


def _title(source: Source) -> str:
    title = prose(source.name) or prose(source.code)
    # A heading drops the number signs that end it.
    return f"{title[:-1]}\\#" if title.endswith("#") else title


def _columns(columns: Sequence[ColumnEntry], rows: int) -> Iterator[str]:
    """Blocks in the order of the columns; neighbours without a description share one list."""
    for described, entries in itertools.groupby(columns, key=_is_described):
        if described:
            for entry in entries:
                yield from _described(entry, rows)
        else:
            yield "\n".join(line for entry in entries for line in _listed(entry, rows))


def _is_described(entry: ColumnEntry) -> bool:
    return any(paragraphs(entry.column.description))


def _described(entry: ColumnEntry, rows: int) -> Iterator[str]:
    yield f"### {code(entry.column.file_name)}"
    yield f"**Type:** {code(entry.column.data_type)}"
    if entry.written_as:
        yield f"**Written as:** {code(entry.written_as)}"
    yield from paragraphs(entry.column.description)
    yield from _facts(entry, rows)


def _listed(entry: ColumnEntry, rows: int) -> Iterator[str]:
    yield f"- {code(entry.column.file_name)} ({prose(entry.column.data_type)})"
    if entry.written_as:
        yield f"  - *Written as:* {code(entry.written_as)}"
    for fact in _facts(entry, rows):
        yield f"  - {fact}"


def _facts(entry: ColumnEntry, rows: int) -> Iterator[str]:
    column, statistics = entry.column, entry.statistics or ColumnStatistics()
    roles = ["dimension"] * column.is_dimension + ["measure"] * column.is_measure
    original = column.original_name or column.name
    facts = [
        ("Source column", _value(original) if original != column.file_name else ""),
        ("Role", " and ".join(roles)),
        ("Keywords", ", ".join(_value(word) for word in column.keywords)),
        ("Range", _range(statistics)),
        ("NULLs", _nulls(column, statistics, rows)),
        *(("Note", prose(note)) for note in entry.notes),
    ]
    return (f"*{label}:* {told}" for label, told in facts if told)


def _range(statistics: ColumnStatistics) -> str:
    low, high = _value(statistics.minimum), _value(statistics.maximum)
    if low and high:
        return f"{low} – {high}"  # noqa: RUF001 - the dash of a range, as printers set it
    return (low and f"from {low}") or (high and f"to {high}")


def _nulls(column: Column, statistics: ColumnStatistics, rows: int) -> str:
    parts = [] if statistics.null_count is None else [_share(statistics.null_count, rows)]
    # Said beside the share, not instead of it: values that could not be kept become NULL as well.
    parts += [] if column.nullable else ["NOT NULL in the database"]
    return ", ".join(part for part in parts if part)


def _share(count: int, rows: int) -> str:
    """`count` of `rows` in words and per cent; nothing is said of no rows."""
    if rows == 0:
        return ""
    if count == 0:
        return "none"
    if count == rows:
        return f"all {rows:,}"
    return f"{_percent(100 * count / rows)} ({count:,} of {rows:,})"


def _percent(percent: float) -> str:
    """A share that is neither 0 nor 100 %, and never reads as either."""
    if percent < SMALLEST_SHOWN_PERCENT:
        return f"< {SMALLEST_SHOWN_PERCENT} %"
    if percent > 100 - SMALLEST_SHOWN_PERCENT:
        return f"> {100 - SMALLEST_SHOWN_PERCENT} %"
    decimals = 1 if 1 <= percent <= 99 else 2
    return f"{percent:.{decimals}f}".rstrip("0").rstrip(".") + " %"


def _value(text: str | None) -> str:
    """A value, cut where it is long; empty where there is none."""
    if text is None:
        return ""
    if not text:
        return "(empty)"
    return code(text[:SHOWN_CHARACTERS]) + ("…" if len(text) > SHOWN_CHARACTERS else "")


def _megabytes(size_bytes: int) -> str:
    if 0 < size_bytes < SMALLEST_SHOWN_BYTES:
        return "< 0.01 MB"
    return f"{size_bytes / BYTES_PER_MB:,.2f} MB"
