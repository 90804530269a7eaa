"""The options of all commands, each declared once: its names, its group in `--help`, its words.

An option that is a field of `Settings` or `Selection` has the field's name, type and default.
`command` gives a command function its parameters and hands it what they choose as `Given`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from duckwarp.cli.usage import Command, Group
from duckwarp.model.filenames import name_from_shell
from duckwarp.model.settings import MIN_CONNECTIONS, Settings
from duckwarp.model.sizes import parse_size
from duckwarp.model.source import Selection


class CatalogAction(StrEnum):
    """What `duckwarp catalog` does."""

    SHOW = "show"
    REBUILD = "rebuild"


def _option(group: Group, *names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=group, **more)


def _folder(given: str | Path) -> Path:
    """A folder that was named: an empty name, as of an unset variable, is not this one."""
    if not str(given):
        raise typer.BadParameter("it is empty")
    return Path(given)


def _size(given: str | int) -> int:
    return given if isinstance(given, int) else parse_size(given)


def _mode(given: str | int) -> int:
    try:
        return given if isinstance(given, int) else int(given, 8)
    except ValueError as error:
        raise typer.BadParameter("three octal digits are expected, as 644") from error


# Options that are fields of `Settings`: their types and defaults are those of the field.
SETTINGS: dict[str, Any] = {
    "fail_on_missing": _option(
        Group.WHAT,
        "--fail-on-missing",
        help="A source without a relation is a failure, not a skip.",
    ),
    "dsn": _option(
        Group.WHERE, "--dsn", metavar="DSN", help="The database, as a URI or key=value; see below."
    ),
    "registry_schema": _option(
        Group.WHERE,
        "--registry-schema",
        metavar="NAME",
        help="The schema of the registry.",
        show_default=True,
    ),
    "output_dir": _option(
        Group.WHERE,
        "--output",
        "-o",
        metavar="FOLDER",
        help="Where the files go.",
        show_default=True,
        parser=_folder,
    ),
    "compression": _option(Group.WRITTEN, "--compression", help="The codec of the Parquet files."),
    "special_values": _option(
        Group.WRITTEN,
        "--special-values",
        help="What becomes of values that Parquet cannot hold (NaN in a numeric, infinity in a "
        "date): NULL, the whole column as text, or a failed source.",
    ),
    "enable_row_security": _option(
        Group.WRITTEN,
        "--enable-row-security",
        help="Accept that policies hide rows; otherwise such a source fails.",
    ),
    "front_matter": _option(
        Group.WRITTEN,
        "--front-matter",
        help="Begin each dictionary with its figures in YAML, for generators of static sites.",
    ),
    "order": _option(
        Group.WRITTEN,
        "--order",
        help="By all columns, the first one first; by the first column alone, ties left open; or "
        "as rows come. Only the first gives the same bytes every time.",
    ),
    "sort_in": _option(
        Group.WRITTEN,
        "--sort-in",
        help="Who sorts; auto chooses by the table, and --plan says why.",
    ),
    "memory_bytes": _option(
        Group.LIMITS,
        "--memory",
        metavar="SIZE",
        envvar="DUCKWARP_MEMORY",
        parser=_size,
        help="The resident memory of the whole process, at least 256MB. "
        "[default: 1GB, or half of what is free where that is less]",
        show_default=False,
    ),
    "threads": _option(
        Group.LIMITS,
        "--threads",
        min=1,
        metavar="NUMBER",
        help="Threads that sort and write. [default: as many as processors and memory allow]",
        show_default=False,
    ),
    "jobs": _option(
        Group.LIMITS,
        "--jobs",
        min=1,
        metavar="NUMBER",
        help="Small tables that are exported side by side. [default: one for each thread]",
        show_default=False,
    ),
    "max_connections": _option(
        Group.LIMITS,
        "--max-connections",
        min=MIN_CONNECTIONS,
        metavar="NUMBER",
        help="Connections to the server, the one that holds the snapshot among them.",
        show_default=True,
    ),
    "temp_dir": _option(
        Group.LIMITS,
        "--temp-dir",
        metavar="FOLDER",
        help="Where a sort may spill. [default: the output folder]",
        show_default=False,
        parser=_folder,
    ),
    "temp_limit_bytes": _option(
        Group.LIMITS,
        "--temp-limit",
        metavar="SIZE",
        parser=_size,
        help="The most that a sort may spill. [default: what is free]",
        show_default=False,
    ),
    "lock_timeout_seconds": _option(
        Group.WRITTEN,
        "--lock-timeout",
        min=0.0,
        metavar="SECONDS",
        help="How long to wait for a table that is being altered.",
        show_default=True,
    ),
    "statement_timeout_seconds": _option(
        Group.LIMITS,
        "--statement-timeout",
        min=0.0,
        metavar="SECONDS",
        help="The longest that a statement may take on the server; 0 is no limit.",
        show_default=True,
    ),
    "idle_timeout_seconds": _option(
        Group.LIMITS,
        "--idle-timeout",
        min=0.0,
        metavar="SECONDS",
        help="How long the server may send nothing and show no progress; 12 times as long where it "
        "says that it is at work, and no more can be told. 0 is no limit.",
        show_default=True,
    ),
    "retries": _option(
        Group.LIMITS,
        "--retries",
        min=0,
        metavar="NUMBER",
        help="How often to try again what may pass: a lost connection, a server that restarts, "
        "a timeout, a lock. For each source, and for the run.",
        show_default=True,
    ),
    "max_snapshot_age_seconds": _option(
        Group.LIMITS,
        "--max-snapshot-age",
        min=0.0,
        metavar="SECONDS",
        help="How long the snapshot and the locks may be held; what is not read by then fails. "
        "0 is no limit.",
        show_default=True,
    ),
    "wait_seconds": _option(
        Group.PUBLISHED,
        "--wait",
        min=0.0,
        metavar="SECONDS",
        help="How long to wait for another run that has the output folder.",
        show_default=True,
    ),
    "publish": _option(
        Group.PUBLISHED,
        "--publish",
        help="Put all sources in place together after the last one, or each as soon as it is done.",
    ),
    "all_or_nothing": _option(
        Group.PUBLISHED, "--all-or-nothing", help="Publish no source where one has failed."
    ),
    "max_row_drop_percent": _option(
        Group.PUBLISHED,
        "--max-row-drop",
        min=0.0,
        max=100.0,
        metavar="PERCENT",
        help="A source that lost more of its rows since the published file fails. "
        "[default: a warning for more than 50]",
        show_default=False,
    ),
    "on_drift": _option(
        Group.PUBLISHED,
        "--on-drift",
        help="A column that was added, removed or retyped since the published file is a warning, "
        "or fails its source.",
    ),
    "mode": _option(
        Group.PUBLISHED,
        "--mode",
        metavar="OCTAL",
        parser=_mode,
        help="The mode of published files, as 644. [default: what the umask gives]",
        show_default=False,
    ),
    "skip_unchanged": _option(
        Group.PUBLISHED,
        "--skip-unchanged",
        help="Do not read sources into which nothing was loaded since they were published, as the "
        "registry's last_load_at and the server's counters of plain tables say.",
    ),
    "verify": _option(
        Group.WRITTEN,
        "--verify",
        help="Compare each file with its table before it is published; one that differs fails.",
    ),
}

# Options and the argument that are fields of `Selection`, with the types that typer reads.
SELECTION: dict[str, Any] = {
    "publication": Annotated[
        str | None,
        typer.Argument(
            metavar="PUBLICATION",
            help="The beginning of the sources' codes, taken literally.",
            show_default=False,
            rich_help_panel=Group.WHAT,
        ),
    ],
    "codes": Annotated[
        list[str] | None,
        _option(
            Group.WHAT,
            "--source",
            metavar="CODE",
            help="One source of the registry; may be repeated.",
        ),
    ],
    "everything": Annotated[
        bool, _option(Group.WHAT, "--all", help="Every source of the registry.")
    ],
    "schema": Annotated[
        str | None,
        _option(
            Group.WHAT,
            "--schema",
            metavar="NAME",
            help="All tables and views of a schema, without the registry.",
        ),
    ],
    "tables": Annotated[
        list[str] | None,
        _option(
            Group.WHAT,
            "--table",
            metavar="[CODE=]SCHEMA.NAME",
            help="One table or view, without the registry; may be repeated. Its files are called "
            "like it, or by the code before it.",
        ),
    ],
}

Code = Annotated[
    str, typer.Argument(metavar="CODE", help="The source's code.", rich_help_panel=Group.WHAT)
]
Action = Annotated[
    CatalogAction,
    typer.Argument(
        metavar="rebuild",
        help="Make the catalog anew; without it the catalog is shown.",
        show_default=False,
        rich_help_panel=Group.WHAT,
    ),
]
DEMO_DSN = _option(
    Group.WHERE, "--dsn", metavar="DSN", help="A server to make the demo's database on."
)
Period = Annotated[
    str | None,
    _option(Group.WRITTEN, "--period", metavar="TEXT", help="A period to name in the events."),
]
PlanOnly = Annotated[
    bool, _option(Group.SHOWN, "--plan", help="Show what would be done, and do nothing.")
]
Quiet = Annotated[
    bool, _option(Group.SHOWN, "--quiet", "-q", help="Failures only; nothing when all is well.")
]
Json = Annotated[bool, _option(Group.SHOWN, "--json", help="One JSON document on standard output.")]
Events = Annotated[
    Path | None,
    _option(
        Group.SHOWN,
        "--events",
        metavar="FILE",
        help="Append the run's events to a JSON-lines file.",
    ),
]
LogFile = Annotated[
    Path | None,
    _option(
        Group.SHOWN,
        "--log-file",
        metavar="FILE",
        help="Append what the run says to a file, a line for each step.",
    ),
]
MetricsFile = Annotated[
    Path | None,
    _option(
        Group.SHOWN,
        "--metrics-file",
        metavar="FILE",
        help="Write the run's figures for node_exporter's textfile collector; a file of its own "
        "for each publication.",
    ),
]
Verbose = Annotated[
    bool, _option(Group.SHOWN, "--verbose", "-v", help="Show the traceback of an unexpected error.")
]
Keep = Annotated[
    bool,
    _option(
        Group.SHOWN, "--keep", help="Leave the server running, and say how to reach and stop it."
    ),
]
Quick = Annotated[
    bool, _option(Group.VERIFIED, "--quick", help="Rows and NULLs only, from the files' footers.")
]
Offline = Annotated[
    bool,
    _option(
        Group.VERIFIED,
        "--offline",
        help="Without a database: the catalog's hash, the footer, all pages, and the order.",
    ),
]
VERIFY_THREADS = _option(
    Group.LIMITS,
    "--threads",
    min=1,
    metavar="NUMBER",
    help="Threads that read the file, and sessions that read the table. "
    "[default: as many as processors and memory allow]",
    show_default=False,
)
PUBLISHED = _option(
    Group.WHERE,
    "--output",
    "-o",
    metavar="FOLDER",
    help="Where the files are.",
    show_default=True,
    parser=_folder,
)


@dataclass(frozen=True, slots=True)
class Given:
    """What the options of a command choose, by the names of the fields."""

    values: Mapping[str, Any]

    @property
    def settings(self) -> Settings:
        """The settings. Raises `UsageError`."""
        return Settings(**{name: self.values[name] for name in SETTINGS if name in self.values})

    @property
    def publication(self) -> str | None:
        """The publication that is named, if one is."""
        return _name(self.values["publication"])

    @property
    def selection(self) -> Selection:
        """The choice of sources. Raises `UsageError` where nothing is chosen."""
        return Selection(
            publication=self.publication,
            codes=tuple(map(name_from_shell, self.values["codes"] or ())),
            everything=self.values["everything"],
            schema=_name(self.values["schema"]),
            tables=tuple(map(name_from_shell, self.values["tables"] or ())),
        )

    @property
    def selection_if_any(self) -> Selection | None:
        """The same, for commands that do without: None where no option chooses."""
        chosen = any(value not in (None, False, []) for value in map(self.values.get, SELECTION))
        return self.selection if chosen else None


def _name(argument: str | None) -> str | None:
    return None if argument is None else name_from_shell(argument)


def command(
    app: typer.Typer,
    *,
    epilog: str,
    fields: Sequence[str],
    replaced: Mapping[str, Any] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command of `app`.

    `fields` are those of `Selection` and `Settings` that are its options, in the order of `--help`;
    `replaced` has another declaration for some. The function gets them as its first argument, a
    `Given`; its own parameters are options, too.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        parameters = [_parameter(name, (replaced or {}).get(name)) for name in fields]
        # The run's context comes first, as typer gives it.
        parameters = [p for p in own if p.annotation is typer.Context] + parameters
        parameters += [p for p in own if p.annotation is not typer.Context]

        def run(**values: Any) -> None:
            given = Given({name: values.pop(name) for name in fields})
            function(given, **values)

        keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        run.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in keywords}
        run.__doc__ = function.__doc__
        app.command(function.__name__, cls=Command, epilog=epilog)(run)
        return function

    return decorate


def _parameter(name: str, declared: Any = None) -> inspect.Parameter:
    """The parameter of a field."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    if name in SELECTION:
        default = False if name == "everything" else None
        return inspect.Parameter(name, keyword, default=default, annotation=SELECTION[name])
    kind, option = _TYPES[name], declared or SETTINGS[name]
    annotation = Annotated[kind, option]  # type: ignore[valid-type]
    return inspect.Parameter(name, keyword, default=getattr(_DEFAULTS, name), annotation=annotation)


_DEFAULTS = Settings()
_TYPES: dict[str, Any] = get_type_hints(Settings)
