"""Contestants take turns, and who cannot take part is on record with the reason."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from benchmarks.contestants.registry import (
    DUCKDB,
    DUCKDB_ORDERED,
    DUCKWARP,
    SORT,
    VERIFY,
    WITHOUT,
    Contestant,
)
from benchmarks.contestants.without import DEVICES
from benchmarks.counting import count_rows
from benchmarks.datasets import FULL, datasets
from benchmarks.loading import load
from benchmarks.running import REPOSITORY, Ground, run
from benchmarks.scenarios import Entry, scenarios
from tests.support import Database

FEW = 40
T = replace(datasets(FULL)["t"], rows=FEW)


@pytest.fixture
def ground(database: Database, tmp_path: Path) -> Ground:
    """A database with a T of few rows."""
    assert load(database.dsn, T) is None
    return Ground(
        dsn=database.dsn,
        datasets={"t": T},
        unloaded={},
        folder=tmp_path,
        count_rows=count_rows,
        timeout_seconds=60.0,
    )


def test_everybody_has_one_turn_in_each_round(ground: Ground) -> None:
    names = (DUCKWARP, DUCKDB, DUCKDB_ORDERED)
    entries = [Entry(contestant=name, dataset="t", rounds=2) for name in names]
    measurements = list(run(entries, ground))
    assert [each.failure for each in measurements] == [None] * 6
    assert [each.contestant for each in measurements[:3]] == list(names)
    assert {each.contestant for each in measurements[3:]} == set(names)
    assert measurements[3].contestant != names[0]
    assert all(each.costs and each.costs.output_bytes > 0 for each in measurements)
    assert not list(ground.folder.iterdir())


def test_entries_of_a_dataset_stay_together(ground: Ground) -> None:
    more = replace(ground, unloaded={"t": "no data", "other": "none either"})
    entries = [
        Entry(contestant=name, dataset=dataset, rounds=1)
        for dataset in ("t", "other")
        for name in (DUCKDB, DUCKDB_ORDERED)
    ]
    assert [each.dataset for each in run(entries, more)] == ["t", "t", "other", "other"]


def test_what_a_contestant_reads_is_written_beforehand_and_once(ground: Ground) -> None:
    entries = [Entry(contestant=name, dataset="t", rounds=2) for name in (SORT, VERIFY)]
    measurements = list(run(entries, ground))
    assert [each.failure for each in measurements] == [None] * 4
    folders = [path.name for path in ground.folder.iterdir()]
    assert sorted(folders) == [f"t, {DUCKWARP}", f"t, {DUCKDB}"]


def test_who_compares_with_another_table_than_was_published_has_failed(ground: Ground) -> None:
    entry = Entry(contestant=VERIFY, dataset="t", rounds=1)
    assert [each.failure for each in run([entry], ground)] == [None]
    with psycopg.connect(ground.dsn, autocommit=True) as connection:
        connection.execute("UPDATE bench.t SET region = 'another' WHERE id = 1")
    (measurement,) = run([entry], ground)
    assert measurement.failure


@pytest.mark.parametrize("device", DEVICES)
def test_duckwarp_works_without_each_device(device: str, ground: Ground) -> None:
    entry = Entry(contestant=WITHOUT[device], dataset="t", memory="1GB", rounds=1)
    assert [each.failure for each in run([entry], ground)] == [None]


# In a process of its own, whose functions are replaced.
REMOVE = """
import sys
from benchmarks.contestants.without import DEVICES, remove
DEVICES["gone"] = {"no_such_function": lambda: None}
remove(sys.argv[1])
import duckwarp
modules = [module for name, module in sys.modules.items() if name.startswith("duckwarp.")]
for name, neutral in DEVICES[sys.argv[1]].items():
    assert {getattr(module, name) for module in modules if hasattr(module, name)} == {neutral}
"""


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_is_removed_wherever_it_was_imported(device: str) -> None:
    subprocess.run([sys.executable, "-c", REMOVE, device], check=True, cwd=REPOSITORY)


def test_a_device_that_is_gone_is_missed() -> None:
    command = [sys.executable, "-c", REMOVE, "gone"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert "duckwarp has no no_such_function any more" in done.stderr
    assert done.returncode == 1


def test_who_writes_other_rows_than_there_are_has_failed_and_is_out(ground: Ground) -> None:
    more = replace(ground, datasets={"t": replace(T, rows=FEW + 1)})
    (measurement,) = run([Entry(contestant=DUCKDB, dataset="t", rounds=3)], more)
    assert measurement.failure == f"wrote {FEW} rows of {FEW + 1}"
    assert measurement.costs is None


def test_data_that_could_not_be_made_are_the_reason(ground: Ground) -> None:
    without = replace(ground, unloaded={"t": "no data: no room"})
    (measurement,) = run([Entry(contestant=DUCKDB, dataset="t", rounds=1)], without)
    assert measurement.failure == "no data: no room"


def test_who_is_not_installed_says_so() -> None:
    absent = Contestant(name="nobody", command=lambda _: [], needs="no-such-package")
    assert absent.missing == "no-such-package is not installed"


@pytest.mark.parametrize("entries", [pytest.param(v, id=k) for k, v in scenarios(3).items()])
def test_no_scenario_measures_the_same_twice(entries: tuple[Entry, ...]) -> None:
    keys = [(entry.contestant, entry.dataset, entry.memory) for entry in entries]
    assert len(keys) == len(set(keys)) > 1
