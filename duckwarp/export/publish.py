"""From staged to published: whether a source is news, whether it may be, and its place in a set.

A source is compared with its published files as soon as it is staged. What is put in place, and in
what order, is `store/publishing.py`'s matter.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from duckwarp.checks.comparing import compare, drift, dropped_percent
from duckwarp.files.facts import read_facts
from duckwarp.files.opening import describe_error, describe_refusal, name_file
from duckwarp.model.change import Change
from duckwarp.model.errors import OutputUnusable, SourceError
from duckwarp.model.results import ExportResult, FileFacts, SourceOutcome, SourceState
from duckwarp.model.run_events import (
    ColumnsDrifted,
    PublishingStarted,
    Reporter,
    RowsDropped,
    SourceFailed,
    SourcePublished,
)
from duckwarp.model.settings import OnDrift, Settings
from duckwarp.store.journal import CATALOG_NAMES, has_begun
from duckwarp.store.publishing import CatalogStep, Changes, no_catalog, publish
from duckwarp.store.space import free_text, is_disk_full
from duckwarp.store.staging import Staging, discard, published

# A fall by more than this is told, whatever the settings.
SUSPECT_DROP_PERCENT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A source that has ended, and what of it is still to be put in place; None is nothing."""

    outcome: SourceOutcome
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a staged source is beside its published files."""

    change: Change
    notes: tuple[str, ...] = ()

    @property
    def state(self) -> SourceState:
        """Unchanged, where neither file is news."""
        news = self.change.parquet or self.change.markdown
        return SourceState.EXPORTED if news else SourceState.UNCHANGED


def compare_with_published(
    staging: Staging, settings: Settings, report: Reporter, code: str, facts: FileFacts
) -> Verdict:
    """Compare a staged pair, whose file has these facts, with the published one.

    Raises `SourceError` where the rows fell or the columns changed as the settings forbid.
    """
    change = compare(staging.folder, staging.output_dir, code)
    _give_mode(staging, settings.mode, change)
    if not change.parquet:
        return Verdict(change=change)
    try:
        before = read_facts(published(staging, code).parquet)
    except SourceError:  # there is none, or none that can be read
        return Verdict(change=change)
    notes = (
        *_collapse(settings, report, code, before.rows, facts.rows),
        *_drift(settings, report, code, before, facts),
    )
    return Verdict(change=change, notes=notes)


def _give_mode(staging: Staging, mode: int | None, change: Change) -> None:
    """Published files that stay get the mode that was asked for, and keep all else."""
    pair = published(staging, change.code)
    for path, is_news in ((pair.parquet, change.parquet), (pair.markdown, change.markdown)):
        if not is_news:
            _chmod(path, mode)


def _chmod(path: Path, mode: int | None) -> None:
    if mode is not None and stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)


def _collapse(
    settings: Settings, report: Reporter, code: str, before_rows: int, rows: int
) -> Iterable[str]:
    percent, most = dropped_percent(before_rows, rows), settings.max_row_drop_percent
    words = (
        f"{rows:,} rows instead of the {before_rows:,} of the published file, {percent:.3g} % fewer"
    )
    if most is not None and percent > most:
        raise SourceError(
            f"{words}: more than --max-row-drop {most:g} allows; if that is right, run once with "
            "--max-row-drop 100"
        )
    if percent > SUSPECT_DROP_PERCENT:
        report(RowsDropped(source=code, warning=words, rows_before=before_rows, rows=rows))
        yield words


def _drift(
    settings: Settings, report: Reporter, code: str, before: FileFacts, after: FileFacts
) -> Iterable[str]:
    found = drift(before, after)
    if not found:
        return
    if settings.on_drift is OnDrift.FAIL:
        raise SourceError(f"{found}; if that is right, run once with --on-drift warn")
    report(
        ColumnsDrifted(
            source=code,
            warning=str(found),
            added_columns=found.added,
            removed_columns=found.removed,
            retyped_columns=found.retyped,
        )
    )
    yield str(found)


def put_in_place(
    staging: Staging,
    settings: Settings,
    report: Reporter,
    outcomes: Sequence[SourceOutcome],
    changes: Mapping[str, Change],
    catalog: CatalogStep = no_catalog,
) -> tuple[SourceOutcome, ...]:
    """Publish `changes`, which sources have staged, in one step; how each source ended at last.

    Raises `OutputUnusable` where that was begun and could not be ended, which the next run does.
    """
    failed = [outcome.code for outcome in outcomes if outcome.state is SourceState.FAILED]
    same = [outcome.code for outcome in outcomes if outcome.state is SourceState.UNCHANGED]
    if settings.all_or_nothing and failed:
        held_back = f"not published, because {_named(failed)} failed (--all-or-nothing)"
        refused = dict.fromkeys(changes, held_back)
    else:
        changed = tuple(changes[o.code] for o in outcomes if o.code in changes)
        publication = Changes(changed=changed, kept=tuple(same))
        refused = _placed(staging, settings, report, publication, catalog)
    return tuple(_at_last(staging, report, outcome, refused) for outcome in outcomes)


def _named(codes: Sequence[str]) -> str:
    return codes[0] if len(codes) == 1 else f"{codes[0]} and {len(codes) - 1} more"


def _placed(
    staging: Staging, settings: Settings, report: Reporter, changes: Changes, catalog: CatalogStep
) -> dict[str, str]:
    """Why sources could not be put in place, by their codes."""
    if changes.changed:
        report(PublishingStarted(sources=len(changes.changed)))
    try:
        errors = publish(
            staging.folder, staging.output_dir, changes, catalog=catalog, mode=settings.mode
        )
        for path in (staging.output_dir / name for name in CATALOG_NAMES):
            if path.is_file() and not path.is_symlink():
                _chmod(path, settings.mode)
    except OSError as error:
        if has_begun(staging.folder):
            reason = describe_refusal(error, staging.output_dir)
            raise OutputUnusable(
                staging.output_dir, f"{reason}; the next run completes what this one began"
            ) from error
        errors = dict.fromkeys((change.code for change in changes.changed), error)
    for change in changes.changed:
        if change.code not in errors:
            report(SourcePublished(source=change.code))
    return {code: _why_not_placed(error, staging.output_dir) for code, error in errors.items()}


def _why_not_placed(error: OSError, folder: Path) -> str:
    words = why_not_written(error, folder)
    return f"{words}; {folder} has {free_text(folder)}" if is_disk_full(error) else words


def _at_last(
    staging: Staging, report: Reporter, outcome: SourceOutcome, refused: dict[str, str]
) -> SourceOutcome:
    reason = refused.get(outcome.code)
    if reason is None:
        return outcome
    discard(staging, outcome.code)
    failed = replace(
        outcome,
        state=SourceState.FAILED,
        reason=reason,
        result=ExportResult.failure(outcome.code, reason),
        size_bytes=0,
    )
    report(SourceFailed(outcome=failed))
    return failed


def why_not_written(error: OSError, folder: Path) -> str:
    """What the system said, about which file."""
    return f"cannot write {name_file(error) or folder}: {describe_error(error)}"
