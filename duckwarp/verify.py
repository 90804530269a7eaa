"""The story of a verification: does each published file still equal its table?

Both sides are looked at in one snapshot: rows, NULLs, minimum and maximum of each column, and a
checksum over whole rows. Where they differ, the columns and the rows are looked for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from duckwarp.admission import admit
from duckwarp.engine.batches import Asker, open_asker
from duckwarp.engine.layout import connections_for, ranges_of
from duckwarp.engine.measure import RELATION_ALIAS
from duckwarp.engine.memory import MIN_DUCKDB_BYTES, memory_budget
from duckwarp.engine.plan import names_objects
from duckwarp.engine.session import resources_of
from duckwarp.errors import FileUnreadable, NothingMatched, RelationMissing, SourceError, UsageError
from duckwarp.output.parquet import read_facts
from duckwarp.settings import Settings
from duckwarp.source.metadata import Column, describe
from duckwarp.source.names import nearest
from duckwarp.source.readers import Readers, open_readers
from duckwarp.source.registry import Selection, Source
from duckwarp.source.snapshot import Snapshot, open_snapshot
from duckwarp.verifying.comparing import comparison
from duckwarp.verifying.contents import Contents, open_contents
from duckwarp.verifying.differences import (
    column_differences,
    counted_differences,
    tally_differences,
)
from duckwarp.verifying.filetext import MACROS
from duckwarp.verifying.history import CATALOG_FILE, Published, has_changed, read_catalog
from duckwarp.verifying.offline import verdict_on_file
from duckwarp.verifying.rows import column_checksums, differing_rows
from duckwarp.verifying.sides import Sides, table_tally_without_values, tallies
from duckwarp.verifying.tally import Tally
from duckwarp.verifying.verdicts import Agreement, Difference, Verdict, VerificationReport

# What pyarrow takes besides DuckDB: its code, and a batch in Arrow's form.
ARROW_BYTES = 120_000_000
# Ranges for each reader: so many that none waits long for the last one.
RANGES_PER_READER = 4

# Is told the code of a source, the rows of its file that have been read, and those that it has.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the verification of all sources shares."""

    settings: Settings
    snapshot: Snapshot
    readers: Readers
    asker: Asker
    catalog: dict[str, Published]
    quick: bool
    progress: Progress


def verify_published(
    selection: Selection | None,
    settings: Settings,
    *,
    quick: bool = False,
    progress: Progress = lambda *_: None,
) -> VerificationReport:
    """Compare the published file of each source of `selection` with its table.

    Without a selection, each file in the output folder whose name is a code of the registry. With
    `quick`, rows and NULLs are compared, from the file's footer. Raises `UsageError` and `RunError`
    as `run_export` does.
    """
    started = time.monotonic()
    budget = memory_budget(settings)
    resources = resources_of(settings, budget)
    limit_bytes = max(budget.duckdb_bytes - ARROW_BYTES, MIN_DUCKDB_BYTES)
    chosen = selection or Selection(everything=True)
    with (
        open_snapshot(chosen, settings, dict(os.environ)) as snapshot,
        open_readers(snapshot, resources.connections) as readers,
        open_asker(limit_bytes, resources.threads, MACROS) as asker,
    ):
        run = Run(
            settings=settings,
            snapshot=snapshot,
            readers=readers,
            asker=asker,
            catalog=read_catalog(settings.output_dir) or {},
            quick=quick,
            progress=progress,
        )
        sources = snapshot.sources
        if selection is None:
            sources = tuple(each for each in sources if _path(settings, each).exists())
        columns = describe(snapshot.connection, sources, settings.registry_schema)
        verdicts = tuple(_timed(run, source, columns.get(source.code, ())) for source in sources)
    return VerificationReport(
        output_dir=str(settings.output_dir),
        verdicts=verdicts,
        seconds=time.monotonic() - started,
        snapshot_time=snapshot.taken_at,
    )


