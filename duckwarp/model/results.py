"""What comes out of an export: the small nouns that everyone shares. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

BYTES_PER_MB = 1_000_000
KEPT = "kept:"  # begins the outcome of values that the file has after all, in another form


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The public result of one source.

    On failure `success` is False, the numbers are zero, the paths empty, and `error` says why.
    `parquet_size_mb` is in megabytes of 10**6 bytes.
    """

    success: bool
    canonical_code: str
    row_count: int
    column_count: int
    parquet_size_mb: float
    parquet_path: str
    metadata_path: str
    error: str | None = None

    @classmethod
    def failure(cls, canonical_code: str, error: str) -> ExportResult:
        """The result of a source, or of a whole batch (empty code), that came to nothing."""
        return cls(False, canonical_code, 0, 0, 0.0, "", "", error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Values of one column that the file could not keep, or keeps in another form.

    `count` is how many values, `kind` what they were in a few words ("NaN", "infinity"), and
    `outcome` what became of them ("written as NULL").
    """

    column: str
    kind: str
    count: int
    outcome: str

    @property
    def kept(self) -> bool:
        """Whether the file has the values after all, in another form."""
        return self.outcome.startswith(KEPT)

    @property
    def sentence(self) -> str:
        """What happened, without the column's name."""
        values = "value" if self.count == 1 else "values"
        return f"{self.count:,} {values} ({self.kind}) {self.outcome}"

    def __str__(self) -> str:
        return f"{self.column}: {self.sentence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnStatistics:
    """What the footer of a written file says of one column.

    `minimum` and `maximum` are ready to print, None where the file has no such statistics;
    `null_count` is None where the writer left it out.
    """

    null_count: int | None = None
    minimum: str | None = None
    maximum: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A Parquet file as its own footer describes it.

    `names`, `types` (in words) and `columns` are those of the top-level columns, in its order.
    `row_group_rows` has the rows of each row group, `schema` is the file's in Parquet's notation.
    `description` is what duckwarp has written of the dataset, None in other files. `sha256` is
    that of the whole file, None where nobody has worked it out.
    """

    rows: int
    size_bytes: int
    columns: tuple[ColumnStatistics, ...]
    names: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    row_group_rows: tuple[int, ...] = ()
    schema: str = ""
    description: str | None = None
    sha256: str | None = None


class SourceState(StrEnum):
    """How a source of a run ended; unchanged is one whose published files were not touched."""

    EXPORTED = "exported"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOutcome:
    """One source in the report of a run: the public result and what the result has no field for.

    A skipped source has no `result`; `reason` says why it was skipped, failed or not read.
    `size_bytes` and `seconds` are of the Parquet file and of the whole export of that source.
    `read` is False for one that did not have to be.
    """

    code: str
    state: SourceState
    result: ExportResult | None = None
    reason: str | None = None
    size_bytes: int = 0
    seconds: float = 0.0
    losses: tuple[Loss, ...] = ()
    notes: tuple[str, ...] = ()
    read: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """All that a run did, in the order of the sources."""

    run_id: str
    output_dir: str
    outcomes: tuple[SourceOutcome, ...]
    seconds: float

    def of_state(self, state: SourceState) -> tuple[SourceOutcome, ...]:
        """The outcomes that ended in `state`, in order."""
        return tuple(outcome for outcome in self.outcomes if outcome.state is state)

    @property
    def results(self) -> list[ExportResult]:
        """The public results: one for each exported or failed source, none for a skipped one."""
        return [outcome.result for outcome in self.outcomes if outcome.result is not None]

    @property
    def total_rows(self) -> int:
        """Rows in the files of all sources that did not fail."""
        return sum(result.row_count for result in self.results)

    @property
    def total_bytes(self) -> int:
        """Bytes of the Parquet files of all sources that did not fail."""
        return sum(outcome.size_bytes for outcome in self.outcomes)
