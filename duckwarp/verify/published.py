"""The story of a verification: does each published file still equal its table?

Both sides are looked at in one snapshot. A file that is not as its table is gets a verdict that
says which of the two has changed, as far as that is known.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from duckwarp.catalog.entry import Entry
from duckwarp.checks.admission import admit, check_source
from duckwarp.engine.allocator import memory_given_back
from duckwarp.engine.batches import Asker, open_asker
from duckwarp.engine.encoding import explain_encoding, is_about_encoding
from duckwarp.engine.layout import Resources
from duckwarp.engine.memory import MIN_DUCKDB_BYTES, memory_budget
from duckwarp.engine.session import resources_of
from duckwarp.model.column import Column
from duckwarp.model.errors import FileUnreadable, RelationMissing, RunError, SourceError
from duckwarp.model.filenames import parquet_in
from duckwarp.model.settings import Settings
from duckwarp.model.sizes import size_text
from duckwarp.model.source import Selection, Source
from duckwarp.postgres.columns import describe
from duckwarp.postgres.snapshot import Snapshot, open_snapshot
from duckwarp.verify.bench import (
    NEEDED_BYTES,
    Bench,
    Progress,
    compared,
    compared_quickly,
    open_bench,
)
from duckwarp.verify.filetext import MACROS
from duckwarp.verify.history import has_changed, read_catalog
from duckwarp.verify.offline import codes_of_files, look_at_file
from duckwarp.verify.verdicts import Agreement, Finding, Verdict, VerificationReport

# What pyarrow takes besides DuckDB: its code, and a batch in Arrow's form.
ARROW_BYTES = 120_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the verification of all sources shares."""

    settings: Settings
    snapshot: Snapshot
    bench: Bench
    catalog: Mapping[str, Entry]
    quick: bool


def verify_published(
    selection: Selection | None,
    settings: Settings,
    *,
    quick: bool = False,
    progress: Progress = lambda *_: None,
) -> VerificationReport:
    """Compare the published file of each source of `selection` with its table.

    Without a selection, each file in the output folder, whose name has to be a code of the
    registry. With `quick`, rows and NULLs are compared, from the file's footer. `progress` is told
    how many rows of which file have been read, of how many. Raises `UsageError` and `RunError` as
    `run_export` does.
    """
    started = time.monotonic()
    process_bytes, resources = _limits(settings)
    chosen = selection or Selection(everything=True)
    with (
        open_snapshot(chosen, settings, dict(os.environ)) as snapshot,
        memory_given_back(process_bytes),
        open_bench(snapshot, resources, process_bytes) as bench,
    ):
        run = Run(
            settings=settings,
            snapshot=snapshot,
            bench=replace(bench, progress=progress),
            catalog=read_catalog(settings.output_dir) or {},
            quick=quick,
        )
        sources = snapshot.sources
        if selection is None:
            sources = tuple(each for each in sources if _is_there(settings.output_dir, each.code))
        columns = describe(snapshot.connection, sources, settings.registry_schema)
        verdicts = [_timed(run, source, columns.get(source.code, ())) for source in sources]
        if selection is None:
            verdicts += _unknown(settings, {source.code for source in sources})
    return VerificationReport(
        output_dir=str(settings.output_dir),
        verdicts=tuple(sorted(verdicts, key=lambda verdict: verdict.code)),
        seconds=time.monotonic() - started,
        snapshot_time=snapshot.taken_at,
    )


def _limits(settings: Settings) -> tuple[int, Resources]:
    """The memory of the process, and what DuckDB may use. Raises `RunError` if it is too little."""
    budget = memory_budget(settings)
    if budget.process_bytes < NEEDED_BYTES:
        raise RunError(
            f"a verification needs at least --memory {size_text(NEEDED_BYTES)}, "
            f"not {size_text(budget.process_bytes)}"
        )
    left = max(budget.duckdb_bytes - ARROW_BYTES, MIN_DUCKDB_BYTES)
    return budget.process_bytes, replace(resources_of(settings, budget), duckdb_bytes=left)


def _unknown(settings: Settings, known: set[str]) -> list[Verdict]:
    """The verdicts on files that no source of the registry is called like."""
    codes = codes_of_files(None, settings.output_dir, {})
    reason = "the registry has no source of this code: name its table with --table or --schema"
    return [
        Verdict(code=code, agreement=Agreement.FAILED, reasons=(reason,))
        for code in codes
        if code not in known
    ]


def _path(settings: Settings, source: Source) -> Path:
    return parquet_in(settings.output_dir, source.code)


def _is_there(folder: Path, code: str) -> bool:
    """Whether there is a file, or whatever, for a code that may be no name for a file."""
    try:
        return "/" not in code and os.path.lexists(parquet_in(folder, code))
    except (OSError, ValueError):
        return False


