"""How a command ends badly: each error as one line, an exit code, and a document under `--json`.

No traceback unless it is asked for, and no password in any of it.
"""

from __future__ import annotations

import json
import re
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from duckwarp.cli import wording
from duckwarp.cli.documents import error_document
from duckwarp.cli.record import Record
from duckwarp.cli.streams import say, tolerated
from duckwarp.cli.usage import ExitCode
from duckwarp.engine.limits import check_limits
from duckwarp.model.errors import (
    ConnectionFailed,
    DuckwarpError,
    Locked,
    NothingMatched,
    RunError,
    Terminated,
    UsageError,
)
from duckwarp.model.redaction import without_passwords

# Typer exports only some leaves of its parser's errors; this is the root of them all.
_ParserError: type[Exception] = typer.BadParameter.__mro__[2]

_HINTS: dict[type[DuckwarpError], str] = {
    ConnectionFailed: "the server, role and database come from --dsn, DUCKWARP_DSN, DATABASE_URL, "
    "libpq's PG* variables and files, or POSTGRES_*",
    NothingMatched: "`duckwarp sources` lists what the registry has",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How an ending is told: with a document for programs, with the traceback of a fault.

    `record` keeps it, too, where the command is an export.
    """

    json: bool = False
    verbose: bool = False
    record: Record = field(default_factory=Record)


class Commands(TyperGroup):
    """The root of the commands: runs one and turns what it raises into an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name."""
        manner: Manner = ctx.obj
        try:
            check_limits()
            return super().invoke(ctx)
        except KeyboardInterrupt as interruption:
            raise typer.Exit(_interrupted(interruption, manner)) from None
        except DuckwarpError as error:
            raise typer.Exit(_known(error, manner)) from None
        except _ParserError as error:
            raise typer.Exit(_refused(error, manner)) from None
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            raise typer.Exit(_unexpected(error, manner)) from None

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  # the base's name
        """Write the examples line by line."""
        formatter.write((self.epilog or "").rstrip() + "\n")


def print_document(document: dict[str, Any]) -> None:
    """Print a document for programs, in ASCII whatever the encoding of the output is."""
    print(json.dumps(document, indent=2, default=str))


def exit_code_of(error: DuckwarpError) -> ExitCode:
    """What the shell is told of an error that stopped the command."""
    if isinstance(error, UsageError):
        return ExitCode.USAGE
    if isinstance(error, Locked):
        return ExitCode.LOCKED
    return ExitCode.NOT_STARTED if isinstance(error, RunError) else ExitCode.SOURCE_FAILED


def _known(error: DuckwarpError, manner: Manner) -> ExitCode:
    hint = _HINTS.get(type(error))
    if isinstance(error, NothingMatched) and error.wanted.startswith(("schema", "table")):
        hint = None  # neither is a matter of the registry
    return _tell(str(error), exit_code_of(error), manner, hint=hint)


def _refused(error: Any, manner: Manner) -> ExitCode:
    command = "duckwarp" if error.ctx is None else error.ctx.command_path
    hint = f"`{command} --help` shows what it takes"
    return _tell(_unescape(error.format_message()), ExitCode.USAGE, manner, hint=hint)


# The parser quotes what it was given as Python does.
_PYTHON_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")


def _unescape(message: str) -> str:
    """Write each backslash in what the parser quotes once."""
    return _PYTHON_QUOTED.sub(lambda quoted: quoted[0].replace(r"\\", "\\"), message)


def _interrupted(interruption: KeyboardInterrupt, manner: Manner) -> ExitCode:
    if isinstance(interruption, Terminated):
        hung_up = interruption.signal_name == "SIGHUP"
        code = ExitCode.HUNG_UP if hung_up else ExitCode.TERMINATED
        return _tell(str(interruption), code, manner)
    return _tell("interrupted", ExitCode.INTERRUPTED, manner)


def _unexpected(error: Exception, manner: Manner) -> ExitCode:
    """A fault of duckwarp: its kind and place; its own words only on demand, as all tracebacks."""
    if manner.verbose:
        lines = traceback.format_exception(error)
        say(without_passwords("".join(lines)), end="")
    place = traceback.extract_tb(error.__traceback__)[-1]
    message = f"unexpected {type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
    hint = None if manner.verbose else "--verbose shows the traceback"
    return _tell(message, ExitCode.NOT_STARTED, manner, hint=hint)


def _tell(message: str, code: ExitCode, manner: Manner, hint: str | None = None) -> ExitCode:
    told = wording.one_line(without_passwords(message))
    say(f"error: {told}")
    if hint is not None:
        say(f"hint: {hint}")
    manner.record.fail(told)
    if manner.json:
        with tolerated():
            print_document(error_document(told, code, manner.record.report))
    return code
