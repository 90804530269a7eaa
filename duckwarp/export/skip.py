"""Which sources need not be read: those into which nothing was loaded since they were published.

What shows that is `postgres/loads.py`'s matter, what is remembered `store/remembered.py`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

from duckwarp.export.copy import Run
from duckwarp.model.column import Column
from duckwarp.model.filenames import name_from_disk
from duckwarp.model.results import BYTES_PER_MB, ExportResult, SourceOutcome, SourceState
from duckwarp.model.run_events import SourceExported
from duckwarp.model.settings import Settings
from duckwarp.model.source import Source
from duckwarp.model.version import __version__
from duckwarp.store.publishing import pair_in
from duckwarp.store.remembered import Remembered, files_of, recall, remember
from duckwarp.store.staging import Staging

NOT_READ = "not read: nothing was loaded since it was published"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What is remembered of a source once it is published: see `Remembered`."""

    mark: str
    shape: str


def traces_of(
    run: Run,
    sources: Sequence[Source],
    columns: Mapping[str, Sequence[Column]],
) -> dict[str, Trace]:
    """The traces of sources as they are now, by code; of those whose loads somebody can tell."""
    traces = {}
    for source in sources:
        mark = run.snapshot.marks.get(source.code)
        if mark is not None:
            shape = _shape(run.settings, source, columns.get(source.code, ()))
            traces[source.code] = Trace(mark=mark, shape=shape)
    return traces


def _shape(settings: Settings, source: Source, columns: Sequence[Column]) -> str:
    """A digest of all that the files depend on besides the rows."""
    # What a load changes is the mark's matter.
    lasting = replace(source, relation=None, last_load_at=None)
    chosen = (
        *(settings.compression, settings.special_values, settings.order),
        *(settings.mode, settings.front_matter),
    )
    made_by = (__version__, version("duckdb"))
    shown = repr((lasting, columns, chosen, made_by))
    return hashlib.sha256(shown.encode(errors="replace")).hexdigest()


def unread(
    run: Run, sources: Sequence[Source], traces: Mapping[str, Trace]
) -> dict[str, SourceOutcome]:
    """The outcome, which is told, of each source that need not be read, by its code."""
    known = recall(run.staging.folder.parent)
    outcomes = {}
    for code in (source.code for source in sources):
        last, trace = known.get(code), traces.get(code)
        if last is None or trace is None or code in run.snapshot.unlocked:
            continue
        same = (last.mark, last.shape) == (trace.mark, trace.shape)
        if same and files_of(run.staging.output_dir, code) == last.files:
            outcomes[code] = _outcome(run.staging, code, last)
            run.report(SourceExported(outcome=outcomes[code], snapshot_id=None))
    return outcomes


def _outcome(staging: Staging, code: str, last: Remembered) -> SourceOutcome:
    pair, size_bytes = pair_in(staging.output_dir, code), last.files[0][0]
    return SourceOutcome(
        code=code,
        state=SourceState.UNCHANGED,
        result=ExportResult(
            success=True,
            canonical_code=code,
            row_count=last.rows,
            column_count=last.columns,
            parquet_size_mb=size_bytes / BYTES_PER_MB,
            parquet_path=name_from_disk(str(pair.parquet)),
            metadata_path=name_from_disk(str(pair.markdown)),
        ),
        reason=NOT_READ,
        read=False,
        size_bytes=size_bytes,
    )


def remember_published(
    staging: Staging, outcomes: Sequence[SourceOutcome], traces: Mapping[str, Trace]
) -> None:
    """Remember what is published now, beside what other sources have left."""
    known = recall(staging.folder.parent)
    for outcome in outcomes:
        files = files_of(staging.output_dir, outcome.code)
        trace, result = traces.get(outcome.code), outcome.result
        # Of one that failed, what was remembered holds for the files that are still there.
        if trace is None or files is None or result is None or not result.success:
            continue
        known[outcome.code] = Remembered(
            mark=trace.mark,
            shape=trace.shape,
            rows=result.row_count,
            columns=result.column_count,
            files=files,
        )
    remember(staging.folder.parent, known)
