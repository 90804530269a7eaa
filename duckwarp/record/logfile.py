"""`--log-file`: a line of text for each event, for people and for the usual tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from duckwarp.model.events import Event, EventLevel
from duckwarp.record.lines import LineFile

OneLine = Callable[[str], str]


class LogFile:
    """Appends what a run says to a file: time (UTC), level, run and words on one line.

    `one_line` makes any text harmless. Raises `OSError` where the file cannot be opened; what
    cannot be written later stops nobody and is kept in `write_error`.
    """

    def __init__(self, path: Path, one_line: OneLine) -> None:
        self._file = LineFile(path)
        self._one_line = one_line

    @property
    def write_error(self) -> OSError | None:
        """Why the file lacks lines, None if it has them all."""
        return self._file.error

    def listen(self, event: Event) -> None:
        """Write one line for an event that people care for."""
        if event.level is EventLevel.DEBUG:
            return
        moment = event.timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        words = self._one_line(event.message or event.event_type.value)
        line = f"{moment} {event.level.value:<7} {event.run_id} {words}\n"
        self._file.write(line.encode(errors="backslashreplace"))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
