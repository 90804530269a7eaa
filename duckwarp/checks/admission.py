"""Whether a source may be exported at all, before anything is attempted with its rows."""

from __future__ import annotations

from collections.abc import Sequence

from duckwarp.model.column import Column
from duckwarp.model.settings import Settings
from duckwarp.model.source import Source
from duckwarp.postgres.access import check_access
from duckwarp.postgres.snapshot import Snapshot
from duckwarp.store.staging import check_code


def admit(
    snapshot: Snapshot, source: Source, columns: Sequence[Column], settings: Settings
) -> None:
    """Raises `SourceError` where the code, the lock, the relation or a privilege forbids it."""
    check_code(source.code)
    if source.code in snapshot.unlocked:
        raise snapshot.unlocked[source.code]
    role = snapshot.role
    check_access(source, columns, role, settings.enable_row_security)
