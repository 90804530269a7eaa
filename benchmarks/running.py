"""Lets the contestants of a scenario take their turns, round by round."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.contestants.registry import CONTESTANTS, Contestant, Job
from benchmarks.contestants.task import DSN, URI
from benchmarks.counting import dataset_files
from benchmarks.datasets import Dataset
from benchmarks.measuring import Failed, Task, measure
from benchmarks.results import Costs, Measurement
from benchmarks.scenarios import Entry
from benchmarks.server import uri_of

REPOSITORY = Path(__file__).parents[1]
CONNECTION_VARIABLES = ("PG", "DUCKWARP_", "DATABASE_URL", "POSTGRES_", "DUCKDB_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where the contestants meet.

    `dsn` is the database, `unloaded` says of a dataset why it is not there, `folder` is for
    whatever they write, `count_rows` counts what they wrote into a folder, and `timeout_seconds` is
    what each may take.
    """

    dsn: str
    datasets: Mapping[str, Dataset]
    unloaded: Mapping[str, str]
    folder: Path
    count_rows: Callable[[Path], int]
    timeout_seconds: float


def run(entries: Sequence[Entry], ground: Ground) -> Iterator[Measurement]:
    """Measure all entries once per round; who has failed is out of the following rounds.

    Each round starts with another entry of a dataset, so that nobody is always the one that
    follows the same; those of a dataset stay together.
    """
    out: set[Entry] = set()
    for number in range(max(entry.rounds for entry in entries)):
        for entry in _in_turn(entries, number):
            if entry in out or number >= entry.rounds:
                continue
            measurement = _measurement(entry, number + 1, ground)
            _tell(measurement, entry.rounds)
            if measurement.failure:
                out.add(entry)
            yield measurement


def _in_turn(entries: Sequence[Entry], number: int) -> Iterator[Entry]:
    for _, group in itertools.groupby(entries, key=lambda entry: entry.dataset):
        together = list(group)
        start = number % len(together)
        yield from (*together[start:], *together[:start])


def _measurement(entry: Entry, number: int, ground: Ground) -> Measurement:
    contestant = CONTESTANTS[entry.contestant]
    costs = None
    failure = contestant.missing
    absent = failure is not None
    if failure is None and entry.dataset is not None:
        failure = ground.unloaded.get(entry.dataset)
    if failure is None:
        try:
            costs = _costs(contestant, entry, ground)
        except (Failed, OSError, ValueError) as error:
            failure = " ".join(str(error).split())
    return Measurement(
        dataset=entry.dataset,
        contestant=entry.contestant,
        memory=entry.memory,
        round=number,
        costs=costs,
        failure=failure,
        expected=entry.expected or absent,
    )


def _costs(contestant: Contestant, entry: Entry, ground: Ground) -> Costs:
    dataset = ground.datasets[entry.dataset] if entry.dataset else None
    folder = ground.folder / "turn"
    given = ground.folder / f"{entry.dataset}, {contestant.reads}"
    if contestant.reads is not None and not given.exists():
        _make_given(CONTESTANTS[contestant.reads], dataset, ground, given)
    folder.mkdir()
    try:
        job = Job(dataset=dataset, memory=entry.memory, folder=folder, given=given)
        costs = measure(_task(contestant, job, ground))
        written = [path.stat().st_size for path in dataset_files(job.output)]
        if dataset is not None and job.output.exists():
            rows = ground.count_rows(job.output)
            if rows != dataset.all_rows:
                raise Failed(f"wrote {rows:,} rows of {dataset.all_rows:,}")
        return replace(costs, output_bytes=sum(written))
    finally:
        shutil.rmtree(folder)


def _make_given(writer: Contestant, dataset: Dataset | None, ground: Ground, given: Path) -> None:
    """Have `writer` write the dataset into `given`."""
    folder = ground.folder / "writer"
    folder.mkdir()
    try:
        job = Job(dataset=dataset, memory=None, folder=folder, given=given)
        measure(_task(writer, job, ground))
        job.output.rename(given)
    finally:
        shutil.rmtree(folder)


def _task(contestant: Contestant, job: Job, ground: Ground) -> Task:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(CONNECTION_VARIABLES)
    }
    environment |= {DSN: ground.dsn, URI: uri_of(ground.dsn), "PYTHONPATH": str(REPOSITORY)}
    return Task(
        command=contestant.command(job),
        folder=job.folder,
        environment=environment | contestant.settings(job),
        timeout_seconds=ground.timeout_seconds,
        dsn=ground.dsn if job.dataset else None,
        own_clock=contestant.own_clock,
    )


def _tell(measurement: Measurement, rounds: int) -> None:
    who = " ".join(filter(None, (measurement.contestant, measurement.memory)))
    costs = measurement.costs
    told = (
        f"{costs.wall_seconds:8.2f} s  peak {costs.peak_bytes / 1e6:7,.0f} MB"
        if costs
        else f"failed: {measurement.failure}"
    )
    what = f"{measurement.dataset or '':8} {measurement.round}/{rounds}"
    print(f"  {what:14} {who:36} {told}", flush=True)
