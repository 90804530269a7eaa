"""Flushing to the disk: what was written before counts after a loss of power."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path


def flush_file(path: Path, mode: int | None = None) -> None:
    """Flush a file to the disk, with the mode that it is to have."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_ahead(path: Path) -> None:
    """Begin to flush a file beside whatever comes next: who flushes it later waits less."""

    def flush() -> None:
        with contextlib.suppress(OSError):  # the later one meets it again, or the file is gone
            flush_file(path)

    threading.Thread(target=flush, name="duckwarp-flush", daemon=True).start()


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk."""
    flush_file(folder)
