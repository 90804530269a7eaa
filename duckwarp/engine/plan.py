"""`ExportPlan`: all that the engine needs to copy one source, as plain data. Pure, without I/O.

What is selected and in what order, in how many ranges, in row groups of what size. The same plan
can be run, pickled or shown.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from duckwarp.engine.measure import RELATION_ALIAS
from duckwarp.engine.quoting import identifier, literal
from duckwarp.engine.types import Form
from duckwarp.results import Loss
from duckwarp.settings import Compression, Settings
from duckwarp.source.pgtypes import ServerTraits
from duckwarp.source.registry import Source
from duckwarp.source.relations import Relation, RelationKind

# DuckDB's own default, and the largest: readers expect row groups of about this size.
MAX_ROW_GROUP_ROWS = 122_880
VECTOR_ROWS = 2_048  # a row group is made of whole vectors
# Buffers of a row group are held for every thread; wide rows get fewer of them. A function of the
# schema alone, so that the same data give the same file.
ROW_GROUP_BYTES = 64 * 1024 * 1024

# TID range scans came with 14: without them every range would read the whole table.
RANGES_SINCE = 140000
# Below this a second connection costs more than it saves.
RANGE_MIN_BYTES = 32 * 1024 * 1024
WITH_CTID = frozenset(
    {RelationKind.TABLE, RelationKind.PARTITIONED, RelationKind.MATERIALIZED_VIEW}
)
# The types whose text names objects, qualified or not as the search path has it.
_NAMING_TYPES = frozenset(
    {"regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper"}
    | {"regoperator", "regproc", "regprocedure", "regrole", "regtype"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedColumn:
    """A column under its own name, and how it is written."""

    name: str
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """How one source becomes one Parquet file.

    `ranges` are conditions on the rows, one for each connection, that together take every row
    once. `expected_rows` is the planner's estimate, None where it has none. `hides_rows` says that
    row-level security leaves rows out, as the user accepts. `footer_keys` are the keys of the
    file's footer, each with its text.
    """

    code: str
    schema: str
    table: str
    columns: tuple[PlannedColumn, ...]
    ranges: tuple[str, ...]
    row_group_rows: int
    compression: Compression
    expected_rows: int | None
    empty_search_path: bool = False
    hides_rows: bool = False
    footer_keys: tuple[tuple[str, str], ...] = ()

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What the file will not keep, column by column."""
        return tuple(loss for column in self.columns for loss in column.form.losses)

    @property
    def renamed(self) -> bool:
        """Whether names differ in case only: DuckDB has such columns under other names."""
        return len({column.name.lower() for column in self.columns}) < len(self.columns)


def build_plan(
    source: Source,
    columns: Sequence[PlannedColumn],
    settings: Settings,
    traits: ServerTraits,
    *,
    names_objects: bool,
    geo: str | None = None,
) -> ExportPlan:
    """The plan for a source whose columns' forms are known.

    `geo` is the JSON of the file's GeoParquet key, if it has geometries.
    """
    assert source.relation is not None
    return ExportPlan(
        code=source.code,
        schema=source.schema,
        table=source.table,
        columns=tuple(columns),
        ranges=ranges_of(source.relation, settings.connections, traits),
        row_group_rows=row_group_rows([column.form.width_bytes for column in columns]),
        compression=settings.compression,
        expected_rows=source.relation.estimated_rows,
        empty_search_path=names_objects,
        footer_keys=() if geo is None else (("geo", geo),),
    )


def names_objects(reaches: frozenset[str]) -> bool:
    """Whether a type's text depends on the search path."""
    return bool(reaches & _NAMING_TYPES)


