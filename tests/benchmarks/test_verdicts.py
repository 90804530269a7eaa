"""Ratios are of medians and of the largest peak, and nothing is judged that was not measured."""

from __future__ import annotations

import pytest

from benchmarks.contestants import registry
from benchmarks.results import Results
from benchmarks.verdicts import Verdict, verdicts
from tests.benchmarks.builders import costs, measured, results

FLOORS = (*measured(registry.SEND, costs(2.0)), *measured(registry.SORT, costs(4.0)))


def verdict(found: Results, beginning: str) -> Verdict:
    """The one verdict whose text begins so."""
    (match,) = [each for each in verdicts(found) if each.what.startswith(beginning)]
    return match


def ours(*walls: float, memory: str = "1GB", dataset: str = "t") -> tuple:
    rounds = [costs(wall) for wall in walls]
    return measured(registry.DUCKWARP, *rounds, memory=memory, dataset=dataset)


def test_the_floor_is_the_sum_of_both_and_the_time_a_median() -> None:
    found = verdict(
        results(t=(*FLOORS, *ours(6.6, 99.0, 6.0))), "T: time of duckwarp at 1GB to the"
    )
    assert found.ratio == pytest.approx(6.6 / 6.0)
    assert found.holds


@pytest.mark.parametrize(
    ("wall", "holds"),
    [pytest.param(7.2, True, id="at the limit"), pytest.param(7.21, False, id="above the limit")],
)
def test_a_target_holds_up_to_its_limit(wall: float, holds: bool) -> None:
    found = verdict(results(t=(*FLOORS, *ours(wall))), "T: time of duckwarp at 1GB to the floor")
    assert found.limit == 1.2
    assert found.holds is holds


@pytest.mark.parametrize(
    "floor",
    [
        pytest.param(measured(registry.SEND, costs(2.0)), id="half of the floor"),
        pytest.param(
            (*measured(registry.SEND, costs(2.0), "no more"), *measured(registry.SORT, costs())),
            id="a round that failed",
        ),
    ],
)
def test_what_has_no_base_is_not_judged(floor: tuple) -> None:
    found = verdict(results(t=(*floor, *ours(6.0))), "T: time of duckwarp at 1GB to the floor")
    assert (found.ratio, found.holds) == (None, None)


def test_the_largest_peak_of_all_rounds_counts() -> None:
    peaks = [costs(peak_bytes=peak) for peak in (400_000_000, 520_000_000, 410_000_000)]
    measurements = measured(registry.DUCKWARP, *peaks, memory="512MB", dataset="wide")
    found = verdict(results(memory=measurements), "Wide: peak resident memory to `--memory 512MB`")
    assert found.ratio == pytest.approx(520 / 512)
    assert found.holds is False


def test_time_per_row_is_compared_not_time() -> None:
    rows = (*ours(10.0), *ours(44.0, dataset="t20"))
    found = verdict(results(rows=rows), "T: time per row")
    assert found.ratio == pytest.approx(1.1)


def test_without_results_every_target_is_there_and_none_judged() -> None:
    found = verdicts(Results())
    assert len(found) > 20
    assert {each.holds for each in found} == {None}
