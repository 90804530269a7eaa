"""Copying one source of a run: plan, copy, watch, and copy anew where a value was in the way."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from duckwarp.catalog.update import Keeper
from duckwarp.engine.copy import (
    CopyJob,
    LargeNumberFound,
    LongRowFound,
    OutOfMemory,
    SpecialValueFound,
    start_copy,
)
from duckwarp.engine.encoding import explain_encoding, is_about_encoding
from duckwarp.engine.layout import Reader, Resources
from duckwarp.engine.memory import check_columns, check_longest
from duckwarp.engine.plan import ExportPlan
from duckwarp.engine.planning import Experience, plan_source
from duckwarp.engine.session import (
    Running,
    Session,
    SharedSnapshot,
    enter_snapshot,
)
from duckwarp.files.dataset import FOOTER_KEY, dataset_of, footer_text
from duckwarp.files.digest import GrowingDigest
from duckwarp.files.facts import read_facts
from duckwarp.files.schema import ARROW_SCHEMA_KEY, FieldFacts, arrow_schema
from duckwarp.model.column import Column
from duckwarp.model.dataset import Dataset
from duckwarp.model.errors import ServerSaid, SnapshotTooOld, SourceError
from duckwarp.model.filenames import name_from_disk
from duckwarp.model.results import FileFacts
from duckwarp.model.run_events import (
    CopyRepeated,
    CopyTicked,
    ReadCompleted,
    ReadStarted,
    Reporter,
    WriteCompleted,
    WriteStarted,
)
from duckwarp.model.settings import Order, Settings, SortIn, Spill
from duckwarp.model.sizes import size_text
from duckwarp.model.source import Source
from duckwarp.postgres.access import check_still_the_same
from duckwarp.postgres.backends import cancel, rows_being_read
from duckwarp.postgres.snapshot import Snapshot, is_in_the_way, stop_asking
from duckwarp.store.space import check_space, free_text
from duckwarp.store.staging import Staging, staged
from duckwarp.verify.check import Check

T = TypeVar("T")

TICK_SECONDS = 0.5
STOP_SECONDS = 0.1
EMPTY_FILE_BYTES = 4  # the magic number: nothing else is written before the first row group


class Deferred(Exception):
    """A source that was thought small needs the run for itself: it is to be copied later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the steps of one run share, of all its sources or of those in one lane.

    `turn` is held by whoever uses the snapshot's connection, `placing` by whoever puts files in
    place; `stop` is set when the run is to end, `expired` when it has held the snapshot as long as
    it may. `check` compares each file with its table, where that was asked for. `catalog` is that
    of the output folder. `at_last` says that nothing is copied after this source.
    """

    settings: Settings
    resources: Resources
    memory_bytes: int
    spill: Spill
    snapshot: Snapshot
    shared: SharedSnapshot
    session: Session
    staging: Staging
    catalog: Keeper
    report: Reporter
    turn: threading.RLock = field(default_factory=threading.RLock)
    placing: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)
    expired: threading.Event = field(default_factory=threading.Event)
    check: Check | None = None
    in_lane: bool = False
    at_last: bool = False


@contextlib.contextmanager
def snapshot_age_limited(run: Run) -> Iterator[None]:
    """End what goes on in the block once the snapshot has been held as long as it may."""
    limit = run.settings.max_snapshot_age_seconds
    if not limit:
        yield
        return

    def expire() -> None:
        run.expired.set()
        stop_asking(run.snapshot)

    timer = threading.Timer(max(0.0, limit - run.snapshot.age_seconds), expire)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def check_age(run: Run) -> None:
    """Raises `SnapshotTooOld` where the snapshot has been held as long as it may."""
    if run.expired.is_set():
        raise SnapshotTooOld(run.settings.max_snapshot_age_seconds)


def connected(run: Run, connections: int) -> None:
    """Let the engine's sessions into the snapshot, with locks of their own, for all sources."""
    watched(run, Running(run.session, enter_snapshot, run.session, run.shared, connections))


def copied(run: Run, source: Source, columns: tuple[Column, ...]) -> tuple[ExportPlan, FileFacts]:
    """The staged Parquet file: copied, and copied anew where what was met asks for another plan."""
    try:
        return _copied(run, source, columns)
    except SourceError as error:
        if is_about_encoding(error):
            with run.turn:
                explain_encoding(run.snapshot.connection, source, columns, run.snapshot.traits)
        raise


