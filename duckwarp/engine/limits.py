"""Limits of the process on memory that no library can live with: C++ aborts without a word."""

from __future__ import annotations

import resource

from duckwarp.model.errors import RunError
from duckwarp.model.sizes import size_text

# What libraries map besides the memory of a run: code, and for each thread its stack and its part
# of the allocator. Next to nothing of it is ever used.
MAPPED_BYTES = 2_500_000_000
# In less not even the libraries can be loaded.
LEAST_BYTES = 1_500_000_000
_LIMITS = (
    (resource.RLIMIT_AS, "address space", "ulimit -v"),
    (resource.RLIMIT_DATA, "data segment", "ulimit -d"),
)


def check_limits(memory_bytes: int | None = None) -> None:
    """Raises `RunError` where the process may not map what a run of so much memory does.

    None is a command that reads no tables.
    """
    needed_bytes = LEAST_BYTES if memory_bytes is None else memory_bytes + MAPPED_BYTES
    run = "" if memory_bytes is None else f" with --memory {size_text(memory_bytes)}"
    for limit, name, command in _LIMITS:
        most_bytes, _ = resource.getrlimit(limit)
        if most_bytes != resource.RLIM_INFINITY and most_bytes < needed_bytes:
            raise RunError(
                f"the {name} of the process is limited to {size_text(most_bytes)} ({command}), and "
                f"duckwarp{run} needs {size_text(needed_bytes)} of it, most of which is never "
                "used: raise that limit or lift it, and bound what is used with --memory"
            )
