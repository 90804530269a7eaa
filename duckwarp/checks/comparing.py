"""What is staged beside what is published: the same bytes, fewer rows, other columns.

Reads the published files and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from duckwarp.files.filemetadata import LogicalType, SchemaElement, read_file_metadata
from duckwarp.files.markdown import GENERATED
from duckwarp.files.opening import open_regular
from duckwarp.model.change import Change
from duckwarp.store.publishing import pair_in

COMPARED_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The rows of a Parquet file, and its columns: names, and types in words."""

    rows: int
    columns: tuple[tuple[str, str], ...]


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


def shape_of(path: Path) -> Shape | None:
    """The shape of a Parquet file; None where there is none that can be read."""
    try:
        metadata = read_file_metadata(path)
    except (OSError, ValueError):
        return None
    elements = iter(metadata.schema[1:])
    return Shape(rows=metadata.num_rows, columns=tuple(_columns(elements)))


def _columns(elements: Iterator[SchemaElement]) -> Iterator[tuple[str, str]]:
    for element in elements:
        yield element.name.decode(errors="replace"), _type(element, elements)


def _type(element: SchemaElement, following: Iterator[SchemaElement]) -> str:
    """A type in words; a nested one with those of its parts, taken from `following`."""
    if element.num_children:
        parts = (_type(next(following), following) for _ in range(element.num_children))
        # The parts of a list are in a group of their own, in brackets already.
        return f"LIST{next(parts)}" if element.converted_type == _LIST else f"({', '.join(parts)})"
    annotation = _annotation(element.logical_type) if element.logical_type else None
    if annotation:
        return annotation
    physical = _PHYSICAL.get(element.type or 0, str(element.type))
    if element.converted_type is None:
        return physical
    converted = _CONVERTED.get(element.converted_type, f"annotation {element.converted_type}")
    if converted == "DECIMAL":
        return f"DECIMAL({element.precision},{element.scale or 0})"
    return converted


def _annotation(logical: LogicalType) -> str | None:
    if logical.decimal is not None:
        return f"DECIMAL({logical.decimal.precision},{logical.decimal.scale})"
    if logical.integer is not None:
        return f"{'' if logical.integer.is_signed else 'U'}INT{logical.integer.bit_width}"
    if logical.timestamp is not None:
        return f"TIMESTAMP{' UTC' if logical.timestamp.is_adjusted_to_utc else ''}"
    plain = ("string", "date", "time", "json", "uuid", "enum", "bson")
    return next((name.upper() for name in plain if getattr(logical, name, None) is not None), None)


_LIST = 3
_PHYSICAL = {
    **{0: "BOOLEAN", 1: "INT32", 2: "INT64", 3: "INT96", 4: "FLOAT", 5: "DOUBLE"},
    **{6: "BYTE_ARRAY", 7: "FIXED_LEN_BYTE_ARRAY"},
}
_CONVERTED = {
    **{0: "STRING", 4: "ENUM", 5: "DECIMAL", 6: "DATE", 7: "TIME", 8: "TIME"},
    **{9: "TIMESTAMP UTC", 10: "TIMESTAMP UTC", 19: "JSON", 20: "BSON", 21: "INTERVAL"},
    **{11: "UINT8", 12: "UINT16", 13: "UINT32", 14: "UINT64"},
    **{15: "INT8", 16: "INT16", 17: "INT32", 18: "INT64"},
}


def drift(before: Shape, after: Shape) -> Drift:
    """What became of the columns."""
    old, new = dict(before.columns), dict(after.columns)
    return Drift(
        added=tuple(f"{name} ({kind})" for name, kind in after.columns if name not in old),
        removed=tuple(f"{name} ({kind})" for name, kind in before.columns if name not in new),
        retyped=tuple(
            f"{name} ({old[name]} → {kind})"
            for name, kind in after.columns
            if name in old and old[name] != kind
        ),
    )


def dropped_percent(before_rows: int, after_rows: int) -> float:
    """By how much the rows fell, in per cent of those before; 0 where they did not."""
    return 100 * max(0, before_rows - after_rows) / before_rows if before_rows else 0.0
