"""One file laid beside its table: what both have in common, whether it differs, and where.

What became of the two since the export, and whether the file is published at all, is not asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from duckwarp.engine.batches import Asker, open_asker
from duckwarp.engine.layout import Resources, connections_for, ranges_of
from duckwarp.engine.measure import RELATION_ALIAS
from duckwarp.engine.plan import names_objects
from duckwarp.files.facts import read_facts
from duckwarp.model.column import Column
from duckwarp.model.errors import SourceError
from duckwarp.model.pg_type import ServerTraits
from duckwarp.model.sizes import size_text
from duckwarp.model.source import Source
from duckwarp.postgres.readers import Readers, open_readers
from duckwarp.postgres.snapshot import Snapshot
from duckwarp.verify.comparing import comparison
from duckwarp.verify.contents import Contents, open_contents
from duckwarp.verify.differences import (
    column_differences,
    counted_differences,
    tally_differences,
)
from duckwarp.verify.filetext import MACROS
from duckwarp.verify.rows import column_checksums, differing_rows
from duckwarp.verify.sides import Sides, table_tally_without_values, tallies
from duckwarp.verify.tally import Tally
from duckwarp.verify.verdicts import Difference, Finding

# What a process takes that compares T: 310 MB were seen, and 590 with 1,600 columns.
NEEDED_BYTES = 320_000_000
USUAL_COLUMNS = 100
COLUMN_BYTES = 200_000
# Ranges for each reader: so many that none waits long for the last one.
RANGES_PER_READER = 4
_MOVED = "every column has the same values, and the rows are others: values have changed places"
_NOTHING_COMMON = "they have no column in common"

# Is told the code of a source, the rows of its file that have been read, and those that it has.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What files are compared with: sessions in one snapshot, and a DuckDB for the file's side.

    `memory_bytes` is what the process may use.
    """

    memory_bytes: int
    traits: ServerTraits
    readers: Readers
    asker: Asker
    progress: Progress = lambda *_: None


@contextlib.contextmanager
def open_bench(snapshot: Snapshot, resources: Resources, memory_bytes: int) -> Iterator[Bench]:
    """A bench with up to so many sessions, beside that of the snapshot, as the resources have.

    What Arrow takes of memory comes besides DuckDB's.
    """
    with (
        open_readers(snapshot, resources.connections) as readers,
        open_asker(resources.duckdb_bytes, resources.threads, MACROS) as asker,
    ):
        yield Bench(memory_bytes=memory_bytes, traits=snapshot.traits, readers=readers, asker=asker)


def _check_columns(bench: Bench, columns: int) -> None:
    """Raises `SourceError` where so many columns cannot be compared within the memory."""
    needed_bytes = NEEDED_BYTES + max(columns - USUAL_COLUMNS, 0) * COLUMN_BYTES
    if bench.memory_bytes < needed_bytes:
        raise SourceError(
            f"{columns:,} columns need at least --memory {needed_bytes // 1_000_000} MB to be "
            f"verified, not {size_text(bench.memory_bytes)}"
        )


def compared(bench: Bench, source: Source, columns: Sequence[Column], path: Path) -> Finding:
    """What differs between the file at `path` and the table of `source`.

    Raises `FileUnreadable`, and `SourceError` for what the server says and for too many columns.
    """
    _check_columns(bench, len(columns))
    with open_contents(path) as contents:
        found = _described_differences(source, columns, contents)
        sides = _sides(bench, source, columns, contents)
        finding = Finding(
            rows=contents.rows, columns=len(contents.columns), size_bytes=path.stat().st_size
        )
        if not sides.comparisons:
            return replace(finding, differences=found, reasons=(_NOTHING_COMMON,))
        bench.asker.prepare(len(sides.comparisons))
        table, file = tallies(sides)
        found += tally_differences(sides.comparisons, contents.columns, table, file)
        finding = replace(
            finding,
            table_rows=table.rows,
            checksum=f"{file.checksum:x}",
            not_kept=sum(column.not_kept for column in table.columns),
            differences=found,
        )
        if table.checksum == file.checksum:
            return finding
        return _located(sides, finding, table, file, _key(columns))


