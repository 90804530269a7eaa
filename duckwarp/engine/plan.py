"""`ExportPlan`: all that the engine needs to copy one source, as plain data. Pure, without I/O.

What is selected and in what order, in how many ranges, sorted where, in row groups of what size.
The same plan can be run, pickled or shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from duckwarp.engine.column_form import ColumnForm
from duckwarp.engine.layout import Layout, Reader, ranges_of
from duckwarp.engine.measure import RELATION_ALIAS
from duckwarp.model.parquet_type import ParquetType
from duckwarp.model.pg_type import ServerTraits
from duckwarp.model.results import Loss
from duckwarp.model.settings import Compression, Order, Settings
from duckwarp.model.source import Source

# Server encodings in which text in the order of its bytes is in the order of its code points, and
# so in that of UTF-8; SQL_ASCII is passed on only where it is UTF-8.
_ORDERED_ENCODINGS = frozenset({"UTF8", "SQL_ASCII", "LATIN1"})
# The types whose text names objects, qualified or not as the search path has it.
_NAMING_TYPES = frozenset(
    {"regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper"}
    | {"regoperator", "regproc", "regprocedure", "regrole", "regtype"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedColumn:
    """A column under its own name, and how it is written.

    While DuckDB sorts, codes stand for the texts `codes`, in the order of their bytes, and numbers
    are of the type `narrowed`. A number that seems to be `never_zero` is read unguarded, and the
    file is looked at for zeros.
    """

    name: str
    form: ColumnForm
    codes: tuple[str, ...] = ()
    narrowed: ParquetType | None = None
    never_zero: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """How one source becomes one Parquet file.

    `ranges` are conditions on the rows, one for each connection, that together take every row
    once. `transcoded` says that the server's text is not in the order of UTF-8. `expected_rows` is
    the planner's estimate, None where it has none. `hides_rows` says that
    row-level security leaves rows out, as the user accepts. `renamed` has the columns that the file
    calls otherwise, with both names. `footer_keys` are the keys of the file's footer, each with its
    text. `is_locked_out` says that further sessions cannot have a lock on the relation.
    """

    code: str
    schema: str
    table: str
    columns: tuple[PlannedColumn, ...]
    layout: Layout
    ranges: tuple[str, ...]
    order: Order
    compression: Compression
    transcoded: bool = False
    expected_rows: int | None
    empty_search_path: bool = False
    hides_rows: bool = False
    renamed: tuple[tuple[str, str], ...] = ()
    footer_keys: tuple[tuple[str, str], ...] = ()
    is_locked_out: bool = False

    @property
    def reads_over_snapshot(self) -> bool:
        """Whether the session that holds the snapshot is itself the one that reads."""
        return self.layout.reader is Reader.BYTES or self.is_locked_out

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What the file will not keep, column by column."""
        return tuple(loss for column in self.columns for loss in column.form.losses)

    @property
    def narrows(self) -> bool:
        """Whether numbers are sorted in shorter types than their own."""
        return any(column.narrowed is not None for column in self.columns)


def build_plan(  # noqa: PLR0913  # what a plan is made of
    source: Source,
    columns: Sequence[PlannedColumn],
    layout: Layout,
    settings: Settings,
    traits: ServerTraits,
    *,
    names_objects: bool,
    geo: str | None = None,
) -> ExportPlan:
    """The plan for a source whose columns' forms and whose layout are known.

    `geo` is the JSON of the file's GeoParquet key, if it has geometries.
    """
    assert source.relation is not None
    ctid = f"{RELATION_ALIAS}.ctid"
    return ExportPlan(
        code=source.code,
        schema=source.schema,
        table=source.table,
        columns=tuple(columns),
        layout=layout,
        ranges=ranges_of(source.relation, layout.connections, traits.block_bytes, ctid),
        order=settings.order,
        compression=settings.compression,
        transcoded=traits.encoding not in _ORDERED_ENCODINGS,
        expected_rows=source.relation.estimated_rows,
        empty_search_path=names_objects,
        footer_keys=() if geo is None else (("geo", geo),),
    )


def names_objects(reaches: frozenset[str]) -> bool:
    """Whether a type's text depends on the search path."""
    return bool(reaches & _NAMING_TYPES)


def in_one_range(plan: ExportPlan) -> ExportPlan:
    """The same plan over a single connection."""
    return replace(plan, ranges=("",))


def explain(plan: ExportPlan) -> list[str]:
    """The plan in words, a line for each decision."""
    reading, *deciding = plan.layout.reasons
    lines = [
        f"read {plan.schema}.{plan.table} in one snapshot {reading}",
        _ordering(plan),
        *deciding,
        *_coding(plan),
        f"write {plan.code}.parquet ({plan.compression.value})",
    ]
    others = [c for c in plan.columns if not c.form.obvious]
    lines += [f'column "{c.name}" as {c.form.type}' for c in others]
    lines += [str(loss) for loss in plan.losses]
    return lines


def _coding(plan: ExportPlan) -> list[str]:
    """What is read and sorted otherwise than it stands in the table."""
    coded = [f'"{column.name}"' for column in plan.columns if column.codes]
    narrowed = [f'"{c.name}" as {c.narrowed}' for c in plan.columns if c.narrowed is not None]
    unguarded = [f'"{column.name}"' for column in plan.columns if column.never_zero]
    lines = [f"sort codes for the frequent texts of {', '.join(coded)}"] if coded else []
    lines += [f"sort {', '.join(narrowed)}"] if narrowed else []
    lines += [f"look for NaN in {', '.join(unguarded)} only if there is a 0"] if unguarded else []
    return lines


def _ordering(plan: ExportPlan) -> str:
    first = plan.columns[0].name
    return {
        Order.ALL: f'order by all columns, "{first}" first, ascending, NULLs last',
        Order.FIRST: f'order by "{first}" alone, ascending, NULLs last: ties are left open, and '
        "the bytes of the file depend on the run",
        Order.NONE: "no order: the bytes of the file depend on the run",
    }[plan.order]
