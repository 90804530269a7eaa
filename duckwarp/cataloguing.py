"""The catalog of an output folder: read, brought up to date, staged, made anew from the files.

What is in it is the matter of `output/`, how it is put in place that of whoever publishes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from duckwarp.engine.records import read_records, write_records
from duckwarp.errors import CatalogUnusable, SourceError
from duckwarp.output.catalog import CATALOG, COLUMNS, MARK, entry_of, record_of
from duckwarp.output.datapackage import DATA_PACKAGE, data_package
from duckwarp.output.dataset import FOOTER_KEY, Dataset, read_footer_text
from duckwarp.output.entry import Circumstances, Entry
from duckwarp.output.parquet import read_facts, read_key
from duckwarp.results import ParquetFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A Parquet file of the folder that is not in the rebuilt catalog, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a folder's files say of themselves: the entries, and the files that say nothing."""

    entries: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...]


def read_catalog(folder: Path) -> tuple[Entry, ...]:
    """The entries of the folder's catalog whose files are still as they were; none without one.

    An entry whose Parquet file is gone, or has another size, is left out: it would say what is not
    so. Raises `CatalogUnusable` for a file that is not a catalog of duckwarp's.
    """
    return tuple(entry for entry in _entries(folder) if _is_there(folder, entry))


def _entries(folder: Path) -> tuple[Entry, ...]:
    path = folder / CATALOG
    try:
        return tuple(map(entry_of, read_records(path.absolute(), COLUMNS, MARK)))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CatalogUnusable(path, str(reason)) from error


def _is_there(folder: Path, entry: Entry) -> bool:
    try:
        return (folder / entry.file_path).stat().st_size == entry.size_bytes
    except OSError:
        return False


def stage_catalog(entries: Sequence[Entry], folder: Path) -> tuple[str, ...]:
    """Write the catalog and the data package of `entries` into `folder`; the names of both.

    The same entries give the same bytes. Raises `OSError`.
    """
    write_records((folder / CATALOG).absolute(), map(record_of, entries), COLUMNS, MARK)
    (folder / DATA_PACKAGE).write_text(data_package(entries), encoding="utf-8")
    return CATALOG, DATA_PACKAGE


def entry_for(
    dataset: Dataset, facts: ParquetFacts, parquet: Path, circumstances: Circumstances
) -> Entry:
    """The entry of a file that was just written, `parquet`, whose facts are known."""
    return Entry(
        dataset=dataset,
        statistics=facts.columns,
        rows=facts.rows,
        size_bytes=facts.size_bytes,
        sha256=sha256_of(parquet),
        parquet_schema=facts.schema,
        circumstances=circumstances,
    )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rebuilt(folder: Path) -> Rebuilt:
    """The catalog that the folder's files give, whatever the one that is there says.

    What a file cannot know (when its snapshot was, and of which publication) is taken from the old
    catalog where that has the same file, by its hash. Raises `OSError`.
    """
    try:
        known = {entry.sha256: entry for entry in _entries(folder)}
    except CatalogUnusable:
        known = {}
    entries: list[Entry] = []
    left_out: list[LeftOut] = []
    for path in sorted(folder.glob("*.parquet")):
        if path.name == CATALOG:
            continue
        try:
            entries.append(_from_file(path, known))
        except (SourceError, ValueError) as error:
            left_out.append(LeftOut(name=path.name, reason=str(error)))
    by_code = sorted(entries, key=lambda entry: entry.code)
    return Rebuilt(entries=tuple(by_code), left_out=tuple(left_out))


def _from_file(path: Path, known: dict[str, Entry]) -> Entry:
    text = read_key(path, FOOTER_KEY)
    if text is None:
        raise ValueError("it has no description of duckwarp's; export it again")
    dataset = read_footer_text(text)
    if f"{dataset.code}.parquet" != path.name:
        raise ValueError(f'it says that it is "{dataset.code}"')
    facts = read_facts(path)
    if len(facts.columns) != len(dataset.columns):
        raise ValueError("its description has other columns than the file")
    entry = entry_for(dataset, facts, path, Circumstances())
    before = known.get(entry.sha256)
    return replace(
        entry,
        circumstances=entry.circumstances if before is None else before.circumstances,
        has_dictionary=path.with_suffix(".md").is_file(),
    )
