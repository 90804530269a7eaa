"""Checks of this machine: the extension, memory, and the folders that a run writes to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from duckwarp.catalog.update import shown
from duckwarp.doctor.checks import Check, failed, ok, warning
from duckwarp.doctor.examination import Examination
from duckwarp.engine.layout import IN_MEMORY_SHARE, SPILL_FACTOR, SPILL_SHARE
from duckwarp.engine.memory import free_memory_bytes, memory_budget
from duckwarp.engine.session import extension_version
from duckwarp.files.opening import STAGING_FOLDER
from duckwarp.model.errors import CatalogMissing, CatalogUnusable, RunError
from duckwarp.model.settings import Order, SortIn
from duckwarp.model.sizes import size_text
from duckwarp.model.source import Source
from duckwarp.store.folder import (
    disk_of,
    existing,
    leftovers,
    published_bytes,
    try_to_write,
)
from duckwarp.store.hidden import find_problem


def extension(_: Examination) -> Iterator[Check]:
    """Whether DuckDB can load its postgres extension."""
    duckdb_version, version = extension_version()
    finding = f"DuckDB {duckdb_version} loads its postgres extension {version}"
    yield ok("extension", finding, duckdb_version=duckdb_version, extension_version=version)


def memory(examination: Examination) -> Iterator[Check]:
    """Whether there is as much as a run needs, and as it may take."""
    settings = examination.settings
    free_bytes = free_memory_bytes()
    budget = memory_budget(settings)
    examination.budget = budget
    finding = f"{size_text(budget.process_bytes)} for a run, {size_text(free_bytes)} free"
    figures = {"memory_bytes": budget.process_bytes, "free_memory_bytes": free_bytes}
    if budget.process_bytes > free_bytes:
        advice = "a run that takes them is killed: lower --memory, or free some"
        yield failed("memory", finding, advice, **figures)
    else:
        yield ok("memory", finding, **figures)


def output(examination: Examination) -> Iterator[Check]:
    """Whether the output folder can be written."""
    yield _writable("output folder", examination.settings.output_dir)


def temp(examination: Examination) -> Iterator[Check]:
    """Whether the folder for temporary files can be written, where one is named."""
    if examination.settings.temp_dir is not None:
        yield _writable("temporary folder", examination.settings.temp_dir)


def _writable(name: str, folder: Path) -> Check:
    place = existing(folder)
    if not place.is_dir():
        return failed(name, f"{place} is not a folder", "name another one")
    problem = find_problem(folder / STAGING_FOLDER)
    if problem is not None:
        return failed(name, f"{folder} cannot be written: {problem}")
    try:
        try_to_write(folder)
    except OSError as error:
        finding = f"{place} cannot be written: {error.strerror}"
        return failed(name, finding, "give the user of the run the right to write there")
    there = "can be written" if place == folder.absolute() else "does not exist yet; it can be made"
    return ok(name, f"{folder} {there}")


def catalog(examination: Examination) -> Iterator[Check]:
    """Whether the catalog of what is published, if there is one, can be kept up to date."""
    folder = examination.settings.output_dir
    try:
        found = shown(folder)
    except CatalogMissing:
        yield ok("catalog", f"there is none yet in {folder}")
        return
    except CatalogUnusable as error:
        yield failed("catalog", str(error))
        return
    figures = {"datasets": len(found.entries), "datasets_left_out": len(found.left_out)}
    finding = f"{folder} has {len(found.entries):,} datasets"
    if found.left_out:
        names = ", ".join(f"{each.name} ({each.reason})" for each in found.left_out)
        advice = "an export that has them puts them right, and so does `duckwarp catalog rebuild`"
        yield warning(
            "catalog", f"{finding}, and some are not as it says: {names}", advice, **figures
        )
    else:
        yield ok("catalog", finding, **figures)


def disk(examination: Examination) -> Iterator[Check]:
    """Whether what a run writes has room, in each place that it writes to."""
    settings = examination.settings
    needs = {"output folder": (settings.output_dir, _output_bytes(examination))}
    spill_place = settings.temp_dir or settings.output_dir
    needs["sort"] = (spill_place, _spill_bytes(examination))
    by_device: dict[int, list[str]] = {}
    for name, (folder, _) in needs.items():
        by_device.setdefault(disk_of(folder).device, []).append(name)
    for names in by_device.values():
        folder = needs[names[0]][0]
        needed_bytes = sum(needs[name][1] for name in names)
        yield _room(folder, needed_bytes, known=examination.sources is not None)


def _room(folder: Path, needed_bytes: int, *, known: bool) -> Check:
    free_bytes = disk_of(folder).free_bytes
    figures = {"free_disk_bytes": free_bytes, "needed_disk_bytes": needed_bytes if known else None}
    finding = f"{folder} has {size_text(free_bytes)} free"
    if not known:
        return ok("disk", f"{finding}; what a run needs depends on its sources", **figures)
    finding += f", a run needs about {size_text(needed_bytes)}"
    if free_bytes < needed_bytes:
        advice = "free some, name another disk with --output or --temp-dir, or sort in the server "
        return failed("disk", finding, f"{advice}with --sort-in postgres", **figures)
    return ok("disk", finding, **figures)


def _output_bytes(examination: Examination) -> int:
    """What the new files take beside the present ones, which stay until all are done.

    As much as the present ones take, or as the table does on the server where there is none.
    """
    folder = examination.settings.output_dir
    return sum(
        published_bytes(folder, source.code) or _table_bytes(source)
        for source in examination.sources or ()
    )


def _spill_bytes(examination: Examination) -> int:
    """What the largest sort writes that DuckDB makes and memory does not hold."""
    budget, settings = examination.budget, examination.settings
    if budget is None or settings.order is Order.NONE or settings.sort_in is SortIn.POSTGRES:
        return 0
    most = budget.duckdb_bytes * SPILL_FACTOR
    spilling = [
        size
        for size in map(_table_bytes, examination.sources or ())
        if size > budget.duckdb_bytes * IN_MEMORY_SHARE
        and (size <= most or settings.sort_in is SortIn.DUCKDB)
    ]
    return int(max(spilling, default=0) * SPILL_SHARE)


def _table_bytes(source: Source) -> int:
    return source.relation.size_bytes if source.relation is not None else 0


def earlier_runs(examination: Examination) -> Iterator[Check]:
    """Who else is at work in the output folder, and what dead runs have left."""
    settings = examination.settings
    yield _earlier("earlier runs", settings.output_dir, alone=True)
    if settings.temp_dir is not None and settings.temp_dir != settings.output_dir:
        # Several runs may share it.
        yield _earlier("earlier runs", settings.temp_dir, alone=False)


def _earlier(name: str, folder: Path, *, alone: bool) -> Check:
    try:
        found = leftovers(folder)
    except OSError as error:
        raise RunError(f"{folder} cannot be read: {error.strerror}") from error
    if found.living and alone:
        finding = f"{folder} is held by {', '.join(found.living)}"
        return warning(name, finding, "wait for it with --wait SECONDS")
    if found.begun:
        finding = f"a dead run has left a half-published set in {folder}"
        return warning(name, finding, "the next run completes it", dead_runs=len(found.dead))
    if found.dead:
        finding = f"a dead run has left {size_text(found.dead_bytes)} in {folder}"
        figures = {"dead_runs": len(found.dead), "dead_bytes": found.dead_bytes}
        return warning(name, finding, "the next run removes it", **figures)
    return ok(name, f"none is in the way in {folder}, and none has left anything")
