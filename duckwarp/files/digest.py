"""The SHA-256 of a file, of a whole one or of one that is still being written."""

from __future__ import annotations

import hashlib
from pathlib import Path

from duckwarp.files.opening import open_regular

_READ_BYTES = 1024 * 1024


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits. Raises `OSError`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class GrowingDigest:
    """The SHA-256 of a file that grows at its end and nowhere else, worked out as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = hashlib.sha256()
        self._bytes = 0

    def advance(self) -> None:
        """Take in what is there by now; nothing if there is no file. Raises `OSError`."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self._bytes)
            while piece := file.read(_READ_BYTES):
                self._digest.update(piece)
                self._bytes += len(piece)

    def ended(self) -> str:
        """The digest of the whole file, which nobody writes any more. Raises `OSError`."""
        self.advance()
        return self._digest.hexdigest()
