"""What a run writes into its record, field for field: the same today as in the files kept here.

`DUCKWARP_RECORD_GOLDEN=1` writes the files anew, for a field that was added.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from duckwarp.cli.app import main
from tests.support import Database

GOLDEN = Path(__file__).parent / "golden"
WRITES = bool(os.environ.get("DUCKWARP_RECORD_GOLDEN"))
# What differs from run to run, and what is put in its place.
VARYING = {
    "timestamp": "T",
    "run_id": "R",
    "seconds": 0,
    "wait_seconds": 0,
    "snapshot_id": "S",
    "snapshot_age_seconds": 0,
    "taken_at": "T",
    "peak_memory_bytes": 0,
    "size_bytes": 0,
    "total_bytes": 0,
    "server_host": "H",
    "server_port": "P",
    "database": "D",
}


def settle(value: Any, folder: Path) -> Any:
    """The value with all that varies from run to run put in a fixed form."""
    if isinstance(value, dict):
        return {k: VARYING.get(k, settle(v, folder)) for k, v in value.items()}
    if isinstance(value, list):
        return [settle(each, folder) for each in value]
    if isinstance(value, str):
        text = value.replace(str(folder), "OUT")
        text = re.sub(r"(export|run)-[0-9a-f]{12}", "R", text)
        text = re.sub(r"[0-9A-F]{8}-[0-9A-F]{8}-\d+", "S", text)
        return re.sub(r"\d+\.\d s", "N s", text)
    return value


def export(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["export", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def events_in(path: Path, folder: Path) -> list[Any]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [settle(json.loads(line), folder) for line in lines]


def log_in(path: Path, folder: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [settle(line.partition("Z ")[2], folder) for line in lines]


def compare(name: str, got: Any) -> None:
    path = GOLDEN / f"{name}.json"
    text = json.dumps(got, indent=1, ensure_ascii=False) + "\n"
    if WRITES:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == got


@pytest.fixture(autouse=True)
def one_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """One source after the other, so that events have an order."""
    monkeypatch.delenv("OPENLINEAGE_URL", raising=False)


def test_a_run_with_every_kind_of_source_and_its_like_again(
    database: Database, tmp_path: Path
) -> None:
    database.execute("""
        CREATE SCHEMA s;
        CREATE TABLE s.a AS SELECT 1 AS n, 'NaN'::numeric(4,2) AS lossy, '{}'::jsonb AS j;
        CREATE VIEW s.b AS SELECT 1 / (n - n) AS m FROM s.a;
        CREATE TABLE s.c ("N" int, n int);
        CREATE TABLE s.d AS SELECT i, i::text AS t FROM generate_series(1, 100) i""")
    out = tmp_path / "out"
    common = ["--schema", "s", "--dsn", database.dsn, "--output", str(out), "--jobs", "1"]
    common += ["--quiet", "--events", str(tmp_path / "e"), "--log-file", str(tmp_path / "l")]
    assert export(*common, "--verify") == 1
    database.execute("""
        DELETE FROM s.d WHERE i > 10; ALTER TABLE s.d ADD COLUMN more int;
        DROP VIEW s.b""")
    assert export(*common) == 0
    compare("events", events_in(tmp_path / "e", out))
    compare("log", log_in(tmp_path / "l", out))


def test_a_run_of_the_registry_that_skips(database: Database, tmp_path: Path) -> None:
    database.execute("""
        CREATE SCHEMA datawarp; CREATE SCHEMA staging;
        CREATE TABLE datawarp.tbl_data_sources (code text, name text, table_name text);
        INSERT INTO datawarp.tbl_data_sources VALUES ('p_a', 'A', 'a'), ('p_b', 'B', 'b');
        CREATE TABLE staging.a AS SELECT 1 AS n""")
    out = tmp_path / "out"
    common = ["p", "--dsn", database.dsn, "--output", str(out), "--jobs", "1", "--quiet"]
    common += ["--events", str(tmp_path / "e"), "--period", "2026-11"]
    assert export(*common, "--skip-unchanged") == 0
    assert export(*common, "--publish", "each", "--fail-on-missing") == 1
    assert export("nothing", *common[1:]) == 2
    compare("events-of-the-registry", events_in(tmp_path / "e", out))
