"""What a run does to the published files of the run before: a set in one step, or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from duckwarp.model.errors import UsageError
from duckwarp.model.events import Event, EventLevel, EventType
from duckwarp.model.results import RunReport, SourceState
from duckwarp.model.settings import OnDrift, Publish, Settings
from duckwarp.model.source import Selection
from duckwarp.store.journal import CATALOG_NAMES
from tests.runs import Recorder, by_code, dataset_files, export, published_files, when
from tests.store.publications import identity
from tests.support import Database

PUBLIC = Selection(schema="public")
FILES = {"a.parquet", "a.md", "b.parquet", "b.md", "c.parquet", "c.md"}


@pytest.fixture
def three(database: Database) -> Database:
    """A database with the tables `a`, `b` and `c`, of ten rows each."""
    for name in "abc":
        database.execute(
            f"CREATE TABLE {name} AS "
            "SELECT n, (n * 1.5)::numeric(12, 1) AS x FROM generate_series(1, 10) n"
        )
    return database


def identities(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """What each file of a folder is known by."""
    return {path.name: identity(path) for path in folder.iterdir()}


def states(report: RunReport) -> dict[str, SourceState]:
    """How each source of a run ended."""
    return {outcome.code: outcome.state for outcome in report.outcomes}


def rows_in(folder: Path) -> dict[str, int]:
    """The rows of each published file, by code."""
    return {path.stem: pq.read_metadata(path).num_rows for path in dataset_files(folder)}


class TestTogether:
    def test_nothing_is_in_place_before_the_last_source_is_staged(
        self, three: Database, tmp_path: Path
    ) -> None:
        export(three, PUBLIC, tmp_path)
        three.execute(
            "INSERT INTO a VALUES (11); INSERT INTO b VALUES (11); INSERT INTO c VALUES (11)"
        )
        before = identities(tmp_path)
        seen: list[bool] = []

        def look(event: Event) -> None:
            if event.stage == "export":
                now = identities(tmp_path)
                now.pop(".duckwarp")
                seen.append(now == before)

        report = export(three, PUBLIC, tmp_path, Recorder(look))
        assert len(seen) >= 6
        assert all(seen)
        assert rows_in(tmp_path) == {"a": 11, "b": 11, "c": 11}
        assert set(states(report).values()) == {SourceState.EXPORTED}
        assert published_files(tmp_path) == FILES

    def test_each_is_in_place_as_soon_as_it_is_done_where_that_was_asked_for(
        self, three: Database, tmp_path: Path
    ) -> None:
        seen: list[dict[str, int]] = []
        look = when(EventType.STAGE_STARTED, "c", lambda: seen.append(rows_in(tmp_path)))
        export(three, PUBLIC, tmp_path, Recorder(look), publish=Publish.EACH)
        assert seen == [{"a": 10, "b": 10}]
        assert published_files(tmp_path) == FILES

    def test_each_holds_in_lanes_too(self, three: Database, tmp_path: Path) -> None:
        report = export(three, PUBLIC, tmp_path, publish="each", jobs=3, threads=3)
        assert set(states(report).values()) == {SourceState.EXPORTED}
        assert published_files(tmp_path) == FILES

    @pytest.mark.parametrize("publish", list(Publish))
    def test_a_source_that_fails_keeps_its_old_pair_while_the_others_move_on(
        self, three: Database, tmp_path: Path, publish: Publish
    ) -> None:
        export(three, PUBLIC, tmp_path)
        before = identities(tmp_path)
        three.execute("INSERT INTO a VALUES (11); INSERT INTO c VALUES (11)")
        three.execute("DROP TABLE b; CREATE VIEW b AS SELECT 1 / 0 AS n")
        report = export(three, PUBLIC, tmp_path, publish=publish)
        after = identities(tmp_path)
        assert rows_in(tmp_path) == {"a": 11, "b": 10, "c": 11}
        assert {name for name in after if after[name] == before[name]} == {"b.parquet", "b.md"}
        assert states(report)["b"] is SourceState.FAILED

    def test_all_or_nothing_publishes_none_where_one_failed(
        self, three: Database, tmp_path: Path
    ) -> None:
        export(three, PUBLIC, tmp_path)
        before = identities(tmp_path)
        three.execute("INSERT INTO a VALUES (11)")
        three.execute("DROP TABLE b; CREATE VIEW b AS SELECT 1 / 0 AS n")
        recorder = Recorder()
        report = export(three, PUBLIC, tmp_path, recorder, all_or_nothing=True)
        assert identities(tmp_path) == before
        assert states(report) == {
            "a": SourceState.FAILED,
            "b": SourceState.FAILED,
            "c": SourceState.UNCHANGED,
        }
        assert by_code(report)["a"].error == ("not published, because b failed (--all-or-nothing)")
        assert not by_code(report)["a"].success
        errors = recorder.of(EventType.ERROR, "export")
        assert {event.context["source"] for event in errors} == {"a", "b"}

    def test_all_or_nothing_publishes_all_where_none_failed(
        self, three: Database, tmp_path: Path
    ) -> None:
        export(three, PUBLIC, tmp_path, all_or_nothing=True)
        assert published_files(tmp_path) == FILES

    def test_all_or_nothing_and_each_contradict_each_other(self) -> None:
        with pytest.raises(UsageError, match="leave out --publish each"):
            Settings(all_or_nothing=True, publish=Publish.EACH)

    def test_a_folder_in_the_place_of_a_file_fails_that_source_alone(
        self, three: Database, tmp_path: Path
    ) -> None:
        (tmp_path / "b.md").mkdir()
        report = export(three, PUBLIC, tmp_path)
        told = f"cannot write {tmp_path / 'b.md'}: it is a folder, not a file; move it away"
        assert by_code(report)["b"].error == told
        assert published_files(tmp_path) == FILES - {"b.parquet"}


class TestUnchanged:
    @pytest.mark.parametrize("publish", list(Publish))
    def test_a_second_run_over_the_same_data_touches_no_file(
        self, demo_dsn: str, tmp_path: Path, publish: Publish
    ) -> None:
        first = export(demo_dsn, Selection(publication="adhd"), tmp_path, publish=publish)
        before = identities(tmp_path)
        contents = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        recorder = Recorder()
        second = export(
            demo_dsn, Selection(publication="adhd"), tmp_path, recorder, publish=publish
        )
        assert len(before) == 14 + len(CATALOG_NAMES)
        assert identities(tmp_path) == before
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == contents
        assert second.results == first.results
        assert len(second.of_state(SourceState.UNCHANGED)) == 7
        told = recorder.of(EventType.STAGE_COMPLETED, "export")
        assert [event.context["state"] for event in told] == ["unchanged"] * 7
        assert recorder.of(EventType.STAGE_COMPLETED, "publish") == []
        [completed] = recorder.of(EventType.RUN_COMPLETED)
        assert (completed.context["successful"], completed.context["unchanged"]) == (7, 7)

    def test_only_what_changed_is_replaced(self, three: Database, tmp_path: Path) -> None:
        export(three, PUBLIC, tmp_path)
        before = identities(tmp_path)
        three.execute("UPDATE b SET x = 0 WHERE n = 1")
        report = export(three, PUBLIC, tmp_path)
        after = identities(tmp_path)
        assert states(report) == {
            "a": SourceState.UNCHANGED,
            "b": SourceState.EXPORTED,
            "c": SourceState.UNCHANGED,
        }
        assert {name for name in after if after[name] != before[name]} == {
            "b.parquet",
            "b.md",
            *CATALOG_NAMES,
        }

    def test_both_files_have_a_comment_that_was_edited(
        self, three: Database, tmp_path: Path
    ) -> None:
        export(three, PUBLIC, tmp_path)
        before = identities(tmp_path)
        three.execute("COMMENT ON TABLE b IS 'Better words'")
        report = export(three, PUBLIC, tmp_path)
        after = identities(tmp_path)
        assert {name for name in after if after[name] != before[name]} == {
            "b.parquet",
            "b.md",
            *CATALOG_NAMES,
        }
        assert "Better words" in (tmp_path / "b.md").read_text()
        assert b"Better words" in (tmp_path / "b.parquet").read_bytes()
        assert states(report)["b"] is SourceState.EXPORTED

    @pytest.mark.parametrize("suffix", ["parquet", "md"])
    def test_a_file_that_is_missing_is_written_anew(
        self, three: Database, tmp_path: Path, suffix: str
    ) -> None:
        export(three, PUBLIC, tmp_path)
        (tmp_path / f"b.{suffix}").unlink()
        parquet = identities(tmp_path).get("b.parquet")
        report = export(three, PUBLIC, tmp_path)
        assert parquet in (None, identities(tmp_path)["b.parquet"])
        assert published_files(tmp_path) == FILES
        assert states(report)["b"] is SourceState.EXPORTED

    def test_a_link_to_the_same_bytes_is_replaced(self, three: Database, tmp_path: Path) -> None:
        output = tmp_path / "output"
        export(three, PUBLIC, output)
        (output / "b.parquet").rename(tmp_path / "elsewhere")
        (output / "b.parquet").symlink_to(tmp_path / "elsewhere")
        export(three, PUBLIC, output)
        assert not (output / "b.parquet").is_symlink()
        assert (output / "b.parquet").read_bytes() == (tmp_path / "elsewhere").read_bytes()


class TestCollapse:
    def test_a_loss_of_more_than_half_the_rows_is_a_warning_with_both_figures(
        self, database: Database, tmp_path: Path
    ) -> None:
        cases = {
            "all": (0, "0 rows instead of the 10 of the published file, 100 % fewer"),
            "most": (4, "4 rows instead of the 10 of the published file, 60 % fewer"),
            "half": (5, None),
            "one": (9, None),
        }
        for name in cases:
            database.execute(f'CREATE TABLE "{name}" AS SELECT n FROM generate_series(1, 10) n')
        export(database, PUBLIC, tmp_path)
        for name, (left, _) in cases.items():
            database.execute(f'DELETE FROM "{name}" WHERE n > {left}')
        recorder = Recorder()
        report = export(database, PUBLIC, tmp_path, recorder)
        assert rows_in(tmp_path) == {name: left for name, (left, _) in cases.items()}
        for outcome in report.outcomes:
            _, told = cases[outcome.code]
            assert outcome.notes == ((told,) if told else ())
        warnings = {
            event.context["source"]: event for event in recorder.of_level(EventLevel.WARNING)
        }
        assert warnings.keys() == {"all", "most"}
        for name, event in warnings.items():
            left, told = cases[name]
            assert event.message == f"{name}: {told}"
            assert (event.context["rows_before"], event.context["rows"]) == (10, left)

    @pytest.mark.parametrize(
        ("most", "fails"),
        [
            pytest.param(0, {9, 7, 6, 0}, id="none is allowed"),
            pytest.param(30, {6, 0}, id="as much as is allowed, and more"),
            pytest.param(99.9, {0}, id="nearly all"),
            pytest.param(100, set(), id="all"),
        ],
    )
    def test_max_row_drop_makes_it_a_failure_that_keeps_the_old_pair(
        self, database: Database, tmp_path: Path, most: float, fails: set[int]
    ) -> None:
        for left in (10, 9, 7, 6, 0):
            database.execute(f"CREATE TABLE t{left} AS SELECT n FROM generate_series(1, 10) n")
        export(database, PUBLIC, tmp_path)
        before = identities(tmp_path)
        for left in (9, 7, 6, 0):
            database.execute(f"DELETE FROM t{left} WHERE n > {left}")
        report = export(database, PUBLIC, tmp_path, max_row_drop_percent=most)
        failed = {outcome.code for outcome in report.of_state(SourceState.FAILED)}
        assert failed == {f"t{left}" for left in fails}
        after = identities(tmp_path)
        for left in fails:
            error = by_code(report)[f"t{left}"].error or ""
            assert f"{left} rows instead of the 10 of the published file" in error
            assert f"more than --max-row-drop {most:g} allows" in error
            for name in (f"t{left}.parquet", f"t{left}.md"):
                assert after[name] == before[name]

    def test_more_rows_and_a_first_file_are_no_loss(self, three: Database, tmp_path: Path) -> None:
        for statement in ("DELETE FROM b", "INSERT INTO b VALUES (1)"):
            three.execute(statement)
            recorder = Recorder()
            report = export(three, PUBLIC, tmp_path, recorder, max_row_drop_percent=0)
            assert all(result.success for result in report.results)
            assert recorder.of_level(EventLevel.WARNING) == []


class TestDrift:
    CHANGE = """
        ALTER TABLE b DROP COLUMN x, ADD COLUMN y text, ADD COLUMN z int[],
        ALTER COLUMN n TYPE bigint"""
    WORDS = (
        "columns differ from the published file: added y (STRING), z (LIST(INT32)); "
        "removed x (DECIMAL(12,1)); retyped n (INT32 → INT64)"
    )

    def test_other_columns_than_those_of_the_published_file_are_told(
        self, three: Database, tmp_path: Path
    ) -> None:
        export(three, PUBLIC, tmp_path)
        three.execute(self.CHANGE)
        recorder = Recorder()
        report = export(three, PUBLIC, tmp_path, recorder)
        [outcome] = [outcome for outcome in report.outcomes if outcome.notes]
        assert (outcome.code, outcome.notes) == ("b", (self.WORDS,))
        [event] = recorder.of_level(EventLevel.WARNING)
        assert event.message == f"b: {self.WORDS}"
        assert event.context["added_columns"] == ["y (STRING)", "z (LIST(INT32))"]
        assert event.context["removed_columns"] == ["x (DECIMAL(12,1))"]
        assert event.context["retyped_columns"] == ["n (INT32 → INT64)"]
        assert pq.read_schema(tmp_path / "b.parquet").names == ["n", "y", "z"]

    def test_they_fail_the_source_where_that_was_asked_for(
        self, three: Database, tmp_path: Path
    ) -> None:
        export(three, PUBLIC, tmp_path)
        before = identities(tmp_path)
        three.execute(self.CHANGE)
        report = export(three, PUBLIC, tmp_path, on_drift=OnDrift.FAIL)
        assert by_code(report)["b"].error == (
            f"{self.WORDS}; if that is right, run once with --on-drift warn"
        )
        assert identities(tmp_path) == before

    def test_other_rows_are_no_other_columns(self, three: Database, tmp_path: Path) -> None:
        export(three, PUBLIC, tmp_path)
        three.execute("INSERT INTO b VALUES (11, NULL)")
        report = export(three, PUBLIC, tmp_path, on_drift="fail")
        assert states(report)["b"] is SourceState.EXPORTED

    def test_a_file_that_cannot_be_read_is_replaced(self, three: Database, tmp_path: Path) -> None:
        (tmp_path / "b.parquet").write_text("PAR1 not at all")
        report = export(three, PUBLIC, tmp_path, on_drift="fail", max_row_drop_percent=0)
        assert states(report)["b"] is SourceState.EXPORTED
        assert rows_in(tmp_path)["b"] == 10


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("mask", "mode", "want"),
    [
        pytest.param(0o022, None, 0o644, id="the umask's"),
        pytest.param(0o077, None, 0o600, id="another umask's"),
        pytest.param(0o077, 0o644, 0o644, id="what was asked for"),
    ],
)
def test_published_files_have_the_mode(
    three: Database, tmp_path: Path, mask: int, mode: int | None, want: int
) -> None:
    with umask(mask):
        export(three, PUBLIC, tmp_path, mode=mode)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {want}
    assert published_files(tmp_path) == FILES


def test_an_unchanged_file_gets_the_mode_and_keeps_all_else(
    three: Database, tmp_path: Path
) -> None:
    export(three, PUBLIC, tmp_path, mode=0o600)
    before = identities(tmp_path)
    report = export(three, PUBLIC, tmp_path, mode=0o644)
    assert set(states(report).values()) == {SourceState.UNCHANGED}
    after = identities(tmp_path)
    assert {name: found[:3] for name, found in after.items()} == {
        name: found[:3] for name, found in before.items()
    }
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}


@pytest.mark.parametrize("mode", [0o1777, 0o044, 0, -1, 0o244])
def test_a_mode_that_nobody_can_want_is_refused(mode: int) -> None:
    with pytest.raises(UsageError, match="--mode takes three octal digits"):
        Settings(mode=mode)
