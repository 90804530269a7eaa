"""The hidden folder for staging: it has to be the run's own, since what is in it gets published."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from duckwarp.model.errors import OutputUnusable

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make_own_folder(base: Path, called: str = "output folder") -> None:
    """Make the hidden folder of the folder that is `called` so; one that is there has to be ours.

    Raises `OutputUnusable` for one that is not, and `OSError` where it cannot be made.
    """
    try:
        # What was made just now is ours, whatever owner the file system shows.
        base.mkdir(mode=0o700)
    except FileExistsError:
        problem = find_problem(base)
        if problem is not None:
            raise OutputUnusable(base.parent, problem, called) from None


def find_problem(base: Path) -> str | None:
    """Why no run may use the hidden folder that is there; None for one that is ours, or missing."""
    try:
        status = base.lstat()
    except FileNotFoundError:
        return None
    name = f"{base.name} in it"
    if stat.S_ISLNK(status.st_mode):
        return f"{name} is a symbolic link, which no run follows: remove it"
    if not stat.S_ISDIR(status.st_mode):
        return f"{name} is not a folder: move it away"
    if status.st_uid != os.geteuid():
        return (
            f"{name} belongs to {_user(status.st_uid)} and this run to {_user(os.geteuid())}: run "
            "as that user, or remove it if no run of theirs is at work (on a volume that changes "
            "owners, a run that was killed has left it)"
        )
    if status.st_mode & OTHERS_WRITE:
        mode = stat.S_IMODE(status.st_mode)
        return f"{name} can be written by others (mode {mode:o}): remove it, or chmod it to 700"
    return None


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
