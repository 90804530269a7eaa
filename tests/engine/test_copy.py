"""A copy that fails says why in plain words, and one that succeeds writes to any folder."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from duckwarp.engine.copy import _translated
from tests.support import Database
from tests.types.harness import export

LONG = "SELECT r.\"c: x\" AS c1, 'ERROR: no' AS c2, " + "1, " * 9_000
FULL = os.strerror(28)

ERRORS = [
    pytest.param(
        "IO Error: Failed to fetch header for COPY: ERROR:  division by zero\n",
        "PostgreSQL: division by zero",
        id="while rows are sent",
    ),
    pytest.param(
        f'Binder Error: Failed to prepare query "{LONG}": ERROR:  column "a": no\nLINE 1: {LONG}',
        'PostgreSQL: column "a": no',
        id="before, with the query",
    ),
    pytest.param(
        f'Failed to prepare COPY "COPY (SELECT "x" FROM ({LONG}))": FEHLER:  Division durch Null\n',
        "PostgreSQL: Division durch Null",
        id="in the language of the server",
    ),
    pytest.param(
        f"IO Error: Failed to fetch header for COPY: ERROR:  could not write: {FULL}\n",
        f"PostgreSQL: could not write: {FULL}",
        id="no room on the server's disk",
    ),
    pytest.param(
        "IO Error: Failed to fetch header for COPY: FATAL:  terminating connection\n",
        "the connection to PostgreSQL was lost: terminating connection",
        id="a session that was ended",
    ),
    pytest.param(
        f'IO Error: Failed to prepare query "{LONG}": server closed the connection unexpectedly\n'
        "\tThis probably means the server terminated abnormally\n",
        "the connection to PostgreSQL was lost: server closed the connection unexpectedly",
        id="a server that is gone",
    ),
    pytest.param(
        f'IO Error: Could not write file "/x": {FULL}',
        f'the disk is full: IO Error: Could not write file "/x": {FULL}',
        id="no room for the file",
    ),
    pytest.param(
        "IO Error: Failed to fetch header for COPY: ERROR:  the month\n is closed\n"
        "DETAIL:  C:\\x,\n"
        'not "y": Z:  z\nHINT:  open it\nCONTEXT:  PL/pgSQL function f() line 1 at RAISE\n',
        'PostgreSQL: the month is closed; DETAIL: C:\\x, not "y": Z: z; HINT: open it',
        id="with a detail and a hint",
    ),
    pytest.param(
        "IO Error: Failed to fetch header for COPY: FEHLER:  zu\nHINT:  auf\nCONTEXT:  wo\n",
        "PostgreSQL: zu; HINT: auf",
        id="with a hint, in another language",
    ),
    pytest.param(
        f"IO Error: Failed to execute: ERROR:  why\nDETAIL:  {'x' * 9_000}\nHINT:  what to do\n",
        f"PostgreSQL: why; DETAIL: {'x' * 500} …; HINT: what to do",
        id="with a long detail",
    ),
    pytest.param(
        'IO Error: Failed to prepare query "SELECT f(x)": ERROR:  no f\nLINE 1: SELECT f(x)\n'
        "               ^\nHINT:  cast\n",
        "PostgreSQL: no f; HINT: cast",
        id="with the line of a query",
    ),
    pytest.param("Invalid Input Error: why", "Invalid Input Error: why", id="one of DuckDB's own"),
]


@pytest.mark.parametrize(("text", "wanted"), ERRORS)
def test_an_error_is_told_without_what_duckdb_puts_around_it(text: str, wanted: str) -> None:
    assert str(_translated(duckdb.IOException(text), connected=True)) == wanted


def test_whatever_was_said_on_a_connection_that_is_gone_may_pass() -> None:
    error = _translated(duckdb.IOException("…: ВАЖНО:  why\n"), connected=False)
    assert error.may_pass
    assert str(error).startswith("the connection to PostgreSQL was lost: ")


def test_a_huge_value_does_not_make_a_huge_message() -> None:
    error = duckdb.IOException(f"Failed to execute: ERROR:  invalid input syntax: {'x' * 9_000}")
    assert len(str(_translated(error, connected=True))) < 600


def test_the_words_of_the_server_are_those_of_a_real_failure(
    database: Database, tmp_path: Path
) -> None:
    database.execute("""
        CREATE SCHEMA staging;
        CREATE VIEW staging.divided AS SELECT 1 / (n - 50000) AS v FROM generate_series(1, 60000) n;
        CREATE VIEW staging.ended AS
            SELECT pg_terminate_backend(pg_backend_pid()) AS v
            FROM generate_series(1, 10) WHERE current_query() LIKE 'COPY%'""")
    exported = export(database.dsn, tmp_path)
    assert exported.error("divided") == "PostgreSQL: division by zero"
    assert exported.error("ended").startswith("the connection to PostgreSQL was lost: ")


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param("year=2024", id="partitions in Hive's style"),
        pytest.param("year=2024/v=1", id="one named like a column"),
        pytest.param("a[1]", id="a pattern in brackets"),
        pytest.param("[", id="a single bracket"),
        pytest.param("what?/all*/**", id="other patterns"),
    ],
)
def test_a_file_is_written_wherever_the_user_wants(
    database: Database, tmp_path: Path, folder: str
) -> None:
    database.execute("""
        CREATE SCHEMA staging;
        CREATE TABLE staging.t AS SELECT 1 AS v, 'x'::text AS year""")
    path = export(database.dsn, tmp_path / folder).parquet("t")
    assert pq.ParquetFile(path).read().to_pylist() == [{"v": 1, "year": "x"}]
