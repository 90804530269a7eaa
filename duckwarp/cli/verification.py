"""What a verification found: for people, on any width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType

from duckwarp.cli import wording
from duckwarp.cli.listing import Listing, figures, indent, make_text, words
from duckwarp.model.sizes import size_text

if TYPE_CHECKING:
    from duckwarp.verify.verdicts import DifferingRow, Verdict, VerificationReport

_STYLES = {"equal": "", "skipped": "dim", "changed": "yellow"}
_NULL = "NULL"
_LONGEST_VALUE = 60


def verification_page(report: VerificationReport) -> Iterator[RenderableType]:
    """A line for each source, then what differs where something does."""
    verdicts = report.verdicts
    listing = Listing(
        words("source", wording.counted(len(verdicts), "source")),
        figures("rows", f"{sum(verdict.finding.rows or 0 for verdict in verdicts):,}"),
        figures("columns"),
        figures("size", size_text(sum(verdict.finding.size_bytes for verdict in verdicts))),
        figures("time", wording.duration(report.seconds)),
        words("verdict"),
    )
    for verdict in verdicts:
        listing.add_row(*_cells(verdict), style=_style(verdict))
    yield listing
    for verdict in verdicts:
        if not verdict.agreement.is_well:
            yield from _details(verdict)
    yield ""
    yield make_text(_sentence(report))


def _style(verdict: Verdict) -> str:
    return _STYLES.get(verdict.agreement.value, "red")


def _cells(verdict: Verdict) -> tuple[str, ...]:
    finding = verdict.finding
    known = finding.rows is not None
    return (
        verdict.code,
        f"{finding.rows:,}" if known else "",
        f"{finding.columns:,}" if known else "",
        size_text(finding.size_bytes) if known else "",
        "" if verdict.agreement.value == "skipped" else wording.duration(verdict.seconds),
        verdict.agreement.value,
    )


def _details(verdict: Verdict) -> Iterator[RenderableType]:
    yield ""
    yield make_text(f"{verdict.code}: {verdict.agreement.value}", _style(verdict) or "bold")
    yield from map(indent, verdict.reasons)
    if verdict.finding.differences:
        listing = Listing(
            words("what"), words("column"), words("in the table"), words("in the file")
        )
        for each in verdict.finding.differences:
            listing.add_row(each.what, each.column or "", _shown(each.table), _shown(each.file))
        yield listing
    yield from (indent(row_sentence(row)) for row in verdict.finding.differing_rows)


def row_sentence(row: DifferingRow) -> str:
    key = ", ".join(f"{name} = {_value(text)}" for name, text in row.key)
    if row.cells:
        cells = "; ".join(
            f"{cell.column} is {_value(cell.table)} in the table, {_value(cell.file)} in the file"
            for cell in row.cells
        )
        return f"the row with {key}: {cells}"
    if not row.file_rows:
        return f"only in the table: {key}"
    if not row.table_rows:
        return f"only in the file: {key}"
    return f"{row.table_rows:,} x in the table, {row.file_rows:,} x in the file: {key}"


def _shown(text: str | None) -> str:
    return "-" if text is None else _cut(text)


def _value(text: str | None) -> str:
    return _NULL if text is None else f"'{_cut(text)}'"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _sentence(report: VerificationReport) -> str:
    counts: dict[str, int] = {}
    for verdict in report.verdicts:
        counts[verdict.agreement.value] = counts.get(verdict.agreement.value, 0) + 1
    told = ", ".join(f"{count} {agreement}" for agreement, count in counts.items())
    return f"{told or 'No file was found'}."
