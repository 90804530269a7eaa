"""What a run has come to so far, by its events: for a run that ends before it can report."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from duckwarp.model.events import Event, EventLevel, EventType
from duckwarp.model.results import (
    BYTES_PER_MB,
    ExportResult,
    Loss,
    RunReport,
    SourceOutcome,
    SourceState,
)


@dataclass(slots=True, kw_only=True)
class Account:
    """Listens to a run and keeps the outcome of each source, by its code, as soon as it is known.

    A source counts as exported once its files are in place.
    """

    run_id: str
    output_dir: str = ""
    outcomes: dict[str, SourceOutcome] = field(default_factory=dict)
    _staged: dict[str, SourceOutcome] = field(default_factory=dict)
    _losses: dict[str, tuple[Loss, ...]] = field(default_factory=dict)
    _notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)

    def listen(self, event: Event) -> None:
        """Take one event of the run."""
        match event.event_type, event.stage:
            case EventType.RUN_STARTED, _:
                self.output_dir = str(event.context.get("output_dir", ""))
            case EventType.STAGE_STARTED, "export":
                self._begun(str(event.context["source"]))
            case EventType.WARNING, "export":
                self._warned(event)
            case EventType.STAGE_COMPLETED, "export":
                self._staged_or_unchanged(_exported(event))
            case EventType.STAGE_COMPLETED, "publish" if event.context["source"] in self._staged:
                self._ended(self._staged.pop(event.context["source"]))
            case EventType.STAGE_SKIPPED, "export":
                self._ended(_other(event, SourceState.SKIPPED, str(event.context["reason"])))
            case EventType.ERROR, "export":
                self._ended(_other(event, SourceState.FAILED, str(event.context["error"])))

    def report(self) -> RunReport:
        """The run as far as it has come."""
        return RunReport(
            run_id=self.run_id,
            output_dir=self.output_dir,
            outcomes=tuple(outcome for _, outcome in sorted(self.outcomes.items())),
            seconds=time.monotonic() - self._started,
        )

    def _begun(self, code: str) -> None:
        """Begin anew: a source that is tried again warns again."""
        for of_source in (self._losses, self._notes, self._staged):
            of_source.pop(code, None)

    def _staged_or_unchanged(self, outcome: SourceOutcome) -> None:
        if outcome.state is SourceState.UNCHANGED:
            self._ended(outcome)
        else:
            self._staged[outcome.code] = outcome

    def _warned(self, event: Event) -> None:
        context, code = event.context, str(event.context.get("source", ""))
        if event.level is EventLevel.WARNING and "column" in context:
            loss = Loss(
                column=context["column"],
                kind=context["kind"],
                count=context["count"],
                outcome=context["outcome"],
            )
            self._losses[code] = (*self._losses.get(code, ()), loss)
        else:
            note = event.message.removeprefix(f"{code}: ")
            self._notes[code] = (*self._notes.get(code, ()), note)

    def _ended(self, outcome: SourceOutcome) -> None:
        code = outcome.code
        losses, notes = self._losses.get(code, ()), self._notes.get(code, ())
        self.outcomes[code] = replace(outcome, losses=losses, notes=notes)


def _exported(event: Event) -> SourceOutcome:
    context = event.context
    result = ExportResult(
        success=True,
        canonical_code=context["source"],
        row_count=context["rows"],
        column_count=context["columns"],
        parquet_size_mb=context["size_bytes"] / BYTES_PER_MB,
        parquet_path=context["parquet_path"],
        metadata_path=context["metadata_path"],
    )
    return SourceOutcome(
        code=result.canonical_code,
        state=SourceState(context["state"]),
        read=context.get("read", True),
        result=result,
        size_bytes=context["size_bytes"],
        seconds=context["seconds"],
    )


def _other(event: Event, state: SourceState, reason: str) -> SourceOutcome:
    code = str(event.context["source"])
    failed = ExportResult.failure(code, reason) if state is SourceState.FAILED else None
    return SourceOutcome(
        code=code,
        state=state,
        result=failed,
        reason=reason,
        seconds=event.context.get("seconds", 0.0),
    )
