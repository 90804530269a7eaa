"""What is staged beside what is published: the same bytes, fewer rows, other columns.

Reads the published files and changes nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from duckwarp.files.markdown import GENERATED
from duckwarp.files.opening import open_regular
from duckwarp.model.change import Change
from duckwarp.model.results import FileFacts
from duckwarp.store.publishing import pair_in

COMPARED_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How the columns of a file differ from those of the one before, in the order of the files."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.retyped)

    def __str__(self) -> str:
        named = (("added", self.added), ("removed", self.removed), ("retyped", self.retyped))
        told = (f"{word} {', '.join(columns)}" for word, columns in named if columns)
        return f"columns differ from the published file: {'; '.join(told)}"


def compare(staging_folder: Path, output_dir: Path, code: str) -> Change:
    """Which of the two staged files of a source are news beside the published ones.

    When a dictionary was made is no news; a new file comes with its own.
    """
    ours, theirs = pair_in(staging_folder, code), pair_in(output_dir, code)
    parquet = not _same(ours.parquet, theirs.parquet)
    return Change(
        code=code,
        parquet=parquet,
        markdown=parquet or not _same_page(ours.markdown, theirs.markdown),
    )


def _same(ours: Path, theirs: Path) -> bool:
    """Whether `theirs` is a plain file with the same bytes."""
    try:
        other = open_regular(theirs)
    except OSError:
        return False
    with other, ours.open("rb") as one:
        if os.fstat(one.fileno()).st_size != os.fstat(other.fileno()).st_size:
            return False
        while block := one.read(COMPARED_BYTES):
            if block != other.read(COMPARED_BYTES):
                return False
    return True


def _same_page(ours: Path, theirs: Path) -> bool:
    try:
        file = open_regular(theirs)
    except OSError:
        return False
    with file:
        return _undated(ours.read_bytes()) == _undated(file.read())


def _undated(page: bytes) -> list[bytes]:
    beginning = f"*{GENERATED}: ".encode()
    return [line for line in page.split(b"\n") if not line.startswith(beginning)]


def drift(before: FileFacts, after: FileFacts) -> Drift:
    """What became of the columns."""
    old, new = (dict(zip(facts.names, facts.types, strict=True)) for facts in (before, after))
    return Drift(
        added=tuple(f"{name} ({kind})" for name, kind in new.items() if name not in old),
        removed=tuple(f"{name} ({kind})" for name, kind in old.items() if name not in new),
        retyped=tuple(
            f"{name} ({old[name]} → {kind})"
            for name, kind in new.items()
            if name in old and old[name] != kind
        ),
    )


def dropped_percent(before_rows: int, after_rows: int) -> float:
    """By how much the rows fell, in per cent of those before; 0 where they did not."""
    return 100 * max(0, before_rows - after_rows) / before_rows if before_rows else 0.0
