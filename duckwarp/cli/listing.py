"""Tables and text as rich lays them out, on any width: what every page of the command line is of.

What names and messages hold is text: no markup, and nothing in it moves the cursor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.box import Box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.segment import Segment
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text

from duckwarp.cli import wording

# Nothing is folded in a file.
UNLIMITED_CELLS = 100_000
# A rule below the titles and above the totals, in characters that every terminal has.
_RULES = Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)


def make_text(text: str, style: str = "") -> Text:
    """The text on one line, which a terminal folds between words."""
    return Text(wording.one_line(text), style, overflow="fold")


def indent(text: str, style: str = "") -> Padding:
    """The text, each of its lines set in."""
    return Padding.indent(make_text(text, style), 2)


def make_fact(name: str, value: str) -> Text:
    """A line with the value of something, below that of others."""
    return Text(f"{name:<10}{wording.one_line(value)}", overflow="fold")


def figures(title: str, total: str = "") -> Column:
    """A column of numbers, which are not folded."""
    return Column(title, total, justify="right", no_wrap=True)


def words(title: str, total: str = "") -> Column:
    """A column of text."""
    return Column(title, wording.one_line(total), overflow="fold")


class Listing:
    """A table. Columns in which nothing stands are left out.

    The last of its columns, so many as `asides` says, stand below their row where the table would
    be too wide, or everywhere if `below` says so.
    """

    def __init__(self, *columns: Column, asides: int = 0, below: bool = False) -> None:
        self._columns = columns
        self._first_aside = len(columns) - asides
        self._below = below
        self._rows: list[tuple[list[str], str]] = []

    def add_row(self, *cells: str, style: str = "") -> None:
        """Add a row with a cell for each column."""
        self._rows.append((list(map(wording.one_line, cells)), style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        places = [n for n, column in enumerate(self._columns) if self._is_used(n, column)]
        asides = [n for n in places if n >= self._first_aside]
        table = self._table(places)
        unlimited = options.update(width=UNLIMITED_CELLS)
        width = Measurement.get(console, unlimited, table).maximum
        if asides and (self._below or width > options.max_width):
            table = self._table([n for n in places if n < self._first_aside])
            yield from self._lines(console.render_lines(table, options, pad=False), asides)
        else:
            yield table

    def _is_used(self, place: int, column: Column) -> bool:
        return bool(column.footer) or any(cells[place] for cells, _ in self._rows)

    def _table(self, places: Sequence[int]) -> Table:
        columns = [self._columns[n].copy() for n in places]
        table = Table(
            *columns,
            box=_RULES,
            show_edge=False,
            show_footer=any(column.footer for column in columns),
            pad_edge=False,
            padding=(0, 1, 0, 0),
            border_style="dim",
        )
        for number, (cells, style) in enumerate(self._rows):
            table.add_row(
                *(cells[n] for n in places), style=Style.parse(style) + Style(meta={"row": number})
            )
        return table

    def _lines(self, lines: Iterable[list[Segment]], asides: Sequence[int]) -> RenderResult:
        """The lines of the table, after those of each row its asides."""
        for number, same_row in groupby(lines, _row_of):
            for line in same_row:
                yield from (*line, Segment.line())
            if number is not None:
                yield from self._asides(number, asides)

    def _asides(self, number: int, places: Sequence[int]) -> Iterator[RenderableType]:
        cells, style = self._rows[number]
        return (indent(cells[n], style or "dim") for n in places if cells[n])


def _row_of(line: Iterable[Segment]) -> int | None:
    """The number of the row that a line is of, none for titles and totals."""
    metas = (segment.style.meta for segment in line if segment.style is not None)
    return next((int(meta["row"]) for meta in metas if "row" in meta), None)
