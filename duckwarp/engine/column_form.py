"""`ColumnForm`: how one column is written, as plain data. `forms.py` makes it."""

from __future__ import annotations

from dataclasses import dataclass

from duckwarp.engine.geo import GeoColumn
from duckwarp.model.parquet_type import ParquetType
from duckwarp.model.results import Loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """What may be read in the place of a text, with less work for the server.

    `select` is PostgreSQL's expression; `value` is DuckDB's template of the text, and `length` that
    of its bytes, over `{d}`.
    """

    select: str
    value: str
    length: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unguarded:
    """How a number may be read where it is never 0, which the reader takes NaN for.

    `select` is the value without its guard, `nan` PostgreSQL's predicate of what is read as 0.
    """

    select: str
    nan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnForm:
    """How one column is written: a row of the type map made concrete.

    `select` is complete SQL for PostgreSQL, `type` what the file has; `value` and `order` are
    templates over `{d}`, and JSON is text until it is written. `raw` and
    `unguarded` are what may be read in its place where DuckDB reads and sorts it, the latter of a
    number that is guarded against NaN alone. `casts` are the types that `select` casts the value
    itself to, None where it does more than that. `losses` says what the file does not keep, `note`
    what a reader should know besides. `obvious` is False where the type in the file is not the one
    a reader would expect. `signed_zeros` says that -0.0 has to be kept apart from 0.0, which a
    dictionary would not. `unmarked_json` is of a text that is JSON, and could not be marked as
    such. `geo` is there for a column of geometries.
    """

    select: str
    type: ParquetType
    raw: Raw | None = None
    unguarded: Unguarded | None = None
    casts: tuple[str, ...] | None = None
    value: str = "{d}"
    order: tuple[str, ...] = ()
    obvious: bool = True
    width_bytes: int = 8
    losses: tuple[Loss, ...] = ()
    note: str | None = None
    signed_zeros: bool = False
    unmarked_json: bool = False
    geo: GeoColumn | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the column should know, as sentences."""
        losses = tuple(loss.sentence for loss in self.losses)
        return losses if self.note is None else (*losses, self.note)
