"""A secret leaves the process nowhere, whatever goes wrong: each failure, looked for everywhere.

Every way of giving a secret is used at once, each with a secret of its own. All of them have
`kanarie` and `vogel` in them, between characters that URIs, key=value strings, SQL, JSON and Python
quote in ways of their own: not even a part may be seen.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from duckwarp.demo.server import EmbeddedServer, embedded_server
from tests.test_interrupt import PATIENCE_SECONDS

PASSWORD = "kanarie@/ %'\"\\:vogel"
IN_PASSFILE = "kanarie of a file vogel"
IN_OPTIONS = "kanarie-in-an-option-vogel"
OF_LIBPQ = "kanarie of libpq vogel"
OF_WAREHOUSE = "kanarie of the warehouse vogel"
OF_BACKEND = "kanarie-of-the-backend-vogel"
SECRETS = (PASSWORD, IN_PASSFILE, IN_OPTIONS, OF_LIBPQ, OF_WAREHOUSE, OF_BACKEND)
IN_BASE64 = [re.escape(base64.b64encode(secret.encode())[:12]) for secret in SECRETS]
TRACES = re.compile(b"|".join([b"kanarie", b"vogel", *IN_BASE64]), re.IGNORECASE)

ROLES = {
    "reader": PASSWORD,
    "alone": PASSWORD,
    "by_file": IN_PASSFILE,
    "by_libpq": OF_LIBPQ,
    "by_warehouse": OF_WAREHOUSE,
}
SCHEMA = """
    ALTER ROLE alone CONNECTION LIMIT 1;
    CREATE TABLE plain AS SELECT n FROM generate_series(1, 10) AS n;
    CREATE VIEW endless AS
    SELECT n, pg_sleep(0.01)::text AS s FROM generate_series(1, 1000000) AS n;
    GRANT SELECT ON plain, endless TO PUBLIC"""

# Faults of duckwarp that say all they know: in one source, and in the whole run.
SOURCE_FAULT = """
import duckwarp.export.source as preparing
def broken(snapshot, source, columns, settings):
    address = snapshot.address
    raise ValueError(f"{address.password} {address.parameters} {settings.dsn} {address.password!r}")
preparing.admit = broken
"""
RUN_FAULT = """
import duckwarp.export.run as exporter
def broken(address, *rest):
    raise ValueError(f"{address.password} in {address.parameters} or {address.password!r}")
exporter.open_session = broken
"""


# Another run, as it is for this one: a lock is not shared with oneself.
HOLDER = """
import pathlib, sys
from duckwarp.store.lock import hold
base = pathlib.Path(sys.argv[sys.argv.index("--output") + 1]) / ".duckwarp"
base.mkdir(parents=True)
held = hold(base, run_id="other")
held.__enter__()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    """A server that asks all but its superuser for a password."""
    with embedded_server() as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            for role, password in ROLES.items():
                statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
                connection.execute(statement.format(sql.Identifier(role), password))
            connection.execute(SCHEMA.encode())
            rules = "local all postgres trust\nlocal all all scram-sha-256\n"
            (server.folder / "data/pg_hba.conf").write_text(rules)
            connection.execute("SELECT pg_reload_conf()")
        wait_until(lambda: not _enters_with_any_password(server))
        yield server


def _enters_with_any_password(server: EmbeddedServer) -> bool:
    try:
        psycopg.connect(server.dsn, user="reader", password="wrong").close()
    except psycopg.OperationalError:
        return False
    return True


def wait_until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@dataclass(frozen=True)
class Running:
    """A run of the command line that is under way, and the server that it reads."""

    server: EmbeddedServer
    process: subprocess.Popen[bytes]

    def on_server(self, statement: bytes) -> list[Any]:
        with psycopg.connect(self.server.dsn, autocommit=True) as connection:
            return connection.execute(statement).fetchall()

    def wait_until_reading(self) -> None:
        """Until the server sends the rows that do not end."""
        query = b"SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        wait_until(lambda: self.process.poll() is not None or bool(self.on_server(query)))
        assert self.process.poll() is None


Action = Callable[[Running], None]


def sends(number: signal.Signals) -> Action:
    """Sends the signal in the middle of the copy."""

    def act(running: Running) -> None:
        running.wait_until_reading()
        running.process.send_signal(number)

    return act


END_SESSIONS = b"""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name LIKE 'duckwarp %'"""


def ends_sessions(running: Running) -> None:
    """Has the server end the run's sessions in the middle of the copy, and whenever it is back."""
    running.wait_until_reading()
    while running.process.poll() is None:
        running.on_server(END_SESSIONS)
        with suppress(subprocess.TimeoutExpired):
            running.process.wait(0.1)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """How a run is made to fail, the exit code, and words by which it is known.

    `connection` changes parameters of the DSN, which is in the environment unless it is `dsn`.
    """

    code: int
    words: str
    arguments: tuple[str, ...] = ("--table", "public.plain")
    connection: Mapping[str, str | None] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""
    act: Action | None = None
    locks: bool = False
    retries: int = 0
    command: str = "export"

    @property
    def is_export(self) -> bool:
        """Whether there is a record of it, and retries."""
        return self.command == "export"


ENDLESS = ("--table", "public.endless")
FAILURES = {
    "all is well": Failure(code=0, words='"exported": 1'),
    "no server": Failure(
        code=3, words="cannot connect", connection={"host": "127.0.0.1", "port": "9"}
    ),
    "a wrong password": Failure(
        code=3, words="password authentication failed", connection={"user": "by_file"}
    ),
    "no such database": Failure(code=3, words="does not exist", connection={"dbname": "nowhere"}),
    "an option that the server refuses": Failure(
        code=3,
        words="invalid value for parameter",
        connection={"options": f"-c work_mem={IN_OPTIONS}"},
    ),
    "a DSN that cannot be read": Failure(
        code=2,
        words="cannot be read",
        environment={"DUCKWARP_DSN": f"postgresql://reader:{PASSWORD}@db.example/x"},
    ),
    "no registry": Failure(code=3, words="registry", arguments=("adhd",)),
    "wrong usage": Failure(code=2, words="--nonsense", arguments=("adhd", "--nonsense")),
    "no output folder": Failure(
        code=3,
        words="output folder",
        arguments=("--table", "public.plain", "--output", "/dev/null/x"),
    ),
    "a table that is locked": Failure(
        code=1,
        words="could not be locked",
        arguments=("--table", "public.plain", "--lock-timeout", "0.1"),
        locks=True,
    ),
    "a statement that takes too long": Failure(
        code=1, words="statement timeout", arguments=(*ENDLESS, "--statement-timeout", "0.3")
    ),
    "too few connections": Failure(
        code=1, words="too many connections", connection={"user": "alone"}
    ),
    "sessions that the server ends": Failure(
        code=1, words="", arguments=ENDLESS, act=ends_sessions, retries=1
    ),
    "Ctrl-C": Failure(code=130, words="interrupted", arguments=ENDLESS, act=sends(signal.SIGINT)),
    "SIGTERM": Failure(code=143, words="SIGTERM", arguments=ENDLESS, act=sends(signal.SIGTERM)),
    "a folder that another run has": Failure(code=4, words="is held by", fault=HOLDER),
    "SIGKILL": Failure(code=-9, words="", arguments=ENDLESS, act=sends(signal.SIGKILL)),
    "an abort with all stacks": Failure(
        code=-6,
        words="Fatal Python error",
        arguments=ENDLESS,
        environment={"PYTHONFAULTHANDLER": "1"},
        act=sends(signal.SIGABRT),
    ),
    "a fault in a source": Failure(code=1, words="unexpected ValueError", fault=SOURCE_FAULT),
    "a fault in the run": Failure(code=3, words="Traceback", fault=RUN_FAULT),
    "a doctor with a wrong password": Failure(
        code=3,
        words="password authentication failed",
        connection={"user": "by_file"},
        command="doctor",
    ),
    "an option that the server refuses a doctor": Failure(
        code=3,
        words="invalid value for parameter",
        connection={"options": f"-c work_mem={IN_OPTIONS}"},
        command="doctor",
    ),
    "files that cannot be verified": Failure(
        code=3,
        words="password authentication failed",
        connection={"user": "by_file"},
        command="verify",
    ),
    "a lineage backend that is down": Failure(
        code=0,
        words="were not delivered",
        environment={
            "OPENLINEAGE__TRANSPORT": json.dumps(
                {
                    "type": "http",
                    "url": f"http://u:{OF_BACKEND}@127.0.0.1:9/",
                    "auth": {"type": "api_key", "apiKey": OF_BACKEND},
                }
            )
        },
    ),
}


def a_dsn(server: EmbeddedServer, **changes: str | None) -> str:
    """A key=value DSN with the password and a secret among its options."""
    parameters = {"user": "reader", "password": PASSWORD, "options": f"-c x.y={IN_OPTIONS}"}
    return make_conninfo(server.dsn, **(parameters | changes))


def as_uri(dsn: str) -> str:
    """The same DSN as a URI, percent-encoded."""
    parameters = conninfo_to_dict(dsn)
    query = "&".join(
        f"{key}={quote(str(value), safe='')}" for key, value in sorted(parameters.items())
    )
    return f"postgresql://?{query}"


def an_environment(server: EmbeddedServer, folder: Path, dsn: str) -> dict[str, str]:
    """All the variables that may hold a secret, and a password file."""
    passfile = folder / "passfile"
    passfile.write_text(f"*:*:*:*:{IN_PASSFILE}\n")
    passfile.chmod(0o600)
    transport = {"type": "file", "log_file_path": str(folder / "lineage.jsonl"), "append": True}
    return {
        "DUCKWARP_DSN": dsn,
        "PGPASSWORD": OF_LIBPQ,
        "POSTGRES_PASSWORD": OF_WAREHOUSE,
        "PGPASSFILE": str(passfile),
        "OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "OPENLINEAGE_API_KEY": OF_BACKEND,
    }


