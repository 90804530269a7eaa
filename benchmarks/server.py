"""The server that is measured on, and the database of the benchmarks there.

`DUCKWARP_BENCH_DSN` names a server (a superuser's DSN); without it an embedded one is started.
A database of its own, so that every other session in it is the contestant's, and so are its
temporary files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from duckwarp.demo.server import embedded_server

VARIABLE = "DUCKWARP_BENCH_DSN"
DATABASE = "duckwarp_bench"
QUICK_DATABASE = "duckwarp_bench_quick"


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The DSN of a superuser on the server that is named, or on one that ends with the block."""
    given = os.environ.get(VARIABLE)
    if given:
        yield given
    else:
        with embedded_server() as embedded:
            yield embedded.dsn


@contextlib.contextmanager
def database(name: str, *, keep: bool) -> Iterator[str]:
    """The DSN (key=value) of the database `name`, made where it is missing.

    With `keep` it stays, so that the next run need not fill it again.
    """
    with server() as dsn:
        create_database(dsn, name)
        try:
            yield make_conninfo(dsn, dbname=name)
        finally:
            if not keep:
                drop_database(dsn, name)


def create_database(dsn: str, name: str) -> None:
    """Make the database on the server unless it is there."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        there = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone()
        if there is None:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
            connection.execute(statement.format(sql.Identifier(name)))


def drop_database(dsn: str, name: str) -> None:
    """Remove the database from the server, whoever is still connected to it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        connection.execute(statement.format(sql.Identifier(name)))


def uri_of(dsn: str) -> str:
    """The DSN as a URI with the host before the path, which is all that some drivers read."""
    parameters = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value}
    user = quote(parameters.get("user", "postgres"), safe="")
    if "password" in parameters:
        user += ":" + quote(parameters["password"], safe="")
    host = quote(parameters.get("host", "localhost"), safe="")
    port, name = parameters.get("port", "5432"), quote(parameters.get("dbname", "postgres"))
    return f"postgresql://{user}@{host}:{port}/{name}"
