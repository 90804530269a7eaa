"""Who is told of an export while it runs and at its end, and by which stream.

People read standard error while it runs; the result goes to standard output: a table, or with
`--json` one document, and the table to standard error then.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TextIO

from duckwarp.cli.documents import report_document
from duckwarp.cli.endings import print_document
from duckwarp.cli.progress import Display, PlainLines, Quiet
from duckwarp.cli.streams import tolerated
from duckwarp.cli.usage import ExitCode
from duckwarp.model.events import Event
from duckwarp.model.results import RunReport
from duckwarp.record.store import EventStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """What was asked for: failures only, a document for programs."""

    quiet: bool = False
    json: bool = False

    @contextmanager
    def listening(self, title: str, store: EventStore) -> Iterator[None]:
        """Show the run that is called `title` live, by the events of `store`, until the end."""
        display = self._display(title)

        def listen(event: Event) -> None:
            with tolerated():
                display.listen(event)

        store.add_listener(listen)
        with ExitStack() as leaving:
            with tolerated():
                display.__enter__()
            leaving.enter_context(tolerated())
            leaving.callback(display.__exit__, None, None, None)
            yield

    def report(self, report: RunReport, code: ExitCode) -> OSError | None:
        """Show what the run did; why standard output did not take it, if so."""
        try:
            if self.json:
                print_document(report_document(report, code))
            elif not self.quiet:
                _show(report, sys.stdout)
            sys.stdout.flush()
        except OSError as error:
            return error
        if self.json and not self.quiet:
            with tolerated():
                _show(report, sys.stderr)
        return None

    def _display(self, title: str) -> Display:
        if self.quiet:
            return Quiet(sys.stderr)
        if not sys.stderr.isatty():
            return PlainLines(sys.stderr)
        from rich.console import Console

        from duckwarp.cli.bars import LiveBars

        console = Console(stderr=True)
        return PlainLines(sys.stderr) if console.is_dumb_terminal else LiveBars(title, console)


def _show(report: RunReport, stream: TextIO) -> None:
    # What lays out tables takes its time to load: it is not needed before.
    from duckwarp.cli.render import show
    from duckwarp.cli.report import report_page

    show(report_page(report), stream)
