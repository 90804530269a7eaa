"""Ctrl-C, SIGTERM and SIGKILL in the middle of a run of the real command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from duckwarp.model.source import Selection
from duckwarp.store.staging import STAGING_FOLDER
from tests.runs import column_values, export, published_files
from tests.support import Database

PATIENCE_SECONDS = 60.0

# Rows come slowly and for ever: the run is always reading.
ENDLESS = """
    CREATE VIEW b AS
    SELECT n, pg_sleep(0.01)::text AS s FROM generate_series(1, 1000000) AS n"""
# A numeric without precision is measured first, which takes for ever here.
UNMEASURABLE = """
    CREATE VIEW b AS
    SELECT n::numeric FROM generate_series(1, 1000000) AS n WHERE pg_sleep(0.01) IS NOT NULL"""
# Rows of a megabyte, which are read by their bytes; that alone takes for ever.
HUGE = """
    CREATE VIEW b AS
    SELECT n, repeat('x', 1000000) AS s, CASE WHEN stream.reads THEN pg_sleep(0.01) END::text AS p
    FROM (SELECT current_query() LIKE 'COPY (SELECT c1%') AS stream (reads),
         generate_series(1, CASE WHEN stream.reads THEN 100000 ELSE 40 END) AS n"""
# Rows come at once and take long to sort and to write: wide, and in the reverse order.
LARGE = """
    CREATE VIEW b AS
    SELECT md5((n + 1)::text) || md5(n::text) AS s, 2000000 - n AS n, md5((n + 2)::text) AS t
    FROM generate_series(1, 2000000) AS n"""


@pytest.fixture
def exported(database: Database, tmp_path: Path) -> Database:
    """A database whose sources `a` and `b` were exported once into `tmp_path`."""
    database.execute("CREATE VIEW a AS SELECT 1 AS n; CREATE VIEW b AS SELECT 1 AS n")
    export(database, Selection(schema="public"), tmp_path)
    database.execute("DROP VIEW b")
    return database


def previous_pair(output_dir: Path) -> list[tuple[bytes, int]]:
    paths = [output_dir / "b.parquet", output_dir / "b.md"]
    return [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths]


@contextmanager
def running_export(
    dsn: Database | str, output_dir: Path, *options: str
) -> Iterator[subprocess.Popen[str]]:
    """`duckwarp export` of the schema `public`, in a process of its own."""
    command = [sys.executable, "-m", "duckwarp", "export", "--schema", "public", *options]
    where = dsn if isinstance(dsn, str) else dsn.dsn
    with subprocess.Popen(
        [*command, "--dsn", where, "--output", str(output_dir)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def sessions(database: Database, condition: str = "true") -> int:
    """How many sessions of a run there are of which the condition holds."""
    [(count,)] = database.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'duckwarp %' "
        f"AND datname = current_database() AND ({condition})"
    )
    return int(count)


def wait_until(happens: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def connected(database: Database) -> bool:
    """Whether the run has a session."""
    return sessions(database) > 0


def reading(database: Database) -> bool:
    """Whether the server is sending the rows of `b`."""
    return sessions(database, "state = 'active' AND query LIKE 'COPY%\"b\"%'") > 0


def streaming(database: Database) -> bool:
    """Whether the server is sending the rows of `b` to the reader of huge values."""
    return sessions(database, "state = 'active' AND query LIKE 'COPY (SELECT c1%\"b\"%'") > 0


def sorting(database: Database) -> bool:
    """Whether all rows of `b` were sent, and the copy has not ended."""
    return sessions(database, "state LIKE 'idle in%' AND query LIKE 'COPY%\"b\"%'") > 0


def measuring(database: Database) -> bool:
    """Whether the session of the snapshot is asking what `b` holds."""
    return sessions(database, "state = 'active' AND query LIKE 'SAVEPOINT%SELECT%\"b\"%'") > 0


@pytest.mark.parametrize(
    ("view", "phase", "signal_number", "exit_code"),
    [
        pytest.param(ENDLESS, reading, signal.SIGINT, 130, id="Ctrl-C while rows are read"),
        pytest.param(ENDLESS, reading, signal.SIGTERM, 143, id="SIGTERM while rows are read"),
        pytest.param(LARGE, sorting, signal.SIGTERM, 143, id="SIGTERM while rows are sorted"),
        pytest.param(HUGE, streaming, signal.SIGINT, 130, id="Ctrl-C while huge values are read"),
        pytest.param(HUGE, streaming, signal.SIGTERM, 143, id="SIGTERM while they are read"),
        pytest.param(ENDLESS, reading, signal.SIGHUP, 129, id="a closed terminal"),
        pytest.param(ENDLESS, connected, signal.SIGTERM, 143, id="SIGTERM once connected"),
        pytest.param(ENDLESS, connected, signal.SIGINT, 130, id="Ctrl-C once connected"),
        pytest.param(UNMEASURABLE, measuring, signal.SIGINT, 130, id="Ctrl-C while measured"),
    ],
)
def test_an_interrupted_run_ends_and_leaves_what_was_there(
    exported: Database,
    tmp_path: Path,
    view: str,
    phase: Callable[[Database], bool],
    signal_number: signal.Signals,
    exit_code: int,
) -> None:
    exported.execute(view)
    before = previous_pair(tmp_path)
    with running_export(exported, tmp_path) as process:
        wait_until(lambda: phase(exported), process)
        process.send_signal(signal_number)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == exit_code, errors
    assert "Traceback" not in errors
    assert sessions(exported) == 0
    assert published_files(tmp_path) == {"a.parquet", "a.md", "b.parquet", "b.md"}
    assert previous_pair(tmp_path) == before


@pytest.mark.parametrize(
    ("signal_number", "exit_code"),
    [
        pytest.param(signal.SIGINT, 130, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, 143, id="SIGTERM"),
    ],
)
@pytest.mark.parametrize("waits_for", ["a source", "the server"])
def test_a_wait_before_another_try_ends_at_once(
    exported: Database,
    tmp_path: Path,
    waits_for: str,
    signal_number: signal.Signals,
    exit_code: int,
) -> None:
    """The longest wait would be more than the test's patience."""
    exported.execute(ENDLESS)
    before = previous_pair(tmp_path)
    dsn = exported.dsn if waits_for == "a source" else "host=127.0.0.1 port=1"
    options = ["--retries", "20", "--statement-timeout", "0.2"]
    with running_export(dsn, tmp_path, *options) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if line.startswith("retrying"))
        process.send_signal(signal_number)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert ("the run" in line) is (waits_for == "the server")
    assert process.returncode == exit_code, errors
    assert "Traceback" not in errors
    assert sessions(exported) == 0
    assert published_files(tmp_path) == {"a.parquet", "a.md", "b.parquet", "b.md"}
    assert previous_pair(tmp_path) == before


