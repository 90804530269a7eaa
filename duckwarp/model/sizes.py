"""Sizes in bytes as people write and read them: in powers of 1000, as disks and memory are sold."""

from __future__ import annotations

import re

from duckwarp.model.errors import UsageError

_UNITS = (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000))
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int:
    """The bytes of `512MB`, `1GB` (10**9), `1GiB` (2**30), `1.5g` or `800000000`.

    Raises `UsageError`.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f'"{text}" is no size: write 512MB, 1GB or 1GiB')
    number, unit, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** _POWERS[unit.lower()])


def size_text(size_bytes: int) -> str:
    """`512 B`, `11.8 kB`, `197 kB`, `1.3 GB`: in powers of 1000, with three digits at most."""
    for unit, unit_bytes in _UNITS:
        # What would round up to 1000 of the smaller unit is shown as 1.0 of this one.
        if size_bytes >= unit_bytes * 0.9995:
            scaled = size_bytes / unit_bytes
            return f"{scaled:,.1f} {unit}" if scaled < 99.95 else f"{scaled:,.0f} {unit}"
    return f"{size_bytes} B"
