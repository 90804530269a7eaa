"""Finding the rows that differ, without holding the rows of either side.

Rows are divided by their hashes, and only parts whose sums differ are looked into: first at the
hashes of their rows, then at the values of a few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from duckwarp.postgres.readers import Rows
from duckwarp.verify.queries import (
    Side,
    buckets_query,
    column_checksums_query,
    hashes_query,
    keys_query,
    values_query,
)
from duckwarp.verify.sides import Sides, asked_of_both
from duckwarp.verify.verdicts import Cell, DifferingRow

SHOWN_ROWS = 5
# A part has about so many rows, and so many parts are looked into: all, where few rows differ.
_BUCKET_ROWS = 1_024
_MAX_BUCKETS = 65_536
_LOOKED_INTO = 64
# Rows of each side whose values are compared, to find those that belong together: by their key,
# or by what they have in common.
_CANDIDATES = 32
# Columns whose values are hashed in one question: each takes a hash of every row of a vector.
_COLUMNS_AT_ONCE = 200
# How many columns of a row are told where there is no key.
_COLUMNS_FOR_KEY = 3

Texts = tuple[str | None, ...]
# How many times a row is there, and its texts, by its hash.
Found = dict[int, tuple[int, Texts]]


def column_checksums(sides: Sides) -> tuple[list[int], list[int]]:
    """The checksum of each column in the table, and in the file; some columns at a time."""

    def add(sums: list[int], rows: Rows) -> list[int]:
        found = [int(text) for text in rows[0][0]]
        return [a + b for a, b in zip(sums, found, strict=True)] if sums else found

    table: list[int] = []
    file: list[int] = []
    for start in range(0, len(sides.comparisons), _COLUMNS_AT_ONCE):
        chosen = slice(start, start + _COLUMNS_AT_ONCE)
        some = replace(sides, comparisons=sides.comparisons[chosen], places=sides.places[chosen])
        of_table, of_file = asked_of_both(some, column_checksums_query, add, list)
        nothing = [0] * len(some.comparisons)
        table += of_table or nothing
        file += of_file or nothing
    return table, file


def differing_rows(sides: Sides, rows: int, key: Sequence[str]) -> tuple[DifferingRow, ...]:
    """Up to five rows that differ. `rows` is how many each side has, `key` the columns of a key."""
    buckets = 16
    while buckets < _MAX_BUCKETS and buckets * _BUCKET_ROWS < rows:
        buckets *= 2
    question: Callable[[Side], str] = partial(buckets_query, buckets=buckets)
    of_table, of_file = asked_of_both(sides, question, _add_sums, dict)
    wanted = sorted(b for b in of_table.keys() | of_file if of_table.get(b) != of_file.get(b))
    chosen = wanted[:_LOOKED_INTO]
    if not chosen:
        return ()
    question = partial(hashes_query, buckets=buckets, wanted=chosen)
    in_table, in_file = asked_of_both(sides, question, _add_counts, Counter)
    hashes = _few_differing(in_table, in_file)
    start: Callable[[], Found] = dict
    question = partial(values_query, hashes=hashes)
    table, file = asked_of_both(sides, question, _add_rows, start)
    names = [each.name for each in sides.comparisons]
    places = [names.index(name) for name in key if name in names]
    if places:
        found = [texts for _, texts in (table | file).values()]
        keys = {tuple(texts[place] or "" for place in places) for texts in found}
        question = partial(keys_query, places=places, keys=sorted(keys))
        table_rows, file_rows = asked_of_both(sides, question, _add_rows, start)
        table, file = table | table_rows, file | file_rows
    return _paired(names, places, table, file)


def _add_sums(sums: dict[int, tuple[int, int]], rows: Rows) -> dict[int, tuple[int, int]]:
    for bucket, count, total in rows:
        before = sums.get(bucket, (0, 0))
        sums[bucket] = (before[0] + int(count), before[1] + int(total))
    return sums


def _add_counts(counts: Counter[int], rows: Rows) -> Counter[int]:
    for value, count in rows:
        counts[value] += count
    return counts


def _add_rows(found: Found, rows: Rows) -> Found:
    for value, count, texts in rows:
        before, _ = found.get(value, (0, ()))
        found[value] = (before + count, tuple(texts))
    return found


def _few_differing(table: Counter[int], file: Counter[int]) -> list[int]:
    """Hashes of rows that are there more often on one side; some of each."""
    more_in_table = sorted(value for value in table if table[value] > file[value])
    more_in_file = sorted(value for value in file if file[value] > table[value])
    return more_in_table[:_CANDIDATES] + more_in_file[:_CANDIDATES]


def _paired(
    names: Sequence[str], key: Sequence[int], table: Found, file: Found
) -> tuple[DifferingRow, ...]:
    """The rows, those of both sides that belong together as one; `key` has the key's places."""
    told = key or range(min(_COLUMNS_FOR_KEY, len(names)))
    left = {each: texts for each, (_, texts) in sorted(file.items()) if each not in table}
    rows = []
    for each, (count, texts) in sorted(table.items()):
        in_file, _ = file.get(each, (0, ()))
        if in_file == count:
            continue
        partner = None if in_file else _partner(texts, left, key)
        cells: tuple[Cell, ...] = ()
        if partner is not None:
            in_file, cells = file[partner][0], _cells(names, texts, left.pop(partner))
        rows.append(
            DifferingRow(
                key=tuple((names[place], texts[place]) for place in told),
                table_rows=count,
                file_rows=in_file,
                cells=cells,
            )
        )
    for each, texts in left.items():
        shown = tuple((names[place], texts[place]) for place in told)
        rows.append(DifferingRow(key=shown, table_rows=0, file_rows=file[each][0]))
    return tuple(rows[:SHOWN_ROWS])


def _partner(row: Texts, others: Mapping[int, Texts], key: Sequence[int]) -> int | None:
    """The row of the other side with the same key; without one, the row that is most alike."""
    if key:
        same = (h for h, texts in others.items() if all(texts[k] == row[k] for k in key))
        return next(same, None)
    alike = {h: sum(a == b for a, b in zip(row, texts, strict=True)) for h, texts in others.items()}
    best = max(alike, key=lambda h: alike[h], default=None)
    return best if best is not None and alike[best] * 2 >= len(row) else None


def _cells(names: Sequence[str], table: Texts, file: Texts) -> tuple[Cell, ...]:
    return tuple(
        Cell(column=name, table=a, file=b)
        for name, a, b in zip(names, table, file, strict=True)
        if a != b
    )
