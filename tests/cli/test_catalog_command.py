"""`duckwarp catalog`, and the catalog that exports leave, as their readers see them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import yaml

from duckwarp.catalog.update import read_catalog, rebuilt
from duckwarp.cli.app import main
from duckwarp.model.errors import CatalogUnusable
from duckwarp.model.events import EventType
from duckwarp.model.source import Selection
from duckwarp.store.journal import CATALOG_NAMES
from tests.catalog.test_rows import FIRST_COLUMNS, MORE_COLUMNS
from tests.runs import Recorder, by_code, export, published_files, when
from tests.support import Database

PUBLIC = Selection(schema="public")
TABLES = """
    CREATE TABLE a (id int PRIMARY KEY, at timestamptz, day date, note text);
    INSERT INTO a VALUES (1, '2024-01-02 10:00+00', '2023-05-06', ''), (2, NULL, NULL, NULL);
    CREATE TABLE b AS SELECT n, n % 3 AS x FROM generate_series(1, 10) n;
    COMMENT ON TABLE a IS 'All of "a"';"""


@pytest.fixture
def tables(database: Database) -> Database:
    """The tables `a` and `b`."""
    database.execute(TABLES)
    return database


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ending:
        main(arguments)
    code = ending.value.code
    return code if isinstance(code, int) else 0


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(*arguments) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def by_pandas(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "catalog.parquet").set_index("source_code", drop=False)


class TestExports:
    def test_pandas_reads_a_row_for_each_dataset(self, tables: Database, tmp_path: Path) -> None:
        [(before,)] = tables.execute("SELECT clock_timestamp()")
        export(tables, PUBLIC, tmp_path)
        frame = by_pandas(tmp_path)
        assert list(frame.columns) == FIRST_COLUMNS + MORE_COLUMNS
        assert list(frame.index) == ["a", "b"]
        row = frame.loc["a"]
        assert (row["row_count"], row["column_count"], row["description"]) == (2, 4, 'All of "a"')
        assert (row["min_date"], row["max_date"]) == ("2024-01-02", "2024-01-02")
        assert (row["file_path"], row["md_path"]) == ("a.parquet", "a.md")
        assert (row["schema_name"], row["table_name"]) == ("public", "a")
        assert list(row["order_by"]) == ["id", "at", "day", "note"]
        assert row["snapshot_time"] > before
        assert [column["name"] for column in row["columns"]] == ["id", "at", "day", "note"]
        assert row["columns"][2]["min"] == "2023-05-06"
        assert row["columns"][3]["null_count"] == 1
        for code in ("a", "b"):
            content = (tmp_path / f"{code}.parquet").read_bytes()
            assert frame.loc[code]["sha256"] == hashlib.sha256(content).hexdigest()
            assert frame.loc[code]["file_size_kb"] == len(content) / 1000
        assert pd.isna(frame.loc["b"]["min_date"])

    def test_rows_of_other_publications_stay(self, tables: Database, tmp_path: Path) -> None:
        export(tables, Selection(tables=("public.a",)), tmp_path)
        [before] = read_catalog(tmp_path)
        export(tables, Selection(tables=("public.b",)), tmp_path)
        assert list(by_pandas(tmp_path).index) == ["a", "b"]
        assert read_catalog(tmp_path)[0] == before
        package = json.loads((tmp_path / "datapackage.json").read_text())
        assert [resource["name"] for resource in package["resources"]] == ["a", "b"]

    def test_a_source_that_fails_keeps_its_row(self, tables: Database, tmp_path: Path) -> None:
        export(tables, PUBLIC, tmp_path)
        before = {entry.code: entry for entry in read_catalog(tmp_path)}
        tables.execute("DELETE FROM a; INSERT INTO b VALUES (11)")
        report = export(tables, PUBLIC, tmp_path, max_row_drop_percent=10)
        assert not by_code(report)["a"].success
        after = {entry.code: entry for entry in read_catalog(tmp_path)}
        assert after["a"] == before["a"]
        assert (before["b"].rows, after["b"].rows) == (10, 11)

    @pytest.mark.parametrize("publish", ["together", "each"])
    def test_the_catalog_matches_the_files_at_every_moment(
        self, tables: Database, tmp_path: Path, publish: str
    ) -> None:
        """Whoever starts from it meets the file that it describes."""
        export(tables, PUBLIC, tmp_path)
        tables.execute("INSERT INTO a VALUES (3); INSERT INTO b VALUES (11)")
        seen: list[int] = []

        def look() -> None:
            entries = read_catalog(tmp_path)
            for entry in entries:
                content = (tmp_path / entry.file_path).read_bytes()
                assert hashlib.sha256(content).hexdigest() == entry.sha256
            seen.append(len(entries))

        sink = Recorder(when(EventType.STAGE_STARTED, "b", look))
        export(tables, PUBLIC, tmp_path, sink, publish=publish)
        look()
        assert seen[-1] == 2
        assert {entry.code: entry.rows for entry in read_catalog(tmp_path)} == {"a": 3, "b": 11}

    def test_a_run_of_which_nothing_comes_leaves_no_catalog(
        self, tables: Database, tmp_path: Path
    ) -> None:
        tables.execute("DROP TABLE a, b; CREATE TABLE none ()")
        export(tables, PUBLIC, tmp_path)
        assert published_files(tmp_path) == set()
        assert not (tmp_path / "catalog.parquet").exists()

    def test_a_new_load_of_the_same_data_is_told(self, demo_copy: Database, tmp_path: Path) -> None:
        code = "adhd_prevalence_estimates_icb"
        selection = Selection(codes=(code,))
        export(demo_copy, selection, tmp_path)
        [before] = read_catalog(tmp_path)
        demo_copy.execute(
            "UPDATE datawarp.tbl_data_sources SET last_load_at = '2031-02-03 04:05:06+00' "
            f"WHERE code = '{code}'"
        )
        parquet = (tmp_path / f"{code}.parquet").stat()
        export(demo_copy, selection, tmp_path)
        [after] = read_catalog(tmp_path)
        assert str(after.circumstances.last_load_at) == "2031-02-03 04:05:06+00:00"
        assert after.circumstances.snapshot_time > before.circumstances.snapshot_time  # type: ignore[operator]
        assert (tmp_path / f"{code}.parquet").stat().st_mtime_ns == parquet.st_mtime_ns

    def test_a_catalog_of_other_making_stops_the_run_before_it_writes(
        self, tables: Database, tmp_path: Path
    ) -> None:
        duckdb.sql(f"COPY (SELECT 1 AS mine) TO '{tmp_path}/catalog.parquet' (FORMAT parquet)")
        before = (tmp_path / "catalog.parquet").read_bytes()
        with pytest.raises(CatalogUnusable, match="catalog rebuild"):
            export(tables, PUBLIC, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["catalog.parquet"]
        assert (tmp_path / "catalog.parquet").read_bytes() == before

    def test_front_matter_is_there_where_it_was_asked_for(
        self, tables: Database, tmp_path: Path
    ) -> None:
        export(tables, PUBLIC, tmp_path)
        assert (tmp_path / "a.md").read_text().startswith("# a\n")
        export(tables, PUBLIC, tmp_path, front_matter=True)
        _, matter, page = (tmp_path / "a.md").read_text().split("---\n", 2)
        [entry, _] = read_catalog(tmp_path)
        assert yaml.safe_load(matter) == {
            "title": "a",
            "code": "a",
            "rows": 2,
            "columns": 4,
            "sha256": entry.sha256,
            "tags": [],
        }
        assert page.startswith("\n# a\n")
        assert page.endswith("\n*Catalog: [catalog.parquet](catalog.parquet)*\n")


@pytest.fixture(scope="module")
def demo(demo_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample publication, published; no test changes it."""
    folder = tmp_path_factory.mktemp("demo")
    report = export(demo_dsn, Selection(publication="adhd"), folder)
    assert all(result.success for result in report.results)
    return folder


