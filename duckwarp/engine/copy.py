"""Runs one plan: COPY … TO in the session's thread, so that others can watch and interrupt."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from duckwarp.engine.cells import GUARD
from duckwarp.engine.layout import Reader
from duckwarp.engine.plan import ExportPlan, in_one_range
from duckwarp.engine.session import (
    Running,
    Session,
    SharedSnapshot,
    enter_snapshot,
    execute_on_server,
    leave_snapshot,
)
from duckwarp.engine.statements import (
    INVALID_TEXT,
    LONG_ROW,
    copy_statement,
    nan_streams,
    vector_streams,
    written_file,
    zeros_query,
)
from duckwarp.engine.streaming import byte_stream
from duckwarp.model.errors import DiskFull, InvalidText, ServerSaid, SourceError, shorten
from duckwarp.model.filenames import utf8_path
from duckwarp.model.settings import Order
from duckwarp.postgres.faults import words_pass

if TYPE_CHECKING:
    import psycopg

_GUARD_MET = re.compile(rf"{GUARD} (\d+)")


class OutOfMemory(Exception):
    """DuckDB's limit of memory did not suffice; `spilling` says that it had no room to spill."""

    def __init__(self, reason: str) -> None:
        self.spilling = "offload" in reason or "max_temp_directory_size" in reason
        super().__init__(reason.rstrip("."))


class LongRowFound(Exception):
    """A row has more text than row groups were made for: count the lengths, and plan again."""


class LargeNumberFound(Exception):
    """A number is larger than the type in which it was to be sorted: plan without that."""


