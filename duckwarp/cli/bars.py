"""The live picture of a run on a terminal: one bar for the run, one for each source under way.

Draws what `progress.Tally` has counted, and keeps no figures of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from duckwarp.cli import wording
from duckwarp.cli.progress import Tally, UnderWay, rate_text, retry_line, rows_text
from duckwarp.model.events import Event
from duckwarp.model.run_events import Retried

WIDEST = 100
# Room for the terminal's ^C: on a full line it would wrap, and the erasing end a line too low.
ECHO = 3
WIDEST_TITLE = 30
# Room for ordinary figures, so that the bar does not change its length with every digit.
WIDEST_FIGURES = 40
REDRAWS_PER_SECOND = 8

Cell = tuple[Column, RenderableType]


def _now() -> datetime:
    return datetime.now(UTC)


class LiveBars:
    """A display (`progress.Display`) for a terminal; nothing of it stays when it is left.

    `title` names the run; `now` is the clock that elapsed and remaining times are told by.
    """

    def __init__(self, title: str, console: Console, now: Callable[[], datetime] = _now) -> None:
        self._title = title
        self._console = console
        self._now = now
        self._tally = Tally()
        self._live = Live(
            get_renderable=self.draw,
            console=console,
            transient=True,
            refresh_per_second=REDRAWS_PER_SECOND,
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def listen(self, event: Event) -> None:
        """Move the counters; the screen follows at its own pace. What is retried stays."""
        self._tally = self._tally.after(event)
        if isinstance(event.subject, Retried):
            self._console.print(Text(retry_line(event)))

    def draw(self) -> RenderableType:
        """The picture of this moment."""
        tally, now = self._tally, self._now()
        width = min(self._console.width - ECHO, WIDEST)
        sources = [_source_picture(source, now, width) for source in tally.under_way]
        return Group(_run_picture(self._title, tally, now, width), *sources)


def _run_picture(title: str, tally: Tally, now: datetime, width: int) -> RenderableType:
    started_at = tally.started_at or now
    return _grid(
        width,
        (Column(max_width=WIDEST_TITLE), Text(wording.one_line(title), style="bold")),
        (Column(ratio=1), _bar(tally.done, tally.sources)),
        (Column(), Text(_run_state(tally))),
        (Column(justify="right"), Text(wording.clock((now - started_at).total_seconds()))),
    )


def _run_state(tally: Tally) -> str:
    if tally.retry:
        return f"trying again, {tally.retry}"
    if not tally.sources:
        return "looking at the database"
    failed = f", {tally.failed} failed" if tally.failed else ""
    return f"{tally.done} of {wording.counted(tally.sources, 'source')}{failed}"


def _source_picture(source: UnderWay, now: datetime, width: int) -> RenderableType:
    left = source.seconds_left(now)
    clock = wording.clock(source.seconds(now))
    clock += "" if left is None else f", {wording.clock(left)} left"
    figures = ", ".join(filter(None, (rows_text(source), rate_text(source, now))))
    return Group(
        "",
        _grid(
            width,
            (Column(ratio=1), Text(f"  {wording.one_line(source.code)}")),
            (Column(justify="right"), Text(clock)),
        ),
        _grid(
            width,
            (Column(min_width=9), Text(f"  {wording.one_line(source.phase)}", style="dim")),
            (Column(ratio=1), _source_bar(source)),
            (Column(justify="right", min_width=min(WIDEST_FIGURES, width // 2)), Text(figures)),
        ),
    )


def _grid(width: int, *cells: Cell) -> Table:
    for column, _ in cells:
        column.no_wrap = True
    grid = Table.grid(*(column for column, _ in cells), padding=(0, 2, 0, 0), pad_edge=False)
    grid.width = width
    grid.add_row(*(content for _, content in cells))
    return grid


def _bar(done: int, total: int | None) -> ProgressBar:
    return ProgressBar(
        completed=done,
        total=total or 1,
        pulse=not total,
        complete_style="cyan",
        finished_style="cyan",
        pulse_style="cyan",
    )


def _source_bar(source: UnderWay) -> ProgressBar:
    """Only reading has a known end; a bar whose estimate was passed moves without one."""
    known = source.phase == "reading" and source.estimate_holds
    return _bar(source.rows_read, source.expected_rows if known else None)
