"""What is kept of an export for those who were not there: events, a log, metrics.

It begins before anything can go wrong and ends with the exit code, however the command ends.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from duckwarp.cli import wording
from duckwarp.cli.files import Files, named_files
from duckwarp.cli.streams import say
from duckwarp.files.opening import describe_error
from duckwarp.model.errors import RunError
from duckwarp.model.events import EventLevel, EventType, create_event
from duckwarp.model.redaction import without_passwords
from duckwarp.model.results import RunReport, SourceState
from duckwarp.record.account import Account
from duckwarp.record.asking import INSTALL, is_asked_for, is_installed
from duckwarp.record.guard import new_run_id
from duckwarp.record.process import peak_memory_bytes
from duckwarp.record.store import EventStore

if TYPE_CHECKING:
    from duckwarp.record.lineage import Lineage
    from duckwarp.record.logfile import LogFile

SIGNAL_EXIT = 128  # a shell's exit code for a signal is its number and this

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """The parts of a record that has begun. `log` and `metrics` are None where not kept."""

    store: EventStore
    account: Account
    files: Files
    log: LogFile | None
    metrics: Path | None
    lineage: Lineage | None
    publication: str | None
    label: str | None
    period: str | None

    def tell(self, event_type: EventType, message: str, level: EventLevel, **more: Any) -> None:
        """An event that is about the run as a whole."""
        event = create_event(
            event_type,
            self.store.run_id,
            publication=self.publication,
            period=self.period,
            level=level,
            message=message,
            **more,
        )
        self.store.emit(event)

    def warn(self, message: str) -> None:
        """Say what somebody does not get to know."""
        self.tell(EventType.WARNING, message, EventLevel.WARNING, stage="record")
        say(f"warning: {message}")


@dataclass(slots=True, kw_only=True)
class Record:
    """The record of one command; of one that is no export, it never begins."""

    _kept: _Kept | None = None
    _error: str | None = None
    _unwritable: list[str] = field(default_factory=list)

    @property
    def store(self) -> EventStore:
        """Where the run tells its events; of a record that has begun."""
        assert self._kept is not None
        return self._kept.store

    @property
    def report(self) -> RunReport | None:
        """The run as far as it has come, None where there is none."""
        return None if self._kept is None else self._kept.account.report()

    def begin(
        self,
        files: Files,
        *,
        publication: str | None = None,
        label: str | None = None,
        period: str | None = None,
    ) -> None:
        """Open what is kept.

        `label` is what the metrics call the publication. Raises `RunError` where one of the files
        cannot be written, once the others are there to tell it.
        """
        run_id = new_run_id()
        account = Account(run_id=run_id)
        store = self._opened("events", files.events, lambda path: EventStore(run_id, path))
        store = store or EventStore(run_id)
        store.add_listener(account.listen)
        log = self._opened("the log", files.log, _log_file)
        if log is not None:
            store.add_listener(log.listen)
        metrics = self._opened("metrics", files.metrics, _metrics_file)
        lineage = _lineage(account)
        if lineage is not None:
            store.add_listener(lineage.listen)
        self._kept = _Kept(
            store=store,
            account=account,
            files=files,
            log=log,
            metrics=metrics,
            lineage=lineage,
            publication=publication,
            label=label,
            period=period,
        )
        if lineage is None and is_asked_for(os.environ):
            self._kept.warn(f"OpenLineage is asked for, and its client is not installed: {INSTALL}")
        if self._unwritable:
            raise RunError("; ".join(self._unwritable))

    def begin_refused(self, arguments: Sequence[str]) -> None:
        """Begin the record of an export whose arguments were refused, in the files they name."""
        is_run = "export" in arguments[:1] and "--plan" not in arguments
        if self._kept is None and is_run:
            with contextlib.suppress(RunError):
                self.begin(named_files(arguments))

    def warn_undelivered(self, error: OSError) -> None:
        """Say that the report of the run did not arrive; what it tells of is there."""
        if self._kept is not None:
            self._kept.warn(f"cannot write the report to standard output: {error.strerror}")

    def fail(self, message: str) -> None:
        """Remember what the user is told of the command's failure."""
        self._error = message

    def end(self, exit_code: int) -> None:
        """Tell the exit code as the last event, write the metrics, and close all."""
        if self._kept is None:
            return
        kept, self._kept = self._kept, None
        if kept.lineage is not None:
            lost = kept.lineage.close(self._error, interrupted=exit_code > SIGNAL_EXIT)
            if lost is not None:
                kept.warn(wording.one_line(without_passwords(lost)))
        report = kept.account.report()
        self._tell_the_end(kept, report, exit_code)
        kept.store.close()
        if kept.log is not None:
            kept.log.close()
        problems = [*_incomplete(kept), _write_metrics(kept, report, exit_code)]
        for problem in filter(None, problems):
            say(f"warning: {wording.one_line(problem)}")

    def _tell_the_end(self, kept: _Kept, report: RunReport, exit_code: int) -> None:
        words = f"run {report.run_id} ended with exit code {exit_code}"
        figures: dict[str, Any] = {
            "exit_code": exit_code,
            "error": self._error,
            "seconds": round(report.seconds, 3),
            **{f"sources_{s.value}": len(report.of_state(s)) for s in SourceState},
            "rows": report.total_rows,
            "size_bytes": report.total_bytes,
            "peak_memory_bytes": peak_memory_bytes(),
        }
        kept.tell(
            EventType.RUN_ENDED,
            words if self._error is None else f"{words}: {self._error}",
            EventLevel.ERROR if exit_code else EventLevel.INFO,
            context=figures,
        )

    def _opened(self, what: str, path: Path | None, opening: Callable[[Path], T]) -> T | None:
        if path is None:
            return None
        try:
            return opening(path)
        except OSError as error:
            self._unwritable.append(_cannot_write(what, path, error))
            return None


def _lineage(account: Account) -> Lineage | None:
    """The sink for lineage, where it is asked for and can be had."""
    if not is_asked_for(os.environ) or not is_installed():
        return None
    from duckwarp.record.lineage import Lineage

    return Lineage(account)


def _log_file(path: Path) -> LogFile:
    from duckwarp.record.logfile import LogFile

    return LogFile(path, wording.one_line)


def _metrics_file(path: Path) -> Path:
    from duckwarp.record.metrics import check_metrics_file

    check_metrics_file(path)
    return path


def _write_metrics(kept: _Kept, report: RunReport, exit_code: int) -> str | None:
    """Put the metrics in place; why that could not be done, if so."""
    if kept.metrics is None:
        return None
    from duckwarp.record.metrics import LastRun, write_metrics

    run = LastRun(
        publication=kept.label,
        report=report,
        exit_code=exit_code,
        peak_memory_bytes=peak_memory_bytes(),
    )
    try:
        write_metrics(kept.metrics, run)
    except OSError as error:
        return _cannot_write("metrics", kept.metrics, error)
    return None


def _incomplete(kept: _Kept) -> Iterator[str]:
    """What could not be recorded while the run went on."""
    logged = kept.log.write_error if kept.log is not None else None
    for what, path, error in (
        ("events", kept.files.events, kept.store.write_error),
        ("the log", kept.files.log, logged),
    ):
        if error is not None:
            yield f"{_cannot_write(what, path, error)}; some are missing there"


def _cannot_write(what: str, path: Path | None, error: OSError) -> str:
    return f"cannot write {what} to {path}: {describe_error(error)}"
