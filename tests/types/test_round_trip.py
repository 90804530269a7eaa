"""Every row of the type map, there and back: a value in the file equals the value in PostgreSQL.

All cases of `type_cases.py` become tables of one database, which are exported in one run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg_errors
from psycopg import sql

from duckwarp.model.results import SourceState
from duckwarp.model.settings import Settings, SpecialValues
from duckwarp.model.source import Selection
from duckwarp.verify.published import verify_published
from duckwarp.verify.verdicts import Agreement, Verdict
from tests.support import Database
from tests.types.harness import (
    READERS,
    Exported,
    Text,
    differences,
    elements,
    expected,
    export,
    file_types,
    session,
    sha256,
    texts,
    wire,
)
from tests.types.type_cases import (
    BOUNDS,
    CASES,
    SETUP,
    SPECIAL_CASES,
    Case,
    SpecialCase,
    Sql,
    parameters,
)

# Only values that come again are written through a dictionary, which has its own idea of equality.
REPEATED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The database with all cases, and why some of them are not in it, by name."""

    database: Database
    missing: dict[str, str]


@pytest.fixture(scope="module")
def world(module_database: Database) -> World:
    with module_database.connect() as connection:
        connection.execute(SETUP.encode())
        missing = {}
        for case in CASES:
            reason = _obstacle(connection, case)
            if reason is None:
                _make_table(connection, "staging", case.name, case.type, case.values, case.null)
            else:
                missing[case.name] = reason
        for special in SPECIAL_CASES:
            null = special.type != "types.required"
            _make_table(connection, "special", special.name, special.type, special.values, null)
    return World(database=module_database, missing=missing)


def _obstacle(connection: psycopg.Connection[Any], case: Case) -> str | None:
    """Why the server cannot have the case, or None, with its extension made."""
    version = connection.info.server_version
    if version < case.since:
        return f"PostgreSQL {case.since // 10000} or later"
    if case.needs == "libxml":
        try:
            connection.execute("SELECT '<a/>'::xml")
        except pg_errors.FeatureNotSupported:
            return "this server was built without libxml"
    elif case.needs is not None:
        query = "SELECT FROM pg_available_extensions WHERE name = %s"
        if not connection.execute(query, [case.needs]).rowcount:
            return f"this server has no extension {case.needs}"
        connection.execute(f"CREATE EXTENSION IF NOT EXISTS {case.needs}".encode())
    return None


def _make_table(
    connection: psycopg.Connection[Any],
    schema: str,
    name: str,
    type_: str,
    values: tuple[str | Sql, ...],
    null: bool,
) -> None:
    """A table (n, v) with the values and a NULL, several times over."""
    table = f"{schema}.{name}"
    connection.execute(f"CREATE TABLE {table} (n int4, v {type_})".encode())
    rows = [*values, *[Sql("NULL")] * null] * REPEATED
    expressions = [
        value.expression if isinstance(value, Sql) else sql.Literal(value).as_string(connection)
        for value in rows
    ]
    tuples = ", ".join(f"({number}, {each})" for number, each in enumerate(expressions))
    connection.execute(f"INSERT INTO {table} VALUES {tuples}".encode())


