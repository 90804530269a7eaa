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
)
from benchmarks.figures import figures, floor, wall
from benchmarks.results import Results
from benchmarks.scenarios import BOUNDS, HEAVY, MEMORY, ORDINARY
from duckwarp.model.sizes import parse_size

FLOOR_RATIO = 1.2
ADBC_RATIO = 0.7
PANDAS_RATIO = 0.2
DUCKDB_RATIO = 1.1
ROWS_RATIO = 1.2
SMALL_RATIO = 2.5
HELP_RATIO = 3.0


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
    return [*_speed(results), *_memory(results), *_scale(results)]


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
            ("the floor", floor(results, dataset), FLOOR_RATIO),
            (ADBC, base(ADBC), ADBC_RATIO),
            (PANDAS, base(PANDAS), PANDAS_RATIO),
            (f"{DUCKDB_ORDERED}, at {MEMORY}", base(DUCKDB_ORDERED, MEMORY), DUCKDB_RATIO),
            (f"{DUCKDB_ORDERED}, at its default memory", base(DUCKDB_ORDERED), DUCKDB_RATIO),
        )
        for title, seconds, limit in bases:
            what = f"{name}: time of duckwarp at {MEMORY} to {title}"
            yield Verdict(what=what, ratio=_ratio(ours, seconds), limit=limit)


def _memory(results: Results) -> Iterator[Verdict]:
    for dataset in ("t", *ORDINARY, *HEAVY):
        for memory in BOUNDS:
            found = figures(results, "memory", dataset, DUCKWARP, memory)
            peak_bytes = found.costs.peak_bytes if found and found.costs else None
            title = results.titles.get(dataset, dataset)
            what = f"{title}: peak resident memory to `--memory {memory}`"
            yield Verdict(what=what, ratio=_ratio(peak_bytes, parse_size(memory)), limit=1.0)


def _scale(results: Results) -> Iterator[Verdict]:
    def per_row(dataset: str) -> float | None:
        return _ratio(wall(results, "rows", dataset, DUCKWARP, MEMORY), results.rows.get(dataset))

    yield Verdict(
        what="T: time per row at four times the rows",
        ratio=_ratio(per_row("t20"), per_row("t")),
        limit=ROWS_RATIO,
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
