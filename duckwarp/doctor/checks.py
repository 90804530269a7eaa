"""Checks: what each has found, in one line, and what to do about it. Runs them, knows none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from duckwarp.model.errors import DuckwarpError

T = TypeVar("T")


class Status(StrEnum):
    """How a check ended: a warning keeps no run from its work, a failure does."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a check has found, and what to do where that is not as it should be.

    `source` is the code of the source that it is about. `figures` have their units in their names.
    """

    name: str
    status: Status
    finding: str
    advice: str | None = None
    source: str | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All checks, in the order in which they were made."""

    checks: tuple[Check, ...]

    def of_status(self, status: Status) -> tuple[Check, ...]:
        """The checks that ended so."""
        return tuple(check for check in self.checks if check.status is status)

    @property
    def is_healthy(self) -> bool:
        """Whether a run could do its work."""
        return not (self.of_status(Status.FAILED) or self.of_status(Status.NOT_CHECKED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Generic[T]):
    """One look at a `T`, which may give several checks, and the steps that have to go well first.

    `make` may be None: then there is nothing to look at, and no check.
    """

    name: str
    make: Callable[[T], Iterator[Check]]
    needs: tuple[str, ...] = ()


def ok(name: str, finding: str, **figures: Any) -> Check:
    """All is well."""
    return Check(name=name, status=Status.OK, finding=finding, figures=figures)


def warning(name: str, finding: str, advice: str, **figures: Any) -> Check:
    """A run would work, but not in every case, or not as well as it might."""
    return Check(name=name, status=Status.WARNING, finding=finding, advice=advice, figures=figures)


def failed(name: str, finding: str, advice: str | None = None, **figures: Any) -> Check:
    """A run would fail, or a source of it."""
    return Check(name=name, status=Status.FAILED, finding=finding, advice=advice, figures=figures)


def made(steps: Sequence[Step[T]], patient: T) -> Iterator[Check]:
    """Every step's checks, whatever became of the others."""
    broken: set[str] = set()
    for step in steps:
        missing = [need for need in step.needs if need in broken]
        found = [_not_checked(step.name, missing[0])] if missing else _survived(step, patient)
        checks = list(found)
        bad = (Status.FAILED, Status.NOT_CHECKED)
        if any(check.name == step.name and check.status in bad for check in checks):
            broken.add(step.name)
        yield from checks


def _not_checked(name: str, missing: str) -> Check:
    finding = f"it needs the check of the {missing}, which has failed"
    return Check(name=name, status=Status.NOT_CHECKED, finding=finding)


def _survived(step: Step[T], patient: T) -> Iterator[Check]:
    """The step's checks; what it raises is its finding."""
    try:
        yield from step.make(patient)
    except DuckwarpError as error:
        yield failed(step.name, str(error))
    except OSError as error:
        yield failed(step.name, f"{error.strerror or error}: {error.filename or 'no file'}")
    except Exception as error:
        yield failed(step.name, f"unexpected {type(error).__name__}; an error in duckwarp")