def verify_files(selection: Selection | None, settings: Settings) -> VerificationReport:
    """Look at the published files without the database; without a selection, at all of them.

    A file has to be the one that the catalog lists, to be whole, and to be in order. Raises
    `UsageError` for a selection of tables, and where nothing matches.
    """
    started = time.monotonic()
    budget = memory_budget(settings)
    resources = resources_of(settings, budget)
    limit_bytes = max(budget.duckdb_bytes - ARROW_BYTES, MIN_DUCKDB_BYTES)
    catalog = read_catalog(settings.output_dir)
    with open_asker(limit_bytes, resources.threads, MACROS) as asker:
        verdicts = tuple(
            _file_verdict(settings.output_dir / f"{code}.parquet", asker, catalog)
            for code in _codes(selection, settings.output_dir, catalog or {})
        )
    return VerificationReport(
        output_dir=str(settings.output_dir),
        verdicts=verdicts,
        seconds=time.monotonic() - started,
    )


def _codes(
    selection: Selection | None, output_dir: Path, catalog: Mapping[str, Published]
) -> list[str]:
    """The codes of the files that there are, or that the catalog says there are."""
    if selection is not None and not selection.uses_registry:
        raise UsageError(
            "--offline knows files by their codes: name a publication or a --source, "
            "not a schema or a table"
        )
    present = {path.stem for path in output_dir.glob("*.parquet")} - {Path(CATALOG_FILE).stem}
    known = sorted(present | catalog.keys())
    if selection is None:
        return known
    taken = [code for code in known if selection.takes(code)]
    for code in selection.codes:
        if code not in taken:
            raise NothingMatched(f'source "{code}" in {output_dir}', nearest(code, known))
    if not taken:
        wanted = selection.publication or ""
        raise NothingMatched(f"{selection} in {output_dir}", nearest(wanted, known))
    return taken


def _file_verdict(path: Path, asker: Asker, catalog: Mapping[str, Published] | None) -> Verdict:
    started = time.monotonic()
    published = None if catalog is None else catalog.get(path.stem)
    try:
        if path.exists():
            verdict = verdict_on_file(path, asker, published, has_catalog=catalog is not None)
        else:
            reason = f"the catalog lists it, and there is no {path.name} in {path.parent}"
            verdict = Verdict(code=path.stem, agreement=Agreement.MISSING, reasons=(reason,))
    except SourceError as error:
        verdict = Verdict(code=path.stem, agreement=Agreement.DIFFERENT, reasons=(str(error),))
    return replace(verdict, seconds=time.monotonic() - started)


def _path(settings: Settings, source: Source) -> Path:
    return settings.output_dir / f"{source.code}.parquet"


def _timed(run: Run, source: Source, columns: tuple[Column, ...]) -> Verdict:
    started = time.monotonic()
    try:
        verdict = _verdict(run, source, columns)
    except FileUnreadable as error:
        verdict = _explained(run, source, None, (), (str(error),))
    except SourceError as error:
        verdict = Verdict(code=source.code, agreement=Agreement.FAILED, reasons=(str(error),))
    return replace(verdict, seconds=time.monotonic() - started)


def _verdict(run: Run, source: Source, columns: tuple[Column, ...]) -> Verdict:
    """What becomes of one source. Raises `SourceError`."""
    path = _path(run.settings, source)
    reason = str(RelationMissing(source.qualified_name))
    if not path.exists():
        agreement = Agreement.SKIPPED
        if source.relation is not None:
            agreement = Agreement.MISSING
            reason = f"there is no {path.name} in {run.settings.output_dir}"
        return Verdict(code=source.code, agreement=agreement, reasons=(reason,))
    if source.relation is None:
        return Verdict(code=source.code, agreement=Agreement.CHANGED, reasons=(reason,))
    admit(run.snapshot, source, columns, run.settings)
    with open_contents(path) as contents:
        found = column_differences(columns, contents.columns)
        if contents.described_code not in (None, source.code):
            found = (
                Difference(what="source", table=source.code, file=contents.described_code),
                *found,
            )
        sides = _sides(run, source, columns, contents)
        if not sides.comparisons:
            return _explained(run, source, None, found, ("they have no column in common",))
        if run.quick:
            return _quickly(run, sides, path, found)
        table, file = tallies(sides)
        found += tally_differences(sides.comparisons, contents.columns, table, file)
        verdict = Verdict(
            code=source.code,
            agreement=Agreement.EQUAL,
            rows=file.rows,
            columns=len(contents.columns),
            size_bytes=path.stat().st_size,
            checksum=f"{file.checksum:x}",
            not_kept=sum(column.not_kept for column in table.columns),
        )
        if not found and table.checksum == file.checksum:
            return verdict
        reasons: tuple[str, ...] = ()
        if table.checksum != file.checksum:
            found, reasons = _located(sides, found, table, file)
            verdict = replace(
                verdict,
                differing_rows=differing_rows(
                    sides,
                    max(table.rows, file.rows),
                    _key(columns),
                ),
            )
    explained = _explained(run, source, table.rows, found, reasons)
    return replace(
        verdict,
        agreement=explained.agreement,
        differences=explained.differences,
        reasons=explained.reasons,
    )


