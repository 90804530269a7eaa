"""What has to be counted of the lengths of a relation's rows, as SQL for PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from duckwarp.engine.arrays import USUAL_ELEMENTS
from duckwarp.engine.cells import length_of_text
from duckwarp.engine.column_form import ColumnForm
from duckwarp.engine.layout import long_row_bytes
from duckwarp.engine.measure import RELATION_ALIAS
from duckwarp.model.parquet_type import TEXTS, Kind, ParquetType

# The fields of `RowSizes`, in the order in which the query gives them.
LENGTHS = ("rows", "text_bytes", "squared", "long_bytes", "longest")
# Server encodings in which text has as many bytes as in the file.
UTF8_ENCODINGS = frozenset({"UTF8", "SQL_ASCII"})
# The square of a longer row would not fit into eight bytes.
_MAX_LENGTH = 2**31 - 1


def lengths_query(
    forms: Sequence[ColumnForm], relation: str, *, in_utf8: bool, limit: int | None = None
) -> str:
    """The query that gives `LENGTHS` as one text[], of the columns of variable length together.

    `limit` has it look at the first rows only. Values stored out of line are not fetched for it
    where they are text or bytes as they stand.
    """
    lengths = " + ".join(
        f"coalesce({_length(form, in_utf8)}, 0)" for form in forms if form.type.is_variable
    )
    rows = (
        f"SELECT least(({lengths})::int8, {_MAX_LENGTH}) AS x FROM {relation} AS {RELATION_ALIAS}"
    )
    # Either keeps the lengths from being worked out anew for every sum.
    rows += " OFFSET 0" if limit is None else f" LIMIT {limit}"
    return (
        "SELECT ARRAY[count(*), sum(s.x), sum(s.x * s.x), "
        f"sum(s.x) FILTER (WHERE s.x > {long_row_bytes(forms)}), max(s.x)]::pg_catalog.text[] "
        f"FROM ({rows}) AS s"
    )


def _length(form: ColumnForm, in_utf8: bool) -> str:
    """The length of a value as `length_in_duckdb` has it."""
    value = form.select
    if form.type == ParquetType(Kind.BLOB):
        return f"pg_catalog.octet_length({value})::int8"
    elements = ""
    if form.type.is_list:
        elements = f"pg_catalog.cardinality({value})::int8 * {form.width_bytes // USUAL_ELEMENTS}"
        if not has_text(form):
            return elements
        value, elements = f"pg_catalog.array_to_string({value}, ' ')", f"{elements} + "
    if not in_utf8:
        value = f"pg_catalog.convert_to({value}, 'UTF8')"
    return f"{elements}pg_catalog.octet_length({value})"


def checked_length(form: ColumnForm) -> str:
    """DuckDB's template over `{d}` for the length of a value as it comes from the server.

    Both sides count alike, so that they agree on whether a row is long. Raises DuckDB's error for
    text that is no UTF-8.
    """
    if form.type == ParquetType(Kind.BLOB):
        return "octet_length({d})"
    if not form.type.is_list:
        return length_of_text("{d}")
    elements = f"len({{d}}) * {form.width_bytes // USUAL_ELEMENTS}"
    if not has_text(form):
        return elements
    # The blank keeps the bytes of two elements from making a character together.
    joined = length_of_text("array_to_string({d}, ' ')")
    return f"{elements} + coalesce({joined}, 0)"


def has_text(form: ColumnForm) -> bool:
    """Whether what the server sends is text or a list of it; lists of bytes are hexadecimal."""
    return form.type.kind in TEXTS or form.type == ParquetType(Kind.BLOB).list
