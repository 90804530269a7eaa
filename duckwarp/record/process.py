"""What the process has used."""

from __future__ import annotations

import re
import sys
from pathlib import Path

KIB = 1024


def peak_memory_bytes() -> int:
    """The most resident memory that the process has had so far.

    From the kernel's own high-water mark: `getrusage` counts what a parent held before it started
    this program, too.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        status = ""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * KIB if found else _by_getrusage()


def _by_getrusage() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * KIB
