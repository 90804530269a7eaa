"""What is examined, and what earlier checks have found of it for later ones."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duckwarp.engine.memory import Budget
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection, Source
from duckwarp.postgres.poolers import Reach
from duckwarp.postgres.server import ServerFacts

if TYPE_CHECKING:
    import psycopg


@dataclass(slots=True, kw_only=True)
class Examination:
    """The run that is meant, and the findings so far, None where there is none.

    What holds a connection is left by `stack`.
    """

    settings: Settings
    selection: Selection | None
    stack: ExitStack
    session: psycopg.Connection[Any] | None = None
    reach: Reach | None = None
    server: ServerFacts | None = None
    budget: Budget | None = None
    sources: tuple[Source, ...] | None = None
