"""The output folder before a run: can it be written, what is free, what have others left in it.

Looks and changes nothing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from duckwarp.files.opening import STAGING_FOLDER, open_regular
from duckwarp.model.filenames import parquet_in
from duckwarp.store.journal import has_begun
from duckwarp.store.lock import LOCK_NAME, NOTE_NAME, read_note
from duckwarp.store.staging import LOCK_SUFFIX, RUN_PREFIX

TRIAL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The file system that a folder is on, or will be once it is made."""

    device: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """The runs that have a folder of their own here.

    `living` says who each of those at work is; of the `dead`, `begun` had begun to publish.
    """

    living: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    begun: tuple[str, ...] = ()
    dead_bytes: int = 0


def existing(folder: Path) -> Path:
    """The folder, or the nearest one around it that is there."""
    folder = folder.absolute()
    return next(each for each in (folder, *folder.parents) if os.path.lexists(each))


def try_to_write(folder: Path) -> None:
    """Write a file without a name to the folder, or to the one in which it would be made.

    Raises `OSError`.
    """
    with tempfile.TemporaryFile(dir=existing(folder)) as file:
        file.write(bytes(TRIAL_BYTES))
        file.flush()
        os.fsync(file.fileno())


def disk_of(folder: Path) -> Disk:
    """Where the folder is, and what is free there for whoever is no superuser."""
    place = existing(folder)
    return Disk(device=place.stat().st_dev, free_bytes=shutil.disk_usage(place).free)


def published_bytes(folder: Path, code: str) -> int | None:
    """The size of the file that a source has at present; None where it has none."""
    try:
        return parquet_in(folder, code).stat().st_size
    except (OSError, ValueError):
        return None


def leftovers(folder: Path) -> Leftovers:
    """What is in the hidden folder. Raises `OSError` where it cannot be read."""
    base = folder / STAGING_FOLDER
    if base.is_symlink() or not base.is_dir():
        return Leftovers()
    runs = sorted(path for path in base.glob(f"{RUN_PREFIX}*") if path.is_dir())
    living = [run for run in runs if _is_held(base / f"{run.name}{LOCK_SUFFIX}")]
    dead = [run for run in runs if run not in living]
    # It has the folder from before its own folder is made.
    held = _is_held(base / LOCK_NAME)
    holder = str(read_note(base / NOTE_NAME) or "another run")
    return Leftovers(
        living=(holder,) if held else tuple(run.name for run in living),
        dead=tuple(run.name for run in dead),
        begun=tuple(run.name for run in dead if has_begun(run)),
        dead_bytes=sum(_size_of(run) for run in dead),
    )


def _is_held(lock: Path) -> bool:
    """Whether a process holds the lock."""
    try:
        with open_regular(lock) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _size_of(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*") if os.path.lexists(path))
