"""`duckwarp verify` on the command line: what it prints, and its exit code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from duckwarp.cli.app import main
from duckwarp.model.source import Selection
from tests.runs import export
from tests.support import Database
from tests.verify.tampering import rewrite, with_values

AGES = "adhd_summary_open_referrals_age"


@pytest.fixture
def folder(demo_dsn: str, tmp_path: Path) -> Path:
    """The published file of one source."""
    export(demo_dsn, Selection(codes=(AGES,)), tmp_path)
    return tmp_path


def verify(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["verify", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out


def test_what_is_equal_takes_a_line(
    folder: Path, demo_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = verify(capsys, "--dsn", demo_dsn, "--output", str(folder))
    assert code == 0
    [line] = [line for line in out.splitlines() if line.startswith(AGES)]
    assert line.split()[1] == "1,304"
    assert line.endswith("equal")
    assert out.splitlines()[-1] == "1 equal."


def test_what_differs_is_told(
    folder: Path, demo_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(folder / f"{AGES}.parquet", with_values("age_group", {700: "by hand"}))
    code, out = verify(capsys, "--source", AGES, "--dsn", demo_dsn, "--output", str(folder))
    assert code == 1
    assert f"{AGES}: different" in out
    assert "'by hand' in the file" in out


@pytest.mark.parametrize("offline", [False, True])
def test_quiet_tells_of_what_differs_and_of_nothing_else(
    folder: Path, demo_dsn: str, capsys: pytest.CaptureFixture[str], offline: bool
) -> None:
    where = ["--offline"] if offline else ["--dsn", demo_dsn]
    assert verify(capsys, "--quiet", *where, "--output", str(folder)) == (0, "")
    rewrite(folder / f"{AGES}.parquet", with_values("age_group", {700: "by hand"}))
    code, out = verify(capsys, "--quiet", *where, "--output", str(folder))
    assert code == 1
    assert f"{AGES}: different" in out


def test_json_is_one_document(
    folder: Path, demo_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(folder / f"{AGES}.parquet", with_values("age_group", {700: "by hand"}))
    code, out = verify(capsys, "--json", "--dsn", demo_dsn, "--output", str(folder))
    document = json.loads(out)
    assert document["exit_code"] == code == 1
    [verdict] = document["verdicts"]
    assert (verdict["canonical_code"], verdict["agreement"]) == (AGES, "different")
    assert "age_group" in {difference["column"] for difference in verdict["differences"]}
    [row] = verdict["differing_rows"]
    assert [(cell["column"], cell["file"]) for cell in row["cells"]] == [("age_group", "by hand")]
    assert row["key"]
    code, out = verify(capsys, "--json", "--quick", "--dsn", demo_dsn, "--output", str(folder))
    assert (code, json.loads(out)["verdicts"][0]["agreement"]) == (0, "equal")


def test_offline_needs_no_database(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = verify(capsys, "--offline", "--output", str(folder))
    assert (code, out.splitlines()[-1]) == (0, "1 equal.")
    code, _ = verify(capsys, "--offline", "--schema", "staging", "--output", str(folder))
    assert code == 2


def test_a_database_that_cannot_be_reached_is_another_exit_code(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = verify(capsys, "--dsn", f"host={tmp_path}", "--output", str(folder))
    assert code == 3


def test_an_empty_folder_has_nothing_to_verify(
    demo_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = verify(capsys, "--dsn", demo_dsn, "--output", str(tmp_path))
    assert (code, out.splitlines()[-1]) == (0, "No file was found.")


def test_ctrl_c_ends_it_at_once_and_leaves_no_session(database: Database, tmp_path: Path) -> None:
    database.execute(
        "CREATE TABLE visits AS SELECT n, md5(n::text) AS code FROM generate_series(1, 400000) n"
    )
    export(database, Selection(schema="public"), tmp_path)
    # A view is never done: the answer of the table does not come before the signal.
    database.execute(
        "ALTER TABLE visits RENAME TO kept; CREATE VIEW visits AS SELECT kept.n, kept.code "
        "FROM kept, pg_sleep(CASE WHEN kept.n > 0 THEN 60 END)"
    )
    command = [sys.executable, "-m", "duckwarp", "verify", "--schema", "public"]
    running = subprocess.Popen(
        [*command, "--dsn", database.dsn, "--output", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    sessions = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE application_name ~ '^duckwarp' AND datname = current_database()"
    )
    asking = f"{sessions} AND query ~ 'sha256' AND state = 'active'"
    while running.poll() is None and database.execute(asking) == [(0,)]:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (130, "")
    assert err == "error: interrupted\n"
    ended = time.monotonic()
    # A session of the server's takes a moment to end.
    while database.execute(sessions) != [(0,)]:
        assert time.monotonic() < ended + 30
        time.sleep(0.05)
