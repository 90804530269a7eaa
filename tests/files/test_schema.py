"""The Arrow schema in the footer: it tells of each column, and changes nothing that is read."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from duckwarp.engine import copy
from duckwarp.engine.plan import ExportPlan
from duckwarp.engine.statements import copy_statement
from duckwarp.files.quoting import literal
from duckwarp.files.schema import ARROW_SCHEMA_KEY, FieldFacts, arrow_schema
from duckwarp.model.column import Column
from duckwarp.model.parquet_type import ParquetType
from duckwarp.model.pg_type import PgType
from duckwarp.model.results import Loss
from duckwarp.model.settings import SpecialValues
from tests.support import Database
from tests.types.harness import export

PG_TEXT = PgType(
    oid=25, name="text", schema="pg_catalog", kind="base", output_function="pg_catalog.textout"
)


def facts(name: str = "c", duckdb_type: str = "VARCHAR", **values: Any) -> FieldFacts:
    """A column of text, unless `values` of the column or of its form say otherwise."""
    form = {key: values.pop(key) for key in ("losses", "note") if key in values}
    column = Column(
        **({"name": name, "position": 1, "data_type": "text"} | values), pg_type=PG_TEXT
    )
    return FieldFacts(column=column, type=ParquetType.parse(duckdb_type), **form)


def loss(kind: str = "NaN", count: int = 1, outcome: str = "written as NULL") -> Loss:
    return Loss(column="c", kind=kind, count=count, outcome=outcome)


def parsed(key: str) -> pa.Schema:
    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(key)))


def write(path: Path, select: str, *keys: tuple[str, str]) -> Path:
    """A file of one row, with these keys in its footer."""
    options = "".join(f"{literal(name)}: {literal(text)}, " for name, text in keys)
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT {select}) TO '{path}' (FORMAT parquet, "
            f"KV_METADATA {{{options}'other': 'x'}})"
        )
    return path


@pytest.mark.parametrize(
    ("described", "want"),
    [
        pytest.param(facts(), {"postgres_type": "text"}, id="nothing but its type"),
        pytest.param(
            facts(description='A "quoted" é,\nit\'s; 日本', original_name="Größe (cm)"),
            {
                "postgres_type": "text",
                "description": 'A "quoted" é,\nit\'s; 日本',
                "original_name": "Größe (cm)",
            },
            id="what the warehouse knows",
        ),
        pytest.param(
            facts(losses=(loss(), loss("inf", 1_200)), note="elements are SRID 4326"),
            {
                "postgres_type": "text",
                "not_kept": "1 value (NaN) written as NULL; 1,200 values (inf) written as NULL",
                "note": "elements are SRID 4326",
                "duckwarp": '{"not_kept":{"NaN":1,"inf":1200}}',
            },
            id="several losses and a note",
        ),
        pytest.param(
            facts(losses=(loss(outcome="kept: the whole column is text"),), note="text"),
            {
                "postgres_type": "text",
                "note": "1 value (NaN) kept: the whole column is text; text",
            },
            id="values that are kept in another form are not lost",
        ),
    ],
)
def test_a_field_tells(described: FieldFacts, want: dict[str, str]) -> None:
    metadata = parsed(arrow_schema([described])).field("c").metadata
    assert {key.decode(): value.decode() for key, value in metadata.items()} == want


# DuckDB's type → a value of it, for each type that is written.
WRITTEN = {
    "BOOLEAN": "true", "SMALLINT": "-1", "INTEGER": "-2", "BIGINT": "-3", "UINTEGER": "4294967295",
    "FLOAT": "1.1", "DOUBLE": "0.1", "DECIMAL(4,1)": "1.5", "DECIMAL(9,2)": "1.5",
    "DECIMAL(18,0)": "15", "DECIMAL(19,2)": "1.5", "DECIMAL(38,38)": "0.5", "VARCHAR": "'é'",
    "BLOB": "'\\x00'", "UUID": "uuid()", "DATE": "'0044-03-15 (BC)'", "TIME": "'23:59:59.999999'",
    "TIMESTAMP": "'294247-01-10 04:00:54'", "TIMESTAMP WITH TIME ZONE": "'2024-01-31 12:00:00+01'",
}  # fmt: skip
LISTS = {f"{name}[]": f"[{value}, NULL]" for name, value in WRITTEN.items()}


def _stored(kind: pa.DataType) -> pa.DataType:
    """A type without pyarrow's own meanings, which its earlier versions do not give."""
    if isinstance(kind, pa.BaseExtensionType):
        return kind.storage_type
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_stored(kind.value_type)))
    return kind


