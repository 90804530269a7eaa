"""The doctor's checks for people: each with its state, its finding and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from duckwarp.cli import wording
from duckwarp.cli.listing import Line, indented

if TYPE_CHECKING:
    from duckwarp.doctor import Check, Diagnosis

_STYLES = {"ok": "", "warning": "yellow", "failed": "red", "not checked": "dim"}


def diagnosis_page(diagnosis: Diagnosis, width: int | None) -> Iterator[Line]:
    """All checks, then how many there were of each kind. In a file, each check is one line."""
    counts = Counter(check.status.value for check in diagnosis.checks)
    widest = max(map(len, counts))
    for check in diagnosis.checks:
        yield from _lines(check, widest, width)
    yield Line()
    told = ", ".join(f"{counts[status]} {status}" for status in _STYLES if counts[status])
    checks = wording.counted(len(diagnosis.checks), "check")
    verdict = "can" if diagnosis.is_healthy else "cannot"
    yield Line(f"{checks}: {told}. An export {verdict} do its work.", "bold")


def _lines(check: Check, widest: int, width: int | None) -> Iterator[Line]:
    name = check.name if check.source is None else f"{check.name} {check.source}"
    style = _STYLES[check.status.value]
    advice = f" -> {check.advice}" if check.advice else ""
    head, *rest = indented(f"{name}: {check.finding}{advice}", width, style, depth=widest + 2)
    yield Line(check.status.value.ljust(widest) + head.text[widest:], style)
    yield from rest
