"""Codes that can be no name of a file, or that of another: each costs its own source alone."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from duckwarp.catalog.entry import Entry
from duckwarp.catalog.update import stage_catalog
from duckwarp.doctor import Status, diagnose
from duckwarp.export.preview import plan_export
from duckwarp.model.dataset import Dataset
from duckwarp.model.errors import CatalogUnusable
from duckwarp.model.results import SourceState
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from duckwarp.verify.published import verify_files, verify_published
from duckwarp.verify.verdicts import Agreement
from tests.runs import export
from tests.support import Database


def test_a_code_that_can_be_no_file_name_fails_alone(database: Database, tmp_path: Path) -> None:
    database.execute(
        """CREATE SCHEMA datawarp; CREATE SCHEMA staging; CREATE TABLE staging.tbl_a (id int);
        CREATE TABLE datawarp.tbl_data_sources (code text, table_name text)"""
    )
    unusable = (
        "long_" + "n" * 243,
        "a" * 5000,
        "../up",
        "a/b",
        "..",
        ".",
        "CON",
        "Index",
        "~x",
        " ",
    )
    for code in ("fine", *unusable):
        database.execute("INSERT INTO datawarp.tbl_data_sources VALUES (%s, 'tbl_a')", [code])
    settings = Settings(dsn=database.dsn, output_dir=tmp_path)
    everything = Selection(everything=True)
    report = export(database, everything, tmp_path, skip_unchanged=True)
    assert {each.code for each in report.of_state(SourceState.FAILED)} == set(unusable)
    assert [each.code for each in report.of_state(SourceState.EXPORTED)] == ["fine"]
    verdicts = {each.code: each for each in verify_published(everything, settings).verdicts}
    assert verdicts.pop("fine").agreement is Agreement.EQUAL
    assert {each.agreement for each in verdicts.values()} == {Agreement.FAILED}
    for verdict in verdicts.values():
        assert "cannot be a file name" in verdict.reasons[0]
        assert "give it another code in the registry" in verdict.reasons[0]
    for found in (verify_published(None, settings), verify_files(None, settings)):
        assert [each.code for each in found.verdicts] == ["fine"]
    plans = {each.source.code for each in plan_export(everything, settings) if each.plan is None}
    checks = diagnose(everything, settings).checks
    assert plans == {each.source for each in checks if each.status is Status.FAILED}
    assert plans == set(unusable)


def test_what_a_catalog_calls_its_files_leads_nowhere(tmp_path: Path) -> None:
    """A catalog of other making is refused as a whole, with what to do."""
    output = tmp_path / "out"
    output.mkdir()
    (tmp_path / "up.parquet").write_bytes(b"PAR1")
    rows = pa.table({"source_code": ["../up", "n" * 300, "a\0b", "gone"]})
    pq.write_table(rows, output / "catalog.parquet")
    with pytest.raises(CatalogUnusable, match="duckwarp catalog rebuild"):
        verify_files(None, Settings(output_dir=output))


def test_codes_of_a_catalog_of_our_own_lead_nowhere(tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (tmp_path / "up.parquet").write_bytes(b"PAR1")
    entries = [
        Entry(
            dataset=Dataset(code=code, name=code, schema="s", table="t"),
            statistics=(),
            rows=0,
            size_bytes=0,
            sha256="",
            parquet_schema="",
        )
        for code in ("../up", "n" * 300, "gone")
    ]
    stage_catalog(entries, output)
    report = verify_files(None, Settings(output_dir=output))
    assert [each.agreement for each in report.verdicts] == [Agreement.MISSING] * 3


def test_codes_that_are_one_file_elsewhere_are_told_apart(
    database: Database, tmp_path: Path
) -> None:
    names = ("Towns", "towns", "cafe\u0301", "caf\u00e9", "other")
    for name in names:
        database.execute(f'CREATE TABLE public."{name}" (id int)')
    report = export(database, Selection(schema="public"), tmp_path)
    reasons = {each.code: each.reason for each in report.of_state(SourceState.FAILED)}
    assert reasons.keys() == {"towns", "caf\u00e9"}
    assert reasons["towns"] == (
        'the code "towns" names the same file as "Towns" on macOS and Windows: '
        "give the table another code with --table CODE=public.towns"
    )
    again = Selection(schema="public", tables=("villages=public.towns", "cafe_2=public.caf\u00e9"))
    assert not export(database, again, tmp_path).of_state(SourceState.FAILED)


def test_a_reserved_name_says_how_to_give_the_table_another_code(
    database: Database, tmp_path: Path
) -> None:
    for name in ("CATALOG", "index", "datapackage"):
        database.execute(f'CREATE TABLE public."{name}" (id int)')
    report = export(database, Selection(schema="public"), tmp_path)
    assert {each.code: each.reason for each in report.outcomes}["CATALOG"] == (
        'the code "CATALOG" cannot be a file name: the name is reserved: '
        "give the table another code with --table CODE=public.CATALOG"
    )
    assert len(report.of_state(SourceState.FAILED)) == 3
    given = Selection(tables=("list=public.CATALOG",))
    [outcome] = export(database, given, tmp_path).outcomes
    assert outcome.state is SourceState.EXPORTED
    [verdict] = verify_published(given, Settings(dsn=database.dsn, output_dir=tmp_path)).verdicts
    assert (verdict.code, verdict.agreement) == ("list", Agreement.EQUAL)
