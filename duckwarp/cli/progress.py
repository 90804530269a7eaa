"""How a run is followed while it goes on: counters that know no format, and lines of text.

`Tally` takes the events of a run. Displays draw on it: `PlainLines` (cron, a pipe, CI) and `Quiet`
here, `LiveBars` for a terminal in `bars.py`. What is shown once the run has ended is `report.py`'s
matter.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self, TextIO

from duckwarp.cli import wording
from duckwarp.model.events import Event
from duckwarp.model.results import SourceOutcome
from duckwarp.model.run_events import (
    BatchStarted,
    CopyTicked,
    Retried,
    RunRetried,
    RunStarted,
    RunWaits,
    SourceExported,
    SourceFailed,
    SourceStarted,
)
from duckwarp.model.sizes import size_text

LONG_SOURCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """One source while it is exported.

    `expected_rows` is an estimate that the truth may pass; None where nobody has counted.
    """

    code: str
    started_at: datetime
    expected_rows: int | None = None
    phase: str = "reading"
    rows_read: int = 0
    file_bytes: int = 0

    @property
    def estimate_holds(self) -> bool:
        """Whether the estimated number of rows can still be right."""
        return self.expected_rows is not None and self.rows_read <= self.expected_rows

    def seconds(self, now: datetime) -> float:
        """How long it has been going on."""
        return max(0.0, (now - self.started_at).total_seconds())

    def rows_per_second(self, now: datetime) -> float:
        """Rows read in a second, from the start until now."""
        seconds = self.seconds(now)
        return self.rows_read / seconds if seconds else 0.0

    def seconds_left(self, now: datetime) -> float | None:
        """How long the reading may still take; None where that cannot be told."""
        rate = self.rows_per_second(now)
        if self.phase != "reading" or not self.estimate_holds or not rate:
            return None
        return ((self.expected_rows or 0) - self.rows_read) / rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Where a run stands: how many sources are ended, how many of them failed, which go on.

    One that has ended may fail after that, when it is put in place. `retry` says which of how many
    times the run as a whole is tried again, until it goes on.
    """

    started_at: datetime | None = None
    sources: int = 0
    done: int = 0
    failed: int = 0
    ended: frozenset[str] = frozenset()
    under_way: tuple[UnderWay, ...] = ()
    retry: str = ""

    def after(self, event: Event) -> Tally:
        """The tally once `event` has happened."""
        match event.subject:
            case RunStarted() | BatchStarted() as begun:
                sources = self.done + begun.sources if isinstance(begun, BatchStarted) else 0
                started_at = self.started_at or event.timestamp
                return dataclasses.replace(self, started_at=started_at, sources=sources, retry="")
            case SourceStarted(source=code, expected_rows=rows):
                return self._with(
                    UnderWay(code=code, started_at=event.timestamp, expected_rows=rows)
                )
            case CopyTicked() as tick:
                return self._tick(tick)
            case (SourceExported() | SourceFailed()) as ended:
                return self._without(ended.source, failed=isinstance(ended, SourceFailed))
            case RunRetried() as again:
                return self._again(again)
        return self

    def find(self, code: str) -> UnderWay | None:
        """The source of that code, if it is being exported."""
        return next((source for source in self.under_way if source.code == code), None)

    def _again(self, again: RunRetried) -> Tally:
        """What stands of a run that begins again: what is done, or nothing."""
        stands = self if again.sources_done else Tally(started_at=self.started_at)
        retry = f"{again.retry} of {again.retries}"
        return dataclasses.replace(stands, sources=self.sources, under_way=(), retry=retry)

    def _with(self, source: UnderWay) -> Tally:
        others = tuple(other for other in self.under_way if other.code != source.code)
        return dataclasses.replace(self, under_way=(*others, source))

    def _tick(self, tick: CopyTicked) -> Tally:
        before = self.find(tick.source)
        if before is None:
            return self
        now = dataclasses.replace(
            before,
            phase=tick.phase,
            rows_read=tick.rows_read,
            expected_rows=tick.expected_rows,
            file_bytes=tick.file_bytes,
        )
        under_way = tuple(now if source is before else source for source in self.under_way)
        return dataclasses.replace(self, under_way=under_way)

    def _without(self, code: str, failed: bool) -> Tally:
        # One without a relation may fail before those to export have been counted.
        done = self.done + (code not in self.ended)
        return dataclasses.replace(
            self,
            sources=max(self.sources, done),
            done=done,
            failed=self.failed + failed,
            ended=self.ended | {code},
            under_way=tuple(source for source in self.under_way if source.code != code),
        )