@pytest.fixture(scope="module")
def exported(world: World, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(world.database.dsn, tmp_path_factory.mktemp("round_trip"))


@pytest.fixture(scope="module")
def asking(world: World) -> Iterator[psycopg.Connection[Any]]:
    with session(world.database.dsn) as connection:
        yield connection


@pytest.mark.parametrize("case", parameters(CASES))
def test_a_value_in_the_file_is_the_value_in_postgresql(
    case: Case, world: World, exported: Exported, asking: psycopg.Connection[Any]
) -> None:
    if case.name in world.missing:
        pytest.skip(world.missing[case.name])
    path = exported.parquet(case.name)
    assert file_types(path) == ["INTEGER", case.written]
    wanted = _wanted(case, asking)
    assert len(wanted) == (len(case.values) + case.null) * REPEATED
    for reader, read in READERS.items():
        table = read(path)
        assert texts(table["n"]) == [str(number) for number in range(len(wanted))]
        found = texts(table["v"])
        if case.compare == "populate":
            found = _populated(asking, case, found)
        elif case.compare == "nested":
            found = [None if value is None else str(json.loads(str(value))) for value in found]
        elif case.compare == "hstore":
            found = [_as_pairs(value) for value in found]
        assert differences(found, wanted) == [], f"read by {reader}"
    assert exported.outcome(case.name).losses == _dimensions_kept(case, exported)


def _wanted(case: Case, asking: psycopg.Connection[Any]) -> list[Text]:
    if case.expected is not None:
        return [*case.expected, None] * REPEATED
    relation = f"staging.{case.name}"
    if case.compare == "hstore":
        return [_hstore_pairs(asking, text) for (text,) in _raw(asking, case)]
    if case.compare == "populate":
        return [text for (text,) in _raw(asking, case)]
    if case.compare == "nested":
        return [_nested(asking, text) for (text,) in _raw(asking, case)]
    return expected(asking, relation, case.written)


def _raw(asking: psycopg.Connection[Any], case: Case) -> list[tuple[str | None, ...]]:
    return wire(asking, f"SELECT v FROM staging.{case.name} ORDER BY n")


def _populated(asking: psycopg.Connection[Any], case: Case, found: list[Text]) -> list[Text]:
    """The text of what PostgreSQL makes of the JSON in the file."""
    query = (
        f"SELECT (json_populate_record(NULL::staging.{case.name}, "
        "json_build_object('v', {}::json))).v"
    )
    rows: list[Text] = []
    for document in found:
        literal = sql.Literal(document).as_string(asking)
        rows.append(None if document is None else wire(asking, query.format(literal))[0][0])
    return rows


def _nested(asking: psycopg.Connection[Any], text: str | None) -> Text:
    """Python's text of an array whose elements are arrays of text."""
    if text is None:
        return None
    outer = elements(asking, text)
    return str([None if inner is None else elements(asking, inner) for inner in outer])


def _as_pairs(document: Text) -> Text:
    """JSON of a hstore, or JSON of several, as its sorted pairs."""
    if isinstance(document, list):
        return [None if each is None else str(_as_pairs(each)) for each in document]
    return None if document is None else str(sorted(json.loads(document).items()))


def _hstore_pairs(asking: psycopg.Connection[Any], text: str | None) -> Text:
    if text is None:
        return None
    if text.startswith("{"):
        each = elements(asking, text)
        return [None if one is None else str(_hstore_pairs(asking, one)) for one in each]
    row = asking.execute(
        "SELECT public.akeys(%s::public.hstore), public.avals(%s::public.hstore)", [text, text]
    ).fetchone()
    assert row is not None
    return str(sorted(zip(*row, strict=True)))


def _dimensions_kept(case: Case, exported: Exported) -> tuple[object, ...]:
    """The one loss that an ordinary value may be told as: the column became JSON."""
    losses = exported.outcome(case.name).losses
    assert all(loss.outcome == "kept: the whole column is JSON" for loss in losses)
    return losses if "dimensions" in case.name else ()


def test_a_composite_with_json_says_that_a_json_null_in_it_looks_like_null(
    exported: Exported,
) -> None:
    note = "*Note:* a JSON null inside a value looks like NULL"
    assert note in exported.page("composite_nested")
    assert note not in exported.page("composite")


# --- Values that the Parquet type cannot hold ----------------------------------------------------


@pytest.fixture(scope="module")
def special_exports(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> dict[SpecialValues, Exported]:
    return {
        choice: export(
            world.database.dsn,
            tmp_path_factory.mktemp(choice.value),
            schema="special",
            special_values=choice,
        )
        for choice in SpecialValues
    }


@pytest.mark.parametrize("case", parameters(SPECIAL_CASES))
def test_a_special_value_becomes_null_and_is_told(
    case: SpecialCase,
    special_exports: dict[SpecialValues, Exported],
    asking: psycopg.Connection[Any],
) -> None:
    exported = special_exports[SpecialValues.NULL]
    path = exported.parquet(case.name)
    assert file_types(path) == ["INTEGER", case.written]
    wanted = expected(asking, f"special.{case.name}", case.written, without_specials=True)
    for reader, read in READERS.items():
        assert differences(texts(read(path)["v"]), wanted) == [], f"read by {reader}"
    _check_told(exported, case, "written")


@pytest.mark.parametrize("case", parameters(SPECIAL_CASES))
def test_a_special_value_is_kept_as_text_and_told(
    case: SpecialCase,
    special_exports: dict[SpecialValues, Exported],
    asking: psycopg.Connection[Any],
) -> None:
    exported = special_exports[SpecialValues.TEXT]
    path = exported.parquet(case.name)
    assert file_types(path) == ["INTEGER", "VARCHAR"]
    wanted = [row[0] for row in wire(asking, f"SELECT v FROM special.{case.name} ORDER BY n")]
    for reader, read in READERS.items():
        assert differences(texts(read(path)["v"]), wanted) == [], f"read by {reader}"
    _check_told(exported, case, "kept: the whole column is text")


@pytest.mark.parametrize("case", parameters(SPECIAL_CASES))
def test_a_special_value_stops_its_source_where_the_user_wants_that(
    case: SpecialCase, special_exports: dict[SpecialValues, Exported]
) -> None:
    exported = special_exports[SpecialValues.ERROR]
    error = exported.error(case.name)
    assert 'column "v" has values that Parquet cannot hold' in error
    assert "--special-values null or text" in error
    for kind, count in _counts(case).items():
        assert f"{count} x {kind}" in error
    assert not (exported.folder / f"{case.name}.parquet").exists()


def _counts(case: SpecialCase) -> Counter[str]:
    return Counter([kind for _, kind in case.special] * REPEATED)


def _check_told(exported: Exported, case: SpecialCase, outcome: str) -> None:
    """The event, the loss in the report and the note in the dictionary, each with its count."""
    losses = exported.outcome(case.name).losses
    assert {loss.kind: loss.count for loss in losses} == _counts(case)
    for loss in losses:
        assert loss.column == "v"
        assert loss.outcome.startswith(outcome)
        assert (loss.outcome == "written without their bounds") == (
            loss.kind == BOUNDS and outcome == "written"
        )
        assert f"*Note:* {loss.sentence}" in exported.page(case.name)
    told = [
        (w["column"], w["kind"], w["count"], w["outcome"]) for w in exported.warnings(case.name)
    ]
    assert told == [(loss.column, loss.kind, loss.count, loss.outcome) for loss in losses]


# --- Verification --------------------------------------------------------------------------------


def verified(database: Database, exported: Exported, schema: str) -> dict[str, Verdict]:
    """The verdict on each file of an export, by code."""
    settings = Settings(dsn=database.dsn, output_dir=exported.folder)
    report = verify_published(Selection(schema=schema), settings)
    return {verdict.code: verdict for verdict in report.verdicts}


@pytest.fixture(scope="module")
def verdicts(world: World, exported: Exported) -> dict[str, Verdict]:
    return verified(world.database, exported, "staging")


@pytest.mark.parametrize("case", parameters(CASES))
def test_a_file_of_any_type_is_verified(
    case: Case, world: World, verdicts: dict[str, Verdict]
) -> None:
    if case.name in world.missing:
        pytest.skip(world.missing[case.name])
    verdict = verdicts[case.name]
    assert verdict.agreement is Agreement.EQUAL, verdict
    assert verdict.finding.rows == (len(case.values) + case.null) * REPEATED


def test_a_table_with_a_column_of_every_type_is_verified(world: World, tmp_path: Path) -> None:
    present = [case for case in CASES if case.name not in world.missing and case.null]
    columns = ", ".join(f"v_{case.name} {case.type}" for case in present)
    with world.database.connect() as connection:
        connection.execute(f"CREATE SCHEMA every; CREATE TABLE every.kind ({columns})".encode())
        most = max(len(case.values) for case in present)
        for number in range(most + 1):
            row = [case.values[number] if number < len(case.values) else None for case in present]
            texts = [
                value.expression
                if isinstance(value, Sql)
                else sql.Literal(value).as_string(connection)
                for value in row
            ]
            connection.execute(f"INSERT INTO every.kind VALUES ({', '.join(texts)})".encode())
    exported = export(world.database.dsn, tmp_path, schema="every")
    [verdict] = verified(world.database, exported, "every").values()
    assert verdict.agreement is Agreement.EQUAL, verdict
    assert (verdict.finding.rows, verdict.finding.columns) == (most + 1, len(present))
    assert len(present) > 150


@pytest.mark.parametrize("choice", [SpecialValues.NULL, SpecialValues.TEXT])
def test_values_that_were_not_kept_are_no_difference(
    choice: SpecialValues, world: World, special_exports: dict[SpecialValues, Exported]
) -> None:
    verdicts = verified(world.database, special_exports[choice], "special")
    assert [v for v in verdicts.values() if v.agreement is not Agreement.EQUAL] == []
    kept = {case.name: sum(_counts(case).values()) for case in SPECIAL_CASES}
    scalars = {name: count for name, count in kept.items() if not name.startswith("array")}
    counted = {name: verdicts[name].finding.not_kept for name in scalars}
    assert counted == (scalars if choice is SpecialValues.NULL else dict.fromkeys(scalars, 0))


@pytest.fixture(scope="module")
def whoever_sorts(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Exported, Exported]:
    """All tables with the value as the first key of the order, sorted by DuckDB and by the server.

    Each value comes with two places, and twice with one of them.
    """
    with world.database.connect() as connection:
        connection.execute("CREATE SCHEMA keyed")
        for schema, table in connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('staging', 'special')"
        ).fetchall():
            query = "CREATE TABLE {} AS SELECT v, n % 2 AS place FROM {} ORDER BY md5(n::text)"
            name = sql.Identifier("keyed", f"{schema}_{table}")
            connection.execute(sql.SQL(query).format(name, sql.Identifier(schema, table)))
    dsn, folder = world.database.dsn, tmp_path_factory.mktemp("sorts")
    by_duckdb, by_server = (
        export(dsn, folder / sort_in, schema="keyed", sort_in=sort_in)
        for sort_in in ("duckdb", "postgres")
    )
    return by_duckdb, by_server


def test_the_bytes_are_the_same_whoever_sorts(whoever_sorts: tuple[Exported, Exported]) -> None:
    by_duckdb, by_server = whoever_sorts
    codes = [outcome.code for outcome in by_duckdb.report.outcomes]
    assert len(codes) > 100
    assert [code for code in codes if by_duckdb.outcome(code).result is None] == []
    different = [
        code
        for code in codes
        if by_duckdb.outcome(code).state is SourceState.EXPORTED
        and sha256(by_duckdb.parquet(code)) != sha256(by_server.parquet(code))
    ]
    assert different == []
    failed = [
        [outcome.code for outcome in exported.report.of_state(SourceState.FAILED)]
        for exported in whoever_sorts
    ]
    assert failed[0] == failed[1]
