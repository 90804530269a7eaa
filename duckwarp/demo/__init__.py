"""The demo: an embedded PostgreSQL and a sample publication in it. Exports nothing itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from duckwarp.demo.publication import create_publication
from duckwarp.demo.server import embedded_server


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoDatabase:
    """A database with the sample publication; `stop_hint` is the command that ends its server."""

    dsn: str
    stop_hint: str


@contextmanager
def demo_database(*, keep: bool = False) -> Iterator[DemoDatabase]:
    """The sample publication on a server of its own, which ends with the block unless kept.

    Raises `RunError` where the programs of PostgreSQL are missing or the server does not start.
    """
    with _no_libpq_variables(), embedded_server(keep=keep) as server:
        create_publication(server.dsn)
        yield DemoDatabase(dsn=server.dsn, stop_hint=server.stop_hint)


@contextmanager
def _no_libpq_variables() -> Iterator[None]:
    """The environment without PGPORT, PGSERVICE and the like, which are about other servers."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PG")}
    try:
        yield
    finally:
        os.environ.update(hidden)
