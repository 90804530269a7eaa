"""The command line: parse, call, show, exit code. No SQL, no DuckDB, and no rule of an export.

Results go to standard output, everything else for people to standard error. What is heavy is
imported by the command that needs it, so that `--help` and completion are quick.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from duckwarp.cli import options, streams, usage
from duckwarp.cli.endings import Commands, Manner, print_document
from duckwarp.cli.files import Files
from duckwarp.cli.options import CatalogAction, Given, command
from duckwarp.cli.record import Record
from duckwarp.cli.usage import ExitCode
from duckwarp.model.errors import Terminated
from duckwarp.model.filenames import name_from_shell
from duckwarp.model.source import Selection
from duckwarp.model.version import __version__
from duckwarp.postgres import watching

if TYPE_CHECKING:
    from duckwarp.cli.audience import Audience
    from duckwarp.model.settings import Settings

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
COLLECTED_AFTER = 100_000  # objects that may be garbage; Python's own number is 700
SIGNAL_EXIT = 128  # a shell's exit code for a signal is its number and this
# When a process is left that has not come to its end by itself, a while after the sockets are shut.
LEFT_AFTER_SECONDS = watching.CLEANING_SECONDS + 3.0
DEMO_PUBLICATION = "adhd"
DEMO_SOURCE = "adhd_summary_open_referrals_age"

app = typer.Typer(
    cls=Commands,
    help="Publish PostgreSQL tables as Parquet files and data dictionaries.",
    epilog=usage.ROOT_EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The console entry point: run a command and leave with its exit code.

    `arguments` are those of the process unless given. Raises `SystemExit`.
    """
    # Importing makes no garbage, and looking for some took a twelfth of a small table's export.
    gc.set_threshold(COLLECTED_AFTER)
    given = sys.argv[1:] if arguments is None else list(arguments)
    # Looked for before parsing, because what the parser refuses is told in this manner, too.
    manner = Manner(json="--json" in given, verbose=not {"-v", "--verbose"}.isdisjoint(given))
    streams.open_closed()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    with _signals_raise(manner) as received:
        try:
            code = _ran(given, manner)
            _ignore_signals()
        except KeyboardInterrupt:
            code = ExitCode.INTERRUPTED
        # Whatever became of the signal on its way, the shell is told of it.
        if received and code != ExitCode.OK:
            code = received[0] + SIGNAL_EXIT
        if code in {ExitCode.USAGE, ExitCode.NOT_STARTED}:
            manner.record.begin_refused(given)
        manner.record.end(code)
        streams.settle()
    # What is left goes with the process: nothing of it has to be looked through.
    gc.freeze()
    raise SystemExit(code)


def _ran(arguments: Sequence[str], manner: Manner) -> int:
    """Run the command that the arguments name; its exit code."""
    try:
        app(arguments, prog_name="duckwarp", obj=manner)
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else ExitCode.OK
    raise AssertionError("unreachable: a command always exits")


@contextmanager
def _signals_raise(manner: Manner) -> Iterator[list[int]]:
    """The signals that ask for an end as an exception, once; those received.

    A second one must not cut the cleaning up short, which is bounded: a server that does not answer
    is not waited for. A hang-up that the caller has chosen to ignore (nohup) stays ignored.
    """
    received: list[int] = []
    previous: dict[signal.Signals, Any] = {}

    def end(number: int, _: object) -> NoReturn:
        received.append(number)
        _ignore_signals()
        watching.hurry_all()
        _leave_later(number + SIGNAL_EXIT, manner)
        raise (
            KeyboardInterrupt
            if number == signal.SIGINT
            else Terminated(signal.Signals(number).name)
        )

    for each in SIGNALS:
        if signal.getsignal(each) != signal.SIG_IGN:
            previous[each] = signal.signal(each, end)
    try:
        yield received
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)


def _leave_later(code: int, manner: Manner) -> None:
    """End the process where nothing else does: a library may hold a thread for ever."""

    def leave() -> None:
        from duckwarp.store.staging import remove_at_once

        if not remove_at_once():
            # What has begun to be put in place is put there.
            _leave_later(code, manner)
            return
        manner.record.fail("ended by a signal, while a library did not come to its end")
        manner.record.end(code)
        streams.settle()
        os._exit(code)

    timer = threading.Timer(LEFT_AFTER_SECONDS, leave)
    timer.daemon = True
    timer.start()


def _ignore_signals() -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"duckwarp {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[  # its callback does the work
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None: ...


SELECTED = ("publication", "codes", "everything", "schema", "tables")


