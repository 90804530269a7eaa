"""Files are looked at without a database: as the catalog lists them, whole, and in order."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from duckwarp.catalog.entry import Entry
from duckwarp.catalog.update import rebuilt, stage_catalog
from duckwarp.files.digest import sha256_of
from duckwarp.model.errors import NothingMatched, UsageError
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from duckwarp.verify.published import verify_files
from duckwarp.verify.verdicts import Agreement, Verdict
from tests.runs import export
from tests.support import Database
from tests.types.type_cases import NUMERICS, SCALARS
from tests.verify.tampering import rewrite, swapped, truncate, with_values

MIXED = [case for case in (*SCALARS, *NUMERICS) if case.needs is None and case.since == 0]


@pytest.fixture(scope="module")
def folder(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of tables with NULLs, both zeros, lists and every scalar type as the first key."""
    with module_database.connect() as connection:
        connection.execute("CREATE SCHEMA staging")
        connection.execute(
            """CREATE TABLE staging.visits AS
            SELECT nullif(n % 4, 3) AS a, CASE n % 3 WHEN 0 THEN -0.0::float8 WHEN 1 THEN 0
            WHEN 2 THEN 'NaN' END AS b, ARRAY[n % 5, nullif(n % 2, 0)] AS c,
            ARRAY[CASE WHEN n % 2 = 0 THEN '-0'::float8 ELSE 0 END] AS d, n AS e
            FROM generate_series(1, 5000) AS n"""
        )
        for case in MIXED:
            connection.execute(f"CREATE TABLE staging.{case.name} (v {case.type}, n int)".encode())
            for number, value in enumerate([*case.values, None]):
                text = value if value is None or isinstance(value, str) else "a"
                connection.execute(
                    f"INSERT INTO staging.{case.name} VALUES (%s, %s)".encode(), [text, number]
                )
    output = tmp_path_factory.mktemp("published")
    report = export(module_database, Selection(schema="staging"), output)
    assert len(report.results) == len(MIXED) + 1
    return output


@pytest.fixture
def path(folder: Path, tmp_path: Path) -> Path:
    """A published file that the test may change."""
    for left in ("catalog.parquet", "datapackage.json"):
        assert not (tmp_path / left).exists()
    return Path(shutil.copy(folder / "visits.parquet", tmp_path))


def verdict(path: Path) -> Verdict:
    settings = Settings(output_dir=path.parent)
    [found] = verify_files(Selection(codes=(path.stem,)), settings).verdicts
    return found


def catalog_of(path: Path, order_by: tuple[str, ...] | None = None) -> None:
    """A catalog that lists the file as it is, in this order or the one that its footer names."""
    [entry] = rebuilt(path.parent).entries
    list_in_catalog(path, entry, order_by)


def list_in_catalog(path: Path, entry: Entry, order_by: tuple[str, ...] | None) -> None:
    """A catalog that lists the file as it is now, described by an entry of before."""
    entry = replace(entry, sha256=sha256_of(path), size_bytes=path.stat().st_size)
    if order_by is not None:
        entry = replace(entry, dataset=replace(entry.dataset, order_by=order_by))
    stage_catalog([entry], path.parent)


def test_every_published_file_is_whole_and_in_order(folder: Path) -> None:
    report = verify_files(None, Settings(output_dir=folder))
    assert [v for v in report.verdicts if v.agreement is not Agreement.EQUAL] == []
    assert len(report.verdicts) == len(MIXED) + 1
    assert report.snapshot_time is None


def _reversed(table: pa.Table) -> pa.Table:
    return table.take(list(reversed(range(table.num_rows))))


@pytest.mark.parametrize(
    ("change", "count"),
    [
        pytest.param(swapped("e", 10, 11), 1, id="in the last key"),
        pytest.param(with_values("a", {3_000: None}), 1, id="a NULL that is not last"),
        pytest.param(_reversed, 4_999, id="all rows"),
        pytest.param(
            lambda table: pa.concat_tables([table.slice(1_000), table.slice(0, 1_000)]),
            1,
            id="between two row groups",
        ),
    ],
)
def test_rows_out_of_order_are_found(
    change: Callable[[pa.Table], pa.Table], count: int, path: Path
) -> None:
    rewrite(path)
    assert verdict(path).agreement is Agreement.EQUAL
    rewrite(path, change)
    [difference] = verdict(path).finding.differences
    assert (difference.what, difference.file) == ("order", f"{count:,} rows out of order")


def test_a_file_is_held_to_the_order_that_the_catalog_names(path: Path) -> None:
    [entry] = rebuilt(path.parent).entries
    rewrite(path, swapped("e", 10, 11))
    for order_by, agreement in (
        (("a",), Agreement.EQUAL),
        ((), Agreement.EQUAL),
        (("a", "b", "c", "d", "e"), Agreement.DIFFERENT),
    ):
        list_in_catalog(path, entry, order_by)
        assert verdict(path).agreement is agreement, order_by


def test_a_file_that_is_not_the_published_one_is_found(path: Path) -> None:
    catalog_of(path)
    assert verdict(path).agreement is Agreement.EQUAL
    rewrite(path)
    [difference] = verdict(path).finding.differences
    assert difference.what == "SHA-256"


def test_a_file_that_the_catalog_does_not_list_is_found(path: Path) -> None:
    catalog_of(path)
    other = Path(shutil.copy(path, path.with_name("other.parquet")))
    assert [d.what for d in verdict(other).finding.differences] == ["catalog", "source"]


def test_a_file_that_only_the_catalog_has_is_missing(path: Path) -> None:
    catalog_of(path)
    path.unlink()
    report = verify_files(None, Settings(output_dir=path.parent))
    assert [v.agreement for v in report.verdicts] == [Agreement.MISSING]
    assert not report.is_well


def test_without_a_catalog_the_hash_is_said_to_be_unknown(path: Path) -> None:
    assert verdict(path).reasons == ("there is no catalog: its hash was compared with nothing",)


def test_a_truncated_file_is_found(path: Path) -> None:
    assert verdict(path).agreement is Agreement.EQUAL
    truncate(path)
    assert verdict(path).agreement is Agreement.DIFFERENT


def test_a_damaged_page_is_found(path: Path) -> None:
    assert verdict(path).agreement is Agreement.EQUAL
    content = bytearray(path.read_bytes())
    content[1_000:1_200] = bytes(200)
    path.write_bytes(bytes(content))
    assert verdict(path).agreement is Agreement.DIFFERENT


def test_a_selection_of_tables_is_refused(path: Path) -> None:
    with pytest.raises(UsageError, match="--offline knows files by their codes"):
        verify_files(Selection(schema="staging"), Settings(output_dir=path.parent))


def test_a_code_without_a_file_is_refused_with_the_nearest(path: Path) -> None:
    with pytest.raises(NothingMatched, match="nearest: visits"):
        verify_files(Selection(codes=("visit",)), Settings(output_dir=path.parent))
