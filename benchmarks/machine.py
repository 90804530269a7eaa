"""What the figures depend on besides the code: the machine and the versions."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks.results import Environment

PACKAGES = (
    "duckwarp",
    "duckdb",
    "pyarrow",
    "pandas",
    "sqlalchemy",
    "psycopg",
    "adbc-driver-postgresql",
    "connectorx",
    "polars",
    "rivet-cli",
    "tpchgen-cli",
)
SERVER_SETTINGS = ("shared_buffers", "work_mem", "max_parallel_workers_per_gather")
CPU_FACTS = Path("/proc/cpuinfo")


def environment(dsn: str, command: str) -> Environment:
    """The machine, the versions here and on the server `dsn`, today's date, and the command."""
    with psycopg.connect(dsn) as connection:
        server = {name: _shown(connection, name) for name in SERVER_SETTINGS}
        # Some distributions add their own version of the package.
        versions = {"PostgreSQL": _shown(connection, "server_version").split()[0]}
    versions["Python"] = platform.python_version()
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return Environment(
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        command=command,
        cores=os.cpu_count() or 0,
        memory_bytes=psutil.virtual_memory().total,
        processor=_processor(),
        versions=versions,
        server=server,
    )


def _shown(connection: psycopg.Connection[Any], name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def _processor() -> str:
    if CPU_FACTS.exists():
        for line in CPU_FACTS.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
