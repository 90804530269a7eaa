"""What DuckDB frees goes back to the kernel when the process comes near its bound."""

from __future__ import annotations

import subprocess
import sys

import pytest

from duckwarp.engine import allocator

HELD_MB = 200
# Fills and drops a table in memory, and says what is held of it afterwards, in MB.
DROPPING = f"""
import sys, time
import psutil
import duckdb
from duckwarp.engine.allocator import memory_given_back

process = psutil.Process()
with memory_given_back(int(sys.argv[1])):
    connection = duckdb.connect(config={{"threads": 2}})
    connection.execute("SET enable_progress_bar = false")
    connection.execute("CREATE TABLE nothing (n INT)")
    before = process.memory_info().rss
    connection.execute(
        "CREATE TABLE t AS SELECT random() AS a, random() AS b FROM range({HELD_MB * 10**6 // 16})"
    )
    full = process.memory_info().rss
    connection.execute("DROP TABLE t")
    deadline = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < deadline:
        if process.memory_info().rss - before < {HELD_MB * 10**6 // 4}:
            break
        time.sleep(0.05)
    print((full - before) // 10**6, (process.memory_info().rss - before) // 10**6)
"""


def held(process_bytes: int, patience_seconds: float) -> tuple[int, int]:
    """What is held with the table and without it, under this bound."""
    ended = subprocess.run(
        [sys.executable, "-c", DROPPING, str(process_bytes), str(patience_seconds)],
        capture_output=True,
        text=True,
        check=True,
    )
    full, rest = ended.stdout.split()
    return int(full), int(rest)


def test_near_the_bound_it_goes_back() -> None:
    full, rest = held(1, patience_seconds=30)
    assert full > HELD_MB * 0.9
    assert rest < HELD_MB / 4


def test_far_from_it_it_is_kept_for_what_comes_next() -> None:
    """Or the other test would prove nothing."""
    full, rest = held(10**12, patience_seconds=0)
    assert full > HELD_MB * 0.9
    assert rest > HELD_MB / 4


def test_without_an_allocator_of_its_own_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "_duckdb", sys)
    with allocator.memory_given_back(1):
        pass
