"""The one channel by which the inside tells the outside what happens. Knows nothing of the rest.

A run emits `Event`s into an `EventSink`: an `EventStore`, or any object with `run_id` and `emit`.
`PROGRESS` at `DEBUG` is a tick for those who draw; a store hands it to its listeners and does not
record it. The command line ends each record with `RUN_ENDED`, which has the exit code.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self


class EventType(StrEnum):
    """What happened."""

    RUN_STARTED = "run_started"
    RUN_COMPLETED = "run_completed"
    STAGE_STARTED = "stage_started"
    STAGE_COMPLETED = "stage_completed"
    STAGE_SKIPPED = "stage_skipped"
    STAGE_FAILED = "stage_failed"
    WARNING = "warning"
    ERROR = "error"
    PROGRESS = "progress"
    RUN_ENDED = "run_ended"


class EventLevel(StrEnum):
    """How much it matters."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened: when (UTC), in which run and stage, in words and in figures.

    The figures are in `context`, under names that end in their unit (`_rows`, `_bytes`,
    `_seconds`); a source is named there by `source`. `subject` is what the event is about, as the
    run knows it: for listeners in the process, and in no record. Fields may be added, never
    changed.
    """

    event_type: EventType
    run_id: str
    publication: str | None = None
    period: str | None = None
    stage: str | None = None
    level: EventLevel = EventLevel.INFO
    message: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))
    subject: object = None

    @property
    def is_tick(self) -> bool:
        """Whether it only moves a bar."""
        return self.event_type is EventType.PROGRESS and self.level is EventLevel.DEBUG

    def as_dict(self) -> dict[str, Any]:
        """The event as a JSON document: names as the fields, the time in ISO 8601 and in UTC."""
        return {
            "timestamp": self.timestamp.astimezone(UTC).isoformat(timespec="microseconds"),
            "run_id": self.run_id,
            "level": self.level.value,
            "event_type": self.event_type.value,
            "publication": self.publication,
            "period": self.period,
            "stage": self.stage,
            "source": self.context.get("source"),
            "message": self.message,
            "context": dict(self.context),
        }


def create_event(  # noqa: PLR0913, PLR0917  # the signature that callers of its predecessor know
    event_type: EventType,
    run_id: str,
    publication: str | None = None,
    period: str | None = None,
    stage: str | None = None,
    level: EventLevel = EventLevel.INFO,
    message: str = "",
    context: Mapping[str, Any] | None = None,
    *,
    subject: object = None,
) -> Event:
    """An event of now. The arguments are the fields of `Event`."""
    return Event(
        event_type=event_type,
        run_id=run_id,
        publication=publication,
        period=period,
        stage=stage,
        level=level,
        message=message,
        context=context or {},
        subject=subject,
    )


class EventSink(Protocol):
    """Where a run puts its events."""

    @property
    def run_id(self) -> str:
        """The run that the events belong to."""

    def emit(self, event: Event) -> None:
        """Take one event. Is called from several threads, at the same time too."""


Listener = Callable[[Event], None]


class EventStore:
    """Hands events to listeners and, given a path, appends them to a file of JSON lines.

    Use it as a context manager, or call `close()`, where a path is given. Raises `OSError` where
    the file cannot be opened. A line that cannot be written later, on a full disk, stops nobody:
    `write_error` is the first such error, and the numbers of the lines that follow show the gap.
    """

    def __init__(
        self, run_id: str, path: Path | str | None = None, listeners: Iterable[Listener] = ()
    ) -> None:
        self.run_id = run_id
        self._listeners = list(listeners)
        self._lock = threading.Lock()
        self._sequence = 0
        self._file = None if path is None else _LineFile(path)

    @property
    def write_error(self) -> OSError | None:
        """Why the file lacks events, None if it has them all."""
        return None if self._file is None else self._file.error

    def add_listener(self, listener: Listener) -> None:
        """Hand the events to come to `listener`, too."""
        with self._lock:
            self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Record one event and tell the listeners; each line of the file is written at once."""
        with self._lock:
            if self._file is not None and not event.is_tick:
                self._sequence += 1
                self._file.write(_line({"sequence": self._sequence} | event.as_dict()))
            for listener in self._listeners:
                listener(event)

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _line(document: Mapping[str, Any]) -> bytes:
    """The document on one line. What is no valid text stays as JSON writes it, escaped."""
    text = json.dumps(document, default=str, ensure_ascii=False)
    return text.encode("utf-8", errors="backslashreplace") + b"\n"


class _LineFile:
    """A file that several runs may append lines to: each line is one write at the file's end."""

    def __init__(self, path: Path | str) -> None:
        self._file = Path(path).open("ab", buffering=0)  # noqa: SIM115
        self._is_torn = False
        self.error: OSError | None = None

    def write(self, line: bytes) -> None:
        """Append the line; what is left of one that was torn is ended first."""
        rest = b"\n" + line if self._is_torn else line
        try:
            # A full disk takes a part of a line, and refuses the next byte with the reason.
            while rest:
                rest = rest[self._file.write(rest) :]
                self._is_torn = bool(rest)
        except OSError as error:
            self.error = self.error or error

    def close(self) -> None:
        """Close it."""
        self._file.close()
