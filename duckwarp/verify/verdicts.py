"""What verification finds: the nouns of its report. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Agreement(StrEnum):
    """How a published file and its table stand to each other.

    `CHANGED` is a file that is as it was published, of a table that has changed since. `SKIPPED` is
    a source that has neither a relation nor a file, `FAILED` one that could not be looked at.
    """

    EQUAL = "equal"
    DIFFERENT = "different"
    CHANGED = "changed"
    MISSING = "missing"
    SKIPPED = "skipped"
    FAILED = "failed"

    @property
    def is_well(self) -> bool:
        """Whether nobody has to do anything about it."""
        return self in (Agreement.EQUAL, Agreement.SKIPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not the same: what, of which column, and how it is on both sides.

    `what` is a word or two: "rows", "columns", "type", "NULLs", "minimum", "maximum", "checksum".
    """

    what: str
    table: str | None
    file: str | None
    column: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A value of a differing row on both sides, in PostgreSQL's text; None is NULL."""

    column: str
    table: str | None
    file: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferingRow:
    """A row that is not the same on both sides, or not there as many times.

    `key` has the values of the primary key, or of the first columns where there is none. `cells`
    are the columns that differ, empty for a row that has no counterpart.
    """

    key: tuple[tuple[str, str | None], ...]
    table_rows: int
    file_rows: int
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A file beside its table: what it has, and all that differs.

    `table_rows` is None where the table was not counted, `checksum` the one of the file's rows in
    hexadecimal, None where it was not made. `not_kept` is how many of the table's values the file
    has NULL for, as its footer says. `reasons` say in words what the differences are about.
    """

    rows: int | None = None
    columns: int | None = None
    size_bytes: int = 0
    table_rows: int | None = None
    checksum: str | None = None
    not_kept: int = 0
    differences: tuple[Difference, ...] = ()
    differing_rows: tuple[DifferingRow, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be said of one source. `reasons` say why, and what is known of its past."""

    code: str
    agreement: Agreement
    finding: Finding = Finding()
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationReport:
    """All that was verified, in the order of the codes.

    `snapshot_time` is when the tables were looked at, None where only files were.
    """

    output_dir: str
    verdicts: tuple[Verdict, ...]
    seconds: float
    snapshot_time: datetime | None = None

    @property
    def is_well(self) -> bool:
        """Whether every file is what it should be."""
        return all(verdict.agreement.is_well for verdict in self.verdicts)

    def of(self, agreement: Agreement) -> tuple[Verdict, ...]:
        """The verdicts of one kind, in order."""
        return tuple(each for each in self.verdicts if each.agreement is agreement)
