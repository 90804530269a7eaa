"""The story of an export: find sources → describe → plan → copy → document → compare → publish.

Holds the two public functions of the Python API and `run_export`, which they and the command line
share. A source's failure is a result; a run's failure is an exception.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from duckwarp.catalog.update import Keeper, read_catalog
from duckwarp.engine.allocator import memory_given_back
from duckwarp.engine.layout import connections_for
from duckwarp.engine.memory import Budget, memory_budget
from duckwarp.engine.session import SharedSnapshot, open_session, resources_of
from duckwarp.export.copy import Run, connected, snapshot_age_limited
from duckwarp.export.parallel import in_lanes, is_small, lanes_for
from duckwarp.export.publish import put_in_place
from duckwarp.export.retry import RUN_ENDS, Ledger, whole_run_tried
from duckwarp.export.skip import remember_published, traces_of, unread
from duckwarp.export.source import failed, prepared
from duckwarp.model.errors import DuckwarpError, RelationMissing, RunError, SnapshotLost
from duckwarp.model.events import EventSink
from duckwarp.model.results import ExportResult, RunReport, SourceOutcome, SourceState
from duckwarp.model.run_events import (
    BatchAdvanced,
    BatchCompleted,
    BatchStarted,
    DeadRunCompleted,
    Reporter,
    RunCompleted,
    RunFailed,
    RunStarted,
    RunWaits,
    SnapshotReleased,
    SnapshotTaken,
    SourceSkipped,
    SourceStarted,
)
from duckwarp.model.settings import Publish, Settings
from duckwarp.model.source import Selection, Source
from duckwarp.postgres.columns import describe
from duckwarp.postgres.snapshot import Snapshot, open_snapshot
from duckwarp.record.guard import GuardedSink
from duckwarp.store.lock import Holder
from duckwarp.store.staging import Staging, discard, open_spill, open_staging
from duckwarp.verify.check import open_check, set_aside


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
    try:
        report = run_export(
            selection, effective, event_store, publication=publication, period=period
        )
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
    sink = GuardedSink(event_store)
    try:
        with _failure_reported(
            Reporter(sink=sink, run_id=sink.run_id, publication=publication, period=period)
        ):
            selection = Selection(publication=publication)
        report = run_export(selection, effective, sink, publication=publication, period=period)
    except DuckwarpError as error:
        return [ExportResult.failure("", str(error))]
    return report.results


@contextmanager
def _failure_reported(report: Reporter) -> Iterator[None]:
    """Report what ends the whole run before it goes on its way."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        report(RunFailed(error=_why_ended(error)))
        raise


def _why_ended(error: BaseException) -> str:
    """Why a run ended; what a fault says itself may be anything, and is not repeated."""
    if isinstance(error, (DuckwarpError, KeyboardInterrupt)):
        return str(error) or "interrupted"
    return f"unexpected {type(error).__name__}; this is an error in duckwarp"


@contextmanager
def _snapshot_reported(report: Reporter, snapshot: Snapshot) -> Iterator[None]:
    """Report that the snapshot is taken, and at the end of the block how long it was held."""
    taken = SnapshotTaken(
        snapshot_id=snapshot.snapshot_id,
        taken_at=snapshot.taken_at.isoformat(),
        unlocked_sources=len(snapshot.unlocked),
    )
    report(taken)
    try:
        yield
    finally:
        age = snapshot.age_seconds
        report(SnapshotReleased(**vars(taken), snapshot_age_seconds=age))


def _effective(settings: Settings | None, output_dir: str | Path, dsn: str | None) -> Settings:
    chosen = replace(settings or Settings(), output_dir=Path(output_dir))
    return chosen if dsn is None else replace(chosen, dsn=dsn)


