"""What a published file is like: its figures, and those of each of its columns."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from duckwarp.engine.allocator import memory_given_back
from duckwarp.engine.memory import memory_budget
from duckwarp.engine.profile import ColumnProfile, profile_columns
from duckwarp.engine.session import resources_of
from duckwarp.files.facts import read_facts
from duckwarp.model.errors import SourceError, quote_error
from duckwarp.model.filenames import check_code, parquet_in
from duckwarp.model.results import FileFacts
from duckwarp.model.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProfile:
    """A Parquet file: its facts, and the profile of each column, in its order."""

    path: Path
    facts: FileFacts
    columns: tuple[ColumnProfile, ...]


def profile_published(code: str, settings: Settings) -> FileProfile | None:
    """The profile of a source's published file, read within `settings.memory_bytes`.

    None where there is none. Raises `SourceError` for one that cannot be read.
    """
    try:
        check_code(code)
    except SourceError:
        return None
    path = parquet_in(settings.output_dir, code)
    if not os.path.lexists(path):
        return None
    budget = memory_budget(settings)
    threads = resources_of(settings, budget).threads
    try:
        facts = read_facts(path)
        with memory_given_back(budget.process_bytes):
            columns = profile_columns(path, memory_bytes=budget.duckdb_bytes, threads=threads)
        return FileProfile(path=path, facts=facts, columns=columns)
    except (OSError, ValueError) as error:
        reason = quote_error(error)
        raise SourceError(f"the published file {code}.parquet cannot be read: {reason}") from error
