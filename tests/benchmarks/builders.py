"""Results of benchmarks with defaults, so that a test states only what it is about."""

from __future__ import annotations

from typing import Any

from benchmarks.results import Costs, Environment, Measurement, Results, Scenario

ENVIRONMENT = Environment(
    date="2026-01-02",
    command="python -m benchmarks",
    cores=2,
    memory_bytes=25_000_000_000,
    processor="a processor",
    versions={"PostgreSQL": "18.1"},
    server={"work_mem": "4MB"},
)


def costs(wall_seconds: float = 1.0, **values: Any) -> Costs:
    """One process's costs."""
    defaults: dict[str, Any] = {"cpu_seconds": 1.0, "peak_bytes": 100_000_000}
    return Costs(wall_seconds=wall_seconds, **(defaults | values))


def measured(contestant: str, *rounds: Costs | str, **values: Any) -> tuple[Measurement, ...]:
    """The rounds of a contestant: costs, or the reason of a failure."""
    return tuple(
        Measurement(
            contestant=contestant,
            round=number,
            costs=None if isinstance(each, str) else each,
            failure=each if isinstance(each, str) else None,
            **({"dataset": "t", "memory": None} | values),
        )
        for number, each in enumerate(rounds, start=1)
    )


def results(**scenarios: tuple[Measurement, ...]) -> Results:
    """Results of the scenarios by name; T and its multiple have 5 and 20 million rows."""
    return Results(
        scenarios={
            name: Scenario(name=name, environment=ENVIRONMENT, measurements=measurements)
            for name, measurements in scenarios.items()
        },
        titles={"t": "T", "lineitem": "lineitem", "small": "Small tables", "wide": "Wide"},
        rows={"t1": 1_000_000, "t": 5_000_000, "t10": 10_000_000, "t20": 20_000_000},
    )