def _copied(run: Run, source: Source, columns: tuple[Column, ...]) -> tuple[ExportPlan, FileFacts]:
    path = staged(run.staging, source.code).parquet
    experience = Experience()
    check_columns(len(columns), run.memory_bytes)
    while True:
        with run.turn:
            plan = plan_source(
                run.snapshot, source, columns, run.settings, run.resources, experience
            )
        if run.in_lane and not _is_light(plan):
            raise Deferred
        if experience == Experience():
            shown = name_from_disk(str(path))
            for started in (ReadStarted, WriteStarted):
                run.report(started(source=source.code, columns=len(columns), path=shown))
        plan = _with_descriptions(plan, source, columns)
        check_longest(plan.layout.longest_bytes, run.memory_bytes)
        check_space(run.spill, plan.layout.spill_bytes)
        free = free_text(run.spill.place)
        try:
            rows, sha256 = _copy(run, plan, path)
            facts = replace(read_facts(path, expected_rows=rows), sha256=sha256)
            if experience.one_thread or _is_cut_as_planned(plan, facts):
                break
            if run.in_lane:
                # The number of threads is that of all lanes.
                raise Deferred
            experience = replace(experience, one_thread=True)
        except ServerSaid:
            with run.turn:
                is_locked_out = not experience.locked_out and is_in_the_way(run.snapshot)
            if not is_locked_out:
                raise
            experience = replace(experience, locked_out=True)
            run.report(CopyRepeated(source=source.code, reason=_LOCKED_OUT))
        except _MET as met:
            if run.in_lane and isinstance(met, OutOfMemory):
                raise Deferred from met
            before, experience = experience, _learned(experience, met, plan)
            if experience == before:
                raise SourceError(_reason(run, met, free)) from met
            run.report(CopyRepeated(source=source.code, reason=_WHY[type(met)]))
    with run.turn:
        check_still_the_same(run.snapshot.connection, source)
    written_as = tuple(str(planned.form.type) for planned in plan.columns)
    figures: dict[str, Any] = {"source": source.code, "columns": len(columns), "path": str(path)}
    run.report(ReadCompleted(**figures, rows=rows))
    run.report(WriteCompleted(**figures, rows=rows, written_as=written_as))
    return plan, facts


def _is_cut_as_planned(plan: ExportPlan, facts: FileFacts) -> bool:
    """Whether every row group but the last is full, as one thread makes them.

    Several threads make one row group of a table that has up to a vector of rows more than that.
    """
    if plan.order is not Order.ALL or plan.layout.reader is Reader.BYTES:
        return True
    *full, last = facts.row_group_rows or (0,)
    most = plan.layout.row_group_rows
    return last <= most and all(rows == most for rows in full)


def _is_light(plan: ExportPlan) -> bool:
    """Whether a source can be copied beside others: in memory, and as all of them are."""
    return not (plan.reads_over_snapshot or plan.layout.spill_bytes)


def _learned(experience: Experience, met: Exception, plan: ExportPlan) -> Experience:
    """The experience after an attempt that has met this."""
    if isinstance(met, SpecialValueFound):
        return experience.of(met.position, plan)
    if isinstance(met, LargeNumberFound):
        return replace(experience, large_numbers=True)
    if isinstance(met, LongRowFound):
        return replace(experience, long_rows=True)
    return replace(experience, short_of_memory=True)


_LOCKED_OUT = (
    "another session waits to change it, and the readers stand behind; it is read by the session "
    "that has the lock, now"
)
_MET = (SpecialValueFound, LongRowFound, LargeNumberFound, OutOfMemory)
_WHY = {
    SpecialValueFound: "it has values that its types do not hold, which are counted first",
    LargeNumberFound: "it has larger numbers than a look at some of its pages has shown",
    LongRowFound: "it has long rows, whose lengths are counted first",
    OutOfMemory: "memory ran out; it is read over one connection, with one thread, now",
}


def _reason(run: Run, met: Exception, free: str) -> str:
    """Why the source failed, and what to change; `free` is what could be spilled at its start."""
    if not isinstance(met, OutOfMemory):
        return str(met)
    advice = [f"allow more than --memory {size_text(run.memory_bytes)}"]
    if run.settings.sort_in is SortIn.DUCKDB:
        advice.append("let PostgreSQL sort with --sort-in postgres")
    if run.settings.temp_limit_bytes is not None:
        limit = size_text(run.settings.temp_limit_bytes)
        advice.append(f"let the sort spill more than --temp-limit {limit}")
    elif met.spilling:
        advice.append(
            f"name a larger disk than {run.spill.place}, which had {free}, with --temp-dir"
        )
    return f"ran out of {'temporary space' if met.spilling else 'memory'}: {met}; {_either(advice)}"


