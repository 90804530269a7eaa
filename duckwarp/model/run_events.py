"""What can happen in a run: one class for each event, with its figures and its sentence.

The fields of an event are its figures in the record, under the same names; `str()` of it is its
sentence. Listeners in the process look at the class and its fields, never at the words.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, TypeVar, dataclass_transform

from duckwarp.model.column import Column
from duckwarp.model.errors import DuckwarpError
from duckwarp.model.events import Event, EventLevel, EventSink, EventType
from duckwarp.model.redaction import without_hidden
from duckwarp.model.results import Loss, RunReport, SourceOutcome, SourceState
from duckwarp.model.source import Source

T = TypeVar("T")

# What of an event's figures is said by others: the server, DuckDB, the system.
_WORDS = frozenset({"error", "reason"})


@dataclass_transform(kw_only_default=True, frozen_default=True)
def event(cls: type[T]) -> type[T]:
    """Make a frozen dataclass of a kind of event."""
    return dataclass(frozen=True, kw_only=True)(cls)


@event
class RunEvent:
    """Something that happened in a run. `unrecorded` names the fields that no record has."""

    event_type: ClassVar[EventType] = EventType.PROGRESS
    stage: ClassVar[str | None] = None
    level: ClassVar[EventLevel] = EventLevel.INFO
    unrecorded: ClassVar[frozenset[str]] = frozenset()

    @property
    def context(self) -> Mapping[str, Any]:
        """The figures, by the names that the record has for them."""
        names = [each.name for each in dataclasses.fields(self)]
        return {n: _plain(getattr(self, n)) for n in names if n not in self.unrecorded}


def _plain(value: object) -> object:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Tells a sink what happens, with what all events of a run have in common."""

    sink: EventSink
    run_id: str
    publication: str | None
    period: str | None

    def __call__(self, happened: RunEvent) -> None:
        """Emit one event. Neither its sentence nor a reason in it shows what is hidden."""
        context = dict(happened.context)
        context |= {key: without_hidden(str(context[key])) for key in _WORDS & context.keys()}
        self.sink.emit(
            Event(
                event_type=happened.event_type,
                run_id=self.run_id,
                publication=self.publication,
                period=self.period,
                stage=happened.stage,
                level=happened.level,
                message=without_hidden(str(happened)),
                context=context,
                subject=happened,
            )
        )


def _counted(sources: int) -> str:
    return f"{sources} source{'' if sources == 1 else 's'}"


# The run as a whole.


@event
class RunStarted(RunEvent):
    """The run begins; its files go to `output_dir`."""

    event_type = EventType.RUN_STARTED
    unrecorded = frozenset({"run_id"})
    run_id: str
    output_dir: str

    def __str__(self) -> str:
        return f"run {self.run_id} started"


@event
class RunWaits(RunEvent):
    """Another run, `holder`, has the output folder, and is waited for."""

    stage = "lock"
    holder: str

    def __str__(self) -> str:
        return f"waiting for {self.holder}"


@event
class DeadRunCompleted(RunEvent):
    """What a run that died had begun to publish is in place now."""

    event_type = EventType.WARNING
    stage = "publish"
    level = EventLevel.WARNING
    run: str

    def __str__(self) -> str:
        return f"completed what {self.run} had begun to publish"


@event
class SnapshotTaken(RunEvent):
    """The snapshot is there, and its relations are locked, but for `unlocked_sources`."""

    event_type = EventType.STAGE_STARTED
    stage = "snapshot"
    snapshot_id: str
    taken_at: str
    unlocked_sources: int

    def __str__(self) -> str:
        return f"reading the snapshot {self.snapshot_id}"


@event
class SnapshotReleased(SnapshotTaken):
    """The snapshot and its locks are let go."""

    event_type = EventType.STAGE_COMPLETED
    snapshot_age_seconds: float

    def __str__(self) -> str:
        held = f"held the snapshot {self.snapshot_id} and its locks"
        return f"{held} for {self.snapshot_age_seconds:.1f} s"


@event
class BatchStarted(RunEvent):
    """So many sources have a relation and will be exported, from this server."""

    event_type = EventType.STAGE_STARTED
    stage = "export_batch"
    sources: int
    server_host: str | None
    server_port: str | None
    database: str | None

    def __str__(self) -> str:
        return f"exporting {_counted(self.sources)}"


@event
class BatchAdvanced(RunEvent):
    """One more source has ended, well or not."""

    stage = "export_batch"
    done: int
    sources: int

    def __str__(self) -> str:
        return f"exported {self.done}/{self.sources} sources"


