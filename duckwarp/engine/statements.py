"""The SQL of a plan: what PostgreSQL is asked for, and what DuckDB makes of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from duckwarp.engine import codes
from duckwarp.engine.column_form import ColumnForm, Raw
from duckwarp.engine.layout import STREAM_ROW_GROUP_BYTES, Reader, dictionary_bytes
from duckwarp.engine.lengths import checked_length, has_text
from duckwarp.engine.measure import RELATION_ALIAS
from duckwarp.engine.plan import ExportPlan, PlannedColumn
from duckwarp.files.quoting import file_pattern, identifier, literal
from duckwarp.model.parquet_type import Kind
from duckwarp.model.settings import Compression, Order, SortIn

# The words of the error by which a copy is stopped at a row with more text than was reckoned with.
LONG_ROW = "duckwarp met a long row"
# Those of DuckDB where bytes are to be text and are no UTF-8.
INVALID_TEXT = "Failure in decode"


def server_query(plan: ExportPlan, condition: str, limit: int | None = None) -> str:
    """What PostgreSQL is asked for one range; columns are named c1, c2, … whatever their names."""
    sorts = plan.layout.sort_in is SortIn.POSTGRES
    numbered = list(enumerate(plan.columns, start=1))
    selected = ", ".join(f"{_selected(plan, c)} AS c{n}" for n, c in numbered)
    query = f"SELECT {selected} FROM {_relation(plan)}"
    if condition:
        query += f" WHERE {condition}"
    if sorts:
        keys = [key for n, c in _keyed(plan) for key in _server_keys(plan, n, c.form)]
        query += f" ORDER BY {', '.join(keys)}"
    return query if limit is None else f"{query} LIMIT {limit}"


def _relation(plan: ExportPlan) -> str:
    return f"{identifier(plan.schema)}.{identifier(plan.table)} AS {RELATION_ALIAS}"


def _selected(plan: ExportPlan, column: PlannedColumn) -> str:
    form, raw = column.form, _raw(plan, column)
    if plan.layout.sort_in is SortIn.POSTGRES:
        return _collated(form)
    if column.never_zero and form.unguarded is not None:
        return form.unguarded.select
    return form.select if raw is None else raw.select


def _raw(plan: ExportPlan, column: PlannedColumn) -> Raw | None:
    """What is read in the place of a text, where something is."""
    in_vectors = plan.layout.reader is Reader.VECTORS
    return column.form.raw if in_vectors and plan.layout.sort_in is not SortIn.POSTGRES else None


def _keyed(plan: ExportPlan) -> list[tuple[int, PlannedColumn]]:
    """The columns that are keys of the order, with their numbers."""
    numbered = list(enumerate(plan.columns, start=1))
    return {Order.ALL: numbered, Order.FIRST: numbered[:1], Order.NONE: []}[plan.order]


def _collated(form: ColumnForm) -> str:
    """PostgreSQL's expression of the value, which sorts by its bytes if it is text.

    As an entry of the select list it is its own key: a key besides would be a further entry, and
    there is an end to them at 1,664.
    """
    # Elements that are bytes travel as hexadecimal digits, which are in the order of the bytes.
    return f'({form.select}) COLLATE "C"' if has_text(form) else form.select


def _server_keys(plan: ExportPlan, number: int, form: ColumnForm) -> tuple[str, ...]:
    """The keys by which PostgreSQL sorts a column as DuckDB does."""
    if plan.transcoded and has_text(form):
        return (_each_on_server(form, "pg_catalog.convert_to({e}, 'UTF8')"),)
    if form.signed_zeros:
        # They tie in PostgreSQL, too, and -0 comes first.
        return (str(number), _each_on_server(form, "({e}::pg_catalog.text <> '-0')"))
    return (str(number),)


def _each_on_server(form: ColumnForm, template: str) -> str:
    """A template applied to the value, or to every element of a list."""
    if not form.type.is_list:
        return template.replace("{e}", f"({form.select})")
    # Without the condition a NULL would become an empty array.
    return (
        f"CASE WHEN ({form.select}) IS NOT NULL THEN "
        f"ARRAY(SELECT {template.replace('{e}', 'u.e')} FROM pg_catalog.unnest({form.select}) "
        "WITH ORDINALITY AS u(e, o) ORDER BY u.o) END"
    )


def vector_streams(plan: ExportPlan, attachments: Sequence[str]) -> str:
    """DuckDB's query of all rows: one attachment for each range, all streaming at once."""
    return _streams(attachments, [server_query(plan, condition) for condition in plan.ranges])


