"""Whether a source may be exported at all, before anything is attempted with its rows."""

from __future__ import annotations

from collections.abc import Sequence

from duckwarp.output.staging import check_code
from duckwarp.settings import Settings
from duckwarp.source.access import check_access
from duckwarp.source.metadata import Column
from duckwarp.source.registry import Source
from duckwarp.source.snapshot import Snapshot


def admit(
    snapshot: Snapshot, source: Source, columns: Sequence[Column], settings: Settings
) -> None:
    """Raises `SourceError` where the code, the lock, the relation or a privilege forbids it."""
    check_code(source.code)
    if source.code in snapshot.unlocked:
        raise snapshot.unlocked[source.code]
    role = snapshot.role
    check_access(source, columns, role, settings.enable_row_security)
