"""Names, comments and rows of the registry that are no UTF-8: each costs its own source alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from duckwarp.cli.app import main
from duckwarp.doctor import Status, diagnose
from duckwarp.export.preview import describe_source, list_sources, plan_export
from duckwarp.model.errors import SourceError
from duckwarp.model.results import SourceState
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from duckwarp.model.texts import BrokenText
from duckwarp.postgres.connection import connect
from duckwarp.postgres.texts import in_bytes, read_rows
from duckwarp.verify.published import verify_published
from duckwarp.verify.verdicts import Agreement
from tests.conftest import DatabaseMaker
from tests.runs import export
from tests.support import Database

# The encoding of a database, and a byte that has no character in it. In UTF8 the catalog takes
# such a byte from a table that was loaded with COPY … ENCODING 'SQL_ASCII'.
BYTES = {"WIN1251": 0x98, "WIN1252": 0x81, "SQL_ASCII": 0xE9, "UTF8": 0x92, "EUC_JP": 0xF5}

# What is written as {b} has the byte. The first of each pair is the code of the source.
BROKEN = {
    "bad_comment": """CREATE TABLE s.bad_comment (id int);
        COMMENT ON TABLE s.bad_comment IS 'about {b} it'""",
    "bad_column_comment": """CREATE TABLE s.bad_column_comment (id int, t text);
        COMMENT ON COLUMN s.bad_column_comment.t IS 'col {b}'""",
    "bad_column": 'CREATE TABLE s.bad_column (id int, "na{b}me" text)',
    "table{b}": 'CREATE TABLE s."table{b}" (id int)',
    "view{b}": 'CREATE VIEW s."view{b}" AS SELECT 1 AS id',
    "bad_enum": """CREATE TYPE s."ty{b}pe" AS ENUM ('q');
        CREATE TABLE s.bad_enum (id int, v s."ty{b}pe")""",
    "bad_array": 'CREATE TABLE s.bad_array (id int, v s."ty{b}pe"[])',
    "bad_domain": """CREATE DOMAIN s."do{b}main" AS int;
        CREATE TABLE s.bad_domain (id int, v s."do{b}main")""",
    "bad_composite": """CREATE TYPE s."co{b}mp" AS (a int);
        CREATE TABLE s.bad_composite (id int, v s."co{b}mp")""",
    "bad_label": """CREATE TYPE s.labels AS ENUM ('ok', 'la{b}bel');
        CREATE TABLE s.bad_label (id int, v s.labels);
        INSERT INTO s.bad_label VALUES (1, 'la{b}bel')""",
    "bad_type_schema": """CREATE SCHEMA "sch{b}ema"; CREATE TYPE "sch{b}ema".e AS ENUM ('z');
        CREATE TABLE s.bad_type_schema (id int, v "sch{b}ema".e)""",
    "child{b}": """CREATE TABLE s.parent (id int);
        CREATE TABLE s."child{b}" () INHERITS (s.parent)""",
}
# What has the byte somewhere, and publishes nothing of it.
SOUND = {
    "good": "CREATE TABLE s.good (id int)",
    "parent": "SELECT",
    "good_label": "CREATE TABLE s.good_label AS SELECT 'ok'::s.labels AS v",
    "partitioned": """CREATE TABLE s.partitioned (id int) PARTITION BY LIST (id);
        CREATE TABLE s."part{b}" PARTITION OF s.partitioned FOR VALUES IN (1);
        INSERT INTO s.partitioned VALUES (1)""",
    "over_bad_table": 'CREATE VIEW s.over_bad_table AS SELECT * FROM s."table{b}"',
    "over_bad_column": 'CREATE VIEW s.over_bad_column AS SELECT "na{b}me" AS n FROM s.bad_column',
    "over_bad_schema": """CREATE TABLE "sch{b}ema".t (id int);
        CREATE VIEW s.over_bad_schema AS SELECT * FROM "sch{b}ema".t""",
    "bad_default": "CREATE TABLE s.bad_default (id int, t text DEFAULT '{b}', CHECK (t <> '{b}'))",
    "bad_collation": """CREATE COLLATION s."coll{b}" FROM "C";
        CREATE TABLE s.bad_collation (t text COLLATE s."coll{b}");
        INSERT INTO s.bad_collation VALUES ('x')""",
    "bad_index": """CREATE TABLE s.bad_index (id int, CONSTRAINT "pk{b}" PRIMARY KEY (id));
        CREATE INDEX "ix{b}" ON s.bad_index (id)""",
}


def execute_with(database: Database, statement: str, byte: int) -> None:
    """Run a statement that has `byte` for each `{b}`, whatever the encoding of the database."""
    encoding = encoding_of(database)
    loaded = "SQL_ASCII" if encoding == "UTF8" else encoding
    with database.connect() as connection:
        connection.execute("CREATE TEMPORARY TABLE loaded (b text)")
        copying = f"COPY loaded FROM STDIN (ENCODING '{loaded}')"
        with connection.cursor().copy(copying.encode()) as copy:
            copy.write(bytes([byte]) + (b"\xa1" if encoding == "EUC_JP" else b""))
        quoted = statement.replace("'", "''")
        connection.execute(
            f"""DO $do$ BEGIN EXECUTE
            (SELECT pg_catalog.replace('{quoted}', '{{b}}', b) FROM loaded); END $do$""".encode()
        )


def encoding_of(database: Database) -> str:
    return str(database.execute("SHOW server_encoding")[0][0])


def escaped(text: str, encoding: str, byte: int) -> str:
    """The text as it is shown."""
    return text.replace("{b}", rf"\x{byte:02x}" + (r"\xa1" if encoding == "EUC_JP" else ""))


@pytest.mark.parametrize("encoding", BYTES)
def test_what_has_it_fails_and_all_else_is_exported(
    make_database: DatabaseMaker, tmp_path: Path, encoding: str
) -> None:
    byte = BYTES[encoding]
    database = make_database(encoding=encoding)
    database.execute("CREATE SCHEMA s")
    for statement in (*BROKEN.values(), *SOUND.values()):
        execute_with(database, statement, byte)
    if encoding == "UTF8":
        # What is in the rows is not looked at here.
        database.execute("UPDATE s.bad_label SET v = 'ok'")
    selection = Selection(schema="s")
    report = export(database, selection, tmp_path)
    states = {outcome.code: outcome.state for outcome in report.outcomes}
    broken = {escaped(code, encoding, byte) for code in BROKEN}
    sound = set(SOUND)
    if encoding == "UTF8":
        broken.remove("bad_label")
        sound.add("bad_label")
    assert {code for code, state in states.items() if state is SourceState.FAILED} == broken
    assert {c for c, state in states.items() if state is SourceState.EXPORTED} == sound
    for outcome in report.of_state(SourceState.FAILED):
        assert "UTF-8" in str(outcome.reason)
        assert rf"\x{byte:02x}" in str(outcome.reason) or "ctid (0,1)" in str(outcome.reason)
    settings = Settings(dsn=database.dsn, output_dir=tmp_path)
    planned = plan_export(selection, settings)
    # What is in the rows is not met before they are read.
    without_plan = {each.source.code for each in planned if each.plan is None}
    assert broken - {"bad_label"} <= without_plan <= broken
    verified = verify_published(selection, settings)
    equal = {each.code for each in verified.verdicts if each.agreement is Agreement.EQUAL}
    assert equal == sound
    checks = diagnose(selection, settings).checks
    failing = {check.source for check in checks if check.status is Status.FAILED}
    assert broken - {"bad_label"} <= failing <= broken


REGISTRY = """CREATE SCHEMA datawarp; CREATE SCHEMA staging; CREATE TABLE staging.tbl_a (id int);
    CREATE TABLE datawarp.tbl_data_sources (code text, name text, table_name text,
        schema_name text, description text, domain text, tags text[], last_load_at timestamptz);
    CREATE TABLE datawarp.tbl_column_metadata (canonical_source_code text, column_name text,
        original_name text, description text, is_dimension boolean, is_measure int,
        query_keywords text[])"""


@pytest.fixture(params=BYTES)
def registry(make_database: DatabaseMaker, request: pytest.FixtureRequest) -> Database:
    """A registry with the source `a`, and one with the byte in each of its columns."""
    byte = BYTES[request.param]
    database = make_database(encoding=request.param)
    database.execute(REGISTRY)
    insert = "INSERT INTO datawarp.tbl_data_sources VALUES "
    for row in (
        "('a', 'A', 'tbl_a', NULL, 'fine', 'd', '{{t}}')",
        "('b_{b}', 'A', 'tbl_a')",
        "('b_name', 'n{b}', 'tbl_a')",
        "('b_table_name', 'A', 't{b}')",
        "('b_schema_name', 'A', 'tbl_a', 's{b}')",
        "('b_description', 'A', 'tbl_a', NULL, 'King{b}s \\ Fund')",
        "('b_domain', 'A', 'tbl_a', NULL, 'x', 'd{b}')",
        "('b_tags', 'A', 'tbl_a', NULL, 'x', 'd', ARRAY[NULL, 'good', 't{b}'])",
        "('c_description', 'A', 'tbl_a')",
        "('c_original_name', 'A', 'tbl_a')",
        "('c_query_keywords', 'A', 'tbl_a')",
    ):
        execute_with(database, insert + row.replace("{{t}}", "{t}"), byte)
    metadata = "INSERT INTO datawarp.tbl_column_metadata (canonical_source_code, column_name, "
    for column, value in (
        ("original_name", "'o{b}'"),
        ("description", "'d{b}'"),
        ("query_keywords", "ARRAY['k{b}']"),
    ):
        row = f"{column}) VALUES ('c_{column}', 'id', {value})"
        execute_with(database, metadata + row, byte)
    return database


def test_a_row_of_the_registry_costs_its_source_alone(registry: Database, tmp_path: Path) -> None:
    settings = Settings(dsn=registry.dsn, output_dir=tmp_path)
    [alone] = export(registry, Selection(codes=("a",)), tmp_path).outcomes
    assert alone.state is SourceState.EXPORTED
    everything = Selection(everything=True)
    report = export(registry, everything, tmp_path, skip_unchanged=True)
    reasons = {outcome.code: outcome.reason or "" for outcome in report.outcomes}
    assert reasons.pop("a").startswith(("", "not read"))
    assert len(reasons) == 10
    for code, reason in reasons.items():
        assert code in reason or "tbl_column_metadata" in reason
        assert "UTF-8" in reason
        assert r"\x" in reason
        if code.startswith("b_") and "\\" not in code:
            assert f'"{code.removeprefix("b_")}" of the registry' in reason
    assert [source.code for source in list_sources(everything, settings)] == sorted(["a", *reasons])
    failing = {c.source for c in diagnose(everything, settings).checks if c.status is Status.FAILED}
    assert failing == reasons.keys()
    verdicts = {
        each.code: each.agreement for each in verify_published(everything, settings).verdicts
    }
    assert verdicts.pop("a") is Agreement.EQUAL
    assert set(verdicts.values()) <= {Agreement.FAILED, Agreement.MISSING}
    assert describe_source(Selection(codes=("a",)), settings).source.tags == ("t",)
    for code in ("b_description", "c_description"):
        with pytest.raises(SourceError, match="UTF-8"):
            describe_source(Selection(codes=(code,)), settings)


def test_the_document_for_programs_has_no_half_characters(
    registry: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--all", "--dsn", registry.dsn, "--output", str(tmp_path), "--json"])
    document = json.loads(capsys.readouterr().out)
    assert json.dumps(document, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        pytest.param("WIN1251", "Москва № 1", id="WIN1251"),
        pytest.param("WIN1252", "“café” €", id="WIN1252"),
        pytest.param("EUC_JP", "日本", id="EUC_JP"),
        pytest.param("LATIN2", "Łódź", id="LATIN2"),
        pytest.param("UTF8", "😀 Łódź", id="UTF8"),
        pytest.param("SQL_ASCII", "Łódź", id="SQL_ASCII"),
    ],
)
def test_text_beside_it_is_kept(make_database: DatabaseMaker, encoding: str, text: str) -> None:
    connection = connect(make_database(encoding=encoding).dsn, "duckwarp")
    query = f"SELECT {in_bytes('t')} AS t FROM unnest(%s::text[]) AS t"
    given = ["plain", text, r"a\b\x41\\", "", None, text * 2]
    try:
        found = [row.t for row in read_rows(connection, query.encode(), [given])]
    finally:
        connection.close()
    assert found == given
    assert not any(isinstance(each, BrokenText) for each in found)
