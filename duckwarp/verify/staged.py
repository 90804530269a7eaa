"""Comparing a file with its table before it is published, within the run that has staged it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from duckwarp.model.column import Column
from duckwarp.model.errors import SourceError
from duckwarp.model.source import Source
from duckwarp.verify.bench import Bench, compared
from duckwarp.verify.verdicts import Difference, Finding

_TOLD_DIFFERENCES = 3


def require_equal(bench: Bench, source: Source, columns: Sequence[Column], path: Path) -> None:
    """Raises `SourceError` where the staged file is not as the table is in the run's snapshot."""
    finding = compared(bench, source, columns, path)
    if finding.differences:
        raise SourceError(f"the staged file does not equal the table: {_words(finding)}")


def _words(finding: Finding) -> str:
    told = [_difference_words(each) for each in finding.differences[:_TOLD_DIFFERENCES]]
    left = len(finding.differences) - len(told)
    more = f"; and {left} more" if left else ""
    rows = [
        ", ".join(
            f"{name} = NULL" if text is None else f"{name} = '{text}'" for name, text in row.key
        )
        for row in finding.differing_rows
    ]
    where = f" (rows with {'; '.join(rows)})" if rows else ""
    return "; ".join(told) + more + where


def _difference_words(difference: Difference) -> str:
    of = "" if difference.column is None else f' of column "{difference.column}"'
    return f"{difference.what}{of}: {difference.table} in the table, {difference.file} in the file"
