"""`EventStore`: hands events to listeners, and keeps them in a file of JSON lines."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from duckwarp.model.events import Event, Listener
from duckwarp.record.guard import Guard
from duckwarp.record.lines import LineFile


class EventStore:
    """Hands events to listeners and, given a path, appends them to a file of JSON lines.

    Use it as a context manager, or call `close()`, where a path is given. A file that is moved away
    meanwhile is continued in a new one. Raises `OSError` where the file cannot be opened. A line
    that cannot be written later, on a full disk, stops nobody: `write_error` is the first such
    error, and the numbers of the lines that follow show the gap.
    """

    def __init__(
        self, run_id: str, path: Path | str | None = None, listeners: Iterable[Listener] = ()
    ) -> None:
        self.run_id = run_id
        self._listeners = [(listener, _guard_of(listener)) for listener in listeners]
        # Reentrant: a listener may tell what it notices.
        self._lock = threading.RLock()
        self._sequence = 0
        self._file = None if path is None else LineFile(path)

    @property
    def write_error(self) -> OSError | None:
        """Why the file lacks events, None if it has them all."""
        return None if self._file is None else self._file.error

    def add_listener(self, listener: Listener) -> None:
        """Hand the events to come to `listener`, too."""
        with self._lock:
            self._listeners.append((listener, _guard_of(listener)))

    def emit(self, event: Event) -> None:
        """Record one event and tell the listeners; each line of the file is written at once."""
        with self._lock:
            if self._file is not None and not event.is_tick:
                self._sequence += 1
                self._file.write(_line({"sequence": self._sequence} | event.as_dict()))
            for listener, guard in tuple(self._listeners):
                with guard:
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


def _guard_of(listener: Listener) -> Guard:
    return Guard(getattr(listener, "__qualname__", type(listener).__name__))


def _line(document: Mapping[str, Any]) -> bytes:
    """The document on one line. What is no valid text stays as JSON writes it, escaped."""
    text = json.dumps(document, default=str, ensure_ascii=False)
    return text.encode("utf-8", errors="backslashreplace") + b"\n"
