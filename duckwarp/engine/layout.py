"""How a copy is laid out: who sorts, over how many connections, in row groups of what size. Pure.

Row groups, and whether rows are read in vectors or by their bytes, follow from the schema and the
data alone, because the bytes of the file depend on them. Who sorts, and over how many connections,
follows from the memory and the machine as well, because the bytes do not depend on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from duckwarp.engine.column_form import ColumnForm
from duckwarp.model.pg_type import ServerTraits
from duckwarp.model.relation import Relation, RelationKind
from duckwarp.model.settings import Order, Settings, SortIn
from duckwarp.model.sizes import size_text

# DuckDB's own default, and the largest: readers expect row groups of about this size.
MAX_ROW_GROUP_ROWS = 122_880
VECTOR_ROWS = 2_048  # a row group is made of whole vectors
# A row group's rows in memory. Several are under way at once, which has to fit into the smallest
# budget; `python -m benchmarks --only memory` measures it.
ROW_GROUP_BYTES = 25_000_000
# Rows with so much text that a row group would be larger than this are counted beforehand.
MAX_ROW_GROUP_BYTES = 40_000_000
# Rows this long take 8 MB as a vector. If all that are longer add up to more than
# `MAX_LONG_BYTES`, vectors might be full of them, and rows are read by their bytes.
LONG_ROW_BYTES = 4_096
MAX_LONG_BYTES = 32_000_000
# What is read by its bytes comes in batches of so many, and makes row groups of so many: a batch is
# held by Python, Arrow and DuckDB at once.
BATCH_BYTES = 4_000_000
STREAM_ROW_GROUP_BYTES = 8_000_000
# What DuckDB needs for rows that are read by their bytes: so much, and so many times the longest,
# and to write what others have sorted at all. What Arrow takes beside it.
BYTES_READER_BYTES = 40_000_000
LONGEST_FACTOR = 4
WRITER_BYTES = 60_000_000
ARROW_BYTES = 60_000_000
# The dictionaries of texts of a row group, and that of one column. The writer reserves them for
# every row group: 1,600 columns of text would take 1.6 GB at DuckDB's own 1 MB.
DICTIONARIES_BYTES = 16_000_000
MAX_DICTIONARY_BYTES = 1_048_576
MIN_DICTIONARY_BYTES = 16_384
# Rows that DuckDB sorts outside of memory: at 600 bytes a row it does in a limit of 300 MB, at
# 1,200 it fails (findings: wide rows).
DUCKDB_SORT_ROW_BYTES = 600
# A table of wider rows, at most this share of DuckDB's limit, is sorted by it all the same: DuckDB
# holds its rows, and what it sorts them by, in memory.
WIDE_SORT_SHARE = 0.4
# The least that DuckDB sorts T in; with 100 MB it fails.
DUCKDB_SORT_MIN_BYTES = 150_000_000
# How many times DuckDB's limit a table may have to be sorted by it: merging 20 million rows at a
# twentieth of their size takes longer than PostgreSQL's sort.
SPILL_FACTOR = 8
# A table of at most this share of DuckDB's limit is sorted in memory, whatever its rows.
IN_MEMORY_SHARE = 1 / 6
# What a sort writes to disk, per byte of the table on the server's disk: 0.8 for T.
SPILL_SHARE = 1.0

# TID range scans came with 14: without them every range would read the whole table.
RANGES_SINCE = 140000
# A table of this size is worth two connections, each half of it more another one.
RANGE_MIN_BYTES = 32 * 1024 * 1024
WITH_CTID = frozenset(
    {RelationKind.TABLE, RelationKind.PARTITIONED, RelationKind.MATERIALIZED_VIEW}
)


class Reader(StrEnum):
    """How rows come from the server: in vectors of 2,048, or in batches of so many bytes."""

    VECTORS = "vectors"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the copy of one source may use.

    `duckdb_bytes` is DuckDB's limit of memory, `connections` how many may read at once.
    `is_frugal` says that memory has run out before.
    """

    duckdb_bytes: int
    threads: int
    connections: int
    is_frugal: bool = False