def compared_quickly(
    bench: Bench, source: Source, columns: Sequence[Column], path: Path
) -> Finding:
    """The same by the footer alone, and what the server counts: rows and NULLs."""
    with open_contents(path) as contents:
        facts = read_facts(path)
        found = _described_differences(source, columns, contents)
        sides = _sides(bench, source, columns, contents)
    finding = Finding(rows=facts.rows, columns=len(facts.columns), size_bytes=facts.size_bytes)
    if not sides.comparisons:
        return replace(finding, differences=found, reasons=(_NOTHING_COMMON,))
    table = table_tally_without_values(sides)
    nulls = [facts.columns[place].null_count for place in sides.places]
    return replace(
        finding,
        table_rows=table.rows,
        not_kept=sum(column.not_kept for column in table.columns),
        differences=found + counted_differences(sides, table, facts.rows, nulls),
    )


def _described_differences(
    source: Source, columns: Sequence[Column], contents: Contents
) -> tuple[Difference, ...]:
    """What the footer alone tells: that the file is of another source, or of other columns."""
    found = column_differences(columns, contents.columns)
    if contents.described_code in (None, source.code):
        return found
    return (Difference(what="source", table=source.code, file=contents.described_code), *found)


def _key(columns: Sequence[Column]) -> tuple[str, ...]:
    """The names of the primary key's columns, in its order."""
    return tuple(
        name for _, name in sorted((c.key, c.file_name) for c in columns if c.key is not None)
    )


def _sides(bench: Bench, source: Source, columns: Sequence[Column], contents: Contents) -> Sides:
    """What the table and the file have in common, and how it is asked for."""
    places = {column.name: place for place, column in enumerate(contents.columns)}
    common = [column for column in columns if column.file_name in places]
    traits, relation = bench.traits, source.relation
    assert relation is not None
    most = len(bench.readers.connections) * RANGES_PER_READER
    return Sides(
        source=source,
        contents=contents,
        comparisons=tuple(
            comparison(column, contents.columns[places[column.file_name]], traits)
            for column in common
        ),
        places=tuple(places[column.file_name] for column in common),
        traits=traits,
        ranges=ranges_of(
            relation,
            connections_for(relation, most, traits),
            traits.block_bytes,
            f"{RELATION_ALIAS}.ctid",
        ),
        readers=bench.readers,
        asker=bench.asker,
        empty_search_path=any(names_objects(column.pg_type.reaches) for column in common),
        tick=lambda rows: bench.progress(source.code, rows, contents.rows),
    )


def _located(
    sides: Sides, finding: Finding, table: Tally, file: Tally, key: Sequence[str]
) -> Finding:
    """The finding, with the columns and the rows in which the two differ.

    That it cannot be found out where does not change that they do.
    """
    try:
        located = _column_checksums(sides, table, file)
        moved = not any(each.column for each in located) and table.rows == file.rows
        finding = replace(
            finding,
            differences=(*finding.differences, *located),
            reasons=(_MOVED,) if moved else (),
        )
        rows = differing_rows(sides, max(table.rows, file.rows), key)
        return replace(finding, differing_rows=rows)
    except SourceError as error:
        return replace(
            finding,
            differences=finding.differences or (_row_checksums(table, file),),
            reasons=(*finding.reasons, f"where they differ could not be found out: {error}"),
        )


def _column_checksums(sides: Sides, table: Tally, file: Tally) -> tuple[Difference, ...]:
    """In which columns the values differ; the checksum of the rows, where it is in none."""
    of_table, of_file = column_checksums(sides)
    located = tuple(
        Difference(what="checksum", column=each.name, table=f"{a:x}", file=f"{b:x}")
        for each, a, b in zip(sides.comparisons, of_table, of_file, strict=True)
        if a != b
    )
    return located or (_row_checksums(table, file),)


def _row_checksums(table: Tally, file: Tally) -> Difference:
    return Difference(what="checksum", table=f"{table.checksum:x}", file=f"{file.checksum:x}")
