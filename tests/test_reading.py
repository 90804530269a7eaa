"""What is read in the place of a value, to spare the server: it decides about time alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from duckwarp.engine import sampling
from duckwarp.engine.plan import PlannedColumn, explain
from duckwarp.engine.statements import server_query
from duckwarp.export.preview import plan_export
from duckwarp.model.results import SourceOutcome
from duckwarp.model.settings import Settings, SortIn
from duckwarp.model.source import Selection
from tests.conftest import DatabaseMaker, RoleMaker
from tests.runs import Recorder, export
from tests.support import Database
from tests.types.harness import sha256

ROWS = 12_000
TABLE = Selection(tables=("public.t",))


@pytest.fixture(autouse=True)
def all_tables_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at four pages of each, of a hundred and more."""
    monkeypatch.setattr(sampling, "SAMPLED_MIN_BYTES", 0)
    monkeypatch.setattr(sampling, "SAMPLED_PAGES", 4)


def exported(
    database: Database, folder: Path, recorder: Recorder | None = None, **settings: Any
) -> SourceOutcome:
    [outcome] = export(database, TABLE, folder, recorder or Recorder(), **settings).outcomes
    assert outcome.reason is None
    return outcome


def repetitions(recorder: Recorder) -> list[str]:
    """Why copies were made anew."""
    return [str(e.message) for e in recorder.events if "again" in str(e.message)]


def planned_columns(database: Database) -> dict[str, PlannedColumn]:
    [planned] = plan_export(TABLE, Settings(dsn=database.dsn, sort_in=SortIn.DUCKDB))
    assert planned.plan is not None, planned.reason
    return {column.name: column for column in planned.plan.columns}


def asked(database: Database) -> str:
    """What PostgreSQL is asked for."""
    [planned] = plan_export(TABLE, Settings(dsn=database.dsn, sort_in=SortIn.DUCKDB))
    assert planned.plan is not None, planned.reason
    return server_query(planned.plan, "")


def fill(database: Database, type_: str = "numeric(15,2)", usual: str = "100 + n % 50") -> None:
    """A table of many pages, whose numbers keep away from 0."""
    database.execute(
        f"CREATE TABLE t AS SELECT n, ({usual})::{type_} AS v, repeat('x', 80) AS w "
        f"FROM generate_series(1, {ROWS}) AS n"
    )


