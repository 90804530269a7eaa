"""One file with every type, values at the edges: all common readers open it without an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from psycopg import sql

from duckwarp.model.settings import SpecialValues
from tests.support import Database
from tests.types.harness import Exported, export
from tests.types.type_cases import CASES, SETUP, SPECIAL_CASES, Sql

ROWS = 20


@pytest.fixture(scope="module")
def edges(module_database: Database) -> int:
    """The table of all types of PostgreSQL's own and of all types made of them; its columns."""
    columns: list[tuple[str, str, list[str | Sql]]] = [
        (case.name, case.type, [*case.values, *[Sql("NULL")] * case.null])
        for case in CASES
        if case.needs is None and case.since == 0
    ]
    columns += [(f"special_{s.name}", s.type, list(s.values)) for s in SPECIAL_CASES]
    with module_database.connect() as connection:
        connection.execute(SETUP.encode())
        declared = ", ".join(f"{name} {type_}" for name, type_, _ in columns)
        connection.execute(f"CREATE TABLE staging.edges ({declared})".encode())
        for row in range(ROWS):
            cells = [values[row % len(values)] for _, _, values in columns]
            expressions = [
                cell.expression
                if isinstance(cell, Sql)
                else sql.Literal(cell).as_string(connection)
                for cell in cells
            ]
            statement = f"INSERT INTO staging.edges VALUES ({', '.join(expressions)})"
            connection.execute(statement.encode())
    return len(columns)


@pytest.fixture(scope="module", params=["null", "text"])
def exported(
    request: pytest.FixtureRequest,
    edges: int,
    module_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> Exported:
    folder = tmp_path_factory.mktemp(request.param)
    return export(module_database.dsn, folder, special_values=SpecialValues(request.param))


def _by_duckdb(path: Path) -> tuple[int, int]:
    with duckdb.connect() as connection:
        values = connection.execute(f"SELECT COLUMNS(*)::VARCHAR FROM read_parquet('{path}')")
        rows = values.fetchall()
    return len(rows), len(rows[0])


def _by_pyarrow(path: Path) -> tuple[int, int]:
    table = pq.read_table(path)
    table.validate(full=True)
    return table.shape  # type: ignore[no-any-return]


# Without Arrow's types pandas makes Python's dates of them, which end at the years 1 and 9999.
BEYOND_PYTHON = {"date", "array_date", "special_date"}


def _by_pandas(path: Path) -> tuple[int, int]:
    columns = pq.read_schema(path).names
    within = [name for name in columns if name not in BEYOND_PYTHON]
    rows, read = pd.read_parquet(path, columns=within).shape
    return rows, read + len(BEYOND_PYTHON)


def _by_pandas_with_arrow_types(path: Path) -> tuple[int, int]:
    return pd.read_parquet(path, dtype_backend="pyarrow").shape


def _by_polars(path: Path) -> tuple[int, int]:
    return pl.read_parquet(path).shape


READERS: tuple[Callable[[Path], tuple[int, int]], ...] = (
    _by_duckdb,
    _by_pyarrow,
    _by_pandas,
    _by_pandas_with_arrow_types,
    _by_polars,
)


@pytest.mark.parametrize("read", [pytest.param(r, id=r.__name__.strip("_")) for r in READERS])
def test_a_file_with_every_type_is_read_by(
    read: Callable[[Path], tuple[int, int]], exported: Exported, edges: int
) -> None:
    assert read(exported.parquet("edges")) == (ROWS, edges)


def test_all_readers_find_the_same_nulls(exported: Exported) -> None:
    path = exported.parquet("edges")
    by_arrow: list[Any] = [column.null_count for column in pq.read_table(path).columns]
    assert pl.read_parquet(path).null_count().row(0) == tuple(by_arrow)
    with duckdb.connect() as connection:
        counts = connection.execute(
            f"SELECT {ROWS} - count(COLUMNS(*)) FROM read_parquet('{path}')"
        ).fetchone()
    assert counts == tuple(by_arrow)
