"""The command line: parse, call, show, exit code. No SQL, no DuckDB, and no rule of an export.

Results go to standard output, everything else for people to standard error. What is heavy is
imported by the command that needs it, so that `--help` and completion are quick.
"""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from duckwarp.cli import streams, usage
from duckwarp.cli.endings import Commands, Manner, print_document
from duckwarp.cli.files import Files
from duckwarp.cli.record import Record
from duckwarp.cli.usage import ExitCode
from duckwarp.model.errors import Terminated
from duckwarp.model.settings import Settings
from duckwarp.model.version import __version__

if TYPE_CHECKING:
    from duckwarp.cli.audience import Audience
    from duckwarp.model.source import Selection

DEFAULTS = Settings()
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
COLLECTED_AFTER = 100_000  # objects that may be garbage; Python's own number is 700
SIGNAL_EXIT = 128  # a shell's exit code for a signal is its number and this
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
    with _signals_raise() as received:
        try:
            code = _ran(given, manner)
            _ignore_signals()
        except KeyboardInterrupt:
            code = ExitCode.INTERRUPTED
        # Whatever became of the signal on its way, the shell is told of it.
        if received and code != ExitCode.OK:
            code = received[0] + SIGNAL_EXIT
        if code == ExitCode.USAGE:
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
def _signals_raise() -> Iterator[list[int]]:
    """The signals that ask for an end as an exception, once; those received.

    A second one must not cut the cleaning up short. A hang-up that the caller has chosen to ignore
    (nohup) stays ignored.
    """
    received: list[int] = []
    previous: dict[signal.Signals, Any] = {}

    def end(number: int, _: object) -> NoReturn:
        received.append(number)
        _ignore_signals()
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


@app.command(cls=usage.Command, epilog=usage.EXPORT_EPILOG)
def export(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    publication: usage.Publication = None,
    source: usage.Sources = None,
    everything: usage.Everything = False,
    schema: usage.Schema = None,
    table: usage.Tables = None,
    fail_on_missing: usage.FailOnMissing = False,
    dsn: usage.Dsn = None,
    registry_schema: usage.RegistrySchema = DEFAULTS.registry_schema,
    output: usage.Output = DEFAULTS.output_dir,
    compression: usage.CompressionChoice = DEFAULTS.compression,
    special_values: usage.SpecialValuesChoice = DEFAULTS.special_values,
    enable_row_security: usage.RowSecurity = DEFAULTS.enable_row_security,
    front_matter: usage.FrontMatter = DEFAULTS.front_matter,
    order: usage.OrderChoice = DEFAULTS.order,
    sort_in: usage.SortInChoice = DEFAULTS.sort_in,
    memory: usage.Memory = DEFAULTS.memory_bytes,
    threads: usage.Threads = DEFAULTS.threads,
    jobs: usage.Jobs = DEFAULTS.jobs,
    max_connections: usage.MaxConnections = DEFAULTS.max_connections,
    temp_dir: usage.TempDir = DEFAULTS.temp_dir,
    temp_limit: usage.TempLimit = DEFAULTS.temp_limit_bytes,
    lock_timeout: usage.LockTimeout = DEFAULTS.lock_timeout_seconds,
    statement_timeout: usage.StatementTimeout = DEFAULTS.statement_timeout_seconds,
    retries: usage.Retries = DEFAULTS.retries,
    max_snapshot_age: usage.MaxSnapshotAge = DEFAULTS.max_snapshot_age_seconds,
    wait: usage.Wait = DEFAULTS.wait_seconds,
    publish: usage.PublishChoice = DEFAULTS.publish,
    all_or_nothing: usage.AllOrNothing = DEFAULTS.all_or_nothing,
    max_row_drop: usage.MaxRowDrop = DEFAULTS.max_row_drop_percent,
    on_drift: usage.OnDriftChoice = DEFAULTS.on_drift,
    mode: usage.Mode = DEFAULTS.mode,
    skip_unchanged: usage.SkipUnchanged = DEFAULTS.skip_unchanged,
    verify: usage.VerifyFirst = DEFAULTS.verify,
    period: usage.Period = None,
    plan: usage.PlanOnly = False,
    quiet: usage.Quiet = False,
    json: usage.Json = False,
    events: usage.Events = None,
    log_file: usage.LogFile = None,
    metrics_file: usage.MetricsFile = None,
    verbose: usage.Verbose = False,  # noqa: ARG001  # looked for by main
) -> None:
    """Write a Parquet file and a data dictionary for each source."""
    from duckwarp.cli.audience import Audience

    record: Record = context.obj.record
    if not plan:
        named = [publication, *(source or ()), schema, *(table or ())]
        label = ", ".join(filter(None, named)) or ("all" if everything else None)
        files = Files(events=events, log=log_file, metrics=metrics_file)
        record.begin(files, publication=publication, label=label, period=period)
    selection = _selection(publication, source, everything, schema, table)
    settings = Settings(
        dsn=dsn,
        output_dir=output,
        registry_schema=registry_schema,
        compression=compression,
        special_values=special_values,
        enable_row_security=enable_row_security,
        front_matter=front_matter,
        fail_on_missing=fail_on_missing,
        lock_timeout_seconds=lock_timeout,
        statement_timeout_seconds=statement_timeout,
        retries=retries,
        max_snapshot_age_seconds=max_snapshot_age,
        order=order,
        sort_in=sort_in,
        memory_bytes=memory,
        threads=threads,
        jobs=jobs,
        max_connections=max_connections,
        temp_dir=temp_dir,
        temp_limit_bytes=temp_limit,
        wait_seconds=wait,
        publish=publish,
        all_or_nothing=all_or_nothing,
        max_row_drop_percent=max_row_drop,
        on_drift=on_drift,
        mode=mode,
        skip_unchanged=skip_unchanged,
        verify=verify,
    )
    if plan:
        raise typer.Exit(_show_plan(selection, settings, json))
    audience = Audience(quiet=quiet, json=json)
    raise typer.Exit(_export(selection, settings, audience, record, period))