def channels_of(
    server: EmbeddedServer, folder: Path, failure: Failure, environment: dict[str, str], *dsn: str
) -> dict[str, bytes]:
    """All that can be seen of a run: what it prints, its command line, and every file it leaves."""
    out = [] if "--output" in failure.arguments else ["--output", str(folder / "out")]
    record = ["--events", "--log-file", "--metrics-file"]
    files = [word for option in record for word in (option, str(folder / f"{option[2:]}.record"))]
    program = f"{failure.fault}\nfrom duckwarp.cli.app import main\nmain()"
    start = ["-c", program] if failure.fault else ["-m", "duckwarp"]
    how = ["--json", "--verbose"]
    if failure.is_export:
        how += ["--retries", str(failure.retries), *files]
    arguments = [failure.command, *failure.arguments, *dsn, *out, *how]
    with subprocess.Popen(
        [sys.executable, *start, *arguments],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    ) as process:
        try:
            running = Running(server, process)
            command = Path(f"/proc/{process.pid}/cmdline")
            command_line = command.read_bytes() if command.exists() else b""
            if failure.act is not None:
                failure.act(running)
            printed, errors = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
            # A killed run leaves sessions, for which the next one's must not be taken.
            wait_until(lambda: not running.on_server(END_SESSIONS))
    assert process.returncode == failure.code, errors.decode()
    assert failure.words in (printed + errors).decode(), (printed, errors)
    seen = {"stdout": printed, "stderr": errors, "the process list": command_line}
    left = [path for path in folder.rglob("*") if path.is_file() and path.name != "passfile"]
    return seen | {str(path.relative_to(folder)): path.read_bytes() for path in left}


def leaks(channels: Mapping[str, bytes]) -> dict[str, bytes]:
    """The channels that show a secret, with what surrounds it."""
    found = {name: TRACES.search(content) for name, content in channels.items()}
    return {
        name: channels[name][max(0, match.start() - 60) : match.end() + 60]
        for name, match in found.items()
        if match is not None
    }


@pytest.mark.embedded
@pytest.mark.parametrize("name", FAILURES)
def test_no_failure_shows_a_secret(server: EmbeddedServer, tmp_path: Path, name: str) -> None:
    failure = FAILURES[name]
    dsn = as_uri(a_dsn(server, **failure.connection))
    environment = an_environment(server, tmp_path, dsn) | failure.environment
    with psycopg.connect(server.dsn) as connection:
        if failure.locks:
            connection.execute("LOCK TABLE plain")
        channels = channels_of(server, tmp_path, failure, environment)
    if failure.is_export:
        assert channels["events.record"]
        assert channels["log-file.record"]
    if failure.is_export and failure.code >= 0:
        assert b'"run_ended"' in channels["events.record"]
        assert b"duckwarp_last_run_exit_code{" in channels["metrics-file.record"]
    assert leaks(channels) == {}


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to give the connection: which role, and what is in which variable or argument."""

    role: str
    variable: str | None = None
    is_uri: bool = False


WAYS = {
    "key=value in DUCKWARP_DSN": Way(role="reader", variable="DUCKWARP_DSN"),
    "a URI in DATABASE_URL": Way(role="reader", variable="DATABASE_URL", is_uri=True),
    "a password file": Way(role="by_file", variable="PGPASSFILE"),
    "PGPASSWORD": Way(role="by_libpq", variable="PGPASSWORD"),
    "POSTGRES_PASSWORD": Way(role="by_warehouse", variable="POSTGRES_PASSWORD"),
    "--dsn": Way(role="reader"),
}


@pytest.mark.embedded
@pytest.mark.parametrize("name", WAYS)
def test_no_way_of_giving_a_secret_lets_a_fault_show_it(
    server: EmbeddedServer, tmp_path: Path, name: str
) -> None:
    way = WAYS[name]
    dsn = a_dsn(server)
    whole = {} if way.variable is None else an_environment(server, tmp_path, dsn)
    environment = {key: whole[key] for key in whole if key == way.variable}
    place = conninfo_to_dict(server.dsn)
    if way.variable in ("DUCKWARP_DSN", "DATABASE_URL"):
        environment = {str(way.variable): as_uri(dsn) if way.is_uri else dsn}
    elif way.variable == "POSTGRES_PASSWORD":
        environment |= {
            "POSTGRES_HOST": str(place["host"]),
            "POSTGRES_DB": "postgres",
            "POSTGRES_USER": way.role,
        }
    else:
        environment |= {"PGHOST": str(place["host"]), "PGUSER": way.role, "PGDATABASE": "postgres"}
    given = [] if way.variable else ["--dsn", dsn]
    channels = channels_of(server, tmp_path, FAILURES["a fault in a source"], environment, *given)
    shown = leaks(channels)
    if not way.variable and channels["the process list"]:
        # As the help and the documentation say.
        assert shown.pop("the process list")
    assert shown == {}


@pytest.mark.parametrize("secret", SECRETS)
def test_a_leak_would_be_found(secret: str) -> None:
    for spelling in (secret, quote(secret), repr(secret), secret.partition("@")[2] or secret):
        assert leaks({"somewhere": b"before " + spelling.encode() + b" after"})
    assert leaks({"somewhere": base64.b64encode(secret.encode())})
    assert not leaks({"somewhere": b"nothing"})
