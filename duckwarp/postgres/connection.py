"""How the server is reached: which connection string, which session, which words when it fails.

Connection strings come in here and go no further: what leaves is an open connection, a
`ServerAddress`, or an error without secrets.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote

import psycopg
from psycopg import conninfo, pq, sql

from duckwarp.model.errors import ConnectionFailed, UsageError
from duckwarp.model.redaction import hide, without, without_passwords
from duckwarp.model.settings import SESSION_SETTINGS, ServerAddress
from duckwarp.postgres.faults import noted, refusal_noted
from duckwarp.postgres.watching import Watch

# What psycopg logs of connections that are lost is told by the errors.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
APPLICATION_NAME = "duckwarp"
PG_CATALOG_FIRST = "pg_catalog, "
NEEDS = "duckwarp needs at least 2 connections: one holds the snapshot"
CONNECT_TIMEOUT_SECONDS = 10
# So that a way to the server that is gone is noticed, and one that is idle while others copy is
# kept open by the firewalls on it: after a minute, and after two without an answer.
_KEPT_ALIVE = {
    "keepalives_idle": 60,
    "keepalives_interval": 15,
    "keepalives_count": 4,
    "tcp_user_timeout": 120_000,
}

# The variables by which libpq itself is told where to go. Any one of them takes precedence over the
# POSTGRES_* variables of the warehouse's own tools.
_LIBPQ_VARIABLES = (
    "PGSERVICE",
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
)
_WAREHOUSE_VARIABLES = {
    "POSTGRES_HOST": "host",
    "POSTGRES_PORT": "port",
    "POSTGRES_DB": "dbname",
    "POSTGRES_USER": "user",
    "POSTGRES_PASSWORD": "password",
}
# `postgresql+psycopg://` and the like are SQLAlchemy's way to name a driver.
_DRIVER_SUFFIX = re.compile(r"^(postgres(?:ql)?)\+\w+://")


def resolve_conninfo(dsn: str | None, environ: Mapping[str, str]) -> str:
    """The connection string of a run, in key=value form; it may hold a password.

    `dsn` first, then `DUCKWARP_DSN`, `DATABASE_URL`, libpq's own variables and files, and at last
    the `POSTGRES_*` variables. One that libpq cannot parse is not passed over, as what comes after
    it may be another database: raises `UsageError`, which says where it came from.
    """
    name, given = _find_given(dsn, environ)
    parameters = _parse(name, _DRIVER_SUFFIX.sub(r"\1://", given))
    if not given and not any(environ.get(variable) for variable in _LIBPQ_VARIABLES):
        named = {key: environ.get(variable) for variable, key in _WAREHOUSE_VARIABLES.items()}
        parameters |= {key: value for key, value in named.items() if value}
    if "connect_timeout" not in parameters and "PGCONNECT_TIMEOUT" not in environ:
        parameters["connect_timeout"] = CONNECT_TIMEOUT_SECONDS
    if "service" not in parameters and not environ.get("PGSERVICE"):
        # A service file may say it, and what is given here would count before that.
        parameters = _KEPT_ALIVE | parameters
    _hide_secrets(parameters, environ)
    return conninfo.make_conninfo("", **parameters)


def _hide_secrets(parameters: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Have no text of this process repeat them; a password that is a name, too, is none."""
    names = [str(parameters.get(key, "")) for key in ("host", "dbname", "user")]
    secrets = [value for key, value in parameters.items() if key.endswith(_SECRET_ENDINGS)]
    secrets += _CUSTOM_OPTION.findall(str(parameters.get("options", "")))
    for secret in (*secrets, environ.get("PGPASSWORD"), environ.get("POSTGRES_PASSWORD")):
        hide(secret, unless=names)


_SECRET_ENDINGS = ("password", "secret")
# A setting with a dot in its name is none of PostgreSQL's own: it may be a token for anything.
_CUSTOM_OPTION = re.compile(r"(?:-c\s*|--)\w+\.[\w.]+=(\S+)")


