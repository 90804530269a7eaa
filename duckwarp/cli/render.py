"""What the commands show to people: sources, a plan, a dictionary, and what to try next.

Makes tables and text out of the nouns and writes them to a terminal or a file. The summary of a
run is `report.py`'s, how tables look `listing.py`'s, what programs read `documents.py`'s.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from duckwarp.cli import wording
from duckwarp.cli.listing import (
    UNLIMITED_CELLS,
    Listing,
    figures,
    indent,
    make_fact,
    make_text,
    words,
)
from duckwarp.cli.report import STATE_STYLES
from duckwarp.model.results import SourceState
from duckwarp.model.sizes import size_text

if TYPE_CHECKING:
    from duckwarp.demo import DemoDatabase
    from duckwarp.engine.column_form import ColumnForm
    from duckwarp.export.preview import PlannedSource, SourceDescription
    from duckwarp.model.column import Column
    from duckwarp.model.source import Source


def show(page: Iterable[RenderableType], stream: TextIO) -> None:
    """Write a page: in the width and colours of a terminal, else as plain lines of any length."""
    is_terminal = stream.isatty()
    console = Console(
        file=stream,
        force_terminal=is_terminal,
        width=None if is_terminal else UNLIMITED_CELLS,
        markup=False,
        emoji=False,
        highlight=False,
    )
    with console.capture() as captured:
        for part in page:
            # A command to copy may be longer than a line.
            console.print(part, crop=False)
    # Not by rich, which ends the process where nobody reads.
    for line in captured.get().splitlines():
        print(line.rstrip(), file=stream)


def sources_page(sources: Sequence[Source]) -> Iterator[RenderableType]:
    """The sources that may be exported, and what stands behind each."""
    listing = Listing(
        words("source"),
        words("exists"),
        figures("~rows"),
        figures("size"),
        words("last load"),
        words("name"),
        words("relation"),
        asides=2,
    )
    for source in sources:
        listing.add_row(*_source_cells(source), style="dim" if source.relation is None else "")
    yield listing


def _source_cells(source: Source) -> tuple[str, ...]:
    relation, loaded = source.relation, source.last_load_at
    known = ("no", "", "")
    if relation is not None:
        known = ("yes", estimate(source), size_text(relation.size_bytes))
    return (
        source.code,
        *known,
        "" if loaded is None else f"{loaded:%Y-%m-%d %H:%M}",
        "" if source.name == source.code else source.name,
        relation_text(source),
    )


def relation_text(source: Source) -> str:
    """The name of the source's relation, and its kind where it exists."""
    if source.relation is None:
        return source.qualified_name
    kind = source.relation.kind
    label = f"of kind {source.relation.raw_kind}" if kind is None else kind.label
    return f"{source.qualified_name} ({label})"


def estimate(source: Source) -> str:
    """The estimated number of rows, `unknown` where nobody has counted."""
    known = None if source.relation is None else source.relation.estimated_rows
    return "unknown" if known is None else f"{known:,}"


def plan_page(planned: Sequence[PlannedSource]) -> Iterator[RenderableType]:
    """What an export would do with each source."""
    for entry in planned:
        yield from _planned_lines(entry)
        yield ""
    exported = sum(entry.plan is not None for entry in planned)
    sources = wording.counted(len(planned), "source")
    yield make_text(f"{exported} of {sources} would be exported. Nothing was written.")


def _planned_lines(entry: PlannedSource) -> Iterator[RenderableType]:
    from duckwarp.engine.plan import explain

    if entry.plan is not None:
        yield make_text(entry.source.code, "bold")
        yield from map(indent, explain(entry.plan))
        return
    fate = "skipped" if entry.missing else "failed"
    style = STATE_STYLES[SourceState(fate)]
    yield make_text(entry.source.code, style)
    yield indent(f"{fate}: {entry.reason}", style)


def description_page(description: SourceDescription) -> Iterator[RenderableType]:
    """The data dictionary of one source, from the database."""
    source, columns = description.source, description.columns
    yield make_text(source.name, "bold")
    yield from map(make_text, filter(str.strip, (source.description or "").splitlines()))
    yield ""
    yield make_fact("Dataset", source.code)
    yield make_fact("Relation", relation_text(source))
    yield make_fact("Rows", f"~{estimate(source)}".replace("~unknown", "unknown"))
    yield make_fact("Columns", str(len(columns)))
    if columns:
        yield ""
        yield _columns_listing(columns, description.forms)


def _columns_listing(columns: Sequence[Column], forms: Sequence[ColumnForm]) -> Listing:
    titles = ("column", "type", "null", "role")
    asides = ("description", "source column", "keywords", "written as", "note")
    listing = Listing(*map(words, titles + asides), asides=len(asides), below=True)
    for column, form in zip(columns, forms, strict=True):
        listing.add_row(*_column_cells(column, form))
    return listing


def _column_cells(column: Column, form: ColumnForm) -> tuple[str, ...]:
    original = column.original_name
    renamed = original is not None and original != column.name
    return (
        column.name,
        column.data_type,
        "" if column.nullable else "NOT NULL",
        role(column),
        column.description or "",
        f"source column: {original}" if renamed else "",
        f"keywords: {', '.join(column.keywords)}" if column.keywords else "",
        "" if form.obvious else f"written as {form.type}",
        "; ".join(form.notes),
    )


def role(column: Column) -> str:
    """`dimension`, `measure`, both, or nothing."""
    named = (("dimension", column.is_dimension), ("measure", column.is_measure))
    return ", ".join(name for name, holds in named if holds)


def demo_page(folder: Path, code: str, kept: DemoDatabase | None) -> Iterator[RenderableType]:
    """Three things to try with the files in `folder`, and how to reach and stop a kept server."""
    file = str(folder / f"{code}.parquet")
    python = _command("python")
    describe = f"{_command('duckwarp')} describe {code} --dsn "
    describe += f"'{kept.shown_dsn}'" if kept else "DSN   (`duckwarp demo --keep` prints one)"
    query = f"import duckdb; duckdb.sql('''FROM '{file}' LIMIT 5''').show()"
    load = f"import pandas; print(pandas.read_parquet('{file}').describe())"
    tries = (
        ("Query it with DuckDB", python_call(query, python)),
        ("Load it with pandas", python_call(load, python)),
        ("Read its dictionary", describe),
    )
    yield ""
    yield Text("Three things to try", "bold")
    for title, command in tries:
        yield Text(f"  {title}")
        # Not folded: a command is there to be copied.
        yield Text(f"    {command}", "cyan", no_wrap=True, overflow="ignore")
    if kept:
        yield ""
        yield Text("The database is still there", "bold")
        yield Text(f"  reach it  {kept.shown_dsn}", no_wrap=True, overflow="ignore")
        yield Text(f"  end it    {kept.stop_hint}", no_wrap=True, overflow="ignore")


def python_call(program: str, python: str = "python") -> str:
    """A shell command that runs a line of Python; in double quotes where the shell leaves it be."""
    plain = frozenset('"$`\\!').isdisjoint(program)
    return f'{python} -c "{program}"' if plain else f"{python} -c {shlex.quote(program)}"


def _command(name: str) -> str:
    """How to call a program of this environment: by its name, or by its path if it is not found."""
    path = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if not path.exists() or (found is not None and Path(found).samefile(path)):
        return name
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
