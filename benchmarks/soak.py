"""Many runs in a row over a publication that a second process never leaves alone.

After each run every published file has to be whole, all files of the run have to be of one commit,
and nothing may be left behind or grow: memory, file descriptors, threads, connections, files. First
through the Python API, all runs in one process, then through the command line, then so that what
is unchanged is not read: what was loaded must not be taken for unchanged.

    python -m benchmarks.soak [--quick] [--runs NUMBER]

`DUCKWARP_BENCH_DSN` names a server (a superuser's DSN); without it an embedded one is started. The
figures are printed, and kept in `benchmarks/results/soak.json` unless it was quick.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks.server import database
from benchmarks.soaking.checking import Folder, Reader, Unsound, checked
from benchmarks.soaking.loading import PUBLICATION, REGISTRY_SCHEMA, create_publication

DATABASE = "duckwarp_bench_soak"
KINDS = ("api", "command line", "command line, skipping")
RUNS = 50
QUICK_RUNS = 2
STORED = Path(__file__).with_name("results") / "soak.json"
# What the resident memory may differ by between the second fifth of the runs and the last.
MAX_GROWTH_BYTES = 16_000_000
# A backend is there for a moment after its client has left.
LEAVING_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run came to: its sources' states, and what its process had at its end."""

    states: dict[str, str]
    reasons: tuple[str, ...]
    seconds: float
    memory_bytes: int
    descriptors: int = 0
    threads: int = 0
    generation: int | None = None
    connections: int = 0


@dataclass(slots=True, kw_only=True)
class Soak:
    """All runs of one kind."""

    name: str
    runs: list[Run] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """What is kept and printed of them."""
        counts = Counter(state for run in self.runs for state in run.states.values())
        reasons = Counter(_kind(reason) for run in self.runs for reason in run.reasons)
        memory = [run.memory_bytes for run in self.runs]
        early, late = fifths(memory)
        return {
            "runs": len(self.runs),
            "commits_met": len({run.generation for run in self.runs}),
            "states": dict(counts),
            "reasons": dict(reasons),
            "median_seconds": round(statistics.median(run.seconds for run in self.runs), 3),
            "memory_bytes": {"early": early, "late": late, "most": max(memory)},
            "descriptors": _first_and_last([run.descriptors for run in self.runs]),
            "threads": _first_and_last([run.threads for run in self.runs]),
            "most_connections_left": max(run.connections for run in self.runs),
        }

    def faults(self) -> list[str]:
        """What has grown, or was left."""
        early, late = fifths([run.memory_bytes for run in self.runs])
        faults = []
        if late - early > MAX_GROWTH_BYTES:
            faults.append(f"{self.name}: memory has grown from {early:,} to {late:,} bytes")
        for name in ("descriptors", "threads"):
            early, late = fifths([getattr(run, name) for run in self.runs])
            if late > early:
                faults.append(f"{self.name}: {name} have grown from {early} to {late}")
        if any(run.connections for run in self.runs):
            faults.append(f"{self.name}: connections were left")
        if len({run.generation for run in self.runs}) < len(self.runs) / 5:
            faults.append(f"{self.name}: the loader did not keep up")
        return faults


