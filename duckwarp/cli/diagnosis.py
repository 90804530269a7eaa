"""The doctor's checks for people: each with its state, its finding and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table

from duckwarp.cli import wording
from duckwarp.cli.listing import make_text

if TYPE_CHECKING:
    from duckwarp.doctor import Check, Diagnosis

_STYLES = {"ok": "", "warning": "yellow", "failed": "red", "not checked": "dim"}


def diagnosis_page(diagnosis: Diagnosis) -> Iterator[RenderableType]:
    """All checks, then how many there were of each kind. In a file, each check is one line."""
    counts = Counter(check.status.value for check in diagnosis.checks)
    table = Table.grid(padding=(0, 2, 0, 0))
    for check in diagnosis.checks:
        status = check.status.value
        table.add_row(status, make_text(_sentence(check)), style=_STYLES[status])
    yield table
    yield ""
    told = ", ".join(f"{counts[status]} {status}" for status in _STYLES if counts[status])
    checks = wording.counted(len(diagnosis.checks), "check")
    verdict = "can" if diagnosis.is_healthy else "cannot"
    yield make_text(f"{checks}: {told}. An export {verdict} do its work.", "bold")


def _sentence(check: Check) -> str:
    name = check.name if check.source is None else f"{check.name} {check.source}"
    advice = f" -> {check.advice}" if check.advice else ""
    return f"{name}: {check.finding}{advice}"
