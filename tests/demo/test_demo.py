"""The sample publication, as it is promised to whoever tries the demo."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from duckwarp.demo import demo_database
from duckwarp.demo.publication import create_publication
from duckwarp.model.errors import RunError
from tests.conftest import DatabaseMaker
from tests.support import Database, dsn_with

SUMMARY = "adhd_summary_open_referrals_age"
TECHNICAL = ["_load_id", "_loaded_at", "_period", "_manifest_file_id"]


@pytest.fixture
def demo(demo_dsn: str) -> Database:
    return Database(dsn=demo_dsn)


def relation_of(demo: Database, code: str) -> sql.Identifier:
    [(schema, table)] = demo.execute(
        "SELECT coalesce(schema_name, 'staging'), table_name FROM datawarp.tbl_data_sources "
        "WHERE code = %s",
        [code],
    )
    return sql.Identifier(schema, table)


def columns_of(demo: Database, code: str) -> list[tuple[str, str]]:
    return demo.execute(
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
        [relation_of(demo, code).as_string()],
    )


@pytest.mark.parametrize(
    ("code", "want_rows", "want_columns"),
    [
        pytest.param(SUMMARY, 1_304, 15, id="the summary has 1,304 rows and 15 columns"),
        pytest.param("adhd_waiting_times_provider_weekly", 500_000, 14, id="one is worth a bar"),
        pytest.param("adhd_prescribing_items_icb_month", 7_560, 11, id="one has another name"),
        pytest.param("adhd_assessments_outcome", 652, 10, id="one has no name"),
        pytest.param("adhd_prevalence_estimates_icb", 336, 9, id="one is not described"),
        pytest.param("adhd_medication_supply_alerts", 0, 8, id="one is empty"),
        pytest.param("adhd_national_open_referrals_weekly", 500, 4, id="one is a view"),
        pytest.param("gp_appt_national_daily", 31, 6, id="another publication"),
        pytest.param("gpxappt_pilot_daily", 5, 6, id="one that a wildcard would match"),
    ],
)
def test_each_source_has_the_promised_size(
    demo: Database, code: str, want_rows: int, want_columns: int
) -> None:
    count = sql.SQL("SELECT count(*) FROM {}").format(relation_of(demo, code))
    assert demo.execute(count) == [(want_rows,)]
    assert len(columns_of(demo, code)) == want_columns


def test_the_publication_has_eight_sources_and_one_of_them_no_relation(demo: Database) -> None:
    rows = demo.execute(
        "SELECT code, to_regclass(concat_ws('.', coalesce(schema_name, 'staging'), table_name)) "
        "FROM datawarp.tbl_data_sources WHERE starts_with(code, %s || '_')",
        ["adhd"],
    )
    assert len(rows) == 8
    missing = [code for code, relation in rows if relation is None]
    assert missing == ["adhd_summary_closed_referrals_reason"]


def test_the_columns_of_one_loaded_source_are_not_described(demo: Database) -> None:
    rows = demo.execute(
        "SELECT code FROM datawarp.tbl_data_sources WHERE starts_with(code, 'adhd_') "
        "AND last_load_at IS NOT NULL AND code NOT IN "
        "(SELECT canonical_source_code FROM datawarp.tbl_column_metadata)"
    )
    assert rows == [("adhd_prevalence_estimates_icb",)]


def test_one_source_has_no_name(demo: Database) -> None:
    rows = demo.execute("SELECT code FROM datawarp.tbl_data_sources WHERE name IS NULL")
    assert rows == [("adhd_assessments_outcome",)]


def test_every_description_of_a_source_says_that_the_data_is_synthetic(demo: Database) -> None:
    rows = demo.execute(
        "SELECT starts_with(description, 'Synthetic data'), count(*) "
        "FROM datawarp.tbl_data_sources GROUP BY 1"
    )
    assert rows == [(True, 10)]


def test_the_technical_columns_follow_the_business_columns(demo: Database) -> None:
    names = [name for name, _ in columns_of(demo, SUMMARY)]
    assert names[0] == "sub_icb_location_code"
    assert names[-4:] == TECHNICAL
    assert not {name for name in names[:-4] if name.startswith("_")}


def test_the_column_of_the_readme_is_described_as_there(demo: Database) -> None:
    assert columns_of(demo, SUMMARY)[0] == ("sub_icb_location_code", "character varying(255)")
    rows = demo.execute(
        "SELECT original_name, data_type, is_dimension, min_value, max_value, null_rate, "
        "distinct_count FROM datawarp.tbl_column_metadata "
        "WHERE canonical_source_code = %s AND column_name = 'sub_icb_location_code'",
        [SUMMARY],
    )
    assert rows == [
        ("SUB ICB LOCATION CODE", "character varying(255)", True, "SYN001", "SYN163", 0, 163)
    ]


def test_suppressed_counts_are_null(demo: Database) -> None:
    [(suppressed, least)] = demo.execute(
        "SELECT count(*) FILTER (WHERE is_suppressed AND open_referrals IS NULL), "
        f"min(open_referrals) FROM staging.{SUMMARY}"
    )
    assert suppressed > 0
    assert least == 5


def test_the_estimated_rows_are_known_at_once(demo: Database) -> None:
    rows = demo.execute(
        "SELECT reltuples::int FROM pg_class WHERE relname = 'adhd_waiting_times_provider_weekly'"
    )
    assert rows == [(500_000,)]


def test_a_second_creation_gives_the_same_values(
    demo: Database, make_database: DatabaseMaker
) -> None:
    again = make_database()
    create_publication(again.dsn)
    assert fingerprints(again) == fingerprints(demo)


def fingerprints(demo: Database) -> dict[str, str]:
    """The MD5 of all rows of each table, in an order of their own, and of both registry tables."""
    with demo.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        tables = connection.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'm') "
            "AND relnamespace::regnamespace::text IN ('staging', 'datawarp')"
        ).fetchall()
        found = {}
        for (table,) in tables:
            rows = f"SELECT md5(t::text) AS row_hash FROM {table} AS t"
            query = f"SELECT md5(string_agg(row_hash, '' ORDER BY row_hash)) FROM ({rows}) AS h"
            [(found[table],)] = connection.execute(query.encode()).fetchall()
    assert len(found) == 11
    return found


@pytest.mark.parametrize(
    ("name", "value"),
    [("PGPORT", "1"), ("PGSERVICE", "none"), ("PGOPTIONS", "-c statement_timeout=1")],
)
def test_variables_about_other_servers_do_not_reach_the_demo(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with demo_database() as database, psycopg.connect(database.dsn) as connection:
        row = connection.execute("SELECT count(*) FROM datawarp.tbl_data_sources").fetchone()
    assert row == (10,)
    assert os.environ[name] == value


def test_the_demo_can_be_on_a_server_that_is_named(server_dsn: str) -> None:
    with demo_database(dsn=dsn_with(server_dsn, password="never shown")) as demo:
        name = Database(dsn=demo.dsn).name
        assert Database(dsn=demo.dsn).execute(f"SELECT count(*) FROM staging.{SUMMARY}") == [
            (1304,)
        ]
        assert "never shown" not in demo.shown_dsn + demo.stop_hint + repr(demo)
    server = Database(dsn=server_dsn)
    assert server.execute(f"SELECT 1 FROM pg_database WHERE datname = '{name}'") == []


def test_a_kept_demo_stays_on_its_server(server_dsn: str) -> None:
    with demo_database(dsn=server_dsn, keep=True) as demo:
        pass
    server = Database(dsn=server_dsn)
    name = Database(dsn=demo.dsn).name
    assert server.execute(f"SELECT 1 FROM pg_database WHERE datname = '{name}'") == [(1,)]
    server.execute(demo.stop_hint)


def test_a_server_that_cannot_be_reached_is_told_without_a_secret(tmp_path: Path) -> None:
    dsn = f"host={tmp_path} password=canary"
    with pytest.raises(RunError, match="cannot reach") as raised, demo_database(dsn=dsn):
        pass
    assert "canary" not in str(raised.value)
