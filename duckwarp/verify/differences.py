"""What differs between a table's columns and tally, and a file's. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from duckwarp.model.column import Column
from duckwarp.verify.comparing import Comparison
from duckwarp.verify.contents import FileColumn
from duckwarp.verify.sides import Sides
from duckwarp.verify.tally import Tally
from duckwarp.verify.verdicts import Difference


def column_differences(
    table: Sequence[Column], file: Sequence[FileColumn]
) -> tuple[Difference, ...]:
    """Columns that only one of the two has, in another order, or of another type."""
    return tuple(_column_differences(table, file))


def _column_differences(
    table: Sequence[Column], file: Sequence[FileColumn]
) -> Iterator[Difference]:
    in_table, in_file = [each.file_name for each in table], [each.name for each in file]
    for name in in_table:
        if name not in in_file:
            yield Difference(what="columns", column=name, table="is there", file=None)
    for name in in_file:
        if name not in in_table:
            yield Difference(what="columns", column=name, table=None, file="is there")
    if in_table != in_file and sorted(in_table) == sorted(in_file):
        yield Difference(what="columns", table=", ".join(in_table), file=", ".join(in_file))
    types = {each.name: each.postgres_type for each in file}
    for column in table:
        written = types.get(column.file_name)
        if written is not None and written != column.data_type:
            yield Difference(what="type", column=column.name, table=column.data_type, file=written)


def tally_differences(
    comparisons: Sequence[Comparison], columns: Sequence[FileColumn], table: Tally, file: Tally
) -> tuple[Difference, ...]:
    """All that was counted of both and is not the same, but for the checksum of the rows."""
    found = list(_counted(comparisons, columns, table, file.rows, _nulls(file)))
    for place, each in enumerate(comparisons):
        ours, theirs = table.columns[place], file.columns[place]
        if ours.least != theirs.least:
            found.append(_difference("minimum", each, ours.least, theirs.least))
        if ours.greatest != theirs.greatest:
            found.append(_difference("maximum", each, ours.greatest, theirs.greatest))
    return tuple(found)


def counted_differences(
    sides: Sides, table: Tally, file_rows: int, file_nulls: Sequence[int | None]
) -> tuple[Difference, ...]:
    """Rows, NULLs and values that were not kept; None is a column whose footer has no count."""
    columns = sides.contents.columns
    return tuple(_counted(sides.comparisons, columns, table, file_rows, file_nulls))


def _nulls(tally: Tally) -> list[int | None]:
    return [tally.nulls(place) for place in range(len(tally.columns))]


def _counted(
    comparisons: Sequence[Comparison],
    columns: Sequence[FileColumn],
    table: Tally,
    file_rows: int,
    file_nulls: Sequence[int | None],
) -> Iterator[Difference]:
    if table.rows != file_rows:
        yield Difference(what="rows", table=f"{table.rows:,}", file=f"{file_rows:,}")
    not_kept = {each.name: each.not_kept for each in columns}
    for place, each in enumerate(comparisons):
        nulls, of_file = table.nulls(place), file_nulls[place]
        if of_file is not None and nulls != of_file:
            yield _difference("NULLs", each, f"{nulls:,}", f"{of_file:,}")
        told, lost = not_kept[each.name], table.columns[place].not_kept
        if each.special is not None and told is not None and lost != sum(told.values()):
            yield _difference("not kept", each, f"{lost:,}", f"{sum(told.values()):,}")


def _difference(what: str, column: Comparison, table: str | None, file: str | None) -> Difference:
    return Difference(what=what, column=column.name, table=table, file=file)
