"""Plans are plain data: what is selected, in how many ranges, and in what order."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from duckwarp.engine.column_form import ColumnForm
from duckwarp.engine.layout import RANGE_MIN_BYTES, Resources, layout_of
from duckwarp.engine.plan import (
    ExportPlan,
    PlannedColumn,
    build_plan,
    explain,
    in_one_range,
)
from duckwarp.engine.statements import copy_statement, server_query, vector_streams
from duckwarp.files.quoting import identifier, literal
from duckwarp.model.parquet_type import Kind, ParquetType
from duckwarp.model.pg_type import ServerTraits
from duckwarp.model.relation import Relation, RelationKind
from duckwarp.model.results import Loss
from duckwarp.model.settings import Compression, Order, Settings, SortIn
from duckwarp.model.source import Source

LARGE = RANGE_MIN_BYTES
BLOCK_BYTES = 8192
PAGES = LARGE // BLOCK_BYTES


def relation(**values: Any) -> Relation:
    """A table of `LARGE` bytes, if nothing else is said."""
    defaults: dict[str, Any] = {
        "oid": 1,
        "raw_kind": "r",
        "kind": RelationKind.TABLE,
        "estimated_rows": 7,
        "size_bytes": LARGE,
        "heap_bytes": (LARGE,),
        "toast_bytes": 0,
    }
    return Relation(**(defaults | values))


def plan_for(
    *columns: PlannedColumn,
    relation: Relation,
    connections: int = 2,
    version: int = 150000,
    encoding: str = "UTF8",
    schema: str = "s",
    table: str = "t",
    **choices: Any,
) -> ExportPlan:
    """The plan where DuckDB has 600 MB; `choices` are the user's."""
    source = Source(code="c", name="c", schema=schema, table=table, relation=relation)
    settings = Settings(**choices)
    resources = Resources(duckdb_bytes=600_000_000, threads=4, connections=connections)
    traits = ServerTraits(
        version=version, encoding=encoding, money_scale=2, block_bytes=BLOCK_BYTES
    )
    planned = columns or (integer("n"),)
    forms = [column.form for column in planned]
    layout = layout_of(relation, forms, settings, resources, traits, None)
    return build_plan(source, planned, layout, settings, traits, names_objects=False)


def statement_of(plan: ExportPlan, path: str = "x") -> str:
    """DuckDB's statement for a plan, over attachments pg0, pg1, …"""
    rows = vector_streams(plan, [f"pg{number}" for number in range(len(plan.ranges))])
    return copy_statement(plan, rows, path)


def integer(name: str, **values: Any) -> PlannedColumn:
    kind = ParquetType(Kind.INTEGER)
    form = ColumnForm(**({"select": f"r.{identifier(name)}", "type": kind} | values))
    return PlannedColumn(name=name, form=form)


