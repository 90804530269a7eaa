"""The fixtures themselves: what the other tests rely on without saying so."""

from __future__ import annotations

import os

import psycopg
import pytest

from tests.conftest import DatabaseMaker, RoleMaker
from tests.support import Database, dsn_with


@pytest.mark.parametrize("encoding", ["UTF8", "LATIN1", "WIN1252", "EUC_JP", "SQL_ASCII"])
def test_a_database_has_the_encoding_asked_for(make_database: DatabaseMaker, encoding: str) -> None:
    assert make_database(encoding=encoding).execute("SHOW server_encoding") == [(encoding,)]


def test_two_databases_are_apart(database: Database, make_database: DatabaseMaker) -> None:
    database.execute("CREATE TABLE only_here ()")
    assert make_database().execute("SELECT to_regclass('only_here')") == [(None,)]


def test_a_role_logs_in_with_its_options(database: Database, make_role: RoleMaker) -> None:
    role = make_role("CONNECTION LIMIT 1")
    database.execute(f"CREATE SCHEMA s AUTHORIZATION {role.name}")
    with psycopg.connect(database.dsn_as(role)) as connection:
        assert connection.info.user == role.name
        assert connection.execute(
            "SELECT rolsuper, rolconnlimit FROM pg_roles WHERE rolname = current_user"
        ).fetchone() == (False, 1)


def test_a_copy_of_the_demo_may_be_changed(demo_copy: Database, demo_dsn: str) -> None:
    demo_copy.execute("DROP TABLE staging.gp_appt_national_daily")
    count = "SELECT count(*) FROM staging.gp_appt_national_daily"
    assert Database(dsn=demo_dsn).execute(count) == [(31,)]


def test_nothing_in_the_environment_names_a_database() -> None:
    prefixes = ("PG", "DUCKWARP", "DATABASE_URL", "POSTGRES")
    assert [name for name in os.environ if name.startswith(prefixes)] == []
    assert "PATH" in os.environ


def test_a_dsn_takes_overrides_whatever_its_form() -> None:
    got = dsn_with("postgresql://a:p%40ss@/one?host=/run", dbname="it's", application_name=None)
    assert psycopg.conninfo.conninfo_to_dict(got) == {
        "user": "a",
        "password": "p@ss",
        "host": "/run",
        "dbname": "it's",
    }
