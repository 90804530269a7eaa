"""The catalog of a folder, in lines of text: for people, on any width."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from duckwarp.cli import wording
from duckwarp.cli.listing import Heading, Line, Listing, Row, indented
from duckwarp.model.sizes import size_text

if TYPE_CHECKING:
    from duckwarp.catalog.entry import Entry
    from duckwarp.catalog.update import Found


def catalog_page(folder: Path, found: Found, width: int | None) -> Iterator[Line]:
    """The datasets that are published in `folder`, and the files of which nothing can be said."""
    entries = found.entries
    if entries:
        yield from _listing(found).lines(width)
    else:
        yield from indented(f"Nothing is published in {folder}.", width, depth=0)
    if found.left_out:
        yield Line()
        yield Line("Left out", "bold")
        for each in found.left_out:
            yield from indented(f"{each.name}: {each.reason}", width, "yellow")


def _listing(found: Found) -> Listing:
    entries = found.entries
    rows = sum(entry.rows for entry in entries)
    size = size_text(sum(entry.size_bytes for entry in entries))
    datasets = wording.counted(len(entries), "dataset")
    return Listing(
        headings=(
            Heading(title="dataset"),
            Heading(title="rows", right=True),
            Heading(title="columns", right=True),
            Heading(title="size", right=True),
            Heading(title="from"),
            Heading(title="to"),
            Heading(title="snapshot"),
            Heading(title="name", aside=True),
        ),
        rows=tuple(map(_row, entries)),
        totals=Row(cells=(datasets, f"{rows:,}", "", size, "", "", "", "")),
    )


def _row(entry: Entry) -> Row:
    first, last = entry.dates
    snapshot = entry.circumstances.snapshot_time
    return Row(
        cells=(
            entry.code,
            f"{entry.rows:,}",
            f"{len(entry.dataset.columns):,}",
            size_text(entry.size_bytes),
            first or "",
            last or "",
            "" if snapshot is None else f"{snapshot:%Y-%m-%d %H:%M}",
            "" if entry.dataset.name == entry.code else entry.dataset.name,
        )
    )
