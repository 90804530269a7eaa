"""Runs one plan: COPY … TO in the session's thread, so that others can watch and interrupt."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from duckwarp.engine.cells import GUARD
from duckwarp.engine.footer import amend_footer
from duckwarp.engine.plan import ExportPlan, copy_statement, in_one_range
from duckwarp.engine.quoting import literal
from duckwarp.engine.session import (
    Running,
    Session,
    SharedSnapshot,
    enter_snapshot,
    execute_on_server,
    leave_snapshot,
)
from duckwarp.errors import RunError, SourceError

_GUARD_MET = re.compile(rf"{GUARD} (\d+)")


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
    """What one copy needs besides the session: the plan, the snapshot to read, where to write."""

    plan: ExportPlan
    shared: SharedSnapshot
    path: Path


def start_copy(session: Session, job: CopyJob) -> Running[int]:
    """Start a copy; its result is the number of rows written.

    The result raises `SpecialValueFound`, or `SourceError` with what went wrong.
    """
    return Running(session, _copy, session, job)


def _copy(session: Session, job: CopyJob) -> int:
    try:
        names = enter_snapshot(session, job.shared, len(job.plan.ranges))
        plan = job.plan if len(names) == len(job.plan.ranges) else in_one_range(job.plan)
        with _search_path(session, plan, names):
            statement = copy_statement(plan, names[: len(plan.ranges)], str(job.path))
            row = session.connection.execute(statement).fetchone()
        _check_types(session, job)
    except duckdb.Error as error:
        leave_snapshot(session)
        met = _GUARD_MET.search(str(error))
        if met is not None:
            position = int(met[1])
            raise SpecialValueFound(position, job.plan.columns[position - 1].name) from error
        raise _translated(error) from error
    except RunError as error:
        raise SourceError(str(error)) from error
    _amend(job)
    return int(row[0]) if row else 0


@contextlib.contextmanager
def _search_path(session: Session, plan: ExportPlan, names: list[str]) -> Iterator[None]:
    """No search path while a source is read in which names of objects have to be qualified."""
    if not plan.empty_search_path:
        yield
        return
    for name in names:
        execute_on_server(session, name, "SET LOCAL search_path = ''")
    yield
    for name in names:
        execute_on_server(session, name, "SET LOCAL search_path TO DEFAULT")


def _check_types(session: Session, job: CopyJob) -> None:
    """Whether the file has the planned types: the reader chooses them by rules of its own."""
    # Nothing that the path says is taken for a column or a pattern.
    path = re.sub(r"[*?\[]", r"[\g<0>]", str(job.path))
    query = f"DESCRIBE SELECT * FROM read_parquet({literal(path)}, hive_partitioning = false)"
    written = [row[1] for row in session.connection.execute(query).fetchall()]
    for column, found in zip(job.plan.columns, written, strict=True):
        if found != column.form.duckdb_type:
            raise SourceError(
                f'column "{column.name}" came out as {found} instead of {column.form.duckdb_type}: '
                "this is an error in duckwarp, please report it"
            )


def _amend(job: CopyJob) -> None:
    columns = job.plan.columns
    json_columns = {number for number, column in enumerate(columns) if column.form.json}
    names = [column.name for column in columns] if job.plan.renamed else None
    if json_columns or names is not None:
        amend_footer(job.path, names=names, json_columns=json_columns)


# What libpq said of a query stands behind DuckDB's words and, mostly, the whole query. What the
# server said begins with a severity, in its language, and two blanks; the rest is of the
# connection.
_SERVER_SAID = re.compile(
    r'Failed to [^":]*(?:".*")?: (?P<severity>[^\W\d_]+):  (?P<message>[^\n]+)', re.DOTALL
)
_LIBPQ_SAID = re.compile(
    r'Failed to (?:fetch|prepare|execute|copy)\b[^":]*(?:".*")?: (?P<message>[^\n]+)', re.DOTALL
)
_MAX_REASON = 500


def _translated(error: duckdb.Error) -> SourceError:
    """DuckDB's error in words that say what to do, without the query."""
    text = str(error)
    said = _SERVER_SAID.search(text)
    if said is not None and said["severity"] != "FATAL":
        return SourceError(f"PostgreSQL: {_shortened(said['message'])}")
    said = said or _LIBPQ_SAID.search(text)
    if said is not None:
        return SourceError(f"the connection to PostgreSQL was lost: {_shortened(said['message'])}")
    reason = _shortened(next(iter(text.splitlines()), type(error).__name__))
    if os.strerror(errno.ENOSPC) in reason:
        return SourceError(f"the disk is full: {reason}")
    if isinstance(error, duckdb.OutOfMemoryException):
        return SourceError(f"ran out of memory: {reason}")
    return SourceError(reason)


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_REASON else f"{text[:_MAX_REASON]} …"
