"""The catalog of an output folder: read, kept true while a run publishes, made anew from the files.

What is in it is the matter of `catalog/rows.py`, how it is put in place that of
`store/publishing.py`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from duckwarp.catalog.datapackage import DATA_PACKAGE, data_package
from duckwarp.catalog.entry import Circumstances, Entry
from duckwarp.catalog.rows import COLUMNS, MARK, entry_of, record_of, updated
from duckwarp.files.dataset import read_footer_text
from duckwarp.files.digest import sha256_of
from duckwarp.files.facts import read_facts
from duckwarp.files.opening import check_place, describe_error, describe_refusal, open_regular
from duckwarp.files.records import read_records, write_records
from duckwarp.model.dataset import CATALOG, Dataset
from duckwarp.model.errors import CatalogMissing, CatalogUnusable, OutputUnusable, SourceError
from duckwarp.model.filenames import code_of, markdown_in, name_from_disk, parquet_in
from duckwarp.model.results import FileFacts
from duckwarp.store.publishing import Changes, publish
from duckwarp.store.staging import open_staging


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A Parquet file of which nothing can be said, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The entries of a folder, and the files that are left out."""

    entries: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...]


def read_catalog(folder: Path) -> tuple[Entry, ...]:
    """The entries of the folder's catalog whose files are still as they were; none without one.

    An entry whose Parquet file is gone, or has another size, is left out: it would say what is not
    so. Raises `CatalogUnusable` for a file that is not a catalog of duckwarp's, and
    `OutputUnusable` where one could not be put in place.
    """
    try:
        check_place(folder / DATA_PACKAGE)
    except OSError as error:
        raise OutputUnusable(folder, f"{DATA_PACKAGE}: {describe_error(error)}") from error
    return shown(folder).entries if os.path.lexists(folder / CATALOG) else ()


def shown(folder: Path) -> Found:
    """The folder's catalog, for people: its entries, and the files that are not as it says.

    Raises `CatalogMissing` and `CatalogUnusable`.
    """
    found = [(entry, _what_differs(folder, entry)) for entry in read_entries(folder)]
    return Found(
        entries=tuple(entry for entry, reason in found if reason is None),
        left_out=tuple(LeftOut(name=e.file_path, reason=why) for e, why in found if why),
    )


def read_entries(folder: Path) -> tuple[Entry, ...]:
    """All entries of the folder's catalog, whatever its files are like.

    Raises `CatalogMissing` and `CatalogUnusable`.
    """
    path = folder / CATALOG
    try:
        return tuple(map(entry_of, read_records(path.absolute(), COLUMNS, MARK)))
    except FileNotFoundError as error:
        raise CatalogMissing(folder) from error
    except (OSError, ValueError) as error:
        reason = describe_error(error) if isinstance(error, OSError) else str(error)
        raise CatalogUnusable(path, reason) from error


def _what_differs(folder: Path, entry: Entry) -> str | None:
    """Why the entry is not of the file that is there, None where nothing speaks against it."""
    try:
        size_bytes = parquet_in(folder, entry.code).stat().st_size
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return f"the catalog has it, and it cannot be read: {reason}"
    if size_bytes != entry.size_bytes:
        return "it is not the file that the catalog describes"
    return None


def stage_catalog(entries: Sequence[Entry], folder: Path) -> tuple[str, ...]:
    """Write the catalog and the data package of `entries` into `folder`; the names of both.

    The same entries give the same bytes. Raises `OSError`.
    """
    write_records((folder / CATALOG).absolute(), map(record_of, entries), COLUMNS, MARK)
    (folder / DATA_PACKAGE).write_text(data_package(entries), encoding="utf-8")
    return CATALOG, DATA_PACKAGE


