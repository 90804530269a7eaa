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
    found = verdict(results(rows=rows), "T: time per row at four times the rows, at 1GB")
    assert found.ratio == pytest.approx(1.1)


def test_time_per_row_in_little_memory_is_taken_from_the_scenario_of_memory() -> None:
    memory = (*ours(8.0, memory="512MB"), *ours(56.0, memory="512MB", dataset="t20"))
    found = verdict(results(memory=memory), "T: time per row at four times the rows, at 512MB")
    assert (found.ratio, found.limit) == (pytest.approx(1.75), 1.5)
    assert found.holds is False


def test_verify_is_compared_with_the_export_of_its_round() -> None:
    walls = [costs(wall) for wall in (12.0, 30.0, 22.0)]
    verified = measured(registry.VERIFY, *walls, memory="1GB")
    found = verdict(results(verify=(*ours(10.0, 10.0, 20.0), *verified)), "T: time of `duckwarp v")
    assert (found.ratio, found.holds) == (pytest.approx(1.2), True)


def plain(*walls: float, dataset: str = "t") -> tuple:
    rounds = [costs(wall) for wall in walls]
    return measured(registry.DUCKDB_ORDERED, *rounds, memory="1GB", dataset=dataset)


PLAIN = "shapes: time of duckwarp at 1GB to plain DuckDB, ORDER BY ALL, at 1GB, "


class TestShapes:
    def test_are_judged_by_the_geometric_mean_of_medians_of_ratios(self) -> None:
        shapes = (
            *ours(2.0, 9.0, 4.0),
            *plain(2.0, 3.0, 4.0),
            *ours(1.44, dataset="lineitem"),
            *plain(1.0, dataset="lineitem"),
        )
        found = verdict(results(shapes=shapes), PLAIN + "on average")
        assert (found.ratio, found.limit) == (pytest.approx(1.2), 1.05)
        found = verdict(results(shapes=shapes), PLAIN + "at worst")
        assert (found.ratio, found.limit, found.holds) == (pytest.approx(1.44), 1.2, False)

    def test_that_another_cannot_do_are_left_out_of_its_mean(self) -> None:
        shapes = (
            *ours(6.0),
            *measured(registry.ADBC, costs(10.0)),
            *ours(1.0, dataset="lineitem"),
            *measured(registry.ADBC, "no such type", dataset="lineitem"),
        )
        found = verdict(results(shapes=shapes), "shapes: time of duckwarp at 1GB to ADBC")
        assert (found.ratio, found.limit, found.holds) == (pytest.approx(0.6), 0.65, True)

    def test_are_not_judged_where_duckwarp_has_failed_at_one(self) -> None:
        shapes = (
            *ours(1.0),
            *plain(1.0),
            *measured(registry.DUCKWARP, "no memory", memory="1GB", dataset="lineitem"),
            *plain(1.0, dataset="lineitem"),
        )
        found = [v for v in verdicts(results(shapes=shapes)) if v.what.startswith("shapes")]
        assert len(found) == 4
        assert {each.holds for each in found} == {None}

    def test_have_the_largest_of_all_peaks(self) -> None:
        small = measured(registry.DUCKWARP, costs(), memory="1GB", dataset="lineitem")
        large = measured(registry.DUCKWARP, costs(peak_bytes=1_100_000_000), memory="1GB")
        found = verdict(results(shapes=(*small, *large)), "shapes: largest peak")
        assert (found.ratio, found.holds) == (pytest.approx(1.1), False)


def test_without_results_every_target_is_there_and_none_judged() -> None:
    found = verdicts(Results())
    assert len(found) > 20
    assert {each.holds for each in found} == {None}
