"""The standard streams, which may be closed, full, or read by nobody: no export depends on them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

LAST_STANDARD_DESCRIPTOR = 2


def open_closed() -> None:
    """Lead the streams that the caller has closed nowhere, lest a file of the run is taken for one.

    Libraries write to the descriptors, whoever has them.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= LAST_STANDARD_DESCRIPTOR:
        pass
    os.close(descriptor)
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def say(text: str, end: str = "\n") -> None:
    """Print to standard error, if anybody is there."""
    with tolerated():
        print(text, end=end, file=sys.stderr, flush=True)


@contextlib.contextmanager
def tolerated() -> Iterator[None]:
    """What cannot be written to a stream is not."""
    with contextlib.suppress(OSError):
        yield


def settle() -> None:
    """Write out what is left; what cannot be is dropped, or Python would end with a code for it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