def _streams(attachments: Sequence[str], queries: Sequence[str]) -> str:
    return " UNION ALL ".join(
        f"SELECT * FROM postgres_query({literal(name)}, {literal(query)})"
        for name, query in zip(attachments, queries, strict=True)
    )


def written_file(path: Path) -> str:
    """DuckDB's relation of what is in a file."""
    # Nothing that the path says is taken for a column.
    return f"read_parquet({file_pattern(path)}, hive_partitioning = false)"


def zeros_query(plan: ExportPlan, columns: Sequence[int], path: Path) -> str:
    """DuckDB's query whose one row says for each of these columns whether the file has a 0 in it.

    Most row groups need not be read: their smallest and largest values tell.
    """
    names = [identifier(plan.columns[n - 1].name) for n in columns]
    found = ", ".join(f"EXISTS (FROM {written_file(path)} WHERE {name} = 0)" for name in names)
    return f"SELECT {found}"


def nan_streams(plan: ExportPlan, attachments: Sequence[str], columns: Sequence[int]) -> str:
    """DuckDB's query for rows with the number of one of these columns, in which NaN is."""
    forms = [(n, plan.columns[n - 1].form.unguarded) for n in columns]
    nans = {n: unguarded.nan for n, unguarded in forms if unguarded is not None}
    arms = " ".join(f"WHEN {nan} THEN {n}" for n, nan in nans.items())
    relation, met = _relation(plan), " OR ".join(nans.values())
    conditions = [f"({met})" + (f" AND {each}" if each else "") for each in plan.ranges]
    return _streams(
        attachments,
        [f"SELECT CASE {arms} END FROM {relation} WHERE {each} LIMIT 1" for each in conditions],
    )


def copy_statement(plan: ExportPlan, rows: str, path: str) -> str:
    """DuckDB's COPY of the whole plan, of what the query `rows` gives under c1, c2, …"""
    numbered = list(enumerate(plan.columns, start=1))
    values = ", ".join(f"{_received(plan, c).replace('{d}', f'c{n}')} AS c{n}" for n, c in numbered)
    named = ", ".join(f"{_value(n, c)} AS {identifier(c.name)}" for n, c in numbered)
    ordered = _ordered(plan, f"SELECT {values} FROM ({rows}){_text_guard(plan)}")
    query = f"SELECT {named} FROM ({ordered}) AS t"
    return f"COPY ({query}) TO {literal(path)} ({', '.join(_options(plan))})"


def _received(plan: ExportPlan, column: PlannedColumn) -> str:
    """DuckDB's template of a value as it is read."""
    raw = _raw(plan, column)
    return column.form.value if raw is None else raw.value


def _value(number: int, column: PlannedColumn) -> str:
    """DuckDB's expression of a value after the sort."""
    if column.narrowed is not None:
        return f"t.c{number}::{column.form.type}"
    value = codes.decoded(f"t.k{number}", f"t.r{number}") if column.codes else f"t.c{number}"
    # DuckDB's type JSON is text that is marked as JSON in the file.
    return f"{value}::JSON" if column.form.type.kind is Kind.JSON else value


