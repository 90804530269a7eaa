"""What the fixtures of `conftest.py` hand out: databases and roles on the test server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo


def dsn_with(dsn: str, **overrides: str | int | None) -> str:
    """The DSN, as key=value, with some of its parameters replaced or added."""
    return make_conninfo(dsn, **overrides)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role that may log in."""

    name: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database of a test, and short ways to work in it as superuser."""

    dsn: str

    @property
    def name(self) -> str:
        """What it is called on the server."""
        return str(conninfo_to_dict(self.dsn)["dbname"])

    def dsn_as(self, role: Role) -> str:
        """The DSN of this database for `role`."""
        return dsn_with(self.dsn, user=role.name, password=role.password)

    def connect(self, **parameters: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection that commits each statement; `parameters` are libpq's and psycopg's own."""
        defaults: dict[str, Any] = {"autocommit": True, "client_encoding": "UTF8"}
        return psycopg.connect(self.dsn, **(defaults | parameters))

    def execute(
        self, statements: str | sql.SQL | sql.Composed, values: Sequence[Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """Runs the statements on a connection of their own; returns the rows of the first."""
        query = statements.encode() if isinstance(statements, str) else statements
        with self.connect() as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []
