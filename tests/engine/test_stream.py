"""The reader of large values gives what DuckDB's own reader of PostgreSQL gives, in small batches.

Values are compared as canonical text: floats by their bits, dates and times by their counts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

import duckdb
import psycopg
import pyarrow as pa
import pytest
from psycopg import errors as pg_errors
from psycopg.pq import TransactionStatus

from duckwarp.engine.cells import GUARD
from duckwarp.engine.session import extension_path
from duckwarp.engine.stream import describe_query, stream_projection, stream_reader
from duckwarp.engine.wiretypes import WireColumn
from duckwarp.files.quoting import literal
from duckwarp.model.errors import SourceError
from tests.conftest import DatabaseMaker
from tests.support import dsn_with
from tests.types.harness import texts

BATCH_BYTES = 1_000_000
# Rows without end, and without a server that has to keep them.
ENDLESS = "SELECT generate_series(1, 1000000000000) AS c1"


@pytest.fixture
def connection(server_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A session in a transaction of its own; closed whatever a reader still does with it."""
    with contextlib.closing(psycopg.connect(server_dsn, client_encoding="UTF8")) as opened:
        opened.execute("SET TimeZone = 'UTC'")
        opened.commit()
        yield opened


@pytest.fixture(scope="module")
def duck(server_dsn: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with the test server attached as pg."""
    path = extension_path()
    assert path is not None
    dsn = dsn_with(server_dsn, client_encoding="UTF8")
    with duckdb.connect(config={"threads": 1}) as opened:
        opened.execute(f"LOAD {literal(str(path))}")
        opened.execute(f"ATTACH {literal(dsn)} AS pg (TYPE postgres, READ_ONLY)")
        yield opened


class Streamed(Protocol):
    """Reads a query of PostgreSQL's through one of DuckDB's over its `rows`."""

    def __call__(self, query: str, template: str = "FROM ({rows})") -> pa.Table: ...


@pytest.fixture
def failures() -> list[Exception]:
    """What the streams of a test failed of."""
    return []


@pytest.fixture
def streamed(
    connection: psycopg.Connection[Any],
    duck: duckdb.DuckDBPyConnection,
    failures: list[Exception],
) -> Streamed:
    def read(query: str, template: str = "FROM ({rows})") -> pa.Table:
        columns = describe_query(connection, query)
        reader = stream_reader(connection, query, BATCH_BYTES, failures)
        duck.register("stream", reader.__arrow_c_stream__())
        del reader
        try:
            rows = stream_projection(columns, "stream")
            return duck.execute(template.replace("{rows}", rows)).to_arrow_table()
        finally:
            duck.unregister("stream")

    return read


def by_duckdb(duck: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """What DuckDB's own reader gives."""
    return duck.sql(f"FROM postgres_query('pg', {literal(query)})").to_arrow_table()


def contents(table: pa.Table) -> list[Any]:
    """The types and the values, column by column."""
    return [(str(column.type), texts(column)) for column in table.columns]


def query_of(values: list[str], pg_type: str) -> str:
    """A query of these values of one type, one a row, with a NULL before, between and after."""
    rows = ", ".join(f"({n}, {v})" for n, v in enumerate(_with_nulls(values, pg_type)))
    return f"SELECT v AS c1 FROM (VALUES {rows}) AS t (n, v) ORDER BY n"


def _with_nulls(values: list[str], pg_type: str) -> list[str]:
    null = f"NULL::{pg_type}"
    typed = [f"{literal(value)}::{pg_type}" for value in values]
    return [null, *typed[:1], null, *typed[1:], null]


def _arrays(values: list[str], pg_type: str) -> list[str]:
    """Arrays of one type: of all values, with NULLs among them, of one, of NULLs alone, empty."""
    typed = [f"{literal(value)}::{pg_type}" for value in values]
    null = f"NULL::{pg_type}"
    elements = [typed, _with_nulls(values, pg_type), typed[-1:], [null], [null, null], [], typed]
    return [f"ARRAY[{', '.join(each)}]::{pg_type}[]" for each in elements]


NUMBERS = ["1.5", "-0.01", "0", "999.99", "-999.99"]
MOMENTS = [
    "infinity",
    "-infinity",
    "4714-11-24 00:00:00 BC",
    "0001-12-31 23:59:59.999999 BC",
    "0001-01-01 00:00:00",
    "1969-12-31 23:59:59.999999",
    "1970-01-01 00:00:00",
    "2000-01-01 00:00:00",
    "1999-12-31 23:59:59.999999",
    "2024-02-29 12:34:56.789012",
    "294247-01-10 04:00:54.775806",
    "294247-01-10 04:00:54.775807",
    "294247-01-10 04:00:54.775808",
    "294276-12-31 23:59:59.999999",
]
FLOATS = ["0", "-0", "1.5", "NaN", "Infinity", "-Infinity", "1.17549435e-38", "-3.4028235e38"]
TEXTS = ["", "é✓𝄞", " blanks ", "NULL", "two\nlines", "{a,b}", "x" * 5_000]
TYPES: dict[str, tuple[list[str], str]] = {
    "bool": (["true", "false"], "bool"),
    "int2": (["-32768", "-1", "0", "1", "32767"], "int2"),
    "int4": (["-2147483648", "-1", "0", "258", "2147483647"], "int4"),
    "int8": (["-9223372036854775808", "-2", "0", "72623859790382856"], "int8"),
    "float4": (FLOATS, "float4"),
    "float8": ([*FLOATS, "5e-324", "1.7976931348623157e308"], "float8"),
    "text": (TEXTS, "text"),
    "varchar": (["", "ünï"], "varchar(20)"),
    "bpchar": (["", "a", "a b"], "char(5)"),
    '"char"': (["x", ""], '"char"'),
    "date": (
        ["infinity", "-infinity", "4714-11-24 BC", "0001-12-31 BC", "1969-12-31", "5874897-12-31"],
        "date",
    ),
    "timestamp": (MOMENTS, "timestamp"),
    "timestamp to the second": (["2024-02-29 12:34:56.789012"], "timestamp(0)"),
    "timestamptz": (MOMENTS, "timestamptz"),
    "time": (["00:00:00", "23:59:59.999999", "24:00:00"], "time"),
    "numeric": (NUMBERS, "numeric(5,2)"),
    "numeric of integers": (["9999", "-1"], "numeric(4)"),
    "numeric of 64 bits": (["123456789.123456789"], "numeric(18,9)"),
    "numeric of 38 digits": (["9" * 38, "-" + "9" * 38, "0"], "numeric(38)"),
    "numeric of 38 fraction digits": (["0." + "9" * 38, "-0." + "0" * 37 + "1"], "numeric(38,38)"),
}
SCALARS = {
    **TYPES,
    "name": (["", "é"], "name"),
    "bytea": (["", r"\x00ff", r"\x5c78"], "bytea"),
    "uuid": (["00000000-0000-0000-0000-000000000000", "f" * 32], "uuid"),
}


class TestValues:
    @pytest.mark.parametrize(("values", "pg_type"), SCALARS.values(), ids=SCALARS)
    def test_every_type_is_what_duckdb_s_reader_has(
        self,
        streamed: Streamed,
        duck: duckdb.DuckDBPyConnection,
        values: list[str],
        pg_type: str,
    ) -> None:
        query = query_of(values, pg_type)
        found = streamed(query)
        assert contents(found) == contents(by_duckdb(duck, query))
        assert found.num_rows == len(values) + 3
        assert found.column(0).null_count == 3

    @pytest.mark.parametrize(("values", "pg_type"), TYPES.values(), ids=TYPES)
    def test_so_is_every_array(
        self,
        streamed: Streamed,
        duck: duckdb.DuckDBPyConnection,
        values: list[str],
        pg_type: str,
    ) -> None:
        arrays = _arrays(values, pg_type)
        rows = ", ".join(f"({n}, {v})" for n, v in enumerate([*arrays, "NULL", arrays[0]]))
        query = f"SELECT v AS c1 FROM (VALUES {rows}) AS t (n, v) ORDER BY n"
        # A VALUES list of arrays that differ in how they are made has lost their declaration.
        query = f"SELECT c1::{pg_type}[] AS c1 FROM ({query}) AS q"
        found = streamed(query)
        assert contents(found) == contents(by_duckdb(duck, query))
        assert found.num_rows == len(arrays) + 2

    @pytest.mark.parametrize("pg_type", [pg_type for _, pg_type in SCALARS.values()])
    def test_a_column_of_nulls_keeps_its_type(
        self, streamed: Streamed, duck: duckdb.DuckDBPyConnection, pg_type: str
    ) -> None:
        query = f"SELECT NULL::{pg_type} AS c1 FROM generate_series(1, 9)"
        found = streamed(query)
        assert contents(found) == contents(by_duckdb(duck, query))
        assert found.column(0).null_count == 9

    def test_columns_stay_in_their_order(
        self, streamed: Streamed, duck: duckdb.DuckDBPyConnection
    ) -> None:
        names = [f"{literal(v[-1])}::{t} AS c{n}" for n, (v, t) in enumerate(SCALARS.values(), 1)]
        query = f"SELECT {', '.join(names)}"
        found = streamed(query)
        assert contents(found) == contents(by_duckdb(duck, query))
        assert found.num_columns == len(SCALARS)

    def test_lower_bounds_of_arrays_are_left_out(
        self, streamed: Streamed, duck: duckdb.DuckDBPyConnection
    ) -> None:
        query = "SELECT '[-3:-1]={1,NULL,3}'::int4[] AS c1"
        found = streamed(query)
        assert found.to_pydict() == {"c1": [[1, None, 3]]}
        assert contents(found) == contents(by_duckdb(duck, query))

    def test_numeric_of_negative_scale_is_exact(self, streamed: Streamed) -> None:
        """DuckDB's own reader takes it for a DECIMAL(5,254)."""
        found = streamed(query_of(["1234567", "-9999949", "49"], "numeric(5,-2)"))
        assert found.schema.types == [pa.decimal128(7, 0)]
        assert texts(found.column(0)) == [None, "1234600", None, "-9999900", "0", None]

    def test_numeric_that_is_no_number_stops_the_reading(self, streamed: Streamed) -> None:
        """DuckDB's own reader takes it for 0."""
        with pytest.raises(duckdb.ConversionException, match="NaN"):
            streamed("SELECT 'NaN'::numeric(5,2) AS c1")

    def test_the_order_of_the_query_is_kept(
        self, streamed: Streamed, duck: duckdb.DuckDBPyConnection
    ) -> None:
        query = (
            "SELECT n::numeric(9) AS c1, md5(n::text) AS c2 FROM generate_series(1, 10000) n "
            "ORDER BY 2"
        )
        found = streamed(query)
        assert found.column("c2").to_pylist() == sorted(found.column("c2").to_pylist())
        assert contents(found) == contents(by_duckdb(duck, query))

    @pytest.mark.parametrize("value", ['(-23)::"char"', 'ARRAY[(-23)::"char"]'])
    def test_text_that_is_no_utf8_stops_the_reading(
        self, streamed: Streamed, failures: list[Exception], value: str
    ) -> None:
        with pytest.raises(duckdb.Error):
            streamed(f"SELECT 1 AS c1, {value} AS c2")
        assert [str(each) for each in failures] == [
            "column 2 of the query has text that is not valid UTF-8"
        ]

    def test_so_does_text_in_an_encoding_that_nobody_knows(
        self, make_database: DatabaseMaker
    ) -> None:
        with make_database(encoding="SQL_ASCII").connect() as connection:
            query = r"SELECT convert_from('\xc3a9', 'SQL_ASCII') AS c1"
            reader = stream_reader(connection, query, BATCH_BYTES)
            assert reader.read_all().to_pydict() == {"c1": ["é"]}
            query = r"SELECT convert_from('\xff', 'SQL_ASCII') AS c1"
            with pytest.raises(pg_errors.CharacterNotInRepertoire, match="invalid byte sequence"):
                stream_reader(connection, query, BATCH_BYTES).read_all()


def sizes(reader: pa.RecordBatchReader) -> list[int]:
    """How many rows each batch has."""
    return [batch.num_rows for batch in reader]


class TestBatches:
    @pytest.mark.parametrize(
        ("lengths", "wanted"),
        [
            pytest.param([], [], id="of no rows there is none"),
            pytest.param([0] * 5_000, [2_048, 2_048, 904], id="2,048 rows at most"),
            pytest.param([None] * 2_048, [2_048], id="none is empty"),
            pytest.param([1_000] * 10, [3, 3, 3, 1], id="as many rows as reach the bytes"),
            pytest.param([999] * 10, [4, 4, 2], id="one more where a byte is missing"),
            pytest.param([3_000] * 3, [1, 1, 1], id="a row each where one is enough"),
            pytest.param([1, 9_000, 1, 1], [2, 2], id="the row that passes the limit is the last"),
            pytest.param([None, 3_000, None], [2, 1], id="a NULL has no bytes"),
        ],
    )
    def test_are_cut_by_the_bytes_of_the_rows(
        self,
        connection: psycopg.Connection[Any],
        lengths: list[int | None],
        wanted: list[int],
    ) -> None:
        connection.execute("CREATE TEMPORARY TABLE lengths (n serial, length int)")
        connection.cursor().executemany(
            "INSERT INTO lengths (length) VALUES (%s)", [[each] for each in lengths]
        )
        query = "SELECT repeat('x', length) AS c1, NULL::int8 AS c2 FROM lengths ORDER BY n"
        found = [sizes(stream_reader(connection, query, 3_000)) for _ in range(2)]
        assert found == [wanted, wanted]

    def test_the_bytes_of_all_columns_count(self, connection: psycopg.Connection[Any]) -> None:
        """4 of an integer, 9 of a text, 8 of a timestamp, 28 of an array of one integer."""
        query = (
            "SELECT 1 AS c1, repeat('x', 9) AS c2, now()::timestamp AS c3, ARRAY[1] AS c4 "
            "FROM generate_series(1, 6)"
        )
        assert sizes(stream_reader(connection, query, 3 * 49)) == [3, 3]
        assert sizes(stream_reader(connection, query, 3 * 49 + 1)) == [4, 2]

    def test_are_read_when_they_are_asked_for(self, connection: psycopg.Connection[Any]) -> None:
        reader = stream_reader(connection, ENDLESS, BATCH_BYTES)
        assert reader.schema == pa.schema([("c1", pa.int64())])
        assert connection.info.transaction_status is TransactionStatus.INTRANS
        batch = reader.read_next_batch()
        assert batch.column(0).to_pylist() == list(range(1, 2_049))
        assert connection.info.transaction_status is TransactionStatus.ACTIVE
        del reader
        assert connection.info.transaction_status is TransactionStatus.INERROR


class TestDescription:
    def test_is_had_without_running_the_query(self, connection: psycopg.Connection[Any]) -> None:
        query = "SELECT 1 / (n - 1) AS c1, n::numeric(9,2) AS c2 FROM generate_series(1, 2) n"
        assert describe_query(connection, query) == (
            WireColumn(type_oid=23, typmod=-1),
            WireColumn(type_oid=1700, typmod=(9 << 16 | 2) + 4),
        )
        assert describe_query(connection, f"{query} ORDER BY 1") == describe_query(
            connection, query
        )

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param("'{}'::json", id="json"),
            pytest.param("1::oid", id="oid"),
            pytest.param("'1 day'::interval", id="interval"),
            pytest.param("'12:00+01'::timetz", id="timetz"),
            pytest.param("1::money", id="money"),
            pytest.param("ROW(1)", id="a record"),
            pytest.param("ARRAY['a'::name]", id="an array of names"),
            pytest.param(r"ARRAY['\x00'::bytea]", id="an array of bytes"),
            pytest.param("'1 2'::int2vector", id="a vector"),
            pytest.param(
                "ARRAY['a'::information_schema.sql_identifier]", id="an array of a domain"
            ),
            pytest.param("1.5::numeric", id="a numeric without precision"),
            pytest.param("1.5::numeric(39,2)", id="a numeric of more than 38 digits"),
            pytest.param("0.00123::numeric(3,5)", id="a scale above the precision"),
            pytest.param("1::numeric(38,-1)", id="more than 38 digits with those of the scale"),
            pytest.param("ARRAY[1.5]", id="an array of numerics without precision"),
        ],
    )
    def test_a_type_that_is_not_known_is_refused(
        self, connection: psycopg.Connection[Any], value: str
    ) -> None:
        query = f"SELECT 1 AS c1, {value} AS c2"
        with pytest.raises(SourceError, match="column 2 of the query"):
            stream_reader(connection, query, BATCH_BYTES)
        with pytest.raises(SourceError, match="column 2 of the query"):
            stream_projection(describe_query(connection, query), "stream")


class TestFailures:
    @pytest.mark.parametrize(
        ("value", "kind", "words"),
        [
            pytest.param(
                "1 / (n - 5000)", pg_errors.DivisionByZero, "division by zero", id="an error"
            ),
            pytest.param(
                f"concat('{GUARD} 7', CASE WHEN n < 5000 THEN NULL END)::bool",
                pg_errors.InvalidTextRepresentation,
                f"{GUARD} 7",
                id="a guard",
            ),
            pytest.param(
                "CASE WHEN n = 5000 THEN pg_cancel_backend(pg_backend_pid()) END",
                pg_errors.QueryCanceled,
                "canceling statement",
                id="a cancelled query",
            ),
            pytest.param(
                "CASE WHEN n = 5000 THEN pg_terminate_backend(pg_backend_pid()) END",
                psycopg.OperationalError,
                "",
                id="a server that is gone",
            ),
            pytest.param(
                "CASE WHEN n = 5000 THEN ARRAY[[1], [2]] ELSE ARRAY[n] END",
                SourceError,
                "column 1 of the query has an array of 2 dimensions",
                id="an array that no list holds",
            ),
        ],
    )
    def test_in_the_middle_come_out_whole(
        self,
        streamed: Streamed,
        failures: list[Exception],
        value: str,
        kind: type[Exception],
        words: str,
    ) -> None:
        with pytest.raises(duckdb.Error) as caught:
            streamed(f"SELECT {value} AS c1 FROM generate_series(1, 10000) n")
        [failure] = failures
        assert isinstance(failure, kind)
        assert words in str(failure)
        assert words in str(caught.value)

    def test_a_failure_of_duckdb_ends_the_reading(
        self,
        streamed: Streamed,
        connection: psycopg.Connection[Any],
        failures: list[Exception],
    ) -> None:
        with pytest.raises(duckdb.Error, match="enough"):
            streamed(ENDLESS, "SELECT max(if(c1 > 5000, error('enough'), c1)) FROM ({rows})")
        assert failures == []
        assert connection.info.transaction_status is TransactionStatus.INERROR
        connection.rollback()
        assert connection.execute("SELECT 1").fetchall() == [(1,)]

    @pytest.mark.parametrize("limit", [0, 1, 3_000])
    def test_so_does_duckdb_when_it_has_enough(
        self, streamed: Streamed, connection: psycopg.Connection[Any], limit: int
    ) -> None:
        assert streamed(ENDLESS, f"FROM ({{rows}}) LIMIT {limit}").num_rows == limit
        connection.rollback()
        assert connection.execute("SELECT 1").fetchall() == [(1,)]

    def test_a_stream_that_duckdb_does_not_begin_leaves_the_connection_alone(
        self, streamed: Streamed, connection: psycopg.Connection[Any]
    ) -> None:
        with pytest.raises(duckdb.BinderException):
            streamed(ENDLESS, "SELECT nonsense FROM ({rows})")
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
