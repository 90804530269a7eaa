"""What a published file is like: for people, on any width.

Pictures are for terminals that show them; without them the same figures are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Column

from duckwarp.cli import wording
from duckwarp.cli.listing import UNLIMITED_CELLS, Listing, figures, make_fact, make_text, words
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


def profile_page(profile: FileProfile, *, pictures: bool) -> Iterator[RenderableType]:
    """The figures of the file, and a row for each of its columns."""
    facts = profile.facts
    groups = wording.counted(len(facts.row_group_rows), "row group")
    rows = wording.counted(facts.rows, "row")
    yield ""
    yield make_text("As published", "bold")
    yield make_fact("File", str(profile.path))
    yield make_fact("Size", f"{size_text(facts.size_bytes)}: {rows} in {groups}")
    if facts.rows:
        yield ""
        yield _Columns(profile, pictures)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a file, with as much of them as there is room for."""

    profile: FileProfile
    pictures: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _listing(self.profile, _room(options.max_width, self.pictures))


def _room(width: int, pictures: bool) -> _Room:
    if width == UNLIMITED_CELLS:
        return _Room()
    wide = width >= WIDE_CELLS
    bound = 24 if wide else 11
    if not pictures:
        return _Room(bound=bound + 5)
    return _Room(bar=8 if wide else 4, picture=20 if wide else 10, bound=bound)


def _listing(profile: FileProfile, room: _Room) -> Listing:
    listing = Listing(
        words("column"),
        Column("NULL", no_wrap=True),
        figures("distinct"),
        Column("min", no_wrap=True, max_width=room.bound),
        Column("max", no_wrap=True, max_width=room.bound),
        Column("values", no_wrap=True),
    )
    rows = profile.facts.rows
    for name, statistics, column in zip(
        profile.facts.names, profile.facts.columns, profile.columns, strict=True
    ):
        listing.add_row(
            name,
            _nulls(statistics.null_count, rows, room.bar),
            _distinct(column),
            _bound(statistics.minimum),
            _bound(statistics.maximum),
            sparkline(column.histogram.counts, room.picture) if column.histogram else "",
        )
    return listing


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


def _bound(text: str | None) -> str:
    return "(empty)" if text == "" else text or ""
