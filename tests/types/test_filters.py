"""A filter finds the rows that it would find in PostgreSQL, also where few values repeat.

Readers skip row groups by what the footer says of them: Bloom filters, minima and maxima.
`tests/readers` holds the same for every type in all readers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.support import Database
from tests.types.harness import export, scratch_database

# Row n has the value of place n % 50 + 25 * (n / 2048): some are in some row groups only. Values
# that are no ASCII, hexadecimal digits, escapes, prefixes of each other, and beyond 256 bytes.
SETUP = r"""
CREATE SCHEMA staging;
CREATE DOMAIN staging.digest AS bytea;
CREATE TABLE staging.photo AS
WITH odd (place, v) AS (VALUES
    (0, '\x'), (1, '\x00'), (2, '\x0000'), (3, '\x5c784646'), (4, '\xff'), (5, '\xffff'),
    (6, decode(repeat('ff', 300), 'hex')), (7, decode(repeat('ff', 299) || '00', 'hex')),
    (8, decode(repeat('7f', 300), 'hex')), (9, '\x616263'), (10, '\x27'), (11, '\x5c'), (12, NULL),
    (13, decode('fe' || repeat('ff', 300), 'hex')), (14, '\x80'), (15, '\x7f'))
SELECT n, coalesce(odd.v::bytea, CASE WHEN place <> 12 THEN decode(md5(place::text), 'hex') END)
    AS sha
FROM generate_series(0, 8191) AS n, LATERAL (SELECT n % 50 + 25 * (n / 2048)) AS p(place)
LEFT JOIN odd USING (place);
ALTER TABLE staging.photo ADD of_domain staging.digest, ADD listed bytea[], ADD label text;
UPDATE staging.photo SET of_domain = sha, listed = ARRAY[sha], label = encode(sha, 'hex');
CREATE VIEW staging.only_labels AS SELECT n, label FROM staging.photo;
"""
COLUMNS = ("sha", "of_domain")


def _by_duckdb(path: Path, column: str, low: bytes, high: bytes | None) -> list[int]:
    literals = [f"from_hex('{value.hex()}')" for value in (low, high) if value is not None]
    # What stands there as a constant is what a row group is skipped by.
    condition = f"{column} = {literals[0]}"
    if high is not None:
        condition = f"{column} BETWEEN {literals[0]} AND {literals[1]}"
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT n FROM read_parquet('{path}') WHERE {condition}")
        return [row[0] for row in rows.fetchall()]


def _by_duckdb_joined(path: Path, column: str, low: bytes, high: bytes | None) -> list[int]:
    condition = "=" if high is None else ">="
    literals = [f"from_hex('{value.hex()}')" for value in (low, low if high is None else high)]
    upper = "" if high is None else f"AND f.{column} <= k.high"
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT n FROM read_parquet('{path}') AS f JOIN (VALUES ({', '.join(literals)})) "
            f"AS k(low, high) ON f.{column} {condition} k.low {upper}"
        )
        return [row[0] for row in rows.fetchall()]


def _by_pyarrow(path: Path, column: str, low: bytes, high: bytes | None) -> list[int]:
    field = pc.field(column)
    found = field == low if high is None else (field >= low) & (field <= high)
    return pq.read_table(path, columns=["n"], filters=found)["n"].to_pylist()  # type: ignore[no-any-return]


def _by_polars(path: Path, column: str, low: bytes, high: bytes | None) -> list[int]:
    field = pl.col(column)
    found = field == low if high is None else (field >= low) & (field <= high)
    return pl.scan_parquet(path).filter(found).select("n").collect()["n"].to_list()


def _by_pandas(path: Path, column: str, low: bytes, high: bytes | None) -> list[int]:
    filters = [(column, ">=", low), (column, "<=", low if high is None else high)]
    if high is None:
        filters = [(column, "=", low)]
    return pd.read_parquet(path, columns=["n"], filters=filters)["n"].to_list()  # type: ignore[no-any-return]


READERS: tuple[Callable[[Path, str, bytes, bytes | None], list[int]], ...] = (
    *(_by_duckdb, _by_duckdb_joined, _by_pyarrow, _by_polars, _by_pandas),
)


@pytest.fixture(scope="module")
def photos(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files."""
    module_database.execute(SETUP)
    folder = tmp_path_factory.mktemp("photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("duckwarp.engine.layout.MAX_ROW_GROUP_ROWS", 2_048)
        found = export(module_database.dsn, folder)
    assert pq.read_metadata(found.parquet("photo")).num_row_groups == 4
    return folder


@pytest.fixture(scope="module")
def values(module_database: Database) -> list[bytes]:
    """All different values, in PostgreSQL's order."""
    with module_database.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT sha FROM staging.photo WHERE sha IS NOT NULL ORDER BY sha"
        ).fetchall()
    return [row[0] for row in rows]


