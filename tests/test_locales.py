"""Names of files are UTF-8 on the disk whatever the locale, for Python and for DuckDB alike."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support import Database

CODES = ("café", "café_😀", "ok", "表")
# Python keeps to the locale then, and does not take C for UTF-8.
PLAIN = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}


@pytest.fixture(scope="session")
def latin1(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a British locale in ISO-8859-1."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/en_GB").exists():
        pytest.skip("localedef has no British English here")
    folder = tmp_path_factory.mktemp("locales")
    compiled = folder / "en_GB.ISO-8859-1"
    subprocess.run(
        ["localedef", "-i", "en_GB", "-f", "ISO-8859-1", str(compiled)], check=True, timeout=60
    )
    return {"LOCPATH": str(folder), "LC_ALL": "en_GB.ISO-8859-1"}


@pytest.fixture(params=["latin1", "C", "POSIX", "UTF-8 mode"])
def environ(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment of a process in a locale that may not be UTF-8."""
    if request.param == "UTF-8 mode":
        return {"LC_ALL": "C", "PYTHONUTF8": "1"}
    if request.param == "latin1":
        return PLAIN | dict(request.getfixturevalue("latin1"))
    return PLAIN | {"LC_ALL": request.param}


@pytest.fixture
def tables(database: Database) -> Database:
    database.execute("CREATE SCHEMA s")
    for code in CODES:
        database.execute(f"CREATE TABLE s.\"{code}\" AS SELECT 1 AS n, 'é' AS t")
    return database


def command(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "duckwarp", *arguments],
        env={"PATH": os.defpath} | dict(environ),
        capture_output=True,
        timeout=120,
        check=False,
    )


def document(done: subprocess.CompletedProcess[bytes]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def names_in(folder: Path) -> set[str]:
    return {os.fsencode(path.name).decode() for path in folder.iterdir()} - {".duckwarp"}


def test_every_command_finds_what_an_export_wrote(
    tables: Database, tmp_path: Path, environ: dict[str, str]
) -> None:
    output = tmp_path / "out"
    where = ("--dsn", tables.dsn, "--output", str(output))
    exporting = ("export", "--schema", "s", *where, "--events", str(tmp_path / "events"), "--json")
    first = document(command(environ, *exporting, "--skip-unchanged", "--verify"))
    assert {each["state"] for each in first["results"]} == {"exported"}
    files = {f"{code}{ending}" for code in CODES for ending in (".parquet", ".md")}
    assert names_in(output) == files | {"catalog.parquet", "datapackage.json"}
    for each in first["results"]:
        assert pq.read_table(each["parquet_path"]).to_pylist() == [{"n": 1, "t": "é"}]
        assert Path(each["metadata_path"]).is_file()
    for more in ((), ("--skip-unchanged",)):
        again = document(command(environ, *exporting, *more))
        assert {each["state"] for each in again["results"]} == {"unchanged"}
    verified = document(command(environ, "verify", "--schema", "s", *where, "--json"))
    offline = document(command(environ, "verify", "--offline", "--output", str(output), "--json"))
    for report in (verified, offline):
        assert {
            each["canonical_code"]: each["agreement"] for each in report["verdicts"]
        } == dict.fromkeys(CODES, "equal")
    for action in ("show", "rebuild"):
        catalog = document(command(environ, "catalog", action, "--output", str(output), "--json"))
        assert {each["source_code"] for each in catalog["datasets"]} == set(CODES)
        assert not catalog["left_out"]
    one = document(command(environ, "export", "--table", "s.café", *where, "--json"))
    assert [each["canonical_code"] for each in one["results"]] == ["café"]
    told = command(environ, "verify", "--table", "s.café", *where)
    assert told.returncode == 0, told.stderr


def test_a_name_that_is_no_utf8_is_told_and_left_alone(
    tables: Database, tmp_path: Path, environ: dict[str, str]
) -> None:
    output = tmp_path / "out"
    where = ("--dsn", tables.dsn, "--output", str(output))
    document(command(environ, "export", "--table", "s.ok", *where, "--json"))
    stranger = os.fsencode(output) + b"/caf\xe9.parquet"
    shutil.copyfile(output / "ok.parquet", stranger)
    document(command(environ, "export", "--table", "s.café", *where, "--json"))
    rebuilt = document(command(environ, "catalog", "rebuild", "--output", str(output), "--json"))
    assert {each["source_code"] for each in rebuilt["datasets"]} == {"ok", "café"}
    assert [each["file_path"] for each in rebuilt["left_out"]] == [r"caf\xe9.parquet"]
    offline = command(environ, "verify", "--offline", "--output", str(output), "--json")
    assert offline.returncode == 1
    states = {
        each["canonical_code"]: each["agreement"] for each in json.loads(offline.stdout)["verdicts"]
    }
    assert states.pop(r"caf\xe9") != "equal"
    assert states == {"ok": "equal", "café": "equal"}
    assert os.path.exists(stranger)


def test_a_folder_whose_name_is_no_utf8_is_refused_before_anything_is_written(
    tables: Database, tmp_path: Path, environ: dict[str, str]
) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    done = subprocess.run(
        [sys.executable, "-m", "duckwarp", "export", "--schema", "s", "--dsn", tables.dsn,
         "--output", folder],
        env={"PATH": os.defpath} | environ,
        capture_output=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert rb"caf\xe9 is not UTF-8" in done.stderr
    assert not os.path.exists(folder)


def test_the_python_api_writes_the_same_names(
    tables: Database, tmp_path: Path, environ: dict[str, str]
) -> None:
    script = f"""
from duckwarp.export.run import run_export
from duckwarp.record.store import EventStore
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
settings = Settings(dsn={tables.dsn!r}, output_dir={str(tmp_path)!r})
report = run_export(Selection(schema="s"), settings, EventStore("run"))
assert all(result.success for result in report.results), report
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": os.defpath} | environ,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {f"{code}.parquet" for code in CODES} <= names_in(tmp_path)
