"""`--log-file`: a line of text for each event, for people and for the usual tools.

The file is opened anew once it was moved or removed, so that logrotate needs no signal.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from logging.handlers import WatchedFileHandler
from pathlib import Path

from duckwarp.model.events import Event, EventLevel

OneLine = Callable[[str], str]


class LogFile:
    """Appends what a run says to a file: time (UTC), level, run and words on one line.

    `one_line` makes any text harmless. Raises `OSError` where the file cannot be opened; what
    cannot be written later stops nobody and is kept in `write_error`.
    """

    def __init__(self, path: Path, one_line: OneLine) -> None:
        self._handler = _Handler(path)
        self._one_line = one_line

    @property
    def write_error(self) -> OSError | None:
        """Why the file lacks lines, None if it has them all."""
        return self._handler.error

    def listen(self, event: Event) -> None:
        """Write one line for an event that people care for."""
        if event.level is EventLevel.DEBUG:
            return
        moment = event.timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        words = self._one_line(event.message or event.event_type.value)
        line = f"{moment} {event.level.value:<7} {event.run_id} {words}"
        self._handler.handle(logging.makeLogRecord({"msg": line}))

    def close(self) -> None:
        """Close the file."""
        try:
            self._handler.close()
        except OSError as error:
            self._handler.error = self._handler.error or error


class _Handler(WatchedFileHandler):
    """The standard one, except that it keeps an error for later instead of printing a traceback."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self.error: OSError | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, into a new file where the old one was moved away."""
        try:
            super().emit(record)
        except OSError as error:
            self.error = self.error or error

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  # the base's
        """Let `emit` see the error that the base has caught."""
        error = sys.exc_info()[1]
        if error is not None:
            raise error
