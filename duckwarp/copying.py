"""Copying one source of a run: plan, copy, watch, and copy anew where a value was in the way."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from duckwarp import telling
from duckwarp.engine.copy import CopyJob, RunningCopy, SpecialValueFound
from duckwarp.engine.plan import ExportPlan
from duckwarp.engine.session import Session, SharedSnapshot
from duckwarp.errors import SourceError
from duckwarp.output.parquet import read_facts
from duckwarp.output.staging import Staging, staged
from duckwarp.planning import Experience, plan_source
from duckwarp.results import ParquetFacts
from duckwarp.settings import Settings
from duckwarp.source.access import check_still_the_same
from duckwarp.source.backends import cancel, rows_being_read
from duckwarp.source.metadata import Column
from duckwarp.source.registry import Source
from duckwarp.source.snapshot import Snapshot
from duckwarp.telling import Telling

TICK_SECONDS = 0.5
EMPTY_FILE_BYTES = 4  # the magic number: nothing else is written before the first row group


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


def copied(
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
    telling.copy_started(run.tell, plan.code, len(plan.columns), str(path))
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
    telling.copy_completed(run.tell, plan.code, len(plan.columns), str(path), rows)
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
    telling.copy_ticked(
        run.tell,
        plan.code,
        phase,
        rows_read=rows,
        expected_rows=plan.expected_rows,
        file_bytes=file_bytes,
    )
    return rows