class TestNumbersThatAreNeverZero:
    """They are read without a guard against NaN, which DuckDB's reader takes for 0."""

    @pytest.mark.parametrize(
        ("usual", "never_zero"),
        [
            pytest.param("100 + n % 50", True, id="far from 0"),
            pytest.param("-100 - n % 50", True, id="below it"),
            pytest.param("CASE WHEN n % 2 = 0 THEN 100 END", True, id="or NULL"),
            pytest.param("n % 50", False, id="0 among them"),
            pytest.param("1 + (n % 50) * (n % 50)", False, id="near it"),
            pytest.param("CASE WHEN n % 50 = 0 THEN 'NaN' ELSE '100' END", False, id="NaN too"),
            pytest.param("NULL", False, id="NULL alone"),
        ],
    )
    def test_which_they_are(self, database: Database, usual: str, never_zero: bool) -> None:
        fill(database, usual=usual)
        assert planned_columns(database)["v"].never_zero is never_zero

    def test_what_the_planner_knows_counts_too(self, database: Database) -> None:
        fill(database)
        database.execute(f"UPDATE t SET v = 0 WHERE n > {ROWS - ROWS // 20}")
        assert planned_columns(database)["v"].never_zero
        database.execute("ANALYZE t")
        assert not planned_columns(database)["v"].never_zero

    def test_the_server_is_spared_the_guard(self, database: Database) -> None:
        fill(database)
        assert "NaN" not in asked(database)
        database.execute("UPDATE t SET v = 0")
        assert "NaN" in asked(database)

    def test_the_plan_says_it(self, database: Database) -> None:
        fill(database)
        [planned] = plan_export(TABLE, Settings(dsn=database.dsn, sort_in=SortIn.DUCKDB))
        assert planned.plan is not None
        assert 'look for NaN in "v" only if there is a 0' in explain(planned.plan)

    @pytest.mark.parametrize(
        "type_", ["numeric(15,2)", "numeric(4,0)", "numeric(38,10)", "numeric(3,-2)", "amount"]
    )
    @pytest.mark.parametrize(
        ("odd", "want", "made_again"),
        [
            pytest.param(["0"], 0, False, id="a 0"),
            pytest.param(["NaN"], None, True, id="NaN"),
            pytest.param(["0", "NaN"], None, True, id="both"),
        ],
    )
    def test_what_no_sample_let_expect(
        self,
        database: Database,
        tmp_path: Path,
        type_: str,
        odd: list[str],
        want: int | None,
        made_again: bool,
    ) -> None:
        database.execute("CREATE DOMAIN amount AS numeric(15,2)")
        fill(database, type_)
        for number, value in enumerate(odd):
            database.execute(f"UPDATE t SET v = '{value}' WHERE n = {ROWS - number}")
        assert planned_columns(database)["v"].never_zero
        recorder = Recorder()
        outcome = exported(database, tmp_path / "duckdb", recorder, sort_in="duckdb")
        values = pq.read_table(tmp_path / "duckdb" / "t.parquet").sort_by("n")["v"].to_pylist()
        assert values[ROWS - len(odd)] == want
        assert values.count(None) == odd.count("NaN")
        assert values.count(0) == odd.count("0")
        assert [loss.count for loss in outcome.losses] == ([1] if made_again else [])
        assert bool(repetitions(recorder)) is made_again
        exported(database, tmp_path / "postgres", sort_in="postgres")
        assert sha256(tmp_path / "duckdb" / "t.parquet") == sha256(
            tmp_path / "postgres" / "t.parquet"
        )

    @pytest.mark.parametrize("threads", [1, 2])
    def test_two_columns_whose_names_differ_in_case(
        self, database: Database, tmp_path: Path, threads: int
    ) -> None:
        fill(database)
        database.execute(
            'ALTER TABLE t ADD "V" numeric(9,3); UPDATE t SET "V" = v; '
            f"UPDATE t SET \"V\" = 'NaN' WHERE n = {ROWS}; UPDATE t SET v = 0 WHERE n = {ROWS}"
        )
        columns = planned_columns(database)
        assert columns["v"].never_zero
        assert columns["V_1"].never_zero
        outcome = exported(database, tmp_path, sort_in="duckdb", threads=threads)
        assert [(loss.column, loss.kind, loss.count) for loss in outcome.losses] == [
            ("V", "NaN", 1)
        ]

    def test_a_partitioned_table(self, database: Database, tmp_path: Path) -> None:
        database.execute(
            "CREATE TABLE t (n int, v numeric(9,2), w text) PARTITION BY RANGE (n); "
            f"CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO ({ROWS // 2}); "
            f"CREATE TABLE high PARTITION OF t FOR VALUES FROM ({ROWS // 2}) TO ({ROWS + 1}); "
            f"INSERT INTO t SELECT n, CASE n WHEN {ROWS} THEN 'NaN' ELSE 100.0 END, "
            f"repeat('x', 80) FROM generate_series(1, {ROWS}) AS n"
        )
        assert planned_columns(database)["v"].never_zero
        outcome = exported(database, tmp_path, sort_in="duckdb")
        assert [loss.count for loss in outcome.losses] == [1]

    def test_nan_on_every_page(self, database: Database, tmp_path: Path) -> None:
        """A look at them is not stopped by the guards of the copy."""
        fill(database, usual="CASE WHEN n % 50 = 0 THEN 'NaN' ELSE '100' END")
        outcome = exported(database, tmp_path, sort_in="duckdb")
        assert [loss.count for loss in outcome.losses] == [ROWS // 50]


class TestALookThatIsRefused:
    """It changes nothing: the copy meets the same, and tells it in its own words."""

    def test_text_that_has_no_equivalent_is_told_with_its_place(
        self, make_database: DatabaseMaker, tmp_path: Path
    ) -> None:
        made = make_database(encoding="WIN1252")
        fill(made)
        made.execute("UPDATE t SET w = convert_from('\\x81', 'WIN1252')")
        [outcome] = export(made, TABLE, tmp_path, Recorder(), sort_in="duckdb").outcomes
        assert outcome.reason is not None
        assert 'column "w"' in outcome.reason
        assert "ctid (" in outcome.reason

    def test_a_view_of_the_planner_that_is_closed(
        self, database: Database, make_role: RoleMaker, tmp_path: Path
    ) -> None:
        fill(database)
        role = make_role()
        database.execute(
            f"GRANT SELECT ON t TO {role.name}; REVOKE ALL ON pg_catalog.pg_stats FROM public"
        )
        dsn = database.dsn_as(role)
        [outcome] = export(dsn, TABLE, tmp_path, Recorder(), sort_in="duckdb").outcomes
        database.execute(f"DROP OWNED BY {role.name}")
        assert outcome.reason is None


def is_in(value: str | None, encoding: str) -> bool:
    """Whether a database of this encoding has the text, and counts its characters as UTF-8 does."""
    bytes_only = encoding == "SQL_ASCII"
    codec = "ascii" if bytes_only else encoding
    return value is None or value.encode(codec, "ignore").decode(codec) == value


class TestCharacters:
    """character(n) comes as bytes: DuckDB's reader of the type drops its padding."""

    ONE = ("", "a", "é", "\t", "\u00a0", "\u3000", "日", None)
    MORE = (" ", "a  b", " a", "a\n", "Straße")

    @pytest.mark.parametrize("encoding", ["UTF8", "LATIN1", "SQL_ASCII"])
    @pytest.mark.parametrize(
        "type_", ["character(7)", "bpchar", "character(1)", "padded", "letter"]
    )
    def test_every_blank_is_kept(
        self, make_database: DatabaseMaker, tmp_path: Path, encoding: str, type_: str
    ) -> None:
        made = make_database(encoding=encoding)
        values = self.ONE if type_ in {"character(1)", "letter"} else self.ONE + self.MORE
        fitting = [value for value in values if is_in(value, encoding)]
        listed = ", ".join("NULL" if v is None else f"'{v}'" for v in fitting)
        made.execute(
            "CREATE DOMAIN padded AS character(9); CREATE DOMAIN letter AS character; "
            f"CREATE TABLE t (n int, c {type_}); "
            f"INSERT INTO t SELECT n, (ARRAY[{listed}])[1 + n % {len(fitting)}] "
            "FROM generate_series(0, 3999) AS n"
        )
        with made.connect() as connection:
            said = connection.execute(
                "SELECT pg_catalog.textin(pg_catalog.bpcharout(c)) FROM t ORDER BY n"
            ).fetchall()
        digests = set()
        for sorter in ("duckdb", "postgres"):
            for threads in (1, 2):
                exported(made, tmp_path, sort_in=sorter, threads=threads)
                digests.add(sha256(tmp_path / "t.parquet"))
        assert len(digests) == 1
        written = pq.read_table(tmp_path / "t.parquet").sort_by("n")["c"].to_pylist()
        assert written == [row[0] for row in said]

    def test_the_server_is_spared_a_function(self, database: Database) -> None:
        database.execute("CREATE TABLE t (c character(7), d character(1))")
        assert "bpcharsend" in asked(database)
        assert "bpcharout" not in asked(database)

    @pytest.mark.parametrize(("beyond", "made_again"), [(0, False), (1, True)])
    def test_a_blank_is_as_long_as_for_the_server(
        self, database: Database, tmp_path: Path, beyond: int, made_again: bool
    ) -> None:
        """One that DuckDB's reader drops, too: else a row could be long to one side alone."""
        database.execute(
            "CREATE TABLE t (c character(1), d character(3), w text); "
            "INSERT INTO t SELECT ' ', '', 'x' FROM generate_series(1, 4000)"
        )
        [planned] = plan_export(TABLE, Settings(dsn=database.dsn, sort_in=SortIn.DUCKDB))
        assert planned.plan is not None
        most = planned.plan.layout.max_text_bytes
        assert most is not None
        length = most - len(" " + "   ") + beyond
        database.execute(f"INSERT INTO t VALUES (' ', '', repeat('x', {length}))")
        recorder = Recorder()
        exported(database, tmp_path, recorder, sort_in="duckdb")
        assert bool(repetitions(recorder)) is made_again
        [row] = pq.read_table(tmp_path / "t.parquet").slice(4000).to_pylist()
        assert row == {"c": " ", "d": "   ", "w": "x" * length}
