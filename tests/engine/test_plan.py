"""Plans are plain data: what is selected, in how many ranges, in row groups of what size."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from duckwarp.engine.plan import (
    RANGE_MIN_BYTES,
    ExportPlan,
    PlannedColumn,
    build_plan,
    copy_statement,
    explain,
    in_one_range,
    row_group_rows,
    server_query,
)
from duckwarp.engine.quoting import identifier, literal
from duckwarp.engine.types import Form
from duckwarp.results import Loss
from duckwarp.settings import Compression, Settings
from duckwarp.source.pgtypes import ServerTraits
from duckwarp.source.registry import Source
from duckwarp.source.relations import Relation, RelationKind

LARGE = RANGE_MIN_BYTES
PAGES = LARGE // 8192


def relation(**values: Any) -> Relation:
    defaults: dict[str, Any] = {
        "oid": 1,
        "raw_kind": "r",
        "kind": RelationKind.TABLE,
        "estimated_rows": 7,
        "size_bytes": LARGE,
        "largest_heap_bytes": LARGE,
    }
    return Relation(**(defaults | values))


def plan_for(
    *columns: PlannedColumn,
    relation: Relation,
    connections: int = 2,
    version: int = 150000,
    schema: str = "s",
    table: str = "t",
    compression: Compression = Compression.SNAPPY,
) -> ExportPlan:
    source = Source(code="c", name="c", schema=schema, table=table, relation=relation)
    settings = Settings(connections=connections, compression=compression)
    traits = ServerTraits(version=version, encoding="UTF8", money_scale=2, block_bytes=8192)
    return build_plan(source, columns or (integer("n"),), settings, traits, names_objects=False)


def integer(name: str, **values: Any) -> PlannedColumn:
    form = Form(**({"select": f"r.{identifier(name)}", "duckdb_type": "INTEGER"} | values))
    return PlannedColumn(name=name, form=form)


class TestRowGroups:
    @pytest.mark.parametrize(
        ("widths", "want"),
        [
            pytest.param([8], 122_880, id="narrow rows: the largest that readers expect"),
            pytest.param([8] * 15, 122_880, id="fifteen columns: as many"),
            pytest.param([8] * 100, 81_920, id="a hundred columns: fewer"),
            pytest.param([32] * 400, 4_096, id="400 columns of text: a few vectors"),
            pytest.param([10_000_000], 2_048, id="huge values: one vector is the least"),
            pytest.param([0], 122_880, id="columns of no width"),
        ],
    )
    def test_rows_are_whole_vectors_as_many_as_the_width_allows(
        self, widths: list[int], want: int
    ) -> None:
        got = row_group_rows(widths)
        assert got == want
        assert got % 2_048 == 0


class TestRanges:
    @pytest.mark.parametrize(
        ("relation", "connections", "version"),
        [
            pytest.param(relation(size_bytes=LARGE - 1), 2, 150000, id="a small table"),
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
        plan = plan_for(relation=relation(kind=kind), connections=3)
        low, high = PAGES // 3, PAGES * 2 // 3
        assert plan.ranges == (
            f"r.ctid >= '(0,0)' AND r.ctid < '({low},0)'",
            f"r.ctid >= '({low},0)' AND r.ctid < '({high},0)'",
            f"r.ctid >= '({high},0)'",
        )

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
        statement = copy_statement(plan, ["pg0", "pg1"], "x")
        assert f"AS {want} FROM" in statement

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
        statement = copy_statement(plan, ["pg0", "pg1"], "it's/x.parquet")
        assert statement.count("postgres_query('pg0', ") == 1
        assert statement.count("postgres_query('pg1', ") == 1
        assert statement.count(" UNION ALL ") == 1
        assert "SELECT c1 AS c1, f(c2) AS c2 FROM" in statement
        assert "ORDER BY t.c1, t.c2 + 0, g(t.c2)" in statement
        assert "TO 'it''s/x.parquet' (" in statement
        assert "COMPRESSION uncompressed" in statement

    def test_names_that_differ_in_case_only_are_put_in_place_later(self) -> None:
        plan = plan_for(integer("Name"), integer("name"), relation=relation())
        assert plan.renamed
        assert 't.c1 AS "c1", t.c2 AS "c2"' in copy_statement(plan, ["pg0", "pg1"], "x")
        assert not plan_for(integer("Name"), integer("names"), relation=relation()).renamed


class TestData:
    def test_a_plan_can_be_pickled_and_compared(self) -> None:
        plan = plan_for(relation=relation())
        assert pickle.loads(pickle.dumps(plan)) == plan

    def test_a_plan_says_in_words_what_it_does(self) -> None:
        loss = Loss(column="b", kind="NaN", count=2, outcome="written as NULL")
        columns = (integer("a"), integer("b", obvious=False, losses=(loss,), json=True))
        plan = plan_for(*columns, relation=relation())
        assert explain(plan) == [
            "read s.t in one snapshot over 2 connections, 2 ranges of pages",
            'order by all columns, "a" first, ascending, NULLs last',
            "write c.parquet (snappy) in row groups of 122,880 rows",
            'column "b" as JSON',
            "b: 2 values (NaN) written as NULL",
        ]
        assert plan.losses == (loss,)
        assert plan.expected_rows == 7

    def test_the_estimate_and_the_compression_are_the_source_s_and_the_user_s(self) -> None:
        plan = plan_for(relation=relation(estimated_rows=None), compression=Compression.ZSTD)
        assert plan.expected_rows is None
        assert "COMPRESSION zstd" in copy_statement(plan, ["pg0", "pg1"], "x")
