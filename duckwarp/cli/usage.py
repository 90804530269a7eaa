"""What `--help` says besides the options: examples, exit codes, and how all of it is laid out."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any

from typer.core import TyperCommand


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
POSTGRES_DB, POSTGRES_USER and POSTGRES_PASSWORD. The first that is set counts:
one that is no PostgreSQL database's is refused, not passed over.
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
  duckwarp export --table 'staging."Odd Name"' --table areas=public.regions
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


class Group(StrEnum):
    """The groups of options, in their order."""

    WHAT = "Which sources"
    WHERE = "Where from and where to"
    WRITTEN = "How it is written"
    VERIFIED = "How it is verified"
    PUBLISHED = "How it is published"
    LIMITS = "What it may use"
    SHOWN = "What is shown"


class Command(TyperCommand):
    """A command whose options are listed in groups and whose epilog is printed as it was written.

    Typer knows groups only in its coloured help, which draws boxes wherever its output goes.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the parameters, one section for each group."""
        groups: dict[str, list[tuple[str, str]]] = {group: [] for group in Group}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            group = getattr(parameter, "rich_help_panel", None) or Group.SHOWN
            if record is not None:
                groups[group].append(record)
        for group, records in groups.items():
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  # the base's name
        """Write examples and tables line by line."""
        formatter.write((self.epilog or "").rstrip() + "\n")