class SpecialValueFound(Exception):
    """A guard met a special value in the column at `position`: plan the source again.

    Its words are for the case that the new plan meets one there too, which knows of all that there
    were.
    """

    def __init__(self, position: int, name: str) -> None:
        self.position = position
        super().__init__(
            f'the data change while they are read: column "{name}" had other values when they were '
            "counted than when they were copied; run again, or export a copy of the data"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyJob:
    """What one copy needs besides the session: the plan, the snapshot to read, where to write.

    `connection` holds the snapshot, and is read from itself where rows are read by their bytes:
    `on_rows` is told then, in another thread, of the rows that came.
    """

    plan: ExportPlan
    shared: SharedSnapshot
    path: Path
    connection: psycopg.Connection[Any]
    on_rows: Callable[[int], None]


def start_copy(session: Session, job: CopyJob) -> Running[int]:
    """Start a copy; its result is the number of rows written.

    The result raises `SpecialValueFound`, `LongRowFound`, `LargeNumberFound`, `OutOfMemory`, or
    `SourceError` with what went wrong.
    """
    return Running(session, _copy, session, job)


def _copy(session: Session, job: CopyJob) -> int:
    try:
        _set_up_writing(session, job.plan)
        rows = _rows_copied(session, job)
        _check_types(session, job)
    except BaseException as error:
        # The transaction has failed, and the next source would fail in it.
        connected = leave_snapshot(session)
        if session.watch.reason is not None and isinstance(error, duckdb.Error):
            raise _lost(session.watch.reason) from error
        if isinstance(error, (duckdb.Error, SourceError)):
            raise _understood(error, job, connected) from error
        raise
    return rows


def _understood(error: Exception, job: CopyJob, connected: bool) -> Exception:
    """What an error means to those who plan; `connected` says that the server was still there."""
    text = str(error)
    if LONG_ROW in text:
        return LongRowFound(LONG_ROW)
    met = _GUARD_MET.search(text)
    if met is not None:
        position = int(met[1])
        return SpecialValueFound(position, job.plan.columns[position - 1].name)
    if isinstance(error, SourceError):
        return error
    is_conversion = isinstance(error, duckdb.ConversionException) and INVALID_TEXT not in text
    if is_conversion and job.plan.narrows:
        return LargeNumberFound(_first_line(error))
    if isinstance(error, duckdb.OutOfMemoryException):
        return OutOfMemory(_first_line(error))
    return _translated(error, connected)


def _rows_copied(session: Session, job: CopyJob) -> int:
    plan, path = job.plan, utf8_path(job.path)
    if plan.reads_over_snapshot:
        with byte_stream(session, job.connection, plan, job.on_rows) as rows:
            return _executed(session, copy_statement(plan, rows, path))
    names = enter_snapshot(session, job.shared, len(plan.ranges))
    if len(names) < len(plan.ranges):
        plan = in_one_range(plan)
    with _search_path(session, job.shared, plan, names):
        names = names[: len(plan.ranges)]
        count = _executed(session, copy_statement(plan, vector_streams(plan, names), path))
        _check_zeros(session, plan, names, job.path)
    return count


def _executed(session: Session, statement: str) -> int:
    row = session.connection.execute(statement).fetchone()
    return int(row[0]) if row else 0


def _set_up_writing(session: Session, plan: ExportPlan) -> None:
    """Set the threads, the memory and the order of writing of the plan, for all sessions.

    Those that copy side by side have the same.
    """
    kept = plan.order is not Order.NONE and plan.layout.reader is Reader.VECTORS
    options = (
        f"SET threads = {plan.layout.threads}; SET memory_limit = '{plan.layout.duckdb_bytes}B'; "
        f"SET preserve_insertion_order = {kept}"
    )
    if session.options != [options]:
        session.connection.execute(options)
        session.options[:] = [options]


@contextlib.contextmanager
def _search_path(
    session: Session, shared: SharedSnapshot, plan: ExportPlan, names: list[str]
) -> Iterator[None]:
    """No search path while a source is read in which names of objects have to be qualified."""
    if not plan.empty_search_path:
        yield
        return
    for name in names:
        execute_on_server(session, name, "SET LOCAL search_path = ''")
    yield
    for name in names:
        execute_on_server(session, name, shared.search_path_statement)


def _check_types(session: Session, job: CopyJob) -> None:
    """Whether the file has the planned types: the reader chooses them by rules of its own."""
    query = f"DESCRIBE SELECT * FROM {written_file(job.path)}"
    written = [row[1] for row in session.connection.execute(query).fetchall()]
    for column, found in zip(job.plan.columns, written, strict=True):
        planned = str(column.form.type)
        if found != planned:
            raise SourceError(
                f'column "{column.name}" came out as {found} instead of {planned}: '
                "this is an error in duckwarp, please report it"
            )


def _check_zeros(session: Session, plan: ExportPlan, names: list[str], path: Path) -> None:
    """Raises `SpecialValueFound` where NaN came as 0 into a column that was to have neither."""
    columns = [n for n, column in enumerate(plan.columns, start=1) if column.never_zero]
    if not columns:
        return
    row = session.connection.execute(zeros_query(plan, columns, path)).fetchone()
    suspects = [n for n, is_there in zip(columns, row or (), strict=True) if is_there]
    if not suspects:
        return
    met = session.connection.execute(nan_streams(plan, names, suspects)).fetchone()
    if met is not None:
        position = int(met[0])
        raise SpecialValueFound(position, plan.columns[position - 1].name)


# What libpq said of a query stands behind DuckDB's words and, mostly, the whole query. What the
# server said begins with a severity, in its language, and two blanks; the rest is of the
# connection. DuckDB's libpq has no other language for the names of the parts that follow.
_SERVER_SAID = re.compile(
    r'Failed to [^":]*(?:".*")?: (?P<severity>[^\W\d_]+):  (?P<message>.+)', re.DOTALL
)
_LIBPQ_SAID = re.compile(
    r'Failed to (?:fetch|prepare|execute|copy)\b[^":]*(?:".*")?: (?P<message>[^\n]+)', re.DOTALL
)
_PART = re.compile(r"\n(DETAIL|HINT|QUERY|CONTEXT|LOCATION|LINE \d+): ")


def _translated(error: Exception, connected: bool) -> SourceError:
    """DuckDB's error in words that say what to do, without the query."""
    text, reason = str(error), _first_line(error)
    if INVALID_TEXT in text:
        return InvalidText()
    said = _SERVER_SAID.search(text)
    words, *parts = _PART.split(said["message"]) if said is not None else [""]
    if said is not None and said["severity"] != "FATAL" and connected:
        more = dict(zip(parts[::2], parts[1::2], strict=True))
        words = shorten(words)
        refused = ServerSaid(words, more.get("DETAIL"), more.get("HINT"))
        refused.may_pass = words_pass(words)
        return refused
    if said is None and (said := _LIBPQ_SAID.search(text)) is not None:
        words = said["message"]
    if said is not None or not connected:
        return _lost(reason if said is None else shorten(words))
    if os.strerror(errno.ENOSPC) in reason:
        return DiskFull(reason)
    return SourceError(reason)


def _lost(reason: str) -> SourceError:
    lost = SourceError(f"the connection to PostgreSQL was lost: {reason}")
    lost.may_pass = True
    return lost


def _first_line(error: Exception) -> str:
    return shorten(next(iter(str(error).splitlines()), type(error).__name__))
