"""Plain DuckDB: attach the database, `COPY (FROM table [ORDER BY ALL]) TO` a file, table by table.

`DUCKDB_ORDER` is what stands after FROM, `DUCKDB_MEMORY_LIMIT` a memory_limit; both may be empty.
"""

import importlib.util
import os
from pathlib import Path

import duckdb

from benchmarks.contestants.task import DUCKDB_MEMORY_LIMIT, DUCKDB_ORDER, dsn, tables_and_files


def extension() -> Path:
    """The file of the postgres extension, which need not be downloaded."""
    spec = importlib.util.find_spec("duckdb_extension_postgres_scanner")
    assert spec is not None
    assert spec.origin is not None
    return next(Path(spec.origin).parent.rglob("postgres_scanner.duckdb_extension"))


if __name__ == "__main__":
    connection = duckdb.connect()
    memory_limit = os.environ.get(DUCKDB_MEMORY_LIMIT)
    if memory_limit:
        connection.execute(f"SET memory_limit = '{memory_limit}'")
    connection.execute(f"LOAD '{extension()}'")
    quoted = dsn().replace("'", "''")
    connection.execute(f"ATTACH '{quoted}' AS pg (TYPE postgres, READ_ONLY)")
    for table, path in tables_and_files():
        rows = f"SELECT * FROM pg.{table} {os.environ.get(DUCKDB_ORDER, '')}"
        connection.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet)")
