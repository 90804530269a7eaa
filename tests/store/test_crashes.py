"""Killed at any moment, a run leaves whole files that belong together; the next one is green."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from duckwarp.model.source import Selection
from duckwarp.store.staging import STAGING_FOLDER
from tests.runs import export
from tests.store.crashing import Nursery, Order, nursery
from tests.store.publications import identity
from tests.support import Database

PUBLIC = Selection(schema="public")
CODES = ("a", "b", "new", "same")
OLD = {"a": 100, "b": 100, "same": 100}
NEW = {"a": 120, "b": 90, "new": 50, "same": 100}
FOREIGN = ("notes.txt", "c.parquet", ".hidden", "folder/kept.md")
# The steps before which a run is killed, whatever their number.
MOVING = {"together": {"replace", "link", "unlink"}, "each": {"replace"}}
RANDOM_TIMES = 3
MOST_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A database that has moved on since the files in `before` were published."""

    database: Database
    before: Path
    nursery: Nursery


@pytest.fixture
def stage(database: Database, tmp_path: Path) -> Iterator[Stage]:
    for code in OLD:
        database.execute(
            f"CREATE TABLE {code} AS SELECT n, 'old' AS v FROM generate_series(1, 100) n"
        )
    before = tmp_path / "before"
    for name in FOREIGN:
        (before / name).parent.mkdir(parents=True, exist_ok=True)
        (before / name).write_text(f"somebody's {name}")
    export(database, PUBLIC, before)
    database.execute("""
        UPDATE a SET v = 'new'; INSERT INTO a SELECT n, 'new' FROM generate_series(101, 120) n;
        UPDATE b SET v = 'new'; DELETE FROM b WHERE n > 90;
        CREATE TABLE new AS SELECT n, 'new' AS v FROM generate_series(1, 50) n""")
    with nursery() as children:
        yield Stage(database=database, before=before, nursery=children)


def copy_of(before: Path, folder: Path) -> Path:
    """The files as they were published, inode by inode anew, times and all."""
    shutil.copytree(before, folder, symlinks=True)
    return folder


def check(output: Path) -> str:
    """Whether each published file is whole and belongs to its neighbours; `old`, `new` or both."""
    seen = set()
    rows = {}
    for code in CODES:
        parquet, page = output / f"{code}.parquet", output / f"{code}.md"
        if not parquet.exists():
            assert code == "new"
            assert not page.exists()
            continue
        table = pq.read_table(parquet)
        rows[code] = table.num_rows
        [state] = set(table.column("v").to_pylist())
        assert table.num_rows == {"old": OLD, "new": NEW}[state][code]
        assert sorted(table.column("n").to_pylist()) == [*range(1, table.num_rows + 1)]
        if page.exists():
            said = re.search(r"\*\*Rows:\*\* (\d+)", page.read_text())
            assert said is not None
            assert int(said[1]) == table.num_rows
        if code != "same":
            seen.add(state)
    _check_catalog(output, rows)
    for name in FOREIGN:
        assert (output / name).read_text() == f"somebody's {name}"
    return " and ".join(sorted(seen))


def _check_catalog(output: Path, rows: dict[str, int]) -> None:
    """No row of the catalog has another file than the one that is there."""
    for row in pq.read_table(output / "catalog.parquet").to_pylist():
        code = row["source_code"]
        assert row["row_count"] == rows[code]
        content = (output / f"{code}.parquet").read_bytes()
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert (output / f"{code}.md").exists()
    assert json.loads((output / "datapackage.json").read_text())


def check_green(stage: Stage, output: Path) -> None:
    """The next run puts all in order: nothing is missing, and nothing is left over."""
    report = export(stage.database, PUBLIC, output)
    assert all(result.success for result in report.results)
    assert {code: pq.read_metadata(output / f"{code}.parquet").num_rows for code in CODES} == NEW
    assert check(output) == "new"
    assert all((output / f"{code}.md").exists() for code in CODES)
    catalog = pq.read_table(output / "catalog.parquet").column("source_code").to_pylist()
    assert catalog == sorted(CODES)
    made = {path.name for path in output.iterdir()} - {"catalog.parquet", "datapackage.json"}
    assert made == {
        *(f"{code}.{suffix}" for code in CODES for suffix in ("parquet", "md")),
        *("notes.txt", "c.parquet", ".hidden", "folder"),
    }
    for name in ("same.parquet", "same.md"):
        mtime = (stage.before / name).stat().st_mtime_ns
        assert (output / name).stat().st_mtime_ns == mtime


