"""What can go wrong, named for what the user can do about it.

    DuckwarpError
    ├── UsageError               the call itself is wrong: correct it
    │   ├── NothingMatched       no publication or source of that name: pick one of the nearest
    │   └── CatalogMissing       the folder has no catalog: name another, or make one
    ├── RunError                 the run could not start: mend the surroundings
    │   ├── ConnectionFailed     the server cannot be reached or refuses the login
    │   ├── SnapshotLost         the session that holds the run's snapshot has ended
    │   ├── SnapshotTooOld       the run has held it as long as it may
    │   ├── RegistryMissing      the database has no registry of sources
    │   ├── ExtensionMissing     DuckDB's postgres extension cannot be loaded
    │   ├── OutputUnusable       the output folder cannot be written
    │   ├── Locked               another run has the output folder: wait for it
    │   └── CatalogUnusable      its catalog is damaged, or not duckwarp's
    └── SourceError              one source cannot be exported; the others go on
        ├── RelationMissing      the relation does not exist
        ├── PrivilegeMissing     the role may not read it
        ├── ServerSaid           the server's own words, without their code
        ├── InvalidText          it has text that is no UTF-8
        ├── FileUnreadable       a published file cannot be read: it is to be exported again
        ├── DiskFull             the file does not fit on the disk
        └── ValueNotKept         a value that Parquet cannot hold, under `--special-values error`
    Terminated                   SIGTERM: a `KeyboardInterrupt`, so that only the outermost stops it

No message ever holds a connection string: constructors take names and reasons, and whoever raises
passes neither a DSN nor the text of an error that may contain one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MOST_CHARACTERS_QUOTED = 500


def quote_server(message: str, detail: str | None, hint: str | None) -> str:
    """Put what the server says of an error on one line; a long part keeps no other from view."""
    parts = {"": message, "DETAIL: ": detail, "HINT: ": hint}
    return "; ".join(f"{label}{shorten(text)}" for label, text in parts.items() if text)


def shorten(text: str) -> str:
    """Put a text that others wrote on one line, and cut it where it is very long."""
    text = " ".join(text.split())
    cut = f"{text[:MOST_CHARACTERS_QUOTED]} …"
    return text if len(text) <= MOST_CHARACTERS_QUOTED else cut


def escape(text: str) -> str:
    """Write what is not printable as Python does, and every other character as it is."""
    escaped = (character.encode("unicode_escape").decode("ascii") for character in text)
    return "".join(c if c.isprintable() else e for c, e in zip(text, escaped, strict=True))


def quote_error(error: Exception) -> str:
    """Give an error's words on one line, and a file's name as it is: Python's own are escaped."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return shorten(str(error))


class DuckwarpError(Exception):
    """The root of all errors that duckwarp raises on purpose.

    `sqlstate` is the server's code where there is one; `may_pass` says that the same may go well
    when it is tried again a little later.
    """

    sqlstate: str | None = None
    may_pass: bool = False


class UsageError(DuckwarpError):
    """The call is wrong: an option, a name or a combination that cannot work."""


class NothingMatched(UsageError):
    """A selection has no source in the database; `nearest` are names that resemble it."""

    def __init__(self, wanted: str, nearest: Sequence[str] = ()) -> None:
        self.wanted = wanted
        self.nearest = tuple(nearest)
        hint = f"; nearest: {', '.join(self.nearest)}" if nearest else ""
        super().__init__(f"nothing matches {wanted}{hint}")


class CatalogMissing(UsageError):
    """The folder has no catalog to show."""

    def __init__(self, folder: object) -> None:
        self.folder = folder
        super().__init__(
            f"there is no catalog in {folder}: name a folder with --output, export to it, or make "
            "the catalog of the files that are there: duckwarp catalog rebuild"
        )


class RunError(DuckwarpError):
    """The run could not start, or cannot go on for any source."""


