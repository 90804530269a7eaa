"""Files that are wrong: what may become of a published file, each made of the true one."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Change = Callable[[pa.Table], pa.Table]


def rewrite(path: Path, change: Change = lambda table: table) -> None:
    """Write the file anew with its rows changed; its footer says what it said."""
    table = change(pq.read_table(path))
    pq.write_table(table, path, row_group_size=1_000)


def with_values(name: str, values: dict[int, object]) -> Change:
    """The rows with other values at some places of one column."""

    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(name)
        column = table.column(name).to_pylist()
        for row, value in values.items():
            assert column[row] != value, "nothing would change"
            column[row] = value
        array = pa.array(column, table.schema.field(name).type)
        return table.set_column(place, table.schema.field(name), array)

    return change


def swapped(name: str, first: int, second: int) -> Change:
    """The rows with two values of one column in each other's place."""

    def change(table: pa.Table) -> pa.Table:
        column = table.column(name)
        a, b = column[first].as_py(), column[second].as_py()
        return with_values(name, {first: b, second: a})(table)

    return change


def without_row(row: int) -> Change:
    """The rows but for one."""
    return lambda table: pa.concat_tables([table.slice(0, row), table.slice(row + 1)])


def with_doubled(*rows: int) -> Change:
    """The rows, and some of them once more for each time that they are named."""
    return lambda table: pa.concat_tables([table, *(table.slice(row, 1) for row in rows)])


def renamed(name: str, other: str) -> Change:
    """The rows under another name of a column."""

    def change(table: pa.Table) -> pa.Table:
        return table.rename_columns([other if n == name else n for n in table.column_names])

    return change


def one_more(name: str, row: int) -> Change:
    """The rows with a decimal that is greater by one unit of its last place."""

    def change(table: pa.Table) -> pa.Table:
        value = table.column(name)[row].as_py()
        unit = Decimal(1).scaleb(-table.schema.field(name).type.scale)
        return with_values(name, {row: value + unit})(table)

    return change


def truncate(path: Path) -> None:
    """Cut the last byte off."""
    path.write_bytes(path.read_bytes()[:-1])
