"""What is told of a source to a lineage backend: plain nouns, without a word of its client."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from duckwarp.model.results import SourceOutcome
from duckwarp.model.run_events import BatchStarted, SourceStarted


class State(StrEnum):
    """What has become of a job's run, by the names that OpenLineage has for it."""

    START = "START"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    ABORT = "ABORT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event of one source: all that is to be told of it.

    `written_as` are the Parquet types of the columns, nothing where they are not known.
    """

    state: State
    moment: datetime
    run_id: str
    lineage_id: str
    server: BatchStarted
    started: SourceStarted
    parquet_path: Path
    written_as: tuple[str, ...] = ()
    outcome: SourceOutcome | None = None
    error: str | None = None
