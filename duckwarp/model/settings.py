"""What a run may use and how it should behave: one frozen noun, no I/O.

Where the database is, is part of it (`dsn`), and the only place where a secret may stand: it is
kept out of `repr`. How a DSN is completed from the environment is the matter of
`postgres/connection.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from duckwarp.model.errors import UsageError
from duckwarp.model.sizes import size_text

# PostgreSQL's timeouts are milliseconds in 32 bits, with a sign.
MAX_TIMEOUT_SECONDS = (2**31 - 1) // 1000
# What Python, libpq and DuckDB need for themselves, and the smallest sort of an ordinary table;
# `python -m benchmarks --only memory` measures it.
MIN_MEMORY_BYTES = 256_000_000
MIN_CONNECTIONS = 2


class Compression(StrEnum):
    """The codec of the Parquet pages."""

    SNAPPY = "snappy"
    ZSTD = "zstd"
    LZ4 = "lz4"
    GZIP = "gzip"
    NONE = "none"


class SpecialValues(StrEnum):
    """What becomes of values that a column's Parquet type cannot hold (NaN in a decimal, …)."""

    NULL = "null"
    TEXT = "text"
    ERROR = "error"


class Order(StrEnum):
    """In which order rows are written: by all columns, by the first one, or as they come."""

    ALL = "all"
    FIRST = "first"
    NONE = "none"


class SortIn(StrEnum):
    """Who sorts: what suits the table, DuckDB, or the server."""

    AUTO = "auto"
    DUCKDB = "duckdb"
    POSTGRES = "postgres"


class Publish(StrEnum):
    """When files are put in place: all sources together, or each as soon as it is done."""

    TOGETHER = "together"
    EACH = "each"