def run_export(
    selection: Selection,
    settings: Settings,
    events: EventSink | None = None,
    *,
    publication: str | None = None,
    period: str | None = None,
) -> RunReport:
    """Export every source of `selection` in one snapshot, and report on each.

    What `events` raises is one warning of the logger `duckwarp`, and ends nothing. Raises
    `UsageError` where nothing matches and `RunError` where the run cannot start (`Locked` where
    another one has the folder), after an event that says so. Leaves nothing when interrupted.
    """
    sink = GuardedSink(events)
    report = Reporter(sink=sink, run_id=sink.run_id, publication=publication, period=period)
    report(RunStarted(output_dir=str(settings.output_dir), run_id=sink.run_id))
    started = time.monotonic()
    with _failure_reported(report):
        budget = memory_budget(settings)
        with _staging(settings, report) as staging:
            ledger = Ledger(catalog=Keeper(settings.output_dir, read_catalog(settings.output_dir)))
            _export_all_tried(selection, settings, budget, staging, report, ledger)
            outcomes = put_in_place(
                staging,
                settings,
                report,
                [ledger.outcomes[code] for code in ledger.sources],
                ledger.changes,
                ledger.catalog,
            )
            if settings.skip_unchanged:
                remember_published(staging, outcomes, ledger.traces)
    ended = RunReport(
        run_id=sink.run_id,
        output_dir=str(settings.output_dir),
        outcomes=outcomes,
        seconds=time.monotonic() - started,
    )
    report(BatchCompleted(report=ended))
    report(RunCompleted(report=ended))
    return ended


def _staging(settings: Settings, report: Reporter) -> AbstractContextManager[Staging]:
    """The output folder, for this run alone."""

    def waits(holder: Holder | None) -> None:
        report(RunWaits(holder=str(holder or "another run")))

    return open_staging(
        settings.output_dir,
        run_id=report.run_id,
        wait_seconds=settings.wait_seconds,
        on_wait=waits,
    )


def _export_all_tried(
    selection: Selection,
    settings: Settings,
    budget: Budget,
    staging: Staging,
    report: Reporter,
    ledger: Ledger,
) -> None:
    """Stage every source, in another snapshot where the first was lost."""
    for name in staging.completed:
        report(DeadRunCompleted(run=name))
    try:
        whole_run_tried(
            lambda is_last: _export_rest(
                selection, settings, budget, staging, report, ledger, is_last=is_last
            ),
            settings,
            report,
            ledger,
        )
    except RunError as error:
        if not ledger.sources or not (error.may_pass or isinstance(error, RUN_ENDS)):
            raise
        _fail_rest(report, ledger, str(error))


def _fail_rest(report: Reporter, ledger: Ledger, reason: str) -> None:
    """What is left of a run that cannot go on."""
    for source in ledger.sources.values():
        if source.code not in ledger.outcomes:
            ledger.outcomes[source.code] = failed(report, source, reason, seconds=0.0)


def _export_rest(  # noqa: PLR0913  # what a run is made of
    selection: Selection,
    settings: Settings,
    budget: Budget,
    staging: Staging,
    report: Reporter,
    ledger: Ledger,
    *,
    is_last: bool,
) -> None:
    """Export what the ledger does not have yet, in one snapshot.

    Raises `RunError` where a lock was not had in time, unless it `is_last` that is tried.
    """
    if settings.publish is Publish.TOGETHER:
        # A set is of one snapshot: what was staged from one that was lost is dropped.
        for code in ledger.sources:
            discard(staging, code)
        ledger.outcomes.clear()
        ledger.changes.clear()
    with (
        open_snapshot(selection, settings, dict(os.environ)) as snapshot,
        _snapshot_reported(report, snapshot),
    ):
        waiting = [each for each in snapshot.unlocked.values() if each.may_pass]
        if waiting and not is_last:
            # All of a set are of one state: nothing is read yet, and all are locked anew.
            refused = RunError(str(waiting[0]))
            refused.may_pass, refused.sqlstate = True, waiting[0].sqlstate
            raise refused
        granted = replace(settings, max_connections=snapshot.sessions)
        _export_from(snapshot, granted, budget, staging, report, ledger)


def _export_from(  # what a run is made of
    snapshot: Snapshot,
    asked: Settings,
    budget: Budget,
    staging: Staging,
    report: Reporter,
    ledger: Ledger,
) -> None:
    """Export what the ledger does not have yet, with the engine that the settings ask for."""
    settings, budget = set_aside(asked, budget)
    resources = resources_of(settings, budget)
    with (
        open_spill(staging, settings) as spill,
        open_check(snapshot, asked, resources, budget.process_bytes) as check,
        memory_given_back(budget.process_bytes),
        open_session(
            snapshot.address, snapshot.application_name, resources, spill, snapshot.watch
        ) as session,
    ):
        shared = SharedSnapshot(
            snapshot_id=snapshot.snapshot_id,
            settings=snapshot.settings,
            locks=snapshot.locks,
            search_path=snapshot.search_path,
        )
        run = Run(
            settings=settings,
            resources=resources,
            memory_bytes=budget.process_bytes,
            spill=spill,
            snapshot=snapshot,
            shared=shared,
            session=session,
            staging=staging,
            catalog=ledger.catalog,
            report=report,
            check=check,
        )
        with snapshot_age_limited(run):
            _export_all(run, ledger)


