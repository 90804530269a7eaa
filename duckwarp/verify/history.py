"""What is known of a file's past: the catalog's entry of it, if the folder has a catalog.

Tells a table that has changed since the export from a file that is wrong.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from duckwarp.catalog.entry import Entry
from duckwarp.catalog.update import read_entries
from duckwarp.files.digest import sha256_of
from duckwarp.files.opening import describe_error
from duckwarp.model.errors import CatalogMissing, FileUnreadable
from duckwarp.model.source import Source


def read_catalog(output_dir: Path) -> dict[str, Entry] | None:
    """The catalog's entries by code, None where the folder has no catalog.

    Raises `CatalogUnusable`.
    """
    try:
        return {entry.code: entry for entry in read_entries(output_dir)}
    except CatalogMissing:
        return None


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits. Raises `FileUnreadable`."""
    try:
        return sha256_of(path)
    except OSError as error:
        raise FileUnreadable(describe_error(error)) from error


def has_changed(
    path: Path, source: Source, published: Entry | None, table_rows: int | None
) -> tuple[bool, tuple[str, ...]]:
    """Whether a difference is the table's, which has changed since the export; and the reasons.

    A file that is not the one that was published is wrong, whatever became of the table.
    """
    if published is not None and digest_of(path) != published.sha256:
        return False, ("the file is not the one that was published: its SHA-256 is another",)
    intact = () if published is None else ("the file is the one that was published",)
    exported = None if published is None else published.circumstances.snapshot_time
    written = exported or datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    words = "exported" if exported else "written"
    loaded = source.last_load_at
    if loaded is not None and loaded > written:
        reason = (
            f"the table was loaded at {_told(loaded)}, the file was {words} at {_told(written)}"
        )
        return True, (*intact, reason)
    if published is not None and table_rows not in (None, published.rows):
        reason = f"the table had {published.rows:,} rows at the export and has {table_rows:,} now"
        return True, (*intact, reason)
    reasons = [f"the file was {words} at {_told(written)}"]
    if loaded is not None:
        reasons.append(f"the table was last loaded at {_told(loaded)}, before that")
    elif intact:
        reasons.append("nothing tells whether the table has changed since")
    return False, (*intact, *reasons)


def _told(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
