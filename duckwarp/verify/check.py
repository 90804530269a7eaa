"""`--verify`: each staged file is compared with its table before it may be published.

What that takes of the run's connections and memory is set aside at its beginning. Nothing of it is
imported by a run without it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from duckwarp.engine.layout import Resources
from duckwarp.engine.memory import MIN_DUCKDB_BYTES, Budget
from duckwarp.model.column import Column
from duckwarp.model.errors import RunError
from duckwarp.model.settings import MIN_MEMORY_BYTES, Settings
from duckwarp.model.sizes import size_text
from duckwarp.model.source import Source
from duckwarp.postgres.snapshot import Snapshot

# What pyarrow takes of the process from its first use on, with a batch in Arrow's form.
ARROW_BYTES = 120_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Compares a staged file with its table: raises `SourceError` where it does not equal it.

    `uses_snapshot` says that it asks over the connection that holds the snapshot.
    """

    require_equal: Callable[[Source, Sequence[Column], Path], None]
    uses_snapshot: bool


def set_aside(settings: Settings, budget: Budget) -> tuple[Settings, Budget]:
    """What is left to the export where files are to be verified.

    Raises `RunError` where that is too little.
    """
    if not settings.verify:
        return settings, budget
    needed_bytes = MIN_MEMORY_BYTES + ARROW_BYTES
    if budget.process_bytes < needed_bytes:
        raise RunError(
            f"--verify needs at least --memory {size_text(needed_bytes)}, "
            f"not {size_text(budget.process_bytes)}"
        )
    left = settings.max_connections - _connections(settings)
    duckdb_bytes = max(budget.duckdb_bytes - ARROW_BYTES, MIN_DUCKDB_BYTES)
    return replace(settings, max_connections=left), replace(budget, duckdb_bytes=duckdb_bytes)


def _connections(settings: Settings) -> int:
    """Half of those that may read: one, where there are two or three."""
    return (settings.max_connections - 1) // 2


@contextlib.contextmanager
def open_check(
    snapshot: Snapshot, settings: Settings, resources: Resources, memory_bytes: int
) -> Iterator[Check | None]:
    """What compares the files of a run, None where they are not to be compared.

    `settings` are those of the user, `resources` what `set_aside` has left, `memory_bytes` the
    process's memory.
    """
    if not settings.verify:
        yield None
        return
    from duckwarp.verify.bench import open_bench
    from duckwarp.verify.staged import require_equal

    own = replace(
        resources,
        connections=min(_connections(settings), resources.threads),
        duckdb_bytes=max(resources.duckdb_bytes // 2, MIN_DUCKDB_BYTES),
    )
    with open_bench(snapshot, own, memory_bytes) as bench:
        yield Check(
            require_equal=partial(require_equal, bench),
            uses_snapshot=snapshot.connection in bench.readers.connections,
        )
