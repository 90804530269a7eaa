"""duckwarp publishes PostgreSQL tables as Parquet files and data dictionaries.

The public names are imported when they are first used, so that `import duckwarp` stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duckwarp.model.version import __version__

if TYPE_CHECKING:
    from duckwarp.export.run import (
        export_publication_to_parquet,
        export_source_to_parquet,
        run_export,
    )
    from duckwarp.model.errors import DuckwarpError
    from duckwarp.model.events import Event, EventLevel, EventSink, EventType, create_event
    from duckwarp.model.results import ExportResult, RunReport
    from duckwarp.model.settings import Compression, Settings, SpecialValues
    from duckwarp.model.source import Selection
    from duckwarp.record.store import EventStore
    from duckwarp.verify.published import verify_files, verify_published
    from duckwarp.verify.verdicts import Agreement, VerificationReport

_HOMES = {
    "Agreement": "duckwarp.verify.verdicts",
    "Compression": "duckwarp.model.settings",
    "DuckwarpError": "duckwarp.model.errors",
    "Event": "duckwarp.model.events",
    "EventLevel": "duckwarp.model.events",
    "EventSink": "duckwarp.model.events",
    "EventStore": "duckwarp.record.store",
    "EventType": "duckwarp.model.events",
    "ExportResult": "duckwarp.model.results",
    "RunReport": "duckwarp.model.results",
    "Selection": "duckwarp.model.source",
    "Settings": "duckwarp.model.settings",
    "SpecialValues": "duckwarp.model.settings",
    "create_event": "duckwarp.model.events",
    "export_publication_to_parquet": "duckwarp.export.run",
    "export_source_to_parquet": "duckwarp.export.run",
    "run_export": "duckwarp.export.run",
    "VerificationReport": "duckwarp.verify.verdicts",
    "verify_files": "duckwarp.verify.published",
    "verify_published": "duckwarp.verify.published",
}

__all__ = [
    "Agreement",
    "Compression",
    "DuckwarpError",
    "Event",
    "EventLevel",
    "EventSink",
    "EventStore",
    "EventType",
    "ExportResult",
    "RunReport",
    "Selection",
    "Settings",
    "SpecialValues",
    "VerificationReport",
    "__version__",
    "create_event",
    "export_publication_to_parquet",
    "export_source_to_parquet",
    "run_export",
    "verify_files",
    "verify_published",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