def frugal(resources: Resources) -> Resources:
    """As little as a copy can do with: for a source that has run out of memory."""
    return replace(resources, threads=1, connections=1, is_frugal=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSizes:
    """What was counted of the lengths of rows, of the columns of variable length together.

    In bytes: `text_bytes` of all rows, `squared` the sum of their squares, `long_bytes` of the
    rows that are longer than `long_row_bytes` says, `longest` of the longest row.
    """

    rows: int
    text_bytes: int
    squared: int
    long_bytes: int
    longest: int

    @property
    def usual_bytes(self) -> int:
        """The length of the row in which a byte is found on average: long rows weigh more."""
        return self.squared // self.text_bytes if self.text_bytes else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a source is copied.

    `sort_in` is None where nothing is sorted. `max_text_bytes` is the length of text in a row that
    stops the copy, because row groups were made for less; None where lengths were counted.
    `spill_bytes` is an estimate of what the sort will write to disk, 0 where it stays in memory.
    `longest_bytes` is the longest row where rows are read by their bytes, else 0. `duckdb_bytes` is
    DuckDB's limit of memory. `reasons` are the decisions in words.
    """

    reader: Reader
    sort_in: SortIn | None
    threads: int
    connections: int
    row_group_rows: int
    max_text_bytes: int | None
    spill_bytes: int
    longest_bytes: int
    duckdb_bytes: int
    reasons: tuple[str, ...]


def layout_of(
    relation: Relation,
    forms: Sequence[ColumnForm],
    settings: Settings,
    resources: Resources,
    traits: ServerTraits,
    sizes: RowSizes | None,
) -> Layout:
    """The layout for a source; `sizes` is None where lengths were not counted."""
    most_text = max_text_bytes(forms)
    is_guarded = sizes is None and any(form.type.is_variable for form in forms)
    # What was counted in vain must not show: elsewhere it may not have been counted.
    counted = sizes if sizes is not None and sizes.longest > most_text else None
    row_bytes = _row_bytes(forms, counted)
    reader = Reader.BYTES if counted and counted.long_bytes > MAX_LONG_BYTES else Reader.VECTORS
    table_bytes = _table_bytes(relation, row_bytes, sizes)
    sort_in, why = _sorter(settings, resources, reader, row_bytes, table_bytes)
    connections = 1
    if reader is Reader.VECTORS and sort_in is not SortIn.POSTGRES:
        connections = connections_for(relation, resources.connections, traits)
    spills = sort_in is SortIn.DUCKDB and table_bytes > resources.duckdb_bytes * IN_MEMORY_SHARE
    rows = row_group_rows(row_bytes)
    longest_bytes = counted.longest if counted and reader is Reader.BYTES else 0
    return Layout(
        reader=reader,
        sort_in=sort_in,
        # A row group is closed by its bytes only where a single thread writes.
        threads=1 if reader is Reader.BYTES else resources.threads,
        connections=connections,
        row_group_rows=rows,
        max_text_bytes=most_text if is_guarded else None,
        spill_bytes=int(table_bytes * SPILL_SHARE) if spills else 0,
        longest_bytes=longest_bytes,
        duckdb_bytes=_beside_arrow(resources.duckdb_bytes, longest_bytes),
        reasons=(
            _reading(reader, connections, sizes),
            *([why] if why else []),
            _grouping(reader, rows, row_bytes, counted, most_text if is_guarded else None),
        ),
    )


def _beside_arrow(duckdb_bytes: int, longest_bytes: int) -> int:
    """DuckDB's limit where rows are read by their bytes: Arrow has a part of the budget then."""
    if not longest_bytes:
        return duckdb_bytes
    needed_bytes = BYTES_READER_BYTES + longest_bytes * LONGEST_FACTOR
    return min(duckdb_bytes, max(needed_bytes, duckdb_bytes - ARROW_BYTES, WRITER_BYTES))


def max_text_bytes(forms: Sequence[ColumnForm]) -> int:
    """The most text that a row may have without its row group growing too large.

    For row groups that were made by the types, of all columns of variable length together.
    """
    rows = row_group_rows(_row_bytes(forms, None))
    fixed = sum(form.width_bytes for form in forms if not form.type.is_variable)
    usual = sum(form.width_bytes for form in forms if form.type.is_variable)
    return max(MAX_ROW_GROUP_BYTES // rows - fixed, usual)


def long_row_bytes(forms: Sequence[ColumnForm]) -> int:
    """The text of a row that is long: more than others may have, and than a vector should hold."""
    return max(LONG_ROW_BYTES, max_text_bytes(forms))


def _row_bytes(forms: Sequence[ColumnForm], sizes: RowSizes | None) -> int:
    """The length of a usual row: counted, or as the types have it."""
    if sizes is None:
        return sum(form.width_bytes for form in forms)
    return sizes.usual_bytes + sum(form.width_bytes for form in forms if not form.type.is_variable)


def _table_bytes(relation: Relation, row_bytes: int, sizes: RowSizes | None) -> int:
    """An estimate of all rows: counted, or what the table takes on the server's disk."""
    if sizes is not None:
        return max(sizes.rows * row_bytes, relation.size_bytes)
    return max(relation.size_bytes, (relation.estimated_rows or 0) * row_bytes)


def row_group_rows(row_bytes: int) -> int:
    """Rows of a row group for rows of this usual length: whole vectors, at most 122,880."""
    rows = ROW_GROUP_BYTES // max(row_bytes, 1)
    return max(VECTOR_ROWS, min(MAX_ROW_GROUP_ROWS, rows // VECTOR_ROWS * VECTOR_ROWS))


def dictionary_bytes(texts: int) -> int:
    """The largest dictionary of a column of text: a share of what all may have."""
    return max(MIN_DICTIONARY_BYTES, min(MAX_DICTIONARY_BYTES, DICTIONARIES_BYTES // texts))


def _sorter(
    settings: Settings, resources: Resources, reader: Reader, row_bytes: int, table_bytes: int
) -> tuple[SortIn | None, str]:
    """Who sorts, and why: the first that applies."""
    limit_bytes, asked = resources.duckdb_bytes, settings.sort_in
    limit, spilled = size_text(limit_bytes), size_text(int(table_bytes * SPILL_SHARE))
    in_memory = table_bytes <= limit_bytes * IN_MEMORY_SHARE
    decisions: tuple[tuple[bool, SortIn | None, str], ...] = (
        (settings.order is Order.NONE, None, ""),
        (reader is Reader.BYTES, SortIn.POSTGRES, "it need not carry the long values"),
        (asked is not SortIn.AUTO, asked, "as it was asked for"),
        (resources.is_frugal, SortIn.POSTGRES, "memory ran out before"),
        (in_memory, SortIn.DUCKDB, "all rows fit into memory"),
        (
            limit_bytes < DUCKDB_SORT_MIN_BYTES,
            SortIn.POSTGRES,
            f"the {limit} of memory that are DuckDB's are too little",
        ),
        (
            row_bytes > DUCKDB_SORT_ROW_BYTES and table_bytes > limit_bytes * WIDE_SORT_SHARE,
            SortIn.POSTGRES,
            f"rows of about {row_bytes:,} bytes are too long for DuckDB's sort",
        ),
        (
            table_bytes > limit_bytes * SPILL_FACTOR,
            SortIn.POSTGRES,
            f"about {size_text(table_bytes)} are too much for {limit} of memory",
        ),
        (True, SortIn.DUCKDB, f"within {limit} of memory, and about {spilled} on disk"),
    )
    who, why = next((who, why) for applies, who, why in decisions if applies)
    return who, "" if who is None else f"sort in {_NAMES[who]}: {why}"


_NAMES = {SortIn.DUCKDB: "DuckDB", SortIn.POSTGRES: "PostgreSQL"}


def connections_for(relation: Relation, most: int, traits: ServerTraits) -> int:
    """Over how many connections a relation is read at most, of the `most` that there may be."""
    divisible = (
        relation.kind in WITH_CTID
        and traits.version >= RANGES_SINCE
        and not relation.has_foreign_part
    )
    if not divisible:
        return 1
    return max(1, min(most, sum(relation.heap_bytes) // (RANGE_MIN_BYTES // 2)))


def _reading(reader: Reader, connections: int, sizes: RowSizes | None) -> str:
    if reader is Reader.BYTES and sizes is not None:
        longest = size_text(sizes.longest)
        return f"over 1 connection, in batches of bytes: the longest row has {longest}"
    if connections == 1:
        return "over 1 connection"
    return f"over {connections} connections, each a range of pages"


def _grouping(
    reader: Reader, rows: int, row_bytes: int, counted: RowSizes | None, most_text: int | None
) -> str:
    if reader is Reader.BYTES:
        return f"row groups of about {size_text(STREAM_ROW_GROUP_BYTES)}"
    known = "by their types" if counted is None else "counted"
    if most_text is not None:
        known += f"; counted if a row has more than {most_text:,} bytes of text"
    return f"row groups of {rows:,} rows, of about {row_bytes:,} bytes each ({known})"


def ranges_of(relation: Relation, connections: int, block_bytes: int, ctid: str) -> tuple[str, ...]:
    """Conditions on `ctid` that divide the rows among connections, or a single empty one.

    They are ranges of pages, the same for all parts of the relation, with as many pages of all
    parts together in each. The last one is open: a table may have grown since its size was asked
    for.
    """
    if connections < 2:
        return ("",)
    pages = [size // block_bytes for size in relation.heap_bytes]
    total = sum(pages)
    bounds = [0, *(_bound(pages, total * n // connections) for n in range(1, connections))]
    highs = [*bounds[1:], None]
    return tuple(
        f"{ctid} >= '({low},0)'" + ("" if high is None else f" AND {ctid} < '({high},0)'")
        for low, high in zip(bounds, highs, strict=True)
    )


def _bound(pages: Sequence[int], wanted: int) -> int:
    """The page before which all parts together have `wanted` pages."""
    # Parts are largest first: while `count` of them reach so far, each page adds `count`.
    below, start = 0, 0
    for count, end in zip(range(len(pages), 0, -1), reversed(pages), strict=True):
        reached = below + (end - start) * count
        if reached >= wanted:
            return start + -(-(wanted - below) // count)
        below, start = reached, end
    return start
