"""What a run changes in the place where its files are published."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A dataset of which new files are staged: which of them take the place of the published."""

    code: str
    parquet: bool = True
    markdown: bool = True
