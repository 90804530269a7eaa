"""What the rounds of a contestant come to: the median of times, the largest peak of memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.contestants.registry import SEND, SORT
from benchmarks.results import Costs, Measurement, Results


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


def floor(results: Results, dataset: str) -> float | None:
    """Seconds for sending the rows to nowhere, then sorting and writing them, in its race."""
    sent = wall(results, dataset, dataset, SEND)
    written = wall(results, dataset, dataset, SORT)
    return None if sent is None or written is None else sent + written


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
