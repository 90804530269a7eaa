"""The catalog of a folder: for people, on any width."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType

from duckwarp.cli import wording
from duckwarp.cli.listing import Listing, figures, indent, make_text, words
from duckwarp.model.sizes import size_text

if TYPE_CHECKING:
    from duckwarp.catalog.entry import Entry
    from duckwarp.catalog.update import Found


def catalog_page(folder: Path, found: Found) -> Iterator[RenderableType]:
    """The datasets that are published in `folder`, and the files of which nothing can be said."""
    if found.entries:
        yield _listing(found)
    else:
        yield make_text(f"Nothing is published in {folder}.")
    if found.left_out:
        yield ""
        yield make_text("Left out", "bold")
        yield from (indent(f"{each.name}: {each.reason}", "yellow") for each in found.left_out)


def _listing(found: Found) -> Listing:
    entries = found.entries
    listing = Listing(
        words("dataset", wording.counted(len(entries), "dataset")),
        figures("rows", f"{sum(entry.rows for entry in entries):,}"),
        figures("columns"),
        figures("size", size_text(sum(entry.size_bytes for entry in entries))),
        words("from"),
        words("to"),
        words("snapshot"),
        words("name"),
        asides=1,
    )
    for entry in entries:
        listing.add_row(*_cells(entry))
    return listing


def _cells(entry: Entry) -> tuple[str, ...]:
    first, last = entry.dates
    snapshot = entry.circumstances.snapshot_time
    return (
        entry.code,
        f"{entry.rows:,}",
        f"{len(entry.dataset.columns):,}",
        size_text(entry.size_bytes),
        first or "",
        last or "",
        "" if snapshot is None else f"{snapshot:%Y-%m-%d %H:%M}",
        "" if entry.dataset.name == entry.code else entry.dataset.name,
    )
