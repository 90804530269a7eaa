"""Whether a run could work, and what to change where it could not: every check, one line each.

Writes nothing anywhere but a file without a name that is gone at once.
"""

from __future__ import annotations

from contextlib import ExitStack

from duckwarp.doctor import machine, server, sources
from duckwarp.doctor.checks import Check, Diagnosis, Status, Step, made
from duckwarp.doctor.examination import Examination
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection

__all__ = ["Check", "Diagnosis", "Status", "diagnose"]

_CONNECTED = ("connection",)
STEPS: tuple[Step[Examination], ...] = (
    Step(name="connection", make=server.connection),
    Step(name="server", make=server.version, needs=_CONNECTED),
    Step(name="role", make=server.role, needs=_CONNECTED),
    Step(name="pooler", make=server.pooler, needs=_CONNECTED),
    Step(name="snapshot", make=server.snapshot, needs=(*_CONNECTED, "pooler")),
    Step(name="ctid ranges", make=server.ranges, needs=_CONNECTED),
    Step(name="connections", make=server.connections, needs=_CONNECTED),
    Step(name="standby", make=server.standby, needs=_CONNECTED),
    Step(name="timeouts", make=server.timeouts, needs=_CONNECTED),
    Step(name="clock", make=server.clock, needs=_CONNECTED),
    Step(name="extension", make=machine.extension),
    Step(name="memory", make=machine.memory),
    Step(name="registry", make=sources.registry, needs=_CONNECTED),
    Step(name="source", make=sources.sources, needs=(*_CONNECTED, "registry")),
    Step(name="output folder", make=machine.output),
    Step(name="temporary folder", make=machine.temp),
    Step(name="catalog", make=machine.catalog),
    Step(name="disk", make=machine.disk),
    Step(name="earlier runs", make=machine.earlier_runs),
)


def diagnose(selection: Selection | None, settings: Settings) -> Diagnosis:
    """Check the server, the sources of `selection` and this machine for a run with `settings`.

    Raises nothing for what it finds: that is in the diagnosis.
    """
    with ExitStack() as stack:
        examination = Examination(settings=settings, selection=selection, stack=stack)
        return Diagnosis(checks=tuple(made(STEPS, examination)))
