"""A publication changes in one step: what was staged is put in place as a set.

Everything is on the disk before anything counts: the staged files, then a journal of what goes
where. From the journal on the set will be in place: what an interrupt or a kill leaves undone is
done again from the start, which changes nothing that was done before. In between a reader meets

- in the catalog no dataset whose files are about to change, absent rather than wrong;
- of a dataset the old pair, a Parquet file without its dictionary for a moment, or the new pair.

The catalog is made by whoever is given as `CatalogStep`; without one there is none.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from duckwarp.files.opening import check_place
from duckwarp.model.change import Change
from duckwarp.model.filenames import markdown_in, parquet_in
from duckwarp.store.flushing import flush_file, flush_folder
from duckwarp.store.journal import JOURNAL_NAME, Journal, read_journal, write_journal

# File systems flush many files at once: 400 of 20 kB took 0.03 s on 16 threads and 1.1 s one by
# one, on ext4.
FLUSHING_THREADS = 16
_BEFORE = "before"  # the folder for the published pair until the new one is in place


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The two files of a source, staged or published."""

    parquet: Path
    markdown: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """A set that is put in place in one step.

    `changed` are the datasets whose staged files will be; the codes in `kept` were looked at and
    are published as they should be. All other datasets of the folder are none of this run's.
    """

    changed: tuple[Change, ...] = ()
    kept: tuple[str, ...] = ()

    def without(self, codes: Iterable[str]) -> Changes:
        """The set, less the changes of these datasets."""
        left_out = frozenset(codes)
        return replace(self, changed=tuple(c for c in self.changed if c.code not in left_out))


class CatalogStep(Protocol):
    """Makes the files that speak of the whole folder (`CATALOG_NAMES`)."""

    def __call__(self, changes: Changes, folder: Path, *, interim: bool) -> Sequence[str]:
        """Write the catalog into `folder`; gives the names of what was written.

        They are put in place in the order given; none where the published ones are right as they
        are. An interim catalog lacks the rows of `changes.changed`, a final one has their new rows
        and those of `kept`; the rows of all other datasets stay as they are published. A final one
        may be asked for again, with fewer changes, once the interim one is in place: datasets that
        could not be put in place have their old rows then. What was staged may be in place by then,
        so that whoever needs the files looks at them the first time. Raises `OSError`.
        """


def no_catalog(changes: Changes, folder: Path, *, interim: bool) -> Sequence[str]:  # noqa: ARG001
    """The step of a folder without a catalog."""
    return ()


def pair_in(folder: Path, code: str) -> Pair:
    """The paths of a source's files in a folder."""
    return Pair(parquet=parquet_in(folder, code), markdown=markdown_in(folder, code))


def publish(
    staging_folder: Path,
    output_dir: Path,
    changes: Changes,
    *,
    catalog: CatalogStep = no_catalog,
    mode: int | None = None,
) -> dict[str, OSError]:
    """Put the staged files of `changes.changed` in place; `mode` is that of the files.

    Gives what went wrong, by the code of the dataset: its published files are as they were. Raises
    `OSError` where that is so of all, or where only the catalog could not be put in place, which
    the next run makes up for.
    """
    refused = _ready(staging_folder, output_dir, changes.changed, mode)
    remaining = changes.without(refused)
    journal = Journal(
        changed=remaining.changed,
        interim=_catalog(catalog, remaining, staging_folder, mode, interim=True),
        final=_catalog(catalog, remaining, staging_folder, mode, interim=False),
    )
    if not journal.changed and not journal.final:
        return refused
    try:
        _begin(staging_folder, output_dir, journal)
        failed = _carry_out(staging_folder, output_dir, journal)
        if failed:
            remaining = remaining.without(failed)
            final = _catalog(catalog, remaining, staging_folder, mode, interim=False)
            journal = replace(journal, final=final)
        _conclude(staging_folder, output_dir, journal)
    except OSError:
        raise
    except BaseException:
        complete(staging_folder, output_dir)
        raise
    return refused | failed


def complete(staging_folder: Path, output_dir: Path) -> None:
    """Put in place what is not yet, of a set that was begun. Raises `OSError`.

    A dataset that cannot be put in place keeps its old pair; the catalog stays the interim one
    then, until a run publishes again.
    """
    journal = read_journal(staging_folder)
    if journal is not None:
        _place_catalog(staging_folder, output_dir, journal.interim, interim=True)
        failed = _carry_out(staging_folder, output_dir, journal)
        _conclude(staging_folder, output_dir, replace(journal, final=()) if failed else journal)
    (staging_folder / JOURNAL_NAME).unlink(missing_ok=True)


