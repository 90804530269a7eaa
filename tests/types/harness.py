"""How the tests of the type map export, read back, and ask PostgreSQL what is right.

PostgreSQL's side is the text that it sends itself, under the session settings of a run, or a
canonical text that it makes of the value (bits of a float in hex, microseconds since 1970). The
file's side is read by pyarrow and by DuckDB and brought to the same canonical text. Nothing here
uses duckwarp's own expressions.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from duckwarp import EventStore
from duckwarp.export.run import run_export
from duckwarp.model.events import Event, EventType
from duckwarp.model.results import RunReport, SourceOutcome, SourceState
from duckwarp.model.settings import SESSION_SETTINGS, Settings
from duckwarp.model.source import Selection
from tests.support import Database, dsn_with

SCHEMA = "staging"

# A value of a file or of the server in canonical text; a list has one text for each element.
Text = str | list["str | None"] | None

_numbers = itertools.count(1)


@contextmanager
def scratch_database(
    server_dsn: str, worker_id: str, *, encoding: str = "UTF8", options: str = ""
) -> Iterator[Database]:
    """An empty database that lives longer than one test, with further `options` of its making."""
    name = f"duckwarp_types_{worker_id}_{uuid.uuid4().hex[:8]}_{next(_numbers)}"
    server = Database(dsn=server_dsn)
    if encoding != "UTF8":
        options += " LOCALE 'C'"
    server.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' {options}")
    try:
        yield Database(dsn=dsn_with(server_dsn, dbname=name))
    finally:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What one run wrote, and what it told."""

    folder: Path
    report: RunReport
    events: tuple[Event, ...]

    def outcome(self, code: str) -> SourceOutcome:
        """How the source ended."""
        return next(outcome for outcome in self.report.outcomes if outcome.code == code)

    def parquet(self, code: str) -> Path:
        """The file of a source that must have been exported."""
        outcome = self.outcome(code)
        # The same data twice are the same file.
        published = (SourceState.EXPORTED, SourceState.UNCHANGED)
        assert outcome.state in published, outcome.reason
        return self.folder / f"{code}.parquet"

    def page(self, code: str) -> str:
        """The data dictionary of a source, without the escapes of Markdown."""
        return (self.folder / f"{code}.md").read_text(encoding="utf-8").replace("\\", "")

    def warnings(self, code: str) -> list[dict[str, Any]]:
        """The figures of the warnings about a source."""
        found = [e for e in self.events if e.event_type is EventType.WARNING]
        return [dict(e.context) for e in found if e.context["source"] == code]

    def error(self, code: str) -> str:
        """Why a source failed that must have failed."""
        outcome = self.outcome(code)
        assert outcome.state is SourceState.FAILED, outcome
        return outcome.reason or ""


def export(dsn: str, folder: Path, *, schema: str = SCHEMA, **settings: Any) -> Exported:
    """Export all relations of a schema; the keywords are those of `Settings`."""
    events: list[Event] = []
    store = EventStore("run-of-a-test", listeners=[events.append])
    report = run_export(
        Selection(schema=schema), Settings(dsn=dsn, output_dir=folder, **settings), store
    )
    return Exported(folder=folder, report=report, events=tuple(events))


def sha256(path: Path) -> str:
    """The digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pages_sha256(path: Path) -> str:
    """The digest of a file's bytes less its footer, which has the name of its table."""
    content = path.read_bytes()
    footer_bytes = int.from_bytes(content[-8:-4], "little")
    return hashlib.sha256(content[: -8 - footer_bytes]).hexdigest()


# --- The file's side ---------------------------------------------------------------------------


def by_pyarrow(path: Path) -> pa.Table:
    """The file as pyarrow reads it."""
    return pq.read_table(path)


def by_duckdb(path: Path) -> pa.Table:
    """The file as DuckDB reads it."""
    with duckdb.connect() as connection:
        return connection.sql(f"FROM read_parquet('{path}')").to_arrow_table()


READERS: dict[str, Callable[[Path], pa.Table]] = {"pyarrow": by_pyarrow, "DuckDB": by_duckdb}


def file_types(path: Path) -> list[str]:
    """The types of the columns as DuckDB has them."""
    with duckdb.connect() as connection:
        described = connection.execute(f"DESCRIBE FROM read_parquet('{path}')").fetchall()
    return [row[1] for row in described]


def texts(array: pa.Array | pa.ChunkedArray) -> list[Text]:
    """The values of a column in canonical text."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    kind = array.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [None if cell.values is None else texts(cell.values) for cell in array]  # type: ignore[misc]
    if pa.types.is_temporal(kind):
        array = array.view(pa.int32() if kind.bit_width == 32 else pa.int64())
    return [None if value is None else _text(value, kind) for value in array.to_pylist()]


def _text(value: Any, kind: pa.DataType) -> str:
    if pa.types.is_float32(kind):
        return struct.pack(">f", value).hex()
    if pa.types.is_float64(kind):
        return struct.pack(">d", value).hex()
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, bytes):
        return str(uuid.UUID(bytes=value)) if kind == pa.binary(16) else value.hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def plain(value: Decimal) -> str:
    """A decimal with no zeros that it does not need."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


