"""One run at a time in an output folder: who holds it, since when, and waiting for them.

The lock is the operating system's and dies with its process. A note beside it says who holds it;
what it says is for people, and nothing depends on it.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from duckwarp.files.opening import check_place, open_regular
from duckwarp.model.errors import Locked
from duckwarp.store.hidden import make_own_folder

LOCK_NAME = "lock"
NOTE_NAME = "holder.json"
POLL_SECONDS = 0.1
MAX_NOTE_BYTES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that has a folder: `since` is in UTC, ISO 8601."""

    run_id: str
    pid: int
    host: str
    user: str
    since: str

    def __str__(self) -> str:
        return (
            f"run {self.run_id} (process {self.pid} of {self.user} on {self.host}) "
            f"since {self.since}"
        )


@contextlib.contextmanager
def hold(
    base: Path,
    *,
    run_id: str,
    wait_seconds: float = 0.0,
    on_wait: Callable[[Holder | None], None] = lambda _: None,
) -> Iterator[None]:
    """Have the folder `base`, which is made, for this run alone until the block ends.

    Waits up to `wait_seconds` for another run, after `on_wait` was told who that is. The folder is
    removed at the end if nothing else is in it. Raises `Locked`, and `OSError` where `base` cannot
    be written.
    """
    lock = FileLock(base / LOCK_NAME, mode=0o600, timeout=0)
    try:
        _acquire(base, lock, wait_seconds, on_wait)
        _write_note(base / NOTE_NAME, _this_process(run_id))
        yield
    finally:
        if lock.is_locked:
            with contextlib.suppress(OSError):
                (base / NOTE_NAME).unlink(missing_ok=True)
                # While it is held: whoever opened it before finds out that it has no name now.
                (base / LOCK_NAME).unlink(missing_ok=True)
            lock.release()
            with contextlib.suppress(OSError):
                base.rmdir()


def _acquire(
    base: Path, lock: FileLock, wait_seconds: float, on_wait: Callable[[Holder | None], None]
) -> None:
    deadline = time.monotonic() + wait_seconds
    waited = False
    while not _acquired(base, lock):
        holder = read_note(base / NOTE_NAME)
        if time.monotonic() >= deadline:
            raise Locked(base.parent, None if holder is None else str(holder), wait_seconds)
        if not waited:
            on_wait(holder)
            waited = True
        time.sleep(POLL_SECONDS)


def _acquired(base: Path, lock: FileLock) -> bool:
    make_own_folder(base)
    check_place(base / LOCK_NAME, link=False)
    try:
        lock.acquire()
    except Timeout:
        return False
    except FileNotFoundError:
        # The run that held it has just removed the folder.
        return False
    return True


def _this_process(run_id: str) -> Holder:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such user in the system's list
        user = str(os.getuid())
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return Holder(run_id=run_id, pid=os.getpid(), host=socket.gethostname(), user=user, since=since)


def _write_note(path: Path, holder: Holder) -> None:
    """A full disk is no reason not to run: the note is for people."""
    scratch = path.with_suffix(".new")
    try:
        scratch.unlink(missing_ok=True)
        with open(scratch, "x", encoding="utf-8") as file:
            json.dump(asdict(holder), file)
        scratch.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)


def read_note(path: Path) -> Holder | None:
    """Who holds the folder; None where the note is missing or is no such note."""
    try:
        with open_regular(path) as file:
            said = json.loads(file.read(MAX_NOTE_BYTES))
        return Holder(**said) if isinstance(said, dict) else None
    except (OSError, ValueError, TypeError):
        return None