@command(
    app,
    epilog=usage.EXPORT_EPILOG,
    fields=[*SELECTED, *options.SETTINGS],
)
def export(
    given: Given,
    context: typer.Context,
    period: options.Period = None,
    plan: options.PlanOnly = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
    events: options.Events = None,
    log_file: options.LogFile = None,
    metrics_file: options.MetricsFile = None,
    verbose: options.Verbose = False,  # noqa: ARG001  # looked for by main
) -> None:
    """Write a Parquet file and a data dictionary for each source."""
    from duckwarp.cli.audience import Audience

    record: Record = context.obj.record
    if not plan:
        chosen = given.values
        named = [given.publication, *(chosen["codes"] or ()), chosen["schema"]]
        label = ", ".join(filter(None, [*named, *(chosen["tables"] or ())]))
        record.begin(
            Files(events=events, log=log_file, metrics=metrics_file),
            publication=given.publication,
            label=label or ("all" if chosen["everything"] else None),
            period=period,
        )
    selection, settings = given.selection, given.settings
    if plan:
        raise typer.Exit(_show_plan(selection, settings, json))
    audience = Audience(quiet=quiet, json=json)
    raise typer.Exit(_export(selection, settings, audience, record, period))


@command(
    app,
    epilog=usage.SOURCES_EPILOG,
    fields=["publication", "dsn", "registry_schema", "idle_timeout_seconds"],
)
def sources(
    given: Given,
    json: options.Json = False,
    verbose: options.Verbose = False,  # noqa: ARG001  # looked for by main
) -> None:
    """List the sources of the registry and their relations."""
    from duckwarp.cli.documents import sources_document
    from duckwarp.cli.render import show, sources_page
    from duckwarp.export.preview import list_sources

    publication = given.publication
    selection = Selection(publication=publication, everything=publication is None)
    found = list_sources(selection, given.settings)
    if json:
        print_document(sources_document(found))
    else:
        show(sources_page(found), sys.stdout)


@command(
    app,
    epilog=usage.DESCRIBE_EPILOG,
    fields=["dsn", "registry_schema", "output_dir", "memory_bytes", "idle_timeout_seconds"],
    replaced={"output_dir": options.PUBLISHED},
)
def describe(
    given: Given,
    code: options.Code,
    json: options.Json = False,
    verbose: options.Verbose = False,  # noqa: ARG001  # looked for by main
) -> None:
    """Show the data dictionary of a source, from the database, and what its file is like.

    Of a published file in the output folder the figures are shown: of the whole, and of each column
    the share of NULLs, how many different values there are, and its range; on a terminal also how
    numbers are distributed.
    """
    from duckwarp.cli.documents import description_document
    from duckwarp.cli.profile import profile_page, shows_pictures
    from duckwarp.cli.render import description_page, show
    from duckwarp.export.preview import describe_source
    from duckwarp.export.profile import profile_published

    code = name_from_shell(code)
    settings = given.settings
    description = describe_source(Selection(codes=(code,)), settings)
    profile = profile_published(code, settings)
    if json:
        print_document(description_document(description, profile))
        return
    show(description_page(description), sys.stdout)
    if profile is not None:
        pictures = shows_pictures(sys.stdout)
        show(profile_page(profile, pictures=pictures), sys.stdout)


@command(
    app,
    epilog=usage.DOCTOR_EPILOG,
    fields=[
        *(*SELECTED, "fail_on_missing", "dsn", "registry_schema", "output_dir"),
        *("enable_row_security", "order", "sort_in"),
        *("memory_bytes", "max_connections", "temp_dir", "idle_timeout_seconds"),
    ],
)
def doctor(
    given: Given,
    json: options.Json = False,
    verbose: options.Verbose = False,  # noqa: ARG001  # looked for by main
) -> None:
    """Check whether an export could work, and say what to change."""
    from duckwarp.cli.diagnosis import diagnosis_page
    from duckwarp.cli.documents import diagnosis_document
    from duckwarp.cli.render import show
    from duckwarp.doctor import diagnose

    diagnosis = diagnose(given.selection_if_any, given.settings)
    code = ExitCode.OK if diagnosis.is_healthy else ExitCode.NOT_STARTED
    if json:
        print_document(diagnosis_document(diagnosis, code))
    else:
        show(diagnosis_page(diagnosis), sys.stdout)
    raise typer.Exit(code)


