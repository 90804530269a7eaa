"""What the rounds of a contestant come to: the median of times, the largest peak of memory.

Of shapes and devices the median of the rounds' ratios: contestants of a round were close together.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.contestants.registry import ADBC, DUCKDB_ORDERED, DUCKWARP, SEND, SORT
from benchmarks.results import Costs, Measurement, Results
from benchmarks.scenarios import MEMORY

# What duckwarp's time at a shape is divided by: the contestants, together, and their memory.
BASES: dict[str, tuple[tuple[str, ...], str | None]] = {
    "plain": ((DUCKDB_ORDERED,), MEMORY),
    "ADBC": ((ADBC,), None),
    "floor": ((SEND, SORT), None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A contestant's rounds in one: their costs, or, where a round failed, the reason."""

    contestant: str
    memory: str | None
    costs: Costs | None
    failure: str | None


def grouped(measurements: Sequence[Measurement]) -> list[Figures]:
    """The figures of each contestant and memory, in the order of their first turns."""
    groups: dict[tuple[str, str | None], list[Measurement]] = {}
    for each in measurements:
        groups.setdefault((each.contestant, each.memory), []).append(each)
    return [_together(group) for group in groups.values()]


def figures(
    results: Results,
    scenario: str,
    dataset: str | None,
    contestant: str,
    memory: str | None = None,
) -> Figures | None:
    """The figures of one contestant at a dataset; None where it had no turn."""
    group = results.of(scenario, dataset, contestant, memory)
    return _together(group) if group else None


def wall(
    results: Results,
    scenario: str,
    dataset: str | None,
    contestant: str,
    memory: str | None = None,
) -> float | None:
    """The median wall time in seconds; None where there is none."""
    found = figures(results, scenario, dataset, contestant, memory)
    return found.costs.wall_seconds if found and found.costs else None


def floor(results: Results, scenario: str, dataset: str) -> float | None:
    """Seconds for sending the rows to nowhere, then sorting and writing them."""
    sent = wall(results, scenario, dataset, SEND)
    written = wall(results, scenario, dataset, SORT)
    return None if sent is None or written is None else sent + written


def walls(
    results: Results, scenario: str, dataset: str, *contestants: str, memory: str | None = None
) -> dict[int, float]:
    """The wall time of these contestants together in each round; empty where one of them failed."""
    groups = [results.of(scenario, dataset, each, memory) for each in contestants]
    if any(each.failure for group in groups for each in group):
        return {}
    turns = [{each.round: each.costs.wall_seconds for each in g if each.costs} for g in groups]
    return {
        number: sum(each[number] for each in turns) for number in set.intersection(*map(set, turns))
    }


def ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float | None:
    """The median of the ratios of the rounds that both have; None where there are none."""
    ratios = [value / theirs[number] for number, value in ours.items() if number in theirs]
    return statistics.median(ratios) if ratios else None


def mean(ratios: Iterable[float | None]) -> float | None:
    """The geometric mean of the ratios that there are."""
    known = [each for each in ratios if each is not None]
    return statistics.geometric_mean(known) if known else None


def datasets_of(results: Results, scenario: str) -> list[str]:
    """The datasets that were measured in a scenario, in the order of their turns."""
    if scenario not in results.scenarios:
        return []
    measured = results.scenarios[scenario].measurements
    return list(dict.fromkeys(each.dataset for each in measured if each.dataset))


def shape_ratio(results: Results, dataset: str, base: str) -> float | None:
    """duckwarp's time at a shape as a multiple of that of one of the `BASES`."""
    contestants, memory = BASES[base]
    return ratio(
        walls(results, "shapes", dataset, DUCKWARP, memory=MEMORY),
        walls(results, "shapes", dataset, *contestants, memory=memory),
    )


def _together(group: Sequence[Measurement]) -> Figures:
    costs = [each.costs for each in group if each.costs]
    failure = next((each.failure for each in group if each.failure), None)
    return Figures(
        contestant=group[0].contestant,
        memory=group[0].memory,
        costs=None if failure else _typical(costs),
        failure=failure,
    )


def _typical(costs: Sequence[Costs]) -> Costs:
    def middle(of: Callable[[Costs], float]) -> float:
        return statistics.median(map(of, costs))

    return Costs(
        wall_seconds=middle(lambda each: each.wall_seconds),
        cpu_seconds=middle(lambda each: each.cpu_seconds),
        peak_bytes=max(each.peak_bytes for each in costs),
        output_bytes=round(middle(lambda each: each.output_bytes)),
        statement_seconds=middle(lambda each: each.statement_seconds),
        snapshot_seconds=middle(lambda each: each.snapshot_seconds),
        temp_bytes=round(middle(lambda each: each.temp_bytes)),
        connections=max(each.connections for each in costs),
    )
