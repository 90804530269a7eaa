"""What is known of a file's past: the catalog's row of it, if the folder has a catalog.

Tells a table that has changed since the export from a file that is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from duckwarp.files.digest import sha256_of
from duckwarp.files.opening import describe_error, open_regular
from duckwarp.model.dataset import CATALOG
from duckwarp.model.errors import FileUnreadable
from duckwarp.model.source import Source
from duckwarp.verify.contents import describe

_COLUMNS = ("source_code", "sha256", "row_count", "snapshot_time", "last_load_at", "order_by")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What the catalog says of one file; None where it says nothing.

    `order_by` has the names of the columns by which the file is sorted.
    """

    sha256: str | None = None
    rows: int | None = None
    snapshot_time: datetime | None = None
    last_load_at: datetime | None = None
    order_by: tuple[str, ...] | None = None


def read_catalog(output_dir: Path) -> dict[str, Published] | None:
    """The catalog's rows by code, None where the folder has no catalog.

    Raises `FileUnreadable`.
    """
    path = output_dir / CATALOG
    if not os.path.lexists(path):
        return None
    try:
        with open_regular(path) as opened, pq.ParquetFile(opened) as file:
            present = [name for name in _COLUMNS if name in file.schema_arrow.names]
            rows = file.read(columns=present).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise FileUnreadable(f"{CATALOG}: {describe(error)}") from error
    return {row["source_code"]: _published(row) for row in rows if row.get("source_code")}


def _published(row: Mapping[str, Any]) -> Published:
    order_by = row.get("order_by")
    return Published(
        sha256=row.get("sha256"),
        rows=row.get("row_count"),
        snapshot_time=_moment(row.get("snapshot_time")),
        last_load_at=_moment(row.get("last_load_at")),
        order_by=None if order_by is None or isinstance(order_by, str) else tuple(order_by),
    )


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits. Raises `FileUnreadable`."""
    try:
        return sha256_of(path)
    except OSError as error:
        raise FileUnreadable(describe_error(error)) from error


def has_changed(
    path: Path, source: Source, published: Published | None, table_rows: int | None
) -> tuple[bool, tuple[str, ...]]:
    """Whether a difference is the table's, which has changed since the export; and the reasons.

    A file that is not the one that was published is wrong, whatever became of the table.
    """
    if published is not None and published.sha256 is not None:
        if digest_of(path) != published.sha256:
            return False, ("the file is not the one that was published: its SHA-256 is another",)
        intact = "the file is the one that was published"
    else:
        intact = None
    exported = None if published is None else published.snapshot_time
    written = exported or datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    words = "exported" if exported else "written"
    loaded = source.last_load_at
    if loaded is not None and loaded > written:
        reason = (
            f"the table was loaded at {_told(loaded)}, the file was {words} at {_told(written)}"
        )
        return True, (reason,) if intact is None else (intact, reason)
    known_rows = None if published is None else published.rows
    if intact and table_rows is not None and known_rows is not None and known_rows != table_rows:
        reason = f"the table had {known_rows:,} rows at the export and has {table_rows:,} now"
        return True, (intact, reason)
    reasons = [f"the file was {words} at {_told(written)}"]
    if loaded is not None:
        reasons.append(f"the table was last loaded at {_told(loaded)}, before that")
    elif intact:
        reasons.append("nothing tells whether the table has changed since")
    return False, (*([intact] if intact else []), *reasons)


def _told(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
