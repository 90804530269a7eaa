"""How a copy is laid out, as a table: what is known of a source → who reads, sorts and writes how.

What the bytes of a file depend on must not depend on the machine: that is tested on files, too.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from duckwarp.engine.column_form import ColumnForm
from duckwarp.engine.layout import (
    DUCKDB_SORT_MIN_BYTES,
    DUCKDB_SORT_ROW_BYTES,
    IN_MEMORY_SHARE,
    LONG_ROW_BYTES,
    MAX_LONG_BYTES,
    MAX_ROW_GROUP_BYTES,
    RANGE_MIN_BYTES,
    ROW_GROUP_BYTES,
    WIDE_SORT_SHARE,
    Layout,
    Reader,
    Resources,
    RowSizes,
    connections_for,
    frugal,
    layout_of,
    max_text_bytes,
    ranges_of,
    row_group_rows,
)
from duckwarp.model.parquet_type import Kind, ParquetType
from duckwarp.model.pg_type import ServerTraits
from duckwarp.model.relation import Relation, RelationKind
from duckwarp.model.settings import MIN_MEMORY_BYTES, Order, Settings, SortIn

MB = 1_000_000
VECTOR = 2_048
MOST = 122_880
BLOCK_BYTES = 8192
INTEGER = ColumnForm(select="n", type=ParquetType(Kind.INTEGER), width_bytes=4)
TEXT = ColumnForm(select="t", type=ParquetType(Kind.VARCHAR), width_bytes=24)
# More text than row groups are made for without counting.
MANY = max_text_bytes([INTEGER, TEXT]) + 1


def relation(**values: Any) -> Relation:
    """A table of 100 MB, if nothing else is said."""
    size_bytes = values.pop("size_bytes", 100 * MB)
    defaults: dict[str, Any] = {
        "oid": 1,
        "raw_kind": "r",
        "kind": RelationKind.TABLE,
        "estimated_rows": 1,
        "size_bytes": size_bytes,
        "heap_bytes": (size_bytes,),
        "toast_bytes": 0,
    }
    return Relation(**(defaults | values))


def resources(**values: Any) -> Resources:
    return Resources(**({"duckdb_bytes": 300 * MB, "threads": 2, "connections": 2} | values))


def traits(version: int = 150000) -> ServerTraits:
    return ServerTraits(version=version, encoding="UTF8", money_scale=2, block_bytes=BLOCK_BYTES)


def sizes(*, rows: int = 100_000, each: int = 100, longest: int | None = None) -> RowSizes:
    """Rows that are all as long, but the longest one."""
    return RowSizes(
        rows=rows,
        text_bytes=rows * each,
        squared=rows * each**2,
        long_bytes=rows * each if each > LONG_ROW_BYTES else 0,
        longest=each if longest is None else longest,
    )


def layout(
    forms: Sequence[ColumnForm] = (INTEGER, TEXT),
    *,
    of: Relation | None = None,
    within: Resources | None = None,
    counted: RowSizes | None = None,
    version: int = 150000,
    **choices: Any,
) -> Layout:
    """The layout of a table of 100 MB; `choices` are the user's."""
    settings = Settings(**choices)
    return layout_of(
        of or relation(), forms, settings, within or resources(), traits(version), counted
    )


