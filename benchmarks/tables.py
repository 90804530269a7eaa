"""The figures as tables in Markdown, aligned so that a terminal shows them as well as a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.contestants.registry import ADBC, DUCKDB_ORDERED, DUCKWARP, SEND
from benchmarks.figures import (
    BASES,
    Figures,
    datasets_of,
    figures,
    floor,
    grouped,
    mean,
    ratio,
    shape_ratio,
    wall,
    walls,
)
from benchmarks.results import Costs, Results
from benchmarks.scenarios import BOUNDS, HEAVY, MEMORIES, MEMORY, ORDINARY, PEERS, ROWS
from benchmarks.verdicts import Verdict
from duckwarp.model.sizes import parse_size, size_text

NOTHING = "-"
FAILED = "failed"

Column = Callable[[Costs], str]


def race(results: Results, name: str) -> str:
    """Everybody at one dataset, the floors among them, and what the server had to bear."""
    sent, least = wall(results, name, name, SEND), floor(results, name, name)
    columns: dict[str, Column] = {"wall": lambda each: _seconds(each.wall_seconds)}
    if sent is not None:
        columns["/ COPY"] = lambda each: f"{each.wall_seconds / sent:.2f}"
    if least is not None:
        columns["/ floor"] = lambda each: f"{each.wall_seconds / least:.2f}"
    columns |= {
        "CPU": lambda each: _seconds(each.cpu_seconds),
        "peak": lambda each: size_text(each.peak_bytes),
        "file": lambda each: _size(each.output_bytes),
        "statement": lambda each: _sampled(each, _seconds(each.statement_seconds)),
        "snapshot": lambda each: _sampled(each, _seconds(each.snapshot_seconds)),
        "temp files": lambda each: _size(each.temp_bytes),
        "sessions": lambda each: _sampled(each, str(each.connections)),
    }
    rows = [
        [each.contestant, each.memory or NOTHING, *_cells(each, columns)]
        for each in grouped(results.scenarios[name].measurements)
    ]
    return _with_failures(markdown(["", "memory", *columns], rows, texts=2), results, name)


def starts(results: Results, name: str) -> str:
    """Runs that read no table: time and CPU only."""
    columns: dict[str, Column] = {
        "wall": lambda each: f"{each.wall_seconds:.2f} s",
        "CPU": lambda each: f"{each.cpu_seconds:.2f} s",
    }
    rows = [
        [each.contestant, *_cells(each, columns)]
        for each in grouped(results.scenarios[name].measurements)
    ]
    return _with_failures(markdown(["", *columns], rows), results, name)


def by_rows(results: Results, name: str) -> str:
    """Wall time against the number of rows; the peers at the size of T are those of its race."""
    columns: dict[str, Column] = {"wall": lambda each: _seconds(each.wall_seconds)}
    headers = ["", "memory", *(f"{results.rows.get(each, 0):,} rows" for each in ROWS)]
    entries = [(DUCKWARP, MEMORY), (DUCKDB_ORDERED, MEMORY), *((peer, None) for peer in PEERS)]
    rows = []
    for contestant, memory in entries:
        found = [figures_at_rows(results, each, contestant, memory) for each in ROWS]
        cells = [cell for each in found for cell in _cells(each, columns)]
        rows.append([contestant, memory or NOTHING, *cells])
    return _with_failures(markdown(headers, rows, texts=2), results, name)


def figures_at_rows(
    results: Results, dataset: str, contestant: str, memory: str | None
) -> Figures | None:
    """The figures at one of `ROWS`; T's own race stands in for who is not in that of rows."""
    found = figures(results, "rows", dataset, contestant, memory)
    return found or figures(results, dataset, dataset, contestant, memory)


def by_memory(results: Results, name: str) -> str:
    """Peaks of duckwarp and of plain DuckDB, told to keep to the same memory."""
    wanted = [("t", memory) for memory in MEMORIES]
    wanted += [(dataset, memory) for dataset in (*ORDINARY, *HEAVY) for memory in BOUNDS]
    rows = []
    for dataset, memory in wanted:
        columns: dict[str, Column] = {
            "peak": _bounded(memory),
            "wall": lambda each: _seconds(each.wall_seconds),
        }
        found = [
            figures(results, name, dataset, each, memory) for each in (DUCKWARP, DUCKDB_ORDERED)
        ]
        cells = [cell for each in found for cell in _cells(each, columns)]
        rows.append([results.titles.get(dataset, dataset), memory, *cells])
    headers = ["", "memory", "duckwarp: peak", "wall", "plain DuckDB: peak", "wall"]
    return _with_failures(markdown(headers, rows, texts=2), results, name)


