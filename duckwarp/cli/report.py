"""The summary of a run that has ended: for people, on any width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from duckwarp.cli import wording
from duckwarp.cli.listing import Listing, figures, indent, make_text, words
from duckwarp.model.results import RunReport, SourceOutcome, SourceState
from duckwarp.model.sizes import size_text

STATE_STYLES = {
    SourceState.UNCHANGED: "dim",
    SourceState.SKIPPED: "dim",
    SourceState.FAILED: "red",
}


def report_page(report: RunReport) -> Iterator[RenderableType]:
    """The summary of a run: its sources, what was lost, the totals, and where the files are."""
    yield _report_listing(report)
    losses = [f"{o.code}.{loss}" for o in report.outcomes for loss in o.losses]
    notes = [f"{o.code}: {note}" for o in report.outcomes for note in o.notes]
    yield from _section("Values not kept, or kept in another form", losses, style="yellow")
    yield from _section("Notes", notes)
    yield ""
    yield make_text(_outcome_sentence(report))


def _report_listing(report: RunReport) -> Listing:
    listing = Listing(
        words("source", wording.counted(len(report.outcomes), "source")),
        figures("rows", f"{report.total_rows:,}"),
        figures("columns"),
        figures("size", size_text(report.total_bytes)),
        figures("time", wording.duration(report.seconds)),
        words("state"),
        words(""),
        asides=1,
    )
    for outcome in report.outcomes:
        style = STATE_STYLES.get(outcome.state, "")
        listing.add_row(
            outcome.code,
            *_figures(outcome),
            outcome.state.value,
            outcome.reason or "",
            style=style,
        )
    return listing


def _figures(outcome: SourceOutcome) -> list[str]:
    shown = ["", "", ""]
    if outcome.result is not None and outcome.result.success:
        result = outcome.result
        size = size_text(outcome.size_bytes)
        shown = [f"{result.row_count:,}", f"{result.column_count:,}", size]
    skipped = outcome.state is SourceState.SKIPPED
    return [*shown, "" if skipped else wording.duration(outcome.seconds)]


def _outcome_sentence(report: RunReport) -> str:
    counts = {state: len(report.of_state(state)) for state in SourceState}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    if not counts[SourceState.EXPORTED]:
        where = f" to {report.output_dir}" if counts[SourceState.UNCHANGED] else ""
        return f"{told}. Nothing was written{where}."
    return f"{told}. The files are in {report.output_dir}: a .parquet and a .md for each source."


def _section(title: str, entries: Sequence[str], style: str = "") -> Iterator[RenderableType]:
    if entries:
        yield ""
        yield make_text(title, "bold")
        yield from (indent(entry, style) for entry in entries)
