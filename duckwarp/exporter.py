"""The story of an export: find sources → describe → plan → copy → document → publish.

Holds the two public functions of the Python API and `run_export`, which they and the command line
share. A source's failure is a result; a run's failure is an exception.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from duckwarp.engine.copy import CopyJob, RunningCopy, SpecialValueFound
from duckwarp.engine.plan import ExportPlan, ranges_of
from duckwarp.engine.session import Session, SharedSnapshot, enter_snapshot, open_session
from duckwarp.errors import DuckwarpError, RelationMissing, SourceError
from duckwarp.events import EventLevel, EventSink, EventStore, EventType, create_event
from duckwarp.output.markdown import ColumnEntry, dictionary
from duckwarp.output.parquet import read_facts
from duckwarp.output.staging import (
    Pair,
    Staging,
    check_code,
    discard,
    open_staging,
    publish,
    staged,
)
from duckwarp.planning import Experience, plan_source
from duckwarp.results import (
    BYTES_PER_MB,
    ExportResult,
    ParquetFacts,
    RunReport,
    SourceOutcome,
    SourceState,
)
from duckwarp.settings import Settings
from duckwarp.source.access import check_access, check_still_the_same
from duckwarp.source.backends import cancel, rows_being_read
from duckwarp.source.metadata import Column, describe, table_comments
from duckwarp.source.registry import Selection, Source
from duckwarp.source.snapshot import Snapshot, open_snapshot
from duckwarp.version import __version__

TICK_SECONDS = 0.5
EMPTY_FILE_BYTES = 4  # the magic number: nothing else is written before the first row group


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
        **context: Any,
    ) -> None:
        """Emit one event; the keywords are its figures."""
        self.events.emit(
            create_event(
                event_type,
                self.events.run_id,
                publication=self.publication,
                period=self.period,
                stage=stage,
                level=level,
                message=message,
                context=context,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the steps of one run share."""

    settings: Settings
    snapshot: Snapshot
    session: Session
    staging: Staging
    tell: Telling

    @property
    def shared(self) -> SharedSnapshot:
        """The snapshot as the engine's sessions import it."""
        return SharedSnapshot(
            snapshot_id=self.snapshot.snapshot_id,
            settings=self.snapshot.settings,
            locks=self.snapshot.locks,
        )


def export_source_to_parquet(  # noqa: PLR0913  # the names and the order are given
    canonical_code: str,
    output_dir: str | Path,
    event_store: EventSink | None = None,
    publication: str | None = None,
    period: str | None = None,
    *,
    settings: Settings | None = None,
    dsn: str | None = None,
) -> ExportResult:
    """Export one registered source to `<output_dir>/<canonical_code>.parquet` and `.md`.

    `publication` and `period` only label the events. Does not raise for what goes wrong with the
    source, the server or the output folder: the result says so, with "does not exist" in its error
    for a source without a relation.
    """
    selection = Selection(codes=(canonical_code,))
    effective = _effective(settings, output_dir, dsn)
    sink = event_store or EventStore(_new_run_id())
    try:
        report = run_export(selection, effective, sink, publication=publication, period=period)
    except DuckwarpError as error:
        return ExportResult.failure(canonical_code, str(error))
    outcome = report.outcomes[0]
    return outcome.result or ExportResult.failure(canonical_code, outcome.reason or "")


def export_publication_to_parquet(
    publication: str,
    output_dir: str | Path,
    event_store: EventSink | None = None,
    period: str | None = None,
    *,
    settings: Settings | None = None,
    dsn: str | None = None,
) -> list[ExportResult]:
    """Export all sources whose code starts with `publication`, in the order of their codes.

    The list has one result for each exported or failed source and none for a source without a
    relation. A failure of the whole batch is one result with an empty code.
    """
    effective = _effective(settings, output_dir, dsn)
    sink = event_store or EventStore(_new_run_id())
    try:
        with _failure_told(Telling(events=sink, publication=publication, period=period)):
            selection = Selection(publication=publication)
        report = run_export(selection, effective, sink, publication=publication, period=period)
    except DuckwarpError as error:
        return [ExportResult.failure("", str(error))]
    return report.results


