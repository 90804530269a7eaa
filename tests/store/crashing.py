"""Runs of the real thing that are killed at a chosen moment, from a process that has all loaded.

As a script: reads a line of JSON for each run, carries it out in a child of its own, and answers
with how that ended and how many calls were counted. SIGKILL is what ends a child: nothing of it
gets to clean up.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# All by which files and folders come, go and are flushed.
COUNTED = ("fsync", "link", "mkdir", "replace", "rmdir", "unlink", "fchmod", "open")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run to carry out: ended before the call of that number, or after so many seconds.

    It is the command line's if `by` is a signal that it answers to.
    """

    dsn: str
    output_dir: str
    publish: str = "together"
    at_call: int | None = None
    after_seconds: float | None = None
    by: int = signal.SIGKILL


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """`signal` is what killed the run; else it has an exit code. `calls` were counted by then."""

    signal: int | None
    code: int | None
    calls: list[str]


class Nursery:
    """The process that has all loaded, and whose children are killed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, order: Order) -> Ending:
        """Carry out a run and wait for its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        return Ending(**json.loads(self._process.stdout.readline()))


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A nursery that ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.store.crashing"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()


def _serve() -> None:
    import duckdb  # noqa: F401  # loaded once for all children

    import duckwarp.export.run  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(asdict(_carried_out(Order(**json.loads(line))))), flush=True)


def _carried_out(order: Order) -> Ending:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _export(order, writer)
    os.close(writer)
    if order.after_seconds is not None:
        time.sleep(order.after_seconds)
        os.kill(child, signal.SIGKILL)
    with open(reader, encoding="ascii") as pipe:
        calls = pipe.read().split()
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status)
    return Ending(
        signal=os.WTERMSIG(status) if killed else None,
        code=None if killed else os.WEXITSTATUS(status),
        calls=calls,
    )


def _export(order: Order, writer: int) -> None:
    """In the child: never returns."""
    from duckwarp.export.run import run_export
    from duckwarp.model.settings import Settings
    from duckwarp.model.source import Selection
    from duckwarp.record.store import EventStore

    counting = threading.Lock()
    calls = 0

    def counted(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            nonlocal calls
            with counting:
                calls += 1
                os.write(writer, f"{name} ".encode())
                if calls == order.at_call:
                    os.kill(os.getpid(), order.by)
            return original(*arguments, **more)

        return call

    for name in COUNTED:
        setattr(os, name, counted(name, getattr(os, name)))
    if order.by != signal.SIGKILL:
        _exit_as_the_command_does(order)
    settings = Settings(
        dsn=order.dsn,
        output_dir=Path(order.output_dir),
        publish=order.publish,  # type: ignore[arg-type]  # plain strings are taken
        jobs=1,
        threads=1,
    )
    try:
        run_export(Selection(schema="public"), settings, EventStore("killed"))
    finally:
        os._exit(0)


def _exit_as_the_command_does(order: Order) -> None:
    from duckwarp.cli.app import main

    words = ["export", "--schema", "public", "--dsn", order.dsn, "--output", order.output_dir]
    try:
        main([*words, "--publish", order.publish, "--jobs", "1", "--threads", "1", "--quiet"])
    except SystemExit as ending:
        os._exit(int(ending.code or 0))


if __name__ == "__main__":
    _serve()
