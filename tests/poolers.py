"""A PgBouncer in front of the test server, from Debian's package."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from duckwarp.demo.server import UNPRIVILEGED_USER
from tests.support import Database, dsn_with

PORT = 6432
PATIENCE_SECONDS = 30.0
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")


@contextmanager
def pgbouncer(database: Database, **settings: str | int) -> Iterator[str]:
    """A PgBouncer with these settings; the DSN of `database` through it."""
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-", dir="/tmp"))
    owner = pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else None
    target = conninfo_to_dict(database.dsn)
    known = {key: target[key] for key in ("host", "port", "user", "password") if target.get(key)}
    server = " ".join(f"{key}={value}" for key, value in known.items())
    lines = {
        "listen_addr": "",
        "listen_port": PORT,
        "unix_socket_dir": folder,
        "auth_type": "any",
        "server_login_retry": 0,
    } | settings
    body = "\n".join(f"{key} = {value}" for key, value in lines.items())
    ini = folder / "pgbouncer.ini"
    ini.write_text(f"[databases]\n* = {server}\n[pgbouncer]\n{body}\n")
    if owner:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        os.chown(ini, owner.pw_uid, owner.pw_gid)
    assert PGBOUNCER is not None
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [PGBOUNCER, str(ini)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            extra_groups=[] if owner else None,
        )
    try:
        dsn = dsn_with(
            f"host={folder} port={PORT} user=reader", dbname=target["dbname"], connect_timeout=10
        )
        _wait_for(dsn, process, folder)
        yield dsn
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        shutil.rmtree(folder)


def _wait_for(dsn: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            psycopg.connect(dsn, dbname="pgbouncer", user="pgbouncer").close()
        except psycopg.OperationalError as error:
            log = (folder / "log").read_text()
            assert process.poll() is None, log
            if "No such file" not in str(error) and "refused" not in str(error):
                return
            assert time.monotonic() < deadline, log
            time.sleep(0.02)
        else:
            return