def _either(advice: Sequence[str]) -> str:
    *others, last = advice
    return f"{', '.join(others)}, or {last}" if others else last


def published_dataset(plan: ExportPlan, source: Source, columns: Sequence[Column]) -> Dataset:
    """The source as the plan publishes it."""
    types = [planned.form.type for planned in plan.columns]
    return dataset_of(source, columns, types, plan.order)


def _with_descriptions(plan: ExportPlan, source: Source, columns: Sequence[Column]) -> ExportPlan:
    """The plan, with what a reader should know about the file and its columns in the footer."""
    fields = [
        FieldFacts(
            column=column,
            type=planned.form.type,
            losses=planned.form.losses,
            note=planned.form.note,
            unmarked_json=planned.form.unmarked_json,
        )
        for column, planned in zip(columns, plan.columns, strict=True)
    ]
    described = (FOOTER_KEY, footer_text(published_dataset(plan, source, columns)))
    fields_described = (ARROW_SCHEMA_KEY, arrow_schema(fields, plan.footer_keys))
    return replace(plan, footer_keys=(*plan.footer_keys, described, fields_described))


def _copy(run: Run, plan: ExportPlan, path: Path) -> tuple[int, str]:
    """Run the plan, telling how far it is; the rows written, and the SHA-256 of the file."""
    rows_read = size_bytes = 0
    digest = GrowingDigest(path)

    def tick() -> None:
        nonlocal rows_read, size_bytes
        digest.advance()
        size_before, size_bytes = size_bytes, _size_bytes(path)
        if size_bytes != size_before:
            run.snapshot.watch.mark()
        if plan.reads_over_snapshot:
            # The server sorts, and what comes is written as it comes.
            _report_position(run, plan, path, rows_read, sending=True)
        else:
            rows_read = _tick(run, plan, path, rows_read)

    def count(rows: int) -> None:
        nonlocal rows_read
        rows_read += rows
        run.snapshot.watch.mark()

    job = CopyJob(
        plan=plan,
        shared=run.shared,
        path=path,
        connection=run.snapshot.connection,
        on_rows=count,
    )
    rows = watched(run, start_copy(run.session, job), tick)
    return rows, digest.ended()


def watched(run: Run, work: Running[T], tick: Callable[[], None] = lambda: None) -> T:
    """Wait for the engine's work, ticking; whatever comes between stops it before it goes on."""
    try:
        while not work.wait(TICK_SECONDS):
            check_age(run)
            tick()
    except BaseException:
        _stop(run, work)
        raise
    return work.result()


def _stop(run: Run, work: Running[T]) -> None:
    """Cancel on both sides until the work has ended: it may be between two statements.

    A server that does not answer is not waited for.
    """
    stopped = False
    with run.snapshot.watch.hurrying():
        while not stopped:
            cancel(run.snapshot, run.settings.dsn, os.environ)
            work.interrupt()
            stopped = work.wait(STOP_SECONDS)


def _tick(run: Run, plan: ExportPlan, path: Path, rows_before: int) -> int:
    """Tell how far the copy is; the rows read so far.

    The server tells while it sends, and DuckDB sorts as it goes. Then comes the end of the sort,
    and the file begins to grow.
    """
    with run.turn:
        rows, sending = rows_being_read(run.snapshot)
    if rows != rows_before:
        run.snapshot.watch.mark()
    rows = max(rows, rows_before)
    _report_position(run, plan, path, rows, sending=bool(sending))
    return rows


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _report_position(run: Run, plan: ExportPlan, path: Path, rows: int, *, sending: bool) -> None:
    file_bytes = _size_bytes(path)
    if sending or not rows:
        phase = "reading"
    else:
        phase = "writing" if file_bytes > EMPTY_FILE_BYTES else "sorting"
    run.report(
        CopyTicked(
            source=plan.code,
            phase=phase,
            rows_read=rows,
            expected_rows=plan.expected_rows,
            file_bytes=file_bytes,
        )
    )
