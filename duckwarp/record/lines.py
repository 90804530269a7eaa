"""Appending lines to a file that others may move away meanwhile: events, and the log."""

from __future__ import annotations

import errno
import os
import select
from pathlib import Path

from duckwarp.files.opening import open_to_append

# How long a FIFO's reader may read nothing. After that it misses lines, and the run goes on.
PATIENCE_SECONDS = 5.0


class LineFile:
    """A file that several runs may append lines to: each line is one write at the file's end.

    It is opened anew once it was moved or removed, so that logrotate needs no signal. Raises
    `OSError` where it cannot be opened. What cannot be written later stops nobody: `error` is the
    first such error.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._file = open_to_append(self._path)
        self._is_torn = False
        self.error: OSError | None = None

    def write(self, line: bytes) -> None:
        """Append the line; what is left of one that was torn is ended first."""
        try:
            self._follow()
        except OSError as error:
            # The file that was moved away is better than none.
            self.error = self.error or error
        rest = b"\n" + line if self._is_torn else line
        try:
            # A full disk takes a part of a line, and refuses the next byte with the reason.
            while rest:
                rest = rest[self._written(rest) :]
                self._is_torn = bool(rest)
        except OSError as error:
            self.error = self.error or error

    def _follow(self) -> None:
        """Go on in a new file where the name is another file's, or nobody's."""
        try:
            if os.path.samestat(os.fstat(self._file.fileno()), os.stat(self._path)):
                return
        except FileNotFoundError:
            pass
        file = open_to_append(self._path)
        self._file.close()
        self._file, self._is_torn = file, False

    def _written(self, rest: bytes) -> int:
        """How many of the bytes were written. Raises `OSError`."""
        count = self._file.write(rest)
        if count is not None:
            return count
        waiting = select.poll()
        waiting.register(self._file, select.POLLOUT)
        # Whoever has made us wait in vain once is not waited for again.
        if not waiting.poll(0 if self.error else PATIENCE_SECONDS * 1000):
            raise BlockingIOError(errno.EAGAIN, "whoever reads it takes nothing", str(self._path))
        return 0

    def close(self) -> None:
        """Close it."""
        self._file.close()
