"""What `--json` prints: one document a command, for programs. Plain data, no output.

Names may be added to a document and are never changed; units stand in the names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duckwarp.model.results import RunReport, SourceOutcome, SourceState
from duckwarp.model.version import __version__

if TYPE_CHECKING:
    from duckwarp.doctor import Diagnosis
    from duckwarp.engine.column_form import ColumnForm
    from duckwarp.export.preview import PlannedSource, SourceDescription
    from duckwarp.export.profile import FileProfile
    from duckwarp.model.column import Column
    from duckwarp.model.source import Source
    from duckwarp.verify.verdicts import Verdict, VerificationReport

Document = dict[str, Any]


def report_document(report: RunReport, exit_code: int) -> Document:
    """A run that came to its end: a result per exported or failed source, the skipped, totals."""
    skipped = report.of_state(SourceState.SKIPPED)
    return {
        "version": __version__,
        "run_id": report.run_id,
        "output_dir": report.output_dir,
        "exit_code": exit_code,
        "results": [_result(outcome) for outcome in report.outcomes if outcome not in skipped],
        "skipped": [{"canonical_code": o.code, "reason": o.reason} for o in skipped],
        "totals": {
            "sources": len(report.outcomes),
            **{state.value: len(report.of_state(state)) for state in SourceState},
            "rows": report.total_rows,
            "size_bytes": report.total_bytes,
            "seconds": report.seconds,
        },
    }


def _result(outcome: SourceOutcome) -> Document:
    result = {} if outcome.result is None else dataclasses.asdict(outcome.result)
    return result | {
        "state": outcome.state.value,
        "read": outcome.read,
        "seconds": outcome.seconds,
        "size_bytes": outcome.size_bytes,
        "losses": [dataclasses.asdict(loss) for loss in outcome.losses],
        "notes": list(outcome.notes),
    }


def diagnosis_document(diagnosis: Diagnosis, exit_code: int) -> Document:
    """All checks of the doctor."""
    return {
        "version": __version__,
        "exit_code": exit_code,
        "healthy": diagnosis.is_healthy,
        "checks": [dataclasses.asdict(check) for check in diagnosis.checks],
    }


def error_document(message: str, exit_code: int, report: RunReport | None = None) -> Document:
    """A command that was stopped by an error; an export says what it had come to by then."""
    stopped = {"version": __version__, "exit_code": exit_code, "error": message}
    return stopped if report is None else report_document(report, exit_code) | stopped


def sources_document(sources: Sequence[Source]) -> Document:
    """The sources that may be exported."""
    return {"version": __version__, "sources": [_source(source) for source in sources]}


def plan_document(planned: Sequence[PlannedSource], exit_code: int) -> Document:
    """What an export would do; `plan` is null for a source that would be skipped or would fail."""
    return {
        "version": __version__,
        "exit_code": exit_code,
        "sources": [_source(entry.source) | _fate(entry) for entry in planned],
    }


def _fate(entry: PlannedSource) -> Document:
    from duckwarp.engine.plan import explain

    plan = None if entry.plan is None else explain(entry.plan)
    return {"plan": plan, "reason": entry.reason, "missing": entry.missing}


def catalog_document(
    folder: Path, records: Iterable[Document], left_out: Mapping[str, str]
) -> Document:
    """The catalog of a folder, with the names of its columns; files left out, each with why."""
    return {
        "version": __version__,
        "output_dir": str(folder),
        "datasets": list(records),
        "left_out": [{"file_path": name, "reason": why} for name, why in left_out.items()],
    }


def description_document(
    description: SourceDescription, profile: FileProfile | None = None
) -> Document:
    """The data dictionary of one source; `published` is null where it has no published file."""
    pairs = zip(description.columns, description.forms, strict=True)
    columns = [_column(column, form) for column, form in pairs]
    published = None if profile is None else _profile(profile)
    source = _source(description.source)
    return {"version": __version__} | source | {"columns": columns, "published": published}


def _profile(profile: FileProfile) -> Document:
    columns = zip(profile.facts.names, profile.facts.columns, profile.columns, strict=True)
    return {
        "file_path": str(profile.path),
        "row_count": profile.facts.rows,
        "size_bytes": profile.facts.size_bytes,
        "row_groups": len(profile.facts.row_group_rows),
        "columns": [
            {
                "name": name,
                "null_count": statistics.null_count,
                "min": statistics.minimum,
                "max": statistics.maximum,
                "distinct": column.distinct,
                "distinct_is_exact": column.distinct_is_exact,
                "histogram": column.histogram and dataclasses.asdict(column.histogram),
            }
            for name, statistics, column in columns
        ],
    }


def _source(source: Source) -> Document:
    relation, loaded = source.relation, source.last_load_at
    kind = None if relation is None or relation.kind is None else relation.kind.label
    return {
        "canonical_code": source.code,
        "name": source.name,
        "description": source.description,
        "domain": source.domain,
        "tags": list(source.tags),
        "schema": source.schema,
        "table": source.table,
        "kind": kind,
        "exists": relation is not None,
        "estimated_rows": None if relation is None else relation.estimated_rows,
        "size_bytes": None if relation is None else relation.size_bytes,
        "last_load_at": None if loaded is None else loaded.isoformat(),
    }


def _column(column: Column, form: ColumnForm) -> Document:
    return {
        "name": column.name,
        "position": column.position,
        "data_type": column.data_type,
        "parquet_type": str(form.type),
        "notes": list(form.notes),
        "nullable": column.nullable,
        "is_dimension": column.is_dimension,
        "is_measure": column.is_measure,
        "keywords": list(column.keywords),
        "description": column.description,
        "original_name": column.original_name,
    }


def verification_document(report: VerificationReport, exit_code: int) -> Document:
    """What a verification found: a verdict for each source."""
    snapshot = report.snapshot_time
    return {
        "version": __version__,
        "exit_code": exit_code,
        "output_dir": report.output_dir,
        "snapshot_time": None if snapshot is None else snapshot.isoformat(),
        "verdicts": [_verdict(verdict) for verdict in report.verdicts],
        "seconds": report.seconds,
    }


def _verdict(verdict: Verdict) -> Document:
    found = dataclasses.asdict(verdict.finding)
    for row in found["differing_rows"]:
        row["key"] = dict(row["key"])
    return {
        "canonical_code": verdict.code,
        "agreement": verdict.agreement.value,
        **found,
        "reasons": list(verdict.reasons),
        "seconds": verdict.seconds,
    }
