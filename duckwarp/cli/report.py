"""The summary of a run that has ended, in lines of text: for people, on any width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from duckwarp.cli import wording
from duckwarp.cli.listing import Heading, Line, Listing, Row, indented
from duckwarp.model.results import RunReport, SourceOutcome, SourceState
from duckwarp.model.sizes import size_text

STATE_STYLES = {
    SourceState.UNCHANGED: "dim",
    SourceState.SKIPPED: "dim",
    SourceState.FAILED: "red",
}


def report_page(report: RunReport, width: int | None) -> Iterator[Line]:
    """The summary of a run: its sources, what was lost, the totals, and where the files are."""
    yield from _report_listing(report).lines(width)
    losses = [f"{o.code}.{loss}" for o in report.outcomes for loss in o.losses]
    notes = [f"{o.code}: {note}" for o in report.outcomes for note in o.notes]
    yield from _section("Values not kept, or kept in another form", losses, width, style="yellow")
    yield from _section("Notes", notes, width)
    yield Line()
    yield from indented(_outcome_sentence(report), width, depth=0)


def _report_listing(report: RunReport) -> Listing:
    sources = wording.counted(len(report.outcomes), "source")
    figures = (f"{report.total_rows:,}", "", size_text(report.total_bytes))
    return Listing(
        headings=(
            Heading(title="source"),
            Heading(title="rows", right=True),
            Heading(title="columns", right=True),
            Heading(title="size", right=True),
            Heading(title="time", right=True),
            Heading(title="state"),
            Heading(title="", aside=True),
        ),
        rows=tuple(_outcome_row(outcome) for outcome in report.outcomes),
        totals=Row(cells=(sources, *figures, wording.duration(report.seconds), "", "")),
    )


def _outcome_row(outcome: SourceOutcome) -> Row:
    figures = ["", "", ""]
    if outcome.result is not None and outcome.result.success:
        result = outcome.result
        size = size_text(outcome.size_bytes)
        figures = [f"{result.row_count:,}", f"{result.column_count:,}", size]
    skipped = outcome.state is SourceState.SKIPPED
    figures.append("" if skipped else wording.duration(outcome.seconds))
    return Row(
        cells=(outcome.code, *figures, outcome.state.value, outcome.reason or ""),
        style=STATE_STYLES.get(outcome.state, ""),
    )


def _outcome_sentence(report: RunReport) -> str:
    counts = {state: len(report.of_state(state)) for state in SourceState}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    if not counts[SourceState.EXPORTED]:
        where = f" to {report.output_dir}" if counts[SourceState.UNCHANGED] else ""
        return f"{told}. Nothing was written{where}."
    return f"{told}. The files are in {report.output_dir}: a .parquet and a .md for each source."


def _section(
    title: str, entries: Sequence[str], width: int | None, style: str = ""
) -> Iterator[Line]:
    if not entries:
        return
    yield Line()
    yield Line(title, "bold")
    for entry in entries:
        yield from indented(entry, width, style)
