"""The live picture of a verification on a terminal: the source under way, and how far it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from duckwarp.cli import wording
from duckwarp.cli.streams import tolerated

if TYPE_CHECKING:
    from duckwarp.verify.bench import Progress

REDRAWS_PER_SECOND = 8


def silent(_code: str, _rows: int, _total: int) -> None:
    """Nobody is told."""


@contextmanager
def shown_live() -> Iterator[Progress]:
    """What is told of the rows moves a bar on standard error; nothing of it stays.

    Nothing is shown where that is no terminal.
    """
    if not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if console.is_dumb_terminal:
        yield silent
        return
    bars = Bars(
        TextColumn("verifying {task.description}", style="bold", markup=False),
        BarColumn(bar_width=None, complete_style="cyan", pulse_style="cyan"),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        refresh_per_second=REDRAWS_PER_SECOND,
        expand=True,
    )
    task = bars.add_task("", total=None, figures="looking at the database")

    def show(code: str, rows: int, total: int) -> None:
        figures = f"{rows:,} of {total:,} rows" if total else ""
        with tolerated():
            bars.update(
                task,
                description=wording.one_line(code),
                completed=rows,
                total=total or None,
                figures=figures,
            )

    with tolerated():
        bars.start()
    try:
        yield show
    finally:
        with tolerated():
            bars.stop()
