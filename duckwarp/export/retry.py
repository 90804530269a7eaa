"""What is tried again, how often, and after which waits: a source, and the run as a whole.

Which failures may pass is `postgres/faults.py`'s matter. A wait ends at once with the run.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_any,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)

from duckwarp.catalog.update import Keeper
from duckwarp.export.copy import TICK_SECONDS, Deferred, Run, check_age
from duckwarp.export.skip import Trace
from duckwarp.model.change import Change
from duckwarp.model.errors import DuckwarpError, SnapshotLost, SnapshotTooOld
from duckwarp.model.results import SourceOutcome
from duckwarp.model.run_events import Reporter, RunRetried, SourceRetried
from duckwarp.model.settings import Publish, Settings
from duckwarp.model.source import Source
from duckwarp.postgres.snapshot import holds

T = TypeVar("T")
# The fields that every `Retried` has.
Trial = dict[str, Any]

# Twice as long each time. A server that is restarted in order is back after the second.
FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 30.0
# So that those who lost the same server do not all come back to it in the same moment.
JITTER_SECONDS = 1.0


# What no other try of a source in the same snapshot can mend.
RUN_ENDS = (SnapshotLost, SnapshotTooOld)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What a run knows beyond one snapshot, by code: its sources, and how those done have ended.

    `changes` are the staged files that are still to be put in place, `traces` what is to be
    remembered of each source, and `catalog` is the folder's.
    """

    catalog: Keeper
    sources: dict[str, Source] = field(default_factory=dict)
    outcomes: dict[str, SourceOutcome] = field(default_factory=dict)
    suspects: set[str] = field(default_factory=set)
    changes: dict[str, Change] = field(default_factory=dict)
    traces: dict[str, Trace] = field(default_factory=dict)


def whole_run_tried(
    work: Callable[[bool], T], settings: Settings, report: Reporter, ledger: Ledger
) -> T:
    """What `work` gives, which is done anew, in another snapshot, after a failure that may pass.

    It is told whether this is the last time.
    """
    numbers = itertools.count()

    def tell(trial: Trial) -> None:
        done = len(ledger.outcomes)
        kept = done if settings.publish is Publish.EACH else 0
        report(RunRetried(**trial, sources_done=kept, sources_dropped=done - kept))

    def attempt() -> T:
        return work(next(numbers) == settings.retries)

    return _retrying(settings.retries, _may_pass, threading.Event(), tell)(attempt)


def source_tried(run: Run, source: Source, work: Callable[[], T]) -> T:
    """What `work` gives for a source, which is done anew after a failure that may pass.

    Raises `SnapshotLost` where it cannot be done in the run's snapshot any more.
    """

    def tell(trial: Trial) -> None:
        run.report(SourceRetried(**trial, source=source.code))

    def attempt() -> T:
        if run.stop.is_set():
            raise Deferred
        check_age(run)
        try:
            return work()
        except Deferred:
            raise
        except Exception as error:
            if not run.stop.is_set():
                _look_closer(run, error)
            raise

    def may_pass_here(error: BaseException) -> bool:
        return _may_pass(error) and not isinstance(error, SnapshotLost)

    def rest(seconds: float) -> None:
        """Wait, as long as the run goes on and may hold its snapshot."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not run.expired.is_set():
            if run.stop.wait(min(left, TICK_SECONDS)):
                return

    return _retrying(run.settings.retries, may_pass_here, run.stop, tell, rest)(attempt)


def _look_closer(run: Run, error: Exception) -> None:
    """Raise what ends the run's snapshot, if that is why `error` came."""
    check_age(run)
    if isinstance(error, SnapshotLost):
        return
    with run.turn:
        if not holds(run.snapshot):
            raise SnapshotLost(run.snapshot.watch.reason or str(error)) from error


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, DuckwarpError) and error.may_pass


def _retrying(
    retries: int,
    may_pass: Callable[[BaseException], bool],
    ended: threading.Event,
    tell: Callable[[Trial], None],
    rest: Callable[[float], None] | None = None,
) -> Retrying:
    def before_sleep(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        assert isinstance(error, DuckwarpError)
        wait = state.next_action.sleep if state.next_action is not None else 0.0
        tell(
            {
                "retry": state.attempt_number,
                "retries": retries,
                "wait_seconds": wait,
                "failure": error,
            }
        )

    return Retrying(
        retry=retry_if_exception(may_pass),
        stop=stop_any(stop_after_attempt(retries + 1), stop_when_event_set(ended)),
        wait=wait_exponential(FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS)
        + wait_random(0, JITTER_SECONDS),
        sleep=rest or sleep_using_event(ended),
        before_sleep=before_sleep,
        reraise=True,
    )
