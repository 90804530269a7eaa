"""Runs one contestant in a process of its own, and says what it took.

The peak of resident memory is the kernel's, for the process and the children it waited for. A
child starts as a copy of this process, so that no figure can be below this process's own peak: what
is heavy is not imported here.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.results import Costs
from benchmarks.watching import Burden, watching

KIB = 1024
STDOUT, STDERR = STREAMS = ("stdout", "stderr")
EXCEPTION = re.compile(r"[\w.]*(?:Error|Exception)\b.*: ")
FAILURE_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A command, the empty folder it works in, and its environment.

    `dsn` is the database to watch, None where none is read. With `own_clock` the command prints
    `{"seconds": …}`, which counts instead of the time that its process took.
    """

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    timeout_seconds: float
    dsn: str | None = None
    own_clock: bool = False


class Failed(Exception):
    """A contestant that ended with an error, or not in time; the text is its last words."""


def measure(task: Task) -> Costs:
    """Carry out the task; its costs without the bytes of its output. Raises `Failed`."""
    with (
        (task.folder / STDOUT).open("wb") as stdout,
        (task.folder / STDERR).open("wb") as stderr,
        watching(task.dsn) if task.dsn else contextlib.nullcontext(Burden()) as burden,
    ):
        started = time.perf_counter()
        process = subprocess.Popen(
            task.command,
            cwd=task.folder,
            env=task.environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
        code, usage = _wait(process, task.timeout_seconds)
        seconds = time.perf_counter() - started
    if code:
        late = seconds >= task.timeout_seconds
        raise Failed(f"not done in {seconds:.0f} s" if late else _last_words(task.folder, code))
    costs = Costs(
        wall_seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * KIB,
        statement_seconds=burden.statement_seconds,
        snapshot_seconds=burden.snapshot_seconds,
        temp_bytes=burden.temp_bytes,
        connections=burden.connections,
    )
    if task.own_clock:
        costs = replace(
            costs, wall_seconds=json.loads((task.folder / STDOUT).read_text())["seconds"]
        )
    return costs


def _wait(
    process: subprocess.Popen[bytes], timeout_seconds: float
) -> tuple[int, resource.struct_rusage]:
    timer = threading.Timer(timeout_seconds, os.kill, (process.pid, signal.SIGKILL))
    timer.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage


def _last_words(folder: Path, code: int) -> str:
    """The error that a process ended with: Python's last exception, else the last line it wrote."""
    streams = [(folder / name).read_text(encoding="utf-8", errors="replace") for name in STREAMS]
    lines = [line.strip() for text in streams for line in text.splitlines() if line.strip()]
    raised = [line for line in lines if EXCEPTION.match(line)]
    said = (raised or lines or [f"ended with code {code}"])[-1]
    # Its own folder is of no interest, and has no place in stored results.
    return said.replace(str(folder), "…")[:FAILURE_CHARACTERS]
