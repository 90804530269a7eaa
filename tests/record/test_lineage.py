"""Lineage as a backend gets it, through the client's own transports; and backends that are down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from duckwarp.cli import record
from duckwarp.cli.app import main
from duckwarp.record import asking
from tests.support import Database
from tests.test_interrupt import ENDLESS, PATIENCE_SECONDS, reading, wait_until

AGES = "adhd_summary_open_referrals_age"


def to_file(path: Path) -> dict[str, str]:
    """The environment that asks for lineage in a file."""
    transport = {"type": "file", "log_file_path": str(path), "append": True}
    return {"OPENLINEAGE__TRANSPORT": json.dumps(transport)}


def told(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["export", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def ask(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def test_a_source_is_told_from_its_relation_to_its_file(
    demo_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = "018f0000-0000-7000-8000-000000000000"
    ask(
        monkeypatch,
        to_file(tmp_path / "lineage.jsonl")
        | {"OPENLINEAGE_NAMESPACE": "nightly", "OPENLINEAGE_PARENT_ID": f"cron/all/{parent}"},
    )
    out = tmp_path / "out"
    assert run(AGES, "--dsn", demo_dsn, "--output", str(out), "--quiet") == 0
    start, complete = told(tmp_path / "lineage.jsonl")
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == complete["run"]["runId"]
    assert UUID(start["run"]["runId"]).version == 7
    for event in (start, complete):
        assert (event["job"]["namespace"], event["job"]["name"]) == ("nightly", f"duckwarp.{AGES}")
        assert event["run"]["facets"]["parent"]["run"]["runId"] == parent
    with psycopg.connect(demo_dsn) as connection:
        host, port = connection.info.host, connection.info.port
    host = "localhost" if host.startswith("/") else host
    [relation], [file] = complete["inputs"], complete["outputs"]
    database = conninfo_to_dict(demo_dsn)["dbname"]
    assert relation["namespace"] == f"postgres://{host}:{port}"
    assert relation["name"] == f"{database}.staging.{AGES}"
    path = out / f"{AGES}.parquet"
    assert (file["namespace"], file["name"]) == ("file", str(path))
    fields = {each["name"]: each for each in relation["facets"]["schema"]["fields"]}
    assert len(fields) == 15
    assert fields["mean_wait_weeks"]["type"] == "numeric(12,2)"
    assert fields["mean_wait_weeks"]["description"] == "Mean time since referral, in weeks."
    written = {each["name"]: each["type"] for each in file["facets"]["schema"]["fields"]}
    assert list(written) == list(fields)
    assert written["mean_wait_weeks"] == "DECIMAL(12,2)"
    assert relation["facets"]["dataSource"]["uri"].endswith(f":{port}/{database}")
    assert "Open referrals" in relation["facets"]["documentation"]["description"]
    statistics = file["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"]) == (1304, path.stat().st_size)
    [column] = file["facets"]["columnLineage"]["fields"]["icb_code"]["inputFields"]
    assert (column["name"], column["field"]) == (relation["name"], "icb_code")
    assert "outputStatistics" not in start["outputs"][0].get("outputFacets", {})


def test_a_failed_source_is_told_with_its_reason(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute("CREATE VIEW a AS SELECT 1 / (n - n) AS m FROM generate_series(1, 2) AS n")
    ask(monkeypatch, to_file(tmp_path / "lineage.jsonl"))
    arguments = ["--schema", "public", "--dsn", database.dsn, "--output", str(tmp_path / "out")]
    assert run(*arguments, "--quiet") == 1
    start, fail = told(tmp_path / "lineage.jsonl")
    assert (start["eventType"], fail["eventType"]) == ("START", "FAIL")
    assert "division by zero" in fail["run"]["facets"]["errorMessage"]["message"]


def test_an_interrupted_source_is_aborted(database: Database, tmp_path: Path) -> None:
    database.execute(ENDLESS)
    lineage = tmp_path / "lineage.jsonl"
    arguments = ["export", "--schema", "public", "--dsn", database.dsn]
    with subprocess.Popen(
        [sys.executable, "-m", "duckwarp", *arguments],
        cwd=tmp_path,
        env=os.environ | to_file(lineage),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        wait_until(lambda: reading(database), process)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 143, errors
    assert [each["eventType"] for each in told(lineage)] == ["START", "ABORT"]


class _Backend(BaseHTTPRequestHandler):
    """A backend that keeps what it is told, answers with `status`, or first waits for `gate`."""

    status = 201
    received: list[tuple[str, dict[str, Any]]]
    gate: threading.Event

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.headers["Authorization"] or "", json.loads(body)))
        self.gate.wait(PATIENCE_SECONDS)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@contextmanager
def backend(*, status: int = 201, hangs: bool = False) -> Iterator[tuple[str, type[_Backend]]]:
    """The URL of a backend, and what it was told."""
    gate = threading.Event()
    handler = type("Backend", (_Backend,), {"status": status, "received": [], "gate": gate})
    if not hangs:
        gate.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_backend_is_told_over_http(
    demo_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with backend() as (url, heard):
        ask(monkeypatch, {"OPENLINEAGE_URL": url, "OPENLINEAGE_API_KEY": "key of the backend"})
        out = ["--output", str(tmp_path / "out")]
        assert run("adhd", "--dsn", demo_dsn, "--quiet", *out) == 0
    states = [event["eventType"] for _, event in heard.received]
    assert sorted(states) == ["COMPLETE"] * 7 + ["START"] * 7
    assert {authorization for authorization, _ in heard.received} == {"Bearer key of the backend"}


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param({"status": 400}, id="refuses"),
        pytest.param({"hangs": True}, id="never answers"),
        pytest.param(None, id="is not there"),
    ],
)
def test_a_backend_in_trouble_costs_no_export(
    demo_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    trouble: dict[str, Any] | None,
) -> None:
    events = tmp_path / "e.jsonl"
    with backend(**(trouble or {})) as (address, _):
        url = address if trouble else "http://127.0.0.1:9"
        ask(monkeypatch, {"OPENLINEAGE_URL": url, "OPENLINEAGE_API_KEY": "key of the backend"})
        out = tmp_path / "out"
        arguments = ["--output", str(out), "--events", str(events)]
        assert run(AGES, "--dsn", demo_dsn, *arguments, "--quiet") == 0
    assert (out / f"{AGES}.parquet").exists()
    shown = capsys.readouterr()
    assert shown.out == ""
    [warning] = shown.err.splitlines()
    assert warning.startswith("warning: 2 of 2 OpenLineage events were not delivered (")
    assert "key of the backend" not in warning
    *_, told, end = (json.loads(line) for line in events.read_text().splitlines())
    assert (told["event_type"], told["level"]) == ("warning", "WARNING")
    assert warning == f"warning: {told['message']}"
    assert (end["event_type"], end["context"]["exit_code"]) == ("run_ended", 0)


def test_without_the_client_one_warning_says_how_to_install_it(
    demo_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(record, "is_installed", lambda: False)
    ask(monkeypatch, to_file(tmp_path / "lineage.jsonl"))
    arguments = ["--output", str(tmp_path / "out"), "--events", str(tmp_path / "e.jsonl")]
    assert run(AGES, "--dsn", demo_dsn, "--quiet", *arguments) == 0
    [warning] = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: ")
    assert "pip install 'duckwarp[lineage]'" in warning
    lines = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert [each["level"] for each in lines].count("WARNING") == 1
    assert not (tmp_path / "lineage.jsonl").exists()


@pytest.mark.parametrize(
    ("environment", "want"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"OPENLINEAGE_URL": "http://x"}, True, id="an address"),
        pytest.param({"OPENLINEAGE_URL": ""}, False, id="an empty one"),
        pytest.param({"OPENLINEAGE_CONFIG": "/etc/ol.yml"}, True, id="a file"),
        pytest.param({"OPENLINEAGE__TRANSPORT__TYPE": "http"}, True, id="a transport"),
        pytest.param({"OPENLINEAGE_NAMESPACE": "x"}, False, id="a name only"),
        pytest.param(
            {"OPENLINEAGE_URL": "http://x", "OPENLINEAGE_DISABLED": "True"}, False, id="disabled"
        ),
    ],
)
def test_the_variables_of_the_client_ask_for_lineage(
    environment: dict[str, str], want: bool
) -> None:
    assert asking.is_asked_for(environment) is want


def test_the_client_that_is_installed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asking.is_installed()
    monkeypatch.setattr(sys, "path", [])
    for name in [name for name in sys.modules if name.partition(".")[0] == "openlineage"]:
        monkeypatch.delitem(sys.modules, name)
    assert not asking.is_installed()