@event
class BatchCompleted(RunEvent):
    """Every source has ended."""

    event_type = EventType.STAGE_COMPLETED
    stage: ClassVar[str | None] = "export_batch"
    report: RunReport

    @property
    def context(self) -> Mapping[str, Any]:
        counts = {state: len(self.report.of_state(state)) for state in SourceState}
        return {
            "successful": counts[SourceState.EXPORTED] + counts[SourceState.UNCHANGED],
            "unchanged": counts[SourceState.UNCHANGED],
            "failed": counts[SourceState.FAILED],
            "skipped": counts[SourceState.SKIPPED],
            "total_rows": self.report.total_rows,
            "total_bytes": self.report.total_bytes,
            "seconds": _plain(self.report.seconds),
        }

    def __str__(self) -> str:
        states = [SourceState.EXPORTED, SourceState.FAILED, SourceState.SKIPPED]
        states += [SourceState.UNCHANGED] if self.report.of_state(SourceState.UNCHANGED) else []
        return ", ".join(f"{s.value} {len(self.report.of_state(s))}" for s in states)


@event
class RunCompleted(BatchCompleted):
    """The run has ended, with its report."""

    event_type = EventType.RUN_COMPLETED
    stage = None

    def __str__(self) -> str:
        return f"run {self.report.run_id} completed: {super().__str__()}"


@event
class RunFailed(RunEvent):
    """The run as a whole could not go on."""

    event_type = EventType.STAGE_FAILED
    stage = "export_batch"
    level = EventLevel.ERROR
    error: str

    def __str__(self) -> str:
        return self.error


# One source. `source` is its code.


@event
class SourceStarted(RunEvent):
    """The export of one source begins."""

    event_type = EventType.STAGE_STARTED
    stage = "export"
    described: Source
    columns: tuple[Column, ...]

    @property
    def source(self) -> str:
        """The code."""
        return self.described.code

    @property
    def expected_rows(self) -> int | None:
        """The planner's estimate, None where it has none."""
        relation = self.described.relation
        return None if relation is None else relation.estimated_rows

    @property
    def context(self) -> Mapping[str, Any]:
        relation = self.described.qualified_name
        return {"source": self.source, "relation": relation, "expected_rows": self.expected_rows}

    def __str__(self) -> str:
        return f"exporting {self.source}"


@event
class SourceEnded(RunEvent):
    """A source has come to this outcome, as far as its staged files go."""

    stage = "export"
    outcome: SourceOutcome

    @property
    def source(self) -> str:
        """The code."""
        return self.outcome.code


@event
class SourceSkipped(SourceEnded):
    """The source has no relation, which is expected."""

    event_type = EventType.STAGE_SKIPPED
    relation: str

    @property
    def context(self) -> Mapping[str, Any]:
        reason = self.outcome.reason
        return {"source": self.source, "reason": reason, "relation": self.relation}

    def __str__(self) -> str:
        return f"skipped {self.source}: {self.outcome.reason}"


@event
class SourceFailed(SourceEnded):
    """The source came to nothing; its previous files stay."""

    event_type = EventType.ERROR
    level = EventLevel.ERROR

    @property
    def context(self) -> Mapping[str, Any]:
        seconds = _plain(self.outcome.seconds)
        return {"source": self.source, "error": self.outcome.reason, "seconds": seconds}

    def __str__(self) -> str:
        return f"failed {self.source}: {self.outcome.reason}"


@event
class SourceExported(SourceEnded):
    """Both files of the source are staged, or the published ones are the same.

    `snapshot_id` is None where nothing was read, since nothing was loaded.
    """

    event_type = EventType.STAGE_COMPLETED
    snapshot_id: str | None

    @property
    def context(self) -> Mapping[str, Any]:
        outcome, result = self.outcome, self.outcome.result
        assert result is not None
        figures = {
            "source": self.source,
            "state": outcome.state.value,
            "rows": result.row_count,
            "columns": result.column_count,
            "size_bytes": outcome.size_bytes,
            "seconds": _plain(outcome.seconds),
            "parquet_path": result.parquet_path,
            "metadata_path": result.metadata_path,
        }
        if not outcome.read:
            return {"read": False, **figures}
        return {"snapshot_id": self.snapshot_id, **figures}

    def __str__(self) -> str:
        outcome, result = self.outcome, self.outcome.result
        rows = f"{result.row_count:,} rows" if outcome.read and result is not None else None
        return f"{outcome.state.value} {self.source}: {rows or outcome.reason}"


@event
class SourceWarned(RunEvent):
    """Something that the readers of a source should know."""

    event_type = EventType.WARNING
    stage = "export"
    level = EventLevel.WARNING
    unrecorded = frozenset({"warning"})
    source: str
    warning: str

    def __str__(self) -> str:
        return f"{self.source}: {self.warning}"


