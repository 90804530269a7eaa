"""One source of a run made ready: copied, verified, documented, compared with what is published.

What goes wrong with a source becomes its outcome.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial

from duckwarp.catalog.entry import Circumstances, Entry
from duckwarp.catalog.update import entry_for
from duckwarp.checks.admission import admit
from duckwarp.engine.plan import ExportPlan
from duckwarp.engine.session import close_early
from duckwarp.export.copy import Deferred, Run, copied, published_dataset
from duckwarp.export.publish import (
    Ended,
    Verdict,
    compare_with_published,
    put_in_place,
    why_not_written,
)
from duckwarp.export.retry import RUN_ENDS, source_tried
from duckwarp.files.markdown import ColumnEntry, dictionary
from duckwarp.files.opening import inodes_text
from duckwarp.model.column import Column
from duckwarp.model.errors import DuckwarpError
from duckwarp.model.filenames import name_from_disk
from duckwarp.model.redaction import without_hidden, without_passwords
from duckwarp.model.results import (
    BYTES_PER_MB,
    ExportResult,
    FileFacts,
    SourceOutcome,
    SourceState,
)
from duckwarp.model.run_events import (
    Reporter,
    SourceExported,
    SourceFailed,
    SourceWarned,
    ValuesLost,
    VerificationCompleted,
    VerificationStarted,
)
from duckwarp.model.settings import Publish
from duckwarp.model.source import Source
from duckwarp.model.version import __version__
from duckwarp.store.flushing import flush_ahead
from duckwarp.store.publishing import check_places
from duckwarp.store.space import free_text, is_disk_full
from duckwarp.store.staging import discard, published, staged

# A file that takes a while to flush.
LARGE_FILE_BYTES = 16_000_000


def failed(report: Reporter, source: Source, error: str, seconds: float) -> SourceOutcome:
    """Report that a source has failed; its outcome."""
    outcome = SourceOutcome(
        code=source.code,
        state=SourceState.FAILED,
        result=ExportResult.failure(source.code, error),
        reason=error,
        seconds=seconds,
    )
    report(SourceFailed(outcome=outcome))
    return outcome


def prepared(run: Run, source: Source, columns: tuple[Column, ...]) -> Ended:
    """One source from lock to staged files; what goes wrong with it becomes its outcome."""
    started = time.monotonic()
    places = dict.fromkeys((run.settings.output_dir, run.spill.place))
    free = ", ".join(f"{place} had {free_text(place)}" for place in places)
    try:
        check_places(run.staging.output_dir, source.code)
        admit(run.snapshot, source, columns, run.settings)
        plan, facts = source_tried(run, source, partial(_staged, run, source, columns))
        if run.at_last:
            close_early(run.session)
        if facts.size_bytes > LARGE_FILE_BYTES:
            flush_ahead(staged(run.staging, source.code).parquet)
        entry = _entry(run, source, columns, plan, facts)
        _document(run, source, columns, plan, facts, entry)
        verdict = compare_with_published(run.staging, run.settings, run.report, source.code, facts)
        run.catalog.learn(entry)
    except Exception as error:
        # Before the disk gets back what was staged.
        reason = _reason(run, error, free)
        discard(run.staging, source.code)
        if run.stop.is_set() or isinstance(error, (Deferred, *RUN_ENDS)):
            raise
        outcome = failed(run.report, source, reason, time.monotonic() - started)
        return Ended(outcome=outcome)
    return _exported(run, plan, facts, verdict, time.monotonic() - started)


def _staged(run: Run, source: Source, columns: tuple[Column, ...]) -> tuple[ExportPlan, FileFacts]:
    """The staged Parquet file of a source, verified where that was asked for."""
    plan, facts = copied(run, source, columns)
    if run.check is not None:
        run.report(VerificationStarted(source=source.code))
        with run.turn if run.check.uses_snapshot else nullcontext():
            run.check.require_equal(source, columns, staged(run.staging, source.code).parquet)
        run.report(VerificationCompleted(source=source.code, rows=facts.rows))
    return plan, facts


def _reason(run: Run, error: Exception, free: str) -> str:
    """Why a source failed. A fault of duckwarp's own fails its source, too, and not the others."""
    if isinstance(error, DuckwarpError):
        reason = without_hidden(str(error))
    elif isinstance(error, OSError):
        reason = why_not_written(error, run.settings.output_dir)
    else:
        words = without_passwords(str(error))
        return f"unexpected {type(error).__name__}: {words}; this is an error in duckwarp"
    if not is_disk_full(error):
        return reason
    gone = "".join(dict.fromkeys(map(inodes_text, (run.spill.place, run.settings.output_dir))))
    return f"{reason}; {free} when its export began{'' if gone in reason else gone}"


