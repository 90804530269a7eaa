"""Short ways to stage and publish files whose content does not matter, and to look at a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from duckwarp.model.change import Change
from duckwarp.store import publishing
from duckwarp.store.publishing import Changes
from duckwarp.store.staging import Staging, staged


def write_pair(staging: Staging, code: str, text: str) -> None:
    """Stage a pair of files with this text."""
    pair = staged(staging, code)
    pair.parquet.write_text(text)
    pair.markdown.write_text(text)


def publish(staging: Staging, *codes: str, **more: Any) -> dict[str, OSError]:
    """Publish the staged pairs of these codes."""
    changes = Changes(changed=tuple(Change(code=code) for code in codes))
    return publishing.publish(staging.folder, staging.output_dir, changes, **more)


def names_in(folder: Path) -> set[str]:
    """All that is in a folder and below it, hidden things too."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def texts_in(folder: Path) -> dict[str, str]:
    """The texts of the files of a folder, by name, without those that are hidden."""
    return {
        path.name: path.read_text() for path in folder.iterdir() if not path.name.startswith(".")
    }


def identity(path: Path) -> tuple[int, int, int, int]:
    """What rsync, git and HTTP caches go by: inode, size, time of the last change, mode."""
    found = path.lstat()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode
