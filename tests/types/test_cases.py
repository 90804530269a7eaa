"""The cases of `tests/cases/`: reports of other people's exports, each with the right values.

Where a case leaves a choice, the type map decides; rows are in our order, which is by bytes.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from markdown_it import MarkdownIt
from psycopg import errors as pg_errors

from duckwarp.export.preview import plan_export
from duckwarp.model.settings import Settings, SortIn, SpecialValues
from duckwarp.model.source import Selection
from duckwarp.verify.published import verify_published
from duckwarp.verify.verdicts import Agreement
from tests.conftest import DatabaseMaker, RoleMaker
from tests.support import Database, Role
from tests.types.harness import (
    Exported,
    by_duckdb,
    by_pyarrow,
    export,
    file_types,
    scratch_database,
    sha256,
)

FOLDER = Path(__file__).parents[1] / "cases"
UTC = datetime.UTC


def load(database: Database, number: str, replaced: dict[str, str] | None = None) -> None:
    """Run the SQL of a case, with some of its words replaced."""
    (path,) = FOLDER.glob(f"{number}-*.sql")
    text = path.read_text(encoding="utf-8")
    for old, new in (replaced or {}).items():
        assert old in text
        text = text.replace(old, new)
    database.execute(text)


def rows(path: Path) -> list[tuple[Any, ...]]:
    """The rows of a file, as pyarrow gives them; DuckDB's have to be the same."""
    found = [_rows(read(path)) for read in (by_pyarrow, by_duckdb)]
    assert found[0] == found[1]
    return found[0]


def _rows(table: Any) -> list[tuple[Any, ...]]:
    columns = [[_plain(value) for value in column.to_pylist()] for column in table.columns]
    return list(zip(*columns, strict=True))


def _plain(value: Any) -> Any:
    """DuckDB gives UUIDs as text and UTC under the name of the session's zone."""
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    return str(value) if isinstance(value, uuid.UUID) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the export of a case has to give, without its column id, which counts from 1.

    `losses` are (column, kind, count).
    """

    number: str
    types: Sequence[str]
    rows: Sequence[tuple[Any, ...]]
    losses: Sequence[tuple[str, str, int]] = ()
    ids: Sequence[Any] = field(default=())


def wanted(number: str, types: str, *values: tuple[Any, ...], **options: Any) -> Wanted:
    """A case whose columns after id have these types, split at blanks."""
    return Wanted(number=number, types=types.split(), rows=values, **options)


def D(text: str) -> Decimal:  # noqa: N802 - short, for a long table
    return Decimal(text)


def at(text: str) -> datetime.datetime:
    """A moment in UTC."""
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


NOON = datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)

TABLE = (
    wanted("001", "VARCHAR", ("12345678901234567890.123456789",), ("9007199254740993",), ("0.1",),
           ("1.10",), ("0.000000000000000000000000000001",), ("1" + "0" * 200,), ("0.00",),
           (None,)),
    wanted("002", "DECIMAL(18,1)", (None,), (None,), (None,), (D("0.0"),), (D("7.5"),), (None,),
           losses=[("reading", "NaN", 1), ("reading", "infinity", 2)]),
    wanted("003", "DECIMAL(10,2) DECIMAL(4,0)", (None, D(1)), (D("0.00"), None),
           (D("19.99"), D(3)), (None, None), losses=[("price", "NaN", 1), ("qty", "NaN", 1)]),
    wanted("005", "DECIMAL(8,0)", (D(12346000),), (D(-99999000),), (D(0),), (None,)),
    wanted("006", "DECIMAL(18,6)", (D("0.000123"),), (D("-0.000999"),), (D("0.000000"),), (None,)),
    wanted("008", "VARCHAR", *((f"row {n}",) for n in range(10)),
           ids=[D(9007199254740990 + n) for n in range(10)]),
    wanted("010", "BIGINT", (9007199254740993,), (9223372036854775807,), (-9223372036854775808,),
           (None,)),
    wanted("012", "TIMESTAMP_TZ TIMESTAMP_TZ TIMESTAMP", (at("2024-01-01"), None, None),
           (None, at("2024-01-01"), None), (at("2024-01-01"), NOON.replace(tzinfo=UTC), NOON),
           losses=[("valid_from", "infinity", 1), ("valid_to", "infinity", 1),
                   ("ts", "infinity", 2)]),
    wanted("014", "VARCHAR", ("12:00:00-05:30",), ("12:00:00+00",), ("00:30:00+13:59",),
           ("24:00:00+00",), ("10:00:00+13:59:30",), (None,)),
    wanted("015", "TIME TIME", (None, None), (datetime.time(0), datetime.time(0)),
           (datetime.time(23, 59, 59, 999999), datetime.time(23, 59, 59)),
           losses=[("closes", "24:00:00", 1), ("closes0", "24:00:00", 1)]),
    wanted("016", "VARCHAR", ("PT1H",), ("P-1M",), ("P1M-3DT4H",), ("PT-0.000001S",), (None,)),
    wanted("018", "DECIMAL(19,2) DECIMAL(19,2)[]", (D("1234.50"), [D("1.50"), D("-2000.00")]),
           (D("-92233720368547758.08"), []), (D("0.00"), None), (None, None)),
    wanted("019", "VARCHAR VARCHAR VARCHAR VARCHAR[]", ("00101", "000", "1", ["101", None]),
           ("00000", "", "0", []), (None, None, None, None)),
    wanted("020", "JSON", ("[1,2]",), ("[[1,2],[3,4]]",), ("[]",), ("[[[7]]]",), (None,),
           losses=[("v", "arrays of more than one dimension", 2)]),
    wanted("022", "INTEGER[]", ([7, 8, 9],), ([7, 8, 9],), ([1],), ([None, 2],),
           losses=[("v", "lower bounds other than 1", 3)]),
    wanted("023", "VARCHAR[] BOOLEAN[] VARCHAR[]",
           ([None, "NULL", "", "a"], [True, None, False], [None, "null", '{"a": 1}']), ([], [], []),
           (None, None, None),
           (["comma,inside", 'quote"inside', "back\\slash", "{brace}"], [True], ["[1, 2]"])),
    wanted("024", "VARCHAR VARCHAR[]", ("low", ["high", None, "low"]),
           ("", ["with,comma", 'with"quote', "NULL", ""]), (None, []), ("NULL", None)),
    wanted("025", "VARCHAR VARCHAR[] VARCHAR VARCHAR", ("ab   ", ["a  ", None], "ab ", "nm"),
           ("     ", [], "", ""), ("     ", [" x "], "  ", "z")),
    wanted("027", "DECIMAL(12,2) DECIMAL(12,2) VARCHAR[] TIMESTAMP_TZ UUID JSON BIGINT[]",
           (None, None, None, None, None, "null", []),
           (None, D("0.00"), [], None, None, None, None),
           (D("1.25"), D("3.50"), ["a", "b"], at("2020-01-01"),
            "11111111-2222-3333-4444-555555555555", '{"k": 1}', [1, 2, None]),
           ids=[2, 9, 10],
           losses=[("a", "NaN", 1), ("b", "NaN", 1), ("d", "infinity", 1)]),
    wanted("028", "JSON JSON JSON",
           ('{"de":"ja","fr":"oui"}',
            '{"amount":1.5,"price":2.25,"at":"2020-01-01T00:00:00+00:00","doc":{"k": 1},'
            '"names":{"de":"a","fr":"b"},"nums":[1,2]}',
            '[{"de":"x","fr":"y"},null]'),
           ('{"de":"","fr":null}',
            '{"amount":"NaN","price":"NaN","at":"infinity","doc":null,"names":null,"nums":null}',
            "[]"),
           ('{"de":null,"fr":null}',
            '{"amount":12345678901234567890.5,"price":0.00,"at":null,"doc":null,'
            '"names":{"de":null,"fr":null},"nums":[]}',
            None),
           (None, None, None)),
    wanted("030", "JSON", ('{"id":1,"name":"a, b","born":"2000-02-03"}',),
           ('{"id":2,"name":null,"born":null}',)),
    wanted("033", "JSON JSON", ('{"b":1, "a":2,  "b":3}', '{"a": 2, "b": 3}'),
           ('{"n":1.10,"big":12345678901234567890123}',
            '{"n": 1.10, "big": 12345678901234567890123}'),
           ("null", "null"), (None, None), (r'{"z":"a\u0000b"}', '"x"'),
           ("  [1 ,2]  ", "1" + "0" * 400), (r'"\ud83d\ude00"', '"😀"')),
    wanted("034", "VARCHAR VARCHAR VARCHAR VARCHAR VARCHAR",
           ("[2020-02-01,2020-03-04)", '["2020-02-01 00:00:00+00","2020-03-04 00:00:00+00")',
            "[1.5,)", "{[1,3),[5,7)}", '{["2020-02-01 00:00:00+00","2020-02-02 00:00:00+00")}'),
           ("empty", "(,infinity)", "(,)", "{}", "{}"),
           ("[2020-01-01,infinity)", '[-infinity,"2020-01-01 00:00:00+00"]', "empty", None, None)),
    wanted("036", "JSON VARCHAR VARCHAR VARCHAR[] VARCHAR",
           ('{"a": "1", "b": null, "q x": "y"}', "MixedCase", "a.b.c", ["Aa", "bB", None], "b"),
           ("{}", "", "", [], "A"), (None, None, None, None, "C")),
    wanted("039", "BLOB BLOB[] UUID UUID",
           (b"\x00\xff\x5c\x78\x30", [b"\x00"], "ffffffff-ffff-ffff-ffff-ffffffffffff", None),
           (b"", [], "00000000-0000-0000-0000-000000000000", None),
           (None, None, "80000000-0000-0000-0000-000000000001", None)),
    wanted("042", "INTEGER INTEGER VARCHAR", (10, 20, "x"), (11, 5, "y"), (12, 30, "z")),
    wanted("045", " ".join(["INTEGER"] * 3 + ["VARCHAR", "INTEGER", "VARCHAR"] + ["INTEGER"] * 3
                           + ["VARCHAR"] + ["INTEGER"] * 3),
           (2, 3, 4, "u", 6, "t", 8, 9, 77, "f", 12, 13, 14),
           (1, 3, 4, "u", 6, "t", 8, 9, 76, "f", 12, 13, 14)),
    wanted("048", "DECIMAL(10,2) INTEGER[] TIMESTAMP_TZ VARCHAR"),
    wanted("050", "DECIMAL(10,2) DECIMAL(10,2)", (D("100.00"), D("8.10")), (D("19.95"), D("1.62")),
           (None, None), losses=[("net", "NaN", 1), ("vat", "NaN", 1)]),
    wanted("066", "VARCHAR VARCHAR", ("a", None)),
)  # fmt: skip


@pytest.mark.parametrize("case", [pytest.param(case, id=case.number) for case in TABLE])
def test_a_case_has_the_values_that_its_reporter_expected(
    case: Wanted, database: Database, tmp_path: Path
) -> None:
    load(database, case.number)
    exported = export(database.dsn, tmp_path)
    code = f"tbl_case_{case.number}"
    path = exported.parquet(code)
    types = [each.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMP_TZ") for each in file_types(path)]
    assert types[1:] == list(case.types)
    ids = case.ids or range(1, len(case.rows) + 1)
    assert rows(path) == [(n, *row) for n, row in zip(ids, case.rows, strict=True)]
    _check_losses(exported, code, case.losses)


def _check_losses(exported: Exported, code: str, losses: Iterable[tuple[str, str, int]]) -> None:
    """Each loss in the report, as an event, and as a note in the dictionary."""
    wanted_losses = list(losses)
    found = exported.outcome(code).losses
    assert [(loss.column, loss.kind, loss.count) for loss in found] == wanted_losses
    told = [(w["column"], w["kind"], w["count"]) for w in exported.warnings(code) if "kind" in w]
    assert told == wanted_losses
    assert all(f"*Note:* {loss.sentence}" in exported.page(code) for loss in found)


def test_every_case_is_tested() -> None:
    lines = (FOLDER / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    cases = {json.loads(line)["id"] for line in lines}
    tested = {case.number for case in TABLE}
    tested |= set(re.findall(r"load\(\s*[\w.]+, \"(\d{3})\"", Path(__file__).read_text()))
    assert cases == {path.name[:3] for path in FOLDER.glob("*.sql")}
    # 072 is about the run, not about one table: tests of the exporter have it.
    assert cases - tested == {"072"}


def test_case_011_a_moment_past_the_range_of_the_reader_is_never_another_one(
    database: Database, tmp_path: Path
) -> None:
    load(database, "011")
    exported = export(database.dsn, tmp_path)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(
            "SELECT id, epoch_us(ts), epoch_us(tz) FROM read_parquet(?)",
            [str(exported.parquet("tbl_case_011"))],
        ).fetchall()
    last = 2**63 - 2
    noon = 1_768_478_400_000_000
    assert found == [(1, None, None), (2, None, None), (3, last, last), (4, noon, noon)]
    kind = "after 294247-01-10 04:00:54.775806"
    _check_losses(exported, "tbl_case_011", [("ts", kind, 2), ("tz", kind, 2)])


@pytest.mark.parametrize(
    ("locale", "scale"), [("ja_JP.UTF-8", 0), ("de_DE.UTF-8", 2), ("ar_TN.UTF-8", 3)]
)
def test_case_018_money_has_the_scale_that_the_locale_gives_it(
    database: Database, tmp_path: Path, locale: str, scale: int
) -> None:
    try:
        database.execute(f"ALTER DATABASE {database.name} SET lc_monetary = '{locale}'")
    except pg_errors.InvalidParameterValue:
        pytest.skip(f"this server has no locale {locale}")
    # The smallest amount is one of the smallest units, of which there are more in a tenth.
    smaller = {"92233720368547758.08": "9223372036854775.808"}
    load(database, "018", smaller if scale == 3 else None)
    path = export(database.dsn, tmp_path).parquet("tbl_case_018")
    assert file_types(path)[1:] == [f"DECIMAL(19,{scale})", f"DECIMAL(19,{scale})[]"]
    query = "SELECT m::numeric, ma::numeric[] FROM staging.tbl_case_018 ORDER BY id"
    assert [row[1:] for row in rows(path)] == database.execute(query)


def test_case_037_catalog_and_network_types_are_printed_as_psql_does(
    database: Database, tmp_path: Path
) -> None:
    try:
        database.execute("SELECT '<a/>'::xml")
        load(database, "037")
    except pg_errors.FeatureNotSupported:
        load(database, "037", {" x xml,": " x text,"})
    path = export(database.dsn, tmp_path).parquet("tbl_case_037")
    assert file_types(path) == [
        "INTEGER", *["VARCHAR"] * 7, "UINTEGER", *["VARCHAR"] * 7, "VARCHAR[]"
    ]  # fmt: skip
    owner = database.execute("SELECT rolname::text FROM pg_roles WHERE oid = 10")[0][0]
    assert rows(path) == [
        (1, "10.0.0.1/24", "10.0.0.0/8", "08:00:2b:01:02:03", "08:00:2b:01:02:03:04:05",
         "'a' 'cat' 'fat'", "'fat' & 'rat'", "<a>1</a>", 4294967295, "staging.tbl_case_037",
         "timestamp with time zone", "now", "4294967295", "18446744073709551615",
         "16/B374D848", '$."a"[*]', [f"{owner}=r/{owner}"]),
        (2, "::1", "::/0", None, None, "", "", "", 0, "-", "-", "-", "0", "0", "0/0", "$", []),
    ]  # fmt: skip


def test_case_038_floats_are_kept_bit_for_bit(database: Database, tmp_path: Path) -> None:
    load(database, "038")
    path = export(database.dsn, tmp_path).parquet("tbl_case_038")
    assert file_types(path) == ["INTEGER", "FLOAT", "DOUBLE"]
    assert [tuple(map(repr, row)) for row in rows_with_nan(path)] == [
        ("1", "nan", "nan"), ("2", "inf", "-inf"), ("3", "-0.0", "-0.0"),
        ("4", "1.100000023841858", "5e-324"), ("5", "16777216.0", "0.30000000000000004"),
        ("6", "None", "None"),
    ]  # fmt: skip


def rows_with_nan(path: Path) -> list[tuple[Any, ...]]:
    """As `rows`, for values that do not equal themselves."""
    found = [_rows(read(path)) for read in (by_pyarrow, by_duckdb)]
    assert repr(found[0]) == repr(found[1])
    return found[0]


def test_case_041_geometries_are_wkb_with_their_reference_system_told(
    database: Database, tmp_path: Path
) -> None:
    if not database.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'"):
        pytest.skip("this server has no PostGIS")
    load(database, "041")
    exported = export(database.dsn, tmp_path)
    path = exported.parquet("tbl_case_041")
    table = by_pyarrow(path)
    for column, srid in (("g", 4326), ("gz", 25832), ("gg", 4326)):
        wkb = table[column].to_pylist()
        found = [ewkt(database, value, srid) for value in wkb]
        query = f"SELECT ST_AsEWKT({column}) FROM staging.tbl_case_041 ORDER BY id"
        assert found == [row[0] for row in database.execute(query)]
        assert f"*Note:* SRID {srid}" in exported.page("tbl_case_041")
    assert table["g"].to_pylist()[1] is not None  # POINT EMPTY is no NULL
    assert json.loads(pq.read_metadata(path).metadata[b"geo"]) == {
        "version": "1.1.0",
        "primary_column": "g",
        "columns": {
            "g": {"encoding": "WKB", "geometry_types": []},
            "gz": {"encoding": "WKB", "geometry_types": [], "crs": None},
            "gg": {"encoding": "WKB", "geometry_types": [], "edges": "spherical"},
        },
    }


def test_case_041_geometries_of_several_reference_systems_are_told(
    database: Database, tmp_path: Path
) -> None:
    if not database.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'"):
        pytest.skip("this server has no PostGIS")
    database.execute("""
        CREATE SCHEMA staging;
        CREATE SCHEMA "post gis";
        CREATE EXTENSION postgis SCHEMA "post gis";
        SET search_path = "post gis";
        CREATE DOMAIN staging.shape AS geometry;
        CREATE TABLE staging.t (
            id int, mixed geometry, uniform geometry, unknown geometry(PointZ), list geometry[],
            mixed_list geometry[], shape staging.shape, globe geography);
        INSERT INTO staging.t VALUES
            (1, 'SRID=4326;POINT(1 2)', 'SRID=3857;POINT M(1 2 3)', 'POINT Z(1 2 3)',
             ARRAY['SRID=2056;POINT(1 2)', NULL]::geometry[],
             ARRAY['SRID=4326;POINT(1 2)']::geometry[], 'SRID=4326;POINT(7 8)', 'POINT(1 2)'),
            (2, 'SRID=25832;POLYGON EMPTY', NULL, NULL, '{}',
             ARRAY['SRID=2056;POINT(1 2)', 'SRID=4326;POINT EMPTY', 'POINT(0 0)']::geometry[],
             NULL, 'SRID=4269;POINT(1 2)'),
            (3, 'SRID=25832;POINT(3 4)', 'SRID=3857;POINT EMPTY', NULL, NULL, NULL, NULL, NULL);
        CREATE TABLE staging.empty AS SELECT * FROM staging.t LIMIT 0""")
    exported = export(database.dsn, tmp_path / "null")
    page = exported.page("t")
    notes = re.findall(r"- `(\w+)` \(.*?(?:\*Note:\* (SRID[^\n]*)|(?=\n- `))", page, re.DOTALL)
    assert dict(notes) == {
        "id": "",
        "mixed": "SRID 4326 and others",
        "uniform": "SRID 3857",
        "unknown": "SRID unknown",
        "list": "",
        "mixed_list": "",
        "shape": "SRID 4326",
        "globe": "SRID 4269 and others",
    }
    assert "elements are SRID 2056" in page
    assert "elements are SRID unknown and others" in page
    kind = "several reference systems"
    _check_losses(exported, "t", [("mixed", kind, 2), ("mixed_list", kind, 3), ("globe", kind, 1)])
    columns = json.loads(pq.read_metadata(exported.parquet("t")).metadata[b"geo"])["columns"]
    assert {name: "crs" in column for name, column in columns.items()} == {
        "mixed": True, "uniform": True, "unknown": True, "shape": False, "globe": True
    }  # fmt: skip
    assert pq.read_metadata(exported.parquet("empty")).num_rows == 0
    lists = by_pyarrow(exported.parquet("t"))["list"].to_pylist()
    assert lists[1:] == [[], None]
    assert lists[0][1] is None
    refused = export(database.dsn, tmp_path / "error", special_values=SpecialValues.ERROR)
    assert 'column "mixed" has values that Parquet cannot hold (2 x' in refused.error("t")
    as_text = export(database.dsn, tmp_path / "text", special_values=SpecialValues.TEXT)
    found = by_pyarrow(as_text.parquet("t"))["mixed"].to_pylist()
    query = 'SELECT "post gis".ST_AsHEXEWKB(mixed) FROM staging.t ORDER BY id'
    assert found == [row[0] for row in database.execute(query)]
    document = json.loads(pq.read_metadata(as_text.parquet("t")).metadata[b"geo"])
    assert list(document["columns"]) == ["uniform", "unknown", "shape"]


def ewkt(database: Database, wkb: bytes | None, srid: int) -> str | None:
    """PostGIS's text of well-known binary in a reference system."""
    query = "SELECT ST_AsEWKT(ST_SetSRID(ST_GeomFromWKB(%s), %s))"
    return None if wkb is None else database.execute(query, [wkb, srid])[0][0]


def test_case_042_columns_that_differ_in_case_are_kept_apart(
    database: Database, tmp_path: Path
) -> None:
    load(database, "042")
    exported = export(database.dsn, tmp_path)
    path = exported.parquet("tbl_case_042")
    assert pq.read_schema(path).names == ["id", "Val", "val_1", "VAL_2"]
    assert rows(path) == [(1, 10, 20, "x"), (2, 11, 5, "y"), (3, 12, 30, "z")]
    first, second = exported.outcome("tbl_case_042").notes
    assert first.startswith('column "val" is called "val_1" in the file: ')
    assert second.startswith('column "VAL" is called "VAL_2" in the file: ')


def test_case_042_sorts_by_the_column_of_the_very_name(database: Database, tmp_path: Path) -> None:
    load(database, "042")
    database.execute(
        'CREATE TABLE staging.by_val AS SELECT val, "Val", id FROM staging.tbl_case_042'
    )
    found = rows(export(database.dsn, tmp_path).parquet("by_val"))
    assert [row[2] for row in found] == [2, 1, 3]


def test_case_045_reserved_words_are_names_like_others(database: Database, tmp_path: Path) -> None:
    load(database, "045")
    columns = '"order", id, "select", "user", rowid, filename, "offset"'
    database.execute(f"CREATE TABLE staging.reserved AS SELECT {columns} FROM staging.tbl_case_045")
    path = export(database.dsn, tmp_path).parquet("reserved")
    names = ["order", "id", "select", "user", "rowid", "filename", "offset"]
    assert pq.read_schema(path).names == names
    assert [row[:2] for row in rows(path)] == [(1, 2), (2, 1)]


def test_case_046_names_of_63_bytes_are_whole(database: Database, tmp_path: Path) -> None:
    load(database, "046")
    table = "tbl_case_046_" + "n" * 50
    path = export(database.dsn, tmp_path).parquet(table)
    assert pq.read_schema(path).names == ["id", "k" * 60 + "aa1", "k" * 60 + "aa2", "é" * 31 + "x"]
    assert rows(path) == [(1, 2, 3, 4)]


STRANGE_NAMES = (
    'quo"te', "dot.ted", "a space", "trailing ", " leading", "😀", "ctid ", "CTID", "per%cent",
    "{c}", "{d}", "{output}", "{extension_schema}", "dollar$1", "back\\slash", "tab\tnewline\n",
    "'single'", "é" * 31 + "x", "a`b", "c1", "c2", "t", "x", "e", "r", "é", "e\u0301", "SELECT",
)  # fmt: skip


def test_names_go_out_byte_for_byte(database: Database, tmp_path: Path) -> None:
    quoted = ['"' + name.replace('"', '""') + '"' for name in STRANGE_NAMES]
    types = ["int4", "inet", "numeric", "text[]", "float8", "time"]
    columns = [f"{name} {types[n % len(types)]}" for n, name in enumerate(quoted)]
    database.execute(
        f"CREATE SCHEMA staging; CREATE TABLE staging.strange ({', '.join(columns)});"
        f"INSERT INTO staging.strange ({quoted[0]}, {quoted[1]}) VALUES (1, '::1')"
    )
    path = export(database.dsn, tmp_path).parquet("strange")
    assert pq.read_schema(path).names == list(STRANGE_NAMES)
    assert rows(path)[0][:3] == (1, "::1", None)


