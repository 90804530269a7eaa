"""What the commands show to people: sources, a plan, a dictionary, and what to try next.

Makes lines of text out of the nouns and writes them to a terminal or a file. The summary of a run
is `report.py`'s, the layout of tables `listing.py`'s, what programs read `documents.py`'s.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from duckwarp.cli import wording
from duckwarp.cli.listing import Heading, Line, Listing, Row, indented
from duckwarp.cli.report import STATE_STYLES
from duckwarp.model.results import SourceState
from duckwarp.model.sizes import size_text

if TYPE_CHECKING:
    from duckwarp.demo import DemoDatabase
    from duckwarp.engine.form import Form
    from duckwarp.export.preview import PlannedSource, SourceDescription
    from duckwarp.model.column import Column
    from duckwarp.model.source import Source

Page = Callable[[int | None], Iterable[Line]]


def show(page: Page, stream: TextIO) -> None:
    """Write a page: in the width and colours of a terminal, else as plain lines of any length."""
    if not stream.isatty():
        for line in page(None):
            print(line.text, file=stream)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream)
    for line in page(console.width):
        console.print(Text(line.text, style=line.style), soft_wrap=True)


def sources_page(sources: Sequence[Source], width: int | None) -> Iterator[Line]:
    """The sources that may be exported, and what stands behind each."""
    yield from Listing(
        headings=(
            Heading(title="source"),
            Heading(title="exists"),
            Heading(title="~rows", right=True),
            Heading(title="size", right=True),
            Heading(title="last load"),
            Heading(title="name", aside=True),
            Heading(title="relation", aside=True),
        ),
        rows=tuple(_source_row(source) for source in sources),
    ).lines(width)


def _source_row(source: Source) -> Row:
    relation, loaded = source.relation, source.last_load_at
    figures = ("no", "", "")
    if relation is not None:
        figures = ("yes", estimate(source), size_text(relation.size_bytes))
    return Row(
        cells=(
            source.code,
            *figures,
            "" if loaded is None else f"{loaded:%Y-%m-%d %H:%M}",
            "" if source.name == source.code else source.name,
            relation_text(source),
        ),
        style="" if relation is not None else "dim",
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


def plan_page(planned: Sequence[PlannedSource], width: int | None) -> Iterator[Line]:
    """What an export would do with each source."""
    for entry in planned:
        yield from _planned_lines(entry, width)
        yield Line()
    exported = sum(entry.plan is not None for entry in planned)
    sources = wording.counted(len(planned), "source")
    yield Line(f"{exported} of {sources} would be exported. Nothing was written.")


def _planned_lines(entry: PlannedSource, width: int | None) -> Iterator[Line]:
    from duckwarp.engine.plan import explain

    if entry.plan is not None:
        yield Line(wording.one_line(entry.source.code), "bold")
        for decision in explain(entry.plan):
            yield from indented(decision, width)
        return
    fate = "skipped" if entry.missing else "failed"
    style = STATE_STYLES[SourceState(fate)]
    yield Line(wording.one_line(entry.source.code), style)
    yield from indented(f"{fate}: {entry.reason}", width, style)


def description_page(description: SourceDescription, width: int | None) -> Iterator[Line]:
    """The data dictionary of one source, from the database."""
    source, columns = description.source, description.columns
    yield Line(wording.one_line(source.name), "bold")
    for paragraph in (source.description or "").splitlines():
        yield from indented(paragraph, width, depth=0)
    yield Line()
    yield Line(f"Dataset   {wording.one_line(source.code)}")
    yield Line(f"Relation  {wording.one_line(relation_text(source))}")
    yield Line(f"Rows      ~{estimate(source)}".replace("~unknown", "unknown"))
    yield Line(f"Columns   {len(columns)}")
    if columns:
        yield Line()
        yield from _columns_listing(columns, description.forms).lines(width)


def _columns_listing(columns: Sequence[Column], forms: Sequence[Form]) -> Listing:
    return Listing(
        headings=(
            Heading(title="column"),
            Heading(title="type"),
            Heading(title="null"),
            Heading(title="role"),
            Heading(title="description", aside=True),
            Heading(title="source column", aside=True),
            Heading(title="keywords", aside=True),
            Heading(title="written as", aside=True),
            Heading(title="note", aside=True),
        ),
        rows=tuple(_column_row(*pair) for pair in zip(columns, forms, strict=True)),
        below=True,
    )


def _column_row(column: Column, form: Form) -> Row:
    original = column.original_name
    renamed = original is not None and original != column.name
    return Row(
        cells=(
            column.name,
            column.data_type,
            "" if column.nullable else "NOT NULL",
            role(column),
            column.description or "",
            f"source column: {original}" if renamed else "",
            f"keywords: {', '.join(column.keywords)}" if column.keywords else "",
            "" if form.obvious else f"written as {form.shown_type}",
            "; ".join(form.notes),
        )
    )


def role(column: Column) -> str:
    """`dimension`, `measure`, both, or nothing."""
    named = (("dimension", column.is_dimension), ("measure", column.is_measure))
    return ", ".join(name for name, holds in named if holds)


def demo_page(
    folder: Path, code: str, kept: DemoDatabase | None, _width: int | None
) -> Iterator[Line]:
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
    yield Line()
    yield Line("Three things to try", "bold")
    for title, command in tries:
        yield Line(f"  {title}")
        # Not folded: a command is there to be copied.
        yield Line(f"    {command}", "cyan")
    if kept:
        yield Line()
        yield Line("The database is still there", "bold")
        yield Line(f"  reach it  {kept.shown_dsn}")
        yield Line(f"  end it    {kept.stop_hint}")


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