# --- PostgreSQL's side -------------------------------------------------------------------------


@contextmanager
def session(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A session in which PostgreSQL's text is what a run would see."""
    with psycopg.connect(dsn, autocommit=True, client_encoding="UTF8") as connection:
        known = {row[0].lower() for row in connection.execute("SELECT name FROM pg_settings")}
        for name, value in SESSION_SETTINGS.items():
            if name.lower() in known:
                connection.execute(
                    sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
                )
        connection.execute("SET search_path = ''")
        yield connection


def wire(connection: psycopg.Connection[Any], query: str) -> list[tuple[str | None, ...]]:
    """The rows of a query in the text that the server sends, untouched by any driver's types."""
    result = connection.execute(query.encode()).pgresult
    assert result is not None
    return [
        tuple(
            None if (raw := result.get_value(row, column)) is None else raw.decode()
            for column in range(result.nfields)
        )
        for row in range(result.ntuples)
    ]


# Canonical text of a value of PostgreSQL, by DuckDB's name of the type that it is written as.
_MICROSECONDS = "pg_catalog.trim_scale(EXTRACT(epoch FROM {c}) * 1000000)::text"
_CANONICAL = {
    "BOOLEAN": "CASE WHEN {c} THEN 'true' WHEN NOT {c} THEN 'false' END",
    "FLOAT": "pg_catalog.encode(pg_catalog.float4send({c}), 'hex')",
    "DOUBLE": "pg_catalog.encode(pg_catalog.float8send({c}), 'hex')",
    "DECIMAL": "pg_catalog.trim_scale({c}::numeric)::text",
    "BLOB": "pg_catalog.encode({c}, 'hex')",
    "DATE": "({c} - date '1970-01-01')::text",
    "TIMESTAMP": _MICROSECONDS,
    "TIMESTAMP WITH TIME ZONE": _MICROSECONDS,
    "TIME": _MICROSECONDS,
}


# A value that the Parquet type cannot hold, known by PostgreSQL's text of it.
_LAST_MOMENT = "294247-01-10 04:00:54.775806"
_IS_SPECIAL = (
    "({c}::text IN ('NaN', 'Infinity', '-Infinity', 'infinity', '-infinity', '24:00:00') OR "
    f"{{c}}::text ~ '^2942' AND left({{c}}::text, 28) COLLATE \"C\" > '{_LAST_MOMENT}')"
)


def canonical(written: str, column: str, *, without_specials: bool = False) -> str | None:
    """SQL for the canonical text of a column, None where that is its own text."""
    if written.endswith("[]"):
        inner = canonical(written.removesuffix("[]"), "u.e", without_specials=without_specials)
        return inner and (
            f"CASE WHEN {column} IS NULL THEN NULL ELSE ARRAY(SELECT {inner} FROM "
            f"pg_catalog.unnest({column}) WITH ORDINALITY AS u(e, o) ORDER BY u.o)::text[] END"
        )
    kind = written.partition("(")[0]
    template = _CANONICAL.get(kind)
    if template is not None and without_specials and kind not in ("FLOAT", "DOUBLE"):
        template = f"CASE WHEN {_IS_SPECIAL} THEN NULL ELSE {template} END"
    return template and template.replace("{c}", column)


def expected(
    connection: psycopg.Connection[Any],
    relation: str,
    written: str,
    *,
    column: str = "v",
    without_specials: bool = False,
) -> list[Text]:
    """PostgreSQL's values of a column in canonical text, in the order of the column n."""
    expression = canonical(written, column, without_specials=without_specials) or column
    rows = wire(connection, f"SELECT {expression} FROM {relation} ORDER BY n")
    raw = [row[0] for row in rows]
    if not written.endswith("[]"):
        return list(raw)
    return [None if text is None else elements(connection, text) for text in raw]


def elements(connection: psycopg.Connection[Any], text: str) -> list[str | None]:
    """The elements of an array of one dimension, of the text that the server sent."""
    row = connection.execute("SELECT %s::text[]", [text]).fetchone()
    assert row is not None
    return list(row[0])


def differences(found: Sequence[Text], wanted: Sequence[Text]) -> list[tuple[int, Text, Text]]:
    """The places where two columns differ."""
    assert len(found) == len(wanted)
    return [(n, f, w) for n, (f, w) in enumerate(zip(found, wanted, strict=True)) if f != w]