@app.command(cls=usage.Command, epilog=usage.SOURCES_EPILOG)
def sources(
    publication: usage.Publication = None,
    dsn: usage.Dsn = None,
    registry_schema: usage.RegistrySchema = DEFAULTS.registry_schema,
    json: usage.Json = False,
    verbose: usage.Verbose = False,  # noqa: ARG001  # looked for by main
) -> None:
    """List the sources of the registry and their relations."""
    from duckwarp.cli.documents import sources_document
    from duckwarp.cli.render import show, sources_page
    from duckwarp.export.preview import list_sources
    from duckwarp.model.source import Selection

    selection = Selection(publication=publication, everything=publication is None)
    settings = Settings(dsn=dsn, registry_schema=registry_schema)
    found = list_sources(selection, settings)
    if json:
        print_document(sources_document(found))
    else:
        show(partial(sources_page, found), sys.stdout)


@app.command(cls=usage.Command, epilog=usage.DESCRIBE_EPILOG)
def describe(  # noqa: PLR0917  # typer passes them by name
    code: usage.Code,
    dsn: usage.Dsn = None,
    registry_schema: usage.RegistrySchema = DEFAULTS.registry_schema,
    output: usage.Published = DEFAULTS.output_dir,
    memory: usage.Memory = DEFAULTS.memory_bytes,
    json: usage.Json = False,
    verbose: usage.Verbose = False,  # noqa: ARG001  # looked for by main
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
    from duckwarp.model.source import Selection

    settings = Settings(
        dsn=dsn, registry_schema=registry_schema, output_dir=output, memory_bytes=memory
    )
    description = describe_source(Selection(codes=(code,)), settings)
    profile = profile_published(code, settings)
    if json:
        print_document(description_document(description, profile))
        return
    show(partial(description_page, description), sys.stdout)
    if profile is not None:
        pictures = shows_pictures(sys.stdout)
        show(partial(profile_page, profile, pictures=pictures), sys.stdout)


@app.command(cls=usage.Command, epilog=usage.DOCTOR_EPILOG)
def doctor(  # noqa: PLR0917  # typer passes them by name
    publication: usage.Publication = None,
    source: usage.Sources = None,
    everything: usage.Everything = False,
    schema: usage.Schema = None,
    table: usage.Tables = None,
    fail_on_missing: usage.FailOnMissing = False,
    dsn: usage.Dsn = None,
    registry_schema: usage.RegistrySchema = DEFAULTS.registry_schema,
    output: usage.Output = DEFAULTS.output_dir,
    enable_row_security: usage.RowSecurity = DEFAULTS.enable_row_security,
    order: usage.OrderChoice = DEFAULTS.order,
    sort_in: usage.SortInChoice = DEFAULTS.sort_in,
    memory: usage.Memory = DEFAULTS.memory_bytes,
    max_connections: usage.MaxConnections = DEFAULTS.max_connections,
    temp_dir: usage.TempDir = DEFAULTS.temp_dir,
    json: usage.Json = False,
    verbose: usage.Verbose = False,  # noqa: ARG001  # looked for by main
) -> None:
    """Check whether an export could work, and say what to change."""
    from duckwarp.cli.diagnosis import diagnosis_page
    from duckwarp.cli.documents import diagnosis_document
    from duckwarp.cli.render import show
    from duckwarp.doctor import diagnose

    selection = _selection_if_any(publication, source, everything, schema, table)
    settings = Settings(
        dsn=dsn,
        output_dir=output,
        registry_schema=registry_schema,
        enable_row_security=enable_row_security,
        fail_on_missing=fail_on_missing,
        order=order,
        sort_in=sort_in,
        memory_bytes=memory,
        max_connections=max_connections,
        temp_dir=temp_dir,
    )
    diagnosis = diagnose(selection, settings)
    code = ExitCode.OK if diagnosis.is_healthy else ExitCode.NOT_STARTED
    if json:
        print_document(diagnosis_document(diagnosis, code))
    else:
        show(partial(diagnosis_page, diagnosis), sys.stdout)
    raise typer.Exit(code)


@app.command(cls=usage.Command, epilog=usage.VERIFY_EPILOG)
def verify(  # noqa: PLR0917  # typer passes them by name
    publication: usage.Publication = None,
    source: usage.Sources = None,
    everything: usage.Everything = False,
    schema: usage.Schema = None,
    table: usage.Tables = None,
    dsn: usage.Dsn = None,
    registry_schema: usage.RegistrySchema = DEFAULTS.registry_schema,
    output: usage.Published = DEFAULTS.output_dir,
    quick: usage.Quick = False,
    offline: usage.Offline = False,
    enable_row_security: usage.RowSecurity = DEFAULTS.enable_row_security,
    memory: usage.Memory = DEFAULTS.memory_bytes,
    threads: usage.VerifyThreads = DEFAULTS.threads,
    max_connections: usage.MaxConnections = DEFAULTS.max_connections,
    lock_timeout: usage.LockTimeout = DEFAULTS.lock_timeout_seconds,
    statement_timeout: usage.StatementTimeout = DEFAULTS.statement_timeout_seconds,
    quiet: usage.Quiet = False,
    json: usage.Json = False,
    verbose: usage.Verbose = False,  # noqa: ARG001  # looked for by main
) -> None:
    """Compare each published file with its table."""
    from duckwarp.cli.documents import verification_document
    from duckwarp.cli.render import show
    from duckwarp.cli.verification import verification_page
    from duckwarp.cli.verifying import shown_live, silent
    from duckwarp.verify.published import verify_files, verify_published

    selection = _selection_if_any(publication, source, everything, schema, table)
    settings = Settings(
        dsn=dsn,
        output_dir=output,
        registry_schema=registry_schema,
        enable_row_security=enable_row_security,
        lock_timeout_seconds=lock_timeout,
        statement_timeout_seconds=statement_timeout,
        memory_bytes=memory,
        threads=threads,
        max_connections=max_connections,
    )
    with nullcontext(silent) if quiet else shown_live() as progress:
        if offline:
            report = verify_files(selection, settings, progress=progress)
        else:
            report = verify_published(selection, settings, quick=quick, progress=progress)
    code = ExitCode.OK if report.is_well else ExitCode.SOURCE_FAILED
    if json:
        print_document(verification_document(report, code))
    elif not (quiet and report.is_well):
        show(partial(verification_page, report), sys.stdout)
    raise typer.Exit(code)


@app.command(cls=usage.Command, epilog=usage.CATALOG_EPILOG)
def catalog(
    action: usage.Action = usage.CatalogAction.SHOW,
    output: usage.Published = DEFAULTS.output_dir,
    wait: usage.Wait = DEFAULTS.wait_seconds,
    json: usage.Json = False,
    verbose: usage.Verbose = False,  # noqa: ARG001  # looked for by main
) -> None:
    """Show what is published in a folder, or make its catalog anew."""
    from duckwarp.catalog import update as cataloguing
    from duckwarp.catalog.rows import record_of
    from duckwarp.cli.catalog import catalog_page
    from duckwarp.cli.documents import catalog_document
    from duckwarp.cli.render import show

    if action is usage.CatalogAction.REBUILD:
        found = cataloguing.rebuild(output, wait_seconds=wait)
    else:
        found = cataloguing.shown(output)
    if json:
        left_out = {each.name: each.reason for each in found.left_out}
        print_document(catalog_document(output, map(record_of, found.entries), left_out))
    else:
        show(partial(catalog_page, output, found), sys.stdout)


@app.command(cls=usage.Command, epilog=usage.DEMO_EPILOG)
def demo(
    context: typer.Context,
    output: usage.Output = DEFAULTS.output_dir,
    keep: usage.Keep = False,
    dsn: usage.DemoDsn = None,
    verbose: usage.Verbose = False,  # noqa: ARG001  # looked for by main
) -> None:
    """Export a sample publication from a PostgreSQL of its own.

    The server lives in a temporary folder and ends with the command. With --dsn the publication is
    in a database of its own on that server instead. The exit code is the export's.
    """
    from duckwarp.cli.audience import Audience
    from duckwarp.cli.render import demo_page, show
    from duckwarp.demo import demo_database
    from duckwarp.model.source import Selection

    where = "starting PostgreSQL" if dsn is None else "making a database"
    print(f"{where} and filling it with a sample publication", file=sys.stderr)
    with demo_database(keep=keep, dsn=dsn) as database:
        settings = Settings(dsn=database.dsn, output_dir=output)
        selection = Selection(publication=DEMO_PUBLICATION)
        record: Record = context.obj.record
        record.begin(Files(), publication=DEMO_PUBLICATION)
        code = _export(selection, settings, Audience(), record)
    kept = database if keep else None
    show(partial(demo_page, output, DEMO_SOURCE, kept), sys.stdout)
    raise typer.Exit(code)


def _selection(
    publication: str | None,
    source: list[str] | None,
    everything: bool,
    schema: str | None,
    table: list[str] | None,
) -> Selection:
    """What the options of a command choose."""
    from duckwarp.model.source import Selection

    return Selection(
        publication=publication,
        codes=tuple(source or ()),
        everything=everything,
        schema=schema,
        tables=tuple(table or ()),
    )


def _selection_if_any(
    publication: str | None,
    source: list[str] | None,
    everything: bool,
    schema: str | None,
    table: list[str] | None,
) -> Selection | None:
    """The same, for commands that do without: None where no option chooses."""
    if publication is None and schema is None and not (source or everything or table):
        return None
    return _selection(publication, source, everything, schema, table)


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
        show(partial(plan_page, planned), sys.stdout)
    return code
