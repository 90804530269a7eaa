"""Asking a table and a file the same: the table's ranges on the server, the file's batches here.

Nothing holds more of either than the answers for the ranges and one batch of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from duckwarp.engine.batches import Asker
from duckwarp.model.pg_type import ServerTraits
from duckwarp.model.source import Source
from duckwarp.postgres.readers import Readers, Rows, ask, stop
from duckwarp.verify.comparing import Comparison
from duckwarp.verify.queries import Side, counting_query, file_side, table_side, tally_query
from duckwarp.verify.tally import Tally, merged, tally_from

if TYPE_CHECKING:
    from concurrent.futures import Future

    from duckwarp.verify.contents import Contents

T = TypeVar("T")
TICK_SECONDS = 0.5

Question = Callable[[Side], str]
Fold = Callable[[T, Rows], T]
Tick = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """A table and the file that was made of it, with what both have in common.

    `places` are those of the compared columns in the file, `ranges` the conditions that divide the
    table's rows. `empty_search_path` is for texts that name objects. `tick` is told the rows of the
    file that have been read.
    """

    source: Source
    contents: Contents
    comparisons: tuple[Comparison, ...]
    places: tuple[int, ...]
    traits: ServerTraits
    ranges: tuple[str, ...]
    readers: Readers
    asker: Asker
    empty_search_path: bool = False
    tick: Tick = lambda _: None


def table_tally_without_values(sides: Sides) -> Tally:
    """The rows of the table, and the values and NULLs of each column: no minimum, no checksum."""
    columns = len(sides.comparisons)
    parts: list[Tally] = []
    with asked_of_table(sides, counting_query) as answers:
        parts += [tally_from(rows[0][0], columns) for rows in answers]
    return merged(parts, sides.comparisons)


def tallies(sides: Sides) -> tuple[Tally, Tally]:
    """The tally of the table and that of the file."""
    columns = len(sides.comparisons)

    def question(side: Side) -> str:
        return tally_query(side, sides.comparisons)

    def add(parts: list[Tally], rows: Rows) -> list[Tally]:
        return [*parts, tally_from(rows[0][0], columns)]

    table, file = asked_of_both(sides, question, add, list)
    return merged(table, sides.comparisons), merged(file, sides.comparisons)


def asked_of_both(
    sides: Sides, question: Question, fold: Fold[T], start: Callable[[], T]
) -> tuple[T, T]:
    """What `fold` makes of the answers of the table, and of those of the file."""
    table, file = start(), start()
    with asked_of_table(sides, question) as answers:
        query = question(file_side(sides.comparisons, sides.places, sides.traits))
        rows_read = 0
        for batch in sides.contents.batches():
            file = fold(file, sides.asker.ask(query, batch))
            rows_read += batch.num_rows
            sides.tick(rows_read)
        for rows in answers:
            table = fold(table, rows)
    return table, file


@contextmanager
def asked_of_table(sides: Sides, question: Question) -> Iterator[Iterator[Rows]]:
    """The answers for the ranges of the table, asked at once; stops them on the way out."""
    queries = [
        question(
            table_side(
                sides.comparisons,
                sides.source.schema,
                sides.source.table,
                condition,
                sides.traits,
            )
        )
        for condition in sides.ranges
    ]
    futures = ask(sides.readers, sides.source, queries, empty_search_path=sides.empty_search_path)
    try:
        yield _answers(futures)
    finally:
        stop(sides.readers, futures)


def _answers(futures: Sequence[Future[Rows]]) -> Iterator[Rows]:
    """The results in the order of the questions. A signal is heard while they are waited for."""
    pending: set[Any] = set(futures)
    while pending:
        done, pending = wait(pending, timeout=TICK_SECONDS, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
    for future in futures:
        yield future.result()
