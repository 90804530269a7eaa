"""Two runs of the command line in one output folder: the second is told, or waits, or is ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.runs import published_files
from tests.store.test_staging import another_run

PATIENCE_SECONDS = 60


@contextmanager
def duckwarp(dsn: str, output: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`duckwarp export` of one small source."""
    command = [
        sys.executable,
        "-m",
        "duckwarp",
        "export",
        "--source",
        "adhd_prevalence_estimates_icb",
    ]
    with subprocess.Popen(
        [*command, "--dsn", dsn, "--output", str(output), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_second_run_ends_with_4_and_names_the_first(demo_dsn: str, tmp_path: Path) -> None:
    with another_run(tmp_path) as (holder, _), duckwarp(demo_dsn, tmp_path, "--json") as process:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 4
    [line] = err.splitlines()
    assert line.startswith(f"error: the output folder {tmp_path} is held by run the-other ")
    assert f"process {holder.pid} of " in line
    assert line.endswith(": wait for it with --wait SECONDS")
    assert json.loads(out)["exit_code"] == 4
    assert published_files(tmp_path) <= {".duckwarp"}


def test_with_wait_it_begins_when_the_first_has_ended(demo_dsn: str, tmp_path: Path) -> None:
    with another_run(tmp_path) as (holder, _):
        with duckwarp(demo_dsn, tmp_path, "--wait", "60") as process:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("waiting for run the-other (process ")
            assert holder.stdin is not None
            holder.stdin.close()
            _, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, err
    assert len(published_files(tmp_path)) == 2


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_waiting(
    demo_dsn: str, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with another_run(tmp_path) as (holder, folder):
        with duckwarp(demo_dsn, tmp_path, "--wait", "600") as process:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("waiting for run the-other (process ")
            process.send_signal(number)
            _, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == code
        assert "Traceback" not in err
        assert (folder / "half.parquet").exists()
        assert holder.poll() is None