def _key(columns: Sequence[Column]) -> tuple[str, ...]:
    """The names of the primary key's columns, in its order."""
    return tuple(name for _, name in sorted((c.key, c.name) for c in columns if c.key is not None))


def _sides(run: Run, source: Source, columns: Sequence[Column], contents: Contents) -> Sides:
    """What the table and the file have in common, and how it is asked for."""
    places = {column.name: place for place, column in enumerate(contents.columns)}
    common = [column for column in columns if column.name in places]
    traits, relation = run.snapshot.traits, source.relation
    assert relation is not None
    most = len(run.readers.connections) * RANGES_PER_READER
    return Sides(
        source=source,
        contents=contents,
        comparisons=tuple(
            comparison(column, contents.columns[places[column.name]], traits) for column in common
        ),
        places=tuple(places[column.name] for column in common),
        traits=traits,
        ranges=ranges_of(
            relation,
            connections_for(relation, most, traits),
            traits.block_bytes,
            f"{RELATION_ALIAS}.ctid",
        ),
        readers=run.readers,
        asker=run.asker,
        empty_search_path=any(names_objects(column.pg_type.reaches) for column in common),
        tick=lambda rows: run.progress(source.code, rows, contents.rows),
    )


def _quickly(run: Run, sides: Sides, path: Path, found: tuple[Difference, ...]) -> Verdict:
    """By the footer alone, and what the server counts."""
    facts = read_facts(path)
    table = table_tally_without_values(sides)
    nulls = [facts.columns[place].null_count for place in sides.places]
    found += counted_differences(sides, table, facts.rows, nulls)
    verdict = Verdict(code=sides.source.code, agreement=Agreement.EQUAL)
    if found:
        verdict = _explained(run, sides.source, table.rows, found, ())
    return replace(
        verdict,
        rows=facts.rows,
        columns=len(facts.columns),
        size_bytes=facts.size_bytes,
        not_kept=sum(column.not_kept for column in table.columns),
    )


def _located(
    sides: Sides, found: tuple[Difference, ...], table: Tally, file: Tally
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """In which columns the values differ; in none, where values have changed places."""
    of_table, of_file = column_checksums(sides)
    located = tuple(
        Difference(what="checksum", column=each.name, table=f"{a:x}", file=f"{b:x}")
        for each, a, b in zip(sides.comparisons, of_table, of_file, strict=True)
        if a != b
    )
    rows = Difference(what="checksum", table=f"{table.checksum:x}", file=f"{file.checksum:x}")
    if located or table.rows != file.rows:
        return (*found, *located), ()
    return (*found, rows), (
        "every column has the same values, and the rows are others: values have changed places",
    )


def _explained(
    run: Run,
    source: Source,
    table_rows: int | None,
    found: tuple[Difference, ...],
    reasons: tuple[str, ...],
) -> Verdict:
    """A file that is not as the table is, with what tells which of the two has changed."""
    changed, why = has_changed(
        _path(run.settings, source), source, run.catalog.get(source.code), table_rows
    )
    unreadable = not found
    return Verdict(
        code=source.code,
        agreement=Agreement.CHANGED if changed and not unreadable else Agreement.DIFFERENT,
        differences=found,
        reasons=(*reasons, *why),
    )