@command(
    app,
    epilog=usage.VERIFY_EPILOG,
    fields=[
        *(*SELECTED, "dsn", "registry_schema", "output_dir", "enable_row_security"),
        *("memory_bytes", "threads", "max_connections"),
        *("lock_timeout_seconds", "statement_timeout_seconds", "idle_timeout_seconds"),
    ],
    replaced={"output_dir": options.PUBLISHED, "threads": options.VERIFY_THREADS},
)
def verify(
    given: Given,
    quick: options.Quick = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
    verbose: options.Verbose = False,  # noqa: ARG001  # looked for by main
) -> None:
    """Compare each published file with its table."""
    from duckwarp.cli.documents import verification_document
    from duckwarp.cli.render import show
    from duckwarp.cli.verification import verification_page
    from duckwarp.cli.verifying import shown_live, silent
    from duckwarp.verify.published import verify_files, verify_published

    selection, settings = given.selection_if_any, given.settings
    with nullcontext(silent) if quiet else shown_live() as progress:
        if offline:
            report = verify_files(selection, settings, progress=progress)
        else:
            report = verify_published(selection, settings, quick=quick, progress=progress)
    code = ExitCode.OK if report.is_well else ExitCode.SOURCE_FAILED
    if json:
        print_document(verification_document(report, code))
    elif not (quiet and report.is_well):
        show(verification_page(report), sys.stdout)
    raise typer.Exit(code)


@command(
    app,
    epilog=usage.CATALOG_EPILOG,
    fields=["output_dir", "wait_seconds"],
    replaced={"output_dir": options.PUBLISHED},
)
def catalog(
    given: Given,
    action: options.Action = CatalogAction.SHOW,
    json: options.Json = False,
    verbose: options.Verbose = False,  # noqa: ARG001  # looked for by main
) -> None:
    """Show what is published in a folder, or make its catalog anew."""
    from duckwarp.catalog.rows import record_of
    from duckwarp.catalog.update import rebuild, shown
    from duckwarp.cli.catalog import catalog_page
    from duckwarp.cli.documents import catalog_document
    from duckwarp.cli.render import show

    settings = given.settings
    folder = settings.output_dir
    if action is CatalogAction.REBUILD:
        found = rebuild(folder, wait_seconds=settings.wait_seconds)
    else:
        found = shown(folder)
    if json:
        left_out = {each.name: each.reason for each in found.left_out}
        print_document(catalog_document(folder, map(record_of, found.entries), left_out))
    else:
        show(catalog_page(folder, found), sys.stdout)


@command(
    app,
    epilog=usage.DEMO_EPILOG,
    fields=["output_dir", "dsn"],
    replaced={"dsn": options.DEMO_DSN},
)
def demo(
    given: Given,
    context: typer.Context,
    keep: options.Keep = False,
    verbose: options.Verbose = False,  # noqa: ARG001  # looked for by main
) -> None:
    """Export a sample publication from a PostgreSQL of its own.

    The server lives in a temporary folder and ends with the command. With --dsn the publication is
    in a database of its own on that server instead. The exit code is the export's.
    """
    from duckwarp.cli.audience import Audience
    from duckwarp.cli.render import demo_page, show
    from duckwarp.demo import demo_database

    asked = given.settings
    where = "starting PostgreSQL" if asked.dsn is None else "making a database"
    print(f"{where} and filling it with a sample publication", file=sys.stderr)
    with demo_database(keep=keep, dsn=asked.dsn) as database:
        settings = replace(asked, dsn=database.dsn)
        selection = Selection(publication=DEMO_PUBLICATION)
        record: Record = context.obj.record
        record.begin(Files(), publication=DEMO_PUBLICATION)
        code = _export(selection, settings, Audience(), record)
    kept = database if keep else None
    show(demo_page(settings.output_dir, DEMO_SOURCE, kept), sys.stdout)
    raise typer.Exit(code)


def _export(
    selection: Selection,
    settings: Settings,
    audience: Audience,
    record: Record,
    period: str | None = None,
) -> ExitCode:
    from duckwarp.export.run import run_export
    from duckwarp.model.results import SourceState

    title = selection.publication
    with audience.listening(title or "export", record.store):
        report = run_export(selection, settings, record.store, publication=title, period=period)
    failed = report.of_state(SourceState.FAILED)
    code = ExitCode.SOURCE_FAILED if failed else ExitCode.OK
    undelivered = audience.report(report, code)
    if undelivered is not None:
        record.warn_undelivered(undelivered)
    return code


def _show_plan(selection: Selection, settings: Settings, json: bool) -> ExitCode:
    from duckwarp.cli.documents import plan_document
    from duckwarp.cli.render import plan_page, show
    from duckwarp.export.preview import plan_export

    planned = plan_export(selection, settings)
    failing = any(entry.plan is None and not entry.missing for entry in planned)
    code = ExitCode.SOURCE_FAILED if failing else ExitCode.OK
    if json:
        print_document(plan_document(planned, code))
    else:
        show(plan_page(planned), sys.stdout)
    return code