@pytest.mark.parametrize(
    ("duckdb_type", "value"),
    [pytest.param(*pair, id=pair[0]) for pair in (WRITTEN | LISTS).items()]
    + [pytest.param("JSON", """'{"a": 1}'""", id="JSON")],
)
def test_the_type_is_the_one_that_pyarrow_derives_itself(
    tmp_path: Path, duckdb_type: str, value: str
) -> None:
    select = f"{value}::{duckdb_type}"
    bare = write(tmp_path / "bare.parquet", f"{select} AS c")
    key = (ARROW_SCHEMA_KEY, arrow_schema([facts(duckdb_type=duckdb_type)]))
    path = write(tmp_path / "told.parquet", f"{select} AS c", key)
    found, want = pq.read_schema(path), pq.read_schema(bare)
    assert found.field("c").metadata == {b"postgres_type": b"text"}
    assert want.field("c").metadata is None
    assert found.equals(want)
    # Some readers follow the schema where pyarrow knows better, so it has to be right by itself.
    stored = _stored(want.field("c").type)
    assert parsed(key[1]).field("c").type.equals(stored, check_metadata=True)


@pytest.mark.parametrize("name", ["HUGEINT", "DECIMAL (from the data)[]", "STRUCT(a INTEGER)"])
def test_a_type_that_is_not_written_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(name.removesuffix("[]"))):
        arrow_schema([facts(duckdb_type=name)])


def test_other_keys_of_the_footer_are_where_readers_look_for_them(tmp_path: Path) -> None:
    geo = ("geo", '{"version": "1.1.0", "it\'s": "é"}')
    key = (ARROW_SCHEMA_KEY, arrow_schema([facts()], [geo]))
    path = write(tmp_path / "t.parquet", "'x' AS c", geo, key)
    assert pq.read_schema(path).metadata[b"geo"].decode() == geo[1]
    assert pq.read_metadata(path).metadata[b"geo"].decode() == geo[1]