class TestDataPackage:
    def test_frictionless_finds_it_valid(self, demo: Path) -> None:
        assert valid(demo)
        package = json.loads((demo / "datapackage.json").read_text())
        assert len(package["resources"]) == 7
        for resource in package["resources"]:
            content = (demo / resource["path"]).read_bytes()
            assert resource["bytes"] == len(content)
            assert resource["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"

    @pytest.mark.parametrize(
        ("spoil", "want"),
        [
            pytest.param(lambda content: content + b"x", "byte-count", id="another size"),
            pytest.param(lambda content: content[:-1] + b"x", "hash-count", id="another byte"),
        ],
    )
    def test_frictionless_finds_a_file_that_was_changed(
        self, demo: Path, tmp_path: Path, spoil: Callable[[bytes], bytes], want: str
    ) -> None:
        package = json.loads((demo / "datapackage.json").read_text())
        package["resources"] = package["resources"][:1]
        [resource] = package["resources"]
        (tmp_path / "datapackage.json").write_text(json.dumps(package))
        (tmp_path / resource["path"]).write_bytes(spoil((demo / resource["path"]).read_bytes()))
        assert want in errors(tmp_path)

    def test_frictionless_finds_the_values_of_its_schema(self, demo: Path, tmp_path: Path) -> None:
        package = json.loads((demo / "datapackage.json").read_text())
        for resource in package["resources"]:
            (tmp_path / resource["path"]).symlink_to(demo / resource["path"])
        (tmp_path / "datapackage.json").write_text(json.dumps(as_tables(package)))
        assert valid(tmp_path)

    def test_frictionless_finds_a_wrong_type(self, demo: Path, tmp_path: Path) -> None:
        package = as_tables(json.loads((demo / "datapackage.json").read_text()))
        [resource] = [r for r in package["resources"] if r["name"].endswith("_age")]
        [field] = [f for f in resource["schema"]["fields"] if f["name"] == "age_group"]
        field["type"] = "date"
        package["resources"] = [resource]
        (tmp_path / "datapackage.json").write_text(json.dumps(package))
        (tmp_path / resource["path"]).write_bytes((demo / resource["path"]).read_bytes())
        assert "type-error" in errors(tmp_path)

    def test_it_has_the_key_of_a_table_that_has_one(self, tables: Database, tmp_path: Path) -> None:
        export(tables, PUBLIC, tmp_path)
        package = json.loads((tmp_path / "datapackage.json").read_text())
        a, b = (resource["schema"] for resource in package["resources"])
        assert a["primaryKey"] == ["id"]
        assert a["fields"][0]["constraints"] == {"required": True}
        assert "primaryKey" not in b
        assert valid(tmp_path)
        package["resources"] = as_tables(package)["resources"]
        (tmp_path / "datapackage.json").write_text(json.dumps(package))
        assert valid(tmp_path)


def as_tables(package: dict[str, Any]) -> dict[str, Any]:
    """The package with resources that frictionless reads by their rows, and does not measure."""
    resources = [
        {name: value for name, value in resource.items() if name != "bytes"}
        | {"type": "table", "format": "parquet"}
        for resource in package["resources"]
    ]
    return package | {"resources": resources}


def valid(folder: Path) -> bool:
    """Whether frictionless finds the package valid; of tables it reads the first rows."""
    return not errors(folder)


def errors(folder: Path) -> set[str]:
    """The types of what frictionless finds wrong with the package."""
    command = ["frictionless", "validate", "datapackage.json", "--json", "--limit-rows", "400"]
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    report = json.loads(done.stdout)
    assert report["stats"]["tasks"] > 0, done.stdout
    assert done.returncode == (0 if report["valid"] else 1)
    found = {error["type"] for task in report["tasks"] for error in task["errors"]}
    assert bool(found) is not report["valid"]
    return found


class TestCommand:
    def test_it_shows_what_is_published(
        self, demo: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("catalog", "--output", str(demo)) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split()[:6] == ["dataset", "rows", "columns", "size", "from", "to"]
        assert lines[-1].startswith("7 datasets")
        assert any(line.startswith("adhd_summary_open_referrals_age ") for line in lines)

    def test_as_a_document_it_has_the_columns_of_the_catalog(
        self, demo: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        got = document(capsys, "catalog", "-o", str(demo), "--json")
        assert got["left_out"] == []
        assert [list(dataset) for dataset in got["datasets"]] == [FIRST_COLUMNS + MORE_COLUMNS] * 7
        frame = by_pandas(demo)
        assert [dataset["sha256"] for dataset in got["datasets"]] == list(frame["sha256"])

    def test_rebuilding_what_is_right_changes_no_byte(
        self, tables: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        export(tables, PUBLIC, tmp_path)
        before = {path.name: (path.read_bytes(), path.stat()) for path in tmp_path.iterdir()}
        assert run("catalog", "rebuild", "--output", str(tmp_path)) == 0
        after = {path.name: (path.read_bytes(), path.stat()) for path in tmp_path.iterdir()}
        assert {n: (c, s.st_ino, s.st_mtime_ns) for n, (c, s) in after.items()} == {
            n: (c, s.st_ino, s.st_mtime_ns) for n, (c, s) in before.items()
        }
        assert "2 datasets" in capsys.readouterr().out

    @pytest.mark.parametrize("damage", ["gone", "damaged", "another's"])
    def test_rebuilding_mends_it(
        self,
        tables: Database,
        tmp_path: Path,
        damage: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        export(tables, PUBLIC, tmp_path)
        for name in CATALOG_NAMES:
            (tmp_path / name).unlink()
        if damage == "damaged":
            (tmp_path / "catalog.parquet").write_bytes(b"PAR1")
        if damage == "another's":
            path = tmp_path / "catalog.parquet"
            duckdb.sql(f"COPY (SELECT 1 AS mine) TO '{path}' (FORMAT parquet)")
        got = document(capsys, "catalog", "rebuild", "-o", str(tmp_path), "--json")
        assert [dataset["source_code"] for dataset in got["datasets"]] == ["a", "b"]
        assert read_catalog(tmp_path) == rebuilt(tmp_path).entries
        assert published_files(tmp_path) == {"a.parquet", "a.md", "b.parquet", "b.md"}
        export(tables, PUBLIC, tmp_path)

    def test_a_file_that_is_gone_is_named_and_then_forgotten(
        self, tables: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        export(tables, PUBLIC, tmp_path)
        (tmp_path / "a.parquet").unlink()
        got = document(capsys, "catalog", "-o", str(tmp_path), "--json")
        assert [dataset["source_code"] for dataset in got["datasets"]] == ["b"]
        assert [each["file_path"] for each in got["left_out"]] == ["a.parquet"]
        assert (
            document(capsys, "catalog", "rebuild", "-o", str(tmp_path), "--json")["left_out"] == []
        )
        assert len(by_pandas(tmp_path)) == 1

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            pytest.param(["catalog"], 2, "there is no catalog in", id="nothing to show"),
            pytest.param(["catalog", "rebuild"], 3, "there is no such folder", id="no folder"),
            pytest.param(["catalog", "mend"], 2, "mend", id="no such action"),
        ],
    )
    def test_what_cannot_be_done_is_said(
        self,
        arguments: list[str],
        code: int,
        said: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert run(*arguments, "--output", str(tmp_path / "none")) == code
        assert said in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []


class TestDescribe:
    CODE = "adhd_summary_open_referrals_age"

    def test_as_a_document_it_has_the_figures_of_the_file(
        self,
        demo: Path,
        demo_dsn: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("DUCKWARP_DSN", demo_dsn)
        got = document(capsys, "describe", self.CODE, "-o", str(demo), "--json")["published"]
        path = demo / f"{self.CODE}.parquet"
        frame = pd.read_parquet(path)
        assert (got["row_count"], got["size_bytes"]) == (len(frame), path.stat().st_size)
        assert [column["name"] for column in got["columns"]] == list(frame.columns)
        for column in got["columns"]:
            values = frame[column["name"]]
            assert column["null_count"] == values.isna().sum()
            assert column["distinct"] == values.nunique()
            if column["histogram"]:
                assert sum(column["histogram"]["counts"]) == values.notna().sum()
                assert column["histogram"]["low"] == pytest.approx(float(values.min()))
        assert sum(column["histogram"] is not None for column in got["columns"]) >= 4

    def test_people_see_them_without_pictures_where_there_is_no_terminal(
        self,
        demo: Path,
        demo_dsn: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("DUCKWARP_DSN", demo_dsn)
        assert run("describe", self.CODE, "-o", str(demo)) == 0
        page = capsys.readouterr().out
        assert "As published" in page
        assert "1,304 rows in 1 row group" in page
        assert not set(page) & set("▁▂▃▄▅▆▇█▏·")

    def test_a_source_that_is_not_published_has_none(
        self,
        demo_dsn: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("DUCKWARP_DSN", demo_dsn)
        folder = str(tmp_path / "none")
        assert document(capsys, "describe", self.CODE, "-o", folder, "--json")["published"] is None
        assert run("describe", self.CODE, "-o", folder) == 0
        assert "As published" not in capsys.readouterr().out

    def test_a_published_file_that_is_damaged_is_told(
        self,
        demo_dsn: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("DUCKWARP_DSN", demo_dsn)
        (tmp_path / f"{self.CODE}.parquet").write_bytes(b"PAR1")
        assert run("describe", self.CODE, "-o", str(tmp_path)) == 1
        assert f"{self.CODE}.parquet cannot be read" in capsys.readouterr().err


def test_a_source_that_was_not_read_gets_its_row_from_its_file(
    demo_copy: Database, tmp_path: Path
) -> None:
    selection = Selection(codes=("adhd_prevalence_estimates_icb",))
    export(demo_copy, selection, tmp_path, skip_unchanged=True)
    [before] = read_catalog(tmp_path)
    for name in CATALOG_NAMES:
        (tmp_path / name).unlink()
    report = export(demo_copy, selection, tmp_path, skip_unchanged=True)
    assert "not read" in (report.outcomes[0].reason or "")
    [after] = read_catalog(tmp_path)
    assert (after.dataset, after.sha256) == (before.dataset, before.sha256)
