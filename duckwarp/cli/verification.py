"""What a verification found, in lines of text: for people, on any width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from duckwarp.cli import wording
from duckwarp.cli.listing import Heading, Line, Listing, Row, indented
from duckwarp.model.sizes import size_text

if TYPE_CHECKING:
    from duckwarp.verify.verdicts import DifferingRow, Verdict, VerificationReport

_STYLES = {"equal": "", "skipped": "dim", "changed": "yellow"}
_NULL = "NULL"
_LONGEST_VALUE = 60


def verification_page(report: VerificationReport, width: int | None) -> Iterator[Line]:
    """A line for each source, then what differs where something does."""
    yield from Listing(
        headings=(
            Heading(title="source"),
            Heading(title="rows", right=True),
            Heading(title="columns", right=True),
            Heading(title="size", right=True),
            Heading(title="time", right=True),
            Heading(title="verdict"),
        ),
        rows=tuple(map(_row, report.verdicts)),
        totals=Row(
            cells=(
                wording.counted(len(report.verdicts), "source"),
                f"{sum(verdict.finding.rows or 0 for verdict in report.verdicts):,}",
                "",
                size_text(sum(verdict.finding.size_bytes for verdict in report.verdicts)),
                wording.duration(report.seconds),
                "",
            )
        ),
    ).lines(width)
    for verdict in report.verdicts:
        if not verdict.agreement.is_well:
            yield from _details(verdict, width)
    yield Line()
    yield from indented(_sentence(report), width, depth=0)


def _row(verdict: Verdict) -> Row:
    finding = verdict.finding
    known = finding.rows is not None
    return Row(
        cells=(
            verdict.code,
            f"{finding.rows:,}" if known else "",
            f"{finding.columns:,}" if known else "",
            size_text(finding.size_bytes) if known else "",
            "" if verdict.agreement.value == "skipped" else wording.duration(verdict.seconds),
            verdict.agreement.value,
        ),
        style=_STYLES.get(verdict.agreement.value, "red"),
    )


def _details(verdict: Verdict, width: int | None) -> Iterator[Line]:
    yield Line()
    style = _STYLES.get(verdict.agreement.value, "red")
    yield Line(wording.one_line(f"{verdict.code}: {verdict.agreement.value}"), style or "bold")
    for reason in verdict.reasons:
        yield from indented(reason, width)
    if verdict.finding.differences:
        yield from Listing(
            headings=(
                Heading(title="what"),
                Heading(title="column"),
                Heading(title="in the table"),
                Heading(title="in the file"),
            ),
            rows=tuple(
                Row(cells=(each.what, each.column or "", _shown(each.table), _shown(each.file)))
                for each in verdict.finding.differences
            ),
        ).lines(width)
    for row in verdict.finding.differing_rows:
        yield from indented(row_sentence(row), width)


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
