"""What stands between a run and its server: poolers and balancers, as small as can be."""

from __future__ import annotations

import os
import pwd
import selectors
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.support import dsn_with

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {size}
query_wait_timeout = 5
logfile = {folder}/log
"""


class PoolMaker(Protocol):
    """Starts a PgBouncer in front of the server of `dsn`; the DSN through it."""

    def __call__(self, dsn: str, mode: str, size: int = 20) -> str: ...


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[PoolMaker]:
    """Makes pools of sessions, which are closed after the test."""
    if PGBOUNCER is None:
        pytest.skip("needs Debian's package pgbouncer")
    started: list[subprocess.Popen[bytes]] = []

    def make(dsn: str, mode: str, size: int = 20) -> str:
        folder = tmp_path / f"pool{len(started)}"
        folder.mkdir(mode=0o777)
        port = free_port()
        server = conninfo_to_dict(dsn)
        (folder / "users").write_text(f'"{server["user"]}" ""\n')
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            CONFIGURATION.format(
                host=server["host"],
                port=server.get("port", 5432),
                listen_port=port,
                mode=mode,
                size=size,
                folder=folder,
            )
        )
        started.append(_as_anybody([str(PGBOUNCER), str(configuration)], folder))
        pooled = dsn_with(dsn, host="127.0.0.1", port=port)
        _wait_for(pooled)
        return pooled

    yield make
    for process in started:
        process.terminate()
        process.wait()


def _as_anybody(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start a program that refuses to run as root, as another user if need be."""
    user = None
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody").pw_uid
        for path in (folder, *folder.parents):
            if path.stat().st_uid == 0 and path != Path("/") and path.is_relative_to("/tmp"):
                path.chmod(path.stat().st_mode | 0o711)
        for path in (folder, *folder.iterdir()):
            os.chown(path, user, -1)
    return subprocess.Popen(
        command, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _wait_for(dsn: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(dsn).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def balancer(*targets: tuple[str, int]) -> Iterator[int]:
    """A port whose connections go to the sockets or hosts of `targets` in turn."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        open_sockets: list[socket.socket] = []

        def accept() -> None:
            for number in range(1_000):
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                server = _connected(*targets[number % len(targets)])
                open_sockets.extend((client, server))
                threading.Thread(target=_pump, args=(client, server), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for each in open_sockets:
                each.close()


def _connected(host: str, port: int) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(f"{host}/.s.PGSQL.{port}")
    return connected


def _pump(client: socket.socket, server: socket.socket) -> None:
    """Hand on what either side says until one of them ends."""
    with client, server, selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        while True:
            for key, _ in selector.select():
                try:
                    data = key.fileobj.recv(65_536)  # type: ignore[union-attr]
                    if not data:
                        return
                    key.data.sendall(data)
                except OSError:
                    return
