"""Checks of the server: how it is reached, as whom, and whether a run could read from it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from duckwarp.doctor.checks import Check, failed, ok, warning
from duckwarp.doctor.examination import Examination
from duckwarp.engine.layout import RANGES_SINCE
from duckwarp.model.errors import ConnectionFailed
from duckwarp.model.settings import MIN_CONNECTIONS
from duckwarp.postgres.poolers import Pooler, Reach, examining
from duckwarp.postgres.server import ServerFacts, clock_of, server_facts

# The first version that the tests cover.
OLDEST_VERSION = 120000
# Longer than a clock is off that is set over the network.
MAX_CLOCK_SECONDS = 5.0
# A copy of a large table takes longer than the default of a standby.
ENOUGH_STANDBY_SECONDS = 600
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def connection(examination: Examination) -> Iterator[Check]:
    """Whether the server is there and lets the role in."""
    try:
        opened = examining(examination.settings, dict(os.environ))
        examination.session, examination.reach = examination.stack.enter_context(opened)
    except ConnectionFailed as error:
        yield failed("connection", str(error), _CONNECTION_ADVICE)
        return
    facts = server_facts(examination.session)
    examination.server = facts
    encrypted = "encrypted" if facts.is_encrypted else "not encrypted"
    where = f'database "{facts.database}" at {facts.host}, port {facts.port}'
    finding = f"{where} ({encrypted})"
    local = facts.host.startswith("/") or facts.host in ("localhost", "127.0.0.1", "::1")
    if facts.is_encrypted or local:
        yield ok("connection", finding, encrypted=facts.is_encrypted)
    else:
        advice = "over an untrusted network, add sslmode=verify-full to the connection string"
        yield warning("connection", finding, advice, encrypted=False)


_CONNECTION_ADVICE = (
    "check --dsn, DUCKWARP_DSN, DATABASE_URL, libpq's PG* variables and files, or POSTGRES_*, and "
    "whether the server listens there and lets the role in"
)


def version(examination: Examination) -> Iterator[Check]:
    """Whether the server's version and encoding are known to work."""
    facts = _facts(examination)
    finding = f"PostgreSQL {facts.version_text}, encoding {facts.encoding}"
    figures = {"server_version": facts.version_text, "server_encoding": facts.encoding}
    if facts.version < OLDEST_VERSION:
        advice = "duckwarp is tested with PostgreSQL 12 and newer"
        yield warning("server", finding, advice, **figures)
    elif facts.encoding == "SQL_ASCII":
        advice = "it may hold text that is no UTF-8; a source with such text fails and says where"
        yield warning("server", finding, advice, **figures)
    else:
        yield ok("server", finding, **figures)


def role(examination: Examination) -> Iterator[Check]:
    """Who reads, and whether that role may do more than it needs."""
    facts = _facts(examination)
    figures = {"role": facts.role, "superuser": facts.is_superuser}
    if facts.is_superuser:
        yield warning(
            "role",
            f'"{facts.role}" is a superuser',
            "a role that may only read is enough: docs/cron.md has its GRANTs",
            **figures,
        )
    else:
        yield ok("role", f'"{facts.role}", no superuser', **figures)


def pooler(examination: Examination) -> Iterator[Check]:
    """Whether a pooler in between gives a session away while it is in use."""
    reach = _reach(examination)
    figures = {"pooler": reach.pooler.value}
    if reach.pooler is Pooler.TRANSACTION:
        yield failed(
            "pooler",
            "the server is reached through a pooler that lends its sessions for a transaction "
            "each (PgBouncer's pool_mode=transaction): settings and snapshots do not stay",
            "connect to the server itself, or to a pool with pool_mode=session",
            **figures,
        )
    elif reach.pooler is Pooler.SESSION:
        yield ok("pooler", "a pooler stands between, and keeps sessions apart", **figures)
    else:
        yield ok("pooler", "no pooler stands between", **figures)


def snapshot(examination: Examination) -> Iterator[Check]:
    """Whether one session can read the snapshot of another."""
    reach = _reach(examination)
    if reach.snapshot_refusal is None:
        yield ok("snapshot", "a second session reads the snapshot of the first")
    else:
        yield failed("snapshot", f"cannot be shared: {reach.snapshot_refusal}", _SNAPSHOT_ADVICE)


_SNAPSHOT_ADVICE = (
    "all sessions have to reach the same server: name one host, and no balancer or pooler "
    "that spreads sessions over several"
)


def ranges(examination: Examination) -> Iterator[Check]:
    """Whether large tables can be read over several connections."""
    if _facts(examination).version >= RANGES_SINCE:
        yield ok("ctid ranges", "large tables are read over several connections")
    else:
        yield warning(
            "ctid ranges",
            "each table is read over one connection",
            "PostgreSQL 14 and newer read ranges of pages, which is faster",
        )


