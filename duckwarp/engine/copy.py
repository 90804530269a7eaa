"""Runs one plan: COPY … TO in a thread of its own, so that others can watch and interrupt."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import duckdb

from duckwarp.engine.footer import amend_footer
from duckwarp.engine.forms import GUARD
from duckwarp.engine.plan import ExportPlan, copy_statement, in_one_range
from duckwarp.engine.quoting import literal
from duckwarp.engine.session import (
    Session,
    SharedSnapshot,
    enter_snapshot,
    execute_on_server,
    leave_snapshot,
)
from duckwarp.errors import RunError, SourceError

_GUARD_MET = re.compile(rf"{GUARD} (\d+)")


class SpecialValueFound(Exception):
    """A guard met a special value in the column at `position`: plan the source again."""

    def __init__(self, position: int) -> None:
        self.position = position
        super().__init__(f"{GUARD} {position}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyJob:
    """What one copy needs besides the session: the plan, the snapshot to read, where to write."""

    plan: ExportPlan
    shared: SharedSnapshot
    path: Path


class RunningCopy:
    """A copy under way in another thread."""

    def __init__(self, session: Session, job: CopyJob) -> None:
        self._session = session
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="duckwarp-copy")
        self._future = self._executor.submit(_copy, session, job)

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether the copy has ended, well or not."""
        return bool(wait([self._future], timeout=seconds).done)

    def rows(self) -> int:
        """The number of rows written, once it has ended.

        Raises `SpecialValueFound`, or `SourceError` with what went wrong.
        """
        self._executor.shutdown()
        return self._future.result()

    def interrupt(self) -> None:
        """Ask DuckDB to stop, and wait until it has.

        It stops at once only if the server stops sending: cancel the run's backends first.
        """
        self._session.connection.interrupt()
        self._executor.shutdown()


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
            raise SpecialValueFound(int(met[1])) from error
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
    query = f"DESCRIBE SELECT * FROM read_parquet({literal(str(job.path))})"
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


def _translated(error: duckdb.Error) -> SourceError:
    """DuckDB's error in words that say what to do."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, duckdb.OutOfMemoryException):
        return SourceError(f"ran out of memory: {reason}")
    # DuckDB gives the server's words only, without the code. The run holds a lock already: who
    # waits for it stands before the readers in the queue.
    if "lock timeout" in reason:
        return SourceError(
            "could not be read within the lock timeout: another session is waiting to change it; "
            "run again later"
        )
    return SourceError(reason)