def _export_all(run: Run, ledger: Ledger) -> None:
    """Every source in turn: first those without a relation, then the others in their order."""
    ledger.sources.update((source.code, source) for source in run.snapshot.sources)
    sources = [source for source in run.snapshot.sources if source.code not in ledger.outcomes]
    missing = [] if run.settings.fail_on_missing else [s for s in sources if _is_missing(run, s)]
    for source in missing:
        ledger.outcomes[source.code] = _skipped(run, source)
    present = [source for source in sources if source.code not in ledger.outcomes]
    connection = run.snapshot.connection
    columns = describe(connection, present, run.settings.registry_schema)
    if run.settings.skip_unchanged:
        ledger.traces.update(traces_of(run, present, columns))
        ledger.outcomes.update(unread(run, present, ledger.traces))
        present = [source for source in present if source.code not in ledger.outcomes]
    address = run.snapshot.address.parameters
    run.report(
        BatchStarted(
            sources=len(present),
            server_host=address.get("host"),
            server_port=address.get("port"),
            database=address.get("dbname"),
        )
    )
    numbers = itertools.count(1)
    started: set[str] = set()

    def export(lane: Run, source: Source) -> None:
        # A source that a lane has left to the run comes twice.
        if source.code not in started:
            run.report(SourceStarted(described=source, columns=columns.get(source.code, ())))
            started.add(source.code)
        try:
            ended = prepared(lane, source, columns.get(source.code, ()))
        except SnapshotLost:
            ledger.suspects.add(source.code)
            raise
        ledger.outcomes[source.code] = ended.outcome
        if ended.change is not None:
            ledger.changes[source.code] = ended.change
        with run.turn:
            run.report(BatchAdvanced(done=next(numbers), sources=len(present)))

    suspects = [source for source in present if source.code in ledger.suspects]
    others = [source for source in present if source.code not in ledger.suspects]
    _in_lanes_and_alone(run, others, suspects, export)


def _in_lanes_and_alone(
    run: Run,
    others: Sequence[Source],
    suspects: Sequence[Source],
    export: Callable[[Run, Source], None],
) -> None:
    """Small sources side by side, then the others one by one.

    Last of all come those with which a snapshot was lost: it may be for their sake.
    """
    sources = [*others, *suspects]
    small = [source for source in others if is_small(source)]
    large = [source for source in others if not is_small(source)]
    lanes = lanes_for(run, len(small), _connections(run, large))
    if not lanes:
        large = list(others)
    if sources:
        # For what lanes leave, too: later, a lock would stand behind whoever alters a table.
        connected(run, _connections(run, [*large, *suspects]))
    if lanes:
        large += in_lanes(run, small, lanes, export)
    large += suspects
    for number, source in enumerate(large, start=1):
        export(replace(run, at_last=number == len(large)), source)


def _connections(run: Run, sources: Sequence[Source]) -> int:
    """How many connections may read the most divided source."""
    most, traits = run.resources.connections, run.snapshot.traits
    relations = [source.relation for source in sources if source.relation is not None]
    return max((connections_for(relation, most, traits) for relation in relations), default=1)


def _is_missing(run: Run, source: Source) -> bool:
    """Whether there is no relation, and was none when the run began either."""
    refused = source.code in run.snapshot.unlocked or source.broken is not None
    return source.relation is None and not refused


def _skipped(run: Run, source: Source) -> SourceOutcome:
    """A source whose relation does not exist, which is expected."""
    reason = str(RelationMissing(source.qualified_name))
    outcome = SourceOutcome(code=source.code, state=SourceState.SKIPPED, reason=reason)
    run.report(SourceSkipped(outcome=outcome, relation=source.qualified_name))
    return outcome
