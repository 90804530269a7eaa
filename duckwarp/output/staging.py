"""The output folder: a hidden staging area, and files that appear complete or not at all.

Each run has a folder of its own under `.duckwarp/`, held by a lock that dies with its process, so
that a later run can tell a dead run's leftovers from a living run's work. Nothing else is touched.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from duckwarp.errors import OutputUnusable, SourceError
from duckwarp.settings import Settings, Spill

STAGING_FOLDER = ".duckwarp"
RUN_PREFIX = "run-"
LOCK_SUFFIX = ".lock"
MAX_CODE_BYTES = 200
# Names in the output folder that are not a source's.
RESERVED_CODES = frozenset({"catalog", "datapackage"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """The output folder, and this run's own folder inside it."""

    output_dir: Path
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The two files of a source, staged or published."""

    parquet: Path
    markdown: Path


def check_code(code: str) -> None:
    """Raises `SourceError` for a code that is no sane name for a file in the output folder."""
    problem = _problem_with(code)
    if problem:
        raise SourceError(f"the code {code[:60]!r} cannot be a file name: {problem}")


def _problem_with(code: str) -> str | None:
    """Why the code is no file name, None if it is one."""
    size_bytes = len(code.encode(errors="surrogatepass"))
    problems = {
        "it is empty": not code.strip(),
        "it has a control character": any(ord(c) < 32 or ord(c) == 127 for c in code),
        "it has a slash, and would leave the output folder": "/" in code or "\\" in code,
        "it is not UTF-8": any(0xD800 <= ord(c) <= 0xDFFF for c in code),
        "it starts with a dot": code.startswith("."),
        f"it has {size_bytes} bytes, more than {MAX_CODE_BYTES}": size_bytes > MAX_CODE_BYTES,
        "the name is reserved": code in RESERVED_CODES,
    }
    return next((problem for problem, applies in problems.items() if applies), None)


@contextlib.contextmanager
def open_staging(output_dir: Path) -> Iterator[Staging]:
    """This run's staging area in the output folder, which is made where it is missing.

    Removes what dead runs left, and itself at the end, however the run ends. Raises
    `OutputUnusable`.
    """
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputUnusable(output_dir, "it is not a folder") from error
    except OSError as error:
        raise OutputUnusable(output_dir, os.strerror(error.errno or errno.EIO)) from error
    with _run_folder(output_dir) as folder:
        yield Staging(output_dir=output_dir, folder=folder)


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
    """A folder of this run's own in the hidden one of `parent`, held by a lock.

    The hidden one must be ours: a symlink in its place would lead elsewhere.
    """
    # Absolute, since libraries see more in a relative path than a path: `~x`, `file:x`.
    base = parent.absolute() / STAGING_FOLDER
    if base.is_symlink():
        raise OutputUnusable(parent, f"{base.name} in it is a symbolic link", called)
    try:
        base.mkdir(mode=0o700, exist_ok=True)
        name = f"{RUN_PREFIX}{secrets.token_hex(6)}"
        lock = FileLock(base / f"{name}{LOCK_SUFFIX}")
        lock.acquire()
        (base / name).mkdir(mode=0o700)
    except FileExistsError as error:
        raise OutputUnusable(parent, "it is not a folder", called) from error
    except OSError as error:
        raise OutputUnusable(parent, os.strerror(error.errno or errno.EIO), called) from error
    try:
        _remove_dead_runs(base)
        yield base / name
    finally:
        _remove_run(base, name)
        lock.release()
        with contextlib.suppress(OSError):
            base.rmdir()


def _remove_dead_runs(base: Path) -> None:
    """Remove the folders of runs whose lock nobody holds."""
    for folder in base.glob(f"{RUN_PREFIX}*"):
        name = folder.name.removesuffix(LOCK_SUFFIX)
        lock = FileLock(base / f"{name}{LOCK_SUFFIX}", timeout=0)
        try:
            with lock:
                _remove_run(base, name)
        except (Timeout, OSError):
            continue


def _remove_run(base: Path, name: str) -> None:
    shutil.rmtree(base / name, ignore_errors=True)
    (base / f"{name}{LOCK_SUFFIX}").unlink(missing_ok=True)


def staged(staging: Staging, code: str) -> Pair:
    """Where the files of a source are written first."""
    return _pair(staging.folder, code)


def published(staging: Staging, code: str) -> Pair:
    """Where the files of a source appear."""
    return _pair(staging.output_dir, code)


def _pair(folder: Path, code: str) -> Pair:
    return Pair(parquet=folder / f"{code}.parquet", markdown=folder / f"{code}.md")


def publish(staging: Staging, code: str) -> Pair:
    """Flush the staged pair to disk and put it in place, both files or neither.

    A failure leaves the previous pair as it was. Raises `OSError`.
    """
    source, target = staged(staging, code), published(staging, code)
    for path in (source.parquet, source.markdown):
        _flush(path)
    for path in (target.parquet, target.markdown):
        if path.is_dir() and not path.is_symlink():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    previous = _second_name(target.parquet, staging.folder / f"{code}.previous")
    try:
        source.parquet.replace(target.parquet)
    finally:
        # Once the first is in place the second follows, also when an interrupt comes between.
        if not source.parquet.exists():
            _follow(source.markdown, target.markdown, target.parquet, previous)
    _flush(staging.output_dir)
    return target


def _second_name(path: Path, name: Path) -> Path | None:
    """`name` as another name of the file at `path`; None where there is no file."""
    name.unlink(missing_ok=True)
    if not os.path.lexists(path):
        return None
    try:
        name.hardlink_to(path)
    except OSError:  # a file system without links
        shutil.copy2(path, name, follow_symlinks=False)
    return name


def _follow(markdown: Path, target: Path, parquet: Path, previous: Path | None) -> None:
    """Put the second file in place, or the first one back as it was."""
    try:
        markdown.replace(target)
    except OSError:
        if previous is None:
            parquet.unlink()
        else:
            previous.replace(parquet)
        raise


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def discard(staging: Staging, code: str) -> None:
    """Remove what a failed source has staged."""
    pair = staged(staging, code)
    pair.parquet.unlink(missing_ok=True)
    pair.markdown.unlink(missing_ok=True)