def _ordered(plan: ExportPlan, values: str) -> str:
    """DuckDB's query of the values c1, c2, … in their order, where it sorts them.

    A column with codes comes as `codes` has it, as k and r.
    """
    if plan.layout.sort_in is not SortIn.DUCKDB:
        return values
    coded = [(n, c) for n, c in enumerate(plan.columns, start=1) if c.codes]
    if coded:
        texts = ", ".join(f"{codes.coded(f'c{n}', c.codes)} AS n{n}" for n, c in coded)
        values = f"SELECT *, {texts} FROM ({values}) AS v"
    selected = ", ".join(_sortable(n, c) for n, c in enumerate(plan.columns, start=1))
    keys = [key for n, c in _keyed(plan) for key in _keys(n, c)]
    return f"SELECT {selected} FROM ({values}) AS w ORDER BY {', '.join(keys)}"


def _sortable(number: int, column: PlannedColumn) -> str:
    """DuckDB's expressions of what is sorted in the place of a column."""
    value = f"c{number}"
    if column.codes:
        coded = f"n{number}"
        code = codes.code_or_gap(value, coded, column.codes)
        return f"{code} AS k{number}, {codes.in_gap(value, coded)} AS r{number}"
    return value if column.narrowed is None else f"{value}::{column.narrowed} AS {value}"


def _keys(number: int, column: PlannedColumn) -> tuple[str, ...]:
    """The keys by which DuckDB sorts a column."""
    if column.codes:
        return codes.keys(f"k{number}", f"r{number}")
    return tuple(key.replace("{d}", f"c{number}") for key in column.form.order or ("{d}",))


def _text_guard(plan: ExportPlan) -> str:
    """A condition that every row meets, or stops the copy.

    By text that is no UTF-8, or that is more than row groups were made for. The reader of bytes
    has looked at the text that it gives, and a condition would gather its batches.
    """
    if plan.layout.reader is Reader.BYTES:
        return ""
    most = plan.layout.max_text_bytes
    lengths = [
        f"coalesce({received_length(plan, c).replace('{d}', f'c{n}')}, 0)"
        for n, c in enumerate(plan.columns, start=1)
        if (has_text(c.form) if most is None else c.form.type.is_variable)
    ]
    if not lengths:
        return ""
    if most is None:
        return f" WHERE {_sum(lengths)} >= 0"
    stop = f"{_sum(lengths)} > {most} THEN error({literal(LONG_ROW)})"
    return f" WHERE CASE WHEN {stop} ELSE true END"


def received_length(plan: ExportPlan, column: PlannedColumn) -> str:
    """DuckDB's template of the length of a value as it is read, which checks the text."""
    raw = _raw(plan, column)
    return checked_length(column.form) if raw is None else raw.length


def _sum(terms: Sequence[str]) -> str:
    """The sum of the terms, in halves: DuckDB takes no expression a thousand levels deep."""
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return f"({_sum(terms[:half])} + {_sum(terms[half:])})"


def _options(plan: ExportPlan) -> list[str]:
    codec = "uncompressed" if plan.compression is Compression.NONE else plan.compression.value
    rows = plan.layout.row_group_rows
    options = ["FORMAT parquet", f"COMPRESSION {codec}", f"ROW_GROUP_SIZE {rows}"]
    if plan.layout.reader is Reader.BYTES:
        options.append(f"ROW_GROUP_SIZE_BYTES {STREAM_ROW_GROUP_BYTES}")
    texts = sum(has_text(column.form) for column in plan.columns)
    if texts:
        limit = dictionary_bytes(texts)
        options.append(f"STRING_DICTIONARY_PAGE_SIZE_LIMIT {limit}")
    if any(column.form.signed_zeros for column in plan.columns):
        options.append("DICTIONARY_SIZE_LIMIT 0")
    if any(column.form.type.kind is Kind.BLOB for column in plan.columns):
        # DuckDB 1.5 looks into the Bloom filter of bytes for their text, so that `=` finds nothing.
        # It writes them for all columns or for none.
        options.append("WRITE_BLOOM_FILTER false")
    if plan.footer_keys:
        keys = ", ".join(f"{literal(key)}: {literal(text)}" for key, text in plan.footer_keys)
        options.append(f"KV_METADATA {{{keys}}}")
    return options