def _find_given(dsn: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """The connection string that counts, and where it came from; an empty one if none is given."""
    if dsn is not None:
        if not dsn.strip():
            raise UsageError("--dsn is empty: leave it out to use the environment")
        return "--dsn (or dsn=)", dsn.strip()
    for name in (_OWN_VARIABLE, _SHARED_VARIABLE):
        if given := environ.get(name, "").strip():
            return name, given
    return "", ""


_OWN_VARIABLE = "DUCKWARP_DSN"
_SHARED_VARIABLE = "DATABASE_URL"


def _parse(name: str, given: str) -> dict[str, Any]:
    try:
        parameters = dict(conninfo.conninfo_to_dict(given))
    except (psycopg.ProgrammingError, UnicodeError):
        # libpq quotes the part that it could not read, which may be the password.
        raise UsageError(f"{name} {_explain_unreadable(name, given)}") from None
    if _may_be_misread(given, parameters):
        raise UsageError(f"{name} {_UNREADABLE}")
    return parameters


_UNREADABLE = (
    "cannot be read as a connection string: it takes a URI (postgresql://user@host/db) or "
    "key=value pairs (host=… dbname=…); percent-encode special characters in a URI"
)
_URI = re.compile(r"postgres(?:ql)?://")
# With and without a double slash, as JDBC, Prisma and SQLAlchemy have them.
_OTHER_SCHEME = re.compile(
    r"(?:jdbc:)?(?:[a-z][a-z0-9+.-]{0,30}://|(?:sqlite|file|postgres(?:ql)?):)", re.IGNORECASE
)
_QUOTES = "\"'`\N{LEFT DOUBLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}"


def _explain_unreadable(name: str, given: str) -> str:
    """Why libpq cannot read it, and what to do; of the string itself, names alone are repeated."""
    own = f", or set {_OWN_VARIABLE}, which is looked at first" if name == _SHARED_VARIABLE else ""
    if given[0] in _QUOTES:
        return f"begins with a quotation mark, as an env-file may leave it: take it out{own}"
    scheme = _OTHER_SCHEME.match(given)
    if scheme is not None and not _URI.match(given):
        unset = "; if it is another program's, unset it here, and libpq's PG* variables count"
        return (
            f"begins with {scheme[0]}, which libpq does not know: the URI of a PostgreSQL database "
            f"begins with postgresql://{unset if own else ''}{own}"
        )
    unknown = _find_unknown(given)
    if unknown:
        names = ", ".join(f'"{each}"' for each in unknown)
        parameters, them = ("parameter", "it") if len(unknown) == 1 else ("parameters", "them")
        without = f"{own}, without {them}" if own else ""
        return f"has the {parameters} {names}, which libpq does not know: leave {them} out{without}"
    return _UNREADABLE


def _find_unknown(given: str) -> list[str]:
    """The names of parameters that libpq does not know, if they are names without a doubt."""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    names = _find_uri_names(given) if _URI.match(given) else _find_pair_names(given, known)
    return [name for name in names if name not in known and _NAME.fullmatch(name)]


_NAME = re.compile(r"[A-Za-z_][\w.-]{0,40}", re.ASCII)


def _find_uri_names(uri: str) -> list[str]:
    """The names in a URI's query, none where that may be a part of the password."""
    before, at, rest = uri.rpartition("@")
    rest, _, query = rest.partition("?")
    try:
        base = dict(conninfo.conninfo_to_dict(before + at + rest))
    except (psycopg.ProgrammingError, UnicodeError):
        return []
    if _may_be_misread(before + at + rest, base):
        return []
    # libpq takes this one of JDBC's for sslmode=require.
    pairs = [pair for pair in query.split("&") if pair != "ssl=true"]
    return [unquote(pair.partition("=")[0]) for pair in pairs]


_PAIR = re.compile(r"\s*(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^'\s\\]|\\.)*)(?=\s|$)", re.ASCII)


def _find_pair_names(pairs: str, known: Collection[str]) -> list[str]:
    """The names of key=value pairs up to the first that is not known, or whose value is a secret.

    What comes after may be a part of that value, if it has blanks.
    """
    names: list[str] = []
    position = 0
    while pair := _PAIR.match(pairs, position):
        names.append(pair[1])
        if pair[1] not in known or pair[1].endswith(_SECRET_ENDINGS):
            break
        position = pair.end()
    return names


def _may_be_misread(given: str, parameters: Mapping[str, Any]) -> bool:
    """Whether libpq may have taken a part of the password in a URI for something else."""
    uri = _URI.match(given)
    return uri is not None and (_is_ambiguous(given[uri.end() :]) or _is_misread(parameters))


def _is_ambiguous(text: str) -> bool:
    """Whether an `@` stands where libpq ends no user and password: it may belong to them.

    `text` is a URI after its scheme. libpq ends the password at the first `@` or `/`, and what is
    left of it would be a host, a port or a database, which its messages quote.
    """
    authority, slash, _ = text.partition("/")
    _, at, host = authority.rpartition("@")
    if "@" in authority.replace("@", "", 1):
        return True
    if not at and "?" in authority:
        return "@" in text
    after = host + slash + text[len(authority) + len(slash) :]
    return "@" in after.partition("?")[0]


def _is_misread(parameters: Mapping[str, Any]) -> bool:
    """Whether the host or the port that libpq read can only be a part of something else."""
    hosts = str(parameters.get("host", "")).split(",")
    ports = str(parameters.get("port", "")).split(",")
    strange = any("@" in host[1:] for host in hosts if not host.startswith("/"))
    return strange or not all(re.fullmatch(r"\d*", port, re.ASCII) for port in ports)


class WatchedConnection(psycopg.Connection[Any]):
    """A connection whose waits for the server are watched over, once it is made."""

    watch = Watch()

    def wait(self, *args: Any, **options: Any) -> Any:
        """Wait as psycopg does; where the watch has shut the socket, the error says why."""
        wait = self.watch.begin()
        try:
            return super().wait(*args, **options)
        except psycopg.OperationalError as error:
            if self.watch.reason is not None and error.sqlstate is None:
                raise psycopg.OperationalError(self.watch.reason) from error
            raise
        finally:
            self.watch.end(wait)


def own_name() -> str:
    """A name for the sessions of one run, by which they are known among those of others."""
    return f"{APPLICATION_NAME} {secrets.token_hex(4)}"


def connect(
    conninfo_text: str, application_name: str, watch: Watch | None = None
) -> psycopg.Connection[Any]:
    """A read-only session in autocommit with the settings of `SESSION_SETTINGS`.

    Raises `ConnectionFailed` with libpq's reason.
    """
    connection = connect_plainly(conninfo_text, application_name, watch)
    try:
        prepare(connection)
    except psycopg.Error as error:
        connection.close()
        raise noted(ConnectionFailed(_reason(error, conninfo_text)), error) from None
    return connection


def prepare(connection: psycopg.Connection[Any]) -> None:
    """Make a plain session one of the run's, whatever the defaults of its role."""
    # First of all, or a short timeout of the role's would end what comes next.
    connection.execute("SET statement_timeout = 0")
    _put_pg_catalog_first(connection)
    apply_session_settings(connection)


def connect_plainly(
    conninfo_text: str, application_name: str, watch: Watch | None = None
) -> psycopg.Connection[Any]:
    """A session in autocommit as the server, the role and the environment make it.

    psycopg bounds the wait for it itself, and `watch`, if there is one, those that follow. Raises
    `ConnectionFailed` with libpq's reason.
    """
    try:
        connection = WatchedConnection.connect(
            conninfo_text,
            autocommit=True,
            application_name=application_name,
            client_encoding="UTF8",
        )
    except (psycopg.Error, UnicodeError) as error:
        refused = ConnectionFailed(_reason(error, conninfo_text))
        if isinstance(error, UnicodeError):
            raise refused from None
        raise refusal_noted(refused, str(error)) from None
    if watch is not None:
        connection.watch = watch
        watch.know(connection.pgconn.socket)
    return connection


def _put_pg_catalog_first(connection: psycopg.Connection[Any]) -> None:
    """See to it that `text` and `=` mean PostgreSQL's own; nothing to do for most search paths.

    Where a path names pg_catalog, it is searched in that place, and first of all otherwise
    (PostgreSQL manual, `search_path`).
    """
    path = search_path(connection)
    if "pg_catalog" in path:
        query = "SELECT pg_catalog.set_config('search_path', %s, false)"
        connection.execute(query, [PG_CATALOG_FIRST + path.removeprefix(PG_CATALOG_FIRST)])


def search_path(connection: psycopg.Connection[Any]) -> str:
    """The session's, as text."""
    row = connection.execute("SELECT pg_catalog.current_setting('search_path')").fetchone()
    assert row is not None
    return str(row[0])


def known_settings(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Those of `SESSION_SETTINGS` that this server knows."""
    query = "SELECT lower(name) FROM pg_catalog.pg_settings WHERE lower(name) = ANY(%s::text[])"
    names = [name.lower() for name in SESSION_SETTINGS]
    known = {row[0] for row in connection.execute(query, [names])}
    return {name: value for name, value in SESSION_SETTINGS.items() if name.lower() in known}


def apply_session_settings(connection: psycopg.Connection[Any]) -> None:
    """Set the session's defaults to `SESSION_SETTINGS`, read-only among them."""
    apply_settings(connection, known_settings(connection) | {"default_transaction_read_only": "on"})


def apply_settings(connection: psycopg.Connection[Any], settings: Mapping[str, str]) -> None:
    """Set these for the rest of the session."""
    statements = [
        sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
        for name, value in settings.items()
    ]
    connection.execute(sql.SQL("; ").join(statements))


def server_address(
    connection: psycopg.Connection[Any], *, takes_options: bool = True
) -> ServerAddress:
    """What another connection needs to reach the same server as the same role.

    A pooler takes no options: the search path has to be set in the sessions themselves then.

    Only what was given is passed on: another libpq may be older, and reads the environment itself.
    The host and the port are those that answered, of several that may have been named.
    """
    defaults = {option.keyword: option.val for option in pq.Conninfo.get_defaults()}
    given = {
        option.keyword.decode(): option.val.decode()
        for option in connection.pgconn.info
        if option.val is not None and option.val != defaults.get(option.keyword)
    }
    parameters = {key: value for key, value in given.items() if key not in _NOT_PASSED}
    info = connection.info
    parameters |= {"host": info.host, "port": str(info.port)}
    parameters |= {"dbname": info.dbname, "user": info.user}
    if info.hostaddr and not info.host.startswith("/"):
        parameters["hostaddr"] = info.hostaddr
    else:
        parameters.pop("hostaddr", None)
    path = search_path(connection)
    if path.startswith(PG_CATALOG_FIRST) and takes_options:
        # An option of the connection's is its default as well: RESET and TO DEFAULT keep it.
        option = path.replace("\\", r"\\").replace(" ", r"\ ")
        parameters["options"] = f"{parameters.get('options', '')} -c search_path={option}".strip()
    # It may come from a password file or a service.
    hide(info.password, unless=(info.host, info.dbname, info.user))
    return ServerAddress(parameters=parameters, password=info.password or None)


# What is resolved by then, set by the session itself, or a matter of the first connection only.
_NOT_PASSED = frozenset(
    {
        "password",
        "passfile",
        "service",
        "servicefile",
        "host",
        "hostaddr",
        "port",
        "target_session_attrs",
        "load_balance_hosts",
        "client_encoding",
        "fallback_application_name",
        "replication",
    }
)


def _reason(error: Exception, conninfo_text: str) -> str:
    """The error in one line, without the password even where it came back in the message."""
    text = " ".join(str(error).split())
    parameters = conninfo.conninfo_to_dict(conninfo_text)
    # The server repeats the value of an option that it does not take.
    options = str(parameters.get("options") or os.environ.get("PGOPTIONS", ""))
    for value in re.findall(r"=(\S+)", options):
        text = without(text, value)
    text = without_passwords(without(text, str(parameters.get("password") or "")))
    reason = text.removeprefix("connection failed: ").removeprefix("connection is bad: ")
    return with_advice(reason)


# psycopg passes on no SQLSTATE (53300 here) of a connection that failed, nor does DuckDB.
_EXHAUSTED = re.compile(
    r"too many connections|too many clients already|remaining connection slots are reserved"
)


def with_advice(reason: str) -> str:
    """The server's reason for refusing a connection, with what a run needs if it has no more."""
    if _EXHAUSTED.search(reason):
        return f"{reason} ({NEEDS})"
    if "unsupported startup parameter" in reason:
        return (
            f"{reason} (a pooler refuses it: leave PGOPTIONS and options out, or name it in the "
            "pooler's ignore_startup_parameters)"
        )
    return reason
