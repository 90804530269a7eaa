"""The DuckDB of a run: its extension, its limits, and names that need quoting, end to end."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from psycopg import sql

from duckwarp.engine import session
from duckwarp.engine.layout import Resources
from duckwarp.engine.memory import Budget
from duckwarp.engine.session import extension_path, open_session, resources_of
from duckwarp.model.errors import ExtensionMissing
from duckwarp.model.events import EventType
from duckwarp.model.settings import ServerAddress, Settings, Spill
from duckwarp.model.source import Selection
from tests.runs import Recorder, export, published_files, reading_over
from tests.support import Database

NOWHERE = ServerAddress(parameters={})
FEW = Resources(duckdb_bytes=300_000_000, threads=1, connections=1)


class TestExtension:
    def test_the_package_of_this_duckdb_has_it(self) -> None:
        path = extension_path()
        assert path is not None
        assert f"v{duckdb.__version__}" in path.parts

    def test_a_missing_one_is_an_error_that_says_what_to_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(session, "EXTENSION_PACKAGE", "no_such_package")
        # Neither installed before, nor to be had now.
        monkeypatch.setenv("HOME", str(tmp_path))
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        with (
            pytest.raises(ExtensionMissing) as caught,
            open_session(NOWHERE, "duckwarp x", FEW, Spill(folder=tmp_path, place=tmp_path)),
        ):
            pass
        assert f"duckdb-extension-postgres-scanner=={duckdb.__version__}" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_broken_one_is_an_error_that_says_what_to_do(
        self, demo_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken = tmp_path / "postgres_scanner.duckdb_extension"
        broken.write_bytes(b"broken")
        monkeypatch.setattr(session, "extension_path", lambda: broken)
        recorder = Recorder()
        with pytest.raises(ExtensionMissing, match="cannot load its postgres extension"):
            export(demo_dsn, Selection(publication="adhd"), tmp_path / "output", recorder)
        assert recorder.events[-1].event_type is EventType.STAGE_FAILED
        assert published_files(tmp_path / "output") == set()


class TestLimits:
    @pytest.mark.parametrize(
        ("limit_bytes", "allowed"),
        [
            pytest.param(50_000_000, "47.6 MiB", id="limited"),
            pytest.param(0, "0 bytes", id="not at all"),
        ],
    )
    def test_memory_threads_and_what_may_spill_where_are_the_run_s(
        self, tmp_path: Path, limit_bytes: int, allowed: str
    ) -> None:
        spill = Spill(folder=tmp_path / "spill", place=tmp_path, limit_bytes=limit_bytes)
        with open_session(NOWHERE, "duckwarp x", FEW, spill) as opened:
            opened.ready.result()
            rows = opened.connection.execute(
                "SELECT current_setting('memory_limit'), current_setting('threads'), "
                "current_setting('temp_directory'), current_setting('max_temp_directory_size')"
            ).fetchall()
        assert rows == [("286.1 MiB", 1, str(tmp_path / "spill"), allowed)]

    @pytest.mark.parametrize(
        ("settings", "duckdb_bytes", "want"),
        [
            pytest.param({"threads": 1}, 10**9, (1, 1), id="one thread reads over one connection"),
            pytest.param({"threads": 3}, 10**9, (3, 3), id="each thread has its connection"),
            pytest.param(
                {"threads": 9}, 10**9, (9, 4), id="as many as there may be, but the snapshot's"
            ),
            pytest.param(
                {"threads": 9, "max_connections": 2}, 10**9, (9, 1), id="two: one of them reads"
            ),
            pytest.param({}, 150_000_000, (1, 1), id="no more threads than memory allows"),
            pytest.param({}, 60_000_000, (1, 1), id="but one at least"),
            pytest.param(
                {"threads": 2},
                60_000_000,
                (2, 2),
                id="whatever the memory, if so many are asked for",
            ),
        ],
    )
    def test_threads_and_connections_follow_from_the_settings_and_the_memory(
        self, settings: dict[str, int], duckdb_bytes: int, want: tuple[int, int]
    ) -> None:
        budget = Budget(process_bytes=10**10, duckdb_bytes=duckdb_bytes)
        got = resources_of(Settings(**settings), budget)
        assert (got.threads, got.connections) == want
        assert got.duckdb_bytes == duckdb_bytes
        assert not got.is_frugal

    def test_without_a_number_each_processor_of_the_process_has_a_thread(self) -> None:
        budget = Budget(process_bytes=10**12, duckdb_bytes=10**12)
        processors = len(os.sched_getaffinity(0))
        got = resources_of(Settings(max_connections=10**6), budget)
        assert (got.threads, got.connections) == (processors, processors)


# Names that PostgreSQL takes and that go wrong where one quote is missing.
NAMES = [
    pytest.param("UPPER Case", id="upper case and a blank"),
    pytest.param("select", id="a reserved word"),
    pytest.param('quo"te', id="a double quote"),
    pytest.param('"', id="nothing but a double quote"),
    pytest.param("apo'strophe", id="a single quote"),
    pytest.param("a.b", id="a dot"),
    pytest.param("$1", id="a dollar sign"),
    pytest.param("$$tag$$", id="a dollar quote"),
    pytest.param("100%s", id="a percent sign"),
    pytest.param("%(name)s", id="a placeholder"),
    pytest.param("{}{d}{0}", id="braces"),
    pytest.param("back\\slash", id="a backslash"),
    pytest.param("--comment", id="a comment"),
    pytest.param("/*", id="another comment"),
    pytest.param("semi;colon", id="a semicolon"),
    pytest.param("Größe_表_✓", id="non-ASCII"),
    pytest.param("x" * 63, id="63 bytes"),
    pytest.param("é" * 31, id="62 bytes in 31 characters"),
    pytest.param(" blanks ", id="blanks around it"),
    pytest.param("tab\tand\nline", id="a tab and a line break"),
    pytest.param("ctid_", id="nearly a system column"),
    pytest.param("c2", id="one of the engine's own names"),
    pytest.param("r", id="the relation's alias"),
    pytest.param("t", id="the engine's alias"),
    pytest.param("?", id="a question mark"),
    pytest.param(":name", id="a colon"),
]


class TestNames:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("connections", [1, 2], ids=["whole", "in ranges"])
    def test_every_name_is_quoted_everywhere(
        self,
        database: Database,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        connections: int,
    ) -> None:
        """The schema, the table and a column have the name; the registry names them."""
        monkeypatch.setattr("duckwarp.engine.layout.RANGE_MIN_BYTES", 2)
        schema, table, column = sql.Identifier(name), sql.Identifier(name, name), name
        create = sql.SQL(
            "CREATE SCHEMA {schema}; CREATE SCHEMA registry; "
            "CREATE TABLE {table} (plain integer, {column} numeric, f float8, a text[]); "
            "COMMENT ON TABLE {table} IS 'the table'; "
            "COMMENT ON COLUMN {qualified} IS 'the column'; "
            "INSERT INTO {table} VALUES (2, 2.5, 0, '{{x}}'), (1, 'NaN', '-0', NULL); "
            "CREATE TABLE registry.tbl_data_sources (code text, table_name text, schema_name text)"
        ).format(
            schema=schema,
            table=table,
            column=sql.Identifier(column),
            qualified=sql.Identifier(name, name, name),
        )
        database.execute(create)
        database.execute(
            "INSERT INTO registry.tbl_data_sources VALUES ('code', %s, %s)", [name, name]
        )
        report = export(
            database,
            Selection(publication="code"),
            tmp_path,
            registry_schema="registry",
            **reading_over(connections),
        )
        assert [result.error for result in report.results] == [None]
        got = pq.read_table(tmp_path / "code.parquet")
        assert got.schema.names == ["plain", name, "f", "a"]
        assert got.column("plain").to_pylist() == [1, 2]
        assert [None if v is None else float(v) for v in got.column(1).to_pylist()] == [None, 2.5]
        page = (tmp_path / "code.md").read_text(encoding="utf-8")
        assert "the table" in page
        assert "the column" in page

    def test_a_registry_may_have_any_name(self, database: Database, tmp_path: Path) -> None:
        database.execute("CREATE SCHEMA staging; CREATE TABLE staging.t (n integer)")
        for number, case in enumerate(NAMES):
            name = str(case.values[0])
            create = sql.SQL(
                "CREATE SCHEMA {schema}; CREATE TABLE {sources} (code text, table_name text); "
                "CREATE TABLE {metadata} (canonical_source_code text, column_name text, "
                "description text); INSERT INTO {sources} VALUES ('code', 't'); "
                "INSERT INTO {metadata} VALUES ('code', 'n', {text})"
            ).format(
                schema=sql.Identifier(name),
                sources=sql.Identifier(name, "tbl_data_sources"),
                metadata=sql.Identifier(name, "tbl_column_metadata"),
                text=sql.Literal(f"described by {number}."),
            )
            database.execute(create)
            selection = Selection(publication="code")
            [result] = export(database, selection, tmp_path, registry_schema=name).results
            assert result.error is None, name
            page = (tmp_path / "code.md").read_text(encoding="utf-8")
            assert f"described by {number}." in page, name

    def test_tables_whose_names_differ_in_case_only_are_not_mistaken(
        self, database: Database, tmp_path: Path
    ) -> None:
        database.execute('CREATE TABLE t AS SELECT 1 AS n; CREATE TABLE "T" AS SELECT 2 AS n')
        for table, want in (("t", 1), ("T", 2)):
            export(database, Selection(tables=(f"public.{table}",)), tmp_path / table)
            got = pq.read_table(tmp_path / table / f"{table}.parquet")
            assert got.column("n").to_pylist() == [want]

    def test_an_output_folder_may_have_any_name(self, database: Database, tmp_path: Path) -> None:
        database.execute("CREATE TABLE t AS SELECT 1 AS n")
        for folder in ("it's", 'quo"te', "per%cent", "a b", "é✓", "glob*?[x]", "{d}", "semi;colon"):
            [result] = export(database, Selection(schema="public"), tmp_path / folder).results
            assert result.error is None, folder
            assert published_files(tmp_path / folder) == {"t.parquet", "t.md"}

    def test_a_code_may_have_any_sane_name(self, database: Database, tmp_path: Path) -> None:
        names = ["it's", "per%cent", "a b", "é✓", "glob[x]", "{d}", "semi;colon", "x-"]
        for name in names:
            database.execute(sql.SQL("CREATE TABLE {} (n int)").format(sql.Identifier(name)))
        report = export(database, Selection(schema="public"), tmp_path)
        assert [result.error for result in report.results] == [None] * len(names)
        want = {f"{name}.{suffix}" for name in names for suffix in ("parquet", "md")}
        assert published_files(tmp_path) == want
