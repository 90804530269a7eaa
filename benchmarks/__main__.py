"""Measures duckwarp beside other ways to export tables, and writes docs/performance.md.

    python -m benchmarks [--quick] [--only SCENARIO ...] [--dataset NAME ...] [--rounds N]
    python -m benchmarks --page
    python -m benchmarks --drop

`DUCKWARP_BENCH_DSN` names a server (a superuser's DSN); without it an embedded one is started. The
data on a named server stay there for the next run until `--drop`. The results go into
`benchmarks/results/latest.json`, scenario by scenario; those of `--quick` and `--dataset`, which
are no whole ones, into a temporary folder.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import loading, page, tables
from benchmarks.contestants.registry import DUCKWARP, SEND, SORT
from benchmarks.counting import counter
from benchmarks.datasets import FULL, QUICK, Dataset, datasets
from benchmarks.machine import environment
from benchmarks.plots import plot
from benchmarks.results import STORED, Measurement, Results, Scenario, load, merged, save
from benchmarks.running import REPOSITORY, Ground, run
from benchmarks.scenarios import Entry, scenarios
from benchmarks.server import DATABASE, QUICK_DATABASE, database, drop_database, server
from benchmarks.verdicts import verdicts

ROUNDS = 3
TIMEOUT_SECONDS = 900.0
QUICK_TIMEOUT_SECONDS = 60.0
DOCS = REPOSITORY / "docs"


def main() -> int:
    """Do what the command line says; the exit code is 1 where something failed that should not."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if arguments.drop:
        with server() as dsn:
            drop_database(dsn, DATABASE)
            drop_database(dsn, QUICK_DATABASE)
        return 0
    if arguments.page:
        _publish(load(STORED), DOCS)
        return 0
    quick = arguments.quick
    is_whole = not quick and arguments.dataset is None
    stored = STORED if is_whole else Path(tempfile.mkdtemp(prefix="duckwarp-bench-")) / STORED.name
    wanted = _wanted(arguments, rounds=arguments.rounds or (1 if quick else ROUNDS))
    troubles = _measure(wanted, stored, quick=quick)
    results = load(stored)
    print("\n" + tables.judged(verdicts(results)))
    if quick:
        print("Tables as small as these say that everything works, and nothing about speed.")
    _publish(results, DOCS if is_whole else stored.parent)
    print(f"\nresults in {stored}", flush=True)
    for trouble in troubles:
        print(f"FAILED: {trouble}", flush=True)
    return 1 if troubles else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="small tables, one round")
    names = list(scenarios(1))
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="SCENARIO")
    known = list(datasets(QUICK))
    parser.add_argument("--dataset", nargs="+", choices=known, metavar="NAME", help="no others")
    parser.add_argument("--rounds", type=int, help=f"turns of each contestant (default {ROUNDS})")
    parser.add_argument("--page", action="store_true", help="write the page from stored results")
    parser.add_argument("--drop", action="store_true", help="remove the data from the server")
    return parser.parse_args()


def _wanted(arguments: argparse.Namespace, rounds: int) -> dict[str, list[Entry]]:
    """The entries of the scenarios that were asked for, at the datasets that were."""
    wanted = {name: scenarios(rounds)[name] for name in arguments.only}
    chosen = {
        name: [each for each in entries if each.dataset in (arguments.dataset or [each.dataset])]
        for name, entries in wanted.items()
    }
    return {name: entries for name, entries in chosen.items() if entries}


def _measure(wanted: Mapping[str, Sequence[Entry]], stored: Path, *, quick: bool) -> list[str]:
    """Measure the scenarios and store each when it is done; what failed that should not have."""
    made = datasets(QUICK if quick else FULL)
    needed = {entry.dataset for entries in wanted.values() for entry in entries}
    troubles = []
    with (
        database(QUICK_DATABASE if quick else DATABASE, keep=not quick) as dsn,
        tempfile.TemporaryDirectory(prefix="duckwarp-bench-") as folder,
        counter() as count_rows,
    ):
        unloaded = _load(dsn, [made[name] for name in made if name in needed])
        ground = Ground(
            dsn=dsn,
            datasets=made,
            unloaded=unloaded,
            folder=Path(folder),
            count_rows=count_rows,
            timeout_seconds=QUICK_TIMEOUT_SECONDS if quick else TIMEOUT_SECONDS,
        )
        for name, entries in wanted.items():
            print(f"\n{name}", flush=True)
            try:
                measured = tuple(run(entries, ground))
                here = environment(dsn, " ".join(["python -m benchmarks", *sys.argv[1:]]))
                scenario = Scenario(name=name, environment=here, measurements=measured)
                results = merged(load(stored), _of(scenario, made))
                save(results, stored)
                print("\n" + page.section(results, name), flush=True)
                troubles += [_told(each) for each in measured if _is_trouble(each, quick=quick)]
            except Exception:
                traceback.print_exc()
                troubles.append(f"the scenario {name}")
    return troubles


def _load(dsn: str, wanted: Sequence[Dataset]) -> dict[str, str]:
    """Load two datasets at a time; those that could not be, and why."""
    # The server makes a table on one core.
    with ThreadPoolExecutor(max_workers=2) as pool:
        reasons = list(pool.map(lambda dataset: loading.load(dsn, dataset), wanted))
    return {dataset.name: reason for dataset, reason in zip(wanted, reasons, strict=True) if reason}


def _of(scenario: Scenario, made: dict[str, Dataset]) -> Results:
    named = {each.dataset for each in scenario.measurements}
    used = [dataset for name, dataset in made.items() if name in named]
    return Results(
        scenarios={scenario.name: scenario},
        titles={dataset.name: dataset.title for dataset in used},
        rows={dataset.name: dataset.all_rows for dataset in used},
    )


def _is_trouble(measurement: Measurement, *, quick: bool) -> bool:
    """Whether a failure is ours, or, where it shows that the benchmarks rot, anybody's."""
    ours = measurement.contestant.startswith(DUCKWARP) or measurement.contestant in (SEND, SORT)
    return bool(measurement.failure) and not measurement.expected and (ours or quick)


def _told(measurement: Measurement) -> str:
    who = " ".join(filter(None, (measurement.contestant, measurement.memory)))
    return f"{who} at {measurement.dataset}: {measurement.failure}"


def _publish(results: Results, folder: Path) -> None:
    plot(results, folder)
    (folder / page.NAME).write_text(page.page(results), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
