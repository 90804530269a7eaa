"""What a run has come to so far, by its events: for a run that ends before it can report."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from duckwarp.model.events import Event
from duckwarp.model.results import RunReport, SourceOutcome, SourceState
from duckwarp.model.run_events import (
    RunStarted,
    SourceEnded,
    SourceExported,
    SourcePublished,
    SourceStarted,
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
    _started: float = field(default_factory=time.monotonic)

    def listen(self, event: Event) -> None:
        """Take one event of the run."""
        match event.subject:
            case RunStarted(output_dir=folder):
                self.output_dir = folder
            case SourceStarted(source=code):
                self._staged.pop(code, None)
            case SourceExported(outcome=outcome) if outcome.state is SourceState.EXPORTED:
                self._staged[outcome.code] = outcome
            case SourceEnded(outcome=outcome):
                self.outcomes[outcome.code] = outcome
            case SourcePublished(source=code) if code in self._staged:
                self.outcomes[code] = self._staged.pop(code)

    def report(self) -> RunReport:
        """The run as far as it has come."""
        return RunReport(
            run_id=self.run_id,
            output_dir=self.output_dir,
            outcomes=tuple(outcome for _, outcome in sorted(self.outcomes.items())),
            seconds=time.monotonic() - self._started,
        )
