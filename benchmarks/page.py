"""Writes docs/performance.md from stored results: text, tables, and whether the targets hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks import tables
from benchmarks.plots import MEMORY_PLOT, ROWS_PLOT
from benchmarks.results import Environment, Results
from benchmarks.verdicts import verdicts
from duckwarp.model.sizes import size_text

NAME = "performance.md"

INTRODUCTION = """# Performance

Generated from `benchmarks/results/latest.json` by `python -m benchmarks --page`; do not edit.

Read the figures as ratios: they are those of one machine, with the server on the same one.
`make bench` measures everything again, on a server of its own or on the one that
`DUCKWARP_BENCH_DSN` names; `python -m benchmarks --only t --rounds 5` a part of it.
"""

METHOD = """## How it is measured

Each contestant exports the same table from the same server in a process of its own. They take
turns: all of them once, then all of them again, so that a busy minute does not meet one alone.
Times are medians of the rounds, peaks of memory the largest of them. Whoever writes another number
of rows than the table has, has failed.

- **wall** and **CPU** (user and system) are those of the process, its start included, and **peak**
  is its largest resident memory, as the kernel counts it (nobody can be below the 40 MB of the
  process that measures). **file** is what it wrote.
- **statement** is the longest statement that the server had to carry out, **snapshot** the age that
  the oldest snapshot reached (as long as it lasts, VACUUM removes nothing that it can see), both
  sampled five times a second. **temp files** are what the server wrote to its own disk to sort,
  **sessions** the most that were open at a time.
- **floor: COPY to nowhere** sends the whole table in PostgreSQL's binary format over two
  connections, half of it each, in one snapshot, into psql, which throws it away.
  **floor: sort and write** is DuckDB, with its defaults, reading the same rows from a local Parquet
  file, sorting them by all columns and writing them. Both leave out the start of a process.
  **/ COPY** is the time as a multiple of the first, **/ floor** of their sum, which is what
  reading, sorting and writing take where nothing overlaps.
- **duckwarp** writes the rows in a total order and a data dictionary, checks what it has written,
  and reads one snapshot. **plain DuckDB** attaches the database and copies, with or without
  `ORDER BY ALL`, and makes no promise about types. **pandas** is `read_sql` and `to_parquet`;
  **ADBC**, **connectorx** and **polars** are used as their documentation shows; **rivet** is in its
  fast profile, since its default one pauses. These have PostgreSQL order by the first column, which
  leaves ties open.
- **memory** is what `--memory` said to duckwarp and `memory_limit` to DuckDB.
"""

TARGETS = """## Targets

Ratios of medians; for shapes and verify, medians of the rounds' ratios; on average, their geometric
mean; for memory, of the largest peak. Plain DuckDB is there twice: told 1 GB, as duckwarp is, and
at its default, four fifths of the machine's memory. What it keeps in memory then has to be spilled
within 1 GB, by either of them.
"""

RACE = """`duckwarp export --table bench.{name} --memory 1GB`, and the others.
"""

SHAPES = """## Shapes

Tables that nobody tuned for, beside T and lineitem: `duckwarp export --memory 1GB`, plain DuckDB
with `ORDER BY ALL` told the same, ADBC + pyarrow, and the floor, which is both floors together.
Times are medians; ratios are medians of the rounds' ratios, and their means leave out a shape that
the other cannot do.

The others do less: ADBC writes every numeric as text and leaves ties open, and plain DuckDB takes
numerics without a precision for doubles.
"""

DEVICES = """## What the devices for speed gain

How much longer duckwarp takes where one of them answers as if it were not there, and its peak then;
the median of the rounds' ratios. Devices of single tables are measured at the shapes, lanes at many
small tables. **the look** is that at sampled pages, and with it sort codes, narrowing and numbers
that are never 0; **the watcher** is there for the memory, not for the time.
"""

ROWS = f"""## Time against rows

![Wall time against rows of T]({ROWS_PLOT})

The peers' time at the size of T is that of the race above, their time at the smallest size is one
round.
"""

MEMORY = f"""## Memory

![Peak memory at T against what was allowed]({MEMORY_PLOT})

The largest peak of each; (!) is more than was allowed. Plain DuckDB is told the same as its
`memory_limit`, and orders by all columns.
"""

SMALL = """## Many small tables

One run for all tables: `duckwarp export --schema bench_small`, dictionaries and all; the others are
a loop over the tables in one process with one connection.
"""

VERIFY = """## Verify

T is exported, and `duckwarp verify` compares what was published with its table.
"""

ORDER = """## What the order costs

T in the total order, by the first column alone with ties left open, and as rows come. Only the
first gives the same bytes every time.
"""
STARTUP = """## Start

How long it takes until the help is there, beside the import of the library that draws it.
"""


def page(results: Results) -> str:
    """The whole page."""
    sections = [INTRODUCTION, TARGETS + "\n" + tables.judged(verdicts(results)) + "\n"]
    sections += [text for name in SECTIONS if (text := section(results, name))]
    sections += [METHOD, "## Where it was measured\n\n" + "\n".join(_places(results)) + "\n"]
    return "\n".join(sections)


def section(results: Results, name: str) -> str:
    """The section of one scenario; empty where it was not measured."""
    if name not in results.scenarios:
        return ""
    text, table = SECTIONS[name]
    heading = text or f"## {results.titles[name]}\n\n" + RACE.format(name=name)
    return f"{heading}\n{table(results, name)}\n"


SECTIONS: dict[str, tuple[str, Callable[[Results, str], str]]] = {
    "t": ("", tables.race),
    "lineitem": ("", tables.race),
    "shapes": (SHAPES, tables.by_shapes),
    "devices": (DEVICES, tables.by_devices),
    "order": (ORDER, tables.race),
    "rows": (ROWS, tables.by_rows),
    "memory": (MEMORY, tables.by_memory),
    "small": (SMALL, tables.race),
    "verify": (VERIFY, tables.race),
    "startup": (STARTUP, tables.starts),
}


def _places(results: Results) -> Iterator[str]:
    """Each environment and its scenarios; the command alone does not make it another one."""
    places: dict[str, list[str]] = {}
    for name, scenario in results.scenarios.items():
        places.setdefault(_place(scenario.environment), []).append(name)
    for place, names in places.items():
        commands = {results.scenarios[name].environment.command for name in names}
        said = ", ".join(f"`{command}`" for command in sorted(commands))
        yield f"- {', '.join(names)}: {said}, {place}"


def _place(environment: Environment) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in environment.versions.items())
    server = ", ".join(f"{name} {value}" for name, value in environment.server.items())
    return (
        f"{environment.date}, {environment.cores} cores ({environment.processor}), "
        f"{size_text(environment.memory_bytes)} of memory; {versions}; "
        f"the server's {server}."
    )