def test_the_text_is_the_same_in_every_process() -> None:
    program = (
        "from tests.files.test_schema import facts, loss, arrow_schema\n"
        "described = facts(description='d', original_name='o', losses=(loss(),), note='n')\n"
        "print(arrow_schema([described], [('geo', '{}'), ('b', 'c')]))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1
    assert len(parsed(texts.pop()).field("c").metadata) == 6


def test_1600_columns_with_long_descriptions_go_into_the_footer(tmp_path: Path) -> None:
    columns = [facts(f"c{n}", "INTEGER", description=f"{n} it's é" * 200) for n in range(1_600)]
    key = (ARROW_SCHEMA_KEY, arrow_schema(columns))
    assert len(key[1]) > 3_000_000
    select = ", ".join(f"{n}::INTEGER AS c{n}" for n in range(1_600))
    path = write(tmp_path / "t.parquet", select, key)
    schema = pq.read_schema(path)
    assert schema.field("c1599").metadata[b"description"].decode() == "1599 it's é" * 200
    assert pl.read_parquet(path, columns=["c1599"]).item() == 1_599


# --- Whole runs --------------------------------------------------------------------------------

TABLE = """
    CREATE SCHEMA staging;
    CREATE TABLE staging.t (
        id int PRIMARY KEY, flag bool, small int2, big int8, reference oid, "single" float4,
        "double" float8, price numeric(8,2), "Price" numeric, cash money, words text,
        padded char(4), bytes bytea, key uuid, doc jsonb, raw json, day date, at timestamp,
        instant timestamptz, clock time, span interval, numbers int[], names text[],
        prices numeric(6,2)[], keys uuid[], chunks bytea[], days date[], square int[],
        docs jsonb[]);
    COMMENT ON COLUMN staging.t.price IS 'What it''s sold for, in "€"';
    INSERT INTO staging.t VALUES
        (1, true, 1, 9007199254740993, 4294967295, 1.1, -0.0, 'NaN', 1.234, 1.5, 'é', 'ab',
         '\\x00ff', '11111111-2222-3333-4444-555555555555', '{"a": 1}', '[1 ,2]', 'infinity',
         '-infinity', 'infinity', '24:00', '1 mon -2 days', '{1,NULL}', '{"",NULL,NULL}',
         '{NaN,1.5}', '{11111111-2222-3333-4444-555555555555}', '{"\\\\x00"}', '{infinity}',
         '{{1,2},{3,4}}', '{"{}","[1]"}'),
        (2, false, -1, -1, 0, 'NaN', 'Infinity', 2.50, 'NaN', -1, '', '', '', NULL, 'null', '""',
         '2024-01-31', '2024-01-31 12:00', '2024-01-31 12:00+01', '23:59:59.999999', '1 day',
         '[0:1]={1,2}', '{}', '{}', '{}', '{}', '{2024-01-31,NULL}', '{1}', '{}');
    INSERT INTO staging.t (id) VALUES (3)"""


def _untold(plan: ExportPlan, *arguments: Any) -> str:
    keys = tuple(pair for pair in plan.footer_keys if pair[0] != ARROW_SCHEMA_KEY)
    return copy_statement(dataclasses.replace(plan, footer_keys=keys), *arguments)


@pytest.fixture
def pair(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The file of all types, and the same file without its Arrow schema."""
    database.execute(TABLE)
    path = export(database.dsn, tmp_path / "told").parquet("t")
    monkeypatch.setattr(copy, "copy_statement", _untold)
    bare = export(database.dsn, tmp_path / "bare").parquet("t")
    assert ARROW_SCHEMA_KEY.encode() in pq.read_metadata(path).metadata
    assert ARROW_SCHEMA_KEY.encode() not in (pq.read_metadata(bare).metadata or {})
    return path, bare


def _by_pyarrow(path: Path) -> tuple[Any, Any]:
    table = pq.read_table(path)
    table.validate(full=True)
    return [(field.name, field.type, field.nullable) for field in table.schema], table.to_pylist()


def _by_pandas(path: Path) -> tuple[Any, Any]:
    frame = pd.read_parquet(path)
    return list(frame.dtypes.items()), frame.to_dict("list")


def _by_pandas_with_arrow_types(path: Path) -> tuple[Any, Any]:
    frame = pd.read_parquet(path, dtype_backend="pyarrow")
    return list(frame.dtypes.items()), frame.to_dict("list")


def _by_duckdb(path: Path) -> tuple[Any, Any]:
    with duckdb.connect() as connection:
        found = connection.sql(f"FROM read_parquet('{path}')")
        types = list(zip(found.columns, map(str, found.types), strict=True))
        return types, found.project("COLUMNS(*)::VARCHAR").fetchall()


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(read, id=read.__name__.strip("_"))
        for read in (_by_pyarrow, _by_pandas, _by_pandas_with_arrow_types, _by_duckdb)
    ],
)
def test_readers_find_the_same_types_and_values_with_it_and_without(
    read: Callable[[Path], tuple[Any, Any]], pair: tuple[Path, Path]
) -> None:
    (types, values), (bare_types, bare_values) = map(read, pair)
    assert types == bare_types
    assert repr(values) == repr(bare_values)  # NaN does not equal itself
    assert len(types) == 29
    assert len(values) in (3, 29)


def test_polars_finds_the_same_but_has_json_as_text(pair: tuple[Path, Path]) -> None:
    found, bare = map(pl.read_parquet, pair)
    json_columns = [name for name in bare.columns if found.schema[name] != bare.schema[name]]
    assert json_columns == ["doc", "raw", "square"]
    assert found.schema == bare.schema | dict.fromkeys(json_columns, pl.String)
    as_text = bare.with_columns(pl.col(json_columns).cast(pl.String))
    assert repr(found.to_dicts()) == repr(as_text.to_dicts())
    assert found.null_count().equals(bare.null_count())


def test_each_field_of_a_written_file_tells_what_was_not_kept(pair: tuple[Path, Path]) -> None:
    schema = pq.read_schema(pair[0])
    assert schema.field("price").metadata == {
        b"postgres_type": b"numeric(8,2)",
        b"description": 'What it\'s sold for, in "€"'.encode(),
        b"not_kept": b"1 value (NaN) written as NULL",
        b"duckwarp": b'{"not_kept":{"NaN":1}}',
    }
    not_kept = {
        field.name: field.metadata[b"not_kept"].decode()
        for field in schema
        if b"not_kept" in field.metadata
    }
    infinity = "1 value (infinity) written as NULL"
    assert not_kept == {
        "price": "1 value (NaN) written as NULL",
        "Price_1": "1 value (NaN) written as NULL",
        "day": infinity,
        "at": infinity,
        "instant": infinity,
        "clock": "1 value (24:00:00) written as NULL",
        "numbers": "1 value (lower bounds other than 1) written without their bounds",
        "prices": "1 value (NaN) written as NULL",
        "days": infinity,
    }
    assert b"the whole column is JSON" in schema.field("square").metadata[b"note"]


def test_columns_that_differ_in_case_only_are_told_apart(
    database: Database, tmp_path: Path
) -> None:
    database.execute("""
        CREATE SCHEMA staging;
        CREATE TABLE staging.t (id int, "Val" int, val numeric(5,2), "VAL" json);
        COMMENT ON COLUMN staging.t."Val" IS 'first';
        COMMENT ON COLUMN staging.t."VAL" IS 'last';
        INSERT INTO staging.t VALUES (1, 10, 'NaN', '{}'), (2, 11, 1.5, NULL)""")
    path = export(database.dsn, tmp_path).parquet("t")
    assert parsed(pq.read_metadata(path).metadata[ARROW_SCHEMA_KEY.encode()].decode()).names == [
        "id",
        "Val",
        "val_1",
        "VAL_2",
    ]
    schema = pq.read_schema(path)
    assert schema.names == pl.read_parquet(path).columns == ["id", "Val", "val_1", "VAL_2"]
    assert schema.field("Val").metadata[b"description"] == b"first"
    assert schema.field("val_1").metadata[b"not_kept"] == b"1 value (NaN) written as NULL"
    assert schema.field("VAL_2").metadata[b"description"] == b"last"
    assert pq.read_table(path)["Val"].to_pylist() == [10, 11]


def test_a_column_kept_as_text_has_lost_nothing(database: Database, tmp_path: Path) -> None:
    database.execute("""
        CREATE SCHEMA staging;
        CREATE TABLE staging.t AS SELECT 'NaN'::numeric(5,2) AS x""")
    path = export(database.dsn, tmp_path, special_values=SpecialValues.TEXT).parquet("t")
    metadata = pq.read_schema(path).field("x").metadata
    assert metadata[b"note"].startswith(b"1 value (NaN) kept: the whole column is text; ")
    assert b"not_kept" not in metadata


def test_two_runs_write_the_same_bytes(database: Database, tmp_path: Path) -> None:
    database.execute(TABLE)
    files = [export(database.dsn, tmp_path / n).parquet("t").read_bytes() for n in "ab"]
    assert len(files[0]) > 4_000
    assert all(one == other for one, other in itertools.pairwise(files))
