"""The catalog of a folder: made of its files, kept true, and refused where it is not ours."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from duckwarp.catalog.entry import Circumstances, Entry
from duckwarp.catalog.update import LeftOut, read_catalog, rebuilt, stage_catalog
from duckwarp.files.dataset import FOOTER_KEY
from duckwarp.model.dataset import CATALOG
from duckwarp.model.errors import CatalogUnusable
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from duckwarp.postgres.snapshot import open_snapshot
from tests.runs import export
from tests.support import Database

AGE = "adhd_summary_open_referrals_age"
ALERTS = "adhd_medication_supply_alerts"
RUN = Circumstances(
    publication="adhd",
    snapshot_time=datetime(2024, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
    last_load_at=datetime(2024, 1, 1, tzinfo=UTC),
    version="1.2.3",
)


@pytest.fixture(scope="module")
def published(demo_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two sources and no catalog, which no test changes."""
    folder = tmp_path_factory.mktemp("published")
    report = export(demo_dsn, Selection(codes=(AGE, ALERTS)), folder)
    assert all(result.success for result in report.results)
    for name in (CATALOG, "datapackage.json"):
        (folder / name).unlink(missing_ok=True)
    return folder


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(published, tmp_path / "output"))


def told(folder: Path) -> tuple[Entry, ...]:
    """The entries of the folder, as a run has told them."""
    entries = tuple(replace(e, circumstances=RUN) for e in rebuilt(folder).entries)
    assert len(entries) == 2
    stage_catalog(entries, folder)
    return entries


def test_a_file_describes_itself(published: Path) -> None:
    path = published / f"{AGE}.parquet"
    said = json.loads(pq.read_metadata(path).metadata[FOOTER_KEY.encode()])
    assert (said["format"], said["code"], said["schema"]) == (1, AGE, "staging")
    assert said["name"] != AGE
    assert said["order_by"] == pq.read_schema(path).names
    by_name = {column["name"]: column for column in said["columns"]}
    assert by_name["age_group"]["data_type"] == "varchar(20)"
    assert by_name["age_group"]["original_name"] == "AGE GROUP"
    assert by_name["age_group"]["role"] == "dimension"
    field = pq.read_schema(path).field("age_group").metadata
    assert field[b"description"].decode() == by_name["age_group"]["description"]
    assert field[b"original_name"] == b"AGE GROUP"
    assert field[b"postgres_type"] == b"varchar(20)"


def test_a_file_says_nothing_of_the_run_that_made_it(published: Path, demo_dsn: str) -> None:
    keys = pq.read_metadata(published / f"{AGE}.parquet").metadata
    text = b"".join(keys.values()).decode()
    assert str(published) not in text
    assert "test-run" not in text


def test_a_catalog_is_made_of_the_files_alone(folder: Path) -> None:
    got = rebuilt(folder)
    assert got.left_out == ()
    assert [entry.code for entry in got.entries] == [ALERTS, AGE]
    age = got.entries[1]
    content = (folder / f"{AGE}.parquet").read_bytes()
    assert age.sha256 == hashlib.sha256(content).hexdigest()
    assert (age.rows, age.size_bytes) == (1_304, len(content))
    assert age.parquet_schema.startswith("message ")
    assert age.circumstances == Circumstances()
    first, last = age.dates
    dates = duckdb.sql(
        f"SELECT min(reporting_date), max(reporting_date) FROM '{folder}/{AGE}.parquet'"
    ).fetchall()
    assert [(first, last)] == [(str(low), str(high)) for low, high in dates]


def test_the_catalog_reads_back_as_it_was_staged(folder: Path) -> None:
    entries = told(folder)
    assert read_catalog(folder) == entries


def test_staging_the_same_again_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    entries = told(folder)
    names = stage_catalog(read_catalog(folder), tmp_path)
    assert names == ("catalog.parquet", "datapackage.json")
    for name in names:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    assert entries == read_catalog(folder)


def test_what_only_the_run_knew_is_kept_for_the_same_file(folder: Path) -> None:
    entries = told(folder)
    assert rebuilt(folder).entries == entries
    key = pq.read_metadata(folder / f"{ALERTS}.parquet").metadata[b"duckwarp"].decode()
    (folder / f"{ALERTS}.parquet").unlink()
    quoted = key.replace("'", "''")
    select = "SELECT " + ", ".join(f"NULL::INT AS c{n}" for n in range(8))
    duckdb.sql(
        f"COPY ({select}) TO '{folder}/{ALERTS}.parquet' "
        f"(FORMAT parquet, KV_METADATA {{duckwarp: '{quoted}'}})"
    )
    got = {entry.code: entry.circumstances for entry in rebuilt(folder).entries}
    assert got == {ALERTS: Circumstances(), AGE: RUN}


def test_files_that_say_nothing_are_left_out_and_named(folder: Path) -> None:
    duckdb.sql(f"COPY (SELECT 1 AS a) TO '{folder}/foreign.parquet' (FORMAT parquet)")
    (folder / "broken.parquet").write_bytes(b"PAR1")
    shutil.copy(folder / f"{AGE}.parquet", folder / "copy.parquet")
    left_out = {each.name: each.reason for each in rebuilt(folder).left_out}
    assert set(left_out) == {"broken.parquet", "copy.parquet", "foreign.parquet"}
    assert "not a Parquet file" in left_out["broken.parquet"]
    assert left_out["copy.parquet"] == f'it says that it is "{AGE}"'
    assert "no description of duckwarp's" in left_out["foreign.parquet"]
    assert isinstance(rebuilt(folder).left_out[0], LeftOut)


def test_a_missing_dictionary_is_not_named(folder: Path) -> None:
    (folder / f"{AGE}.md").unlink()
    assert [entry.md_path for entry in rebuilt(folder).entries] == [f"{ALERTS}.md", None]


def test_an_entry_whose_file_is_another_one_is_left_out(folder: Path) -> None:
    told(folder)
    (folder / f"{ALERTS}.parquet").unlink()
    assert [entry.code for entry in read_catalog(folder)] == [AGE]
    with (folder / f"{AGE}.parquet").open("ab") as file:
        file.write(b"more")
    assert read_catalog(folder) == ()


def test_a_folder_without_a_catalog_has_no_entries(folder: Path) -> None:
    assert read_catalog(folder) == ()


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        pytest.param("SELECT 'a' AS source_code", "not of this version", id="another's"),
        pytest.param(None, "cannot be read", id="damaged"),
    ],
)
def test_a_catalog_that_is_not_ours_is_refused_and_left(
    folder: Path, statement: str | None, why: str
) -> None:
    path = folder / CATALOG
    if statement is None:
        path.write_bytes(b"PAR1 and no more")
    else:
        duckdb.sql(f"COPY ({statement}) TO '{path}' (FORMAT parquet)")
    before = path.read_bytes()
    with pytest.raises(CatalogUnusable, match=f"{why}.*duckwarp catalog rebuild"):
        read_catalog(folder)
    assert path.read_bytes() == before
    assert len(rebuilt(folder).entries) == 2


def test_the_snapshot_has_its_time(demo_copy: Database) -> None:
    [(before,)] = demo_copy.execute("SELECT clock_timestamp()")
    settings = Settings(dsn=demo_copy.dsn)
    with open_snapshot(Selection(codes=(AGE,)), settings, dict(os.environ)) as snapshot:
        taken = snapshot.taken_at
    [(after,)] = demo_copy.execute("SELECT clock_timestamp()")
    assert before < taken < after
    assert taken.utcoffset() == timedelta()
