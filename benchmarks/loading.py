"""Puts the datasets on the server, and leaves alone what is there already.

A table that is complete carries its dataset's fingerprint as its comment, set last.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.datasets import Dataset

GENERATOR = "tpchgen-cli"
BLOCK_BYTES = 1 << 18


def load(dsn: str, dataset: Dataset) -> str | None:
    """Make the tables of `dataset` unless they are there; why that failed, None where it did not.

    They are vacuumed and analysed, and read once, so that the first contestant does not pay for a
    cold cache.
    """
    try:
        _load(dsn, dataset)
    except (psycopg.Error, OSError, subprocess.SubprocessError) as error:
        return f"no data: {' '.join(str(error).split())}"
    return None


def _load(dsn: str, dataset: Dataset) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        if not _is_there(connection, dataset):
            started = time.perf_counter()
            _make(connection, dataset)
            seconds = time.perf_counter() - started
            print(f"made {dataset.title} in {seconds:.0f} s", flush=True)
        for table in dataset.tables:
            _execute(connection, f"SELECT count(*) FROM {dataset.schema}.{table}")


def _is_there(connection: psycopg.Connection[Any], dataset: Dataset) -> bool:
    query = "SELECT obj_description(to_regclass(%s), 'pg_class')"
    row = connection.execute(query, [f"{dataset.schema}.{dataset.tables[-1]}"]).fetchone()
    return row is not None and row[0] == dataset.fingerprint


def _make(connection: psycopg.Connection[Any], dataset: Dataset) -> None:
    schema = dataset.schema
    _execute(connection, f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for table in dataset.tables:
        _execute(connection, f"DROP TABLE IF EXISTS {schema}.{table}")
        statement = dataset.statement.format(schema=schema, table=table, rows=dataset.rows)
        _execute(connection, statement)
    if dataset.tpch_scale is not None:
        _generate(connection, f"{schema}.{dataset.name}", dataset.tpch_scale)
    tables = ", ".join(f"{schema}.{table}" for table in dataset.tables)
    _execute(connection, f"VACUUM (ANALYZE) {tables}")
    _execute(connection, "CHECKPOINT")
    comment = f"COMMENT ON TABLE {schema}.{dataset.tables[-1]} IS '{dataset.fingerprint}'"
    _execute(connection, comment)


def _generate(connection: psycopg.Connection[Any], table: str, scale: float) -> None:
    """Stream TPC-H's `lineitem` into `table`; raises `CalledProcessError`."""
    command = [str(Path(sys.executable).with_name(GENERATOR)), "csv", "-s", str(scale)]
    command += ["-T", "lineitem", "--stdout", "--quiet"]
    statement = f"COPY {table} FROM STDIN (FORMAT csv, HEADER)".encode()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as generator:
        assert generator.stdout is not None
        with connection.cursor().copy(statement) as copy:
            while block := generator.stdout.read(BLOCK_BYTES):
                copy.write(block)
    if generator.returncode:
        raise subprocess.CalledProcessError(generator.returncode, command)


def _execute(connection: psycopg.Connection[Any], statement: str) -> None:
    connection.execute(statement.encode())