def _timed(run: Run, source: Source, columns: tuple[Column, ...]) -> Verdict:
    started = time.monotonic()
    try:
        verdict = _verdict(run, source, columns)
    except FileUnreadable as error:
        verdict = _explained(run, source, Finding(), (str(error),))
        verdict = replace(verdict, agreement=Agreement.DIFFERENT)
    except OSError as error:
        verdict = Verdict(code=source.code, agreement=Agreement.FAILED, reasons=(str(error),))
    except SourceError as error:
        reason = str(_placed(run, source, columns, error))
        verdict = Verdict(code=source.code, agreement=Agreement.FAILED, reasons=(reason,))
    return replace(verdict, seconds=time.monotonic() - started)


def _placed(
    run: Run, source: Source, columns: tuple[Column, ...], error: SourceError
) -> SourceError:
    """The error, or a better one where text has no UTF-8."""
    if is_about_encoding(error):
        try:
            explain_encoding(run.snapshot.connection, source, columns, run.snapshot.traits)
        except SourceError as placed:
            return placed
    return error


def _verdict(run: Run, source: Source, columns: tuple[Column, ...]) -> Verdict:
    """What becomes of one source. Raises `SourceError`."""
    check_source(source)
    path = _path(run.settings, source)
    reason = str(RelationMissing(source.qualified_name))
    if not os.path.lexists(path):
        agreement = Agreement.SKIPPED
        if source.relation is not None:
            agreement = Agreement.MISSING
            reason = f"there is no {source.code}.parquet in {run.settings.output_dir}"
        return Verdict(code=source.code, agreement=agreement, reasons=(reason,))
    if source.relation is None:
        return Verdict(code=source.code, agreement=Agreement.CHANGED, reasons=(reason,))
    admit(run.snapshot, source, columns, run.settings)
    compare = compared_quickly if run.quick else compared
    finding = compare(run.bench, source, columns, path)
    if not finding.differences:
        return Verdict(code=source.code, agreement=Agreement.EQUAL, finding=finding)
    return _explained(run, source, finding, finding.reasons)


def _explained(run: Run, source: Source, finding: Finding, reasons: tuple[str, ...]) -> Verdict:
    """A file that is not as the table is, with what tells which of the two has changed."""
    path, published = _path(run.settings, source), run.catalog.get(source.code)
    try:
        changed, why = has_changed(path, source, published, finding.table_rows)
    except FileUnreadable:  # which has been told
        changed, why = False, ()
    return Verdict(
        code=source.code,
        agreement=Agreement.CHANGED if changed else Agreement.DIFFERENT,
        finding=finding,
        reasons=(*reasons, *why),
    )


def verify_files(
    selection: Selection | None, settings: Settings, *, progress: Progress = lambda *_: None
) -> VerificationReport:
    """Look at the published files without the database; without a selection, at all of them.

    A file has to be the one that the catalog lists, to be whole, and to be in order. `progress` is
    told which one it is, without rows. Raises `UsageError` for a selection of tables, and where
    nothing matches.
    """
    started = time.monotonic()
    process_bytes, resources = _limits(settings)
    catalog = read_catalog(settings.output_dir)
    codes = codes_of_files(selection, settings.output_dir, catalog or {})
    with (
        memory_given_back(process_bytes),
        open_asker(resources.duckdb_bytes, resources.threads, MACROS) as asker,
    ):
        verdicts = []
        for code in codes:
            progress(code, 0, 0)
            verdicts.append(_file_verdict(settings.output_dir, code, asker, catalog))
    return VerificationReport(
        output_dir=str(settings.output_dir),
        verdicts=tuple(verdicts),
        seconds=time.monotonic() - started,
    )


def _file_verdict(
    folder: Path, code: str, asker: Asker, catalog: Mapping[str, Entry] | None
) -> Verdict:
    started = time.monotonic()
    agreement = Agreement.DIFFERENT
    finding = Finding()
    if not _is_there(folder, code):
        agreement = Agreement.MISSING
        reasons: tuple[str, ...] = (f"there is no {code}.parquet in {folder}",)
    else:
        try:
            published = None if catalog is None else catalog.get(code)
            path = parquet_in(folder, code)
            finding = look_at_file(path, asker, published, has_catalog=catalog is not None)
            agreement = Agreement.DIFFERENT if finding.differences else Agreement.EQUAL
            reasons = finding.reasons
        except SourceError as error:
            reasons = (str(error),)
    return Verdict(
        code=code,
        agreement=agreement,
        finding=finding,
        reasons=reasons,
        seconds=time.monotonic() - started,
    )