def _ready(
    staging_folder: Path, output_dir: Path, changed: Sequence[Change], mode: int | None
) -> dict[str, OSError]:
    """Flush the staged files to the disk; what is wrong with a dataset, by its code."""

    def prepare(change: Change) -> tuple[str, OSError] | None:
        try:
            check_places(output_dir, change.code)
            for path in _files(staging_folder, change):
                flush_file(path, mode)
        except OSError as error:
            return change.code, error
        return None

    with ThreadPoolExecutor(FLUSHING_THREADS, thread_name_prefix="duckwarp-flush") as pool:
        return dict(found for found in pool.map(prepare, changed) if found is not None)


def check_places(output_dir: Path, code: str) -> None:
    """Raises `OSError` where a source's files cannot take their places; links are replaced."""
    target = pair_in(output_dir, code)
    check_place(target.parquet)
    check_place(target.markdown)


def _files(folder: Path, change: Change) -> list[Path]:
    pair = pair_in(folder, change.code)
    return [pair.parquet] * change.parquet + [pair.markdown] * change.markdown


def _catalog(
    step: CatalogStep, changes: Changes, staging_folder: Path, mode: int | None, *, interim: bool
) -> tuple[str, ...]:
    folder = _catalog_folder(staging_folder, interim=interim)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    if interim and not changes.changed:
        return ()
    names = tuple(step(changes, folder, interim=interim))
    for name in names:
        flush_file(folder / name, mode)
    flush_folder(folder)
    return names


def _catalog_folder(staging_folder: Path, *, interim: bool) -> Path:
    return staging_folder / ("interim" if interim else "final")


def _begin(staging_folder: Path, output_dir: Path, journal: Journal) -> None:
    """Write the journal and put the interim catalog in place: from then on the set will be.

    Where that fails there is no journal.
    """
    (staging_folder / _BEFORE).mkdir(mode=0o700, exist_ok=True)
    try:
        write_journal(staging_folder, output_dir, journal)
        _place_catalog(staging_folder, output_dir, journal.interim, interim=True)
    except OSError:
        (staging_folder / JOURNAL_NAME).unlink(missing_ok=True)
        raise


def _carry_out(staging_folder: Path, output_dir: Path, journal: Journal) -> dict[str, OSError]:
    """The pairs between the two catalogs; what went wrong with a dataset, by its code."""
    failed: dict[str, OSError] = {}
    for change in journal.changed:
        try:
            _place(staging_folder, output_dir, change)
        except OSError as error:
            failed[change.code] = error
    if journal.changed:
        flush_folder(output_dir)
    return failed


def _conclude(staging_folder: Path, output_dir: Path, journal: Journal) -> None:
    """The final catalog, last of all; then nothing is left to be done."""
    _place_catalog(staging_folder, output_dir, journal.final, interim=False)
    (staging_folder / JOURNAL_NAME).unlink(missing_ok=True)


def _place_catalog(
    staging_folder: Path, output_dir: Path, names: Sequence[str], *, interim: bool
) -> None:
    folder = _catalog_folder(staging_folder, interim=interim)
    for name in names:
        check_place(output_dir / name)
        with contextlib.suppress(FileNotFoundError):  # it is in place
            (folder / name).replace(output_dir / name)
    if names:
        flush_folder(output_dir)


def _place(staging_folder: Path, output_dir: Path, change: Change) -> None:
    """The pair of one dataset, both files or neither, from wherever it was left.

    The old dictionary goes first, so that it never stands beside the new file.
    """
    source, target = pair_in(staging_folder, change.code), pair_in(output_dir, change.code)
    before = pair_in(staging_folder / _BEFORE, change.code)
    try:
        if change.parquet and source.parquet.exists():
            _second_name(target.parquet, before.parquet)
            if os.path.lexists(target.markdown):
                target.markdown.replace(before.markdown)
            source.parquet.replace(target.parquet)
        if change.markdown and source.markdown.exists():
            source.markdown.replace(target.markdown)
    except OSError:
        if change.parquet:
            _put_back(before, source, target)
        raise


def _second_name(path: Path, name: Path) -> None:
    """`name` as another name of the file at `path`, if there is one."""
    name.unlink(missing_ok=True)
    if not os.path.lexists(path):
        return
    try:
        name.hardlink_to(path)
    except OSError:  # a file system without links
        shutil.copy2(path, name, follow_symlinks=False)


def _put_back(before: Pair, source: Pair, target: Pair) -> None:
    """The files that were published, or none where there were none."""
    if not source.parquet.exists():
        if os.path.lexists(before.parquet):
            before.parquet.replace(target.parquet)
        else:
            target.parquet.unlink()
    if os.path.lexists(before.markdown):
        before.markdown.replace(target.markdown)
