"""Tables of text that read well at any width: the layout of everything duckwarp lists. No I/O.

Where a row does not fit, its asides (a reason, a name) move to lines of their own below it, and its
first cell folds; nothing is ever cut off.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells

from duckwarp.cli import wording

GAP = "  "
NARROWEST_FIRST_COLUMN = 16


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text and the style that a terminal may give it; it reads well without."""

    text: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """One column. `right` aligns its figures; an `aside` may move below the row."""

    title: str
    right: bool = False
    aside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One entry: a cell for each heading."""

    cells: tuple[str, ...]
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Headings, rows, and perhaps a row of totals. `below` sends asides below at any width."""

    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]
    totals: Row | None = None
    below: bool = False

    def lines(self, width: int | None) -> list[Line]:
        """The table in lines of at most `width` cells; None is no limit, and plain ASCII rules.

        Columns in which no row has anything are left out.
        """
        return list(_Layout(self._tidied(), width).lines())

    def _tidied(self) -> Listing:
        every = self.rows if self.totals is None else (*self.rows, self.totals)
        kept = [i for i in range(len(self.headings)) if any(row.cells[i] for row in every)]
        return Listing(
            headings=tuple(self.headings[i] for i in kept),
            rows=tuple(_kept(row, kept) for row in self.rows),
            totals=None if self.totals is None else _kept(self.totals, kept),
            below=self.below,
        )


class _Layout:
    """A listing with its column widths, found once."""

    def __init__(self, listing: Listing, width: int | None) -> None:
        self._listing = listing
        self._width = width
        self._titles = Row(cells=tuple(heading.title for heading in listing.headings))
        places = range(len(listing.headings))
        natural = {place: self._natural_width(place) for place in places}
        self._asides = [place for place in places if self._goes_below(place, natural)]
        self._on_line = {p: natural[p] for p in places if p not in self._asides}
        overflow = _total(self._on_line.values()) - (width or 0)
        if width is not None and overflow > 0:
            self._on_line[0] = max(NARROWEST_FIRST_COLUMN, self._on_line[0] - overflow)

    def lines(self) -> Iterator[Line]:
        rule = Line(("-" if self._width is None else "─") * self._rule_width(), "dim")
        yield from self._row_lines(self._titles, style="bold")
        yield rule
        for row in self._listing.rows:
            yield from self._row_lines(row, row.style)
            yield from self._aside_lines(row)
        if self._listing.totals is not None:
            yield rule
            yield from self._row_lines(self._listing.totals, style="bold")

    def _natural_width(self, place: int) -> int:
        totals = () if self._listing.totals is None else (self._listing.totals,)
        rows = (self._titles, *self._listing.rows, *totals)
        return max(cell_len(row.cells[place]) for row in rows)

    def _goes_below(self, place: int, natural: dict[int, int]) -> bool:
        fits = self._width is None or _total(natural.values()) <= self._width
        return self._listing.headings[place].aside and (self._listing.below or not fits)

    def _rule_width(self) -> int:
        headings = self._listing.headings
        shown = _total([w for place, w in self._on_line.items() if not headings[place].aside])
        return shown if self._width is None else min(shown, self._width)

    def _row_lines(self, row: Row, style: str) -> Iterator[Line]:
        first, *others = self._on_line.items()
        folded = fold(row.cells[first[0]], first[1]) or [""]
        rest = (self._aligned(row, place, width) for place, width in others)
        yield Line(GAP.join((_padded(folded[0], first[1]), *rest)).rstrip(), style)
        yield from (Line(more, style) for more in folded[1:])

    def _aligned(self, row: Row, place: int, width: int) -> str:
        return _padded(row.cells[place], width, self._listing.headings[place].right)

    def _aside_lines(self, row: Row) -> Iterator[Line]:
        for place in self._asides:
            yield from indented(row.cells[place], self._width, row.style or "dim")


def indented(text: str, width: int | None, style: str = "", depth: int = 2) -> Iterator[Line]:
    """The text folded to `width`, each of its lines set in by `depth`; nothing for no text."""
    margin = " " * depth
    room = None if width is None else width - depth
    return (Line(margin + part, style) for part in fold(text, room))


def fold(text: str, width: int | None) -> list[str]:
    """The text in lines of at most `width` cells, broken between words, else wherever it must be.

    Line breaks and control characters in the text do not survive.
    """
    text = wording.one_line(text)
    if width is None or cell_len(text) <= width:
        return [text] if text else []
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines += _chopped(word, width)
    return lines


def _chopped(word: str, width: int) -> list[str]:
    """A long word in pieces of at most `width` cells, after an underscore where one is near."""
    pieces = []
    while cell_len(word) > width:
        piece = chop_cells(word, width)[0]
        after_underscore = piece.rfind("_") + 1
        if after_underscore > len(piece) // 2:
            piece = piece[:after_underscore]
        pieces.append(piece)
        word = word[len(piece) :]
    return [*pieces, word]


def _total(widths: Collection[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _padded(text: str, width: int, right: bool = False) -> str:
    padding = " " * (width - cell_len(text))
    return padding + text if right else text + padding


def _kept(row: Row, places: Sequence[int]) -> Row:
    return Row(cells=tuple(wording.one_line(row.cells[place]) for place in places), style=row.style)