@event
class ValuesLost(SourceWarned):
    """Values of one column that the file does not keep, as `Loss` has them."""

    column: str
    kind: str
    count: int
    outcome: str

    @classmethod
    def of(cls, source: str, loss: Loss) -> ValuesLost:
        """The event of one loss."""
        return cls(
            source=source,
            warning=str(loss),
            column=loss.column,
            kind=loss.kind,
            count=loss.count,
            outcome=loss.outcome,
        )


@event
class RowsDropped(SourceWarned):
    """The source has far fewer rows than the published file."""

    rows_before: int
    rows: int


@event
class ColumnsDrifted(SourceWarned):
    """The columns are others than those of the published file."""

    added_columns: tuple[str, ...]
    removed_columns: tuple[str, ...]
    retyped_columns: tuple[str, ...]


@event
class PublishingStarted(RunEvent):
    """The staged files of so many sources are about to be put in place."""

    event_type = EventType.STAGE_STARTED
    stage = "publish"
    level = EventLevel.DEBUG
    sources: int

    def __str__(self) -> str:
        return f"publishing {_counted(self.sources)}"


@event
class SourcePublished(RunEvent):
    """The files of the source are in place."""

    event_type = EventType.STAGE_COMPLETED
    stage = "publish"
    level = EventLevel.DEBUG
    source: str

    def __str__(self) -> str:
        return f"published {self.source}"


# The copy of a source. It reads and writes at the same time; each has its own events.


@event
class ReadStarted(RunEvent):
    """Reading begins, into the staged file `path`."""

    event_type = EventType.STAGE_STARTED
    stage = "read"
    level = EventLevel.DEBUG
    source: str
    columns: int
    path: str

    def __str__(self) -> str:
        return f"{self.stage} {self.source}"


@event
class WriteStarted(ReadStarted):
    """Writing begins."""

    stage = "write"


@event
class ReadCompleted(ReadStarted):
    """All rows are read."""

    event_type = EventType.STAGE_COMPLETED
    rows: int

    def __str__(self) -> str:
        return f"{self.stage} {self.source}: {self.rows:,} rows"


@event
class WriteCompleted(ReadCompleted):
    """The file is written; its columns have the Parquet types of `written_as`."""

    stage = "write"
    unrecorded = frozenset({"written_as"})
    written_as: tuple[str, ...]


@event
class CopyTicked(RunEvent):
    """How far a copy is. `phase` is "reading", "sorting" or "writing"."""

    stage = "export"
    level = EventLevel.DEBUG
    source: str
    phase: str
    rows_read: int
    expected_rows: int | None
    file_bytes: int

    def __str__(self) -> str:
        return f"{self.phase} {self.source}"


@event
class CopyRepeated(RunEvent):
    """The copy has met something and begins again, with another plan."""

    stage = "read"
    source: str
    reason: str

    def __str__(self) -> str:
        return f"copying {self.source} again: {self.reason}"


@event
class VerificationStarted(RunEvent):
    """The staged file is compared with its table."""

    event_type = EventType.STAGE_STARTED
    stage = "verify"
    level = EventLevel.DEBUG
    source: str

    def __str__(self) -> str:
        return f"verify {self.source}"


@event
class VerificationCompleted(VerificationStarted):
    """The staged file equals its table."""

    event_type = EventType.STAGE_COMPLETED
    rows: int

    def __str__(self) -> str:
        return f"verify {self.source}: {self.rows:,} rows are equal"


# What is tried again.


@event
class Retried(RunEvent):
    """What failed in a way that may pass is tried again: retry number `retry` of `retries`."""

    event_type = EventType.WARNING
    stage = "retry"
    level = EventLevel.WARNING
    unrecorded = frozenset({"failure"})
    retry: int
    retries: int
    wait_seconds: float
    failure: DuckwarpError

    @property
    def context(self) -> Mapping[str, Any]:
        error, sqlstate = str(self.failure), self.failure.sqlstate
        return {**super().context, "error": error, "sqlstate": sqlstate}

    @property
    def what(self) -> str:
        """What is tried again."""
        raise NotImplementedError

    def __str__(self) -> str:
        when = f"in {self.wait_seconds:.1f} s ({self.retry} of {self.retries})"
        return f"{self.what}, {when}: {self.failure}"


@event
class SourceRetried(Retried):
    """One source is tried again, in the same snapshot."""

    source: str

    @property
    def what(self) -> str:
        return f"trying {self.source} again"


@event
class RunRetried(Retried):
    """The run begins again, in another snapshot.

    `sources_done` are kept; `sources_dropped` were staged, and are read anew.
    """

    sources_done: int
    sources_dropped: int

    @property
    def what(self) -> str:
        rest = "trying the rest of the run again, in another snapshot than what is done"
        return rest if self.sources_done else "trying the run again"
