"""What the programs of the peers share: where from, which tables, where to.

DUCKWARP_DSN=… python -m benchmarks.contestants.with_… FOLDER SCHEMA.TABLE [SCHEMA.TABLE …]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

DSN = "DUCKWARP_DSN"
URI = "DATABASE_URL"
DUCKDB_ORDER = "DUCKDB_ORDER"
DUCKDB_MEMORY_LIMIT = "DUCKDB_MEMORY_LIMIT"


def dsn() -> str:
    """The database, as key=value pairs."""
    return os.environ[DSN]


def uri() -> str:
    """The database, as a URI."""
    return os.environ[URI]


def tables_and_files() -> Iterator[tuple[str, str]]:
    """Each table (schema.name) and the file that it goes to, in a folder that is made."""
    folder = Path(sys.argv[1])
    folder.mkdir()
    for table in sys.argv[2:]:
        yield table, str(folder / f"{table.split('.')[1]}.parquet")


def ordered(table: str) -> str:
    """All of a table, ordered by its first column on the server."""
    return f"SELECT * FROM {table} ORDER BY 1"