class Keeper:
    """The catalog of a folder while a run publishes there: a `CatalogStep` of the publication.

    It is told the entry of each dataset that the run has staged or found unchanged. `entries` are
    those that the catalog has without the run.
    """

    def __init__(self, folder: Path, entries: tuple[Entry, ...]) -> None:
        self._folder = folder
        # The entries before and after the set that is being put in place.
        self._before = self._after = entries
        self._listed = frozenset(entry.code for entry in entries)
        self._exported: dict[str, Entry] = {}

    def learn(self, entry: Entry) -> None:
        """Take the entry of a dataset of which the run has made files."""
        self._exported[entry.code] = entry

    def __call__(self, changes: Changes, folder: Path, *, interim: bool) -> tuple[str, ...]:
        """Stage the catalog before or after `changes`; the names of what is news."""
        codes = [change.code for change in changes.changed]
        if interim or not codes:
            self._before = self._after
        if interim:
            absent = frozenset(codes)
            entries = tuple(entry for entry in self._before if entry.code not in absent)
            return stage_catalog(entries, folder)
        known = (self._known(code) for code in (*codes, *changes.kept))
        self._after = updated(self._before, (entry for entry in known if entry is not None))
        if not (self._after or codes or (self._folder / CATALOG).exists()):
            return ()
        names = stage_catalog(self._after, folder)
        # Where something changes, an interim one comes first.
        return names if codes else _news(names, folder, self._folder)

    def _known(self, code: str) -> Entry | None:
        """What the run has told of a dataset; what its file says, if nobody has told of it."""
        if code in self._exported or code in self._listed:
            return self._exported.get(code)
        try:
            return _from_file(parquet_in(self._folder, code), {})
        except (OSError, SourceError, ValueError):
            return None


def _news(names: Sequence[str], folder: Path, output_dir: Path) -> tuple[str, ...]:
    """Those of the files that are not in the output folder as they are here."""
    return tuple(n for n in names if _content(output_dir / n) != (folder / n).read_bytes())


def _content(path: Path) -> bytes | None:
    """The bytes of a published file; None for what is none."""
    try:
        with open_regular(path) as file:
            return file.read()
    except OSError:
        return None


def entry_for(
    dataset: Dataset, facts: FileFacts, parquet: Path, circumstances: Circumstances
) -> Entry:
    """The entry of a file that was just written, `parquet`, whose facts are known."""
    return Entry(
        dataset=dataset,
        statistics=facts.columns,
        rows=facts.rows,
        size_bytes=facts.size_bytes,
        sha256=facts.sha256 or sha256_of(parquet),
        parquet_schema=facts.schema,
        circumstances=circumstances,
    )


def rebuild(folder: Path, *, wait_seconds: float = 0.0) -> Found:
    """Put the catalog in place that the folder's files give; what `rebuilt` has found.

    Raises `OutputUnusable`, and `Locked` where a run has the folder.
    """
    if not folder.is_dir():
        raise OutputUnusable(folder, "there is no such folder")
    with open_staging(folder, wait_seconds=wait_seconds) as staging:
        try:
            found = rebuilt(folder)

            keeper = Keeper(folder, found.entries)
            publish(staging.folder, folder, Changes(), catalog=keeper)
        except OSError as error:
            raise OutputUnusable(folder, describe_refusal(error, folder)) from error
    return found


def rebuilt(folder: Path) -> Found:
    """The catalog that the folder's files give, whatever the one that is there says.

    What a file cannot know (when its snapshot was, and of which publication) is taken from the old
    catalog where that has the same file, by its hash. Raises `OSError`.
    """
    try:
        known = {entry.sha256: entry for entry in read_entries(folder)}
    except (CatalogMissing, CatalogUnusable):
        known = {}
    entries: list[Entry] = []
    left_out: list[LeftOut] = []
    for path in sorted(folder.glob("*.parquet")):
        if path.name == CATALOG:
            continue
        try:
            entries.append(_from_file(path, known))
        except (OSError, SourceError, ValueError) as error:
            left_out.append(LeftOut(name=name_from_disk(path.name), reason=str(error)))
    by_code = sorted(entries, key=lambda entry: entry.code)
    return Found(entries=tuple(by_code), left_out=tuple(left_out))


def _from_file(path: Path, known: dict[str, Entry]) -> Entry:
    facts = read_facts(path)
    if facts.description is None:
        raise ValueError("it has no description of duckwarp's; export it again")
    dataset = read_footer_text(facts.description)
    if dataset.code != code_of(path):
        raise ValueError(f'it says that it is "{dataset.code}"')
    if len(facts.columns) != len(dataset.columns):
        raise ValueError("its description has other columns than the file")
    entry = entry_for(dataset, facts, path, Circumstances())
    before = known.get(entry.sha256)
    return replace(
        entry,
        circumstances=entry.circumstances if before is None else before.circumstances,
        has_dictionary=markdown_in(path.parent, dataset.code).is_file(),
    )