def fifths(figures: Sequence[int]) -> tuple[int, int]:
    """The medians of the second fifth, when all is warm, and of the last."""
    length = max(1, len(figures) // 5)
    early = figures[length : 2 * length] or figures[:1]
    return int(statistics.median(early)), int(statistics.median(figures[-length:]))


def _first_and_last(figures: Sequence[int]) -> dict[str, int]:
    return {"first": figures[0], "last": figures[-1]}


def _kind(reason: str) -> str:
    """A reason without the names in it."""
    return " ".join(word for word in reason.split() if PUBLICATION not in word)


def main() -> None:
    """Soak the API, then the command line; leave with 1 where anything was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few runs")
    parser.add_argument("--runs", type=int, default=None, help=f"of each kind [default: {RUNS}]")
    parser.add_argument("--worker", nargs=2, metavar=("DSN", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(*arguments.worker)
        return
    runs = arguments.runs or (QUICK_RUNS if arguments.quick else RUNS)
    api, command, skipping = soaks = tuple(Soak(name=name) for name in KINDS)
    with (
        database(DATABASE, keep=False) as dsn,
        tempfile.TemporaryDirectory() as folder,
        _published(dsn),
        _loader(dsn) as loader,
        Reader(folder=Path(folder)) as reader,
    ):
        with _worker(dsn, folder) as worker:
            _soak(api, runs, dsn, Path(folder), lambda: _ask(worker))
        _soak(command, runs, dsn, Path(folder), lambda: _command(dsn, folder))
        skip = "--skip-unchanged"
        _soak(skipping, runs, dsn, Path(folder), lambda: _command(dsn, folder, skip))
        done = loader()
    figures = {soak.name: soak.figures() for soak in soaks}
    figures |= {"loader": done, "reads_meanwhile": reader.reads}
    figures["looks_into_the_catalog_meanwhile"] = reader.looks_into_the_catalog
    print(json.dumps(figures, indent=2))
    if not arguments.quick:
        STORED.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    faults = [fault for soak in soaks for fault in soak.faults()] + reader.faults
    if faults:
        raise SystemExit("\n".join(faults))


@contextlib.contextmanager
def _published(dsn: str) -> Iterator[None]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        create_publication(connection)
    yield


@contextlib.contextmanager
def _loader(dsn: str) -> Iterator[Any]:
    """The second process; what is given ends it and has what it did."""
    command = [sys.executable, "-m", "benchmarks.soaking.loading", dsn, "1"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def done() -> dict[str, int]:
            said, _ = process.communicate("\n")
            return dict(json.loads(said))

        try:
            yield done
        finally:
            process.kill()


def _soak(soak: Soak, runs: int, dsn: str, folder: Path, run: Any) -> None:
    """So many runs, each looked at afterwards. Raises `Unsound`."""
    known: Mapping[str, int] = {}
    if any(folder.iterdir()):
        known = checked(folder, {}, {}).generations
    for number in range(1, runs + 1):
        ended: Run = run()
        found: Folder = checked(folder, ended.states, known)
        known = found.generations
        soak.runs.append(
            Run(
                **{
                    **asdict(ended),
                    "generation": found.run_generation,
                    "connections": _left(dsn),
                }
            )
        )
        states = Counter(ended.states.values())
        told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        print(
            f"{soak.name} {number}/{runs}: generation {found.run_generation}, {told}, "
            f"{ended.seconds:.2f} s, {ended.memory_bytes / 1e6:.0f} MB, "
            f"{ended.descriptors} descriptors",
            file=sys.stderr,
        )


def _left(dsn: str) -> int:
    """The connections of duckwarp that are still there, after a moment."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'duckwarp%'"
    deadline = time.monotonic() + LEAVING_SECONDS
    with psycopg.connect(dsn, autocommit=True) as connection:
        while True:
            (left,) = connection.execute(query).fetchone() or (0,)
            if not left or time.monotonic() > deadline:
                return int(left)
            time.sleep(0.05)


@contextlib.contextmanager
def _worker(dsn: str, folder: str) -> Iterator[subprocess.Popen[str]]:
    """A process that exports whenever it is asked to."""
    command = [sys.executable, "-m", "benchmarks.soak", "--worker", dsn, folder]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _ask(worker: subprocess.Popen[str]) -> Run:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("\n")
    worker.stdin.flush()
    said = json.loads(worker.stdout.readline())
    return Run(**{**said, "reasons": tuple(said["reasons"])})


def work(dsn: str, folder: str) -> None:
    """The worker: a run for each line of standard input, and what it came to as a line of JSON."""
    from duckwarp import EventStore, Selection, Settings, run_export

    process = psutil.Process()
    settings = Settings(dsn=dsn, output_dir=Path(folder), registry_schema=REGISTRY_SCHEMA)
    for _ in sys.stdin:
        started = time.monotonic()
        report = run_export(Selection(publication=PUBLICATION), settings, EventStore("soak"))
        seconds = time.monotonic() - started
        gc.collect()
        ended = Run(
            states={outcome.code: outcome.state.value for outcome in report.outcomes},
            reasons=tuple(outcome.reason for outcome in report.outcomes if outcome.reason),
            seconds=seconds,
            memory_bytes=process.memory_info().rss,
            descriptors=process.num_fds(),
            threads=process.num_threads(),
        )
        print(json.dumps(asdict(ended)), flush=True)


def _command(dsn: str, folder: str, *more: str) -> Run:
    """A run of the program; its memory is the most that it had."""
    words = ["export", PUBLICATION, "--registry-schema", REGISTRY_SCHEMA, "--output", folder, *more]
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "duckwarp", *words, "--json", "--quiet"],
        env={**os.environ, "DUCKWARP_DSN": dsn},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said = process.stdout.read()
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    code = process.returncode = os.waitstatus_to_exitcode(status)
    if code not in (0, 1):
        raise Unsound(f"exit code {code}: {errors}")
    document = json.loads(said)
    ended = [*document["results"], *({"state": "skipped", **s} for s in document["skipped"])]
    return Run(
        states={each["canonical_code"]: each["state"] for each in ended},
        reasons=tuple(
            reason for each in ended if (reason := each.get("error") or each.get("reason"))
        ),
        seconds=seconds,
        memory_bytes=usage.ru_maxrss * 1024,
    )


if __name__ == "__main__":
    main()
