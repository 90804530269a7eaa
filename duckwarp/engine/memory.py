"""How much memory a run may use, and how much of it is DuckDB's.

The budget is for the resident memory of the whole process. DuckDB counts most of what it uses
against a limit of its own; what it does not count, and what Python, libpq and Arrow use, has to fit
beside it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from duckwarp.engine.layout import (
    ARROW_BYTES,
    BYTES_READER_BYTES,
    LONGEST_FACTOR,
    WRITER_BYTES,
)
from duckwarp.engine.limits import check_limits
from duckwarp.model.errors import RunError, SourceError
from duckwarp.model.settings import MIN_MEMORY_BYTES, Settings
from duckwarp.model.sizes import size_text

DEFAULT_BYTES = 1_000_000_000
FREE_SHARE = 0.5
# What the process holds besides what DuckDB counts: its modules, the buffers of libpq and of the
# writer, what `allocator.py` has not given back yet, and a share that grows with DuckDB's limit.
# `python -m benchmarks --only memory` measures it.
UNCOUNTED_BYTES = 170_000_000
UNCOUNTED_SHARE = 0.12
# The files of the libraries in memory at the start, and the most that is reckoned with besides.
USUAL_MAPPED_BYTES = 60_000_000
MAX_MAPPED_BYTES = 120_000_000
# DuckDB's limit at the least, in which it writes what the server has sorted.
MIN_DUCKDB_BYTES = 75_000_000
# What each column beyond the first hundred needs besides: its writer has buffers of its own.
USUAL_COLUMNS = 100
COLUMN_BYTES = 120_000
# Where the kernel tells what a control group may use: version 2, then version 1.
_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The memory of a run, in bytes: of the whole process, and DuckDB's limit in it."""

    process_bytes: int
    duckdb_bytes: int


def memory_budget(settings: Settings) -> Budget:
    """What the settings allow, or what suits the machine.

    Raises `RunError` where the machine has too little, or does not let the process have it.
    """
    process_bytes = settings.memory_bytes or min(
        DEFAULT_BYTES, int(free_memory_bytes() * FREE_SHARE)
    )
    if process_bytes < MIN_MEMORY_BYTES:
        raise RunError(
            f"half of the memory that is free here is {size_text(process_bytes)}, and a run needs "
            f"at least {size_text(MIN_MEMORY_BYTES)}: free some, or allow more with --memory"
        )
    check_limits(process_bytes)
    counted = int(process_bytes * (1 - UNCOUNTED_SHARE)) - UNCOUNTED_BYTES - _mapped_bytes()
    return Budget(process_bytes=process_bytes, duckdb_bytes=max(counted, MIN_DUCKDB_BYTES))


def _mapped_bytes() -> int:
    """What the libraries' files take more than usual: the kernel may map them in large pieces."""
    shared = getattr(psutil.Process().memory_info(), "shared", 0)
    return max(0, min(shared - USUAL_MAPPED_BYTES, MAX_MAPPED_BYTES))


def check_columns(columns: int, process_bytes: int) -> None:
    """Raises `SourceError` where so many columns cannot be written within the memory of the run."""
    needed_bytes = MIN_MEMORY_BYTES + max(columns - USUAL_COLUMNS, 0) * COLUMN_BYTES
    if process_bytes < needed_bytes:
        raise SourceError(
            f"{columns:,} columns need at least --memory {_in_mb(needed_bytes)}, "
            f"not {size_text(process_bytes)}"
        )


def check_longest(longest_bytes: int, process_bytes: int) -> None:
    """Raises `SourceError` where a row of this length cannot be held within the run's memory.

    0 is a source that is not read by its bytes.
    """
    duckdb_bytes = max(BYTES_READER_BYTES + longest_bytes * LONGEST_FACTOR, WRITER_BYTES)
    needed_bytes = int((duckdb_bytes + UNCOUNTED_BYTES + ARROW_BYTES) / (1 - UNCOUNTED_SHARE))
    if longest_bytes and process_bytes < needed_bytes:
        raise SourceError(
            f"a row of {size_text(longest_bytes)} needs at least --memory "
            f"{_in_mb(needed_bytes)}, not {size_text(process_bytes)}"
        )


def _in_mb(needed_bytes: int) -> str:
    """In whole megabytes that suffice."""
    return f"{-(-needed_bytes // 1_000_000):,} MB"


def free_memory_bytes() -> int:
    """The memory that the machine, or one of the process's control groups, has free."""
    return min([psutil.virtual_memory().available, *_free_in_cgroups(_CGROUPS, _MEMBERSHIP)])


def _free_in_cgroups(root: Path, membership: Path) -> list[int]:
    """What is left to each control group with a limit that the process is in, or below."""
    free = []
    for folder in _cgroup_folders(root, membership):
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            # "max", or no such file, is no limit.
            with suppress(OSError, ValueError):
                left = int((folder / limit).read_text()) - int((folder / used).read_text())
                free.append(max(left + _reclaimable_bytes(folder), 0))
    return free


def _cgroup_folders(root: Path, membership: Path) -> list[Path]:
    """The folders of the process's control groups and of those around them."""
    folders = {root, root / "memory"}
    with suppress(OSError, ValueError):
        for line in membership.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers not in ("", "memory"):
                continue
            base = root / controllers if controllers else root
            own = base / path.lstrip("/")
            folders |= {own, *(each for each in own.parents if each.is_relative_to(base))}
    return sorted(folders)


def _reclaimable_bytes(folder: Path) -> int:
    """The files in the cache, which count as used and can be dropped at any time."""
    with suppress(OSError, ValueError):
        lines = (folder / "memory.stat").read_text().splitlines()
        counts = dict(line.split(maxsplit=1) for line in lines)
        # In version 1 the figures without `total_` are without the groups below.
        return int(counts.get("total_inactive_file", counts.get("inactive_file", 0)))
    return 0