class ConnectionFailed(RunError):
    """The server cannot be reached, or refuses the login; `reason` is libpq's, freed of secrets."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"cannot connect to PostgreSQL: {reason}")


class SnapshotLost(RunError):
    """The snapshot of the run can be read no more: what is left needs another one."""

    may_pass = True

    def __init__(self, reason: str) -> None:
        super().__init__(f"the session that holds the snapshot was lost: {reason}")


class SnapshotTooOld(RunError):
    """The run has held its snapshot, and its locks, as long as the user lets it."""

    def __init__(self, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        super().__init__(
            f"the run had held its snapshot and its locks for {limit_seconds:g} s, the most that "
            "--max-snapshot-age allows: export fewer sources at a time, or allow more"
        )


class RegistryMissing(RunError):
    """The database has no registry of sources in the schema that was looked at."""

    def __init__(self, schema: str, database: str, reason: str = "does not exist") -> None:
        self.schema = schema
        self.database = database
        super().__init__(
            f'the registry "{schema}".tbl_data_sources {reason} in database "{database}"; '
            "name its schema with --registry-schema, or export without a registry "
            "with --schema or --table"
        )


class ExtensionMissing(RunError):
    """DuckDB's postgres extension can neither be loaded from its package nor installed."""

    def __init__(self, duckdb_version: str, reason: str) -> None:
        self.duckdb_version = duckdb_version
        super().__init__(
            f"DuckDB {duckdb_version} cannot load its postgres extension ({reason}); "
            f"install the package duckdb-extension-postgres-scanner=={duckdb_version}, "
            "or run INSTALL postgres once in DuckDB on a machine with internet access and copy "
            f"~/.duckdb/extensions/v{duckdb_version} to this one"
        )


class OutputUnusable(RunError):
    """The output folder, or the one for temporary files, cannot be created or written."""

    def __init__(self, path: object, reason: str, folder: str = "output folder") -> None:
        self.path = path
        super().__init__(f"cannot write to the {folder} {path}: {reason}")


class Locked(RunError):
    """Another run has the output folder; `holder` says who and since when, None if nobody knows."""

    def __init__(self, folder: object, holder: str | None, waited_seconds: float = 0.0) -> None:
        self.folder = folder
        self.holder = holder
        after = f" after {waited_seconds:g} s" if waited_seconds else ""
        wait = "wait longer" if waited_seconds else "wait for it"
        super().__init__(
            f"the output folder {folder} is held{after} by {holder or 'another run'}: "
            f"{wait} with --wait SECONDS"
        )


class CatalogUnusable(RunError):
    """The file where the catalog should be is not a catalog that can be read and continued."""

    def __init__(self, path: object, reason: str) -> None:
        self.path = path
        super().__init__(
            f"{path} cannot be used: {reason}; move it away, or put one in its place "
            "that is made from the published files: duckwarp catalog rebuild"
        )


class SourceError(DuckwarpError):
    """One source cannot be exported. The run goes on with the others."""


class RelationMissing(SourceError):
    """The relation of a source does not exist."""

    def __init__(self, relation: str) -> None:
        self.relation = relation
        super().__init__(f"relation {relation} does not exist")


class PrivilegeMissing(SourceError):
    """The role may not read the relation; `privilege` is what it lacks."""

    def __init__(self, privilege: str, on: str, role: str) -> None:
        self.privilege = privilege
        self.role = role
        super().__init__(f'role "{role}" has no {privilege} privilege on {on}')


class ServerSaid(SourceError):
    """What the server said of a copy, in its language; its code is not known."""

    def __init__(self, words: str, detail: str | None = None, hint: str | None = None) -> None:
        told = quote_server(words, detail, hint)
        super().__init__(f"PostgreSQL: {told}{_EXPLAINED.get(words, '')}")


# What the server cannot know: the run has a lock on everything, and its readers need one of theirs.
_EXPLAINED = {
    "canceling statement due to lock timeout": ": another session waits to change the relation, "
    "and the readers of this run stand behind it: run again, and give such changes a lock_timeout"
}


class InvalidText(SourceError):
    """The rows have text that is no UTF-8, which no file holds as text."""

    def __init__(self, where: str = "it") -> None:
        super().__init__(f"{where} has text that is not valid UTF-8")


class FileUnreadable(SourceError):
    """A published file is no Parquet file, or not a whole one."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the file cannot be read: {reason}")


class DiskFull(SourceError):
    """The file of a source does not fit on the disk; `reason` is the system's, and where."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the disk is full: {reason}")


class ValueNotKept(SourceError):
    """Values that the Parquet type cannot hold, where the user asked to be stopped by them.

    `counts` has (kind, number of values) for each column.
    """

    def __init__(self, counts: Mapping[str, Sequence[tuple[str, int]]]) -> None:
        self.counts = {column: tuple(of_column) for column, of_column in counts.items()}
        values = "; ".join(
            f'column "{column}" has values that Parquet cannot hold '
            f"({', '.join(f'{count:,} x {kind}' for kind, count in of_column)})"
            for column, of_column in self.counts.items()
        )
        super().__init__(
            f"{values}: accept NULL or text instead with --special-values null or text"
        )


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP was received. All is cleaned up as after Ctrl-C; the exit code differs.

    `signal_name` says which of them it was.
    """

    def __init__(self, signal_name: str = "SIGTERM") -> None:
        self.signal_name = signal_name
        super().__init__(f"ended by {signal_name}")