def test_case_047_a_table_without_columns_fails_and_says_so(
    database: Database, tmp_path: Path
) -> None:
    load(database, "047")
    database.execute("CREATE TABLE staging.another AS SELECT 1 AS id")
    exported = export(database.dsn, tmp_path)
    assert "tbl_case_047 has no columns" in exported.error("tbl_case_047")
    assert rows(exported.parquet("another")) == [(1,)]


def test_case_052_a_parent_has_the_rows_of_its_children(database: Database, tmp_path: Path) -> None:
    load(database, "052")
    exported = export(database.dsn, tmp_path)
    assert rows(exported.parquet("tbl_case_052")) == [
        (1, "child with the same key"), (1, "parent"), (2, "child")
    ]  # fmt: skip
    assert rows(exported.parquet("tbl_case_052_child")) == [
        (1, "child with the same key", 5), (2, "child", 6)
    ]  # fmt: skip


# --- Row-level security --------------------------------------------------------------------------


@pytest.fixture
def secured(database: Database, make_role: RoleMaker) -> tuple[Database, Role]:
    """Case 054, with views over its table that see what the role sees, or what their owner does."""
    role, owner = make_role(), make_role()
    load(database, "054", {"case_054_role": role.name})
    database.execute(f"""
        CREATE VIEW staging.of_the_superuser AS SELECT * FROM staging.tbl_case_054;
        GRANT USAGE ON SCHEMA staging TO {owner.name};
        GRANT SELECT ON staging.tbl_case_054 TO {owner.name};
        CREATE VIEW staging.of_another AS SELECT * FROM staging.tbl_case_054;
        ALTER VIEW staging.of_another OWNER TO {owner.name};
        GRANT SELECT ON staging.of_the_superuser, staging.of_another TO {role.name};""")
    if int(database.execute("SHOW server_version_num")[0][0]) >= 150000:
        database.execute(f"""
            CREATE VIEW staging.of_the_invoker WITH (security_invoker) AS
                SELECT * FROM staging.tbl_case_054;
            GRANT SELECT ON staging.of_the_invoker TO {role.name};""")
    return database, role


def test_case_054_a_policy_never_hides_rows_in_silence(
    secured: tuple[Database, Role], tmp_path: Path
) -> None:
    database, role = secured
    exported = export(database.dsn_as(role), tmp_path)
    for code in ("tbl_case_054", "tbl_case_054_nopolicy"):
        assert f'would hide rows of staging.{code} from role "{role.name}"' in exported.error(code)
        assert "--enable-row-security" in exported.error(code)
    for code in ("of_another", "of_the_invoker"):
        assert "row-level security policy" in exported.error(code)
    assert len(rows(exported.parquet("of_the_superuser"))) == 100


