"""Whether a source may be exported at all, before anything is attempted with its rows."""

from __future__ import annotations

from collections.abc import Sequence

from duckwarp.model.column import Column
from duckwarp.model.errors import SourceError
from duckwarp.model.filenames import check_code
from duckwarp.model.settings import Settings
from duckwarp.model.source import Source
from duckwarp.postgres.access import check_access, check_texts
from duckwarp.postgres.snapshot import Snapshot


def admit(
    snapshot: Snapshot, source: Source, columns: Sequence[Column], settings: Settings
) -> None:
    """Raises `SourceError` where the code, the lock, the relation or a privilege forbids it."""
    check_source(source)
    if source.code in snapshot.unlocked:
        raise snapshot.unlocked[source.code]
    check_access(source, columns, snapshot.role, settings.enable_row_security)


def check_source(source: Source) -> None:
    """Raises `SourceError` where what is said of the source, or its code, forbids it."""
    check_texts(source)
    if source.registered:
        advice = "give it another code in the registry"
    else:
        advice = f"give the table another code with --table CODE={source.quoted_name}"
    check_code(source.code, advice)
    if source.twin is not None:
        raise SourceError(
            f'the code "{source.code}" names the same file as "{source.twin}" on macOS and '
            f"Windows: {advice}"
        )
