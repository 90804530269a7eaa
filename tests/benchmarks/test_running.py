"""Contestants take turns, and who cannot take part is on record with the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.contestants.registry import DUCKDB, DUCKDB_ORDERED, DUCKWARP, Contestant
from benchmarks.counting import count_rows
from benchmarks.datasets import FULL, datasets
from benchmarks.loading import load
from benchmarks.running import Ground, run
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
