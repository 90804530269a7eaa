"""`verify` says of a true file that it is, and finds whatever is wrong with one that is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from duckwarp.model.errors import RunError
from duckwarp.model.settings import MIN_MEMORY_BYTES, Settings
from duckwarp.model.source import Selection
from duckwarp.verify.published import verify_published
from duckwarp.verify.verdicts import Agreement, Verdict
from tests.runs import dataset_files, export
from tests.store.publications import identity
from tests.support import Database
from tests.verify import tampering
from tests.verify.tampering import (
    one_more,
    renamed,
    rewrite,
    swapped,
    with_doubled,
    with_values,
    without_row,
)

ROWS = 3_000
TABLE = f"""
    CREATE TABLE visits (
        id int PRIMARY KEY, code text, name text, price numeric(38,18), at timestamptz,
        seen date, share float8, flags bool, note text
    );
    INSERT INTO visits
    SELECT n, 'c' || n % 7, 'name ' || n, n + 0.000000000000000001, '2024-01-01'::timestamptz
           + n * interval '1 minute', date '2020-01-01' + n % 300, n / 7.0, n % 2 = 0,
           CASE WHEN n % 5 <> 0 THEN 'note ' || n % 11 END
    FROM generate_series(1, {ROWS}) AS n;
    CREATE TABLE others AS SELECT * FROM visits WHERE id > 10;
    ALTER TABLE others RENAME COLUMN note TO remark"""


@pytest.fixture(scope="module")
def folder(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published files of both tables."""
    module_database.execute(TABLE)
    output = tmp_path_factory.mktemp("published")
    report = export(module_database, Selection(schema="public"), output)
    assert [result.row_count for result in report.results] == [ROWS - 10, ROWS]
    return output


@pytest.fixture
def path(folder: Path, tmp_path: Path) -> Path:
    """A published file that the test may change."""
    return Path(shutil.copy(folder / "visits.parquet", tmp_path))


def verdict(database: Database, path: Path, **options: bool) -> Verdict:
    settings = Settings(dsn=database.dsn, output_dir=path.parent, max_connections=3, threads=2)
    selection = Selection(tables=(f"public.{path.stem}",))
    [found] = verify_published(selection, settings, **options).verdicts
    return found


def test_a_published_file_is_equal(module_database: Database, path: Path) -> None:
    found = verdict(module_database, path)
    assert (found.agreement, found.finding.rows, found.finding.columns) == (
        Agreement.EQUAL,
        ROWS,
        9,
    )
    assert (found.finding.differences, found.reasons, found.finding.differing_rows) == ((), (), ())


def test_neither_row_groups_nor_order_nor_writer_make_a_difference(
    module_database: Database, path: Path
) -> None:
    before = verdict(module_database, path)
    rewrite(path, lambda table: table.take(list(reversed(range(ROWS)))))
    after = verdict(module_database, path)
    assert after.agreement is Agreement.EQUAL
    assert after.finding.checksum == before.finding.checksum


@pytest.mark.parametrize(
    ("tamper", "whats", "columns"),
    [
        pytest.param(
            lambda path: rewrite(path, with_values("code", {17: "c1"})),
            {"checksum"},
            {"code"},
            id="a flipped value",
        ),
        pytest.param(
            lambda path: rewrite(path, swapped("name", 17, 1_700)),
            {"checksum"},
            {None},
            id="a pair of values that have changed places",
        ),
        pytest.param(
            lambda path: rewrite(path, without_row(1_234)), {"rows"}, {None}, id="a missing row"
        ),
        pytest.param(
            lambda path: rewrite(path, with_doubled(1_234)), {"rows"}, {None}, id="a doubled row"
        ),
        pytest.param(
            lambda path: rewrite(path, with_doubled(1_234, 1_234)),
            {"rows"},
            {None},
            id="a row that comes three times",
        ),
        pytest.param(
            lambda path: rewrite(path, with_values("note", {4: ""})),
            {"NULLs"},
            {"note"},
            id="a NULL that became an empty string",
        ),
        pytest.param(
            lambda path: rewrite(path, one_more("price", 1_500)),
            {"checksum"},
            {"price"},
            id="a decimal that has changed in its last place",
        ),
        pytest.param(
            lambda path: rewrite(path, with_values("share", {0: -0.0})),
            {"minimum", "checksum"},
            {"share"},
            id="a float",
        ),
        pytest.param(
            lambda path: rewrite(path, renamed("note", "notes")),
            {"columns"},
            {"note", "notes"},
            id="a renamed column",
        ),
        pytest.param(
            lambda path: rewrite(path, lambda table: table.drop_columns(["share"])),
            {"columns"},
            {"share"},
            id="a column that is missing",
        ),
    ],
)
def test_what_is_wrong_is_found(
    tamper: Callable[[Path], None],
    whats: set[str],
    columns: set[str | None],
    module_database: Database,
    path: Path,
) -> None:
    rewrite(path)
    assert verdict(module_database, path).agreement is Agreement.EQUAL
    tamper(path)
    found = verdict(module_database, path)
    assert found.agreement is Agreement.DIFFERENT
    assert whats <= {difference.what for difference in found.finding.differences}
    assert columns <= {difference.column for difference in found.finding.differences}
    untouched = {"id", "at", "seen", "flags"}
    named = {difference.column for difference in found.finding.differences}
    assert not named & untouched or "rows" in whats