@pytest.fixture(scope="module")
def rows_of(module_database: Database) -> dict[bytes, list[int]]:
    """The rows of each value, as PostgreSQL has them."""
    with module_database.connect() as connection:
        rows = connection.execute(
            "SELECT sha, array_agg(n ORDER BY n) FROM staging.photo GROUP BY 1"
        )
        return dict(rows.fetchall())


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("find", [pytest.param(r, id=r.__name__.strip("_")) for r in READERS])
class TestBytes:
    def test_every_value_is_found_where_it_is(
        self,
        find: Callable[..., list[int]],
        column: str,
        photos: Path,
        values: list[bytes],
        rows_of: dict[bytes, list[int]],
    ) -> None:
        assert len(values) > 100
        for value in values:
            found = sorted(find(photos / "photo.parquet", column, value, None))
            assert found == rows_of[value], value[:20]

    def test_a_range_of_values_is_found(
        self,
        find: Callable[..., list[int]],
        column: str,
        photos: Path,
        values: list[bytes],
        rows_of: dict[bytes, list[int]],
    ) -> None:
        for place in range(0, len(values), 5):
            few = values[place : place + 7]
            found = sorted(find(photos / "photo.parquet", column, few[0], few[-1]))
            assert found == sorted(n for value in few for n in rows_of[value])


def test_elements_of_lists_are_found(
    photos: Path, values: list[bytes], rows_of: dict[bytes, list[int]]
) -> None:
    with duckdb.connect() as connection:
        for value in values:
            for condition in ("listed[1] = {v}", "list_contains(listed, {v})", "listed = [{v}]"):
                rows = connection.execute(
                    f"SELECT n FROM read_parquet('{photos}/photo.parquet') WHERE "
                    + condition.format(v=f"from_hex('{value.hex()}')")
                ).fetchall()
                assert sorted(row[0] for row in rows) == rows_of[value], condition


def test_what_is_no_bytes_has_bloom_filters_where_nothing_else_is_in_the_file(photos: Path) -> None:
    def filters(code: str) -> set[bool]:
        with duckdb.connect() as connection:
            rows = connection.execute(
                "SELECT bloom_filter_offset IS NOT NULL FROM "
                f"parquet_metadata('{photos}/{code}.parquet') WHERE path_in_schema = 'label'"
            ).fetchall()
        return {row[0] for row in rows}

    assert filters("only_labels") == {True}
    assert filters("photo") == {False}


DIGEST = bytes.fromhex("cfcd208495d565ef66e7dff9f98764da")


@pytest.fixture(scope="module")
def digests(server_dsn: str, worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of one row group, in which each of fifty digests is found a hundred times."""
    with scratch_database(server_dsn, worker_id) as database:
        database.execute(
            "CREATE SCHEMA staging; CREATE TABLE staging.photo (id int, sha bytea); "
            "INSERT INTO staging.photo SELECT i, decode(md5((i % 50)::text), 'hex') "
            "FROM generate_series(1, 5000) AS i"
        )
        return export(database.dsn, tmp_path_factory.mktemp("digests")).parquet("photo")


@pytest.mark.parametrize(
    "condition", ["= {v}", "IN ({v})", "= $v", "IN ($v)", "IN (SELECT {v})", "= (SELECT {v})"]
)
def test_duckdb_finds_a_digest(digests: Path, condition: str) -> None:
    literal = "".join(f"\\x{byte:02X}" for byte in DIGEST)
    condition = condition.replace("{v}", f"'{literal}'::BLOB")
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT count(*) FROM read_parquet('{digests}') WHERE sha {condition}",
            {"v": DIGEST} if "$v" in condition else {},
        ).fetchone()
    assert found == (100,)


def test_the_others_find_a_digest(digests: Path) -> None:
    for operator, value in (("==", DIGEST), ("in", [DIGEST])):
        assert pq.read_table(digests, filters=[("sha", operator, value)]).num_rows == 100
        assert len(pd.read_parquet(digests, filters=[("sha", operator, value)])) == 100
    for found in (pl.col("sha") == DIGEST, pl.col("sha").is_in([DIGEST])):
        assert pl.scan_parquet(digests).filter(found).collect().height == 100