class Display(Protocol):
    """What shows a run to a person: a listener of its events, entered before the first one."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def listen(self, event: Event) -> None:
        """Take one event of the run."""


class Quiet:
    """Says which source failed and why, and nothing else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to close."""

    def listen(self, event: Event) -> None:
        """Print one line for a source that failed."""
        line = self._line(event)
        if line is not None:
            print(line, file=self._stream, flush=True)

    def _line(self, event: Event) -> str | None:
        if not isinstance(event.subject, SourceFailed):
            return None
        reason = wording.one_line(str(event.context["error"]))
        return _sentence("failed", event.subject.source, reason)


class PlainLines(Quiet):
    """One line for each source that ended, and one every 30 seconds for a long one.

    The time is that of the events, so that a slow stream cannot bend it.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._tally = Tally()
        self._spoken_at: dict[str, datetime] = {}

    def _line(self, event: Event) -> str | None:
        self._tally = self._tally.after(event)
        match event.subject:
            case SourceExported(outcome=outcome):
                line = _sentence(outcome.state.value, outcome.code, _figures(outcome))
                return line + self._position()
            case RunWaits():
                return event.message
            case SourceFailed():
                return f"{super()._line(event)}{self._position()}"
            case CopyTicked(source=code):
                return self._long_source(code, event.timestamp)
            case Retried():
                return retry_line(event)
        return None

    def _position(self) -> str:
        return f" ({self._tally.done} of {self._tally.sources})"

    def _long_source(self, code: str, now: datetime) -> str | None:
        source = self._tally.find(code)
        if source is None:
            return None
        last = self._spoken_at.get(code, source.started_at)
        if (now - last).total_seconds() < LONG_SOURCE_SECONDS:
            return None
        self._spoken_at[code] = now
        parts = [rows_text(source), rate_text(source, now)]
        parts.append(wording.duration(source.seconds(now)))
        return _sentence(source.phase, code, ", ".join(filter(None, parts)))


def retry_line(event: Event) -> str:
    """What failed and is tried again, and when."""
    context = event.context
    when = (
        f"{wording.duration(context['wait_seconds'])}, {context['retry']} of {context['retries']}"
    )
    what = wording.one_line(str(context.get("source", "the run")))
    return f"{'retrying':<8}  {what}: in {when}: {wording.one_line(str(context['error']))}"


def rows_text(source: UnderWay) -> str:
    """`312,000 of ~500,000 rows`, or only what was read where no estimate holds.

    Nothing once the reading is over: the last figure that was seen is not the whole.
    """
    if source.phase != "reading":
        return ""
    if source.estimate_holds:
        return f"{source.rows_read:,} of ~{wording.counted(source.expected_rows or 0, 'row')}"
    return wording.counted(source.rows_read, "row")


def rate_text(source: UnderWay, now: datetime) -> str:
    """Rows a second while reading, the size of the growing file while writing, else nothing."""
    if source.phase == "writing":
        return size_text(source.file_bytes)
    rate = source.rows_per_second(now) if source.phase == "reading" else 0
    # Three digits are all that the eye can follow.
    return f"{float(f'{rate:.3g}'):,.0f} rows/s" if rate else ""


def _sentence(state: str, code: str, rest: str) -> str:
    return f"{state:<8}  {wording.one_line(code)}: {rest}"


def _figures(outcome: SourceOutcome) -> str:
    result = outcome.result
    assert result is not None
    return ", ".join(
        (
            wording.counted(result.row_count, "row"),
            wording.counted(result.column_count, "column"),
            size_text(outcome.size_bytes),
            wording.duration(outcome.seconds),
        )
    )
