"""The peak of the resident memory of a real process stays below what `--memory` allows.

The command runs in a process that a small one starts: Linux reckons the peak of whoever starts a
process to it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from duckwarp.model.settings import MIN_MEMORY_BYTES
from duckwarp.model.sizes import parse_size, size_text
from tests.support import Database
from tests.types.harness import scratch_database

MEASURING = """
import os, sys
command = [sys.executable, "-m", "duckwarp", *sys.argv[1:]]
process = os.posix_spawn(sys.executable, command, os.environ)
_, status, used = os.wait4(process, 0)
print(used.ru_maxrss * (1 if sys.platform == "darwin" else 1024), file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""

# As a publication has them: codes, names, dates and figures.
ORDINARY = """
    INSERT INTO {table} SELECT 'E' || lpad((n * 71 % 4000)::text, 8, '0'), 'Q' || n % 42,
        'NHS Sub ICB ' || n % 106, 'Organisation ' || md5((n % 4000)::text), date '2019-04-01' + n % 2000,
        (ARRAY['0-4', '5-17', '18-24', '25+'])[1 + n % 4], 'Indicator ' || n % 17, n % 3 = 0,
        n % 1000, n::int8 * 1000003, (n % 100000) / 100.0, random(), now(), '2025-12', n
    FROM generate_series(1, {rows}) AS n"""  # noqa: E501
COLUMNS = """
    (code text, icb text, sub_icb text, organisation text, day date, age text, indicator text,
     final bool, referrals int, total int8, rate numeric(12,2), share float8, loaded timestamptz,
     period text, n int)"""
HUGE = """
    CREATE TABLE huge (n int, s text, b bytea); ALTER TABLE huge ALTER s SET STORAGE EXTERNAL;
    ALTER TABLE huge ALTER b SET STORAGE EXTERNAL;
    INSERT INTO huge SELECT n, repeat(md5(n::text), 32768), convert_to(repeat(md5(n::text), 32768), 'UTF8')
    FROM generate_series(1, 60) AS n"""  # noqa: E501
WIDE_ROWS = 4_000
WIDE = (
    "CREATE TABLE wide AS SELECT "
    + ", ".join(f"n + {i} AS n{i}, (n % {i + 2} % 100)::text AS t{i}" for i in range(800))
    + f" FROM generate_series(1, {WIDE_ROWS}) AS n"
)
# Text of which each column has a few values only, which the writer keeps a dictionary of.
TEXTS_ROWS = 30_000
TEXTS = (
    "CREATE TABLE texts AS SELECT "
    + ", ".join(f"(n % {i % 50 + 2})::text AS t{i}" for i in range(400))
    + f" FROM generate_series(1, {TEXTS_ROWS}) AS n"
)
WIDEST_ROWS = 3_000
WIDEST = (
    "CREATE TABLE widest AS SELECT "
    + ", ".join(f"(n % {i % 50 + 2})::text AS t{i}" for i in range(1600))
    + f" FROM generate_series(1, {WIDEST_ROWS}) AS n"
)


@dataclass(frozen=True)
class Ended:
    """How a command ended, and the peak of its memory."""

    code: int
    out: str
    err: str
    peak_bytes: int


def measured(*arguments: str, **environment: str) -> Ended:
    """Runs `duckwarp`; the keywords are added to its environment."""
    ended = subprocess.run(
        [sys.executable, "-c", MEASURING, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    *errors, peak = ended.stderr.splitlines()
    return Ended(ended.returncode, ended.stdout, "\n".join(errors), int(peak))


@pytest.fixture(scope="module")
def loaded(server_dsn: str, worker_id: str) -> Iterator[Database]:
    """A database with the tables that are exported here."""
    with scratch_database(server_dsn, worker_id) as database:
        for table, rows in (("few", 300_000), ("many", 1_500_000)):
            database.execute(f"CREATE UNLOGGED TABLE {table} {COLUMNS}")
            database.execute(ORDINARY.format(table=table, rows=rows))
            database.execute(f"ANALYZE {table}")
        for statement in (HUGE, WIDE, TEXTS, WIDEST):
            database.execute(statement)
        yield database


@pytest.mark.parametrize(
    ("table", "rows", "memory"),
    [
        pytest.param("few", 300_000, "512MB", id="300,000 rows"),
        pytest.param("many", 1_500_000, "512MB", id="1,500,000 rows"),
        pytest.param("many", 1_500_000, "256MB", id="1,500,000 rows at the minimum"),
        pytest.param("huge", 60, "340MB", id="60 rows of 2 MB at their minimum"),
        pytest.param("wide", WIDE_ROWS, "512MB", id="1,600 columns"),
        pytest.param("widest", WIDEST_ROWS, "512MB", id="1,600 columns of text"),
        pytest.param("texts", TEXTS_ROWS, "292MB", id="400 columns of text at their minimum"),
    ],
)
def test_the_whole_process_stays_within_what_is_allowed(
    loaded: Database, tmp_path: Path, table: str, rows: int, memory: str
) -> None:
    command = ["export", "--table", f"public.{table}", "--dsn", loaded.dsn, "--memory", memory]
    ended = measured(*command, "--output", str(tmp_path))
    assert ended.code == 0, ended.err
    assert pq.read_metadata(tmp_path / f"{table}.parquet").num_rows == rows
    assert 50_000_000 < ended.peak_bytes <= parse_size(memory)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        pytest.param(
            "texts", "400 columns need at least --memory 292 MB, not 256 MB", id="many columns"
        ),
        pytest.param(
            "huge", "a row of 2.1 MB needs at least --memory 330 MB, not 256 MB", id="long values"
        ),
    ],
)
def test_some_need_more_than_the_minimum_and_say_how_much(
    loaded: Database, tmp_path: Path, table: str, reason: str
) -> None:
    command = ["export", "--table", f"public.{table}", "--dsn", loaded.dsn, "--memory", "256MB"]
    ended = measured(*command, "--output", str(tmp_path))
    assert ended.code == 1
    assert reason in ended.err
    assert list(tmp_path.iterdir()) == []


def test_the_measure_notices_a_process_that_takes_more() -> None:
    """Whatever the test's own process takes."""
    hoard = (
        "import resource; kept = bytearray(300_000_000); kept[::4096] = bytes(len(kept[::4096]))"
    )
    program = MEASURING.replace('"-m", "duckwarp"', '"-c", sys.argv.pop(1)')
    for script, low, high in ((hoard, 300, 360), ("pass", 1, 60)):
        ended = subprocess.run(
            [sys.executable, "-c", program, script], capture_output=True, text=True, check=True
        )
        assert low < int(ended.stderr) / 1_000_000 < high


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        pytest.param(["--memory", "255MB"], {}, id="as an option"),
        pytest.param([], {"DUCKWARP_MEMORY": "255MB"}, id="in the environment"),
        pytest.param(
            ["--memory", "1MB"], {"DUCKWARP_MEMORY": "1GB"}, id="as an option before a variable"
        ),
    ],
)
def test_below_the_minimum_it_refuses_and_names_the_minimum(
    loaded: Database, tmp_path: Path, arguments: list[str], environment: dict[str, str]
) -> None:
    command = ["export", "--table", "public.huge", "--dsn", loaded.dsn]
    ended = measured(*command, "--output", str(tmp_path / "o"), *arguments, **environment)
    assert ended.code == 2
    assert f"the minimum is {size_text(MIN_MEMORY_BYTES)}" in ended.err
    assert not (tmp_path / "o").exists()
