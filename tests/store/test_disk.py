"""Disks that are full or cannot be written: the source fails, and what was published stays."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from duckwarp.model.errors import OutputUnusable
from duckwarp.model.events import EventType
from duckwarp.model.results import SourceState
from duckwarp.model.source import Selection
from duckwarp.store.journal import CATALOG_NAMES
from duckwarp.store.staging import STAGING_FOLDER
from tests.runs import Recorder, by_code, export, published_files, when
from tests.store.publications import identity
from tests.support import Database
from tests.test_spill import small_disk

PUBLIC = Selection(schema="public")
DISK_MB = 4


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", DISK_MB) as folder:
        yield folder


@pytest.fixture
def two(database: Database) -> Database:
    """A database with the sources `large`, which takes more than the disk has, and `small`."""
    database.execute("""
        CREATE TABLE large AS SELECT n FROM generate_series(1, 10) n;
        CREATE TABLE small AS SELECT n FROM generate_series(1, 10) n""")
    return database


GROW = """
    INSERT INTO small VALUES (11); DROP TABLE large;
    CREATE TABLE large AS
    SELECT n, gen_random_uuid()::text AS v FROM generate_series(1, 400000) n"""


def identities(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    return {path.name: identity(path) for path in folder.iterdir()}


def fill(disk: Path) -> Path:
    """A file that leaves nothing free."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        file.truncate(0)
        left = os.statvfs(disk)
        os.posix_fallocate(file.fileno(), 0, left.f_bavail * left.f_frsize)
    return filler


@pytest.mark.parametrize("publish", ["together", "each"])
def test_a_source_that_fills_the_disk_fails_alone_and_says_how_much_was_free(
    two: Database, disk: Path, publish: str
) -> None:
    export(two, PUBLIC, disk, publish=publish)
    before = identities(disk)
    two.execute(GROW)
    report = export(two, PUBLIC, disk, publish=publish, jobs=1)
    error = by_code(report)["large"].error or ""
    assert "No space left on device" in error
    assert f"; {disk} had 4." in error
    assert error.endswith(" MB free when its export began")
    assert by_code(report)["small"].success
    after = identities(disk)
    changed = {name for name in before if after[name] != before[name]}
    assert changed >= {"small.parquet", "small.md"}
    assert not any(name.startswith("large") for name in changed)
    assert published_files(disk) == before.keys() - CATALOG_NAMES


def test_a_disk_without_any_room_fails_every_source_and_keeps_every_file(
    two: Database, disk: Path
) -> None:
    export(two, PUBLIC, disk)
    before = identities(disk)
    two.execute("INSERT INTO small VALUES (11); INSERT INTO large VALUES (11)")
    filler = fill(disk)
    report = export(two, PUBLIC, disk, jobs=1)
    assert [outcome.state for outcome in report.outcomes] == [SourceState.FAILED] * 2
    for result in report.results:
        assert "No space left on device" in (result.error or "")
        assert "had 0 B free" in (result.error or "")
    filler.unlink()
    assert identities(disk) == before
    report = export(two, PUBLIC, disk)
    assert [outcome.state for outcome in report.outcomes] == [SourceState.EXPORTED] * 2


def test_a_disk_that_fills_up_before_the_publication_keeps_every_file(
    two: Database, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The staged files have their room, the journal has none."""
    export(two, PUBLIC, disk)
    before = identities(disk)
    two.execute("INSERT INTO small VALUES (11); INSERT INTO large VALUES (11)")
    original = Path.write_text

    def write_text(path: Path, *arguments: str, **more: str) -> int:
        if path.name.startswith("journal"):
            fill(disk)
        return original(path, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", write_text)
        report = export(two, PUBLIC, disk)
    assert [outcome.state for outcome in report.outcomes] == [SourceState.FAILED] * 2
    for result in report.results:
        assert "No space left on device" in (result.error or "")
        assert (result.error or "").endswith(f"; {disk} has 0 B free")
    (disk / "filler").unlink()
    assert identities(disk) == before


def test_a_file_system_that_may_not_be_written_stops_the_run(two: Database, disk: Path) -> None:
    export(two, PUBLIC, disk)
    before = identities(disk)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(OutputUnusable, match="Read-only file system"):
        export(two, PUBLIC, disk)
    assert identities(disk) == before


@pytest.mark.parametrize("publish", ["together", "each"])
def test_one_that_becomes_so_meanwhile_fails_every_source(
    two: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, publish: str
) -> None:
    export(two, PUBLIC, tmp_path)
    before = identities(tmp_path)
    two.execute("INSERT INTO small VALUES (11); INSERT INTO large VALUES (11)")

    def refuse(path: Path, *_: object, **__: object) -> Path:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    with monkeypatch.context() as patch:

        def become_so() -> None:
            for name in ("replace", "unlink", "rmdir"):
                patch.setattr(Path, name, refuse)

        begun = Recorder(when(EventType.STAGE_STARTED, "large", become_so))
        report = export(two, PUBLIC, tmp_path, begun, publish=publish)
    assert [outcome.state for outcome in report.outcomes] == [SourceState.FAILED] * 2
    assert all("Read-only file system" in (result.error or "") for result in report.results)
    after = identities(tmp_path)
    after.pop(STAGING_FOLDER)
    assert after == before
    report = export(two, PUBLIC, tmp_path)
    assert [outcome.state for outcome in report.outcomes] == [SourceState.EXPORTED] * 2
    assert STAGING_FOLDER not in identities(tmp_path)


def test_a_disk_without_inodes_says_so_whatever_room_it_has(two: Database, tmp_path: Path) -> None:
    """Wherever the run is when it meets none."""
    with small_disk(tmp_path / "disk", DISK_MB, "nr_inodes=60") as disk:
        export(two, PUBLIC, disk)
        before = identities(disk)
        two.execute("INSERT INTO small VALUES (11); INSERT INTO large VALUES (11)")
        told: list[str] = []
        for left in range(20):
            fillers = take_inodes(disk, left)
            try:
                report = export(two, PUBLIC, disk, jobs=1)
                reasons = [result.error or "" for result in report.results if not result.success]
            except OutputUnusable as error:
                reasons = [str(error)]
            for filler in fillers:
                filler.unlink()
            if not reasons:
                break
            told += reasons
            after = identities(disk)
            after.pop(STAGING_FOLDER, None)
            assert after == before
        assert len(told) > 5
        for reason in told:
            assert "No space left on device" in reason
            assert re.search(r" has (no|\d+) free inodes: remove files there", reason)
        assert {path.name for path in disk.iterdir()} == before.keys()


def take_inodes(disk: Path, left: int) -> list[Path]:
    """Empty files that leave so many inodes free."""
    fillers = [disk / f"filler{n}" for n in range(os.statvfs(disk).f_favail - left)]
    for filler in fillers:
        filler.touch()
    return fillers
