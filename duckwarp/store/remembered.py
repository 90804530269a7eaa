"""What an output folder remembers of the last export of each source, for those who ask to skip it.

Kept in the hidden folder. A record that is missing, broken or of other files than those that are
there is as good as none: the source is read then.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from duckwarp.files.opening import open_regular
from duckwarp.store.publishing import pair_in

RECORD_NAME = "exports.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The last export of a source.

    `mark` shows whether anything was loaded since, `shape` whether it would be written in another
    way. `files` has the size and the time of the last change (ns) of the Parquet file and of the
    dictionary.
    """

    mark: str
    shape: str
    rows: int
    columns: int
    files: tuple[tuple[int, int], ...]


def files_of(output_dir: Path, code: str) -> tuple[tuple[int, int], ...] | None:
    """How the published files of a source are recognised; None where they are not both there."""
    pair = pair_in(output_dir, code)
    found = []
    for path in (pair.parquet, pair.markdown):
        try:
            status = path.lstat()
        except OSError:
            return None
        if path.is_symlink():
            return None
        found.append((status.st_size, status.st_mtime_ns))
    return tuple(found)


def recall(hidden: Path) -> dict[str, Remembered]:
    """What is remembered, by code."""
    try:
        with open_regular(hidden / RECORD_NAME) as file:
            said = json.load(file)
        return {
            code: Remembered(**each | {"files": tuple(map(tuple, each["files"]))})
            for code, each in said.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return {}


def remember(hidden: Path, exports: Mapping[str, Remembered]) -> None:
    """Keep what is to be remembered. What cannot be kept is read again the next time."""
    scratch = hidden / f"{RECORD_NAME}.new"
    with contextlib.suppress(OSError):
        scratch.unlink(missing_ok=True)
        with open(scratch, "x", encoding="utf-8") as file:
            json.dump({code: asdict(each) for code, each in exports.items()}, file)
        scratch.replace(hidden / RECORD_NAME)
