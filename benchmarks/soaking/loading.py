"""Thirty tables that somebody keeps loading, updating, altering, dropping and creating again.

Every commit is a generation, and brings the tables to it that do not rest in it; its number is in
each of their rows. What a table holds follows from its number and its generation alone, so that
whoever reads it can tell whether it is all there, and whether two tables are of one commit.

    python -m benchmarks.soaking.loading DSN SEED    until standard input ends
"""

from __future__ import annotations

import json
import random
import select
import sys
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import psycopg
from psycopg import errors as pg_errors

PUBLICATION = "soak"
SOURCES = 30
REGISTRY_SCHEMA = "soak_registry"
SCHEMA = "soak_staging"
# The next commit comes after at most one of these: several within a run, or none between two.
PAUSES_SECONDS = (0.2, 0.2, 0.2, 3.0)
# How long it waits for the locks of a run before it tries again, as a loader should.
PATIENCE = ("100ms", "100ms", "100ms", "3s")
_COLUMNS = "id int, generation int, amount numeric(12,2), said text"


class Row(NamedTuple):
    """What a row of a table holds, but for columns that come and go."""

    id: int
    generation: int
    amount: Decimal
    said: str


def code_of(number: int) -> str:
    """The code of a source, which is the name of its table, too."""
    return f"{PUBLICATION}_{number:02}"


def number_of(code: str) -> int:
    """The number of the source of that code."""
    return int(code.rpartition("_")[2])


def rows_of(number: int, generation: int) -> int:
    """How many rows the table has in that generation."""
    return 20 + (number * 37 + generation * 13) % 150


def row_of(number: int, generation: int, id: int) -> Row:
    """The row as the SQL below makes it."""
    amount = Decimal(id * 125 + generation * 100).scaleb(-2)
    return Row(id, generation, amount, f"row {id} of table {number}, generation {generation}")


def rests(number: int, generation: int) -> bool:
    """Whether the table stays in this generation what it was in the one before."""
    return (number + generation) % 4 == 0


def last_of(number: int, generation: int) -> int:
    """The last generation in which a table is still as it was made in this one."""
    while rests(number, generation + 1):
        generation += 1
    return generation


def _values(number: int, generation: int, first: int = 1) -> str:
    last = rows_of(number, generation)
    return f"""
        SELECT id, {generation}, id * 1.25 + {generation},
               'row ' || id || ' of table {number}, generation {generation}'
        FROM generate_series({first}, {last}) AS id"""


def _create(number: int, generation: int, more: str = "") -> str:
    table = f"{SCHEMA}.{code_of(number)}"
    return f"""
        CREATE TABLE {table} ({_COLUMNS}{more});
        INSERT INTO {table} (id, generation, amount, said) {_values(number, generation)};"""


def _reload(number: int, generation: int) -> str:
    table = f"{SCHEMA}.{code_of(number)}"
    return f"""
        TRUNCATE {table};
        INSERT INTO {table} (id, generation, amount, said) {_values(number, generation)};"""


def _update(number: int, generation: int) -> str:
    table = f"{SCHEMA}.{code_of(number)}"
    return f"""
        UPDATE {table} SET generation = {generation}, amount = id * 1.25 + {generation},
            said = 'row ' || id || ' of table {number}, generation {generation}';
        DELETE FROM {table} WHERE id > {rows_of(number, generation)};
        INSERT INTO {table} (id, generation, amount, said)
        SELECT * FROM ({_values(number, generation)}) AS new
        WHERE id > (SELECT coalesce(max(id), 0) FROM {table});"""


def _replace(number: int, generation: int) -> str:
    table = f"{SCHEMA}.{code_of(number)}"
    # Every third time with a column more.
    more = ", extra int" if generation % 3 == 0 else ""
    return f"DROP TABLE IF EXISTS {table}; {_create(number, generation, more)}"


def _alter(number: int, generation: int) -> str:
    table = f"{SCHEMA}.{code_of(number)}"
    return f"""
        ALTER TABLE {table} DROP COLUMN IF EXISTS extra;
        ALTER TABLE {table} ADD COLUMN extra int DEFAULT {generation};
        {_update(number, generation)}"""


def _drop(number: int, _: int) -> str:
    return f"DROP TABLE IF EXISTS {SCHEMA}.{code_of(number)};"


# What may become of a table in a generation, and how often.
WAYS: dict[Callable[[int, int], str], int] = {
    _update: 8,
    _reload: 6,
    _replace: 4,
    _alter: 2,
    _drop: 1,
}


def create_publication(connection: psycopg.Connection[Any]) -> None:
    """The registry, and every table in its first generation."""
    names = [code_of(number) for number in range(SOURCES)]
    statement = f"""
        CREATE SCHEMA {REGISTRY_SCHEMA};
        CREATE SCHEMA {SCHEMA};
        CREATE TABLE {REGISTRY_SCHEMA}.tbl_data_sources (
            code text PRIMARY KEY, table_name text NOT NULL, schema_name text NOT NULL,
            last_load_at timestamptz);
        INSERT INTO {REGISTRY_SCHEMA}.tbl_data_sources
        SELECT name, name, '{SCHEMA}', now() FROM unnest(ARRAY{names!r}) AS name;
        {"".join(_create(number, 1) for number in range(SOURCES))}"""
    connection.execute(statement.encode())


def load(connection: psycopg.Connection[Any], generation: int, chance: random.Random) -> list[str]:
    """Bring the tables to the generation, in one transaction; gives what became of each."""
    done, loaded = [], []
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = '{chance.choice(PATIENCE)}'".encode())
        present = {name for (name,) in connection.execute(_PRESENT, [SCHEMA])}
        for number in range(SOURCES):
            if rests(number, generation):
                continue
            ways, weights = list(WAYS), list(WAYS.values())
            (way,) = chance.choices(ways, weights)
            if code_of(number) not in present:
                way = _replace
            connection.execute(way(number, generation).encode())
            done.append(way.__name__.strip("_"))
            loaded.append(code_of(number))
        connection.execute(_LOADED.encode(), [loaded])
    return done


_LOADED = f"""
    UPDATE {REGISTRY_SCHEMA}.tbl_data_sources SET last_load_at = clock_timestamp()
    WHERE code = ANY(%s)"""
_PRESENT = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
_PASSING = (pg_errors.LockNotAvailable, pg_errors.DeadlockDetected)


def main() -> None:
    """Load until standard input ends, then print what was done."""
    dsn, seed = sys.argv[1:]
    chance = random.Random(int(seed))
    counts: Counter[str] = Counter()
    generation = 1
    with psycopg.connect(dsn, autocommit=True, application_name="soak loader") as connection:
        while not _is_over(chance.uniform(0, chance.choice(PAUSES_SECONDS))):
            try:
                counts.update(load(connection, generation + 1, chance))
                generation += 1
            except _PASSING as error:
                counts[type(error).__name__] += 1
    print(json.dumps({"generations": generation, **counts}))


def _is_over(seconds: float) -> bool:
    return bool(select.select([sys.stdin], [], [], seconds)[0])


if __name__ == "__main__":
    main()
