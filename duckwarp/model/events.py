"""The one channel by which the inside tells the outside what happens. Knows nothing of the rest.

A run emits `Event`s into an `EventSink`: an `EventStore`, or any object with `emit`. What a sink or
a listener raises costs it that event, and the run nothing. `PROGRESS` at `DEBUG` is a tick for
those who draw; a store hands it to its listeners and does not record it. The command line ends each
record with `RUN_ENDED`, which has the exit code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol


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


# Neither frozen nor slotted: sinks that were written for other events set `run_id` themselves.
@dataclass(kw_only=True)
class Event:
    """One thing that happened: when (UTC), in which run and stage, in words and in figures.

    The figures are in `context`, under names that end in their unit (`_rows`, `_bytes`,
    `_seconds`); a source is named there by `source`. `details` is another name for it. `subject` is
    what the event is about, as the run knows it: for listeners in the process, and in no record.
    Fields may be added, never changed.
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
    subject: object = field(default=None, repr=False)

    @property
    def details(self) -> Mapping[str, Any]:
        """The figures, by the name that callers of its predecessor know."""
        return self.context

    @property
    def is_tick(self) -> bool:
        """Whether it only moves a bar."""
        return self.event_type is EventType.PROGRESS and self.level is EventLevel.DEBUG

    def as_dict(self) -> dict[str, Any]:
        """The event as a JSON document: names as the fields, the time in ISO 8601 and in UTC."""
        return {
            "timestamp": self.timestamp.astimezone(UTC).isoformat(timespec="microseconds"),
            "run_id": self.run_id,
            "level": _text(self.level),
            "event_type": _text(self.event_type),
            "publication": self.publication,
            "period": self.period,
            "stage": self.stage,
            "source": self.context.get("source"),
            "message": self.message,
            "context": dict(self.context),
        }

    def to_dict(self) -> dict[str, Any]:
        """The same for callers of its predecessor: with `details`, and nothing that JSON lacks."""
        document = self.as_dict()
        figures = json.loads(json.dumps(document["context"], default=str))
        return document | {"context": figures, "details": figures}


def _text(name: object) -> str:
    """An event's type or level as text, also where a caller has given one of his own kind."""
    return str(getattr(name, "value", name))


def create_event(  # noqa: PLR0913, PLR0917  # the signature that callers of its predecessor know
    event_type: EventType,
    run_id: str,
    publication: str | None = None,
    period: str | None = None,
    stage: str | None = None,
    level: EventLevel = EventLevel.INFO,
    message: str = "",
    context: Mapping[str, Any] | None = None,
    **details: Any,
) -> Event:
    """Make an event of now. The arguments are the fields of `Event`, all others its details."""
    return Event(
        event_type=event_type,
        run_id=run_id,
        publication=publication,
        period=period,
        stage=stage,
        level=level,
        message=message,
        context={**(context or {}), **details},
    )


class EventSink(Protocol):
    """Where a run puts its events.

    A sink may have a `run_id`, by which the run is called then.
    """

    def emit(self, event: Event) -> Any:
        """Take one event, after the one before it: a run never tells two at the same time."""


Listener = Callable[[Event], Any]
