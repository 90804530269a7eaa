"""Runs through PgBouncer: what it lends is enough, or the run says what it needs."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from duckwarp.export.preview import list_sources
from duckwarp.model.errors import ConnectionFailed
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from tests.poolers import needs_pgbouncer, pgbouncer
from tests.runs import Recorder, by_code, export, published_files
from tests.support import Database

pytestmark = [pytest.mark.pooler, needs_pgbouncer]

EVERYTHING = Selection(schema="public")
FILES = {f"{code}.{suffix}" for code in "abc" for suffix in ("parquet", "md")}


@pytest.fixture
def three(database: Database) -> Database:
    """Two small tables, and one that several connections read."""
    database.execute(
        "CREATE TABLE a AS SELECT 1 AS n; CREATE TABLE c AS SELECT 3 AS n; CREATE TABLE b AS "
        "SELECT n, md5(n::text) AS s FROM generate_series(1, 150000) AS n; ANALYZE"
    )
    return database


@pytest.mark.parametrize("pool_size", [2, 3, 20])
def test_a_pool_of_sessions_gives_the_same_files(
    three: Database, tmp_path: Path, pool_size: int
) -> None:
    with pgbouncer(three, pool_mode="session", default_pool_size=pool_size) as dsn:
        report = export(dsn, EVERYTHING, tmp_path / "pooled", threads=3)
    export(three, EVERYTHING, tmp_path / "direct", threads=3)
    assert {result.error for result in by_code(report).values()} == {None}
    assert published_files(tmp_path / "pooled") == FILES
    for code in "abc":
        pooled, direct = (tmp_path / way / f"{code}.parquet" for way in ("pooled", "direct"))
        assert pooled.read_bytes() == direct.read_bytes()


def test_a_pool_of_one_session_is_too_small_and_that_is_said(
    three: Database, tmp_path: Path
) -> None:
    with (
        pgbouncer(three, pool_mode="session", default_pool_size=1, query_wait_timeout=1) as dsn,
        pytest.raises(ConnectionFailed, match="needs at least 2 connections"),
    ):
        export(dsn, EVERYTHING, tmp_path, retries=0)
    assert published_files(tmp_path) == set()


@pytest.mark.parametrize("pool_size", [1, 5])
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_sessions_that_are_lent_in_turn_are_refused(
    three: Database, tmp_path: Path, mode: str, pool_size: int
) -> None:
    with pgbouncer(three, pool_mode=mode, default_pool_size=pool_size) as dsn:
        recorder = Recorder()
        with pytest.raises(ConnectionFailed, match="pool_mode = session"):
            export(dsn, EVERYTHING, tmp_path, recorder)
        with pytest.raises(ConnectionFailed, match="pool_mode = session"):
            list_sources(EVERYTHING, Settings(dsn=dsn))
        # Nothing was set that whoever is lent the session next would have to live with.
        with psycopg.connect(dsn, autocommit=True) as next_one:
            assert next_one.execute("SHOW default_transaction_read_only").fetchone() == ("off",)
    assert recorder.of_level() == []
    assert published_files(tmp_path) == set()


def test_options_that_a_pooler_refuses_are_named(three: Database, tmp_path: Path) -> None:
    with (
        pgbouncer(three, pool_mode="session") as dsn,
        pytest.raises(ConnectionFailed, match=r"options.*ignore_startup_parameters"),
    ):
        export(f"{dsn} options='-c geqo=off'", EVERYTHING, tmp_path)


def test_a_search_path_of_the_role_s_needs_no_options(three: Database, tmp_path: Path) -> None:
    """Where it names pg_catalog late, the run's sessions put it first."""
    three.execute(f"ALTER DATABASE {three.name} SET search_path = public, pg_catalog")
    with pgbouncer(three, pool_mode="session") as dsn:
        report = export(dsn, EVERYTHING, tmp_path)
    assert {result.error for result in by_code(report).values()} == {None}
