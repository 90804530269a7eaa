"""Which sources a selection has, and what the catalog says of their relations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg import sql

from duckwarp.model.errors import NothingMatched, RegistryMissing, RunError, UsageError
from duckwarp.model.relation import RelationKind
from duckwarp.model.source import Selection, Source
from duckwarp.postgres.connection import connect
from duckwarp.postgres.registry import find_sources
from tests.conftest import RoleMaker
from tests.support import Database, dsn_with

ALL = Selection(everything=True)


def sources_of(dsn: str, selection: Selection, schema: str = "datawarp") -> tuple[Source, ...]:
    connection = connect(dsn, "duckwarp")
    try:
        return find_sources(connection, selection, schema)
    finally:
        connection.close()


@pytest.fixture
def registry(database: Database) -> Database:
    """A full registry without sources, and the schema `staging`."""
    database.execute(
        """CREATE SCHEMA datawarp; CREATE SCHEMA staging;
        CREATE TABLE datawarp.tbl_data_sources (
            code varchar(100) PRIMARY KEY, name text, table_name text, schema_name text,
            description text, domain text, tags text[], metadata jsonb, created_at timestamptz,
            last_load_at timestamptz)"""
    )
    return database


def register(database: Database, code: str, **values: Any) -> None:
    values = {"table_name": code} | values
    names = ", ".join(["code", *values])
    places = ", ".join(["%s"] * (len(values) + 1))
    database.execute(
        f"INSERT INTO datawarp.tbl_data_sources ({names}) VALUES ({places})",
        [code, *values.values()],
    )


class TestSelection:
    @pytest.mark.parametrize(
        ("arguments", "want"),
        [
            pytest.param({}, "say what to export", id="nothing"),
            pytest.param({"publication": ""}, "the publication is empty", id="empty publication"),
            pytest.param(
                {"publication": "a", "schema": "s"}, "use one or the other", id="two worlds"
            ),
            pytest.param({"codes": ("a",), "tables": ("s.t",)}, "use one or", id="code and table"),
            pytest.param({"everything": True, "codes": ("a",)}, "leave out", id="all and one"),
            pytest.param({"everything": True, "publication": "a"}, "leave out", id="all and some"),
        ],
    )
    def test_a_selection_that_makes_no_sense_is_refused(
        self, arguments: dict[str, Any], want: str
    ) -> None:
        with pytest.raises(UsageError, match=want):
            Selection(**arguments)

    @pytest.mark.parametrize(
        ("selection", "want"),
        [
            pytest.param(Selection(publication="gp"), ["gp_appt_a", "gpxappt_b"], id="a prefix"),
            pytest.param(Selection(publication="gp_appt"), ["gp_appt_a"], id="taken literally"),
            pytest.param(Selection(publication="gp%"), ["gp%c"], id="a percent sign, too"),
            pytest.param(Selection(publication="GP"), ["GP_d"], id="in its own case"),
            pytest.param(
                Selection(codes=("gpxappt_b", "GP_d", "GP_d")), ["GP_d", "gpxappt_b"], id="codes"
            ),
            pytest.param(
                Selection(publication="gp_", codes=("GP_d",)), ["GP_d", "gp_appt_a"], id="both"
            ),
            pytest.param(ALL, ["GP_d", "gp%c", "gp_appt_a", "gpxappt_b"], id="all"),
        ],
    )
    def test_the_sources_come_in_the_order_of_their_codes(
        self, registry: Database, selection: Selection, want: list[str]
    ) -> None:
        for code in ("gpxappt_b", "gp_appt_a", "GP_d", "gp%c"):
            register(registry, code)
        if selection.publication == "gp":
            want = ["gp%c", *want]
        assert [source.code for source in sources_of(registry.dsn, selection)] == want

    def test_one_code_in_vain_among_others_is_named_with_the_nearest(
        self, registry: Database
    ) -> None:
        register(registry, "adhd_open")
        with pytest.raises(NothingMatched) as caught:
            sources_of(registry.dsn, Selection(codes=("adhd_open", "adhd_opne")))
        assert str(caught.value) == 'nothing matches source "adhd_opne"; nearest: adhd_open'

    def test_an_empty_registry_matches_nothing(self, registry: Database) -> None:
        with pytest.raises(NothingMatched, match="nothing matches any source"):
            sources_of(registry.dsn, ALL)

    @pytest.mark.parametrize(
        ("table", "want"),
        [
            pytest.param("s.t", ("s", "t"), id="plain"),
            pytest.param("S.Tt", ("S", "Tt"), id="its own case"),
            pytest.param('"a.b"."c""d"', ("a.b", 'c"d'), id="quoted"),
            pytest.param('s."t.u"', ("s", "t.u"), id="half quoted"),
            pytest.param("s s.t t", ("s s", "t t"), id="blanks"),
        ],
    )
    def test_a_table_is_named_with_its_schema(
        self, database: Database, table: str, want: tuple[str, str]
    ) -> None:
        database.execute(
            sql.SQL("CREATE SCHEMA IF NOT EXISTS {}; CREATE TABLE {} (n int)").format(
                sql.Identifier(want[0]), sql.Identifier(*want)
            )
        )
        [source] = sources_of(database.dsn, Selection(tables=(table,)))
        assert (source.schema, source.table) == want
        assert not source.registered

    @pytest.mark.parametrize(
        ("tables", "want"),
        [
            pytest.param(["x=s.t"], {"x": "t"}, id="another code"),
            pytest.param(["x y.z=s.t", "s.u"], {"u": "u", "x y.z": "t"}, id="any code"),
            pytest.param(['x=s."a=b"'], {"x": "a=b"}, id="an equals sign in a name"),
            pytest.param(['s."a=b"'], {"a=b": "a=b"}, id="without a code"),
            pytest.param(["u=s.t", "s.u"], {"s.u": "u", "u": "t"}, id="the name of another"),
            pytest.param(["x=s.t", "x=s.t"], {"x": "t"}, id="twice"),
        ],
    )
    def test_a_table_may_be_given_another_code(
        self, database: Database, tables: list[str], want: dict[str, str]
    ) -> None:
        database.execute("CREATE SCHEMA s; CREATE TABLE s.t (); CREATE TABLE s.u ()")
        database.execute('CREATE TABLE s."a=b" ()')
        found = sources_of(database.dsn, Selection(tables=tuple(tables)))
        assert {source.code: source.table for source in found} == want

    def test_a_table_of_a_schema_may_be_given_another_code(self, database: Database) -> None:
        database.execute("CREATE SCHEMA s; CREATE TABLE s.catalog (); CREATE TABLE s.u ()")
        found = sources_of(database.dsn, Selection(schema="s", tables=("list=s.catalog",)))
        assert {source.code: source.table for source in found} == {"list": "catalog", "u": "u"}

    @pytest.mark.parametrize(
        ("tables", "want"),
        [
            pytest.param(("x=s.t", "y=s.t"), 'two codes, "x" and "y"', id="one table, two codes"),
            pytest.param(("x=s.t", "x=s.u"), "the same file name", id="one code, two tables"),
        ],
    )
    def test_codes_that_are_not_one_for_each_table_are_refused(
        self, database: Database, tables: tuple[str, ...], want: str
    ) -> None:
        database.execute("CREATE SCHEMA s; CREATE TABLE s.t (); CREATE TABLE s.u ()")
        with pytest.raises(UsageError, match=want):
            sources_of(database.dsn, Selection(tables=tables))

    @pytest.mark.parametrize(
        "table", ["t", "", ".", "a.", ".b", "a.b.c", '"a.b', "a..b", "=a.b", "x=a", "a.b=c"]
    )
    def test_a_table_without_its_schema_is_refused(self, database: Database, table: str) -> None:
        with pytest.raises(UsageError, match=r"--table takes schema\.name"):
            sources_of(database.dsn, Selection(tables=(table,)))

    def test_a_schema_without_tables_says_so(self, database: Database) -> None:
        with pytest.raises(NothingMatched, match="it has no tables or views"):
            sources_of(database.dsn, Selection(schema="public"))

    @pytest.mark.parametrize(
        ("selection", "want"),
        [
            pytest.param(
                Selection(tables=("staging.adhd_opne",)),
                'nothing matches table "staging.adhd_opne"; nearest: staging.ADHD_open',
                id="a table",
            ),
            pytest.param(
                Selection(tables=("staging.ADHD_open", "STAGING.adhd_OPEN")),
                'nothing matches table "STAGING.adhd_OPEN"; nearest: staging.ADHD_open',
                id="a table beside one that is there",
            ),
            pytest.param(
                Selection(schema="STAGING"),
                'nothing matches schema "STAGING"; nearest: staging',
                id="a schema",
            ),
            pytest.param(
                Selection(publication="ADHD"),
                'nothing matches publication "ADHD"; nearest: adhd, adhd_open',
                id="a publication",
            ),
            pytest.param(
                Selection(codes=("ADHD_OPEN",)),
                'nothing matches source "ADHD_OPEN"; nearest: adhd_open',
                id="a code",
            ),
        ],
    )
    def test_what_is_named_in_vain_is_answered_with_the_nearest_in_any_case(
        self, registry: Database, selection: Selection, want: str
    ) -> None:
        register(registry, "adhd_open")
        registry.execute('CREATE TABLE staging."ADHD_open" (n int)')
        with pytest.raises(NothingMatched) as caught:
            sources_of(registry.dsn, selection)
        assert str(caught.value) == want

    def test_each_table_has_a_code_of_its_own(self, database: Database) -> None:
        database.execute(
            "CREATE SCHEMA da; CREATE SCHEMA db; CREATE SCHEMA dc; CREATE TABLE da.t (n int); "
            'CREATE TABLE db.t (n int); CREATE TABLE dc."da.t" (n int); CREATE TABLE dc.u (n int)'
        )
        tables = ("da.t", "db.t", 'dc."da.t"', "dc.u", "dc.u")
        got = {s.code: (s.schema, s.table) for s in sources_of(database.dsn, named(*tables))}
        assert got == {
            "da.t": ("da", "t"),
            "db.t": ("db", "t"),
            "dc.da.t": ("dc", "da.t"),
            "u": ("dc", "u"),
        }

    def test_tables_that_no_code_tells_apart_are_refused(self, database: Database) -> None:
        database.execute(
            'CREATE SCHEMA a; CREATE SCHEMA "a.b"; CREATE SCHEMA x; CREATE TABLE a."b.c" (n int); '
            'CREATE TABLE "a.b".c (n int); CREATE TABLE x.c (n int); CREATE TABLE x."b.c" (n int)'
        )
        with pytest.raises(UsageError, match=r'"a"\."b\.c" and "a\.b"\."c" would get the same'):
            sources_of(database.dsn, named('a."b.c"', '"a.b".c', "x.c", 'x."b.c"'))


def named(*tables: str) -> Selection:
    return Selection(tables=tables)


class TestRegistered:
    def test_a_code_that_the_registry_has_twice_stops_the_run(self, database: Database) -> None:
        database.execute(
            "CREATE SCHEMA datawarp; CREATE VIEW datawarp.tbl_data_sources AS "
            "SELECT * FROM (VALUES ('a', 't'), ('b', 'u'), ('a', 'v')) AS s (code, table_name)"
        )
        with pytest.raises(RunError) as caught:
            sources_of(database.dsn, ALL)
        assert 'the registry has the code "a" 2 times, for staging.t, staging.v' in str(
            caught.value
        )
        assert [s.code for s in sources_of(database.dsn, Selection(codes=("b",)))] == ["b"]

    @pytest.mark.parametrize("table", [None, ""])
    def test_a_row_without_a_table_is_told_so(self, registry: Database, table: str | None) -> None:
        register(registry, "a", table_name=table)
        [source] = sources_of(registry.dsn, ALL)
        assert source.relation is None
        assert source.qualified_name == "(the registry names no table)"

    def test_what_the_registry_says_is_kept(self, registry: Database) -> None:
        register(
            registry,
            "a",
            name="A name",
            schema_name="other",
            table_name="t",
            description="What it is",
            domain="health",
            tags=["x", None, "", "y"],
            last_load_at=datetime(2026, 1, 2, tzinfo=UTC),
        )
        [source] = sources_of(registry.dsn, ALL)
        assert source == Source(
            code="a",
            name="A name",
            schema="other",
            table="t",
            description="What it is",
            domain="health",
            tags=("x", "y"),
            last_load_at=datetime(2026, 1, 2, tzinfo=UTC),
        )

    def test_what_is_null_is_the_code_the_staging_schema_and_nothing(
        self, registry: Database
    ) -> None:
        register(registry, "a", table_name="t")
        [source] = sources_of(registry.dsn, ALL)
        assert source == Source(code="a", name="a", schema="staging", table="t")

    @pytest.mark.parametrize("value", ["infinity", "-infinity", "0044-03-15 12:00 BC", "20000-1-1"])
    def test_a_time_that_python_cannot_hold_does_not_stop_a_run(
        self, registry: Database, value: str
    ) -> None:
        register(registry, "a", last_load_at=value)
        [source] = sources_of(registry.dsn, ALL)
        assert source.last_load_at is None

    def test_optional_columns_of_other_types_do_not_stop_a_run(self, database: Database) -> None:
        database.execute(
            "CREATE SCHEMA datawarp; CREATE TABLE datawarp.tbl_data_sources "
            "(code text, table_name text, tags text, last_load_at date, name varchar(9)); "
            "INSERT INTO datawarp.tbl_data_sources VALUES ('a', 't', 'x, y', '2026-01-02', 'A')"
        )
        [source] = sources_of(database.dsn, ALL)
        assert source.tags == ("x, y",)
        assert source.name == "A"

    def test_a_registry_may_be_a_view(self, database: Database) -> None:
        database.execute(
            "CREATE SCHEMA datawarp; CREATE VIEW datawarp.tbl_data_sources AS "
            "SELECT 'a'::text AS code, 't'::text AS table_name"
        )
        assert [source.code for source in sources_of(database.dsn, ALL)] == ["a"]

    @pytest.mark.parametrize(
        ("grants", "want"),
        [
            pytest.param("", "no USAGE privilege", id="no usage"),
            pytest.param(
                "GRANT USAGE ON SCHEMA datawarp TO {role}", "no SELECT privilege", id="no select"
            ),
        ],
    )
    def test_a_registry_that_may_not_be_read_is_told_from_none(
        self, registry: Database, make_role: RoleMaker, grants: str, want: str
    ) -> None:
        role = make_role()
        if grants:
            registry.execute(grants.format(role=role.name))
        with pytest.raises(RegistryMissing) as caught:
            sources_of(registry.dsn_as(role), ALL)
        assert want in str(caught.value)
        assert role.name in str(caught.value)

    def test_no_registry_is_named_with_its_schema_and_database(self, database: Database) -> None:
        with pytest.raises(RegistryMissing) as caught:
            sources_of(database.dsn, ALL, "elsewhere")
        assert '"elsewhere".tbl_data_sources does not exist' in str(caught.value)
        assert database.name in str(caught.value)


class TestRelations:
    @pytest.mark.parametrize(
        ("statement", "want"),
        [
            pytest.param("CREATE TABLE r (n int)", RelationKind.TABLE, id="table"),
            pytest.param(
                "CREATE TABLE r (n int) PARTITION BY LIST (n)",
                RelationKind.PARTITIONED,
                id="partitioned table",
            ),
            pytest.param("CREATE VIEW r AS SELECT 1 AS n", RelationKind.VIEW, id="view"),
            pytest.param(
                "CREATE MATERIALIZED VIEW r AS SELECT 1 AS n",
                RelationKind.MATERIALIZED_VIEW,
                id="materialized view",
            ),
            pytest.param(
                "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw; "
                "CREATE FOREIGN TABLE r (n int) SERVER files OPTIONS (filename '/dev/null')",
                RelationKind.FOREIGN,
                id="foreign table",
            ),
            pytest.param("CREATE SEQUENCE r", None, id="a sequence is none of them"),
        ],
    )
    def test_the_kind_is_the_catalog_s(
        self, database: Database, statement: str, want: RelationKind | None
    ) -> None:
        database.execute(statement)
        [source] = sources_of(database.dsn, Selection(tables=("public.r",)))
        assert source.relation is not None
        assert source.relation.kind is want

    @pytest.mark.parametrize(
        "statement",
        [
            pytest.param("SELECT 1", id="nothing of that name"),
            pytest.param("CREATE TYPE r AS (n int)", id="a type of that name"),
            pytest.param('CREATE TABLE "R" (n int)', id="the name in another case"),
            pytest.param("CREATE TABLE staging.r (n int)", id="the name in another schema"),
        ],
    )
    def test_what_is_not_there_has_no_relation(self, registry: Database, statement: str) -> None:
        registry.execute(statement)
        register(registry, "r", schema_name="public")
        [source] = sources_of(registry.dsn, ALL)
        assert source.relation is None
        with pytest.raises(NothingMatched, match=r'nothing matches table "public\.r"'):
            sources_of(registry.dsn, Selection(tables=("public.r",)))

    def test_existence_is_seen_without_any_privilege(
        self, registry: Database, make_role: RoleMaker
    ) -> None:
        role = make_role()
        registry.execute("CREATE TABLE staging.t (n int)")
        [source] = sources_of(registry.dsn_as(role), Selection(tables=("staging.t",)))
        assert source.relation is not None
        assert not source.relation.may_use_schema

    def test_size_and_rows_are_those_of_all_parts(self, database: Database) -> None:
        database.execute(
            "CREATE TABLE r (n int, s text) PARTITION BY RANGE (n); "
            "CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (100); "
            "CREATE TABLE r2 PARTITION OF r FOR VALUES FROM (100) TO (2000); "
            "INSERT INTO r SELECT n, repeat('x', 500) FROM generate_series(0, 999) AS n; "
            "ANALYZE r"
        )
        [source] = sources_of(database.dsn, Selection(tables=("public.r",)))
        [(sizes, *heaps)] = database.execute(
            "SELECT pg_table_size('r1') + pg_table_size('r2'), "
            "pg_relation_size('r2'), pg_relation_size('r1')"
        )
        assert source.relation is not None
        assert source.relation.estimated_rows == 1000
        assert source.relation.size_bytes == sizes
        assert source.relation.heap_bytes == tuple(heaps)
        assert heaps[0] > heaps[1] > 0

    def test_rows_that_nobody_has_counted_are_unknown(self, database: Database) -> None:
        database.execute("CREATE TABLE r (n int); INSERT INTO r VALUES (1)")
        [source] = sources_of(database.dsn, Selection(tables=("public.r",)))
        assert source.relation is not None
        assert source.relation.estimated_rows is None

    def test_a_relation_that_somebody_rewrites_is_listed_without_waiting(
        self, database: Database
    ) -> None:
        database.execute(
            "CREATE TABLE r AS SELECT n FROM generate_series(1, 10000) AS n; CREATE TABLE s (n int)"
        )
        database.execute("ANALYZE r, s")
        [(pages,)] = database.execute("SELECT relpages FROM pg_class WHERE relname = 'r'")
        with database.connect(autocommit=False) as other:
            other.execute("LOCK TABLE r IN ACCESS EXCLUSIVE MODE")
            dsn = dsn_with(database.dsn, options="-c lock_timeout=5000")
            sources = sources_of(dsn, Selection(tables=("public.r", "public.s")))
        relations = {source.code: source.relation for source in sources}
        assert relations["r"] is not None
        assert relations["r"].size_bytes == pages * 8192
        assert pages > 0