def by_shapes(results: Results, name: str) -> str:
    """duckwarp at each shape beside others, and the geometric means of the ratios."""
    ratios: dict[str, list[float | None]] = {base: [] for base in BASES}
    rows = []
    for dataset in datasets_of(results, name):
        for base, found in ratios.items():
            found.append(shape_ratio(results, dataset, base))
        ours = figures(results, name, dataset, DUCKWARP, MEMORY)
        others = (
            wall(results, name, dataset, DUCKDB_ORDERED, MEMORY),
            wall(results, name, dataset, ADBC),
            floor(results, name, dataset),
        )
        rows.append(
            [
                results.titles[dataset],
                *_cells(ours, {"wall": lambda each: _seconds(each.wall_seconds)}),
                *map(_seconds_if_any, others),
                *(_multiple(found[-1]) for found in ratios.values()),
                *_cells(ours, {"peak": _bounded(MEMORY)}),
            ]
        )
    means = [_multiple(mean(found)) for found in ratios.values()]
    rows.append(["geometric mean", *[""] * 4, *means, ""])
    headers = ["", "duckwarp", "plain DuckDB", "ADBC", "floor", *(f"/ {base}" for base in BASES)]
    return _with_failures(markdown([*headers, "peak"], rows), results, name)


def by_devices(results: Results, name: str) -> str:
    """How much longer duckwarp takes without each device, and its peak then."""
    contestants = [each.contestant for each in results.scenarios[name].measurements]
    others = [each for each in dict.fromkeys(contestants) if each != DUCKWARP]
    ratios: dict[str, list[float | None]] = {other: [] for other in others}
    columns: dict[str, Column] = {
        "wall": lambda each: _seconds(each.wall_seconds),
        "peak": _bounded(MEMORY),
    }
    rows = []
    for dataset in datasets_of(results, name):
        row = [results.titles[dataset]]
        row += _cells(figures(results, name, dataset, DUCKWARP, MEMORY), columns)
        ours = walls(results, name, dataset, DUCKWARP, memory=MEMORY)
        for other, found in ratios.items():
            found.append(ratio(walls(results, name, dataset, other, memory=MEMORY), ours))
            without = figures(results, name, dataset, other, MEMORY)
            row += [_gain(found[-1]), *_cells(without, {"peak": _bounded(MEMORY)})]
        rows.append(row)
    means = [cell for found in ratios.values() for cell in (_gain(mean(found)), "")]
    rows.append(["geometric mean", "", "", *means])
    headers = ["", *columns]
    for other in others:
        headers += [other.removeprefix(f"{DUCKWARP} "), "peak"]
    return _with_failures(markdown(headers, rows), results, name)


def judged(found: Sequence[Verdict]) -> str:
    """The targets, and whether they hold."""
    words = {True: "yes", False: "**no**", None: "not measured"}
    rows = [
        (
            each.what,
            _multiple(each.ratio),
            f"{each.limit:g}",
            words[each.holds],
        )
        for each in found
    ]
    return markdown(("target", "ratio", "at most", "holds"), rows)


def markdown(headers: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> str:
    """A table; its first `texts` columns are text, and the others are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if number < texts else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * width if number < texts else "-" * (width - 1) + ":"
        for number, width in enumerate(widths)
    ]
    return "\n".join(map(line, (headers, rule, *rows)))


def _cells(found: Figures | None, columns: Mapping[str, Column]) -> list[str]:
    if found is None:
        return [NOTHING] * len(columns)
    if found.costs is None:
        return [FAILED, *[NOTHING] * (len(columns) - 1)]
    return [shown(found.costs) for shown in columns.values()]


def _with_failures(table: str, results: Results, name: str) -> str:
    """The table, and below it who has no figures, and why."""
    lines = []
    for each in results.scenarios[name].measurements:
        if each.failure:
            memory = f" at {each.memory}" if each.memory else ""
            title = f", {results.titles[each.dataset]}" if each.dataset else ""
            lines.append(f"- {each.contestant}{memory}{title}: {each.failure}")
    return "\n".join([table, "", "Without figures:", "", *lines] if lines else [table])


def _sampled(costs: Costs, shown: str) -> str:
    """Nothing where the sessions were over before the first sample."""
    return shown if costs.connections else NOTHING


def _bounded(memory: str) -> Column:
    """Shows a peak, and that it is more than `memory`."""
    allowed_bytes = parse_size(memory)
    return lambda each: (
        size_text(each.peak_bytes) + (" (!)" if each.peak_bytes > allowed_bytes else "")
    )


def _seconds_if_any(value: float | None) -> str:
    return NOTHING if value is None else _seconds(value)


def _multiple(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _gain(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * (value - 1):+.1f} %"


def _seconds(value: float) -> str:
    return f"{value:.1f} s"


def _size(value: int) -> str:
    return size_text(value) if value else NOTHING
