"""Rows of the catalog: what they say, and when they change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from duckwarp.catalog.entry import Entry, settled
from duckwarp.catalog.rows import COLUMNS, record_of, updated
from tests.catalog.entries import column, entry

FIRST_COLUMNS = [
    *("source_code", "domain", "description", "row_count", "column_count", "file_size_kb"),
    *("min_date", "max_date", "file_path", "md_path"),
]
MORE_COLUMNS = [
    *("name", "publication", "schema_name", "table_name", "tags", "sha256", "parquet_schema"),
    *("order_by", "snapshot_time", "last_load_at", "duckwarp_version", "columns"),
]
MONDAY = datetime(2024, 1, 1, 6, tzinfo=UTC)


def test_the_columns_are_those_that_readers_know_and_then_the_others() -> None:
    assert list(COLUMNS) == FIRST_COLUMNS + MORE_COLUMNS
    assert list(record_of(entry())) == list(COLUMNS)


def test_a_row_says_where_the_files_are_and_how_large() -> None:
    row = record_of(entry("a", [column("x"), column("y")], domain="d", tags=("t",)))
    assert (row["file_path"], row["md_path"]) == ("a.parquet", "a.md")
    assert (row["row_count"], row["column_count"], row["file_size_kb"]) == (3, 2, 14.339)
    assert (row["domain"], row["tags"], row["description"]) == ("d", ["t"], None)
    assert record_of(entry(has_dictionary=False))["md_path"] is None


@pytest.mark.parametrize(
    ("columns", "want"),
    [
        pytest.param([], (None, None), id="no columns"),
        pytest.param([column("n", low="1", high="2")], (None, None), id="no dates"),
        pytest.param(
            [
                column("n", low="1", high="2"),
                column("d", "DATE", low="2024-01-31", high="12024-02-01"),
                column("e", "DATE", low="2000-01-01", high="2000-01-01"),
            ],
            ("2024-01-31", "12024-02-01"),
            id="the first of two",
        ),
        pytest.param(
            [column("t", "TIMESTAMP", low="0044-03-15 12:00:00 BC", high="2024-02-01 00:00:00.5")],
            ("0044-03-15 BC", "2024-02-01"),
            id="the dates of timestamps",
        ),
        pytest.param(
            [column("t", "TIMESTAMP WITH TIME ZONE", low="2024-01-31 23:59:59+00", high=None)],
            ("2024-01-31", None),
            id="a bound that is not known",
        ),
        pytest.param(
            [column("d", "DATE", nulls=3), column("e", "DATE", low="2000-01-01")],
            (None, None),
            id="no dates in the first",
        ),
    ],
)
def test_the_dates_are_those_of_the_first_column_of_dates(
    columns: list[object], want: tuple[str | None, str | None]
) -> None:
    row = record_of(entry(columns=columns))  # type: ignore[arg-type]
    assert (row["min_date"], row["max_date"]) == want


def test_moments_are_in_utc() -> None:
    summer = timezone(timedelta(hours=2))
    row = record_of(entry(snapshot_time=MONDAY, last_load_at=MONDAY.astimezone(summer)))
    assert row["snapshot_time"] == row["last_load_at"] == "2024-01-01T06:00:00+00:00"


BEFORE = entry(
    publication="adhd", snapshot_time=MONDAY, last_load_at=MONDAY, version="1.0", domain="d"
)


def exported(**new: object) -> Entry:
    """The same dataset, found as it was, two hours later."""
    later = replace(
        BEFORE.circumstances,
        snapshot_time=MONDAY + timedelta(hours=2),
        **new,  # type: ignore[arg-type]
    )
    return replace(BEFORE, circumstances=later)


def test_a_row_stays_where_nothing_is_new() -> None:
    assert settled(BEFORE, exported()) == BEFORE
    assert settled(BEFORE, exported(publication=None)) == BEFORE
    assert settled(BEFORE, exported(version="1.1")) == BEFORE
    assert settled(BEFORE, exported(publication="other")) == BEFORE


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(exported(last_load_at=MONDAY + timedelta(hours=1)), id="a new load"),
        pytest.param(replace(exported(), sha256="cd" * 32), id="other data"),
        pytest.param(replace(exported(), has_dictionary=False), id="no dictionary any more"),
        pytest.param(
            replace(exported(), dataset=replace(BEFORE.dataset, domain="e")), id="another domain"
        ),
    ],
)
def test_a_row_changes_with_what_it_says(now: Entry) -> None:
    assert settled(BEFORE, now) == now


def test_an_export_of_one_source_leaves_it_in_its_publication() -> None:
    now = replace(exported(publication=None), sha256="cd" * 32)
    assert settled(BEFORE, now).circumstances.publication == "adhd"
    assert settled(None, now).circumstances.publication is None
    alone = replace(BEFORE, circumstances=replace(BEFORE.circumstances, publication=None))
    assert settled(alone, exported()) == BEFORE


def test_rows_are_in_the_order_of_their_codes_and_others_stay() -> None:
    before = (entry("b", rows=1), entry("d", rows=1))
    got = updated(before, [entry("c", rows=2), entry("b", rows=2), entry("B", rows=2)])
    assert [(each.code, each.rows) for each in got] == [("B", 2), ("b", 2), ("c", 2), ("d", 1)]
