"""What others wrote is called here: what a sink or a listener raises costs a run nothing."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from types import TracebackType

from duckwarp.model.errors import escape, shorten
from duckwarp.model.events import Event, EventSink
from duckwarp.model.redaction import without_passwords

_log = logging.getLogger("duckwarp")


class Guard:
    """A block in which what others wrote is called: what it raises is a warning, once, and no more.

    `name` is what the warning calls it. An interrupt, or an exit, goes on its way.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._has_failed = False

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(exc, Exception):
            return False
        if not self._has_failed:
            self._has_failed = True
            with contextlib.suppress(Exception):
                _log.warning("%s", _describe_failure(self._name, exc))
        return True


def _describe_failure(name: str, error: Exception) -> str:
    try:
        words = escape(shorten(without_passwords(str(error))))
    except Exception:
        words = "an error without words"
    return (
        f"{name} does not take an event: {type(error).__name__}: {words}; "
        "the run goes on, and what else it does not take is not told"
    )


class GuardedSink:
    """A caller's sink as a run tells it: one event at a time, and nothing that it raises matters.

    `run_id` is the sink's, read once, and a new one where it has none. Without a sink, nobody is
    told.
    """

    def __init__(self, sink: EventSink | None) -> None:
        self._sink = sink
        self._guard = Guard(type(sink).__name__)
        # Reentrant: a sink may be the cause of another event.
        self._lock = threading.RLock()
        self.run_id = new_run_id()
        with self._guard:
            self.run_id = str(getattr(sink, "run_id", None) or self.run_id)

    def emit(self, event: Event) -> None:
        """Tell the sink the event."""
        if self._sink is not None:
            with self._lock, self._guard:
                self._sink.emit(event)


def new_run_id() -> str:
    """Make up the name of a run."""
    return f"export-{secrets.token_hex(6)}"