def connections(examination: Examination) -> Iterator[Check]:
    """Whether there are as many connections as a run may want."""
    facts, reach = _facts(examination), _reach(examination)
    wanted = examination.settings.max_connections
    finding = f"{reach.sessions} of the {wanted} of --max-connections could be had; {_room(facts)}"
    figures = {
        "available_connections": reach.sessions,
        "wanted_connections": wanted,
        "server_connections": facts.max_connections,
        "used_connections": facts.used_connections,
        "role_connections": facts.role_limit,
        "database_connections": facts.database_limit,
    }
    why = f" ({reach.refusal})" if reach.refusal else ""
    if reach.sessions >= wanted:
        yield ok("connections", finding, **figures)
    elif reach.sessions >= MIN_CONNECTIONS:
        advice = (
            f"a run is slower with fewer: allow more, or set --max-connections {reach.sessions}"
        )
        yield warning("connections", finding + why, advice, **figures)
    else:
        advice = f"a run needs {MIN_CONNECTIONS}: raise the limit of the role, pool or server"
        yield failed("connections", finding + why, advice, **figures)


def _room(facts: ServerFacts) -> str:
    limits = [f"the server allows {facts.max_connections} and has {facts.used_connections} now"]
    limits += [f"the role {facts.role_limit}"] if facts.role_limit is not None else []
    limits += [f"the database {facts.database_limit}"] if facts.database_limit is not None else []
    return ", ".join(limits)


def standby(examination: Examination) -> Iterator[Check]:
    """Whether the server is a standby, and whether one that lets a long copy come to its end."""
    facts = _facts(examination)
    if not facts.is_standby:
        yield ok("standby", "the server is a primary", is_standby=False)
        return
    feedback = facts.settings.get("hot_standby_feedback", "off")
    delays = {name: facts.settings[name] for name in _DELAYS}
    behind = facts.seconds_behind
    late = "" if behind is None else f", its last change {behind:,.0f} s old"
    told = [f"{name}={value}" for name, value in delays.items()]
    finding = f"a hot standby{late}; {', '.join([*told, f'hot_standby_feedback={feedback}'])}"
    figures = {"is_standby": True, "seconds_behind": behind, "hot_standby_feedback": feedback}
    short = [name for name, value in delays.items() if _seconds(value) < ENOUGH_STANDBY_SECONDS]
    if feedback == "on" or not short:
        yield ok("standby", finding, **figures | delays)
    else:
        advice = (
            "a copy that takes longer may be cancelled: set hot_standby_feedback = on, or raise "
            f"{' and '.join(short)} above the time of an export"
        )
        yield warning("standby", finding, advice, **figures | delays)


_DELAYS = ("max_standby_streaming_delay", "max_standby_archive_delay")


def _seconds(text: str) -> float:
    """The seconds of a setting as PostgreSQL shows it: `30s`, `-1` for no limit."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text[len(number) :]
    if float(number) < 0:
        return float("inf")
    return float(number) * _UNITS.get(unit, 0.001)


def timeouts(examination: Examination) -> Iterator[Check]:
    """Which timeouts a session begins with, and whether any of them would end a run."""
    facts = _facts(examination)
    told = ", ".join(f"{name} {value}" for name, value in facts.timeouts.items())
    threshold = facts.settings.get("old_snapshot_threshold", "-1")
    if threshold != "-1":
        yield warning(
            "timeouts",
            f'old_snapshot_threshold is {threshold}: an older snapshot fails with "too old"',
            "let it be longer than an export takes",
            old_snapshot_threshold=threshold,
        )
    elif facts.timeouts:
        finding = f"a session begins with {told}: a run switches them off for its own sessions"
        yield ok("timeouts", finding, **facts.timeouts)
    else:
        yield ok("timeouts", "none is set for the role, the database or the server")


def clock(examination: Examination) -> Iterator[Check]:
    """Whether the two machines agree on the time."""
    assert examination.session is not None
    found = clock_of(examination.session)
    seconds = found.ahead_seconds
    how = "ahead of" if seconds > 0 else "behind"
    finding = f"the server is {abs(seconds):,.1f} s {how} this machine"
    figures = {"server_ahead_seconds": round(seconds, 3)}
    if abs(seconds) - found.within_seconds > MAX_CLOCK_SECONDS:
        advice = "set both over NTP: times in events, dictionaries and metrics are of this machine"
        yield warning("clock", finding, advice, **figures)
    else:
        yield ok("clock", finding, **figures)


def _facts(examination: Examination) -> ServerFacts:
    assert examination.server is not None
    return examination.server


def _reach(examination: Examination) -> Reach:
    assert examination.reach is not None
    return examination.reach
