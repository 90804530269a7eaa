"""The metrics of a run: read back by Prometheus' own parser."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from duckwarp.model.results import ExportResult, RunReport, SourceOutcome, SourceState
from duckwarp.record.metrics import LastRun, check_metrics_file, write_metrics

REPORT = RunReport(
    run_id="r",
    output_dir="output",
    outcomes=(
        SourceOutcome(
            code="a",
            state=SourceState.EXPORTED,
            result=ExportResult(True, "a", 12, 3, 0.1, "a.parquet", "a.md"),
            size_bytes=100_000,
        ),
        SourceOutcome(code="b", state=SourceState.FAILED, result=ExportResult.failure("b", "no")),
    ),
    seconds=2.5,
)


def last_run(exit_code: int = 0, publication: str | None = "adhd") -> LastRun:
    return LastRun(
        publication=publication, report=REPORT, exit_code=exit_code, peak_memory_bytes=2**28
    )


def families(path: Path) -> dict[str, Metric]:
    parsed = text_string_to_metric_families(path.read_text(encoding="utf-8"))
    return {family.name: family for family in parsed}


def value(path: Path, name: str, **labels: str) -> float:
    [sample] = [
        sample
        for sample in families(path)[f"duckwarp_{name}"].samples
        if sample.labels.items() >= labels.items()
    ]
    return float(sample.value)


def test_has_the_figures_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "duckwarp.prom"
    before = time.time()
    write_metrics(path, last_run(exit_code=1))
    assert before <= value(path, "last_run_timestamp_seconds") <= time.time()
    assert value(path, "last_run_exit_code", publication="adhd") == 1
    assert value(path, "last_run_duration_seconds") == 2.5
    assert value(path, "last_run_rows") == 12
    assert value(path, "last_run_parquet_bytes") == 100_000
    assert value(path, "last_run_peak_memory_bytes") == 2**28
    states = {state: value(path, "last_run_sources", state=state) for state in SourceState}
    assert states == {s: float(s in (SourceState.EXPORTED, SourceState.FAILED)) for s in states}


def test_every_metric_is_described_and_named_as_prometheus_has_it(tmp_path: Path) -> None:
    path = tmp_path / "duckwarp.prom"
    write_metrics(path, last_run())
    found = families(path)
    assert len(found) == 8
    for family in found.values():
        assert family.type == "gauge"
        assert family.documentation.endswith(".")
        # A figure of the last run may fall: no counter, and no name of one.
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket"))
    promtool = shutil.which("promtool")
    if promtool:
        subprocess.run(
            [promtool, "check", "metrics"], input=path.read_bytes(), check=True, capture_output=True
        )


def test_a_failed_run_keeps_the_time_of_the_last_success(tmp_path: Path) -> None:
    path = tmp_path / "duckwarp.prom"
    write_metrics(path, last_run(exit_code=3))
    assert value(path, "last_success_timestamp_seconds") == 0
    write_metrics(path, last_run())
    success = value(path, "last_success_timestamp_seconds")
    assert success == value(path, "last_run_timestamp_seconds")
    write_metrics(path, last_run(exit_code=130))
    assert value(path, "last_success_timestamp_seconds", publication="adhd") == success
    assert value(path, "last_run_timestamp_seconds") > success


def test_a_run_that_does_not_know_its_publication_takes_the_name_that_is_there(
    tmp_path: Path,
) -> None:
    path = tmp_path / "duckwarp.prom"
    write_metrics(path, last_run())
    write_metrics(path, last_run(exit_code=2, publication=None))
    assert value(path, "last_run_exit_code", publication="adhd") == 2
    assert value(path, "last_success_timestamp_seconds", publication="adhd") > 0


def test_what_is_there_and_no_metrics_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "duckwarp.prom"
    path.write_bytes(b"\xff{{{ no metrics")
    write_metrics(path, last_run(exit_code=1))
    assert value(path, "last_success_timestamp_seconds") == 0


@pytest.mark.parametrize(
    ("name", "want"),
    [
        pytest.param('odd "name"\\\n', 'odd "name"\\\n', id="quotes and lines"),
        pytest.param("caf\u00e9", "caf\u00e9", id="letters"),
        pytest.param("half \udc80", "half \\udc80", id="no text"),
    ],
)
def test_any_name_is_read_back(tmp_path: Path, name: str, want: str) -> None:
    path = tmp_path / "duckwarp.prom"
    write_metrics(path, last_run(publication=name))
    assert value(path, "last_run_exit_code", publication=want) == 0


def test_every_user_may_read_the_file_and_nothing_is_left_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    path = tmp_path / "duckwarp.prom"
    before = os.umask(0o077)
    try:
        check_metrics_file(path)
        write_metrics(path, last_run())
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    path = tmp_path / "duckwarp.prom"
    write_metrics(path, last_run())
    with path.open("rb") as reading:
        write_metrics(path, last_run(exit_code=1))
        old = reading.read()
    assert b'exit_code{publication="adhd"} 0.0' in old
    assert value(path, "last_run_exit_code") == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [("nowhere/x.prom", "No such file or directory"), (".", "it is a folder, not a file")],
)
def test_where_it_cannot_be_written_is_known_ahead(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(OSError, match=words):
        check_metrics_file(tmp_path / name)
