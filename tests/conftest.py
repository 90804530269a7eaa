"""The test server, its databases and its roles.

`DUCKWARP_TEST_DSN` (a superuser's DSN) names an existing server; without it each worker starts the
embedded one. Whatever a test makes on the server is dropped after it.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

from duckwarp.demo.publication import create_publication
from duckwarp.demo.server import embedded_server
from tests.support import Database, Role, dsn_with

# Read before the fixture below takes it out of the environment.
TEST_DSN = os.environ.get("DUCKWARP_TEST_DSN")
# The last ones tell runs where to send lineage.
CONNECTION_VARIABLES = ("PG", "DUCKWARP_", "DATABASE_URL", "POSTGRES_", "OPENLINEAGE")

# Where a file system in memory is, if there is one, and how much the databases of all tests need.
MEMORY_FOLDER = Path("/dev/shm")
ROOM_BYTES = 8_000_000_000

_numbers = itertools.count(1)


class DatabaseMaker(Protocol):
    """Makes an empty database; an encoding other than UTF8 comes with the locale C."""

    def __call__(self, *, encoding: str = "UTF8") -> Database: ...


class RoleMaker(Protocol):
    """Makes a role that may log in, with further `options` of CREATE ROLE."""

    def __call__(self, options: str = "") -> Role: ...


@pytest.fixture(autouse=True)
def _no_connection_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(CONNECTION_VARIABLES):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried soon."""
    monkeypatch.setattr("duckwarp.export.retry.FIRST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr("duckwarp.export.retry.JITTER_SECONDS", 0.01)


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """The DSN of a superuser on the test server."""
    if TEST_DSN:
        yield TEST_DSN
        return
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            if _is_roomy(MEMORY_FOLDER):
                patch.setattr(tempfile, "tempdir", str(MEMORY_FOLDER))
            server = stack.enter_context(embedded_server())
        yield server.dsn


def _is_roomy(folder: Path) -> bool:
    """Whether databases can be made there: twenty times as fast as on a disk."""
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ROOM_BYTES


@pytest.fixture
def make_role(server_dsn: str, worker_id: str) -> Iterator[RoleMaker]:
    """Makes roles; they are dropped after the databases of the test."""
    made: list[Role] = []

    def make(options: str = "") -> Role:
        role = Role(name=_unique(worker_id), password="secret word")
        statement = f"CREATE ROLE {role.name} LOGIN PASSWORD '{role.password}' {options}"
        _on_server(server_dsn, statement)
        made.append(role)
        return role

    yield make
    for role in made:
        _on_server(server_dsn, f"DROP ROLE {role.name}")


@pytest.fixture
def make_database(server_dsn: str, worker_id: str, make_role: RoleMaker) -> Iterator[DatabaseMaker]:
    """Makes empty databases; they are dropped after the test, whoever is still connected."""
    made: list[Database] = []

    def make(*, encoding: str = "UTF8") -> Database:
        options = f"TEMPLATE template0 ENCODING '{encoding}'"
        if encoding != "UTF8":
            options += " LOCALE 'C'"
        made.append(_create_database(server_dsn, _unique(worker_id), options))
        return made[-1]

    yield make
    for database in made:
        _drop_database(server_dsn, database)


@pytest.fixture
def database(make_database: DatabaseMaker) -> Database:
    """An empty database of the test's own, in UTF8."""
    return make_database()


@pytest.fixture(scope="session")
def demo_dsn(server_dsn: str, worker_id: str) -> Iterator[str]:
    """The DSN of a database with the sample publication, which all tests read and none changes."""
    options = "TEMPLATE template0 ENCODING 'UTF8'"
    database = _create_database(server_dsn, _unique(worker_id), options)
    create_publication(database.dsn)
    yield database.dsn
    _drop_database(server_dsn, database)


@pytest.fixture
def demo_copy(
    server_dsn: str, worker_id: str, demo_dsn: str, make_role: RoleMaker
) -> Iterator[Database]:
    """A copy of the sample publication that the test may change."""
    template = Database(dsn=demo_dsn).name
    database = _create_database(server_dsn, _unique(worker_id), f"TEMPLATE {template}")
    yield database
    _drop_database(server_dsn, database)


def _unique(worker_id: str) -> str:
    """A name that no other test, worker or run on the same server has."""
    return f"duckwarp_test_{worker_id}_{os.getpid()}_{next(_numbers)}"


def _create_database(server_dsn: str, name: str, options: str) -> Database:
    _on_server(server_dsn, f"CREATE DATABASE {name} {options}")
    return Database(dsn=dsn_with(server_dsn, dbname=name))


def _drop_database(server_dsn: str, database: Database) -> None:
    _on_server(server_dsn, f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)")


def _on_server(server_dsn: str, statement: str) -> None:
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(statement.encode())
