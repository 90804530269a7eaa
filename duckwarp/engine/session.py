"""The DuckDB connection of a run: the extension, the attachments, the limits, the snapshot.

The password goes into a DuckDB SECRET and nowhere else: a connection string would come back in
DuckDB's error messages.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Generic, ParamSpec, TypeVar

import duckdb

from duckwarp.engine.layout import Resources
from duckwarp.engine.memory import Budget
from duckwarp.files.quoting import identifier, literal
from duckwarp.model.errors import ConnectionFailed, ExtensionMissing, RunError
from duckwarp.model.filenames import utf8_path
from duckwarp.model.redaction import without_passwords
from duckwarp.model.settings import ServerAddress, Settings, Spill
from duckwarp.postgres.connection import with_advice
from duckwarp.postgres.faults import refusal_noted
from duckwarp.postgres.watching import Watch

T = TypeVar("T")
P = ParamSpec("P")

EXTENSION_PACKAGE = "duckdb_extension_postgres_scanner"
EXTENSION_FILE = "postgres_scanner.duckdb_extension"
SECRET = "duckwarp_server"
# Each of DuckDB's threads sorts and writes with buffers of its own.
THREAD_BYTES = 80_000_000
# How long a session waits for a lock that can be had at once, if at all.
AT_ONCE = "100ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An open DuckDB with the extension loaded, and the one thread that may use it.

    Python would hear of a signal only after DuckDB had returned, and DuckDB would make an error of
    its own of it: so DuckDB works in a thread, and the main thread waits. `ready` ends when it
    is prepared. `attached` are the names of its attachments, `reading` those that read the run's
    snapshot in the transaction that is open; none is where none is open. `watch` bounds its waits
    for the server. `options` is the statement
    that set DuckDB's options for the last copy.
    """

    connection: duckdb.DuckDBPyConnection
    worker: ThreadPoolExecutor
    address: ServerAddress
    application_name: str
    ready: Future[None]
    watch: Watch
    prefix: str = "pg"
    options: list[str] = field(default_factory=list)
    attached: list[str] = field(default_factory=list)
    reading: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSnapshot:
    """What further sessions need to read as the first one does.

    The snapshot's id, the settings of its session, the statements that take its locks, and the
    search path where that is not the sessions' own already.
    """

    snapshot_id: str
    settings: Mapping[str, str]
    locks: tuple[str, ...]
    search_path: str | None = None

    @property
    def search_path_statement(self) -> str:
        """What gives a session its search path, for this transaction."""
        if self.search_path is None:
            return "SET LOCAL search_path TO DEFAULT"
        path = literal(self.search_path)
        return f"SELECT pg_catalog.set_config('search_path', {path}, true)"


