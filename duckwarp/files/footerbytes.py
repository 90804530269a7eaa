"""Where the footer of a Parquet file is: before its length and the magic number, at the end."""

from __future__ import annotations

import os
from typing import BinaryIO

MAGIC = b"PAR1"
TAIL_BYTES = 8  # length of the footer and magic


def read_footer(file: BinaryIO) -> bytes:
    """The bytes of the `FileMetaData`. Raises `ValueError` for a file that is not Parquet."""
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(max(0, size_bytes - TAIL_BYTES))
    tail = file.read()
    footer_bytes = int.from_bytes(tail[:4], "little")
    start = size_bytes - TAIL_BYTES - footer_bytes
    if tail[4:] != MAGIC or start < len(MAGIC):
        raise ValueError(f"not a Parquet file ({size_bytes:,} bytes)")
    file.seek(start)
    return file.read(footer_bytes)