@pytest.mark.parametrize("publish", ["together", "each"])
def test_killed_before_any_step_it_leaves_the_old_set_or_the_new_one(
    stage: Stage, tmp_path: Path, publish: str
) -> None:
    order = Order(dsn=stage.database.dsn, output_dir="", publish=publish)
    whole = copy_of(stage.before, tmp_path / "whole")
    ending = stage.nursery.run(_to(order, whole))
    assert ending.signal is None
    assert check(whole) == "new"
    found = []
    # Each step by which a file comes or goes, and some of the others: more than 25 in all.
    numbers = [
        n for n, name in enumerate(ending.calls, 1) if name in MOVING[publish] or n % 20 == 0
    ]
    for number in numbers if publish == "together" else numbers[::3]:
        output = copy_of(stage.before, tmp_path / f"{number}")
        killed = stage.nursery.run(_to(order, output, at_call=number))
        if killed.signal is None:
            # Not every run has the same number of steps.
            assert number > len(killed.calls)
            continue
        assert killed.signal == signal.SIGKILL
        found.append(check(output))
        check_green(stage, output)
        assert not (output / STAGING_FOLDER).exists()
        shutil.rmtree(output)
    assert len(found) > {"together": 25, "each": 4}[publish]
    assert found[0] == "old"
    assert found[-1] == "new"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_signal_while_it_publishes_ends_the_run_with_the_whole_set_in_place(
    stage: Stage, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    order = Order(dsn=stage.database.dsn, output_dir="", by=number)
    calls = stage.nursery.run(_to(order, copy_of(stage.before, tmp_path / "whole"))).calls
    renamings = [n for n, name in enumerate(calls, 1) if name == "replace"]
    for at_call in (renamings[-3], calls.index("fsync") + 1):
        output = copy_of(stage.before, tmp_path / f"{at_call}")
        ending = stage.nursery.run(_to(order, output, at_call=at_call))
        assert ending.code == code
        assert check(output) == ("new" if at_call == renamings[-3] else "old")
        assert not (output / STAGING_FOLDER).exists()


def test_killed_at_random_times_it_leaves_whole_files(stage: Stage, tmp_path: Path) -> None:
    order = Order(dsn=stage.database.dsn, output_dir="")
    times = [random.uniform(0, MOST_SECONDS) for _ in range(RANDOM_TIMES)]
    for number, seconds in enumerate(times):
        output = copy_of(stage.before, tmp_path / f"{number}")
        stage.nursery.run(_to(order, output, after_seconds=seconds))
        assert check(output), seconds
        check_green(stage, output)
        assert not (output / STAGING_FOLDER).exists()


def _to(
    order: Order,
    output: Path,
    at_call: int | None = None,
    after_seconds: float | None = None,
) -> Order:
    return replace(order, output_dir=str(output), at_call=at_call, after_seconds=after_seconds)


def test_the_check_notices_a_file_that_does_not_belong(stage: Stage, tmp_path: Path) -> None:
    output = copy_of(stage.before, tmp_path / "output")
    assert check(output) == "old"
    page = output / "a.md"
    page.write_text(page.read_text().replace("**Rows:** 100", "**Rows:** 120"))
    with pytest.raises(AssertionError):
        check(output)
    shutil.copy2(stage.before / "a.md", page)
    before = identity(output / "a.parquet")
    half = (output / "a.parquet").read_bytes()[:-20]
    (output / "a.parquet").write_bytes(half)
    assert identity(output / "a.parquet") != before
    with pytest.raises(Exception, match="Parquet"):
        check(output)