def resources_of(settings: Settings, budget: Budget) -> Resources:
    """What the copy of one source may use of the machine and of the server's connections."""
    threads = settings.threads
    if threads is None:
        threads = max(1, min(_processors(), budget.duckdb_bytes // THREAD_BYTES))
    return Resources(
        duckdb_bytes=budget.duckdb_bytes,
        threads=threads,
        # One more holds the snapshot.
        connections=min(threads, settings.max_connections - 1),
    )


def _processors() -> int:
    """The processors that the process may use, or all where the system does not tell."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def open_session(
    address: ServerAddress,
    application_name: str,
    resources: Resources,
    spill: Spill,
    watch: Watch | None = None,
) -> Iterator[Session]:
    """A DuckDB that can attach `address` as soon as it is ready.

    The first use waits for that, and raises `ExtensionMissing`, as the end does. The signature of
    the extension's 40 MB is verified meanwhile.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_persistent_secrets": False,
        "memory_limit": f"{resources.duckdb_bytes}B",
        "threads": resources.threads,
        "temp_directory": utf8_path(spill.folder),
    }
    connection = duckdb.connect(":memory:", config=config)
    prepare = partial(_prepare, connection, address, spill)
    with _served(connection, address, application_name, prepare, watch or Watch()) as session:
        yield session
        session.ready.result()


@contextlib.contextmanager
def session_beside(session: Session, number: int) -> Iterator[Session]:
    """A further session in the same DuckDB, with a thread and attachments of its own."""
    connection = session.connection.cursor()
    address, name = session.address, session.application_name
    prepare = partial(_without_bar, connection)
    with _served(connection, address, name, prepare, session.watch, f"lane{number}_pg") as beside:
        yield beside
        Running(beside, detach, beside).result()


@contextlib.contextmanager
def _served(
    connection: duckdb.DuckDBPyConnection,
    address: ServerAddress,
    application_name: str,
    prepare: Callable[[], None],
    watch: Watch,
    prefix: str = "pg",
) -> Iterator[Session]:
    """The session over a connection, which is prepared first and closed at the end."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="duckwarp-duckdb") as worker:
        session = Session(
            connection=connection,
            worker=worker,
            address=address,
            application_name=application_name,
            ready=worker.submit(prepare),
            watch=watch,
            prefix=prefix,
        )
        try:
            yield session
        finally:
            Running(session, _close, session).result()


def _without_bar(connection: duckdb.DuckDBPyConnection) -> None:
    # DuckDB draws one of its own on standard output otherwise.
    connection.execute("SET enable_progress_bar = false")


def _prepare(connection: duckdb.DuckDBPyConnection, address: ServerAddress, spill: Spill) -> None:
    _without_bar(connection)
    _load_extension(connection)
    if spill.limit_bytes is not None:
        # As an option of connect() it is shown, and not heeded.
        limit = f"{spill.limit_bytes}B"
        connection.execute(f"SET GLOBAL max_temp_directory_size = {literal(limit)}")
    # A written file is looked at again: its geometries are bytes.
    connection.execute("SET GLOBAL enable_geoparquet_conversion = false")
    password = address.password
    secret = f", PASSWORD {literal(password)}" if password is not None else ""
    connection.execute(f"CREATE TEMPORARY SECRET {SECRET} (TYPE postgres{secret})")


def close_early(session: Session) -> None:
    """Begin to close a session that has nothing more to do, while its user goes on."""
    Running(session, _close, session)


def _close(session: Session) -> None:
    # Closing with a transaction open aborts the process where the server has ended its session.
    leave_snapshot(session)
    session.connection.close()


def interrupt(session: Session) -> None:
    """Ask DuckDB to stop what it does at this moment for a session; nothing if it is closed.

    It stops at once only if the server stops sending: cancel the run's backends first.
    """
    with contextlib.suppress(duckdb.Error):
        session.connection.interrupt()


class Running(Generic[T]):
    """Work of DuckDB's under way in the session's thread."""

    def __init__(
        self, session: Session, work: Callable[P, T], *args: P.args, **kw: P.kwargs
    ) -> None:
        self._session = session
        waits = session.watch.begin(computes=True)
        self._future = session.worker.submit(work, *args, **kw)
        self._future.add_done_callback(lambda _: session.watch.end(waits))

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether it has ended, well or not."""
        return bool(wait([self._future], timeout=seconds).done)

    def result(self) -> T:
        """What it gave, once it has ended; raises what it raised."""
        return self._future.result()

    def interrupt(self) -> None:
        """Ask DuckDB to stop what it does at this moment."""
        interrupt(self._session)


def extension_path() -> Path | None:
    """Where the extension's package has the file for this DuckDB, None where it has none."""
    spec = importlib.util.find_spec(EXTENSION_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        path = Path(folder, "extensions", f"v{duckdb.__version__}", EXTENSION_FILE)
        if path.is_file():
            return path
    return None


def extension_version() -> tuple[str, str]:
    """(DuckDB's version, that of the extension that a run would load).

    Raises `ExtensionMissing`.
    """
    with contextlib.closing(duckdb.connect(":memory:", config={"threads": 1})) as connection:
        _load_extension(connection)
        query = "SELECT extension_version FROM duckdb_extensions() WHERE loaded AND extension_name"
        row = connection.execute(f"{query} = 'postgres_scanner'").fetchone()
    return duckdb.__version__, str(row[0]) if row else "of an unknown version"


def _load_extension(connection: duckdb.DuckDBPyConnection) -> None:
    path = extension_path()
    try:
        if path is not None:
            connection.execute(f"LOAD {literal(utf8_path(path))}")
        else:
            connection.execute("INSTALL postgres")
            connection.execute("LOAD postgres")
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise ExtensionMissing(duckdb.__version__, reason) from error


def attach(session: Session, count: int) -> list[str]:
    """The names of up to `count` attachments of the server, made where they are missing.

    They are fewer where the server, the role or a pooler grants no more connections. Raises
    `ConnectionFailed` where it grants none.
    """
    for number in range(len(session.attached), count):
        name = f"{session.prefix}{number}"
        conninfo = _conninfo(session.address.parameters, session.application_name)
        try:
            session.connection.execute(
                f"ATTACH {literal(conninfo)} AS {name} (TYPE postgres, SECRET {SECRET}, READ_ONLY)"
            )
        except duckdb.Error as error:
            if session.watch.reason is not None:
                raise _unanswered(session.watch.reason) from None
            if session.attached:
                break
            reason = " ".join(str(error).split()).replace(conninfo, "…")
            reason = with_advice(without_passwords(reason))
            raise refusal_noted(ConnectionFailed(reason), reason) from None
        session.attached.append(name)
    return session.attached[:count]


def _unanswered(reason: str) -> ConnectionFailed:
    failed = ConnectionFailed(reason)
    failed.may_pass = True
    return failed


def _conninfo(parameters: Mapping[str, str], application_name: str) -> str:
    fixed = {"application_name": application_name, "client_encoding": "UTF8"}
    return " ".join(
        f"{key}='{value.translate(_CONNINFO_ESCAPES)}'"
        for key, value in (dict(parameters) | fixed).items()
    )


_CONNINFO_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'"})


def enter_snapshot(session: Session, shared: SharedSnapshot, count: int) -> list[str]:
    """The names of up to `count` attachments that read the snapshot, in DuckDB's transaction.

    The transaction stays open over the sources of a run, and with it the locks that each session
    has of its own: one that asked for its lock later would stand behind whoever waits to change the
    relation, and that one waits for the run. Where they cannot be had at once, each is taken when
    its relation is read. Raises `RunError` where the snapshot cannot be read.
    """
    session.ready.result()
    try:
        return _enter(session, shared, count, shared.locks)
    except duckdb.Error:
        leave_snapshot(session)
    try:
        return _enter(session, shared, count, ())
    except duckdb.Error as error:
        leave_snapshot(session)
        reason = session.watch.reason or str(error).splitlines()[0]
        refused = RunError(f"cannot read the run's snapshot: {reason}")
        refused.may_pass = True
        raise refused from error


def _enter(
    session: Session, shared: SharedSnapshot, count: int, locks: tuple[str, ...]
) -> list[str]:
    if len(session.attached) < count:
        # What is attached within a transaction would end with it, and what fails ends it.
        leave_snapshot(session)
    names = attach(session, count)
    if not session.reading:
        session.connection.execute("BEGIN TRANSACTION")
    statements = [f"SET TRANSACTION SNAPSHOT {literal(shared.snapshot_id)}"]
    if shared.search_path is not None:
        statements.append(shared.search_path_statement)
    statements += [f"SET LOCAL {identifier(k)} = {literal(v)}" for k, v in shared.settings.items()]
    if locks:
        # The run has them: who has to wait stands behind somebody who waits for the run.
        locks = (f"SET LOCAL lock_timeout = {literal(AT_ONCE)}", *locks)
        patience = shared.settings.get("lock_timeout")
        locks += (f"SET LOCAL lock_timeout = {literal(patience)}",) if patience else ()
    for name in names:
        if name not in session.reading:
            session.reading.append(name)
            execute_on_server(session, name, "; ".join([*statements, *locks]))
    return names


def execute_on_server(session: Session, name: str, statement: str) -> None:
    """Run a statement of PostgreSQL's in the transaction of an attachment."""
    session.connection.execute(f"CALL postgres_execute({literal(name)}, {literal(statement)})")


def detach(session: Session) -> None:
    """Give all connections of the attachments back to the server."""
    leave_snapshot(session)
    while session.attached:
        session.connection.execute(f"DETACH DATABASE IF EXISTS {session.attached.pop()}")


def leave_snapshot(session: Session) -> bool:
    """End DuckDB's transaction, after an error or for good; the next source enters anew.

    Whether the server's sessions were still there to end theirs.
    """
    session.reading.clear()
    try:
        session.connection.execute("ROLLBACK")
    except duckdb.TransactionException:
        return True  # there was none to end
    except duckdb.Error:
        return False
    return True
