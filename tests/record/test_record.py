"""What is kept of every run of the command line, however it ends."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from duckwarp.cli.app import main
from duckwarp.export import run as exporter
from duckwarp.model import run_events
from duckwarp.model.events import EventType
from tests.runs import dataset_files
from tests.support import Database
from tests.test_interrupt import ENDLESS, PATIENCE_SECONDS, reading, wait_until

PAGE = (Path(__file__).parents[2] / "docs/record.md").read_text(encoding="utf-8")
AGES = "adhd_summary_open_referrals_age"
MINIMUM_BYTES = 10_000_000


@dataclass(frozen=True)
class Kept:
    """The record of one or several runs."""

    folder: Path

    @property
    def options(self) -> list[str]:
        files = {"--events": "e.jsonl", "--log-file": "x.log", "--metrics-file": "m.prom"}
        return [word for name, file in files.items() for word in (name, str(self.folder / file))]

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = (self.folder / "e.jsonl").read_bytes().splitlines()
        return [json.loads(line) for line in lines]

    @property
    def end(self) -> dict[str, Any]:
        """The last event, which has to be the end of the run, and its only one."""
        last = self.events[-1]
        run = [each for each in self.events if each["run_id"] == last["run_id"]]
        assert [each["sequence"] for each in run] == list(range(1, len(run) + 1))
        assert last["event_type"] == "run_ended"
        assert sum(each["event_type"] == "run_ended" for each in run) == 1
        return last

    @property
    def log(self) -> list[str]:
        return (self.folder / "x.log").read_text(encoding="utf-8").splitlines()

    def metric(self, name: str, **labels: str) -> float:
        text = (self.folder / "m.prom").read_text(encoding="utf-8")
        [value] = [
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"duckwarp_{name}" and sample.labels.items() >= labels.items()
        ]
        return float(value)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_run_that_went_well_ends_with_its_figures(
    demo_dsn: str, tmp_path: Path, kept: Kept
) -> None:
    arguments = ["export", AGES, "--dsn", demo_dsn, "--output", str(tmp_path / "out")]
    assert run(*arguments, "--period", "2026-11", *kept.options) == 0
    end = kept.end
    assert (end["level"], end["publication"], end["period"]) == ("INFO", AGES, "2026-11")
    figures = end["context"]
    assert figures["exit_code"] == 0
    assert figures["error"] is None
    assert (figures["sources_exported"], figures["sources_failed"], figures["rows"]) == (1, 0, 1304)
    assert figures["size_bytes"] == (tmp_path / f"out/{AGES}.parquet").stat().st_size
    assert figures["peak_memory_bytes"] > MINIMUM_BYTES
    assert figures["seconds"] > 0
    of_source = [each for each in kept.events if each["source"] == AGES]
    assert "stage_completed" in {each["event_type"] for each in of_source}
    assert kept.log[-1].endswith("ended with exit code 0")
    assert any(f"exported {AGES}: 1,304 rows" in line for line in kept.log)
    assert kept.metric("last_run_exit_code", publication=AGES) == 0
    assert kept.metric("last_run_sources", state="exported") == 1
    assert kept.metric("last_run_parquet_bytes") == figures["size_bytes"]


def test_the_page_of_the_record_has_every_name(demo_dsn: str, tmp_path: Path, kept: Kept) -> None:
    out = ["--output", str(tmp_path / "out")]
    assert run("export", AGES, "--dsn", demo_dsn, *out, *kept.options) == 0
    for name in (*kept.end, *kept.end["context"], *EventType):
        assert f"`{name}`" in PAGE
    text = (tmp_path / "m.prom").read_text(encoding="utf-8")
    written = {family.name for family in text_string_to_metric_families(text)}
    assert set(re.findall(r"\| `(duckwarp_[a-z_]+)", PAGE)) == written
    kinds = [each for each in vars(run_events).values() if isinstance(each, type)]
    stages = {kind.stage for kind in kinds if issubclass(kind, run_events.RunEvent)}
    for stage in {*filter(None, stages), "record"}:
        assert f"`{stage}`" in PAGE
    assert len(stages) > 4


def broken(*_: object, **__: object) -> None:
    raise ValueError("a fault")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param([], 2, "say what to export", id="nothing to export"),
        pytest.param(["adhdx"], 2, "nothing matches", id="an unknown publication"),
        pytest.param(["adhd", "--memory", "much"], 2, "is no size", id="an option's value"),
        pytest.param(["adhd", "--nonsense"], 2, "--nonsense", id="an unknown option"),
        pytest.param(["adhd", "extra"], 2, "extra", id="an argument too many"),
        pytest.param(
            ["adhd", "--dsn", "host=/nowhere", "--retries", "0"],
            3,
            "cannot connect",
            id="no server",
        ),
        pytest.param(["adhd", "--registry-schema", "x"], 3, 'registry "x"', id="no registry"),
        pytest.param(["adhd", "--output", "/dev/null/x"], 3, "output folder", id="no output"),
        pytest.param(["adhd", "--fail-on-missing"], 1, None, id="a failed source"),
        pytest.param(["adhd", "FAULT"], 3, "unexpected ValueError", id="a fault of duckwarp"),
    ],
)
def test_a_run_that_failed_ends_with_its_exit_code(  # noqa: PLR0917
    demo_dsn: str,
    tmp_path: Path,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: Sequence[str],
    code: int,
    words: str | None,
) -> None:
    if "FAULT" in arguments:
        monkeypatch.setattr(exporter, "open_snapshot", broken)
        arguments = ["adhd"]
    monkeypatch.setenv("DUCKWARP_DSN", demo_dsn)
    where = [] if "--output" in arguments else ["--output", str(tmp_path / "out")]
    assert run("export", *arguments, *where, *kept.options) == code
    end = kept.end
    assert (end["level"], end["context"]["exit_code"]) == ("ERROR", code)
    assert f"ended with exit code {code}" in kept.log[-1]
    assert kept.metric("last_run_exit_code") == code
    assert kept.metric("last_success_timestamp_seconds") == 0
    error = end["context"]["error"]
    if words is None:
        assert error is None
        assert end["context"]["sources_failed"] == 1
        assert kept.metric("last_run_sources", state="failed") == 1
    else:
        assert words in error
        assert words in kept.log[-1]
        assert f"error: {error}" in capsys.readouterr().err


def test_runs_append_to_one_record(demo_dsn: str, tmp_path: Path, kept: Kept) -> None:
    arguments = ["export", AGES, "--output", str(tmp_path / "out"), *kept.options]
    assert run(*arguments, "--dsn", demo_dsn) == 0
    success = kept.metric("last_success_timestamp_seconds")
    assert run(*arguments, "--dsn", "host=/nowhere", "--retries", "0") == 3
    assert kept.end["context"]["exit_code"] == 3
    ends = [e["context"]["exit_code"] for e in kept.events if e["event_type"] == "run_ended"]
    assert ends == [0, 3]
    assert len({each["run_id"] for each in kept.events}) == 2
    assert kept.metric("last_success_timestamp_seconds", publication=AGES) == success


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--events", "cannot write events to"),
        ("--log-file", "cannot write the log to"),
        ("--metrics-file", "cannot write metrics to"),
    ],
)
def test_a_file_that_cannot_be_opened_fails_the_run_and_the_others_tell_it(
    demo_dsn: str, tmp_path: Path, kept: Kept, option: str, words: str
) -> None:
    options = kept.options
    options[options.index(option) + 1] = "/dev/null/x"
    out = tmp_path / "out"
    assert run("export", AGES, "--dsn", demo_dsn, "--output", str(out), *options) == 3
    assert not out.exists()
    if option != "--events":
        assert words in kept.end["context"]["error"]
    if option != "--log-file":
        assert words in kept.log[-1]
    if option != "--metrics-file":
        assert kept.metric("last_run_exit_code") == 3


def test_a_record_whose_disk_is_full_costs_no_export(
    demo_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    full = ["--events", "/dev/full", "--log-file", "/dev/full"]
    assert run("export", AGES, "--dsn", demo_dsn, "-o", str(out), "--quiet", *full) == 0
    assert (out / f"{AGES}.parquet").exists()
    events, log = capsys.readouterr().err.splitlines()
    assert events.startswith("warning: cannot write events to /dev/full: No space left")
    assert log.startswith("warning: cannot write the log to /dev/full: No space left")


def test_a_plan_and_help_are_no_runs(demo_dsn: str, kept: Kept) -> None:
    assert run("export", AGES, "--dsn", demo_dsn, "--plan", *kept.options) == 0
    assert run("export", "--help") == 0
    assert run("export", "--plan", "--nonsense", *kept.options) == 2
    assert not list(kept.folder.iterdir())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    ("publish", "published"), [pytest.param("each", ["a"]), pytest.param("together", [])]
)
def test_an_interrupted_run_says_what_it_had_published(  # noqa: PLR0917
    database: Database,
    tmp_path: Path,
    kept: Kept,
    number: signal.Signals,
    code: int,
    publish: str,
    published: list[str],
) -> None:
    database.execute(f"CREATE VIEW a AS SELECT 7 AS n; {ENDLESS}")
    arguments = ["--schema", "public", "--dsn", database.dsn, "--publish", publish, "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "duckwarp", "export", *arguments, *kept.options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        wait_until(lambda: reading(database), process)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == code, err
    document = json.loads(out)
    assert (document["exit_code"], document["run_id"]) == (code, kept.end["run_id"])
    assert kept.end["context"]["exit_code"] == code
    assert document["error"] == kept.end["context"]["error"]
    assert [each["canonical_code"] for each in document["results"]] == published
    assert [path.stem for path in dataset_files(tmp_path / "output")] == published
    assert document["totals"]["exported"] == len(published)
    assert kept.metric("last_run_sources", state="exported") == len(published)
    assert kept.metric("last_run_exit_code") == code


STREAMS = {
    "closed": ">&- 2>&- <&-",
    "full": ">/dev/full 2>/dev/full",
    "read by nobody": "2>&1 | true",
}


@pytest.mark.parametrize("options", ["", "--json"])
@pytest.mark.parametrize("streams", STREAMS.values(), ids=STREAMS)
def test_an_export_does_not_depend_on_who_reads_its_streams(
    demo_dsn: str, tmp_path: Path, kept: Kept, streams: str, options: str
) -> None:
    command = [sys.executable, "-m", "duckwarp", "export", AGES, "--dsn", demo_dsn, *kept.options]
    script = f"( {shlex.join(command)} {options}; echo $? > code ) {streams}"
    subprocess.run(["/bin/sh", "-c", script], cwd=tmp_path, check=False, timeout=PATIENCE_SECONDS)
    assert (tmp_path / f"output/{AGES}.parquet").exists()
    assert kept.end["context"]["exit_code"] == 0
    assert (tmp_path / "code").read_text() == "0\n"
    undelivered = [each for each in kept.events if each["stage"] == "record"]
    assert len(undelivered) == (streams != STREAMS["closed"])


def test_a_failure_is_recorded_when_nobody_reads_the_streams(tmp_path: Path, kept: Kept) -> None:
    command = [sys.executable, "-m", "duckwarp", "export", AGES, "--dsn", "host=/nowhere"]
    command += ["--retries", "0"]
    subprocess.run(
        ["/bin/sh", "-c", f"{shlex.join([*command, '--json', *kept.options])} >&- 2>/dev/full"],
        cwd=tmp_path,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert kept.end["context"]["exit_code"] == 3
    assert kept.metric("last_run_exit_code") == 3
