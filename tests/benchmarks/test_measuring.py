"""A process is measured as it is, and the server is watched while it runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from benchmarks.measuring import Failed, Task, measure
from benchmarks.watching import watching
from tests.support import Database

REPOSITORY = Path(__file__).parents[2]
DEADLINE_SECONDS = 30.0


def task(folder: Path, code: str, **values: object) -> Task:
    """A Python program, with time enough."""
    defaults = {"timeout_seconds": DEADLINE_SECONDS, "environment": dict(os.environ)}
    command = [sys.executable, "-c", code]
    return Task(**({"command": command, "folder": folder} | defaults | values))


# In a process of its own, since a child's peak is never below that of who starts it.
PEAK = """
import os, sys
from pathlib import Path
from benchmarks.measuring import Task, measure
command = [sys.executable, "-c", "held = b'x' * " + sys.argv[2]]
folder = Path(sys.argv[1])
task = Task(command=command, folder=folder, environment=os.environ, timeout_seconds=60)
print(measure(task).peak_bytes)
"""


@pytest.mark.parametrize("size_bytes", [200_000_000, 400_000_000])
def test_the_peak_is_that_of_the_process(size_bytes: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PEAK, str(tmp_path), str(size_bytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert size_bytes < int(done.stdout) < size_bytes + 100_000_000


def test_a_program_with_a_clock_of_its_own_is_believed(tmp_path: Path) -> None:
    code = "print('{\"seconds\": 123.5}')"
    assert measure(task(tmp_path, code, own_clock=True)).wall_seconds == 123.5


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param(
            "raise MemoryError('out of it\\nPossible solutions:\\n* buy more')",
            "MemoryError: out of it",
            id="the line of the exception",
        ),
        pytest.param("exit('no such table')", "no such table", id="the last line"),
        pytest.param("exit(7)", "ended with code 7", id="nothing was said"),
        pytest.param(
            "import os; raise OSError(os.getcwd())", "OSError: …", id="its folder is left out"
        ),
    ],
)
def test_a_failure_is_told_in_its_own_words(code: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(Failed) as failed:
        measure(task(tmp_path, code))
    assert str(failed.value) == words


def test_who_is_not_done_in_time_is_ended(tmp_path: Path) -> None:
    code = "import time; time.sleep(3600)"
    with pytest.raises(Failed, match="not done in"):
        measure(task(tmp_path, code, timeout_seconds=0.2))


def test_the_age_of_a_snapshot_and_the_sessions_are_seen(database: Database) -> None:
    with watching(database.dsn) as burden, database.connect() as first, database.connect():
        first.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        first.execute("SELECT count(*) FROM pg_class")
        wait_for(lambda: burden.snapshot_seconds > 0 and burden.connections == 2)


def test_a_statement_is_seen_while_it_runs(database: Database) -> None:
    with watching(database.dsn) as burden, database.connect() as connection, connection.pipeline():
        cursor = connection.execute("SELECT pg_sleep(3600)")
        wait_for(lambda: burden.statement_seconds > 0)
        connection.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            cursor.fetchone()


def test_temporary_files_of_sessions_that_have_ended_are_counted(database: Database) -> None:
    with watching(database.dsn) as burden, database.connect() as connection:
        connection.execute("SET work_mem = '64kB'")
        connection.execute("SELECT g FROM generate_series(1, 100000) g ORDER BY -g")
    assert burden.temp_bytes > 100_000


def wait_for(condition: Callable[[], bool]) -> None:
    """Returns when it is so; fails where it does not become so."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
