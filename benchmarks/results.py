"""What was measured, as plain nouns, and how it is kept as JSON.

A file holds scenarios; each says when, on what machine, with which versions and by which command it
was measured, so that a part can be measured again without hiding that it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

STORED = Path(__file__).with_name("results") / "latest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one process took, and what the server had to bear meanwhile.

    `statement_seconds` is the longest statement, `snapshot_seconds` the age of the oldest snapshot,
    both as sampled; `temp_bytes` went into the server's temporary files, `connections` is the
    largest number of its sessions at a time.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    output_bytes: int = 0
    statement_seconds: float = 0.0
    snapshot_seconds: float = 0.0
    temp_bytes: int = 0
    connections: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One contestant's try at one dataset: its costs, or why there are none.

    `memory` is what it was told to keep to (`1GB`), None where it was told nothing. `expected` says
    that a failure is no news.
    """

    dataset: str | None
    contestant: str
    memory: str | None
    round: int
    costs: Costs | None
    failure: str | None = None
    expected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where and how a scenario was measured: versions by package, `server` by its settings."""

    date: str
    command: str
    cores: int
    memory_bytes: int
    processor: str
    versions: Mapping[str, str]
    server: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The measurements of one scenario, in the order in which they were made."""

    name: str
    environment: Environment
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All scenarios by name, and the titles and numbers of rows of the datasets."""

    scenarios: Mapping[str, Scenario] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)

    def of(
        self, scenario: str, dataset: str | None, contestant: str, memory: str | None = None
    ) -> tuple[Measurement, ...]:
        """The measurements of a contestant at a dataset in a scenario."""
        if scenario not in self.scenarios:
            return ()
        wanted = (dataset, contestant, memory)
        return tuple(
            each
            for each in self.scenarios[scenario].measurements
            if (each.dataset, each.contestant, each.memory) == wanted
        )


def merged(old: Results, new: Results) -> Results:
    """`old` with the scenarios that were measured again replaced."""
    return Results(
        scenarios={**old.scenarios, **new.scenarios},
        titles={**old.titles, **new.titles},
        rows={**old.rows, **new.rows},
    )


def save(results: Results, path: Path) -> None:
    """Write the results as JSON, and the folder where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(results), indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Results:
    """The stored results; none where there is no file."""
    if not path.exists():
        return Results()
    document = json.loads(path.read_text(encoding="utf-8"))
    return Results(
        scenarios={name: _scenario(value) for name, value in document["scenarios"].items()},
        titles=document["titles"],
        rows=document["rows"],
    )


def _scenario(value: dict[str, Any]) -> Scenario:
    return Scenario(
        name=value["name"],
        environment=Environment(**value["environment"]),
        measurements=tuple(_measurement(each) for each in value["measurements"]),
    )


def _measurement(value: dict[str, Any]) -> Measurement:
    costs = value.pop("costs")
    return Measurement(**value, costs=None if costs is None else Costs(**costs))
