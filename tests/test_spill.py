"""What does not fit into memory goes where the user said, within what was allowed, and is gone
afterwards; and a source for which memory or disk do not suffice says what to change."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from duckwarp.engine import layout, memory
from duckwarp.engine.copy import CopyJob, start_copy
from duckwarp.engine.session import Running, Session
from duckwarp.export import copy as copying
from duckwarp.model.errors import OutputUnusable
from duckwarp.model.events import Event, EventType
from duckwarp.model.settings import MIN_MEMORY_BYTES
from duckwarp.model.sizes import size_text
from duckwarp.model.source import Selection
from duckwarp.store import space
from duckwarp.store.staging import STAGING_FOLDER
from tests.runs import Recorder, export, published_files
from tests.support import Database
from tests.types.harness import scratch_database

MB = 1_000_000
ROWS = 1_000_000
TABLE = Selection(tables=("public.t",))
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def loaded(server_dsn: str, worker_id: str) -> Iterator[Database]:
    """A table of 200 MB, in no order."""
    with scratch_database(server_dsn, worker_id) as database:
        database.execute(f"""
            CREATE UNLOGGED TABLE t AS SELECT md5((n * 7)::text) AS a,
            md5(n::text) || md5((n + 1)::text) AS b, n, md5((n + 2)::text) || md5(n::text) AS c
            FROM generate_series(1, {ROWS}) AS n; ANALYZE t;
            CREATE TABLE small AS SELECT 1 AS n""")
        yield database


@pytest.fixture(autouse=True)
def _budget_of_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of this one, which has mapped more libraries than a run needs."""
    monkeypatch.setattr(memory, "MAX_MAPPED_BYTES", 0)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[CopyJob]:
    """The copies that were started."""
    jobs: list[CopyJob] = []

    def start(session: Session, job: CopyJob) -> Running[int]:
        jobs.append(job)
        return start_copy(session, job)

    monkeypatch.setattr(copying, "start_copy", start)
    return jobs


