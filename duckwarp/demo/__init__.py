"""The demo: a sample publication, in an embedded PostgreSQL or on a server that is named.

Exports nothing itself.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from duckwarp.demo.publication import create_publication
from duckwarp.demo.server import embedded_server
from duckwarp.model.errors import RunError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoDatabase:
    """A database with the sample publication.

    `shown_dsn` is the DSN without a password, for people; `stop_hint` says how to end what was
    kept.
    """

    dsn: str = field(repr=False)
    shown_dsn: str
    stop_hint: str


@contextmanager
def demo_database(*, keep: bool = False, dsn: str | None = None) -> Iterator[DemoDatabase]:
    """The sample publication in a database of its own, which ends with the block unless kept.

    On the server of `dsn`, whose role has to be allowed to create databases, or on an embedded one.
    Raises `RunError` where the database cannot be made: the programs of PostgreSQL are missing, the
    server does not start, or refuses.
    """
    with _on_embedded(keep) if dsn is None else _on_server(dsn, keep) as database:
        try:
            create_publication(database.dsn)
        except psycopg.OperationalError as error:
            raise RunError(f"the demo cannot fill its database: {error}") from error
        yield database


@contextmanager
def _on_embedded(keep: bool) -> Iterator[DemoDatabase]:
    with _no_libpq_variables(), embedded_server(keep=keep) as server:
        yield DemoDatabase(dsn=server.dsn, shown_dsn=server.dsn, stop_hint=server.stop_hint)


@contextmanager
def _on_server(dsn: str, keep: bool) -> Iterator[DemoDatabase]:
    """A database of its own on the server of `dsn`, dropped with the block unless kept."""
    name = f"duckwarp_demo_{secrets.token_hex(4)}"
    drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
    _execute(dsn, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    kept = False
    try:
        parameters = conninfo_to_dict(dsn) | {"dbname": name}
        shown = {key: value for key, value in parameters.items() if key != "password"}
        yield DemoDatabase(
            dsn=make_conninfo("", **parameters),
            shown_dsn=make_conninfo("", **shown),
            stop_hint=f"DROP DATABASE {name}",
        )
        kept = keep
    finally:
        if not kept:
            _execute(dsn, drop)


def _execute(dsn: str, statement: str) -> None:
    try:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(statement.encode())
    except psycopg.ProgrammingError as error:
        if error.sqlstate is None:  # the string itself, which may hold a password
            raise UsageError("the connection string of the demo cannot be read") from None
        raise RunError(f"the server refuses the demo its database: {error}") from error
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise RunError(f"the demo cannot reach its server: {reason}") from None


@contextmanager
def _no_libpq_variables() -> Iterator[None]:
    """The environment without PGPORT, PGSERVICE and the like, which are about other servers."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PG")}
    try:
        yield
    finally:
        os.environ.update(hidden)
