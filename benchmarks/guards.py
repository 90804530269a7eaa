"""What the guards and the measuring pass cost, as a share of the export of T.

T has 5 million rows and 15 columns as a publication would have, two of them numeric(p,s), a date
and a timestamp among them: four guarded columns. `T, bare` copies it without guards, `T` with
them, and `T, measured` is the same table with its two numerics declared without precision. Each
export runs in a process of its own, in turn; the share is the median of the rounds' ratios.

    python -m benchmarks.guards [--quick]

`DUCKWARP_BENCH_DSN` names a server (a superuser's DSN); without it an embedded one is started.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from benchmarks.datasets import TABLE
from benchmarks.server import server

SCHEMA = "duckwarp_bench_guards"
ROWS = 5_000_000
QUICK_ROWS = 200_000
ROUNDS = 3
QUICK_ROUNDS = 1
VARIANTS = {"T, bare": ("t", True), "T": ("t", False), "T, measured": ("t_measured", False)}


def main() -> None:
    """Make the tables, run every variant in turn, print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small table, one round")
    parser.add_argument(
        "--worker", nargs=3, metavar=("DSN", "TABLE", "BARE"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    if arguments.worker:
        _export(*arguments.worker)
        return
    rows, rounds = (QUICK_ROWS, QUICK_ROUNDS) if arguments.quick else (ROWS, ROUNDS)
    with server() as dsn, _tables(dsn, rows):
        results: dict[str, list[float]] = {name: [] for name in VARIANTS}
        for _ in range(rounds):
            for name, (table, bare) in VARIANTS.items():
                results[name].append(_run(dsn, table, bare))
    bases = results["T, bare"]
    for name, seconds in results.items():
        ratio = statistics.median(each / base for each, base in zip(seconds, bases, strict=True))
        median = statistics.median(seconds)
        print(f"{name:12} {rows:>10,} rows {median:7.2f} s {100 * (ratio - 1):+6.1f} %")


@contextlib.contextmanager
def _tables(dsn: str, rows: int) -> Iterator[None]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())
        connection.execute(f"CREATE SCHEMA {SCHEMA}".encode())
        for table, first, second in (
            ("t", "numeric(12,2)", "numeric(10,2)"),
            ("t_measured", "numeric", "numeric"),
        ):
            statement = TABLE.format(
                schema=SCHEMA, table=table, first=first, second=second, rows=rows
            )
            connection.execute(statement.encode())
        connection.execute(f"VACUUM ANALYZE {SCHEMA}.t, {SCHEMA}.t_measured".encode())
        try:
            yield
        finally:
            connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE".encode())


def _run(dsn: str, table: str, bare: bool) -> float:
    command = [sys.executable, "-m", "benchmarks.guards", "--worker", dsn, table, str(bare)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    print(f"  {table:12} bare={bare!s:5} {report['seconds']:6.2f} s, peak {report['peak_mb']:,} MB")
    return float(report["seconds"])


def _export(dsn: str, table: str, bare: str) -> None:
    """The worker: one export, its time and its peak memory as JSON."""
    from duckwarp import EventStore, Selection, Settings, run_export
    from duckwarp.engine import planning
    from duckwarp.engine.types import RULES

    if bare == "True":
        zeros = {special.kind: "0" for rule in RULES for special in rule.specials} | {"NaN": "0"}
        planning._measured = lambda _c, _s, columns, *_: ([zeros for _ in columns], False)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(dsn=dsn, output_dir=Path(folder))
        selection = Selection(tables=(f"{SCHEMA}.{table}",))
        started = time.perf_counter()
        report = run_export(selection, settings, EventStore("bench"))
        seconds = time.perf_counter() - started
    failed = [outcome.reason for outcome in report.outcomes if outcome.reason]
    if failed:
        raise SystemExit(str(failed))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb}))


if __name__ == "__main__":
    main()
