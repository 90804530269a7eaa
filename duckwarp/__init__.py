"""duckwarp publishes PostgreSQL tables as Parquet files and data dictionaries.

The public names are imported when they are first used, so that `import duckwarp` stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duckwarp.version import __version__

if TYPE_CHECKING:
    from duckwarp.errors import DuckwarpError
    from duckwarp.events import (
        Event,
        EventLevel,
        EventSink,
        EventStore,
        EventType,
        create_event,
    )
    from duckwarp.exporter import (
        export_publication_to_parquet,
        export_source_to_parquet,
        run_export,
    )
    from duckwarp.results import ExportResult, RunReport
    from duckwarp.settings import Compression, Settings, SpecialValues
    from duckwarp.source.registry import Selection
    from duckwarp.verify import verify_files, verify_published
    from duckwarp.verifying.verdicts import Agreement, VerificationReport

_HOMES = {
    "Agreement": "duckwarp.verifying.verdicts",
    "Compression": "duckwarp.settings",
    "DuckwarpError": "duckwarp.errors",
    "Event": "duckwarp.events",
    "EventLevel": "duckwarp.events",
    "EventSink": "duckwarp.events",
    "EventStore": "duckwarp.events",
    "EventType": "duckwarp.events",
    "ExportResult": "duckwarp.results",
    "RunReport": "duckwarp.results",
    "Selection": "duckwarp.source.registry",
    "Settings": "duckwarp.settings",
    "SpecialValues": "duckwarp.settings",
    "create_event": "duckwarp.events",
    "export_publication_to_parquet": "duckwarp.exporter",
    "export_source_to_parquet": "duckwarp.exporter",
    "run_export": "duckwarp.exporter",
    "VerificationReport": "duckwarp.verifying.verdicts",
    "verify_files": "duckwarp.verify",
    "verify_published": "duckwarp.verify",
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
