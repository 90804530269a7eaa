"""The journal of a publication: what is staged, and what of it is to be put in place.

It is there whole or not at all, and everything that it speaks of is on the disk before it is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from duckwarp.files.opening import open_regular
from duckwarp.model.change import Change
from duckwarp.store.flushing import flush_file, flush_folder

JOURNAL_NAME = "journal.json"
# The names of files that speak of the whole folder; no source has such a code.
CATALOG_NAMES = frozenset({"catalog.parquet", "datapackage.json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What goes where: the datasets, and the catalogs before and after them."""

    changed: tuple[Change, ...]
    interim: tuple[str, ...]
    final: tuple[str, ...]


def write_journal(staging_folder: Path, output_dir: Path, journal: Journal) -> None:
    """Write the journal of a run. Raises `OSError`."""
    path = staging_folder / JOURNAL_NAME
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(asdict(journal)), encoding="utf-8")
    flush_file(scratch)
    # Before it counts, all that it speaks of must be found again after a loss of power.
    for folder in (staging_folder, staging_folder.parent, output_dir):
        flush_folder(folder)
    scratch.replace(path)
    flush_folder(staging_folder)


def read_journal(staging_folder: Path) -> Journal | None:
    """The journal of a run; None for what is none, or names a file that is not a publication's."""
    try:
        with open_regular(staging_folder / JOURNAL_NAME) as file:
            said: Any = json.load(file)
        journal = Journal(
            changed=tuple(Change(**change) for change in said["changed"]),
            interim=tuple(said["interim"]),
            final=tuple(said["final"]),
        )
        names = [change.code for change in journal.changed]
        sane = all("/" not in name and not name.startswith(".") for name in names)
        return (
            journal if sane and CATALOG_NAMES.issuperset(journal.interim + journal.final) else None
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def has_begun(staging_folder: Path) -> bool:
    """Whether a run with this folder had begun to put its files in place."""
    journal = staging_folder / JOURNAL_NAME
    return not staging_folder.is_symlink() and journal.is_file() and not journal.is_symlink()
