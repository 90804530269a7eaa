"""What `--help` says: every option with its group, examples, exit codes, and how they are laid out.

What the options do is `cli.py`'s matter.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from duckwarp.model.settings import (
    MIN_CONNECTIONS,
    Compression,
    OnDrift,
    Order,
    Publish,
    SortIn,
    SpecialValues,
)
from duckwarp.model.sizes import parse_size


class ExitCode(IntEnum):
    """How a command ended, for the shell."""

    OK = 0
    SOURCE_FAILED = 1
    USAGE = 2
    NOT_STARTED = 3
    LOCKED = 4
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class CatalogAction(StrEnum):
    """What `duckwarp catalog` does."""

    SHOW = "show"
    REBUILD = "rebuild"


EXIT_CODES = """
Exit codes:
  0    all well; sources without a relation are skipped, which is no failure
  1    a source failed; the others were exported
  2    the command is wrong, or nothing matches
  3    the run could not start (connection, registry, extension, output folder)
  4    another run has the output folder
  129  the terminal was closed
  130  interrupted by Ctrl-C
  143  ended by SIGTERM
"""

CONNECTION = """
Where the database is: --dsn, else DUCKWARP_DSN, else DATABASE_URL, else libpq's
PG* variables, service and password files, else POSTGRES_HOST, POSTGRES_PORT,
POSTGRES_DB, POSTGRES_USER and POSTGRES_PASSWORD.
A password in --dsn is visible to every user of the machine while duckwarp runs:
prefer DUCKWARP_DSN, a password file (PGPASSFILE) or a service (PGSERVICE).
"""

ROOT_EXAMPLES = """
Examples:
  duckwarp demo                          try it, with a database of its own
  duckwarp sources adhd                  what the publication has
  duckwarp doctor adhd                   whether it can be exported
  duckwarp export adhd --output output   export it
  duckwarp catalog --output output       what is published there
  duckwarp verify adhd --output output   whether files still equal tables
  duckwarp export --help                 all settings, and the exit codes
"""

EXPORT_EXAMPLES = """
Examples:
  duckwarp export adhd --dsn postgresql://reader@db.example/warehouse
  duckwarp export --source adhd_summary_open_referrals_age --output /srv/open
  duckwarp export --all --compression zstd --quiet --events events.jsonl
  duckwarp export --table 'staging."Odd Name"' --table public.regions
  duckwarp export adhd --memory 512MB --max-connections 2
  duckwarp export adhd --plan
"""

SOURCES_EXAMPLES = """
Examples:
  duckwarp sources
  duckwarp sources adhd --json
"""

DESCRIBE_EXAMPLES = """
Examples:
  duckwarp describe adhd_summary_open_referrals_age
  duckwarp describe adhd_summary_open_referrals_age --json
  duckwarp describe adhd_summary_open_referrals_age --output /srv/open
"""

DOCTOR_EXAMPLES = """
Examples:
  duckwarp doctor                           the server and this machine
  duckwarp doctor adhd --output /srv/open   and each source of a publication
  duckwarp doctor --schema staging --json
"""

DOCTOR_ENDING = """
Exit codes:
  0    an export can do its work; warnings say where not, or not as well
  3    a check failed, or could not be made because another one had failed
"""

VERIFY_EXAMPLES = """
Examples:
  duckwarp verify                         every file in output/
  duckwarp verify adhd --output /srv/open
  duckwarp verify --table staging.tbl_adhd_prescribing --memory 512MB
  duckwarp verify adhd --quick            rows and NULLs only, from the footers
  duckwarp verify --offline               the files alone, without a database
"""

VERIFY_EXIT_CODES = """
Exit codes:
  0    every file equals its table
  1    a file differs, is missing, or could not be verified
  2    the command is wrong, or nothing matches
  3    it could not start (connection, registry, memory)
  129  the terminal was closed
  130  interrupted by Ctrl-C
  143  ended by SIGTERM
"""

CATALOG_EPILOG = """
Examples:
  duckwarp catalog --output /srv/open
  duckwarp catalog --json
  duckwarp catalog rebuild --output /srv/open