def _effective(settings: Settings | None, output_dir: str | Path, dsn: str | None) -> Settings:
    chosen = replace(settings or Settings(), output_dir=Path(output_dir))
    return chosen if dsn is None else replace(chosen, dsn=dsn)


def _new_run_id() -> str:
    return f"export-{secrets.token_hex(6)}"


def run_export(
    selection: Selection,
    settings: Settings,
    events: EventSink,
    *,
    publication: str | None = None,
    period: str | None = None,
) -> RunReport:
    """Export every source of `selection` in one snapshot, and report on each.

    Raises `UsageError` where nothing matches and `RunError` where the run cannot start, after an
    event that says so. Leaves nothing behind when interrupted.
    """
    tell = Telling(events=events, publication=publication, period=period)
    tell(
        EventType.RUN_STARTED,
        None,
        f"run {events.run_id} started",
        output_dir=str(settings.output_dir),
    )
    started = time.monotonic()
    with (
        _failure_told(tell),
        open_snapshot(selection, settings, dict(os.environ)) as snapshot,
        open_staging(settings.output_dir) as staging,
        open_session(
            snapshot.address, snapshot.application_name, settings, staging.spill_dir
        ) as session,
    ):
        outcomes = _export_all(
            Run(settings=settings, snapshot=snapshot, session=session, staging=staging, tell=tell)
        )
    report = RunReport(
        run_id=events.run_id,
        output_dir=str(settings.output_dir),
        outcomes=outcomes,
        seconds=time.monotonic() - started,
    )
    _tell_end(tell, report)
    return report


@contextlib.contextmanager
def _failure_told(tell: Telling) -> Iterator[None]:
    """What ends the whole run is told before it goes on its way."""
    try:
        yield
    except (DuckwarpError, KeyboardInterrupt) as error:
        reason = str(error) or "interrupted"
        tell(EventType.STAGE_FAILED, "export_batch", reason, EventLevel.ERROR, error=reason)
        raise


def _tell_end(tell: Telling, report: RunReport) -> None:
    figures: dict[str, Any] = {
        "successful": len(report.of_state(SourceState.EXPORTED)),
        "failed": len(report.of_state(SourceState.FAILED)),
        "skipped": len(report.of_state(SourceState.SKIPPED)),
        "total_rows": report.total_rows,
        "total_bytes": report.total_bytes,
        "seconds": round(report.seconds, 3),
    }
    words = "exported {successful}, failed {failed}, skipped {skipped}".format(**figures)
    tell(EventType.STAGE_COMPLETED, "export_batch", words, **figures)
    tell(EventType.RUN_COMPLETED, None, f"run {report.run_id} completed: {words}", **figures)


def _export_all(run: Run) -> tuple[SourceOutcome, ...]:
    """Every source in turn: first those without a relation, then the others in their order."""
    sources = run.snapshot.sources
    missing = [_without_relation(run, source) for source in sources if source.relation is None]
    present = [source for source in sources if source.relation is not None]
    connection = run.snapshot.connection
    columns = describe(connection, present, run.settings.registry_schema)
    comments = table_comments(connection, present)
    run.tell(
        EventType.STAGE_STARTED,
        "export_batch",
        f"exporting {len(present)} sources",
        sources=len(present),
    )
    enter_snapshot(run.session, run.shared, _connections(run, present))
    outcomes = []
    for number, source in enumerate(present, start=1):
        described = replace(source, description=source.description or comments.get(source.code))
        outcomes.append(_export_one(run, described, columns[source.code]))
        run.tell(
            EventType.PROGRESS,
            "export_batch",
            f"exported {number}/{len(present)} sources",
            done=number,
            sources=len(present),
        )
    order = {source.code: position for position, source in enumerate(sources)}
    return tuple(sorted(missing + outcomes, key=lambda outcome: order[outcome.code]))