@pytest.fixture
def in_duckdb(monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB is thought to sort the table in memory, of which it has the least that there is."""
    monkeypatch.setattr(layout, "IN_MEMORY_SHARE", 1000)


@pytest.fixture
def unforeseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sort is thought to spill next to nothing."""
    monkeypatch.setattr(layout, "SPILL_SHARE", 0.001)


def failure(database: Database, output_dir: Path, **settings: Any) -> str:
    """Why the table could not be exported; nothing must be left of it."""
    recorder = Recorder()
    [result] = export(database, TABLE, output_dir, recorder, **settings).results
    assert not result.success
    assert published_files(output_dir) == set()
    [error] = recorder.of(EventType.ERROR)
    assert error.context["error"] == result.error
    return result.error or ""


class TestBeforeTheCopy:
    def test_a_limit_that_is_too_small_fails_the_source_with_both_figures(
        self, loaded: Database, tmp_path: Path, started: list[CopyJob]
    ) -> None:
        reason = failure(
            loaded,
            tmp_path,
            sort_in="duckdb",
            memory_bytes=512 * MB,
            temp_limit_bytes=20 * MB,
        )
        needed = needed_mb(reason)
        assert 100 < needed < 300
        assert "--temp-limit allows 20.0 MB" in reason
        for advice in ("--memory", "--sort-in postgres", "raise it"):
            assert advice in reason
        assert started == []

    def test_a_disk_that_has_too_little_room_fails_it_with_both_figures(
        self,
        loaded: Database,
        tmp_path: Path,
        started: list[CopyJob],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        asked: list[Path] = []

        def usage(path: Path) -> SimpleNamespace:
            asked.append(path)
            return SimpleNamespace(total=10**12, used=10**12, free=30 * MB)

        monkeypatch.setattr(space.shutil, "disk_usage", usage)
        temp_dir = tmp_path / "temp"
        temp_dir.mkdir()
        output_dir = tmp_path / "output"
        options = {"sort_in": "duckdb", "memory_bytes": 512 * MB}
        for settings, where in (
            (options, output_dir),
            (options | {"temp_dir": temp_dir}, temp_dir),
        ):
            reason = failure(loaded, output_dir, **settings)
            assert 100 < needed_mb(reason) < 300
            assert "has 30.0 MB free" in reason
            for advice in ("--memory", "--sort-in postgres", "--temp-dir"):
                assert advice in reason
            assert asked[-1].is_relative_to(where)
        assert started == []

    @pytest.mark.parametrize(
        "settings",
        [
            pytest.param({"sort_in": "postgres"}, id="the server sorts"),
            pytest.param({"order": "none"}, id="nobody sorts"),
            pytest.param({"memory_bytes": 2000 * MB}, id="it fits into memory"),
        ],
    )
    def test_where_nothing_is_spilled_no_room_is_needed(
        self, loaded: Database, tmp_path: Path, settings: dict[str, Any]
    ) -> None:
        [result] = export(loaded, TABLE, tmp_path, temp_limit_bytes=0, **settings).results
        assert result.error is None
        assert result.row_count == ROWS

    def test_a_source_that_fails_for_it_does_not_fail_the_others(
        self, loaded: Database, tmp_path: Path
    ) -> None:
        both = Selection(tables=("public.small", "public.t"))
        options = {"sort_in": "duckdb", "memory_bytes": 512 * MB, "temp_limit_bytes": 0}
        small, large = export(loaded, both, tmp_path, **options).results
        assert (small.success, large.success) == (True, False)


def needed_mb(reason: str) -> float:
    """The megabytes that are said to be needed."""
    _, _, rest = reason.partition("the sort needs about ")
    figure, unit, *_ = rest.split()
    assert unit == "MB"
    return float(figure)


@pytest.fixture
def scarce(monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB has less than the least, in which it sorts the table with one thread."""
    monkeypatch.setattr(memory, "MIN_DUCKDB_BYTES", 50 * MB)


class TestMemoryThatRunsOut:
    @pytest.mark.usefixtures("in_duckdb")
    def test_the_source_is_tried_again_with_the_server_s_sort(
        self, loaded: Database, tmp_path: Path, started: list[CopyJob]
    ) -> None:
        recorder = Recorder()
        options = {"memory_bytes": MIN_MEMORY_BYTES, "threads": 2}
        [result] = export(loaded, TABLE, tmp_path, recorder, **options).results
        assert result.error is None
        assert pq.read_metadata(result.parquet_path).num_rows == ROWS
        assert [job.plan.layout.sort_in for job in started] == ["duckdb", "postgres"]
        assert [len(job.plan.ranges) for job in started] == [2, 1]
        [again] = [event for event in recorder.events if "again" in event.message]
        assert (again.event_type, again.stage) == (EventType.PROGRESS, "read")
        assert again.message.startswith("copying t again: memory ran out")
        assert again.context["source"] == "t"
        assert published_files(tmp_path) == {"t.parquet", "t.md"}

    @pytest.mark.usefixtures("scarce")
    def test_where_duckdb_has_to_sort_the_failure_says_what_to_change(
        self, loaded: Database, tmp_path: Path, started: list[CopyJob]
    ) -> None:
        reason = failure(loaded, tmp_path, sort_in="duckdb", memory_bytes=MIN_MEMORY_BYTES)
        assert reason.startswith("ran out of memory: ")
        assert f"allow more than --memory {size_text(MIN_MEMORY_BYTES)}" in reason
        assert "--sort-in postgres" in reason
        assert "\n" not in reason
        assert len(started) == 2

    @pytest.mark.usefixtures("scarce")
    def test_one_that_ran_out_does_not_matter_to_the_next(
        self, loaded: Database, tmp_path: Path
    ) -> None:
        both = Selection(tables=("public.t", "public.small"))
        options = {"sort_in": "duckdb", "memory_bytes": MIN_MEMORY_BYTES, "jobs": 1}
        results = export(loaded, both, tmp_path, **options).results
        assert {result.canonical_code: result.success for result in results} == {
            "t": False,
            "small": True,
        }


class Watch:
    """Sees at each tick what there is below some folders."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self.seen: set[Path] = set()

    def __call__(self, event: Event) -> None:
        if event.is_tick:
            for folder in self._folders:
                self.seen |= {path for path in folder.rglob("*") if path.is_file()}

    def spilled(self, folder: Path) -> list[Path]:
        """The files that were spilled below a folder."""
        return [
            path
            for path in self.seen
            if path.is_relative_to(folder) and path.name.startswith("duckdb_temp")
        ]


# In this DuckDB's sort of the table has to spill, and can.
SPILLING = {"sort_in": "duckdb", "memory_bytes": 460 * MB, "threads": 1}


class TestWhere:
    def test_the_sort_spills_into_the_staging_area_and_leaves_nothing(
        self, loaded: Database, tmp_path: Path
    ) -> None:
        watch = Watch(tmp_path)
        [result] = export(loaded, TABLE, tmp_path, Recorder(watch), **SPILLING).results
        assert result.error is None
        spilled = watch.spilled(tmp_path)
        assert spilled
        assert all(path.is_relative_to(tmp_path / STAGING_FOLDER) for path in spilled)
        assert published_files(tmp_path) == {"t.parquet", "t.md"}

    def test_or_where_it_was_told_and_touches_nothing_else_there(
        self, loaded: Database, tmp_path: Path
    ) -> None:
        output_dir, temp_dir = tmp_path / "output", tmp_path / "temp"
        temp_dir.mkdir()
        for name in ("notes.txt", ".hidden", "run-1", "duckdb_temp_storage-0.tmp"):
            (temp_dir / name).write_text("mine")
        before = published_files(temp_dir)
        watch = Watch(output_dir, temp_dir)
        [result] = export(
            loaded, TABLE, output_dir, Recorder(watch), temp_dir=temp_dir, **SPILLING
        ).results
        assert result.error is None
        assert [path for path in watch.spilled(temp_dir) if STAGING_FOLDER in path.parts]
        assert watch.spilled(output_dir) == []
        assert published_files(temp_dir) == before
        assert all((temp_dir / name).read_text() == "mine" for name in before)
        assert published_files(output_dir) == {"t.parquet", "t.md"}

    def test_both_may_be_the_same_folder(self, loaded: Database, tmp_path: Path) -> None:
        small = Selection(tables=("public.small",))
        [result] = export(loaded, small, tmp_path, temp_dir=tmp_path).results
        assert result.error is None
        assert published_files(tmp_path) == {"small.parquet", "small.md"}

    def test_the_name_of_the_folder_means_nothing_but_itself(
        self, loaded: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        folder = Path("~x it's é✓ glob*?[x]")
        folder.mkdir()
        watch = Watch(tmp_path / folder)
        [result] = export(
            loaded, TABLE, tmp_path / "o", Recorder(watch), temp_dir=folder, **SPILLING
        ).results
        assert result.error is None
        assert watch.spilled(tmp_path / folder)
        assert published_files(tmp_path) == {str(folder), "o"}
        assert published_files(folder) == set()

    def test_a_folder_that_is_not_there_stops_the_run_and_is_named(
        self, loaded: Database, tmp_path: Path
    ) -> None:
        """To make one could fill the disk that it was to spare."""
        missing = tmp_path / "missing"
        with pytest.raises(OutputUnusable) as caught:
            export(loaded, TABLE, tmp_path / "o", temp_dir=missing)
        assert f"temporary folder {missing}: No such file" in str(caught.value)
        assert not missing.exists()
        assert published_files(tmp_path / "o") == set()

    def test_a_link_in_the_place_of_the_hidden_folder_is_refused(
        self, loaded: Database, tmp_path: Path
    ) -> None:
        (tmp_path / "temp").mkdir()
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "temp" / STAGING_FOLDER).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(OutputUnusable, match="is a symbolic link"):
            export(loaded, TABLE, tmp_path / "o", temp_dir=tmp_path / "temp")
        assert published_files(tmp_path / "elsewhere") == set()


@contextmanager
def small_disk(folder: Path, size_mb: int, *options: str) -> Iterator[Path]:
    """A file system of so many megabytes, mounted at the folder."""
    folder.mkdir()
    mount = [
        "mount",
        "-t",
        "tmpfs",
        "-o",
        ",".join([f"size={size_mb}m", *options]),
        "duckwarp-test",
        str(folder),
    ]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class TestTooLittleRoom:
    def test_a_small_disk_is_noticed_before_the_copy(
        self, loaded: Database, tmp_path: Path, started: list[CopyJob]
    ) -> None:
        with small_disk(tmp_path / "disk", 10) as disk:
            reason = failure(loaded, tmp_path / "o", temp_dir=disk, **SPILLING)
            assert str(disk) in reason
            assert "has 10.5 MB free" in reason
            assert published_files(disk) == set()
        assert started == []

    @pytest.mark.usefixtures("unforeseen")
    def test_one_that_fills_up_meanwhile_fails_the_source_and_is_left_empty(
        self, loaded: Database, tmp_path: Path
    ) -> None:
        with small_disk(tmp_path / "disk", 10) as disk:
            reason = failure(loaded, tmp_path / "o", temp_dir=disk, **SPILLING)
            assert "disk is full" in reason or "ran out of temporary space" in reason
            assert "--temp-dir" in reason
            assert f"{disk}, which had 10.5 MB free" in reason
            assert published_files(disk) == set()

    @pytest.mark.usefixtures("unforeseen")
    def test_a_limit_that_is_reached_meanwhile_fails_the_source_and_says_so(
        self, loaded: Database, tmp_path: Path
    ) -> None:
        reason = failure(loaded, tmp_path, temp_limit_bytes=10 * MB, **SPILLING)
        assert "--temp-limit" in reason

    @pytest.mark.usefixtures("unforeseen")
    def test_and_is_tried_again_where_the_server_may_sort(
        self, loaded: Database, tmp_path: Path, started: list[CopyJob]
    ) -> None:
        options = SPILLING | {"sort_in": "auto"}
        [result] = export(loaded, TABLE, tmp_path, temp_limit_bytes=10 * MB, **options).results
        assert result.error is None
        assert [job.plan.layout.sort_in for job in started] == ["duckdb", "postgres"]


@contextmanager
def spilling_run(
    database: Database, output_dir: Path, temp_dir: Path | None
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that is in the middle of a sort, and a file that it has spilled."""
    command = [sys.executable, "-m", "duckwarp", "export", "--table", "public.t"]
    command += ["--dsn", database.dsn, "--output", str(output_dir), "--memory", "460MB"]
    command += ["--sort-in", "duckdb", "--threads", "1"]
    command += ["--temp-dir", str(temp_dir)] if temp_dir else []
    base = (temp_dir or output_dir) / STAGING_FOLDER
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process, _first_spilled(base, process)
        finally:
            process.kill()


def _first_spilled(base: Path, process: subprocess.Popen[str]) -> Path:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := list(base.rglob("duckdb_temp*"))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found[0]


@pytest.mark.parametrize("temp", [None, "temp"], ids=["staging area", "a folder of its own"])
class TestKilled:
    def test_what_a_killed_run_spilled_is_removed_by_the_next(
        self, loaded: Database, tmp_path: Path, temp: str | None
    ) -> None:
        output_dir, temp_dir = tmp_path / "output", tmp_path / temp if temp else None
        if temp_dir is not None:
            temp_dir.mkdir()
            (temp_dir / "notes.txt").write_text("mine")
        with spilling_run(loaded, output_dir, temp_dir) as (process, spilled):
            process.kill()
            process.wait()
        assert spilled.exists()
        small = Selection(tables=("public.small",))
        export(loaded, small, output_dir, temp_dir=temp_dir)
        assert not spilled.exists()
        assert published_files(output_dir) == {"small.parquet", "small.md"}
        if temp_dir is not None:
            assert published_files(temp_dir) == {"notes.txt"}

    def test_what_a_living_run_spilled_is_kept_by_another(
        self, loaded: Database, tmp_path: Path, temp: str | None
    ) -> None:
        """Another output folder, and the temporary one that both use."""
        first, second = tmp_path / "first", tmp_path / "second"
        temp_dir = first if temp is None else tmp_path / temp
        temp_dir.mkdir()
        with spilling_run(loaded, first, temp_dir if temp else None) as (process, _):
            small = Selection(tables=("public.small",))
            export(loaded, small, second, temp_dir=temp_dir)
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode == 0, errors
        assert published_files(first) >= {"t.parquet", "t.md"}
        assert published_files(second) >= {"small.parquet", "small.md"}
        assert STAGING_FOLDER not in published_files(first) | published_files(temp_dir)
