"""What a run may use and how it should behave: one frozen noun, no I/O.

Where the database is, is part of it (`dsn`), and the only place where a secret may stand: it is
kept out of `repr`. How a DSN is completed from the environment is `source/connection.py`'s matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from duckwarp.errors import UsageError

# PostgreSQL's timeouts are milliseconds in 32 bits, with a sign.
MAX_LOCK_TIMEOUT_SECONDS = (2**31 - 1) // 1000


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that shapes a run besides the choice of sources.

    `dsn` is a URI or key=value connection string; None leaves it to the environment.
    `memory_bytes` is DuckDB's limit and `threads` its worker threads; None takes a share of the
    machine. `connections` is the largest number of connections that copy one table at a time.
    """

    dsn: str | None = field(default=None, repr=False)
    output_dir: Path = Path("output")
    registry_schema: str = "datawarp"
    compression: Compression = Compression.SNAPPY
    special_values: SpecialValues = SpecialValues.NULL
    enable_row_security: bool = False
    fail_on_missing: bool = False
    lock_timeout_seconds: float = 10.0
    memory_bytes: int | None = None
    threads: int | None = None
    connections: int = 2

    def __post_init__(self) -> None:
        """Take plain strings for paths and choices, as callers in Python write them."""
        for name, kind in (
            ("output_dir", Path),
            ("compression", Compression),
            ("special_values", SpecialValues),
        ):
            try:
                object.__setattr__(self, name, kind(getattr(self, name)))
            except ValueError as error:
                raise UsageError(f"{name}: {error}") from error
        if not 0 <= self.lock_timeout_seconds <= MAX_LOCK_TIMEOUT_SECONDS:
            raise UsageError(
                f"--lock-timeout takes 0 to {MAX_LOCK_TIMEOUT_SECONDS} seconds, "
                f"not {self.lock_timeout_seconds:g}"
            )


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
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
}
