"""The output folder and its hidden staging area, where files are written before anyone sees them.

An output folder belongs to one run at a time (`lock.py`). A temporary folder may serve several:
each run has a folder of its own under `.duckwarp/`, held by a lock that dies with its process, so
that a later run can tell a dead run's leftovers from a living run's work. A dead run that had begun
to publish is not removed but completed (`publishing.py`). Nothing else is touched.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from duckwarp.files.opening import STAGING_FOLDER, describe_refusal
from duckwarp.model.errors import OutputUnusable
from duckwarp.model.filenames import utf8_path
from duckwarp.model.settings import Settings, Spill
from duckwarp.store.hidden import make_own_folder
from duckwarp.store.journal import has_begun
from duckwarp.store.lock import Holder, hold
from duckwarp.store.publishing import Pair, complete, pair_in

RUN_PREFIX = "run-"
LOCK_SUFFIX = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """The output folder, and this run's own folder inside it.

    `completed` names the dead runs whose publication this one has completed.
    """

    output_dir: Path
    folder: Path
    completed: tuple[str, ...] = ()


@contextlib.contextmanager
def open_staging(
    output_dir: Path,
    *,
    run_id: str = "",
    wait_seconds: float = 0.0,
    on_wait: Callable[[Holder | None], None] = lambda _: None,
) -> Iterator[Staging]:
    """This run's staging area in the output folder, which is made where it is missing.

    The folder is this run's alone until the block ends; another one's is waited for. Completes what
    a dead run had begun to publish, removes what others left, and itself at the end, however the
    run ends. Raises `OutputUnusable`, `Locked`, and `UsageError` for a path that is not UTF-8.
    """
    utf8_path(output_dir.absolute())
    made = _made(output_dir)
    base = _hidden(output_dir)
    try:
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(
                    hold(base, run_id=run_id, wait_seconds=wait_seconds, on_wait=on_wait)
                )
                completed = _complete_dead_runs(base, output_dir)
            except OSError as error:
                raise _unusable(output_dir, error) from error
            with _run_folder(output_dir) as folder:
                yield Staging(output_dir=output_dir, folder=folder, completed=completed)
    finally:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _made(output_dir: Path) -> list[Path]:
    """Make the folder; gives those that were missing, the innermost first."""
    missing = [folder for folder in (output_dir, *output_dir.parents) if not folder.exists()]
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(output_dir, error) from error
    return missing


def _hidden(parent: Path) -> Path:
    # Absolute, since libraries see more in a relative path than a path: `~x`, `file:x`.
    return parent.absolute() / STAGING_FOLDER


def _unusable(folder: Path, error: OSError, called: str = "output folder") -> OutputUnusable:
    if isinstance(error, FileExistsError):
        return OutputUnusable(folder, "it is not a folder", called)
    return OutputUnusable(folder, describe_refusal(error, folder), called)


@contextlib.contextmanager
def open_spill(staging: Staging, settings: Settings) -> Iterator[Spill]:
    """Where the run may spill: in its staging area, or in a folder of its own in another place.

    Raises `OutputUnusable`.
    """
    if settings.temp_dir is None:
        folder, place = staging.folder / "spill", staging.output_dir
        yield Spill(folder=folder, place=place, limit_bytes=settings.temp_limit_bytes)
        return
    with _run_folder(settings.temp_dir, "temporary folder") as folder:
        place, limit_bytes = settings.temp_dir, settings.temp_limit_bytes
        yield Spill(folder=folder, place=place, limit_bytes=limit_bytes)


@contextlib.contextmanager
def _run_folder(parent: Path, called: str = "output folder") -> Iterator[Path]:
    """A folder of this run's own in the hidden one of `parent`, held by a lock."""
    base = _hidden(parent)
    try:
        make_own_folder(base, called)
        name = f"{RUN_PREFIX}{secrets.token_hex(6)}"
        lock = FileLock(base / f"{name}{LOCK_SUFFIX}")
        lock.acquire()
        (base / name).mkdir(mode=0o700)
    except OSError as error:
        raise _unusable(parent, error, called) from error
    try:
        _open_folders.add(base / name)
        _remove_dead_runs(base)
        yield base / name
    finally:
        _open_folders.discard(base / name)
        if has_begun(base / name):
            # The next run completes what this one could not.
            (base / f"{name}{LOCK_SUFFIX}").unlink(missing_ok=True)
        else:
            _remove_run(base, name)
        lock.release()
        with contextlib.suppress(OSError):
            base.rmdir()


_open_folders: set[Path] = set()


def remove_at_once() -> bool:
    """Remove the folders of this process's runs, which goes no further; whether it may end so.

    It may not where a run has begun to publish.
    """
    folders = list(_open_folders)
    if any(map(has_begun, folders)):
        return False
    for folder in folders:
        _remove_run(folder.parent, folder.name)
    return True


def _complete_dead_runs(base: Path, output_dir: Path) -> tuple[str, ...]:
    """Put in place what dead runs had begun to; gives the names of those runs."""
    begun = [folder for folder in sorted(base.glob(f"{RUN_PREFIX}*")) if has_begun(folder)]
    for folder in begun:
        complete(folder, output_dir)
    return tuple(folder.name for folder in begun)


def _remove_dead_runs(base: Path) -> None:
    """Remove the folders of runs whose lock nobody holds, and which have not begun to publish."""
    for folder in base.glob(f"{RUN_PREFIX}*"):
        name = folder.name.removesuffix(LOCK_SUFFIX)
        lock = FileLock(base / f"{name}{LOCK_SUFFIX}", timeout=0)
        try:
            with lock:
                if not has_begun(base / name):
                    _remove_run(base, name)
        except (Timeout, OSError):
            continue


def _remove_run(base: Path, name: str) -> None:
    folder = base / name
    if folder.is_dir() and not folder.is_symlink():  # rmtree would wait for a FIFO
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        (base / f"{name}{LOCK_SUFFIX}").unlink(missing_ok=True)


def staged(staging: Staging, code: str) -> Pair:
    """Where the files of a source are written first."""
    return pair_in(staging.folder, code)


def published(staging: Staging, code: str) -> Pair:
    """Where the files of a source appear."""
    return pair_in(staging.output_dir, code)


def discard(staging: Staging, code: str) -> None:
    """Remove what a source has staged; what cannot be removed goes with the folder."""
    pair = staged(staging, code)
    with contextlib.suppress(OSError):
        pair.parquet.unlink(missing_ok=True)
        pair.markdown.unlink(missing_ok=True)