class TestRanges:
    @pytest.mark.parametrize(
        ("relation", "connections", "version"),
        [
            pytest.param(relation(heap_bytes=(LARGE - 1,)), 2, 150000, id="a small table"),
            pytest.param(
                relation(heap_bytes=(LARGE // 2, LARGE // 4)), 2, 150000, id="small parts together"
            ),
            pytest.param(relation(), 1, 150000, id="one connection"),
            pytest.param(relation(), 2, 130012, id="a server without TID range scans"),
            pytest.param(relation(kind=RelationKind.VIEW), 2, 150000, id="a view"),
            pytest.param(relation(kind=RelationKind.FOREIGN), 2, 150000, id="a foreign table"),
            pytest.param(relation(has_foreign_part=True), 2, 150000, id="a foreign partition"),
        ],
    )
    def test_some_relations_are_read_whole(
        self, relation: Relation, connections: int, version: int
    ) -> None:
        plan = plan_for(relation=relation, connections=connections, version=version)
        assert plan.ranges == ("",)

    @pytest.mark.parametrize(
        "kind",
        [RelationKind.TABLE, RelationKind.PARTITIONED, RelationKind.MATERIALIZED_VIEW],
        ids=lambda kind: kind.label,
    )
    def test_large_ones_are_read_in_ranges_of_pages_the_last_one_open(
        self, kind: RelationKind
    ) -> None:
        plan = plan_for(relation=relation(kind=kind, heap_bytes=(3 * LARGE,)), connections=3)
        low, high = PAGES, PAGES * 2
        assert plan.ranges == (
            f"r.ctid >= '(0,0)' AND r.ctid < '({low},0)'",
            f"r.ctid >= '({low},0)' AND r.ctid < '({high},0)'",
            f"r.ctid >= '({high},0)'",
        )

    def test_a_table_has_no_more_ranges_than_it_is_worth(self) -> None:
        for heap_bytes, want in ((LARGE - 1, 1), (LARGE, 2), (LARGE * 2 - 1, 3), (LARGE * 2, 4)):
            plan = plan_for(relation=relation(heap_bytes=(heap_bytes,)), connections=9)
            assert len(plan.ranges) == want

    def test_the_same_plan_can_be_read_over_one_connection(self) -> None:
        plan = plan_for(relation=relation())
        assert len(plan.ranges) == 2
        assert in_one_range(plan).ranges == ("",)
        assert in_one_range(plan).columns == plan.columns


class TestStatements:
    @pytest.mark.parametrize(
        ("name", "want"),
        [
            pytest.param("a", '"a"', id="a plain name"),
            pytest.param('a"b', '"a""b"', id="a quote"),
            pytest.param("a'b", '"a\'b"', id="another quote"),
            pytest.param("select", '"select"', id="a reserved word"),
            pytest.param("a.b%c$1\\", '"a.b%c$1\\"', id="dots, dollars and others"),
        ],
    )
    def test_names_are_quoted_for_the_server(self, name: str, want: str) -> None:
        plan = plan_for(integer(name), relation=relation(), schema=name, table=name)
        query = server_query(plan, "")
        assert query == f"SELECT r.{want} AS c1 FROM {want}.{want} AS r"
        assert f"AS {want} FROM" in statement_of(plan)

    @pytest.mark.parametrize("text", ["a", "it's", "''", "\\'", '"', ""])
    def test_a_literal_is_its_text_in_quotes(self, text: str) -> None:
        quoted = literal(text)
        assert quoted[0] == quoted[-1] == "'"
        assert quoted[1:-1].replace("''", "'") == text

    def test_a_query_has_its_range_and_its_limit(self) -> None:
        plan = plan_for(relation=relation())
        assert server_query(plan, plan.ranges[1]).endswith(f"WHERE r.ctid >= '({PAGES // 2},0)'")
        assert server_query(plan, "", limit=0).endswith(" LIMIT 0")

    def test_each_attachment_reads_one_range_and_all_columns_decide_the_order(self) -> None:
        columns = (
            integer("b"),
            integer("a", value="f({d})", order=("{d} + 0", "g({d})")),
        )
        plan = plan_for(*columns, relation=relation(), compression=Compression.NONE)
        statement = statement_of(plan, "it's/x.parquet")
        assert statement.count("postgres_query('pg0', ") == 1
        assert statement.count("postgres_query('pg1', ") == 1
        assert statement.count(" UNION ALL ") == 1
        assert "SELECT c1 AS c1, f(c2) AS c2 FROM" in statement
        assert "ORDER BY c1, c2 + 0, g(c2)" in statement
        assert "TO 'it''s/x.parquet' (" in statement
        assert "COMPRESSION uncompressed" in statement

    @pytest.mark.parametrize(
        ("order", "want"),
        [
            pytest.param(Order.ALL, " AS w ORDER BY c1, c2 + 0, g(c2)", id="by all columns"),
            pytest.param(Order.FIRST, " AS w ORDER BY c1", id="by the first one"),
            pytest.param(Order.NONE, "", id="not at all"),
        ],
    )
    def test_duckdb_sorts_by_the_columns_that_the_user_wants(self, order: Order, want: str) -> None:
        columns = (integer("b"), integer("a", order=("{d} + 0", "g({d})")))
        plan = plan_for(*columns, relation=relation(), order=order)
        statement = statement_of(plan)
        assert f"{want}) AS t) TO 'x' (" in statement
        assert statement.count(" ORDER BY ") == bool(want)
        assert " ORDER BY " not in server_query(plan, plan.ranges[0])


def text(name: str, parquet_type: str = "VARCHAR", **values: Any) -> PlannedColumn:
    return integer(name, **({"type": ParquetType.parse(parquet_type), "width_bytes": 32} | values))


class TestTheServersSort:
    """What it is asked for, so that its order is DuckDB's; that it is, others compare by bytes."""

    @pytest.mark.parametrize(
        ("column", "encoding", "selected", "keys"),
        [
            pytest.param(integer("v"), "UTF8", 'r."v" AS c1', "1", id="a number by itself"),
            pytest.param(
                text("v"), "UTF8", '(r."v") COLLATE "C" AS c1', "1", id="text by its bytes"
            ),
            pytest.param(
                text("v", "VARCHAR[]"), "LATIN1", '(r."v") COLLATE "C" AS c1', "1", id="lists of it"
            ),
            pytest.param(
                text("v", "BLOB[]"), "EUC_JP", '(r."v") COLLATE "C" AS c1',
                'CASE WHEN (r."v") IS NOT NULL THEN '
                'ARRAY(SELECT pg_catalog.convert_to(u.e, \'UTF8\') FROM pg_catalog.unnest(r."v") '
                "WITH ORDINALITY AS u(e, o) ORDER BY u.o) END",
                id="hexadecimal digits, too",
            ),
            pytest.param(text("v", "BLOB"), "EUC_JP", 'r."v" AS c1', "1", id="bytes by themselves"),
            pytest.param(
                text("v"), "WIN1252", '(r."v") COLLATE "C" AS c1',
                "pg_catalog.convert_to((r.\"v\"), 'UTF8')",
                id="text of an encoding in another order by its bytes in UTF-8",
            ),
            pytest.param(
                text("v", "DOUBLE", signed_zeros=True), "UTF8", 'r."v" AS c1',
                "1, ((r.\"v\")::pg_catalog.text <> '-0')",
                id="-0.0 before 0.0",
            ),
        ],
    )  # fmt: skip
    def test_each_column_has_the_keys_that_give_duckdb_s_order(
        self, column: PlannedColumn, encoding: str, selected: str, keys: str
    ) -> None:
        plan = plan_for(column, relation=relation(), encoding=encoding, sort_in=SortIn.POSTGRES)
        assert plan.ranges == ("",)
        want = f'SELECT {selected} FROM "s"."t" AS r ORDER BY {keys}'
        assert server_query(plan, "") == want
        assert " AS t) TO 'x' (" in statement_of(plan)

    @pytest.mark.parametrize(
        ("order", "want"),
        [
            pytest.param(Order.ALL, " ORDER BY 1, 2", id="by all columns"),
            pytest.param(Order.FIRST, " ORDER BY 1", id="by the first one"),
            pytest.param(Order.NONE, "", id="not at all, whoever was asked"),
        ],
    )
    def test_it_sorts_by_the_columns_that_the_user_wants(self, order: Order, want: str) -> None:
        columns = (integer("b"), integer("a"))
        plan = plan_for(*columns, relation=relation(), order=order, sort_in=SortIn.POSTGRES)
        query = server_query(plan, "")
        assert query == f'SELECT r."b" AS c1, r."a" AS c2 FROM "s"."t" AS r{want}'
        assert " ORDER BY " not in statement_of(plan).replace(query, "")


class TestData:
    def test_a_plan_can_be_pickled_and_compared(self) -> None:
        plan = plan_for(relation=relation())
        assert pickle.loads(pickle.dumps(plan)) == plan

    def test_a_plan_says_in_words_what_it_does(self) -> None:
        loss = Loss(column="b", kind="NaN", count=2, outcome="written as NULL")
        columns = (
            integer("a"),
            integer("b", type=ParquetType(Kind.UUID), obvious=False, losses=(loss,)),
        )
        plan = plan_for(*columns, relation=relation())
        assert explain(plan) == [
            "read s.t in one snapshot over 2 connections, each a range of pages",
            'order by all columns, "a" first, ascending, NULLs last',
            "sort in DuckDB: all rows fit into memory",
            "row groups of 122,880 rows, of about 16 bytes each (by their types)",
            "write c.parquet (snappy)",
            'column "b" as UUID',
            "b: 2 values (NaN) written as NULL",
        ]
        assert plan.losses == (loss,)
        assert plan.expected_rows == 7

    @pytest.mark.parametrize(
        ("choices", "want"),
        [
            pytest.param({}, 'order by all columns, "a" first, ascending, NULLs last', id="all"),
            pytest.param(
                {"order": Order.FIRST},
                'order by "a" alone, ascending, NULLs last: ties are left open, and the bytes of '
                "the file depend on the run",
                id="the first",
            ),
            pytest.param(
                {"order": Order.NONE},
                "no order: the bytes of the file depend on the run",
                id="none",
            ),
            pytest.param(
                {"sort_in": SortIn.POSTGRES},
                "sort in PostgreSQL: as it was asked for",
                id="the user's choice of who sorts",
            ),
        ],
    )
    def test_a_plan_says_in_words_what_the_user_chose(
        self, choices: dict[str, Any], want: str
    ) -> None:
        assert want in explain(plan_for(integer("a"), relation=relation(), **choices))

    def test_the_estimate_and_the_compression_are_the_source_s_and_the_user_s(self) -> None:
        plan = plan_for(relation=relation(estimated_rows=None), compression=Compression.ZSTD)
        assert plan.expected_rows is None
        assert plan.compression is Compression.ZSTD
        assert "COMPRESSION zstd" in statement_of(plan)
