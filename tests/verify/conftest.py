"""Databases that live as long as a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import Database
from tests.types.harness import scratch_database


@pytest.fixture(scope="module")
def module_database(server_dsn: str, worker_id: str) -> Iterator[Database]:
    """An empty database in UTF8 for all tests of a module."""
    with scratch_database(server_dsn, worker_id) as database:
        yield database
