"""Opening files that this run has not made: looked at first, not followed, and never waited for.

A FIFO, a device, a socket or a folder may have the name of a file: opening it could wait for ever.
What is wrong with it is an `OSError` whose `strerror` says what it is.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader, FileIO
from pathlib import Path

# The hidden folder in an output folder.
STAGING_FOLDER = ".duckwarp"
FEW_INODES = 16
_NOT_BLOCKING = os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}
_ERRNOS = {stat.S_IFDIR: errno.EISDIR, stat.S_IFLNK: errno.ELOOP}


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading. Raises `OSError`, also for all that is no regular file."""
    # Opening may already do something to a device.
    _check_regular(path, os.lstat(path).st_mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | _NOT_BLOCKING)
    try:
        _check_regular(path, os.fstat(descriptor).st_mode)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def check_readable(path: Path) -> None:
    """Raises the `OSError` of `open_regular`, for readers that open a path by themselves."""
    open_regular(path).close()


def check_place(path: Path, *, link: bool = True) -> None:
    """Raises `OSError` where something is at `path` that a file cannot take the place of.

    A symbolic link would be replaced, unless `link` is false.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode) and not (link and stat.S_ISLNK(mode)):
        error = _not_regular(path, stat.S_IFMT(mode))
        raise OSError(error.errno, f"{error.strerror}; move it away", str(path))


def open_to_append(path: Path) -> FileIO:
    """Open a file to write at its end, which is made where it is missing. Raises `OSError`.

    A symbolic link is followed, `/dev/stdout` for instance. Streams, and FIFOs that somebody reads,
    are opened, too: where they take nothing at the moment, `write` gives None instead of waiting.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NOT_BLOCKING
    try:
        if stat.S_ISBLK(os.stat(path).st_mode):  # a whole disk
            raise _not_regular(path, stat.S_IFBLK)
    except FileNotFoundError:
        pass
    try:
        return open(os.open(path, flags, 0o666), "ab", buffering=0)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        kind = stat.S_IFMT(os.stat(path).st_mode)
        reason = "it is a FIFO that nobody reads" if kind == stat.S_IFIFO else _what_it_is(kind)
        raise OSError(errno.ENXIO, reason, str(path)) from error


def _check_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise _not_regular(path, stat.S_IFMT(mode))


def _not_regular(path: Path, kind: int) -> OSError:
    return OSError(_ERRNOS.get(kind, errno.EINVAL), _what_it_is(kind), str(path))


def _what_it_is(kind: int) -> str:
    return f"it is {_KINDS.get(kind, 'something else')}, not a file"


def describe_error(error: OSError) -> str:
    """The system's words for an error, and that no inodes are left, where it is for that."""
    words = error.strerror or os.strerror(error.errno or errno.EIO)
    if error.errno == errno.ENOSPC and error.filename is not None:
        folder = Path(os.fsdecode(error.filename)).parent
        return f"{words}{inodes_text(folder)}"
    return words


def name_file(error: OSError) -> Path | None:
    """The file that an error is about. Of two names it is the one that is not in staging."""
    names = [name for name in (error.filename2, error.filename) if name is not None]
    paths = [Path(os.fsdecode(name)) for name in names]
    return next(
        (path for path in paths if STAGING_FOLDER not in path.parts), next(iter(paths), None)
    )


def describe_refusal(error: OSError, folder: Path) -> str:
    """The system's words for what was refused in a folder, with the name of the file in the way.

    Where there is no such file it is for the folder's own sake.
    """
    path, words = name_file(error), describe_error(error)
    is_in_it = path is not None and path != folder and os.path.lexists(path)
    return f"{path}: {words}" if is_in_it else words


def inodes_text(folder: Path) -> str:
    """Says that the file system of a folder has no inodes left, or few; empty where it has more.

    Few, since what was written before an error may be removed by now.
    """
    try:
        status = os.statvfs(folder)
    except OSError:
        return ""
    # A file system that makes them as they are needed has none to count.
    if not status.f_files or status.f_favail > FEW_INODES:
        return ""
    count = status.f_favail or "no"
    return f"; {folder} has {count} free inodes: remove files there, whatever their size"
