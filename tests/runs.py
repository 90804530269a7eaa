"""What tests of whole runs share: sinks that watch, and the database's rows as PostgreSQL has them.

A written file is compared with PostgreSQL's own text of the rows, read by pyarrow's CSV reader:
neither of the two has been through DuckDB.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from psycopg import sql

from duckwarp.export.run import run_export
from duckwarp.model.events import Event, EventLevel, EventType
from duckwarp.model.results import ExportResult, RunReport
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from duckwarp.store.journal import CATALOG_NAMES
from tests.support import Database

Reaction = Callable[[Event], None]


class ReactionFailed(BaseException):
    """What a test did or claimed in the middle of a run failed: no run may go on after that."""


class Recorder:
    """A caller's own sink: keeps all events, and reacts to them while the run waits.

    What a sink raises ends no run. So what a reaction raises comes as `ReactionFailed`.
    """

    def __init__(self, reaction: Reaction | None = None, run_id: str = "test-run") -> None:
        self.run_id = run_id
        self.events: list[Event] = []
        self._reaction = reaction

    @property
    def reacts(self) -> bool:
        """Whether it does something besides keeping the events."""
        return self._reaction is not None

    def emit(self, event: Event) -> None:
        self.events.append(event)
        if self._reaction is not None:
            try:
                self._reaction(event)
            except Exception as error:
                raise ReactionFailed from error

    def of(self, event_type: EventType, stage: str | None = None) -> list[Event]:
        """The events of a type, in order; of one stage where it is named."""
        return [
            event
            for event in self.events
            if event.event_type is event_type and stage in (None, event.stage)
        ]

    def of_level(self, *levels: EventLevel) -> list[Event]:
        """The events of these levels, in order."""
        return [event for event in self.events if event.level in levels]


def when(event_type: EventType, source: str, action: Callable[[], Any]) -> Reaction:
    """Do `action` once, when the `export` stage of `source` tells `event_type`."""
    pending = [action]

    def react(event: Event) -> None:
        at_source = event.stage == "export" and event.context.get("source") == source
        if at_source and event.event_type is event_type and pending:
            pending.pop()()

    return react


def export(
    database: Database | str,
    selection: Selection,
    output_dir: Path,
    sink: Recorder | None = None,
    **settings: Any,
) -> RunReport:
    """A run against `database`, whose DSN stands for it where it is text.

    A sink that reacts does so between two sources: they are copied one by one for it, unless `jobs`
    says otherwise.
    """
    dsn = database if isinstance(database, str) else database.dsn
    if sink is not None and sink.reacts:
        settings = {"jobs": 1} | settings
    chosen = Settings(dsn=dsn, output_dir=output_dir, **settings)
    return run_export(selection, chosen, sink or Recorder())


def reading_over(connections: int) -> dict[str, int]:
    """The settings that let a run read over so many connections, besides the snapshot's."""
    return {"threads": connections, "max_connections": connections + 1}


def by_code(report: RunReport) -> dict[str, ExportResult]:
    """The results of a report, by code."""
    return {result.canonical_code: result for result in report.results}


def published_files(output_dir: Path) -> set[str]:
    """The names of all that is in the output folder, hidden ones too, besides the catalog's two."""
    if not output_dir.exists():
        return set()
    names = {path.name for path in output_dir.iterdir()}
    assert names & CATALOG_NAMES in (frozenset(), CATALOG_NAMES)
    return names - CATALOG_NAMES


def dataset_files(output_dir: Path) -> list[Path]:
    """The Parquet files of the output folder besides the catalog, by name."""
    found = output_dir.glob("*.parquet")
    return sorted(path for path in found if path.name not in CATALOG_NAMES)


def column_values(path: Path | str, name: str) -> list[Any]:
    """The values of one column of a Parquet file, in the file's order."""
    values = pq.read_table(path).column(name).to_pylist()
    return list(values)


def promised_table(database: Database, relation: sql.Identifier, schema: pa.Schema) -> pa.Table:
    """All rows of `relation` in the promised order, as PostgreSQL's text, parsed into `schema`."""
    with database.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET DateStyle = 'ISO, YMD'")
        keys = [
            sql.SQL('{} COLLATE "C" NULLS LAST' if is_text else "{} NULLS LAST").format(
                sql.Identifier(name)
            )
            for name, is_text in connection.execute(_COLUMNS, [relation.as_string(connection)])
        ]
        query = sql.SQL("COPY (SELECT * FROM {} ORDER BY {}) TO STDOUT (FORMAT csv)").format(
            relation, sql.SQL(", ").join(keys)
        )
        text = io.BytesIO()
        with connection.cursor().copy(query) as copy:
            for block in copy:
                text.write(block)
    return _parsed(text.getvalue(), schema)


_COLUMNS = """
    SELECT attname, attcollation <> 0 FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""


def _parsed(text: bytes, schema: pa.Schema) -> pa.Table:
    if not text:
        return schema.empty_table()
    return pa.csv.read_csv(
        io.BytesIO(text),
        read_options=pa.csv.ReadOptions(column_names=schema.names),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=schema,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
