"""Bytes that are no text of the database's encoding, which an ordinary load may bring in.

No setting and no way of reading makes text of them: each source that has some fails, and says in
which column and row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from psycopg import errors as pg_errors

from duckwarp.engine import layout, sampling
from duckwarp.engine.layout import Reader
from duckwarp.export.preview import plan_export
from duckwarp.model.settings import Order, Settings, SortIn, SpecialValues
from duckwarp.model.source import Selection
from duckwarp.verify.published import verify_published
from duckwarp.verify.verdicts import Agreement
from tests.conftest import DatabaseMaker
from tests.support import Database
from tests.types.harness import export, scratch_database


def load_bytes(database: Database, table: str, *lines: bytes) -> None:
    """Load lines of COPY's text format as they are, past the check of the encoding."""
    statement = f"COPY staging.{table} FROM STDIN (ENCODING 'SQL_ASCII')".encode()
    with database.connect() as connection, connection.cursor().copy(statement) as copy:
        for line in lines:
            copy.write(line + b"\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A type by which text comes, and a value of it in COPY's text format around the text `%s`.

    `needs` is an extension.
    """

    type: str
    value: bytes = b"%s"
    needs: str | None = None


WAYS = {
    "text": Way(type="text"),
    "varchar_n": Way(type="varchar(20)"),
    "char_n": Way(type="char(20)"),
    "name": Way(type="name"),
    "domain": Way(type="types.words"),
    "array_text": Way(type="text[]", value=b"{ab,%s,NULL}"),
    "array_2d": Way(type="text[]", value=b"{{ab,%s},{c,d}}"),
    "array_char_n": Way(type="char(20)[]", value=b"{ab,%s}"),
    "array_name": Way(type="name[]", value=b"{ab,%s}"),
    "array_domain": Way(type="types.words[]", value=b"{ab,%s}"),
    "composite": Way(type="types.pair", value=b"(1,%s)"),
    "array_composite": Way(type="types.pair[]", value=b'{"(1,%s)"}'),
    "domain_composite": Way(type="types.pairs", value=b"(1,%s)"),
    "range": Way(type="types.span", value=b'["%s",)'),
    "json_text": Way(type="json", value=b'{"a": "%s"}'),
    "jsonb": Way(type="jsonb", value=b'{"a": "%s"}'),
    "xml_text": Way(type="xml", value=b"<a>%s</a>"),
    "hstore": Way(type="types.hstore", value=b"a=>%s", needs="hstore"),
    "citext": Way(type="types.citext", needs="citext"),
    "ltree": Way(type="types.ltree", needs="ltree"),
    "tsvector": Way(type="tsvector", value=b"'%s'"),
}

REFUSALS = (
    pg_errors.CharacterNotInRepertoire,
    pg_errors.InvalidTextRepresentation,
    pg_errors.InvalidXmlContent,
    pg_errors.SyntaxError,  # tsvector
    pg_errors.FeatureNotSupported,
)
# Other types may look at their text when it is loaded.
NEVER_REFUSED = ("text", "varchar_n", "name", "domain", "array_text", "composite", "range")

BYTES = [
    pytest.param(b"L'Ha\xff-les-Roses", id="a byte that UTF-8 never has"),
    pytest.param(b"Caf\xe9", id="a byte of LATIN1"),
    pytest.param(b"Caf\xe9 de la Gare", id="the beginning of a character in the middle"),
    pytest.param(b"\xc3", id="the beginning of a character alone"),
    pytest.param(b"a\xa9", id="a continuation alone"),
    pytest.param(b"\xc0\xaf", id="an overlong character"),
    pytest.param(b"\xed\xa0\x80", id="a surrogate"),
    pytest.param(b"\xf4\x90\x80\x80", id="beyond Unicode"),
    pytest.param(b"\xc3\xa9" * 9 + b"\xfe", id="the last of many"),
]


@pytest.fixture(scope="module")
def utf8(server_dsn: str, worker_id: str) -> Iterator[Database]:
    """A database in UTF8 with the types of the ways."""
    with scratch_database(server_dsn, worker_id) as database:
        database.execute("""
            CREATE SCHEMA types;
            CREATE DOMAIN types.words AS text; CREATE TYPE types.pair AS (n int, words text);
            CREATE DOMAIN types.pairs AS types.pair;
            CREATE TYPE types.span AS RANGE (SUBTYPE = text, COLLATION = "C")""")
        for extension in {way.needs for way in WAYS.values() if way.needs}:
            if database.execute("SELECT FROM pg_available_extensions WHERE name = %s", [extension]):
                database.execute(f"CREATE EXTENSION {extension} SCHEMA types")
        yield database


def empty(database: Database) -> None:
    database.execute("DROP SCHEMA IF EXISTS staging CASCADE; CREATE SCHEMA staging")


def fill(database: Database, text: bytes) -> dict[str, Way]:
    """A table for each way with the text in its second row of three; those that could be made."""
    empty(database)
    made = {}
    for name, way in WAYS.items():
        try:
            database.execute(f"CREATE TABLE staging.{name} (id int, v {way.type}, n int)")
        except pg_errors.UndefinedObject:
            assert way.needs
            continue
        quoted = text.replace(b"'", b"") if name == "tsvector" else text
        lines = (b"%d\t%s\t%d" % (n, way.value % each, n) for n, each in enumerate((b"ok", quoted)))
        try:
            load_bytes(database, name, *lines, b"2\t\\N\t2")
        except REFUSALS:
            assert name not in NEVER_REFUSED
            database.execute(f"DROP TABLE staging.{name}")
        else:
            made[name] = way
    return made


@pytest.mark.parametrize("text", BYTES)
def test_they_fail_their_source_by_whatever_way_they_come(
    utf8: Database, tmp_path: Path, text: bytes
) -> None:
    ways = fill(utf8, text)
    exported = export(utf8.dsn, tmp_path)
    for name in ways:
        error = exported.error(name)
        assert 'column "v" has 1 value that is not valid UTF-8' in error
        assert f"look at ctid (0,2) of staging.{name}" in error
        assert not (tmp_path / f"{name}.parquet").exists()


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"sort_in": SortIn.POSTGRES}, id="sorted by PostgreSQL"),
        pytest.param({"order": Order.FIRST, "special_values": SpecialValues.TEXT}, id="text"),
        pytest.param({"order": Order.NONE, "special_values": SpecialValues.ERROR}, id="error"),
    ],
)
def test_no_setting_makes_text_of_them(
    utf8: Database, tmp_path: Path, settings: dict[str, Any]
) -> None:
    ways = fill(utf8, b"L'Ha\xff-les-Roses")
    exported = export(utf8.dsn, tmp_path, **settings)
    for name in ways:
        assert f"look at ctid (0,2) of staging.{name}" in exported.error(name)


def test_text_in_order_is_not_accused(utf8: Database, tmp_path: Path) -> None:
    text = "\x01aé\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"
    ways = fill(utf8, text.replace("\x01", "").encode())
    assert len(ways) > len(WAYS) / 2
    exported = export(utf8.dsn, tmp_path)
    for name in ways:
        assert exported.parquet(name)


def test_two_elements_do_not_make_a_character_together(utf8: Database, tmp_path: Path) -> None:
    empty(utf8)
    utf8.execute("CREATE TABLE staging.t (v text[], w text, x text)")
    load_bytes(utf8, "t", b"{a,\xc3,\xa9}\tb\tc")
    assert 'column "v"' in export(utf8.dsn, tmp_path).error("t")
    utf8.execute("TRUNCATE staging.t")
    load_bytes(utf8, "t", b"{a}\tb\xc3\t\xa9c")
    assert 'column "w"' in export(utf8.dsn, tmp_path).error("t")


@pytest.mark.parametrize("length", ["(1)", ""])
def test_a_character_of_one_byte_is_looked_at(utf8: Database, tmp_path: Path, length: str) -> None:
    empty(utf8)
    utf8.execute(f"CREATE TABLE staging.t (id int, v char{length})")
    load_bytes(utf8, "t", b"1\ta", b"2\t\xff", b"3\t\xff")
    error = export(utf8.dsn, tmp_path).error("t")
    assert 'column "v" has 2 values that are not valid UTF-8 (look at ctid (0,2)' in error


def test_a_label_of_an_enum(utf8: Database, tmp_path: Path) -> None:
    empty(utf8)
    utf8.execute("CREATE TABLE staging.labels (v text)")
    load_bytes(utf8, "labels", b"Caf\xe9")
    utf8.execute("""
        DO $$ BEGIN EXECUTE 'CREATE TYPE staging.mood AS ENUM (''' ||
            (SELECT v FROM staging.labels) || ''')'; END $$;
        DROP TABLE staging.labels;
        CREATE TABLE staging.t AS SELECT enum_first(NULL::staging.mood) AS v;
        CREATE TABLE staging.arrays AS SELECT enum_range(NULL::staging.mood) AS v""")
    exported = export(utf8.dsn, tmp_path)
    assert 'column "v" has 1 value' in exported.error("t")
    assert 'column "v" has 1 value' in exported.error("arrays")


def test_views_and_what_is_made_of_a_table(utf8: Database, tmp_path: Path) -> None:
    empty(utf8)
    utf8.execute("""
        CREATE TABLE staging.t (id int, town text, n int) PARTITION BY LIST (id);
        CREATE TABLE staging.t_1 PARTITION OF staging.t FOR VALUES IN (1);
        CREATE TABLE staging.t_2 PARTITION OF staging.t FOR VALUES IN (2)""")
    load_bytes(utf8, "t", b"1\tLyon\t1", b"2\tL'Ha\xff\\\\y\t2")
    utf8.execute("""
        CREATE MATERIALIZED VIEW staging.m AS SELECT * FROM staging.t;
        CREATE VIEW staging.v AS SELECT * FROM staging.t;
        CREATE VIEW staging.w AS SELECT town, id FROM staging.t;
        CREATE VIEW staging.rows AS SELECT id, t AS whole FROM staging.t;
        CREATE VIEW staging.aggregated AS SELECT array_agg(town) AS towns FROM staging.t""")
    exported = export(utf8.dsn, tmp_path)
    assert "ctid (0,1) of staging.t_2" in exported.error("t")
    assert "ctid (0,2) of staging.m" in exported.error("m")
    assert 'column "town" has 1 value' in exported.error("v")
    assert 'the row of staging.v with "id" = 2)' in exported.error("v")
    assert r"L''Ha\377\\y)" in exported.error("w")
    assert 'column "whole"' in exported.error("rows")
    assert 'column "towns"' in exported.error("aggregated")


def test_a_foreign_table(utf8: Database, make_database: DatabaseMaker, tmp_path: Path) -> None:
    empty(utf8)
    path = tmp_path / "towns.csv"
    path.write_bytes(b"1,Lyon\n2,L'Ha\xff-les-Roses\n")
    path.chmod(0o644)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == tmp_path.stat().st_uid and len(folder.parts) > 2:
            folder.chmod(folder.stat().st_mode | 0o055)
    utf8.execute(f"""
        CREATE EXTENSION IF NOT EXISTS file_fdw;
        CREATE SERVER IF NOT EXISTS files FOREIGN DATA WRAPPER file_fdw;
        CREATE FOREIGN TABLE staging.f (id int, town text) SERVER files
            OPTIONS (filename '{path}', format 'csv', encoding 'SQL_ASCII')""")
    error = export(utf8.dsn, tmp_path / "out").error("f")
    assert 'column "town" has 1 value' in error
    assert 'the row of staging.f with "id" = 2)' in error


def test_many_rows_over_several_connections(
    utf8: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "RANGE_MIN_BYTES", 100_000)
    monkeypatch.setattr(sampling, "SAMPLED_MIN_BYTES", 0)
    empty(utf8)
    utf8.execute("CREATE TABLE staging.t (id int, town text, mark char(3), n bigint)")
    lines = [b"%d\ttown %d\tabc\t%d" % (n, n % 7, n) for n in range(20_000)]
    for at in (0, 10_000, 19_999):
        load_bytes(utf8, "t", *lines[:at], b"%d\ttown\xff\tabc\t1" % at, *lines[at + 1 :])
        for threads in (1, 2):
            error = export(utf8.dsn, tmp_path, threads=threads).error("t")
            assert 'column "town" has 1 value' in error
        utf8.execute("TRUNCATE staging.t")
    load_bytes(utf8, "t", *lines)
    assert export(utf8.dsn, tmp_path, threads=2).parquet("t")


def test_what_is_read_by_its_bytes(utf8: Database, tmp_path: Path) -> None:
    empty(utf8)
    utf8.execute("CREATE TABLE staging.t (id int, body text, bodies text[], c char(9))")
    long = b"x" * 4_000_000
    lines = [b"%d\t%s\t{a}\tc" % (n, long) for n in range(9)]
    load_bytes(utf8, "t", *lines, b"9\ta\t{b,\xff}\tc")
    selection, settings = Selection(schema="staging"), Settings(dsn=utf8.dsn)
    (planned,) = plan_export(selection, settings)
    assert planned.plan is not None
    assert planned.plan.layout.reader is Reader.BYTES
    error = export(utf8.dsn, tmp_path).error("t")
    assert 'column "bodies" has 1 value' in error
    assert "look at ctid" in error


def test_lengths_that_were_counted(utf8: Database, tmp_path: Path) -> None:
    empty(utf8)
    utf8.execute("CREATE TABLE staging.t (id int, body text)")
    load_bytes(utf8, "t", b"1\t" + b"x" * 100_000, b"2\tCaf\xe9")
    assert 'column "body"' in export(utf8.dsn, tmp_path).error("t")


def test_side_by_side_with_sources_that_are_in_order(utf8: Database, tmp_path: Path) -> None:
    empty(utf8)
    for n in range(6):
        utf8.execute(f"CREATE TABLE staging.t{n} (id int, town text)")
        load_bytes(utf8, f"t{n}", b"1\tCaf\xe9" if n % 2 else b"1\tLyon")
    exported = export(utf8.dsn, tmp_path)
    for n in range(6):
        if n % 2:
            assert f"ctid (0,1) of staging.t{n}" in exported.error(f"t{n}")
        else:
            assert exported.parquet(f"t{n}")


def test_verify_names_them(utf8: Database, tmp_path: Path) -> None:
    empty(utf8)
    utf8.execute("CREATE TABLE staging.t (id int, town text, towns text[])")
    load_bytes(utf8, "t", b"1\tLyon\t{a}")
    assert export(utf8.dsn, tmp_path).parquet("t")
    load_bytes(utf8, "t", b"2\tLyon\t{a,\xff}")
    selection, settings = Selection(schema="staging"), Settings(dsn=utf8.dsn, output_dir=tmp_path)
    (verdict,) = verify_published(selection, settings).verdicts
    assert verdict.agreement is Agreement.FAILED
    assert 'column "towns" has 1 value' in verdict.reasons[0]
    assert "ctid (0,2) of staging.t" in verdict.reasons[0]


def test_of_an_encoding_that_is_converted(make_database: DatabaseMaker, tmp_path: Path) -> None:
    database = make_database(encoding="EUC_JP")
    database.execute("""
        CREATE SCHEMA staging; CREATE TABLE staging.t (id int, v text);
        CREATE VIEW staging.w AS SELECT v, id FROM staging.t""")
    # The bytes of the bad one are there in the first row, in the middle of two characters.
    load_bytes(database, "t", b"1\t\xb0\xa1 b", b"2\t\xa1 b", b"3\tok")
    exported = export(database.dsn, tmp_path)
    error = exported.error("t")
    assert 'column "v" has text with the bytes 0xa1 0x20 of EUC_JP' in error
    assert "no character of it (look at ctid (0,2) of staging.t)" in error
    assert 'column "v"' in exported.error("w")


def test_a_failure_of_another_kind_is_left_as_it_is(utf8: Database, tmp_path: Path) -> None:
    empty(utf8)
    utf8.execute("CREATE VIEW staging.v AS SELECT 'a'::text AS t, 1 / (random() * 0)::int AS n")
    assert "division by zero" in export(utf8.dsn, tmp_path).error("v")