def test_case_054_hidden_rows_are_accepted_on_demand_and_told(
    secured: tuple[Database, Role], tmp_path: Path
) -> None:
    database, role = secured
    exported = export(database.dsn_as(role), tmp_path, enable_row_security=True)
    assert [row[1] for row in rows(exported.parquet("tbl_case_054"))] == [1] * 25
    assert rows(exported.parquet("tbl_case_054_nopolicy")) == []
    for code in ("tbl_case_054", "tbl_case_054_nopolicy"):
        assert exported.outcome(code).notes == (
            f'row-level security: only the rows that role "{role.name}" may see',
        )
        assert len(exported.warnings(code)) == 1


def test_case_054_rows_hidden_behind_a_view_are_known_to_its_plan(
    secured: tuple[Database, Role],
) -> None:
    database, role = secured
    settings = Settings(dsn=database.dsn_as(role), enable_row_security=True)
    planned = plan_export(Selection(schema="staging"), settings)
    hidden = {each.source.code: each.plan and each.plan.hides_rows for each in planned}
    assert hidden == {
        "of_another": True,
        "of_the_invoker": True,
        "of_the_superuser": False,
        "tbl_case_054": True,
        "tbl_case_054_nopolicy": True,
    }


def test_case_054_a_role_that_bypasses_policies_has_all_rows(
    secured: tuple[Database, Role], make_role: RoleMaker, tmp_path: Path
) -> None:
    database, _ = secured
    exported = export(database.dsn, tmp_path)
    assert len(rows(exported.parquet("tbl_case_054"))) == 100
    assert exported.outcome("tbl_case_054").notes == ()


# --- Kinds, sizes, order, metadata ---------------------------------------------------------------


def test_case_055_a_table_that_was_never_analysed_is_whole(
    database: Database, tmp_path: Path
) -> None:
    load(database, "055")
    exported = export(database.dsn, tmp_path)
    ids = by_pyarrow(exported.parquet("tbl_case_055"))["id"].to_pylist()
    assert ids == list(range(10, 200_001, 10))
    assert "**Rows:** 20,000" in exported.page("tbl_case_055")


def test_case_056_text_is_sorted_by_its_bytes_and_an_enum_by_its_label(
    database: Database, tmp_path: Path
) -> None:
    icu = database.execute("SELECT 1 FROM pg_collation WHERE collname = 'en-x-icu'")
    load(database, "056", None if icu else {'"en-x-icu"': '"C"'})
    assert rows(export(database.dsn, tmp_path).parquet("tbl_case_056")) == [
        ("high", "b"), ("low", "Zebra"), ("low", "_under"), ("low", "apple"), ("low", "Ärger"),
        ("medium", "x"),
    ]  # fmt: skip


def test_case_062_1600_columns_are_written_and_described(
    database: Database, tmp_path: Path
) -> None:
    load(database, "062")
    exported = export(database.dsn, tmp_path)
    with duckdb.connect() as connection:
        path = exported.parquet("tbl_case_062")
        found = connection.execute(
            f"SELECT count(*), sum(c2), sum(c1600), count(c3) FROM read_parquet('{path}')"
        ).fetchone()
    assert found == (5000, 12502500, -12502500, 0)
    assert exported.page("tbl_case_062").count("(integer)") == 1600


def test_case_064_long_texts_are_whole(database: Database, tmp_path: Path) -> None:
    load(database, "064")
    found = rows(export(database.dsn, tmp_path).parquet("tbl_case_064"))
    assert [len(text) for _, text in found] == [8190, 8191, 32760, 32761, 65536, 16777217]
    assert all(set(text) == {"a"} for _, text in found)


def test_case_066_the_dictionary_tells_which_columns_are_never_null(
    database: Database, tmp_path: Path
) -> None:
    load(database, "066")
    page = export(database.dsn, tmp_path).page("tbl_case_066")
    by_column = dict(re.findall(r"- `(\w+)`.*?\*NULLs:\* ([^\n]*)", page, re.DOTALL))
    assert by_column == {
        "id": "none, NOT NULL in the database",
        "req": "none, NOT NULL in the database",
        "opt": "all 1",
    }


def test_case_068_a_million_rows_are_in_order(database: Database, tmp_path: Path) -> None:
    load(database, "068")
    path = export(database.dsn, tmp_path, threads=2).parquet("tbl_case_068")
    table = by_pyarrow(path)
    assert table["id"].to_pylist() == list(range(1, 1_000_001))
    sample = table.slice(654_320, 1).to_pylist()[0]
    assert sample == {
        "id": 654_321,
        "k": 654_321 * 7919 % 1_000_003,
        "v": hashlib.md5(b"654321").hexdigest(),
    }


def test_case_069_comments_cannot_break_the_dictionary(database: Database, tmp_path: Path) -> None:
    load(database, "069")
    exported = export(database.dsn, tmp_path)
    page = (exported.folder / "tbl_case_069.md").read_text(encoding="utf-8")
    html = MarkdownIt("commonmark").enable("table").render(page)
    headings = re.findall(r"<h3>(.*?)</h3>", html)
    assert headings == [f"<code>{name}</code>" for name in ("pipe|col", "tick`col", "e", "n")]
    assert len(re.findall(r"<h[1245]>", html)) == 2  # the title and "Columns"
    assert "<script" not in html
    assert "<table" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    for text in ("First line | with pipe", "Second paragraph", "multi", "line | pipe", "```"):
        assert text in html
    for name in ("id", "&lt;i&gt;"):
        assert f"<code>{name}</code> (" in html


# --- Encodings -----------------------------------------------------------------------------------


def test_case_059_a_latin1_database_gives_utf8(
    make_database: DatabaseMaker, tmp_path: Path
) -> None:
    database = make_database(encoding="LATIN1")
    load(database, "059")
    assert rows(export(database.dsn, tmp_path).parquet("tbl_case_059")) == [
        (1, "plain"), (2, "café"), (3, "Ã©"), (4, "naïve £5"), (5, "\u00a0")
    ]  # fmt: skip


