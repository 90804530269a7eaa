"""What a run says, step by step: the words and the figures of its events.

Where events go and what becomes of them is `events.py`'s and the sinks' matter.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from duckwarp.checks.comparing import Drift
from duckwarp.model.column import Column
from duckwarp.model.errors import DuckwarpError
from duckwarp.model.events import EventLevel, EventSink, EventType, create_event
from duckwarp.model.redaction import without_hidden
from duckwarp.model.results import ExportResult, Loss, RunReport, SourceOutcome, SourceState
from duckwarp.model.settings import ServerAddress
from duckwarp.model.source import Source
from duckwarp.postgres.snapshot import Snapshot

RETRY_STAGE = "retry"
# A copy reads and writes at the same time; each has its own events.
COPY_STAGES = ("read", "write")
# What of an event's context is said by others: the server, DuckDB, the system.
_WORDS = {"error", "reason"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A source and its columns: the subject of the event that its export begins."""

    source: Source
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Where events go, and what all of a run's have in common."""

    events: EventSink
    publication: str | None
    period: str | None

    def __call__(
        self,
        event_type: EventType,
        stage: str | None,
        message: str,
        level: EventLevel = EventLevel.INFO,
        *,
        subject: object = None,
        **context: Any,
    ) -> None:
        """Emit one event; the keywords are its figures, and its subject."""
        context |= {key: without_hidden(str(context[key])) for key in _WORDS & context.keys()}
        self.events.emit(
            create_event(
                event_type,
                self.events.run_id,
                publication=self.publication,
                period=self.period,
                stage=stage,
                level=level,
                message=without_hidden(message),
                context=context,
                subject=subject,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What failed and is tried again: which retry of how many, and after how long."""

    number: int
    retries: int
    wait_seconds: float
    error: DuckwarpError


@contextlib.contextmanager
def failure_told(tell: Telling) -> Iterator[None]:
    """What ends the whole run is told before it goes on its way."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        reason = _why_ended(error)
        tell(EventType.STAGE_FAILED, "export_batch", reason, EventLevel.ERROR, error=reason)
        raise


def _why_ended(error: BaseException) -> str:
    """Why a run ended; what a fault says itself may be anything, and is not repeated."""
    if isinstance(error, (DuckwarpError, KeyboardInterrupt)):
        return str(error) or "interrupted"
    return f"unexpected {type(error).__name__}; this is an error in duckwarp"


def run_started(tell: Telling, output_dir: str) -> None:
    """The run begins."""
    words = f"run {tell.events.run_id} started"
    tell(EventType.RUN_STARTED, None, words, output_dir=output_dir)


def batch_started(tell: Telling, sources: int, address: ServerAddress) -> None:
    """So many sources have a relation and will be exported, from the server at `address`."""
    parameters = address.parameters
    tell(
        EventType.STAGE_STARTED,
        "export_batch",
        f"exporting {sources} source{'' if sources == 1 else 's'}",
        sources=sources,
        server_host=parameters.get("host"),
        server_port=parameters.get("port"),
        database=parameters.get("dbname"),
    )


def batch_advanced(tell: Telling, done: int, sources: int) -> None:
    """One more source has ended, well or not."""
    words = f"exported {done}/{sources} sources"
    tell(EventType.PROGRESS, "export_batch", words, done=done, sources=sources)


def run_completed(tell: Telling, report: RunReport) -> None:
    """The run has ended, with the report's figures."""
    exported, unchanged = map(report.of_state, (SourceState.EXPORTED, SourceState.UNCHANGED))
    figures: dict[str, Any] = {
        "successful": len(exported) + len(unchanged),
        "unchanged": len(unchanged),
        "failed": len(report.of_state(SourceState.FAILED)),
        "skipped": len(report.of_state(SourceState.SKIPPED)),
        "total_rows": report.total_rows,
        "total_bytes": report.total_bytes,
        "seconds": round(report.seconds, 3),
    }
    words = f"exported {len(exported)}, failed {figures['failed']}, skipped {figures['skipped']}"
    words += f", unchanged {len(unchanged)}" if unchanged else ""
    tell(EventType.STAGE_COMPLETED, "export_batch", words, **figures)
    tell(EventType.RUN_COMPLETED, None, f"run {report.run_id} completed: {words}", **figures)


@contextlib.contextmanager
def snapshot_held(tell: Telling, snapshot: Snapshot) -> Iterator[None]:
    """The snapshot is taken and its relations are locked, until the block ends."""
    figures: dict[str, Any] = {
        "snapshot_id": snapshot.snapshot_id,
        "taken_at": snapshot.taken_at.isoformat(),
        "unlocked_sources": len(snapshot.unlocked),
    }
    words = f"reading the snapshot {snapshot.snapshot_id}"
    tell(EventType.STAGE_STARTED, "snapshot", words, **figures)
    try:
        yield
    finally:
        age = round(snapshot.age_seconds, 3)
        words = f"held the snapshot {snapshot.snapshot_id} and its locks for {age:.1f} s"
        tell(EventType.STAGE_COMPLETED, "snapshot", words, snapshot_age_seconds=age, **figures)


def source_skipped(tell: Telling, source: Source, reason: str) -> None:
    """The source has no relation, which is expected."""
    tell(
        EventType.STAGE_SKIPPED,
        "export",
        f"skipped {source.code}: {reason}",
        source=source.code,
        reason=reason,
        relation=source.qualified_name,
    )


def source_started(tell: Telling, source: Source, columns: tuple[Column, ...]) -> None:
    """The export of one source begins."""
    expected = source.relation.estimated_rows if source.relation is not None else None
    tell(
        EventType.STAGE_STARTED,
        "export",
        f"exporting {source.code}",
        source=source.code,
        relation=source.qualified_name,
        expected_rows=expected,
        subject=Described(source=source, columns=columns),
    )


def source_failed(tell: Telling, code: str, error: str, seconds: float) -> None:
    """The source came to nothing; its previous files stay."""
    tell(
        EventType.ERROR,
        "export",
        f"failed {code}: {error}",
        EventLevel.ERROR,
        source=code,
        error=error,
        seconds=round(seconds, 3),
    )


def source_warned(tell: Telling, code: str, warning: Loss | str) -> None:
    """Values that the file does not keep, or something else that its readers should know."""
    figures: dict[str, Any] = {}
    if isinstance(warning, Loss):
        figures = {"column": warning.column, "kind": warning.kind, "count": warning.count}
        figures["outcome"] = warning.outcome
    words = f"{code}: {warning}"
    tell(EventType.WARNING, "export", words, EventLevel.WARNING, source=code, **figures)


def source_exported(
    tell: Telling,
    result: ExportResult,
    size_bytes: int,
    seconds: float,
    state: SourceState,
    snapshot_id: str,
) -> None:
    """Both files of the source are staged, or the published ones are the same."""
    tell(
        EventType.STAGE_COMPLETED,
        "export",
        f"{state.value} {result.canonical_code}: {result.row_count:,} rows",
        source=result.canonical_code,
        state=state.value,
        rows=result.row_count,
        columns=result.column_count,
        size_bytes=size_bytes,
        seconds=round(seconds, 3),
        snapshot_id=snapshot_id,
        parquet_path=result.parquet_path,
        metadata_path=result.metadata_path,
    )


def source_not_read(tell: Telling, outcome: SourceOutcome) -> None:
    """Nothing was loaded into the source since it was published."""
    result = outcome.result or ExportResult.failure(outcome.code, "")
    tell(
        EventType.STAGE_COMPLETED,
        "export",
        f"{outcome.state.value} {outcome.code}: {outcome.reason}",
        source=outcome.code,
        state=outcome.state.value,
        read=False,
        rows=result.row_count,
        columns=result.column_count,
        size_bytes=outcome.size_bytes,
        seconds=0.0,
        parquet_path=result.parquet_path,
        metadata_path=result.metadata_path,
    )


def run_waits(tell: Telling, holder: str) -> None:
    """Another run has the output folder, and is waited for."""
    tell(EventType.PROGRESS, "lock", f"waiting for {holder}", holder=holder)


def dead_run_completed(tell: Telling, name: str) -> None:
    """A run that died while it published is completed now."""
    words = f"completed what {name} had begun to publish"
    tell(EventType.WARNING, "publish", words, EventLevel.WARNING, run=name)


def publishing_started(tell: Telling, sources: int) -> None:
    """The staged files of so many sources are about to be put in place."""
    words = f"publishing {sources} source{'' if sources == 1 else 's'}"
    tell(EventType.STAGE_STARTED, "publish", words, EventLevel.DEBUG, sources=sources)


def source_published(tell: Telling, code: str) -> None:
    """The files of the source are in place."""
    tell(EventType.STAGE_COMPLETED, "publish", f"published {code}", EventLevel.DEBUG, source=code)


def columns_drifted(tell: Telling, code: str, drift: Drift) -> None:
    """The columns are others than those of the published file."""
    tell(
        EventType.WARNING,
        "export",
        f"{code}: {drift}",
        EventLevel.WARNING,
        source=code,
        added_columns=list(drift.added),
        removed_columns=list(drift.removed),
        retyped_columns=list(drift.retyped),
    )


def rows_dropped(tell: Telling, code: str, before_rows: int, rows: int, words: str) -> None:
    """The source has far fewer rows than the published file."""
    tell(
        EventType.WARNING,
        "export",
        f"{code}: {words}",
        EventLevel.WARNING,
        source=code,
        rows_before=before_rows,
        rows=rows,
    )


def copy_started(tell: Telling, code: str, columns: int, path: str) -> None:
    """Reading and writing begin."""
    for stage in COPY_STAGES:
        tell(
            EventType.STAGE_STARTED,
            stage,
            f"{stage} {code}",
            EventLevel.DEBUG,
            source=code,
            columns=columns,
            path=path,
        )


def copy_repeated(tell: Telling, code: str, reason: str) -> None:
    """The copy has met something and begins again, with another plan."""
    words = f"copying {code} again: {reason}"
    tell(EventType.PROGRESS, "read", words, source=code, reason=reason)


def source_retried(tell: Telling, code: str, trial: Trial) -> None:
    """A source failed in a way that may pass; it is tried again after a wait."""
    _retried(tell, f"trying {code} again", trial, source=code)


def run_retried(tell: Telling, trial: Trial, kept: int, dropped: int) -> None:
    """The run as a whole failed so; it begins again, in a new snapshot, after a wait.

    `kept` sources are done; `dropped` ones were staged, and are read anew.
    """
    words = "trying the run again"
    if kept:
        words = "trying the rest of the run again, in another snapshot than what is done"
    _retried(tell, words, trial, sources_done=kept, sources_dropped=dropped)


def _retried(tell: Telling, words: str, trial: Trial, **figures: str | int) -> None:
    tell(
        EventType.WARNING,
        RETRY_STAGE,
        f"{words}, in {trial.wait_seconds:.1f} s ({trial.number} of {trial.retries}): "
        f"{trial.error}",
        EventLevel.WARNING,
        retry=trial.number,
        retries=trial.retries,
        wait_seconds=round(trial.wait_seconds, 3),
        error=str(trial.error),
        sqlstate=trial.error.sqlstate,
        **figures,
    )


def copy_completed(
    tell: Telling, code: str, written_as: tuple[str, ...], path: str, rows: int
) -> None:
    """Reading and writing have ended; the columns have the Parquet types of `written_as`."""
    for stage in COPY_STAGES:
        tell(
            EventType.STAGE_COMPLETED,
            stage,
            f"{stage} {code}: {rows:,} rows",
            EventLevel.DEBUG,
            subject=written_as,
            source=code,
            columns=len(written_as),
            path=path,
            rows=rows,
        )


def verification_started(tell: Telling, code: str) -> None:
    """The staged file is compared with its table."""
    words = f"verify {code}"
    tell(EventType.STAGE_STARTED, "verify", words, EventLevel.DEBUG, source=code)


def verification_completed(tell: Telling, code: str, rows: int) -> None:
    """The staged file equals its table."""
    words = f"verify {code}: {rows:,} rows are equal"
    tell(EventType.STAGE_COMPLETED, "verify", words, EventLevel.DEBUG, source=code, rows=rows)


def copy_ticked(tell: Telling, code: str, phase: str, **figures: int | None) -> None:
    """How far the copy is: `rows_read`, `expected_rows`, `file_bytes`."""
    words = f"{phase} {code}"
    tell(EventType.PROGRESS, "export", words, EventLevel.DEBUG, source=code, phase=phase, **figures)
