"""The figures as pictures: time against rows, and peak memory against what was allowed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contestants.registry import DUCKDB_ORDERED, DUCKWARP
from benchmarks.figures import figures
from benchmarks.results import Results
from benchmarks.scenarios import MEMORIES, MEMORY, PEERS, ROWS
from benchmarks.tables import figures_at_rows
from duckwarp.model.sizes import parse_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS_PLOT = "performance-rows.png"
MEMORY_PLOT = "performance-memory.png"
INCHES = (7.2, 4.4)


def plot(results: Results, folder: Path) -> None:
    """Write both pictures into `folder`, each if its scenario was measured."""
    import matplotlib as mpl

    mpl.use("Agg")
    if "rows" in results.scenarios:
        _plot_rows(results, folder / ROWS_PLOT)
    if "memory" in results.scenarios:
        _plot_memory(results, folder / MEMORY_PLOT)


def _plot_rows(results: Results, path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=INCHES, layout="constrained")
    entries = [(DUCKWARP, MEMORY), (DUCKDB_ORDERED, MEMORY), *((peer, None) for peer in PEERS)]
    for name, memory in entries:
        found = {each: figures_at_rows(results, each, name, memory) for each in ROWS}
        points = [
            (results.rows[dataset] / 1e6, each.costs.wall_seconds)
            for dataset, each in found.items()
            if each and each.costs
        ]
        if points:
            label = f"{name}, {memory}" if memory else name
            width = 2.5 if name == DUCKWARP else 1.2
            axes.plot(*zip(*points, strict=True), marker="o", label=label, linewidth=width)
    axes.set(xlabel="million rows", ylabel="seconds", title="Wall time against rows of T")
    axes.set(xlim=(0, None), ylim=(0, None))
    _finish(figure, axes, path)


def _plot_memory(results: Results, path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=INCHES, layout="constrained")
    allowed = [parse_size(memory) / 1e6 for memory in MEMORIES]
    axes.plot(allowed, allowed, linestyle="--", color="grey", label="what was allowed")
    for name in (DUCKWARP, DUCKDB_ORDERED):
        found = [figures(results, "memory", "t", name, memory) for memory in MEMORIES]
        points = [
            (megabytes, each.costs.peak_bytes / 1e6)
            for megabytes, each in zip(allowed, found, strict=True)
            if each and each.costs
        ]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.set(xlabel="memory allowed, MB", ylabel="peak resident memory of the process, MB")
    axes.set(title="Peak memory at T", xlim=(0, None), ylim=(0, None))
    _finish(figure, axes, path)


def _finish(figure: Figure, axes: Axes, path: Path) -> None:
    from matplotlib import pyplot

    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of matplotlib, so that the same figures give the same file.
    figure.savefig(path, dpi=120, metadata={"Software": None})
    pyplot.close(figure)