class OnDrift(StrEnum):
    """What a column that was added, removed or retyped since the published file is."""

    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that shapes a run besides the choice of sources.

    `dsn` is a URI or key=value connection string; None leaves it to the environment.
    `memory_bytes` bounds the resident memory of the process, and `threads` are DuckDB's worker
    threads, `jobs` the small sources that are copied side by side; None takes a share of the
    machine. `front_matter` puts the figures before each dictionary, as YAML. `max_connections`
    bounds the connections of a run, the one that holds its snapshot among them. `temp_dir` is where
    a sort may spill, None for the output's staging area, and `temp_limit_bytes` how much. A
    `statement_timeout_seconds` of 0 is none. A wait for the server ends after
    `idle_timeout_seconds` without any progress, 0 for none, or twelve times that where the server
    says that it is at work. `retries` is how often a source, and the run as a
    whole, is tried again after a failure that may pass. After `max_snapshot_age_seconds` with its
    snapshot a run ends; 0 is no limit.

    `wait_seconds` is how long another run in the same folder is waited for. `all_or_nothing` puts
    no source in place where one has failed. `mode` is that of the published files, None what the
    umask gives. `skip_unchanged` does not read what shows no load since it was published. A source
    that lost more than `max_row_drop_percent` of its rows fails. `verify` compares each file with
    its table before it is published.
    """

    dsn: str | None = field(default=None, repr=False)
    output_dir: Path = Path("output")
    registry_schema: str = "datawarp"
    compression: Compression = Compression.SNAPPY
    special_values: SpecialValues = SpecialValues.NULL
    enable_row_security: bool = False
    fail_on_missing: bool = False
    front_matter: bool = False
    lock_timeout_seconds: float = 10.0
    statement_timeout_seconds: float = 0.0
    idle_timeout_seconds: float = 300.0
    order: Order = Order.ALL
    sort_in: SortIn = SortIn.AUTO
    memory_bytes: int | None = None
    threads: int | None = None
    jobs: int | None = None
    max_connections: int = 5
    temp_dir: Path | None = None
    temp_limit_bytes: int | None = None
    retries: int = 2
    max_snapshot_age_seconds: float = 0.0
    wait_seconds: float = 0.0
    publish: Publish = Publish.TOGETHER
    all_or_nothing: bool = False
    mode: int | None = None
    max_row_drop_percent: float | None = None
    on_drift: OnDrift = OnDrift.WARN
    skip_unchanged: bool = False
    verify: bool = False

    def __post_init__(self) -> None:
        """Take plain strings for paths and choices, as callers in Python write them."""
        for name, kind in (
            ("output_dir", Path),
            ("compression", Compression),
            ("special_values", SpecialValues),
            ("order", Order),
            ("sort_in", SortIn),
            ("temp_dir", Path),
            ("publish", Publish),
            ("on_drift", OnDrift),
        ):
            given = getattr(self, name)
            try:
                object.__setattr__(self, name, given if given is None else kind(given))
            except ValueError as error:
                raise UsageError(f"{name}: {error}") from error
        self._check_numbers()

    def _check_numbers(self) -> None:
        for option, seconds in (
            ("--lock-timeout", self.lock_timeout_seconds),
            ("--statement-timeout", self.statement_timeout_seconds),
            ("--idle-timeout", self.idle_timeout_seconds),
            ("--max-snapshot-age", self.max_snapshot_age_seconds),
        ):
            if not 0 <= seconds <= MAX_TIMEOUT_SECONDS:
                raise UsageError(
                    f"{option} takes 0 to {MAX_TIMEOUT_SECONDS} seconds, not {seconds:g}"
                )
        if self.memory_bytes is not None and self.memory_bytes < MIN_MEMORY_BYTES:
            raise UsageError(
                f"--memory {size_text(self.memory_bytes)} is too little: the minimum is "
                f"{size_text(MIN_MEMORY_BYTES)}"
            )
        for option, number in (("--threads", self.threads), ("--jobs", self.jobs)):
            if number is not None and number < 1:
                raise UsageError(f"{option} takes 1 or more, not {number}")
        if self.retries < 0:
            raise UsageError(f"--retries takes 0 or more, not {self.retries}")
        if self.max_connections < MIN_CONNECTIONS:
            raise UsageError(
                f"--max-connections takes {MIN_CONNECTIONS} or more, not {self.max_connections}: "
                "one holds the snapshot, another reads"
            )
        if self.temp_limit_bytes is not None and self.temp_limit_bytes < 0:
            raise UsageError("--temp-limit takes no negative size")
        self._check_publishing()

    def _check_publishing(self) -> None:
        if not 0 <= self.wait_seconds <= MAX_TIMEOUT_SECONDS:
            raise UsageError(
                f"--wait takes 0 to {MAX_TIMEOUT_SECONDS} seconds, not {self.wait_seconds:g}"
            )
        if self.all_or_nothing and self.publish is Publish.EACH:
            raise UsageError(
                "--all-or-nothing has to know how all sources end before the first one is put in "
                "place: leave out --publish each"
            )
        if self.mode is not None and not (0o400 <= self.mode <= 0o777 and self.mode & 0o400):
            raise UsageError(
                f"--mode takes three octal digits that let the owner read, as 644, "
                f"not {self.mode:o}"
            )
        percent = self.max_row_drop_percent
        if percent is not None and not 0 <= percent <= 100:
            raise UsageError(f"--max-row-drop takes 0 to 100 per cent, not {percent:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spill:
    """Where a run may write what does not fit into memory, and how much; None is no limit.

    `folder` is the run's own, `place` the one that the user has named.
    """

    folder: Path
    place: Path
    limit_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """Where a run's connections go: libpq parameters without the password, and the password.

    Resolved once from an established connection, so that further connections reach the same server
    as the same role whatever the environment says by then.
    """

    parameters: dict[str, str]
    password: str | None = field(default=None, repr=False)


# What every session of a run is set to, so that values come out as text in one form only, whatever
# the defaults of the server, the database, the role and the environment. Timeouts of idle sessions
# are off because the snapshot's connection waits while others copy. The later names are not known
# to every server; those that a server does not know are left out.
SESSION_SETTINGS: dict[str, str] = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "row_security": "off",
    # Compiling an expression over hundreds of columns takes longer than evaluating it.
    "jit": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
}
