"""OpenLineage: where each published file comes from, told to a lineage backend.

One run of a job for each source: START when its export begins, COMPLETE once its files are in
place, else FAIL or ABORT. What is asked for stands in the client's own environment variables.
Events are delivered by a thread of their own, so that a backend that is slow or down costs the
export nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from duckwarp.model.events import Event
from duckwarp.model.filenames import parquet_in
from duckwarp.model.results import SourceState
from duckwarp.model.run_events import BatchStarted, SourceStarted, WriteCompleted
from duckwarp.record.account import Account
from duckwarp.record.steps import State, Step

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient

# How long a backend may take for an event before the end of a run waits no more, and the client
# for its start, which is a matter of this machine.
PATIENCE_SECONDS = 2.0
START_SECONDS = 10.0


class Lineage:
    """Listens to a run, after `account` has, and tells the backend of each source.

    Nothing that goes wrong there is raised: `close` says it.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._server = BatchStarted(sources=0, server_host="localhost", server_port="", database="")
        self._under_way: dict[str, Step] = {}
        self._delivery = _Delivery()

    def listen(self, event: Event) -> None:
        """Tell what the event says of a source, if it does."""
        match event.subject:
            case BatchStarted() as batch:
                self._server = batch
            case SourceStarted() as started if started.source not in self._under_way:
                self._start(started, event)
            case WriteCompleted(source=code, written_as=types) if code in self._under_way:
                self._under_way[code] = replace(self._under_way[code], written_as=types)
        self._end(str(event.context.get("source", "")), event.timestamp)

    def close(self, error: str | None, *, interrupted: bool) -> str | None:
        """End the sources that have no end yet, and wait for the backend; what went wrong there."""
        state = State.ABORT if interrupted else State.FAIL
        for step in self._under_way.values():
            self._delivery.put(replace(step, state=state, moment=datetime.now(UTC), error=error))
        self._under_way.clear()
        return self._delivery.close()

    def _start(self, started: SourceStarted, event: Event) -> None:
        code = started.source
        folder = Path(self._account.output_dir).absolute()
        step = Step(
            state=State.START,
            moment=event.timestamp,
            run_id=event.run_id,
            lineage_id=_new_id(event.timestamp),
            server=self._server,
            started=started,
            parquet_path=parquet_in(folder, code),
        )
        self._under_way[code] = step
        self._delivery.put(step)

    def _end(self, code: str, moment: datetime) -> None:
        outcome = self._account.outcomes.get(code)
        if outcome is None or code not in self._under_way:
            return
        failed = outcome.state is SourceState.FAILED
        self._delivery.put(
            replace(
                self._under_way.pop(code),
                state=State.FAIL if failed else State.COMPLETE,
                moment=moment,
                outcome=outcome,
                error=outcome.reason if failed else None,
            )
        )


def _new_id(moment: datetime) -> str:
    """A UUID of version 7, as OpenLineage asks for: it begins with the time."""
    import secrets
    import uuid

    stamp = int(moment.timestamp() * 1000) << 80 | 0x7 << 76 | 0b10 << 62
    return str(uuid.UUID(int=stamp | secrets.randbits(12) << 64 | secrets.randbits(62)))


class _Delivery:
    """The thread that hands steps to the client, one after the other.

    `_since` is when the backend was last heard, or had something to take after it was idle.
    """

    def __init__(self) -> None:
        self._steps: SimpleQueue[Step | None] = SimpleQueue()
        self._put = 0
        self._settled = 0
        self._delivered = 0
        self._is_ready = False
        self._is_down = False
        self._since = time.monotonic()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._deliver, name="duckwarp-lineage", daemon=True)
        self._thread.start()

    def put(self, step: Step) -> None:
        """Deliver the step, some time."""
        if self._settled == self._put and not self._is_down:
            self._since = time.monotonic()
        self._put += 1
        self._steps.put(step)

    def close(self) -> str | None:
        """Wait while steps are delivered; what was not, in words."""
        self._steps.put(None)
        self._thread.join(0.2)
        while self._thread.is_alive() and not self._takes_too_long():
            self._thread.join(0.05)
        lost = self._put - self._delivered
        if not lost and self._error is None:
            return None
        reason = f"no answer within {PATIENCE_SECONDS:g} s"
        if self._error is not None:
            reason = f"{type(self._error).__name__}: {self._error}"
        return f"{lost} of {self._put} OpenLineage events were not delivered ({reason})"

    def _takes_too_long(self) -> bool:
        patience_seconds = PATIENCE_SECONDS if self._is_ready else START_SECONDS
        return time.monotonic() - self._since > patience_seconds

    def _deliver(self) -> None:
        try:
            client = _client()
            self._is_ready, self._since = True, time.monotonic()
            for step in self._waiting():
                self._emit(client, step)
            client.close(PATIENCE_SECONDS)
        except Exception as error:
            self._error = self._error or error

    def _waiting(self) -> Iterator[Step]:
        while (step := self._steps.get()) is not None:
            yield step

    def _emit(self, client: OpenLineageClient, step: Step) -> None:
        from duckwarp.record.facets import run_event

        try:
            client.emit(run_event(step))
        except Exception as error:
            self._error = self._error or error
            self._is_down = True
        else:
            self._delivered += 1
            self._is_down = False
            self._since = time.monotonic()
        self._settled += 1


def _client() -> OpenLineageClient:
    # What the libraries log of their retries is told once, at the end.
    for name in ("openlineage", "urllib3"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    from openlineage.client import OpenLineageClient

    return OpenLineageClient()