def _connections(run: Run, sources: Sequence[Source]) -> int:
    """How many connections the most divided source is read over."""
    return max(
        (
            len(ranges_of(source.relation, run.settings.connections, run.snapshot.traits))
            for source in sources
            if source.relation is not None
        ),
        default=1,
    )


def _without_relation(run: Run, source: Source) -> SourceOutcome:
    """A source whose relation does not exist: expected, unless the user wants it to fail."""
    error = RelationMissing(source.qualified_name)
    if run.settings.fail_on_missing:
        return _failed(run, source, str(error), 0.0)
    run.tell(
        EventType.STAGE_SKIPPED,
        "export",
        f"skipped {source.code}: {error}",
        source=source.code,
        relation=source.qualified_name,
    )
    return SourceOutcome(code=source.code, state=SourceState.SKIPPED, reason=str(error))


def _failed(run: Run, source: Source, error: str, seconds: float) -> SourceOutcome:
    run.tell(
        EventType.ERROR,
        "export",
        f"failed {source.code}: {error}",
        EventLevel.ERROR,
        source=source.code,
        error=error,
        seconds=round(seconds, 3),
    )
    return SourceOutcome(
        code=source.code,
        state=SourceState.FAILED,
        result=ExportResult.failure(source.code, error),
        reason=error,
        seconds=seconds,
    )


def _export_one(run: Run, source: Source, columns: tuple[Column, ...]) -> SourceOutcome:
    """One source from lock to publication; what goes wrong with it becomes its outcome."""
    started = time.monotonic()
    assert source.relation is not None
    run.tell(
        EventType.STAGE_STARTED,
        "export",
        f"exporting {source.code}",
        source=source.code,
        relation=source.qualified_name,
        expected_rows=source.relation.estimated_rows,
    )
    try:
        check_code(source.code)
        if source.code in run.snapshot.unlocked:
            raise run.snapshot.unlocked[source.code]
        role = run.snapshot.connection.info.user
        check_access(source, columns, role, run.settings.enable_row_security)
        plan, facts = _copied(run, source, columns)
        pair = _published(run, source, columns, plan, facts)
    except SourceError as error:
        discard(run.staging, source.code)
        return _failed(run, source, str(error), time.monotonic() - started)
    except OSError as error:
        discard(run.staging, source.code)
        reason = f"cannot write {error.filename or run.settings.output_dir}: {error.strerror}"
        return _failed(run, source, reason, time.monotonic() - started)
    return _exported(run, source, plan, facts, pair, time.monotonic() - started)


def _copied(
    run: Run, source: Source, columns: tuple[Column, ...]
) -> tuple[ExportPlan, ParquetFacts]:
    """The staged Parquet file: copied, and copied anew where a special value was in the way."""
    experience = Experience()
    while True:
        plan = plan_source(
            run.snapshot.connection,
            source,
            columns,
            run.settings,
            run.snapshot.traits,
            experience,
        )
        try:
            rows = _copy(run, plan)
            break
        except SpecialValueFound as found:
            before, experience = experience, experience.of(found.position, plan)
            if experience == before:
                raise SourceError(str(found)) from found
    check_still_the_same(run.snapshot.connection, source)
    facts = read_facts(staged(run.staging, source.code).parquet, expected_rows=rows)
    return plan, facts


def _copy(run: Run, plan: ExportPlan) -> int:
    """Run the plan, telling how far it is; the rows written."""
    path = staged(run.staging, plan.code).parquet
    figures = {"source": plan.code, "columns": len(plan.columns), "path": str(path)}
    for stage in ("read", "write"):
        run.tell(
            EventType.STAGE_STARTED, stage, f"{stage} {plan.code}", EventLevel.DEBUG, **figures
        )
    job = CopyJob(plan=plan, shared=run.shared, path=path)
    copy = RunningCopy(run.session, job)
    try:
        rows_read = 0
        while not copy.wait(TICK_SECONDS):
            rows_read = _tick(run, plan, path, rows_read)
    except BaseException:
        cancel(run.snapshot, run.settings.dsn, os.environ)
        copy.interrupt()
        raise
    rows = copy.rows()
    for stage in ("read", "write"):
        run.tell(
            EventType.STAGE_COMPLETED,
            stage,
            f"{stage} {plan.code}: {rows:,} rows",
            EventLevel.DEBUG,
            rows=rows,
            **figures,
        )
    return rows


