"""One question in the run's snapshot, under a savepoint: its failure leaves the snapshot usable."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

SAVEPOINT = "duckwarp_question"


def ask(connection: psycopg.Connection[Any], query: str) -> list[Any]:
    """The rows of a query. Raises psycopg's errors."""
    if not in_snapshot(connection):
        with connection.transaction():
            return connection.execute(query.encode()).fetchall()
    return _asked_at_once(connection, query)


def in_snapshot(connection: psycopg.Connection[Any]) -> bool:
    """Whether a transaction is open that can be asked more, also after a question has failed."""
    return connection.info.transaction_status is TransactionStatus.INTRANS


def _asked_at_once(connection: psycopg.Connection[Any], query: str) -> list[Any]:
    """The rows of a query; the savepoint around it travels with it, as one message."""
    cursor = connection.cursor()
    # A line of its own, whatever the query ends in.
    guarded = f"SAVEPOINT {SAVEPOINT}; {query}\n; RELEASE SAVEPOINT {SAVEPOINT}"
    try:
        cursor.execute(guarded.encode(), prepare=False)
    except psycopg.Error:
        if connection.info.transaction_status is TransactionStatus.INERROR:
            connection.execute(f"ROLLBACK TO SAVEPOINT {SAVEPOINT}; RELEASE SAVEPOINT {SAVEPOINT}")
        raise
    cursor.nextset()
    return cursor.fetchall()
