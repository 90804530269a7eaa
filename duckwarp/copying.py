"""Copying one source of a run: plan, copy, watch, and copy anew where a value was in the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from duckwarp import telling
from duckwarp.engine.copy import CopyJob, SpecialValueFound, start_copy
from duckwarp.engine.plan import ExportPlan
from duckwarp.engine.session import Running, Session, SharedSnapshot, enter_snapshot
from duckwarp.errors import SourceError
from duckwarp.output.parquet import read_facts
from duckwarp.output.schema import ARROW_SCHEMA_KEY, FieldFacts, arrow_schema
from duckwarp.output.staging import Staging, staged
from duckwarp.planning import Experience, explain_encoding, plan_source
from duckwarp.results import ParquetFacts
from duckwarp.settings import Settings
from duckwarp.source.access import check_still_the_same
from duckwarp.source.backends import cancel, rows_being_read
from duckwarp.source.metadata import Column
from duckwarp.source.registry import Source
from duckwarp.source.snapshot import Snapshot
from duckwarp.telling import Telling

T = TypeVar("T")

TICK_SECONDS = 0.5
STOP_SECONDS = 0.1
EMPTY_FILE_BYTES = 4  # the magic number: nothing else is written before the first row group


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the steps of one run share."""

    settings: Settings
    snapshot: Snapshot
    shared: SharedSnapshot
    session: Session
    staging: Staging
    tell: Telling


def connected(run: Run, connections: int) -> None:
    """Let the engine's sessions into the snapshot, with locks of their own, for all sources."""
    watched(run, Running(run.session, enter_snapshot, run.session, run.shared, connections))


def copied(
    run: Run, source: Source, columns: tuple[Column, ...]
) -> tuple[ExportPlan, ParquetFacts]:
    """The staged Parquet file: copied, and copied anew where a special value was in the way."""
    connection, traits = run.snapshot.connection, run.snapshot.traits
    path = staged(run.staging, source.code).parquet
    telling.copy_started(run.tell, source.code, len(columns), str(path))
    experience = Experience()
    while True:
        plan = plan_source(connection, source, columns, run.settings, traits, experience)
        plan = _with_field_metadata(plan, columns)
        try:
            rows = _copy(run, plan, path)
            break
        except SourceError:
            # Text that has no equivalent in UTF-8 is told by the server without its place.
            explain_encoding(connection, source, columns, traits)
            raise
        except SpecialValueFound as found:
            before, experience = experience, experience.of(found.position, plan)
            if experience == before:
                raise SourceError(str(found)) from found
    check_still_the_same(connection, source)
    facts = read_facts(path, expected_rows=rows)
    telling.copy_completed(run.tell, source.code, len(columns), str(path), rows)
    return plan, facts


def _with_field_metadata(plan: ExportPlan, columns: Sequence[Column]) -> ExportPlan:
    """The plan, with what a reader should know about each column in the file's footer."""
    fields = [
        FieldFacts(
            column=column,
            duckdb_type=planned.form.duckdb_type,
            losses=planned.form.losses,
            note=planned.form.note,
        )
        for column, planned in zip(columns, plan.columns, strict=True)
    ]
    key = (ARROW_SCHEMA_KEY, arrow_schema(fields, plan.footer_keys))
    return replace(plan, footer_keys=(*plan.footer_keys, key))


def _copy(run: Run, plan: ExportPlan, path: Path) -> int:
    """Run the plan, telling how far it is; the rows written."""
    rows_read = 0

    def tick() -> None:
        nonlocal rows_read
        rows_read = _tick(run, plan, path, rows_read)

    return watched(
        run, start_copy(run.session, CopyJob(plan=plan, shared=run.shared, path=path)), tick
    )


def watched(run: Run, work: Running[T], tick: Callable[[], None] = lambda: None) -> T:
    """Wait for the engine's work, ticking; whatever comes between stops it before it goes on."""
    try:
        while not work.wait(TICK_SECONDS):
            tick()
    except BaseException:
        _stop(run, work)
        raise
    return work.result()


def _stop(run: Run, work: Running[T]) -> None:
    """Cancel on both sides until the work has ended: it may be between two statements."""
    stopped = False
    while not stopped:
        cancel(run.snapshot, run.settings.dsn, os.environ)
        work.interrupt()
        stopped = work.wait(STOP_SECONDS)


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
    telling.copy_ticked(
        run.tell,
        plan.code,
        phase,
        rows_read=rows,
        expected_rows=plan.expected_rows,
        file_bytes=file_bytes,
    )
    return rows
