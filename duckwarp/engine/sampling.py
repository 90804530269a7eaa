"""A look at some pages of a large table: what can be read and sorted in the place of its values.

What is seen decides about the time that a copy takes, and about nothing in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from duckwarp.engine.codes import SampledText, coded_texts, may_have_codes, sampling_query
from duckwarp.engine.column_form import ColumnForm
from duckwarp.engine.layout import RANGES_SINCE, WITH_CTID
from duckwarp.engine.magnitudes import (
    Sizes,
    is_looked_at,
    never_zero,
    shorten_type,
    sizes_from,
    sizes_query,
)
from duckwarp.engine.measure import RELATION_ALIAS
from duckwarp.engine.plan import ExportPlan, PlannedColumn
from duckwarp.files.quoting import identifier
from duckwarp.model.errors import SourceError
from duckwarp.model.pg_type import ServerTraits
from duckwarp.model.relation import Relation
from duckwarp.model.settings import Order, SortIn
from duckwarp.model.source import Source
from duckwarp.postgres.access import fetch_rows, fetch_values
from duckwarp.postgres.questions import in_snapshot

if TYPE_CHECKING:
    import psycopg

# A table of this size is worth a look at so many of its pages: at T, a fiftieth of a second saves
# half a second and more (`python -m benchmarks --only t`).
SAMPLED_MIN_BYTES = 32 * 1024 * 1024
SAMPLED_PAGES = 128


def looked_at(
    connection: psycopg.Connection[Any],
    source: Source,
    plan: ExportPlan,
    traits: ServerTraits,
    *,
    narrow: bool,
) -> ExportPlan:
    """The plan, with what takes the place of values where DuckDB sorts a large table.

    Numbers are not sorted in shorter types without `narrow`. A look that the server refuses changes
    nothing: the copy meets the same, and tells it as it does. Raises `SourceError` where the
    snapshot is lost with it.
    """
    relation = source.relation
    assert relation is not None
    if not _is_sampled(relation, plan, traits):
        return plan
    numbered = dict(enumerate(plan.columns, start=1))
    # Bytes that are no text cannot be told apart from text here.
    in_text = traits.encoding != "SQL_ASCII"
    texts = {n: c.form for n, c in numbered.items() if in_text and may_have_codes(c.form)}
    numbers = {n: c for n, c in numbered.items() if is_looked_at(c.form)}
    sample = sample_of(source, traits)
    try:
        codes = _codes(connection, source, texts, sample)
        sizes = _sizes(connection, source, numbers, sample)
    except SourceError:
        if in_snapshot(connection):
            return plan
        raise
    columns = dict(numbered)
    for n, texts_with_codes in codes.items():
        columns[n] = replace(columns[n], codes=texts_with_codes)
    for n, column in numbers.items():
        shorter = shorten_type(column.form.type, sizes[n].largest) if narrow else None
        unguarded = never_zero(column.form, sizes[n])
        columns[n] = replace(columns[n], narrowed=shorter, never_zero=unguarded)
    return replace(plan, columns=tuple(columns.values()))


def _is_sampled(relation: Relation, plan: ExportPlan, traits: ServerTraits) -> bool:
    return (
        plan.layout.sort_in is SortIn.DUCKDB
        and plan.order is Order.ALL
        and is_worth_a_sample(relation, traits)
    )


def is_worth_a_sample(relation: Relation, traits: ServerTraits) -> bool:
    """Whether a relation is large, and has pages of which some can be read alone."""
    return (
        sum(relation.heap_bytes) >= SAMPLED_MIN_BYTES
        and relation.kind in WITH_CTID
        and not relation.has_foreign_part
        and traits.version >= RANGES_SINCE
    )


def sample_of(source: Source, traits: ServerTraits) -> str:
    """What stands behind FROM to look at some of the pages of a relation."""
    assert source.relation is not None
    pages = sum(source.relation.heap_bytes) // traits.block_bytes
    percent = min(100.0, 100.0 * SAMPLED_PAGES / max(pages, 1))
    name = f"{identifier(source.schema)}.{identifier(source.table)}"
    return f"{name} AS {RELATION_ALIAS} TABLESAMPLE SYSTEM ({percent:.6f}) REPEATABLE (0)"


def _codes(
    connection: psycopg.Connection[Any],
    source: Source,
    texts: Mapping[int, ColumnForm],
    sample: str,
) -> dict[int, tuple[str, ...]]:
    if not texts:
        return {}
    rows = fetch_rows(connection, source, sampling_query(texts, sample))
    return coded_texts(
        [
            SampledText(position, None if text is None else text.decode(), count, several)
            for position, text, count, several in rows
        ]
    )


def _sizes(
    connection: psycopg.Connection[Any],
    source: Source,
    numbers: Mapping[int, PlannedColumn],
    sample: str,
) -> dict[int, Sizes]:
    if not numbers:
        return {}
    query = sizes_query([*numbers.values()], source.schema, source.table, sample)
    values = fetch_values(connection, source, query)
    return dict(zip(numbers, sizes_from(values), strict=True))
