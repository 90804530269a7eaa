"""What is measured with whom, how often, and with how much memory."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.contestants import registry
from benchmarks.contestants.registry import ADBC, DUCKDB_ORDERED, DUCKWARP, SEND, SORT
from benchmarks.shapes import SHAPES

MEMORY = "1GB"
MEMORIES = ("256MB", "512MB", "1GB", "2GB")
# What the bound is promised for, beside T at all of the above.
BOUNDS = ("512MB", "1GB")
ORDINARY = ("t20", "lineitem")
HEAVY = ("wide", "w1600", "huge")
ROWS = ("t1", "t", "t10", "t20")
ALL_SHAPES = (*SHAPES, "t", "lineitem")
# Interesting where there are many tables only.
LANES = "lanes"
PEERS = (
    registry.PANDAS,
    ADBC,
    registry.CONNECTORX,
    registry.POLARS,
    registry.RIVET,
)
# Starting a process takes so little that more rounds are needed, and cost nothing.
STARTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A contestant at a dataset, for so many rounds; `expected` if it may fail there."""

    contestant: str
    dataset: str | None
    rounds: int
    memory: str | None = None
    expected: bool = False


def scenarios(rounds: int) -> dict[str, tuple[Entry, ...]]:
    """The entries of each scenario, by its name, in the order in which they take their turns."""
    return {
        "t": _everybody("t", rounds),
        "lineitem": _everybody("lineitem", rounds),
        "order": tuple(
            Entry(contestant=name, dataset="t", memory=MEMORY, rounds=rounds)
            for name in (DUCKWARP, registry.DUCKWARP_FIRST, registry.DUCKWARP_NONE)
        ),
        "rows": _rows(rounds),
        "memory": _memory(rounds),
        "small": _small(rounds),
        "shapes": _shapes(rounds),
        "devices": _devices(rounds),
        "verify": tuple(
            Entry(contestant=name, dataset="t", memory=MEMORY, rounds=rounds)
            for name in (DUCKWARP, registry.VERIFY)
        ),
        "startup": tuple(
            Entry(contestant=name, dataset=None, rounds=STARTS * rounds)
            for name in (registry.HELP, registry.IMPORT_TYPER)
        ),
    }


def _everybody(dataset: str, rounds: int) -> tuple[Entry, ...]:
    turns: tuple[tuple[str, str | None], ...] = (
        (SEND, None),
        (SORT, None),
        (DUCKWARP, MEMORY),
        (DUCKDB_ORDERED, MEMORY),
        (DUCKDB_ORDERED, None),
        (registry.DUCKDB, None),
        *((peer, None) for peer in PEERS),
    )
    return tuple(
        Entry(contestant=name, dataset=dataset, memory=memory, rounds=rounds)
        for name, memory in turns
    )


def _rows(rounds: int) -> tuple[Entry, ...]:
    return (
        *(
            Entry(contestant=name, dataset=dataset, memory=MEMORY, rounds=rounds)
            for dataset in ROWS
            for name in (DUCKWARP, DUCKDB_ORDERED)
        ),
        *(Entry(contestant=peer, dataset=ROWS[0], rounds=1) for peer in PEERS),
    )


def _memory(rounds: int) -> tuple[Entry, ...]:
    few = min(rounds, 2)
    bounds = [("t", memory, rounds) for memory in MEMORIES]
    bounds += [(dataset, memory, few) for dataset in (*ORDINARY, *HEAVY) for memory in BOUNDS]
    plain = [("t", memory) for memory in MEMORIES]
    plain += [(dataset, memory) for dataset in HEAVY for memory in BOUNDS]
    return (
        *(
            Entry(contestant=DUCKWARP, dataset=dataset, memory=memory, rounds=times)
            for dataset, memory, times in bounds
        ),
        *(
            Entry(
                contestant=DUCKDB_ORDERED, dataset=dataset, memory=memory, rounds=1, expected=True
            )
            for dataset, memory in plain
        ),
    )


def _small(rounds: int) -> tuple[Entry, ...]:
    return tuple(
        Entry(contestant=name, dataset="small", rounds=rounds)
        for name in (DUCKWARP, registry.DUCKDB, registry.DUCKDB_ORDERED, registry.PANDAS)
    )


def _shapes(rounds: int) -> tuple[Entry, ...]:
    turns: tuple[tuple[str, str | None], ...] = (
        (SEND, None),
        (SORT, None),
        (DUCKWARP, MEMORY),
        (DUCKDB_ORDERED, MEMORY),
        (ADBC, None),
    )
    return tuple(
        Entry(contestant=name, dataset=dataset, memory=memory, rounds=rounds)
        for dataset in ALL_SHAPES
        for name, memory in turns
    )


def _devices(rounds: int) -> tuple[Entry, ...]:
    """duckwarp beside itself without each device."""
    others = [name for device, name in registry.WITHOUT.items() if device != LANES]
    turns = [(dataset, name) for dataset in ALL_SHAPES for name in (DUCKWARP, *others)]
    turns += [("small", name) for name in (DUCKWARP, registry.WITHOUT[LANES])]
    return tuple(
        Entry(contestant=name, dataset=dataset, memory=MEMORY, rounds=rounds)
        for dataset, name in turns
    )