def test_a_truncated_file_is_found(module_database: Database, path: Path) -> None:
    assert verdict(module_database, path).agreement is Agreement.EQUAL
    tampering.truncate(path)
    found = verdict(module_database, path)
    assert found.agreement is Agreement.DIFFERENT
    assert "the file cannot be read" in found.reasons[0]


def test_a_file_from_another_table_is_found(
    folder: Path, module_database: Database, path: Path
) -> None:
    assert verdict(module_database, path).agreement is Agreement.EQUAL
    shutil.copy(folder / "others.parquet", path)
    found = verdict(module_database, path)
    assert found.agreement is Agreement.DIFFERENT
    told = {(difference.what, difference.column) for difference in found.finding.differences}
    assert {("rows", None), ("columns", "remark"), ("columns", "note")} <= told


def test_a_differing_row_is_named_by_its_key_with_both_values(
    module_database: Database, path: Path
) -> None:
    rewrite(path, with_values("code", {17: "c1"}))
    [row] = verdict(module_database, path).finding.differing_rows
    assert row.key == (("id", "18"),)
    assert [(cell.column, cell.table, cell.file) for cell in row.cells] == [("code", "c4", "c1")]


def test_rows_whose_values_have_changed_places_are_named(
    module_database: Database, path: Path
) -> None:
    rewrite(path, swapped("name", 17, 1_700))
    found = verdict(module_database, path)
    assert "changed places" in found.reasons[0]
    assert {row.key for row in found.finding.differing_rows} == {(("id", "18"),), (("id", "1701"),)}
    for row in found.finding.differing_rows:
        assert [cell.column for cell in row.cells] == ["name"]


def test_rows_that_only_one_side_has_are_named(module_database: Database, path: Path) -> None:
    rewrite(path, without_row(1_233))
    [missing] = verdict(module_database, path).finding.differing_rows
    assert (missing.key, missing.table_rows, missing.file_rows) == ((("id", "1234"),), 1, 0)
    rewrite(path, with_doubled(5))
    found = verdict(module_database, path).finding.differing_rows
    assert {(row.key[0][1], row.table_rows, row.file_rows) for row in found} == {
        ("1234", 1, 0),
        ("6", 1, 2),
    }


def test_at_most_five_rows_are_named(module_database: Database, path: Path) -> None:
    rewrite(path, with_values("code", dict.fromkeys(range(0, 100), "other")))
    rows = verdict(module_database, path).finding.differing_rows
    assert len(rows) == 5
    for row in rows:
        assert [cell.file for cell in row.cells] == ["other"]


def test_rows_without_a_key_are_named_by_what_they_have(database: Database, tmp_path: Path) -> None:
    database.execute("CREATE TABLE plain AS SELECT n AS a, n * 2 AS b FROM generate_series(1, 9) n")
    export(database, Selection(schema="public"), tmp_path)
    path = tmp_path / "plain.parquet"
    assert verdict(database, path).agreement is Agreement.EQUAL
    rewrite(path, with_values("b", {2: 7}))
    [row] = verdict(database, path).finding.differing_rows
    assert row.key == (("a", "3"), ("b", "6"))
    assert [(cell.column, cell.table, cell.file) for cell in row.cells] == [("b", "6", "7")]