Every export keeps the catalog up to date. `rebuild` makes it of the published files
alone, without the database: after files were removed by hand, or where the catalog
is damaged.
"""

DEMO_EPILOG = """
Examples:
  duckwarp demo
  duckwarp demo --output /tmp/try --keep

Needs the extra: pip install 'duckwarp[demo]'
"""


EXPORT_EPILOG = EXPORT_EXAMPLES + CONNECTION + EXIT_CODES
SOURCES_EPILOG = SOURCES_EXAMPLES + CONNECTION
DESCRIBE_EPILOG = DESCRIBE_EXAMPLES + CONNECTION
VERIFY_EPILOG = VERIFY_EXAMPLES + CONNECTION + VERIFY_EXIT_CODES
DOCTOR_EPILOG = DOCTOR_EXAMPLES + CONNECTION + DOCTOR_ENDING


class Command(TyperCommand):
    """A command whose options are listed in groups and whose epilog is printed as it was written.

    Typer knows groups only in its coloured help, which draws boxes wherever its output goes.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the parameters, one section for each group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            group = getattr(parameter, "rich_help_panel", None) or _SHOW
            if record is not None:
                groups.setdefault(group, []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  # the base's name
        """Write examples and tables line by line."""
        formatter.write((self.epilog or "").rstrip() + "\n")


_WHAT = "Which sources"
_WHERE = "Where from and where to"
_HOW = "How it is written"
_PUBLISHING = "How it is published"
_LIMITS = "What it may use"
_SHOW = "What is shown"
_HOW_VERIFIED = "How it is verified"


def _option(group: str, *names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=group, **more)


Publication = Annotated[
    str | None,
    typer.Argument(
        metavar="PUBLICATION",
        help="The beginning of the sources' codes, taken literally.",
        show_default=False,
        rich_help_panel=_WHAT,
    ),
]
Code = Annotated[
    str,
    typer.Argument(metavar="CODE", help="The source's code.", rich_help_panel=_WHAT),
]
Action = Annotated[
    CatalogAction,
    typer.Argument(
        metavar="rebuild",
        help="Make the catalog anew; without it the catalog is shown.",
        show_default=False,
        rich_help_panel=_WHAT,
    ),
]
Sources = Annotated[
    list[str] | None,
    _option(_WHAT, "--source", metavar="CODE", help="One source of the registry; may be repeated."),
]
Everything = Annotated[bool, _option(_WHAT, "--all", help="Every source of the registry.")]
Schema = Annotated[
    str | None,
    _option(
        _WHAT,
        "--schema",
        metavar="NAME",
        help="All tables and views of a schema, without the registry.",
    ),
]
Tables = Annotated[
    list[str] | None,
    _option(
        _WHAT,
        "--table",
        metavar="SCHEMA.NAME",
        help="One table or view, without the registry; may be repeated.",
    ),
]
FailOnMissing = Annotated[
    bool,
    _option(
        _WHAT,
        "--fail-on-missing",
        help="A source without a relation is a failure, not a skip.",
    ),
]
Dsn = Annotated[
    str | None,
    _option(_WHERE, "--dsn", metavar="DSN", help="The database, as a URI or key=value; see below."),
]
DemoDsn = Annotated[
    str | None,
    _option(_WHERE, "--dsn", metavar="DSN", help="A server to make the demo's database on."),
]
RegistrySchema = Annotated[
    str,
    _option(
        _WHERE,
        "--registry-schema",
        metavar="NAME",
        help="The schema of the registry.",
        show_default=True,
    ),
]


def _folder(given: str | Path) -> Path:
    """A folder that was named: an empty name, as of an unset variable, is not this one."""
    if not str(given):
        raise typer.BadParameter("it is empty")
    return Path(given)


Output = Annotated[
    Path,
    _option(
        _WHERE,
        "--output",
        "-o",
        metavar="FOLDER",
        help="Where the files go.",
        show_default=True,
        parser=_folder,
    ),
]
CompressionChoice = Annotated[
    Compression, _option(_HOW, "--compression", help="The codec of the Parquet files.")
]
SpecialValuesChoice = Annotated[
    SpecialValues,
    _option(
        _HOW,
        "--special-values",
        help="What becomes of values that Parquet cannot hold (NaN in a numeric, infinity in a "
        "date): NULL, the whole column as text, or a failed source.",
    ),
]
RowSecurity = Annotated[
    bool,
    _option(
        _HOW,
        "--enable-row-security",
        help="Accept that policies hide rows; otherwise such a source fails.",
    ),
]
FrontMatter = Annotated[
    bool,
    _option(
        _HOW,
        "--front-matter",
        help="Begin each dictionary with its figures in YAML, for generators of static sites.",
    ),
]
LockTimeout = Annotated[
    float,
    _option(
        _HOW,
        "--lock-timeout",
        min=0.0,
        metavar="SECONDS",
        help="How long to wait for a table that is being altered.",
        show_default=True,
    ),
]
OrderChoice = Annotated[
    Order,
    _option(
        _HOW,
        "--order",
        help="By all columns, the first one first; by the first column alone, ties left open; or "
        "as rows come. Only the first gives the same bytes every time.",
    ),
]
SortInChoice = Annotated[
    SortIn,
    _option(_HOW, "--sort-in", help="Who sorts; auto chooses by the table, and --plan says why."),
]


def _size(given: str | int) -> int:
    return given if isinstance(given, int) else parse_size(given)


Memory = Annotated[
    int | None,
    _option(
        _LIMITS,
        "--memory",
        metavar="SIZE",
        envvar="DUCKWARP_MEMORY",
        parser=_size,
        help="The resident memory of the whole process, at least 256MB. "
        "[default: 1GB, or half of what is free where that is less]",
        show_default=False,
    ),
]
Threads = Annotated[
    int | None,
    _option(
        _LIMITS,
        "--threads",
        min=1,
        metavar="NUMBER",
        help="Threads that sort and write. [default: as many as processors and memory allow]",
        show_default=False,
    ),
]
Jobs = Annotated[
    int | None,
    _option(
        _LIMITS,
        "--jobs",
        min=1,
        metavar="NUMBER",
        help="Small tables that are exported side by side. [default: one for each thread]",
        show_default=False,
    ),
]
MaxConnections = Annotated[
    int,
    _option(
        _LIMITS,
        "--max-connections",
        min=MIN_CONNECTIONS,
        metavar="NUMBER",
        help="Connections to the server, the one that holds the snapshot among them.",
        show_default=True,
    ),
]
StatementTimeout = Annotated[
    float,
    _option(
        _LIMITS,
        "--statement-timeout",
        min=0.0,
        metavar="SECONDS",
        help="The longest that a statement may take on the server; 0 is no limit.",
        show_default=True,
    ),
]
MaxSnapshotAge = Annotated[
    float,
    _option(
        _LIMITS,
        "--max-snapshot-age",
        min=0.0,
        metavar="SECONDS",
        help="How long the snapshot and the locks may be held; what is not read by then fails. "
        "0 is no limit.",
        show_default=True,
    ),
]
Retries = Annotated[
    int,
    _option(
        _LIMITS,
        "--retries",
        min=0,
        metavar="NUMBER",
        help="How often to try again what may pass: a lost connection, a server that restarts, "
        "a timeout. For each source, and for the run.",
        show_default=True,
    ),
]
TempDir = Annotated[
    Path | None,
    _option(
        _LIMITS,
        "--temp-dir",
        metavar="FOLDER",
        help="Where a sort may spill. [default: the output folder]",
        show_default=False,
        parser=_folder,
    ),
]
TempLimit = Annotated[
    int | None,
    _option(
        _LIMITS,
        "--temp-limit",
        metavar="SIZE",
        parser=_size,
        help="The most that a sort may spill. [default: what is free]",
        show_default=False,
    ),
]


def _mode(given: str | int) -> int:
    try:
        return given if isinstance(given, int) else int(given, 8)
    except ValueError as error:
        raise typer.BadParameter("three octal digits are expected, as 644") from error


Wait = Annotated[
    float,
    _option(
        _PUBLISHING,
        "--wait",
        min=0.0,
        metavar="SECONDS",
        help="How long to wait for another run that has the output folder.",
        show_default=True,
    ),
]
PublishChoice = Annotated[
    Publish,
    _option(
        _PUBLISHING,
        "--publish",
        help="Put all sources in place together after the last one, or each as soon as it is done.",
    ),
]
AllOrNothing = Annotated[
    bool,
    _option(_PUBLISHING, "--all-or-nothing", help="Publish no source where one has failed."),
]
MaxRowDrop = Annotated[
    float | None,
    _option(
        _PUBLISHING,
        "--max-row-drop",
        min=0.0,
        max=100.0,
        metavar="PERCENT",
        help="A source that lost more of its rows since the published file fails. "
        "[default: a warning for more than 50]",
        show_default=False,
    ),
]
OnDriftChoice = Annotated[
    OnDrift,
    _option(
        _PUBLISHING,
        "--on-drift",
        help="A column that was added, removed or retyped since the published file is a warning, "
        "or fails its source.",
    ),
]
SkipUnchanged = Annotated[
    bool,
    _option(
        _PUBLISHING,
        "--skip-unchanged",
        help="Do not read sources into which nothing was loaded since they were published, as the "
        "registry's last_load_at and the server's counters of plain tables say.",
    ),
]
Mode = Annotated[
    int | None,
    _option(
        _PUBLISHING,
        "--mode",
        metavar="OCTAL",
        parser=_mode,
        help="The mode of published files, as 644. [default: what the umask gives]",
        show_default=False,
    ),
]
Period = Annotated[
    str | None,
    _option(_HOW, "--period", metavar="TEXT", help="A period to name in the events."),
]
PlanOnly = Annotated[
    bool, _option(_SHOW, "--plan", help="Show what would be done, and do nothing.")
]
Quiet = Annotated[
    bool, _option(_SHOW, "--quiet", "-q", help="Failures only; nothing when all is well.")
]
Json = Annotated[bool, _option(_SHOW, "--json", help="One JSON document on standard output.")]
Events = Annotated[
    Path | None,
    _option(
        _SHOW, "--events", metavar="FILE", help="Append the run's events to a JSON-lines file."
    ),
]
LogFile = Annotated[
    Path | None,
    _option(
        _SHOW,
        "--log-file",
        metavar="FILE",
        help="Append what the run says to a file, a line for each step.",
    ),
]
MetricsFile = Annotated[
    Path | None,
    _option(
        _SHOW,
        "--metrics-file",
        metavar="FILE",
        help="Write the run's figures for node_exporter's textfile collector; a file of its own "
        "for each publication.",
    ),
]
Verbose = Annotated[
    bool, _option(_SHOW, "--verbose", "-v", help="Show the traceback of an unexpected error.")
]
Keep = Annotated[
    bool,
    _option(_SHOW, "--keep", help="Leave the server running, and say how to reach and stop it."),
]
Quick = Annotated[
    bool,
    _option(_HOW_VERIFIED, "--quick", help="Rows and NULLs only, from the files' footers."),
]
Offline = Annotated[
    bool,
    _option(
        _HOW_VERIFIED,
        "--offline",
        help="Without a database: the catalog's hash, the footer, all pages, and the order.",
    ),
]
VerifyThreads = Annotated[
    int | None,
    _option(
        _LIMITS,
        "--threads",
        min=1,
        metavar="NUMBER",
        help="Threads that read the file, and sessions that read the table. "
        "[default: as many as processors and memory allow]",
        show_default=False,
    ),
]
Published = Annotated[
    Path,
    _option(
        _WHERE,
        "--output",
        "-o",
        metavar="FOLDER",
        help="Where the files are.",
        show_default=True,
        parser=_folder,
    ),
]
VerifyFirst = Annotated[
    bool,
    _option(
        _HOW,
        "--verify",
        help="Compare each file with its table before it is published; one that differs fails.",
    ),
]
