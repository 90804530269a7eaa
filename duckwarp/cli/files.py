"""The files that a record is kept in, as the command line names them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where the record is kept; what is None is not."""

    events: Path | None = None
    log: Path | None = None
    metrics: Path | None = None


def named_files(arguments: Sequence[str]) -> Files:
    """The files that the arguments name, read without the parser that has refused them."""
    pairs = dict(itertools.pairwise(arguments))
    pairs |= {
        name: value for name, _, value in (word.partition("=") for word in arguments) if value
    }
    events, log, metrics = (
        Path(pairs[option]) if pairs.get(option) else None
        for option in ("--events", "--log-file", "--metrics-file")
    )
    return Files(events=events, log=log, metrics=metrics)