def test_a_wait_for_a_lock_ends_at_once(exported: Database, tmp_path: Path) -> None:
    exported.execute("CREATE TABLE b AS SELECT 2 AS n")
    before = previous_pair(tmp_path)
    with exported.connect(autocommit=False) as other:
        other.execute("LOCK TABLE b")
        with running_export(exported, tmp_path, "--lock-timeout", "3600") as process:
            wait_until(lambda: sessions(exported, "wait_event_type = 'Lock'") > 0, process)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 143, errors
    assert sessions(exported) == 0
    assert previous_pair(tmp_path) == before


def test_a_killed_run_is_cleaned_up_by_the_next_one(exported: Database, tmp_path: Path) -> None:
    exported.execute(LARGE)
    before = previous_pair(tmp_path)
    with running_export(exported, tmp_path) as process:
        wait_until(lambda: reading(exported), process)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    left = [path for path in (tmp_path / STAGING_FOLDER).rglob("*") if path.is_file()]
    assert left
    assert previous_pair(tmp_path) == before
    exported.execute("DROP VIEW b; CREATE VIEW b AS SELECT 2 AS n")
    export(exported, Selection(schema="public"), tmp_path)
    assert published_files(tmp_path) == {"a.parquet", "a.md", "b.parquet", "b.md"}
    assert column_values(tmp_path / "b.parquet", "n") == [2]