def _document(
    run: Run,
    source: Source,
    columns: tuple[Column, ...],
    plan: ExportPlan,
    facts: FileFacts,
    entry: Entry,
) -> None:
    """Write the dictionary beside the staged file."""
    entries = [
        ColumnEntry(
            column=column,
            written_as=None if planned.form.obvious else str(planned.form.type),
            statistics=statistics,
            notes=planned.form.notes,
        )
        for column, planned, statistics in zip(columns, plan.columns, facts.columns, strict=True)
    ]
    page = dictionary(
        source,
        entries,
        facts=facts,
        notes=_notes(run, plan),
        generated=datetime.now(UTC),
        version=__version__,
    )
    if run.settings.front_matter:
        from duckwarp.catalog.frontmatter import front_matter

        page = front_matter(entry) + page
    staged(run.staging, source.code).markdown.write_text(page, encoding="utf-8")


def _entry(
    run: Run,
    source: Source,
    columns: tuple[Column, ...],
    plan: ExportPlan,
    facts: FileFacts,
) -> Entry:
    """What the catalog says of a staged source."""
    circumstances = Circumstances(
        publication=run.report.publication,
        snapshot_time=run.snapshot.taken_at,
        last_load_at=source.last_load_at,
        version=__version__,
    )
    dataset = published_dataset(plan, source, columns)
    return entry_for(dataset, facts, staged(run.staging, source.code).parquet, circumstances)


def _exported(
    run: Run, plan: ExportPlan, facts: FileFacts, verdict: Verdict, seconds: float
) -> Ended:
    """The outcome of a staged source, whose files are put in place now or with all others."""
    pair = published(run.staging, plan.code)
    result = ExportResult(
        success=True,
        canonical_code=plan.code,
        row_count=facts.rows,
        column_count=len(plan.columns),
        parquet_size_mb=facts.size_bytes / BYTES_PER_MB,
        parquet_path=name_from_disk(str(pair.parquet)),
        metadata_path=name_from_disk(str(pair.markdown)),
    )
    notes = _notes(run, plan)
    for loss in plan.losses:
        run.report(ValuesLost.of(plan.code, loss))
    for note in notes:
        run.report(SourceWarned(source=plan.code, warning=note))
    outcome = SourceOutcome(
        code=plan.code,
        state=verdict.state,
        result=result,
        size_bytes=facts.size_bytes,
        seconds=seconds,
        losses=plan.losses,
        notes=(*notes, *verdict.notes),
    )
    run.report(SourceExported(outcome=outcome, snapshot_id=run.snapshot.snapshot_id))
    if verdict.state is SourceState.UNCHANGED:
        discard(run.staging, plan.code)
        return Ended(outcome=outcome)
    if run.settings.publish is Publish.TOGETHER:
        return Ended(outcome=outcome, change=verdict.change)
    changes = {plan.code: verdict.change}
    with run.placing:
        (at_last,) = put_in_place(
            run.staging, run.settings, run.report, [outcome], changes, run.catalog
        )
    return Ended(outcome=at_last)


def _notes(run: Run, plan: ExportPlan) -> tuple[str, ...]:
    """What a reader of the report should know about the source as a whole."""
    notes = []
    if plan.hides_rows:
        role = run.snapshot.role
        notes.append(f'row-level security: only the rows that role "{role}" may see')
    for name, file_name in plan.renamed:
        why = "another column's name differs from its own in case only"
        notes.append(f'column "{name}" is called "{file_name}" in the file: {why}')
    return tuple(notes)
