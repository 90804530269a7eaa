"""Servers of a test's own, from the programs of a whole PostgreSQL: to restart, to copy, to speak
another language. Debian's package `postgresql` has them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import Database

UNPRIVILEGED_USER = "nobody"
PORT = 5432
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "shared_buffers": "16MB",
    "max_connections": "30",
}


def programs() -> Path | None:
    """The folder of the newest PostgreSQL that can make standbys."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/pg_basebackup")]
    on_path = shutil.which("pg_basebackup")
    found += [Path(on_path).resolve().parent] if on_path else []
    whole = [path for path in found if (path / "postgres").exists() and (path / "initdb").exists()]
    return max(whole, key=lambda path: path.parent.name, default=None)


needs_programs = pytest.mark.skipif(
    programs() is None, reason="pg_basebackup and the server's programs are not installed"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server whose data and socket are in `folder`."""

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        """Its one database, as superuser."""
        return Database(dsn=f"host={self.folder} port={PORT} user=postgres dbname=postgres")

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self.run("pg_ctl", "start", "--wait", "--silent", f"--log={self.folder / 'log'}")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it at once, as a crash does, unless another mode is named."""
        self.run("pg_ctl", "stop", "--wait", "--silent", f"--mode={mode}")

    def run(self, program: str, *arguments: str) -> None:
        """Run a program of PostgreSQL's on the data."""
        run_program(self.folder, program, "-D", str(self.folder / "data"), *arguments,
                    environ=self.environ)  # fmt: skip

    def configure(self, **settings: str) -> None:
        """Add to its settings; they count from the next start."""
        with (self.folder / "data/postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())


def run_program(
    folder: Path, program: str, *arguments: str, environ: Mapping[str, str] | None = None
) -> None:
    where, owner = programs(), _owner()
    assert where is not None
    ended = subprocess.run(
        [str(where / program), *arguments],
        cwd=folder,
        env={"LC_ALL": "C", "PATH": os.defpath} | dict(environ or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        user=owner.pw_uid if owner else None,
        group=owner.pw_gid if owner else None,
        extra_groups=[] if owner else None,
    )
    assert ended.returncode == 0, ended.stdout


def _owner() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root."""
    return pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else None


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="duckwarp-", dir="/tmp"))
    if owner := _owner():
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """The server, started, until the block ends."""
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def own_server(environ: Mapping[str, str] | None = None, **settings: str) -> Iterator[Server]:
    """A new server with these settings."""
    with _folder() as folder:
        server = Server(folder=folder, environ=environ or {})
        server.run(
            "initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale",
            "--no-sync", "--no-instructions",
        )  # fmt: skip
        server.configure(**_SETTINGS, unix_socket_directories=str(folder), **settings)
        with running(server):
            yield server


@contextmanager
def standby_of(primary: Server, **settings: str) -> Iterator[Server]:
    """A hot standby that follows `primary`, with these settings of its own."""
    with _folder() as folder:
        server = Server(folder=folder)
        run_program(
            folder, "pg_basebackup", f"--dbname={primary.database.dsn}", "--checkpoint=fast",
            "--write-recovery-conf", "--no-sync", "--pgdata", str(folder / "data"),
        )  # fmt: skip
        server.configure(unix_socket_directories=str(folder), **settings)
        with running(server):
            yield server