def test_values_that_look_alike_in_a_row_are_told_apart(database: Database, tmp_path: Path) -> None:
    """What separates the values of a row may itself be in a value."""
    database.execute("CREATE TABLE odd AS SELECT E'a\\x1f1\\x1fb' AS x, NULL AS y, E'\\x1e' AS z")
    export(database, Selection(schema="public"), tmp_path)
    path = tmp_path / "odd.parquet"
    assert verdict(database, path).agreement is Agreement.EQUAL
    rewrite(path, with_values("z", {0: None}))
    assert verdict(database, path).agreement is Agreement.DIFFERENT
    database.execute("DROP TABLE odd; CREATE TABLE odd AS SELECT 'a'::text AS x, 'b'::text AS y")
    export(database, Selection(schema="public"), tmp_path)
    rewrite(path, with_values("x", {0: "a\x1f1:b"}))
    assert verdict(database, path).agreement is Agreement.DIFFERENT


@pytest.mark.parametrize(
    ("tamper", "agreement"),
    [
        pytest.param(rewrite, Agreement.EQUAL, id="a true file"),
        pytest.param(
            lambda path: rewrite(path, without_row(7)), Agreement.DIFFERENT, id="a missing row"
        ),
        pytest.param(
            lambda path: rewrite(path, with_values("note", {4: ""})),
            Agreement.DIFFERENT,
            id="a NULL that became an empty string",
        ),
        pytest.param(
            lambda path: rewrite(path, with_values("code", {17: "c1"})),
            Agreement.EQUAL,
            id="a flipped value, which nobody looks at",
        ),
        pytest.param(tampering.truncate, Agreement.DIFFERENT, id="a truncated file"),
    ],
)
def test_a_quick_look_counts(
    tamper: Callable[[Path], None], agreement: Agreement, module_database: Database, path: Path
) -> None:
    tamper(path)
    assert verdict(module_database, path, quick=True).agreement is agreement


def test_a_table_that_was_loaded_since_is_told_apart(demo_copy: Database, tmp_path: Path) -> None:
    code = "adhd_summary_open_referrals_age"
    selection = Selection(codes=(code,))
    export(demo_copy, selection, tmp_path)
    settings = Settings(dsn=demo_copy.dsn, output_dir=tmp_path)
    [before] = verify_published(selection, settings).verdicts
    assert before.agreement is Agreement.EQUAL
    [(schema, table)] = demo_copy.execute(
        "SELECT schema_name, table_name FROM datawarp.tbl_data_sources WHERE code = %s", [code]
    )
    demo_copy.execute(
        f"DELETE FROM {schema}.{table} WHERE ctid IN (SELECT ctid FROM {schema}.{table} LIMIT 3)"
    )
    (tmp_path / "catalog.parquet").unlink(missing_ok=True)
    [silently] = verify_published(selection, settings).verdicts
    assert silently.agreement is Agreement.DIFFERENT
    later = datetime.now(UTC) + timedelta(minutes=5)
    demo_copy.execute(
        "UPDATE datawarp.tbl_data_sources SET last_load_at = %s WHERE code = %s", [later, code]
    )
    [after] = verify_published(selection, settings).verdicts
    assert after.agreement is Agreement.CHANGED
    assert "the table was loaded at" in after.reasons[0]
    assert len(after.finding.differing_rows) == 3


def test_the_catalog_tells_a_changed_table_from_a_wrong_file(
    database: Database, tmp_path: Path
) -> None:
    database.execute("CREATE TABLE visits AS SELECT n, n % 7 AS m FROM generate_series(1, 99) n")
    export(database, Selection(schema="public"), tmp_path)
    path = tmp_path / "visits.parquet"
    assert (tmp_path / "catalog.parquet").exists()
    assert verdict(database, path).agreement is Agreement.EQUAL
    database.execute("INSERT INTO visits VALUES (100, 0)")
    changed = verdict(database, path)
    assert changed.agreement is Agreement.CHANGED
    assert changed.reasons == (
        "the file is the one that was published",
        "the table had 99 rows at the export and has 100 now",
    )
    rewrite(path, with_values("m", {5: 1_000}))
    wrong = verdict(database, path)
    assert wrong.agreement is Agreement.DIFFERENT
    assert wrong.reasons == ("the file is not the one that was published: its SHA-256 is another",)


