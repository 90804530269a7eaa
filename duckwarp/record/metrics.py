"""`--metrics-file`: the last run of a publication in Prometheus' text format.

For the textfile collector of node_exporter, which reads the file whenever it is scraped: it is
replaced in one step. Its names and units follow Prometheus' own conventions.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from duckwarp.files.opening import check_place, open_regular
from duckwarp.model.results import RunReport, SourceState

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

LABEL = "publication"
LAST_SUCCESS = "duckwarp_last_success_timestamp_seconds"
# node_exporter runs as a user of its own.
MODE = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """A run that has ended, as the metrics have it; `publication` is None where nobody knows it."""

    publication: str | None
    report: RunReport
    exit_code: int
    peak_memory_bytes: int


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A new file in the folder of `path`, with a name that no collector reads, gone at the end."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    beside.touch(exist_ok=False)
    try:
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def check_metrics_file(path: Path) -> None:
    """Raises `OSError` where the file could not be put in place at the end of the run."""
    check_place(path, link=False)
    with _beside(path):
        pass


def write_metrics(path: Path, run: LastRun) -> None:
    """Put the metrics of `run` in the place of those of the run before it.

    The time of the last success is kept from there where this one was none. Raises `OSError`.
    """
    from prometheus_client import generate_latest

    previous = _last_successes(path)
    publication = run.publication
    if publication is None:
        publication = next(iter(previous)) if len(previous) == 1 else ""
    publication = publication.encode(errors="backslashreplace").decode()
    text = generate_latest(_registry(run, publication, previous.get(publication, 0.0)))
    with _beside(path) as beside:
        with beside.open("wb") as file:
            os.fchmod(file.fileno(), MODE)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        check_place(path, link=False)
        beside.replace(path)


def _registry(run: LastRun, publication: str, last_success: float) -> CollectorRegistry:
    from prometheus_client import CollectorRegistry, Gauge

    registry = CollectorRegistry(auto_describe=False)
    now = time.time()

    def put(name: str, words: str, value: float) -> None:
        Gauge(name, words, [LABEL], registry=registry).labels(publication).set(value)

    put("duckwarp_last_run_timestamp_seconds", "When the last run ended, in Unix time.", now)
    put(
        LAST_SUCCESS,
        "When a run last ended with exit code 0, in Unix time; 0 if none is known.",
        last_success if run.exit_code else now,
    )
    put("duckwarp_last_run_exit_code", "The exit code of the last run.", run.exit_code)
    put("duckwarp_last_run_duration_seconds", "How long the last run took.", run.report.seconds)
    put("duckwarp_last_run_rows", "Rows that the last run published.", run.report.total_rows)
    put(
        "duckwarp_last_run_parquet_bytes",
        "Bytes of the Parquet files that the last run published.",
        run.report.total_bytes,
    )
    put(
        "duckwarp_last_run_peak_memory_bytes",
        "The most resident memory that the process of the last run had.",
        run.peak_memory_bytes,
    )
    sources = Gauge(
        "duckwarp_last_run_sources",
        "Sources of the last run, by the state in which they ended.",
        [LABEL, "state"],
        registry=registry,
    )
    for state in SourceState:
        sources.labels(publication, state.value).set(len(run.report.of_state(state)))
    return registry


def _last_successes(path: Path) -> dict[str, float]:
    """The time of the last success by publication, as the file has it; nothing if it has none."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        with open_regular(path) as file:
            families = list(text_string_to_metric_families(file.read().decode()))
    except (OSError, ValueError):
        return {}
    return {
        sample.labels.get(LABEL, ""): sample.value
        for family in families
        for sample in family.samples
        if sample.name == LAST_SUCCESS
    }
