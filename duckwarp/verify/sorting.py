"""Whether the rows of a file are in the order that the file promises, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from duckwarp.engine.batches import Asker
from duckwarp.model.parquet_type import FLOATS
from duckwarp.verify.contents import Contents, FileColumn


def rows_out_of_order(contents: Contents, asker: Asker, order_by: Sequence[str]) -> int:
    """How many rows are less than the one before them; reads all pages of the file.

    NULLs are last, -0.0 is before 0.0, NaN after infinity. Raises `FileUnreadable`.
    """
    by_name = {column.name: (place, column) for place, column in enumerate(contents.columns)}
    places = [by_name[name] for name in order_by]
    if not places:
        for _ in contents.batches():
            pass
        return 0
    before, after = (
        ", ".join(key for place, column in places for key in _keys(f"{side}{place}", column))
        for side in ("before", "after")
    )
    query = f"SELECT count(*) FILTER (WHERE row({before}) > row({after})) FROM batch"
    found = 0
    last: pa.Table | None = None
    for batch in contents.batches():
        table = batch if last is None else pa.concat_tables([last, batch])
        found += int(asker.ask(query, _neighbours(table, [place for place, _ in places]))[0][0])
        last = batch.slice(batch.num_rows - 1)
    return found


def _neighbours(table: pa.Table, places: Sequence[int]) -> pa.Table:
    """Each row but the last beside the one that follows it."""
    columns = {}
    for place in places:
        column = table.column(place)
        columns[f"before{place}"] = column.slice(0, table.num_rows - 1)
        columns[f"after{place}"] = column.slice(1)
    return pa.table(columns)


def _keys(name: str, column: FileColumn) -> list[str]:
    """What a value is compared by: zeros tie, and the sign decides between them."""
    templates = ["{x} + 0", "NOT signbit({x})"] if column.type.kind in FLOATS else ["{x}"]
    if not column.type.is_list or len(templates) == 1:
        return [template.replace("{x}", name) for template in templates]
    return [
        f"list_transform({name}, lambda x: {template.replace('{x}', 'x')})"
        for template in templates
    ]