def test_each_file_is_looked_at(demo_dsn: str, tmp_path: Path) -> None:
    export(demo_dsn, Selection(publication="adhd_s"), tmp_path)
    settings = Settings(dsn=demo_dsn, output_dir=tmp_path)
    found = verify_published(None, settings)
    files = [path.stem for path in dataset_files(tmp_path)]
    assert [verdict.code for verdict in found.verdicts] == files
    assert found.is_well
    everything = verify_published(Selection(publication="adhd"), settings)
    agreements = {verdict.code: verdict.agreement for verdict in everything.verdicts}
    assert agreements["adhd_prevalence_estimates_icb"] is Agreement.MISSING
    assert agreements["adhd_summary_closed_referrals_reason"] is Agreement.SKIPPED
    assert not everything.is_well


def test_a_file_that_the_registry_does_not_know_is_not_passed_over(
    demo_dsn: str, tmp_path: Path
) -> None:
    export(demo_dsn, Selection(publication="adhd_p"), tmp_path)
    (tmp_path / "stranger.parquet").write_bytes(b"")
    report = verify_published(None, Settings(dsn=demo_dsn, output_dir=tmp_path))
    assert report.verdicts[-1].code == "stranger"
    assert report.of(Agreement.FAILED) == report.verdicts[-1:]
    assert "name its table with --table or --schema" in report.verdicts[-1].reasons[0]
    assert not report.is_well


def test_many_columns_are_compared(database: Database, tmp_path: Path) -> None:
    columns = ", ".join(f"n AS c{number}, n::text AS t{number}" for number in range(200))
    database.execute(f"CREATE TABLE wide AS SELECT {columns} FROM generate_series(1, 20) n")
    export(database, Selection(schema="public"), tmp_path)
    path = tmp_path / "wide.parquet"
    assert verdict(database, path).agreement is Agreement.EQUAL
    rewrite(path, with_values("t199", {3: "x"}))
    found = verdict(database, path)
    assert {d.column for d in found.finding.differences} == {"t199"}


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP", "SQL_ASCII"])
def test_text_of_another_encoding_is_compared(
    encoding: str, make_database: Callable[..., Database], tmp_path: Path
) -> None:
    database = make_database(encoding=encoding)
    text = {"LATIN1": "é", "EUC_JP": "日本", "SQL_ASCII": "é日"}[encoding]
    database.execute(
        f"CREATE TABLE words AS SELECT n, '{text}' || n AS w, '{{a,{text}}}'::text[] "
        "FROM generate_series(1, 50) n"
    )
    export(database, Selection(schema="public"), tmp_path)
    path = tmp_path / "words.parquet"
    assert verdict(database, path).agreement is Agreement.EQUAL
    rewrite(path, with_values("w", {3: "x"}))
    assert verdict(database, path).agreement is Agreement.DIFFERENT


def test_verification_leaves_the_folder_alone(module_database: Database, path: Path) -> None:
    before = {each: identity(each) for each in path.parent.iterdir()}
    verdict(module_database, path)
    assert {each: identity(each) for each in path.parent.iterdir()} == before


def test_too_little_memory_is_refused(module_database: Database, path: Path) -> None:
    settings = Settings(
        dsn=module_database.dsn, output_dir=path.parent, memory_bytes=MIN_MEMORY_BYTES
    )
    with pytest.raises(RunError, match="a verification needs at least --memory 320 MB"):
        verify_published(None, settings)


def test_many_columns_need_more_memory(database: Database, tmp_path: Path) -> None:
    columns = ", ".join(f"n AS c{number}" for number in range(600))
    database.execute(f"CREATE TABLE wide AS SELECT {columns} FROM generate_series(1, 3) n")
    export(database, Selection(schema="public"), tmp_path)
    settings = Settings(dsn=database.dsn, output_dir=tmp_path, memory_bytes=400_000_000)
    [found] = verify_published(Selection(schema="public"), settings).verdicts
    assert found.agreement is Agreement.FAILED
    assert found.reasons == (
        "600 columns need at least --memory 420 MB to be verified, not 400 MB",
    )
    enough = Settings(dsn=database.dsn, output_dir=tmp_path, memory_bytes=420_000_000)
    assert verify_published(Selection(schema="public"), enough).is_well