def _tick(run: Run, plan: ExportPlan, path: Path, rows_before: int) -> int:
    """Tell how far the copy is; the rows read so far.

    The server tells while it sends, and DuckDB sorts as it goes. Then comes the end of the sort,
    and the file begins to grow.
    """
    rows, sending = rows_being_read(run.snapshot)
    rows = max(rows, rows_before)
    file_bytes = path.stat().st_size if path.exists() else 0
    if sending or not rows:
        phase = "reading"
    else:
        phase = "writing" if file_bytes > EMPTY_FILE_BYTES else "sorting"
    run.tell(
        EventType.PROGRESS,
        "export",
        f"{phase} {plan.code}",
        EventLevel.DEBUG,
        source=plan.code,
        phase=phase,
        rows_read=rows,
        expected_rows=plan.expected_rows,
        file_bytes=file_bytes,
    )
    return rows


def _published(
    run: Run,
    source: Source,
    columns: tuple[Column, ...],
    plan: ExportPlan,
    facts: ParquetFacts,
) -> Pair:
    """Write the dictionary beside the staged file and put both in place."""
    entries = [
        ColumnEntry(
            column=column,
            written_as=None if planned.form.obvious else planned.form.shown_type,
            statistics=statistics,
            notes=planned.form.notes,
        )
        for column, planned, statistics in zip(columns, plan.columns, facts.columns, strict=True)
    ]
    page = dictionary(
        source,
        entries,
        rows=facts.rows,
        size_bytes=facts.size_bytes,
        generated=datetime.now(UTC),
        version=__version__,
    )
    staged(run.staging, source.code).markdown.write_text(page, encoding="utf-8")
    return publish(run.staging, source.code)


def _exported(
    run: Run,
    source: Source,
    plan: ExportPlan,
    facts: ParquetFacts,
    pair: Pair,
    seconds: float,
) -> SourceOutcome:
    for loss in plan.losses:
        run.tell(
            EventType.WARNING,
            "export",
            f"{source.code}: {loss}",
            EventLevel.WARNING,
            source=source.code,
            column=loss.column,
            kind=loss.kind,
            count=loss.count,
            outcome=loss.outcome,
        )
    notes = _notes(run, plan)
    for note in notes:
        run.tell(
            EventType.WARNING,
            "export",
            f"{source.code}: {note}",
            EventLevel.WARNING,
            source=source.code,
        )
    run.tell(
        EventType.STAGE_COMPLETED,
        "export",
        f"exported {source.code}: {facts.rows:,} rows",
        source=source.code,
        rows=facts.rows,
        columns=len(plan.columns),
        size_bytes=facts.size_bytes,
        seconds=round(seconds, 3),
        parquet_path=str(pair.parquet),
        metadata_path=str(pair.markdown),
    )
    result = ExportResult(
        success=True,
        canonical_code=source.code,
        row_count=facts.rows,
        column_count=len(plan.columns),
        parquet_size_mb=facts.size_bytes / BYTES_PER_MB,
        parquet_path=str(pair.parquet),
        metadata_path=str(pair.markdown),
    )
    return SourceOutcome(
        code=source.code,
        state=SourceState.EXPORTED,
        result=result,
        size_bytes=facts.size_bytes,
        seconds=seconds,
        losses=plan.losses,
        notes=notes,
    )


def _notes(run: Run, plan: ExportPlan) -> tuple[str, ...]:
    """What a reader of the report should know about the source as a whole."""
    notes = []
    if plan.hides_rows:
        role = run.snapshot.connection.info.user
        notes.append(f'row-level security: only the rows that role "{role}" may see')
    if plan.renamed:
        notes.append("columns whose names differ in case only: many readers refuse such a file")
    return tuple(notes)
