"""Memory that the system does not let the process have is a message, and never an abort."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from duckwarp.engine.limits import LEAST_BYTES, MAPPED_BYTES, check_limits
from duckwarp.model.errors import RunError
from tests.runs import published_files
from tests.support import Database

MB = 1_000_000
LIMITS = {"address space": resource.RLIMIT_AS, "data segment": resource.RLIMIT_DATA}


@pytest.fixture
def filled(database: Database) -> Database:
    database.execute("""
        CREATE TABLE t AS SELECT n, md5(n::text) AS a FROM generate_series(1, 100000) AS n;
        CREATE TABLE s AS SELECT 1 AS n""")
    return database


def run_limited(name: str, limit_bytes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of duckwarp's that may map so much."""
    limit = LIMITS[name]
    return subprocess.run(
        [sys.executable, "-m", "duckwarp", *arguments],
        preexec_fn=lambda: resource.setrlimit(limit, (limit_bytes, limit_bytes)),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("limit_mb", [60, 150, 300, 600, 1000, 1500, 2000, 2700])
def test_an_export_says_how_much_it_would_need(
    filled: Database, tmp_path: Path, limit_mb: int
) -> None:
    out, events = tmp_path / "out", tmp_path / "e.jsonl"
    options = ["--schema", "public", "--output", str(out), "--memory", "256MB"]
    options += ["--dsn", filled.dsn, "--events", str(events)]
    done = run_limited("address space", limit_mb * MB, "export", *options)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("error: the address space of the process is limited to ")
    assert "(ulimit -v)" in done.stderr
    assert not out.exists()
    end = json.loads(events.read_text().splitlines()[-1])
    assert (end["event_type"], end["context"]["exit_code"]) == ("run_ended", 3)
    assert "address space" in end["context"]["error"]


@pytest.mark.parametrize("name", LIMITS)
def test_an_export_that_may_have_as_much_goes_well(
    filled: Database, tmp_path: Path, name: str
) -> None:
    options = ["--schema", "public", "--output", str(tmp_path), "--memory", "512MB", "--verify"]
    enough = 512 * MB + MAPPED_BYTES
    done = run_limited(name, enough, "export", "--dsn", filled.dsn, *options)
    assert done.returncode == 0, done.stderr
    assert published_files(tmp_path) == {"t.parquet", "t.md", "s.parquet", "s.md"}


COMMANDS = {
    "sources": ["sources"],
    "describe": ["describe", "t"],
    "doctor": ["doctor", "--table", "public.t"],
    "verify": ["verify", "--table", "public.t"],
    "verify offline": ["verify", "--offline"],
    "catalog": ["catalog"],
    "catalog rebuild": ["catalog", "rebuild"],
}


@pytest.mark.parametrize("limit_bytes", [100 * MB, LEAST_BYTES - 1])
@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_every_command_says_so(arguments: Sequence[str], limit_bytes: int) -> None:
    done = run_limited("address space", limit_bytes, *arguments)
    assert done.returncode == 3
    assert done.stderr.startswith("error: the address space of the process is limited to ")


@pytest.mark.parametrize("name", LIMITS)
def test_help_needs_next_to_nothing(name: str) -> None:
    done = run_limited(name, 100 * MB, "--help")
    assert done.returncode == 0, done.stderr


def test_no_limit_is_none() -> None:
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        pytest.skip("this process has a limit")
    check_limits(10**15)


@pytest.mark.parametrize(("name", "command"), [("address space", "-v"), ("data segment", "-d")])
def test_each_limit_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, name: str, command: str
) -> None:
    unlimited = resource.RLIM_INFINITY

    def limit_of(limit: int) -> tuple[int, int]:
        return (2000 * MB if limit == LIMITS[name] else unlimited, unlimited)

    monkeypatch.setattr(resource, "getrlimit", limit_of)
    check_limits()
    told = rf"the {name} of the process is limited to 2.0 GB \(ulimit {command}\)"
    with pytest.raises(RunError, match=f"{told}, and duckwarp with --memory 1.0 GB needs 3.5 GB"):
        check_limits(1000 * MB)