def row_group_rows(widths_bytes: Sequence[int]) -> int:
    """Rows of a row group for columns of these usual widths: whole vectors, at most 122,880."""
    rows = ROW_GROUP_BYTES // max(sum(widths_bytes), 1)
    return max(VECTOR_ROWS, min(MAX_ROW_GROUP_ROWS, rows // VECTOR_ROWS * VECTOR_ROWS))


def ranges_of(relation: Relation, connections: int, traits: ServerTraits) -> tuple[str, ...]:
    """Conditions that divide the rows among connections, or a single empty one.

    They are ranges of pages, the last one open: a table may have grown since its size was asked
    for, and parts of it may be longer than others.
    """
    divisible = (
        relation.kind in WITH_CTID
        and traits.version >= RANGES_SINCE
        and relation.size_bytes >= RANGE_MIN_BYTES
        and not relation.has_foreign_part
    )
    if not divisible or connections < 2:
        return ("",)
    pages = relation.largest_heap_bytes // traits.block_bytes
    bounds = [pages * part // connections for part in range(connections)] + [None]
    ctid = f"{RELATION_ALIAS}.ctid"
    return tuple(
        f"{ctid} >= '({low},0)'" + ("" if high is None else f" AND {ctid} < '({high},0)'")
        for low, high in itertools.pairwise(bounds)
    )


def in_one_range(plan: ExportPlan) -> ExportPlan:
    """The same plan over a single connection."""
    return replace(plan, ranges=("",))


def server_query(plan: ExportPlan, condition: str, limit: int | None = None) -> str:
    """What PostgreSQL is asked for one range; columns are named c1, c2, … whatever their names."""
    selected = ", ".join(
        f"{column.form.select} AS c{number}" for number, column in enumerate(plan.columns, start=1)
    )
    relation = f"{identifier(plan.schema)}.{identifier(plan.table)} AS {RELATION_ALIAS}"
    where = f" WHERE {condition}" if condition else ""
    return f"SELECT {selected} FROM {relation}{where}" + (
        "" if limit is None else f" LIMIT {limit}"
    )


def copy_statement(plan: ExportPlan, attachments: Sequence[str], path: str) -> str:
    """DuckDB's COPY of the whole plan: one attachment for each range, all streaming at once."""
    streams = " UNION ALL ".join(
        f"SELECT * FROM postgres_query({literal(name)}, {literal(server_query(plan, condition))})"
        for name, condition in zip(attachments, plan.ranges, strict=True)
    )
    numbered = list(enumerate(plan.columns, start=1))
    values = ", ".join(f"{c.form.value.replace('{d}', f'c{n}')} AS c{n}" for n, c in numbered)
    # Names that DuckDB would change are put in place after the copy; see footer.py.
    named = ", ".join(
        f"t.c{n} AS {identifier(f'c{n}' if plan.renamed else c.name)}" for n, c in numbered
    )
    keys = ", ".join(
        key.replace("{d}", f"t.c{n}") for n, c in numbered for key in c.form.order or ("{d}",)
    )
    return (
        f"COPY (SELECT {named} FROM (SELECT {values} FROM ({streams})) AS t ORDER BY {keys}) "
        f"TO {literal(path)} ({', '.join(_options(plan))})"
    )


def _options(plan: ExportPlan) -> list[str]:
    codec = "uncompressed" if plan.compression is Compression.NONE else plan.compression.value
    options = ["FORMAT parquet", f"COMPRESSION {codec}", f"ROW_GROUP_SIZE {plan.row_group_rows}"]
    if any(column.form.signed_zeros for column in plan.columns):
        options.append("DICTIONARY_SIZE_LIMIT 0")
    if plan.footer_keys:
        keys = ", ".join(f"{literal(key)}: {literal(text)}" for key, text in plan.footer_keys)
        options.append(f"KV_METADATA {{{keys}}}")
    return options


def explain(plan: ExportPlan) -> list[str]:
    """The plan in words, a line for each decision."""
    streams = len(plan.ranges)
    first = plan.columns[0].name
    lines = [
        f"read {plan.schema}.{plan.table} in one snapshot over {streams} "
        + ("connection" if streams == 1 else f"connections, {streams} ranges of pages"),
        f'order by all columns, "{first}" first, ascending, NULLs last',
        f"write {plan.code}.parquet ({plan.compression.value}) in row groups of "
        f"{plan.row_group_rows:,} rows",
    ]
    others = [c for c in plan.columns if not c.form.obvious]
    lines += [f'column "{c.name}" as {c.form.shown_type}' for c in others]
    lines += [str(loss) for loss in plan.losses]
    return lines
