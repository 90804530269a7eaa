"""What a published file is like, in lines of text: for people, on any width.

Pictures are for terminals that show them; without them the same figures are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich.cells import cell_len, chop_cells

from duckwarp.cli import wording
from duckwarp.cli.listing import Heading, Line, Listing, Row
from duckwarp.model.sizes import size_text

if TYPE_CHECKING:
    from duckwarp.engine.profile import ColumnProfile
    from duckwarp.export.profile import FileProfile

_STEPS = "▁▂▃▄▅▆▇█"
_EMPTY = "·"  # a step that has no value at all
_EIGHTHS = "▏▎▍▌▋▊▉█"
WIDE_CELLS = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    """How many cells a bar, a picture and a bound may take; 0 is no bar, None no limit."""

    bar: int = 0
    picture: int = 0
    bound: int | None = None


def shows_pictures(stream: TextIO) -> bool:
    """Whether a stream is a terminal that has the characters for bars."""
    return stream.isatty() and (stream.encoding or "").lower().replace("-", "") == "utf8"


def profile_page(profile: FileProfile, width: int | None, *, pictures: bool) -> Iterator[Line]:
    """The figures of the file, and a row for each of its columns."""
    facts = profile.facts
    groups = wording.counted(len(facts.row_group_rows), "row group")
    rows = wording.counted(facts.rows, "row")
    yield Line()
    yield Line("As published", "bold")
    yield Line(f"File      {wording.one_line(str(profile.path))}")
    yield Line(f"Size      {size_text(facts.size_bytes)}: {rows} in {groups}")
    if not facts.rows:
        return
    yield Line()
    yield from _listing(profile, _room(width, pictures)).lines(width)


def _room(width: int | None, pictures: bool) -> _Room:
    if width is None:
        return _Room()
    wide = width >= WIDE_CELLS
    bound = 24 if wide else 11
    if not pictures:
        return _Room(bound=bound + 5)
    return _Room(bar=8 if wide else 4, picture=20 if wide else 10, bound=bound)


def _listing(profile: FileProfile, room: _Room) -> Listing:
    columns = zip(profile.names, profile.statistics, profile.columns, strict=True)
    rows = profile.facts.rows
    return Listing(
        headings=(
            Heading(title="column"),
            Heading(title="NULL"),
            Heading(title="distinct", right=True),
            Heading(title="min"),
            Heading(title="max"),
            Heading(title="values" if room.picture else ""),
        ),
        rows=tuple(
            Row(
                cells=(
                    name,
                    _nulls(statistics.null_count, rows, room.bar),
                    _distinct(column),
                    _cut(statistics.minimum, room.bound),
                    _cut(statistics.maximum, room.bound),
                    sparkline(column.histogram.counts, room.picture) if column.histogram else "",
                )
            )
            for name, statistics, column in columns
        ),
    )


def _distinct(column: ColumnProfile) -> str:
    """How many different values there are; of an estimate two digits, after a tilde."""
    if column.distinct is None:
        return ""
    if column.distinct_is_exact:
        return f"{column.distinct:,}"
    return f"~{int(float(f'{column.distinct:.1e}')):,}"


def _nulls(count: int | None, rows: int, bar_cells: int) -> str:
    """The share of NULLs, and a bar of it; nothing for none."""
    if not count:
        return ""
    percent = 100 * count / rows
    told = f"{percent:.0f} %" if 1 <= percent <= 99 or count == rows else _nearly(percent)
    return f"{bar(count / rows, bar_cells)} {told}".strip() if bar_cells else told


def _nearly(percent: float) -> str:
    """A share that is neither nothing nor all, and reads as neither."""
    return "< 1 %" if percent < 1 else "> 99 %"


def bar(share: float, cells: int) -> str:
    """A bar over `share` of so many cells, at least an eighth of one, and dots up to its end."""
    eighths = max(1, round(share * cells * 8))
    full, rest = divmod(eighths, 8)
    drawn = "█" * full + (_EIGHTHS[rest - 1] if rest else "")
    return drawn + _EMPTY * (cells - len(drawn))


def sparkline(counts: Sequence[int], cells: int) -> str:
    """How high each count is beside the highest, in at most so many cells; nothing in none."""
    if not cells:
        return ""
    if len(counts) > cells:
        each = -(-len(counts) // cells)
        counts = [sum(counts[n : n + each]) for n in range(0, len(counts), each)]
    highest = max(counts)
    last = len(_STEPS) - 1
    return "".join(_STEPS[round(last * n / highest)] if n else _EMPTY for n in counts)


def _cut(text: str | None, cells: int | None) -> str:
    """A bound on one line, with `…` where it is longer than there is room for."""
    if text is None:
        return ""
    line = wording.one_line(text) if text else "(empty)"
    if cells is None or cell_len(line) <= cells:
        return line
    return chop_cells(line, cells - 1)[0] + "…"