class TestRowGroups:
    @pytest.mark.parametrize(
        ("row_bytes", "want"),
        [
            pytest.param(0, MOST, id="no width at all"),
            pytest.param(1, MOST, id="a byte"),
            pytest.param(ROW_GROUP_BYTES // MOST, MOST, id="as many as readers expect"),
            pytest.param(ROW_GROUP_BYTES // MOST + 1, MOST - VECTOR, id="a vector less"),
            pytest.param(ROW_GROUP_BYTES // VECTOR // 2, 2 * VECTOR, id="two vectors"),
            pytest.param(ROW_GROUP_BYTES // VECTOR // 2 + 1, VECTOR, id="not quite two"),
            pytest.param(ROW_GROUP_BYTES // VECTOR, VECTOR, id="one vector"),
            pytest.param(10**10, VECTOR, id="huge rows: one vector is the least"),
        ],
    )
    def test_rows_are_as_many_as_their_length_allows(self, row_bytes: int, want: int) -> None:
        assert row_group_rows(row_bytes) == want

    def test_they_are_whole_vectors_and_take_no_more_bytes_than_are_allowed(self) -> None:
        got = [row_group_rows(row_bytes) for row_bytes in range(1, 8000)]
        assert all(rows % VECTOR == 0 and VECTOR <= rows <= MOST for rows in got)
        assert all(
            rows * row_bytes <= ROW_GROUP_BYTES or rows == VECTOR
            for row_bytes, rows in enumerate(got, start=1)
        )
        assert got == sorted(got, reverse=True)

    @pytest.mark.parametrize(
        ("forms", "counted", "want"),
        [
            pytest.param([INTEGER], None, MOST, id="by the types"),
            pytest.param([TEXT] * 100, None, row_group_rows(2_400), id="by many types"),
            pytest.param([INTEGER, TEXT], sizes(each=MANY), row_group_rows(MANY + 4), id="counted"),
            pytest.param(
                [TEXT] * 100, sizes(each=20), row_group_rows(2_400), id="counted in vain: short"
            ),
            pytest.param(
                [INTEGER, TEXT],
                RowSizes(rows=10, text_bytes=9_100, squared=9_010_000, long_bytes=0, longest=9_000),
                row_group_rows(9_010_000 // 9_100 + 4),
                id="one long among short ones weighs by its bytes",
            ),
        ],
    )
    def test_the_length_is_counted_where_a_row_is_longer_than_its_types_let_expect(
        self, forms: list[ColumnForm], counted: RowSizes | None, want: int
    ) -> None:
        assert layout(forms, counted=counted).row_group_rows == want

    @pytest.mark.parametrize(
        ("forms", "counted", "is_limited"),
        [
            pytest.param([INTEGER], None, False, id="no text in it"),
            pytest.param([INTEGER, TEXT], None, True, id="text that nobody counted"),
            pytest.param([INTEGER, TEXT], sizes(), False, id="text that was counted"),
        ],
    )
    def test_a_row_with_more_text_than_reckoned_with_stops_the_copy(
        self, forms: list[ColumnForm], counted: RowSizes | None, is_limited: bool
    ) -> None:
        limit = layout(forms, counted=counted).max_text_bytes
        assert limit == (max_text_bytes(forms) if is_limited else None)

    @pytest.mark.parametrize("texts", [1, 4, 40, 400, 1600])
    def test_rows_with_as_much_text_as_is_let_pass_make_no_row_group_that_is_too_large(
        self, texts: int
    ) -> None:
        forms = [INTEGER] * 3 + [TEXT] * texts
        rows = layout(forms).row_group_rows
        most_bytes = rows * (max_text_bytes(forms) + 3 * 4)
        assert most_bytes <= MAX_ROW_GROUP_BYTES or rows == VECTOR
        # What the types let expect always passes.
        assert max_text_bytes(forms) >= texts * 24


class TestRowSizes:
    @pytest.mark.parametrize(
        ("lengths", "want"),
        [
            pytest.param([], 0, id="no rows"),
            pytest.param([0, 0], 0, id="nothing in them"),
            pytest.param([10, 10, 10], 10, id="all as long"),
            pytest.param([100, 0, 0, 0], 100, id="one that has all"),
            pytest.param([1000, *[1] * 1000], 500, id="half of the bytes in one row"),
        ],
    )
    def test_the_usual_length_is_that_of_the_row_in_which_a_byte_is(
        self, lengths: list[int], want: int
    ) -> None:
        counted = RowSizes(
            rows=len(lengths),
            text_bytes=sum(lengths),
            squared=sum(n**2 for n in lengths),
            long_bytes=0,
            longest=max(lengths, default=0),
        )
        assert counted.usual_bytes == want


class TestReader:
    @pytest.mark.parametrize(
        ("counted", "want"),
        [
            pytest.param(None, Reader.VECTORS, id="not counted"),
            pytest.param(sizes(), Reader.VECTORS, id="short rows"),
            pytest.param(sizes(each=MANY), Reader.VECTORS, id="long ones that fit into vectors"),
            pytest.param(
                sizes(rows=MAX_LONG_BYTES // 10_000, each=10_000), Reader.VECTORS, id="a few longer"
            ),
            pytest.param(
                sizes(rows=MAX_LONG_BYTES // 10_000 + 1, each=10_000), Reader.BYTES, id="one more"
            ),
            pytest.param(sizes(rows=60, each=10 * MB), Reader.BYTES, id="huge values"),
        ],
    )
    def test_rows_are_read_by_their_bytes_where_vectors_of_them_are_too_large(
        self, counted: RowSizes | None, want: Reader
    ) -> None:
        assert layout(counted=counted).reader is want

    def test_then_one_connection_reads_one_thread_writes_and_the_server_sorts(self) -> None:
        got = layout(counted=sizes(rows=60, each=10 * MB), within=resources(threads=4))
        assert (got.connections, got.threads, got.sort_in) == (1, 1, SortIn.POSTGRES)
        assert got.spill_bytes == 0

    def test_nobody_sorts_them_if_nobody_wants_it(self) -> None:
        got = layout(counted=sizes(rows=60, each=10 * MB), order=Order.NONE)
        assert (got.reader, got.sort_in) == (Reader.BYTES, None)


SMALL = relation(size_bytes=int(300 * MB * IN_MEMORY_SHARE))
LARGE = relation(size_bytes=int(300 * MB * IN_MEMORY_SHARE) + 1)
# Too large for wide rows in memory.
LARGER = relation(size_bytes=int(300 * MB * WIDE_SORT_SHARE) + 1)
WIDE = [INTEGER] * (DUCKDB_SORT_ROW_BYTES // 4 + 1)


class TestWhoSorts:
    @pytest.mark.parametrize(
        ("arguments", "want", "why"),
        [
            pytest.param({"of": SMALL}, SortIn.DUCKDB, "all rows fit into memory", id="in memory"),
            pytest.param(
                {"of": SMALL, "forms": WIDE}, SortIn.DUCKDB, "fit into memory", id="wide ones, too"
            ),
            pytest.param(
                {"of": LARGE}, SortIn.DUCKDB, "within 300 MB of memory, and about 50.0 MB on disk",
                id="on disk",
            ),
            pytest.param(
                {"of": LARGE, "forms": WIDE[1:]}, SortIn.DUCKDB, "on disk", id="rows not too wide"
            ),
            pytest.param(
                {"of": LARGE, "forms": WIDE}, SortIn.DUCKDB, "on disk",
                id="wide rows of a table that memory holds twice",
            ),
            pytest.param(
                {"of": LARGER, "forms": WIDE}, SortIn.POSTGRES,
                "rows of about 604 bytes are too long for DuckDB's sort",
                id="rows too wide",
            ),
            pytest.param(
                {"of": LARGER, "counted": sizes(each=DUCKDB_SORT_ROW_BYTES)},
                SortIn.POSTGRES, "too long",
                id="rows too long",
            ),
            pytest.param(
                {"of": LARGE, "within": resources(duckdb_bytes=DUCKDB_SORT_MIN_BYTES - 1)},
                SortIn.POSTGRES, "the 150 MB of memory that are DuckDB's are too little",
                id="too little memory",
            ),
            pytest.param(
                {"of": relation(size_bytes=5_000 * MB)}, SortIn.POSTGRES, "", id="too large a table"
            ),
            pytest.param(
                {"of": SMALL, "within": frugal(resources())}, SortIn.POSTGRES,
                "memory ran out before", id="memory ran out",
            ),
            pytest.param(
                {"of": SMALL, "sort_in": SortIn.POSTGRES}, SortIn.POSTGRES, "as it was asked for",
                id="the user's choice",
            ),
            pytest.param(
                {"of": LARGE, "forms": WIDE, "sort_in": SortIn.DUCKDB}, SortIn.DUCKDB,
                "as it was asked for", id="whatever it costs",
            ),
            pytest.param(
                {"within": frugal(resources()), "sort_in": SortIn.DUCKDB}, SortIn.DUCKDB,
                "as it was asked for", id="also when memory ran out",
            ),
            pytest.param(
                {"counted": sizes(rows=60, each=10 * MB), "sort_in": SortIn.DUCKDB},
                SortIn.POSTGRES, "it need not carry the long values", id="but not for huge values",
            ),
        ],
    )  # fmt: skip
    def test_who_sorts_follows_from_memory_rows_and_choice(
        self, arguments: dict[str, Any], want: SortIn, why: str
    ) -> None:
        got = layout(**arguments)
        assert got.sort_in is want
        name = {SortIn.DUCKDB: "DuckDB", SortIn.POSTGRES: "PostgreSQL"}[want]
        [reason] = [reason for reason in got.reasons if reason.startswith("sort in ")]
        assert reason.startswith(f"sort in {name}: ")
        assert why in reason

    @pytest.mark.parametrize("sort_in", list(SortIn))
    def test_nobody_does_where_no_order_is_wanted(self, sort_in: SortIn) -> None:
        got = layout(order=Order.NONE, sort_in=sort_in)
        assert got.sort_in is None
        assert got.spill_bytes == 0
        assert not [reason for reason in got.reasons if reason.startswith("sort in ")]

    def test_the_first_column_alone_is_sorted_by_the_same(self) -> None:
        for arguments in ({"of": SMALL}, {"of": LARGE, "forms": WIDE}):
            assert layout(order=Order.FIRST, **arguments).sort_in is layout(**arguments).sort_in

    @pytest.mark.parametrize(
        ("arguments", "want"),
        [
            pytest.param({"of": SMALL}, 0, id="nothing, in memory"),
            pytest.param({"of": relation(size_bytes=700 * MB)}, 700 * MB, id="the table's size"),
            pytest.param(
                {"of": relation(size_bytes=MB, estimated_rows=10 * MB)}, 280 * MB,
                id="what its rows are by their types, where the server compresses them",
            ),
            pytest.param(
                {"of": relation(size_bytes=MB), "counted": sizes(rows=5 * MB, each=100)}, 140 * MB,
                id="their number as it was counted",
            ),
            pytest.param({"of": LARGE, "sort_in": SortIn.POSTGRES}, 0, id="nothing by the server"),
            pytest.param({"of": LARGE, "order": Order.NONE}, 0, id="nothing without a sort"),
            pytest.param(
                {"of": relation(size_bytes=10**10), "sort_in": SortIn.DUCKDB}, 10**10,
                id="much, if it is asked for",
            ),
        ],
    )  # fmt: skip
    def test_what_will_be_spilled_is_estimated(self, arguments: dict[str, Any], want: int) -> None:
        assert layout(**arguments).spill_bytes == want

    def test_frugal_is_one_thread_and_one_connection(self) -> None:
        got = frugal(resources(threads=4, connections=4, duckdb_bytes=7))
        assert got == Resources(duckdb_bytes=7, threads=1, connections=1, is_frugal=True)
        got_layout = layout(within=frugal(resources(threads=4)))
        assert (got_layout.threads, got_layout.connections) == (1, 1)


class TestConnections:
    @pytest.mark.parametrize(
        ("arguments", "want"),
        [
            pytest.param({}, 4, id="as many as there may be"),
            pytest.param({"of": relation(size_bytes=RANGE_MIN_BYTES)}, 2, id="as many as it pays"),
            pytest.param({"of": relation(size_bytes=RANGE_MIN_BYTES - 1)}, 1, id="a small table"),
            pytest.param({"of": relation(heap_bytes=())}, 1, id="an empty one"),
            pytest.param(
                {"of": relation(heap_bytes=(30 * MB,) * 3)}, 4, id="parts together are large"
            ),
            pytest.param({"sort_in": SortIn.POSTGRES}, 1, id="the server sorts"),
            pytest.param({"order": Order.NONE, "sort_in": SortIn.POSTGRES}, 4, id="nobody sorts"),
            pytest.param({"version": 130000}, 1, id="a server without TID range scans"),
            pytest.param({"of": relation(kind=RelationKind.VIEW)}, 1, id="a view"),
            pytest.param({"of": relation(kind=RelationKind.FOREIGN)}, 1, id="a foreign table"),
            pytest.param({"of": relation(has_foreign_part=True)}, 1, id="a foreign part"),
            pytest.param(
                {"of": relation(kind=RelationKind.PARTITIONED)}, 4, id="a partitioned one"
            ),
            pytest.param(
                {"of": relation(kind=RelationKind.MATERIALIZED_VIEW)}, 4, id="a materialized view"
            ),
        ],
    )
    def test_how_many_read(self, arguments: dict[str, Any], want: int) -> None:
        assert layout(**{"within": resources(connections=4)} | arguments).connections == want

    @pytest.mark.parametrize("most", [0, 1, 2, 9])
    def test_there_is_always_one_and_never_more_than_there_may_be(self, most: int) -> None:
        got = connections_for(relation(size_bytes=10**12), most, traits())
        assert got == max(1, most)


class TestWhatTheBytesDependOn:
    MACHINES = [
        (resources(duckdb_bytes=duckdb_bytes, threads=threads, connections=threads), memory)
        for duckdb_bytes, threads, memory in itertools.product(
            (60 * MB, 300 * MB, 10**10), (1, 2, 8), (None, MIN_MEMORY_BYTES, 10**11)
        )
    ] + [(frugal(resources()), None)]

    @pytest.mark.parametrize("forms", [[INTEGER], [INTEGER, TEXT], [TEXT] * 60, WIDE])
    @pytest.mark.parametrize(
        "counted",
        [None, sizes(), sizes(each=MANY), sizes(each=5_000), sizes(rows=60, each=10 * MB)],
        ids=["not counted", "short", "longer", "long", "huge"],
    )
    def test_neither_memory_nor_machine_nor_choices_decide_row_groups_and_reader(
        self, forms: list[ColumnForm], counted: RowSizes | None
    ) -> None:
        found = set()
        for (within, memory_bytes), sort_in in itertools.product(self.MACHINES, SortIn):
            got = layout(
                forms, within=within, counted=counted, memory_bytes=memory_bytes, sort_in=sort_in
            )
            found.add((got.row_group_rows, got.reader, got.max_text_bytes))
        assert len(found) == 1

    @pytest.mark.parametrize("forms", [[INTEGER, TEXT], [TEXT] * 60, [TEXT] * 400, [TEXT] * 1600])
    def test_nor_whether_rows_were_counted_of_which_none_is_long(
        self, forms: list[ColumnForm]
    ) -> None:
        without = layout(forms)
        assert without.max_text_bytes is not None
        for each in (0, 1, without.max_text_bytes):
            got = layout(forms, counted=sizes(rows=100_000, each=each))
            assert got.row_group_rows == without.row_group_rows
            assert got.reader is without.reader
        longer = layout(forms, counted=sizes(rows=100_000, each=without.max_text_bytes + 1))
        assert longer.row_group_rows < without.row_group_rows or longer.row_group_rows == VECTOR

    def test_nor_the_size_of_the_table_on_disk_and_its_parts(self) -> None:
        found = {
            (got.row_group_rows, got.reader)
            for values in (
                {"size_bytes": 0},
                {"size_bytes": 10**12},
                {"toast_bytes": 10**10},
                {"toast_bytes": None},
                {"estimated_rows": None},
                {"estimated_rows": 10**9},
                {"heap_bytes": (1, 1, 1)},
                {"kind": RelationKind.VIEW},
            )
            for got in [layout(of=relation(**values))]
        }
        assert len(found) == 1


def heap_of(*pages: int) -> Relation:
    """A relation whose parts have so many pages, the largest first."""
    return relation(heap_bytes=tuple(n * BLOCK_BYTES for n in sorted(pages, reverse=True)))


def bounds(ranges: Sequence[str]) -> list[tuple[int, int | None]]:
    """The first page of each range and the one after its last; None if it is open."""
    found = []
    for condition in ranges:
        low, _, high = condition.partition(" AND ")
        assert low.startswith("r.ctid >= '(")
        assert low.endswith(",0)'")
        end = None
        if high:
            assert high.startswith("r.ctid < '(")
            assert high.endswith(",0)'")
            end = int(high[len("r.ctid < '(") : -len(",0)'")])
        found.append((int(low[len("r.ctid >= '(") : -len(",0)'")]), end))
    return found


class TestRanges:
    PARTS = (
        pytest.param((1000,), id="one part"),
        pytest.param((1000, 1000), id="two as large"),
        pytest.param((1000, 10), id="a large and a small one"),
        pytest.param((900, 500, 100, 1, 0), id="several of unlike sizes"),
        pytest.param((7,), id="a few pages"),
        pytest.param((1,) * 50, id="many of one page"),
        pytest.param((1000, *[3] * 400), id="one large and many small"),
        pytest.param((0,), id="an empty one"),
        pytest.param((), id="nothing"),
    )

    @pytest.mark.parametrize("pages", PARTS)
    @pytest.mark.parametrize("connections", [2, 3, 4, 7])
    def test_they_take_every_page_once_and_the_last_one_whatever_comes(
        self, pages: tuple[int, ...], connections: int
    ) -> None:
        got = bounds(ranges_of(heap_of(*pages), connections, BLOCK_BYTES, "r.ctid"))
        assert len(got) == connections
        assert got[0][0] == 0
        assert got[-1][1] is None
        assert all(before[1] == after[0] for before, after in itertools.pairwise(got))
        assert all(high is None or low <= high for low, high in got)

    @pytest.mark.parametrize("pages", PARTS)
    @pytest.mark.parametrize("connections", [2, 3, 4, 7])
    def test_they_divide_all_parts_together_evenly(
        self, pages: tuple[int, ...], connections: int
    ) -> None:
        """But for the pages of all parts that have the same number."""
        got = bounds(ranges_of(heap_of(*pages), connections, BLOCK_BYTES, "r.ctid"))
        read = [
            sum(max(0, min(n if high is None else high, n) - low) for n in pages)
            for low, high in got
        ]
        assert sum(read) == sum(pages)
        if len(pages) == 1:
            assert max(read) - min(read) <= 1
        assert max(read) <= sum(pages) / connections + len(pages)

    def test_one_connection_reads_without_a_condition(self) -> None:
        for connections in (0, 1):
            assert ranges_of(heap_of(1000), connections, BLOCK_BYTES, "r.ctid") == ("",)

    def test_the_page_has_the_size_that_the_server_has(self) -> None:
        got = ranges_of(relation(heap_bytes=(32768 * 10,)), 2, 32768, "r.ctid")
        assert got == ("r.ctid >= '(0,0)' AND r.ctid < '(5,0)'", "r.ctid >= '(5,0)'")