TEXTS = {
    "LATIN1": ("plain", "café", "Ã©", "naïve £5", "\u00a0", "ÿ"),
    "WIN1252": ("plain", "café", "“quotes” € ž", "\u00a0", "™"),
    "EUC_JP": ("plain", "日本語", "ｶﾅ", "漢字かな", "￥"),
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_the_same_text_gives_the_same_file_in_every_encoding(
    make_database: DatabaseMaker, tmp_path: Path, encoding: str
) -> None:
    digests, found = [], []
    for each in (encoding, "UTF8"):
        database = make_database(encoding=each)
        database.execute("""
            CREATE SCHEMA staging;
            CREATE TYPE staging.pair AS (a text, b text);
            CREATE TABLE staging.t (v text, vs text[], j json, p staging.pair, c char(20))""")
        for text in TEXTS[encoding]:
            database.execute(
                "INSERT INTO staging.t VALUES (%s, %s, to_json(%s::text), ROW(%s, NULL), %s)",
                [text, [text, None], text, text, text],
            )
        path = export(database.dsn, tmp_path / each).parquet("t")
        found.append({row[0] for row in rows(path)})
        digests.append(sha256(path))
    assert found[0] == found[1] == set(TEXTS[encoding])
    assert digests[0] == digests[1]


@pytest.mark.parametrize("encoding", ["LATIN1", "UTF8", "SQL_ASCII"])
def test_case_061_no_setting_of_client_encoding_changes_the_text(
    database: Database,
    make_role: RoleMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoding: str,
) -> None:
    role = make_role()
    load(database, "061", {"case_061_role": role.name, "'LATIN1'": f"'{encoding}'"})
    wanted_rows = [(1, "plain"), (2, "café"), (3, "Ã©")]
    as_role = export(database.dsn_as(role), tmp_path / "role").parquet("tbl_case_061")
    monkeypatch.setenv("PGCLIENTENCODING", encoding)
    as_superuser = export(database.dsn, tmp_path / "environment").parquet("tbl_case_061")
    assert rows(as_role) == rows(as_superuser) == wanted_rows
    assert sha256(as_role) == sha256(as_superuser)


# What a role, a database or a server may be set to, and what would change text or meaning.
LEAKING = {
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kolkata",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "xmlbinary": "hex",
    "standard_conforming_strings": "off",
    "quote_all_identifiers": "on",
    "search_path": "staging",
    "client_encoding": "LATIN1",
    "default_transaction_isolation": "serializable",
}


def test_no_setting_of_a_role_or_a_database_changes_the_file(
    database: Database, make_role: RoleMaker, tmp_path: Path
) -> None:
    load(database, "034")
    load(database, "038")
    database.execute(r"""
        CREATE TYPE staging.row AS (at timestamptz, f float8, b bytea, span interval);
        CREATE TABLE staging.t AS SELECT
            1 AS id, 'staging.tbl_case_034'::regclass AS rel,
            timestamptz '2020-02-01 00:00+01' AS at, interval '-1 mon' AS span,
            '\x00ff'::bytea AS b, ARRAY['\x00ff'::bytea] AS bs,
            ROW('2020-02-01 00:00+01', 0.30000000000000004, '\x00ff', '1 day')::staging.row AS r,
            ARRAY[interval '1 day', '-1 year'] AS spans, time with time zone '12:00+01' AS tz,
            point(0.1, 0.30000000000000004) AS p, tstzrange('2020-02-01 00:00+01', NULL) AS range,
            'back\slash'::text AS text""")
    role = make_role("SUPERUSER")
    plain = export(database.dsn_as(role), tmp_path / "plain")
    for name, value in LEAKING.items():
        database.execute(f"ALTER ROLE {role.name} SET {name} = '{value}'")
        database.execute(f"ALTER DATABASE {database.name} SET {name} = '{value}'")
    leaking = export(database.dsn_as(role), tmp_path / "leaking")
    for code in ("t", "tbl_case_034", "tbl_case_038"):
        assert sha256(leaking.parquet(code)) == sha256(plain.parquet(code))
    assert rows(plain.parquet("t"))[0][1] == "staging.tbl_case_034"


def test_sql_ascii_that_is_utf8_passes(make_database: DatabaseMaker, tmp_path: Path) -> None:
    database = make_database(encoding="SQL_ASCII")
    texts = ["", "plain", "é", "\u07ff\u0800\uffff", "\ud7ff\ue000", "\U00010000\U0010ffff", "\x01"]
    database.execute("CREATE SCHEMA staging; CREATE TABLE staging.t (v text, vs text[], n int)")
    for text in texts:
        database.execute("INSERT INTO staging.t VALUES (%s, %s, 1)", [text, [text, None]])
    found = rows(export(database.dsn, tmp_path).parquet("t"))
    assert found == [(text, [text, None], 1) for text in sorted(texts, key=str.encode)]


INVALID = (
    pytest.param(r"\xe9", id="a byte of LATIN1"),
    pytest.param(r"\xc3", id="the beginning of a character"),
    pytest.param(r"\x61a9", id="a continuation alone"),
    pytest.param(r"\xc080", id="an overlong NUL"),
    pytest.param(r"\xe08080", id="an overlong character"),
    pytest.param(r"\xeda080", id="a surrogate"),
    pytest.param(r"\xf4908080", id="beyond Unicode"),
    pytest.param(r"\xff", id="a byte that UTF-8 never has"),
)


@pytest.mark.parametrize("invalid", INVALID)
@pytest.mark.parametrize(
    ("type_", "expression"),
    [
        pytest.param("text", "{}", id="text"),
        pytest.param("varchar(9)", "{}", id="varchar"),
        pytest.param("text[]", "ARRAY['a', {}]", id="array"),
    ],
)
def test_sql_ascii_that_is_no_utf8_fails_and_names_a_row(
    sql_ascii: Database, tmp_path: Path, invalid: str, type_: str, expression: str
) -> None:
    value = expression.format(f"pg_catalog.convert_from('{invalid}', 'SQL_ASCII')")
    sql_ascii.execute(f"""
        DROP SCHEMA IF EXISTS staging CASCADE; CREATE SCHEMA staging;
        CREATE TABLE staging.t (id int, v {type_});
        INSERT INTO staging.t SELECT n, NULL FROM generate_series(1, 3) n;
        INSERT INTO staging.t VALUES (4, {value}), (5, {value});
        CREATE VIEW staging.v AS SELECT v, id FROM staging.t;
        CREATE VIEW staging.w AS SELECT id, v FROM staging.t;""")
    exported = export(sql_ascii.dsn, tmp_path)
    error = exported.error("t")
    assert 'column "v" has 2 values that are not valid UTF-8' in error
    assert "ctid (0,4) of staging.t" in error
    assert "SQL_ASCII" in error
    assert 'the row of staging.w with "id" = 4' in exported.error("w")
    octal = "\\" + f"{int(invalid[-2:], 16):o}"
    assert 'the row of staging.v with "v" = ' in exported.error("v")
    assert octal in exported.error("v")


@pytest.fixture(scope="module")
def sql_ascii(server_dsn: str, worker_id: str) -> Any:
    """A database in SQL_ASCII for all tests of the module."""
    with scratch_database(server_dsn, worker_id, encoding="SQL_ASCII") as database:
        yield database


def test_sql_ascii_names_the_partition_of_the_row(
    make_database: DatabaseMaker, tmp_path: Path
) -> None:
    database = make_database(encoding="SQL_ASCII")
    database.execute(r"""
        CREATE SCHEMA staging;
        CREATE TABLE staging.t (id int, v text) PARTITION BY LIST (id);
        CREATE TABLE staging.t_1 PARTITION OF staging.t FOR VALUES IN (1);
        CREATE TABLE staging.t_2 PARTITION OF staging.t FOR VALUES IN (2);
        INSERT INTO staging.t VALUES (1, 'a'), (2, convert_from('\xe9', 'SQL_ASCII'))""")
    exported = export(database.dsn, tmp_path)
    assert "1 value that is not valid UTF-8 (look at ctid (0,1) of staging.t_2)" in exported.error(
        "t"
    )


def test_case_095_a_collation_under_which_different_texts_are_equal(
    database: Database, tmp_path: Path
) -> None:
    try:
        database.execute("""
            CREATE SCHEMA staging; CREATE SCHEMA types;
            CREATE COLLATION types.ci
                (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false)""")
    except pg_errors.FeatureNotSupported:
        pytest.skip("this server was built without ICU")
    database.execute("""
        CREATE DOMAIN types.tags AS text[] COLLATE types.ci;
        CREATE TYPE types.pair AS (n int, words text[] COLLATE types.ci);
        CREATE DOMAIN types.word AS text COLLATE types.ci;
        CREATE TABLE staging.arrays (v text[] COLLATE types.ci);
        CREATE TABLE staging.chars (v char(5)[] COLLATE types.ci);
        CREATE TABLE staging.names (v varchar(9)[] COLLATE types.ci);
        CREATE TABLE staging.domains (v types.tags);
        CREATE TABLE staging.words (v types.word[]);
        CREATE TABLE staging.scalars (v text COLLATE types.ci);
        CREATE TABLE staging.bounds (v text[] COLLATE types.ci);
        CREATE TABLE staging.squares (v text[] COLLATE types.ci);
        CREATE TABLE staging.pairs (v types.pair);
        CREATE VIEW staging.view AS SELECT * FROM staging.arrays;
        INSERT INTO staging.arrays VALUES ('{a}'), ('{A}'), ('{b,NULL}'), (NULL), ('{}');
        INSERT INTO staging.chars VALUES ('{a}'), ('{A}');
        INSERT INTO staging.names VALUES ('{a}'), ('{A}');
        INSERT INTO staging.domains VALUES ('{a}'), ('{A}');
        INSERT INTO staging.words VALUES ('{a}'), ('{A}');
        INSERT INTO staging.scalars VALUES ('a'), ('A');
        INSERT INTO staging.bounds VALUES ('[0:1]={a,b}'), ('{A}');
        INSERT INTO staging.squares VALUES ('{{a,b}}'), ('{A}');
        INSERT INTO staging.pairs VALUES ('(1,"{a,A}")')""")
    wanted: dict[str, list[object]] = {
        "arrays": [[], ["A"], ["a"], ["b", None], None],
        "view": [[], ["A"], ["a"], ["b", None], None],
        "chars": [["A    "], ["a    "]],
        "names": [["A"], ["a"]],
        "domains": [["A"], ["a"]],
        "words": [["A"], ["a"]],
        "scalars": ["A", "a"],
        "bounds": [["A"], ["a", "b"]],
        "squares": ['["A"]', '[["a","b"]]'],
        "pairs": ['{"n":1,"words":["a","A"]}'],
    }
    for sort_in in (SortIn.DUCKDB, SortIn.POSTGRES):
        exported = export(database.dsn, tmp_path, sort_in=sort_in)
        found = {name: [value for (value,) in rows(exported.parquet(name))] for name in wanted}
        assert found == wanted
    settings = Settings(dsn=database.dsn, output_dir=tmp_path)
    for verdict in verify_published(Selection(schema="staging"), settings).verdicts:
        assert verdict.agreement is Agreement.EQUAL, verdict
