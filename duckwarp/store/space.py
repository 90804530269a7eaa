"""Whether there is room on the disk for what a source needs, before its copy starts."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from duckwarp.model.errors import DiskFull, SourceError
from duckwarp.model.settings import Spill
from duckwarp.model.sizes import size_text

_ADVICE = "give it more --memory, sort in the server with --sort-in postgres, or"


def check_space(spill: Spill, needed_bytes: int) -> None:
    """Raises `SourceError` where less may be spilled than the sort is expected to need."""
    if not needed_bytes:
        return
    needs = f"the sort needs about {size_text(needed_bytes)} of temporary space"
    if spill.limit_bytes is not None and spill.limit_bytes < needed_bytes:
        raise SourceError(
            f"{needs}, and --temp-limit allows {size_text(spill.limit_bytes)}: {_ADVICE} raise it"
        )
    free_bytes = shutil.disk_usage(spill.place).free
    if free_bytes < needed_bytes:
        raise SourceError(
            f"{needs}, and {spill.place} has {size_text(free_bytes)} free: {_ADVICE} "
            "name a larger disk with --temp-dir"
        )


def free_text(folder: Path) -> str:
    """How much is free for a folder; one that is gone has nothing."""
    try:
        free_bytes = shutil.disk_usage(folder).free
    except OSError:
        free_bytes = 0
    return f"{size_text(free_bytes)} free"


def is_disk_full(error: Exception) -> bool:
    """Whether there was no room, or no more of it for this user."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return isinstance(error, DiskFull)
