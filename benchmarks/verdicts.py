"""The targets that the figures are held against, and whether they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.contestants.registry import (
    ADBC,
    DUCKDB,
    DUCKDB_ORDERED,
    DUCKWARP,
    HELP,
    IMPORT_TYPER,
    PANDAS,
    VERIFY,
)
from benchmarks.figures import datasets_of, figures, floor, mean, ratio, shape_ratio, wall, walls
from benchmarks.results import Results
from benchmarks.scenarios import BOUNDS, HEAVY, MEMORY, ORDINARY
from duckwarp.model.sizes import parse_size

FLOOR_RATIO = 1.2
ADBC_RATIO = 0.7
PANDAS_RATIO = 0.2
DUCKDB_RATIO = 1.1
ROWS_RATIO = 1.2
SMALL_RATIO = 1.8
HELP_RATIO = 3.0
VERIFY_RATIO = 1.2
SHAPES_DUCKDB_RATIO = 1.05
SHAPES_ADBC_RATIO = 0.65
WORST_SHAPE_RATIO = 1.2
TIGHT = "512MB"
TIGHT_ROWS_RATIO = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One target: `what` is at most `limit`; `ratio` was measured, or is None."""

    what: str
    ratio: float | None
    limit: float

    @property
    def holds(self) -> bool | None:
        """Whether the target is met; None where it was not measured."""
        return None if self.ratio is None else self.ratio <= self.limit


def verdicts(results: Results) -> list[Verdict]:
    """Every target with its ratio."""
    return [*_speed(results), *_shapes(results), *_memory(results), *_scale(results)]


def _ratio(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value / base


def _speed(results: Results) -> Iterator[Verdict]:
    for dataset, name in (("t", "T"), ("lineitem", "lineitem")):
        ours = wall(results, dataset, dataset, DUCKWARP, MEMORY)

        def base(
            contestant: str, memory: str | None = None, dataset: str = dataset
        ) -> float | None:
            return wall(results, dataset, dataset, contestant, memory)

        bases: tuple[tuple[str, float | None, float], ...] = (
            ("the floor", floor(results, dataset, dataset), FLOOR_RATIO),
            (ADBC, base(ADBC), ADBC_RATIO),
            (PANDAS, base(PANDAS), PANDAS_RATIO),
            (f"{DUCKDB_ORDERED}, at {MEMORY}", base(DUCKDB_ORDERED, MEMORY), DUCKDB_RATIO),
            (f"{DUCKDB_ORDERED}, at its default memory", base(DUCKDB_ORDERED), DUCKDB_RATIO),
        )
        for title, seconds, limit in bases:
            what = f"{name}: time of duckwarp at {MEMORY} to {title}"
            yield Verdict(what=what, ratio=_ratio(ours, seconds), limit=limit)


def _shapes(results: Results) -> Iterator[Verdict]:
    """Nothing is judged where duckwarp has failed; a shape where another has is left out of it."""
    names = datasets_of(results, "shapes")
    ours = [figures(results, "shapes", each, DUCKWARP, MEMORY) for each in names]
    peaks = [each.costs.peak_bytes for each in ours if each and each.costs]
    if len(peaks) < len(names):
        names, peaks = [], []
    plain = [shape_ratio(results, each, "plain") for each in names]
    adbc = [shape_ratio(results, each, "ADBC") for each in names]
    title = f"shapes: time of duckwarp at {MEMORY} to"
    worst = max((each for each in plain if each is not None), default=None)
    for what, value, limit in (
        (f"{title} {DUCKDB_ORDERED}, at {MEMORY}, on average", mean(plain), SHAPES_DUCKDB_RATIO),
        (f"{title} {DUCKDB_ORDERED}, at {MEMORY}, at worst", worst, WORST_SHAPE_RATIO),
        (f"{title} {ADBC}, on average", mean(adbc), SHAPES_ADBC_RATIO),
    ):
        yield Verdict(what=what, ratio=value, limit=limit)
    peak = _ratio(max(peaks, default=None), parse_size(MEMORY))
    what = f"shapes: largest peak resident memory to `--memory {MEMORY}`"
    yield Verdict(what=what, ratio=peak, limit=1.0)


def _memory(results: Results) -> Iterator[Verdict]:
    for dataset in ("t", *ORDINARY, *HEAVY):
        for memory in BOUNDS:
            found = figures(results, "memory", dataset, DUCKWARP, memory)
            peak_bytes = found.costs.peak_bytes if found and found.costs else None
            title = results.titles.get(dataset, dataset)
            what = f"{title}: peak resident memory to `--memory {memory}`"
            yield Verdict(what=what, ratio=_ratio(peak_bytes, parse_size(memory)), limit=1.0)


def _scale(results: Results) -> Iterator[Verdict]:
    for scenario, memory, limit in (
        ("rows", MEMORY, ROWS_RATIO),
        ("memory", TIGHT, TIGHT_ROWS_RATIO),
    ):
        few, many = (
            _ratio(wall(results, scenario, dataset, DUCKWARP, memory), results.rows.get(dataset))
            for dataset in ("t", "t20")
        )
        what = f"T: time per row at four times the rows, at {memory}"
        yield Verdict(what=what, ratio=_ratio(many, few), limit=limit)
    yield Verdict(
        what="T: time of `duckwarp verify` to that of the export",
        ratio=ratio(
            walls(results, "verify", "t", VERIFY, memory=MEMORY),
            walls(results, "verify", "t", DUCKWARP, memory=MEMORY),
        ),
        limit=VERIFY_RATIO,
    )
    yield Verdict(
        what="many small tables, dictionaries and all, to a bare loop of DuckDB's COPY",
        ratio=_ratio(
            wall(results, "small", "small", DUCKWARP), wall(results, "small", "small", DUCKDB)
        ),
        limit=SMALL_RATIO,
    )
    yield Verdict(
        what="`duckwarp --help` to `python -c 'import typer'`",
        ratio=_ratio(
            wall(results, "startup", None, HELP), wall(results, "startup", None, IMPORT_TYPER)
        ),
        limit=HELP_RATIO,
    )
