"""Callers that were written for other events than ours: their stores, arguments and faults.

`CallersStore` is as such a store is: it sets the run of each event, reads its details, and appends
what `to_dict` gives.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from duckwarp import (
    EventLevel,
    EventStore,
    EventType,
    Settings,
    create_event,
    export_publication_to_parquet,
    export_source_to_parquet,
    run_export,
)
from duckwarp.engine import memory
from duckwarp.model.source import Selection
from tests.runs import by_code
from tests.support import Database

SOURCE = "gp_appt_national_daily"
ADHD = 7  # sources of the sample publication that have a relation
Fault = Callable[[Any], None]


class CallersStore:
    """A store as callers have written theirs: one file of JSON lines for each of their runs."""

    def __init__(self, run_id: str, folder: Path) -> None:
        self.run_id = run_id
        self.path = folder / f"{run_id}.jsonl"
        self.sources: list[str] = []

    def emit(self, event: Any) -> None:
        event.run_id = self.run_id
        event.seen_by = "callers"
        if event.event_type.value == "stage_completed" and event.stage == "export":
            self.sources.append(event.details["source"])
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event.to_dict()) + "\n")

    def documents(self) -> list[dict[str, Any]]:
        """What it has kept."""
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(autouse=True)
def _room_for_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process of its own, which has mapped fewer libraries than this one."""
    monkeypatch.setattr(memory, "MAX_MAPPED_BYTES", 0)


class TestAStoreOfTheirs:
    def test_is_told_of_a_source(self, demo_dsn: str, tmp_path: Path) -> None:
        store = CallersStore("backfill-7", tmp_path)
        settings = Settings(dsn=demo_dsn)
        result = export_source_to_parquet(
            SOURCE, str(tmp_path / "out"), store, "gp_appt", "2026-01", settings=settings
        )
        assert (result.success, result.row_count) == (True, 31)
        assert pq.read_table(result.parquet_path).num_rows == 31
        documents = store.documents()
        assert {document["run_id"] for document in documents} == {"backfill-7"}
        assert {document["publication"] for document in documents} == {"gp_appt"}
        assert {document["period"] for document in documents} == {"2026-01"}
        assert documents[0]["event_type"] == "run_started"
        assert documents[-1]["event_type"] == "run_completed"
        assert documents[-1]["details"]["total_rows"] == 31
        assert store.sources == [SOURCE]

    @pytest.mark.parametrize("jobs", [1, 4])
    def test_is_told_of_a_publication(
        self, demo_dsn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, jobs: int
    ) -> None:
        store = CallersStore("backfill-8", tmp_path)
        settings = Settings(dsn=demo_dsn, jobs=jobs, threads=4, max_connections=9)
        results = export_publication_to_parquet(
            "adhd", tmp_path / "out", event_store=store, settings=settings
        )
        assert [result.success for result in results] == [True] * ADHD
        assert all(Path(result.parquet_path).exists() for result in results)
        assert sorted(store.sources) == [result.canonical_code for result in results]
        assert {document["run_id"] for document in store.documents()} == {"backfill-8"}
        assert caplog.messages == []

    @pytest.mark.parametrize("given", [None, ""])
    def test_without_a_run_of_its_own_gets_one(self, tmp_path: Path, given: str | None) -> None:
        heard: list[Any] = []

        class Nameless:
            run_id = given

            def emit(self, event: Any) -> None:
                heard.append(event)

        export_source_to_parquet(SOURCE, tmp_path, Nameless(), dsn="host=/nowhere")
        [run_id] = {event.run_id for event in heard}
        assert run_id.startswith("export-")

    def test_that_is_empty_is_a_store_all_the_same(self, tmp_path: Path) -> None:
        class Events(list[Any]):
            def emit(self, event: Any) -> None:
                self.append(event)

        for store in (one := Events(), many := Events()):
            assert not store
        export_source_to_parquet(SOURCE, tmp_path, one, dsn=" ")
        export_publication_to_parquet("adhd", tmp_path, many, dsn=" ")
        assert [event.event_type for event in one] == ["run_started", "stage_failed"]
        assert [event.event_type for event in many] == ["run_started", "stage_failed"]

    def test_is_told_one_event_at_a_time(self, demo_dsn: str, tmp_path: Path) -> None:
        inside = threading.Lock()
        overlaps: list[Any] = []
        threads: set[int] = set()

        class Unready:
            def emit(self, event: Any) -> None:
                if not inside.acquire(blocking=False):
                    overlaps.append(event)
                    return
                try:
                    threads.add(threading.get_ident())
                    json.dumps([event.to_dict()] * 200)
                finally:
                    inside.release()

        settings = Settings(dsn=demo_dsn, jobs=4, threads=4, max_connections=9)
        export_publication_to_parquet("adhd", tmp_path, Unready(), settings=settings)
        assert len(threads) > 1
        assert overlaps == []


def fail(_: Any) -> None:
    raise OSError(28, "No space left on the callers' device")


@dataclass
class Faulty:
    """A sink that does `fault` at the events that `at` picks, and counts all that come."""

    at: Callable[[Any], bool]
    fault: Fault = fail
    run_id: str = "r"
    told: int = 0

    def emit(self, event: Any) -> None:
        self.told += not event.is_tick
        if self.at(event):
            self.fault(event)


def is_tick(event: Any) -> bool:
    return bool(event.is_tick)


MOMENTS: dict[str, Callable[[Any], bool]] = {
    "the first event": lambda event: event.event_type == "run_started",
    "the start of a source": lambda event: (
        (event.event_type, event.stage) == ("stage_started", "export")
    ),
    "the copy of a source": lambda event: event.stage in {"read", "write"},
    "a warning": lambda event: event.level == "WARNING",
    "the failure of a source": lambda event: event.event_type == "error",
    "the publishing": lambda event: event.stage == "publish",
    "the end of the snapshot": lambda event: event.stage == "snapshot",
    "the last event": lambda event: event.event_type == "run_completed",
    "every event": lambda _: True,
}


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING, "duckwarp")
    return lambda: [r.getMessage() for r in caplog.records if r.name == "duckwarp"]


class TestAStoreThatRaises:
    @pytest.mark.parametrize("jobs", [1, 4])
    @pytest.mark.parametrize("moment", MOMENTS)
    def test_is_one_warning_with_its_name_and_costs_nothing(
        self,
        database: Database,
        tmp_path: Path,
        warned: Callable[[], list[str]],
        moment: str,
        jobs: int,
    ) -> None:
        database.execute(
            "CREATE TABLE a AS SELECT 'NaN'::numeric AS n; CREATE TABLE b AS SELECT 1 AS n; "
            "CREATE TABLE bare (); CREATE TABLE c AS SELECT 1 AS n"
        )
        counting, sink = Faulty(lambda _: False), Faulty(MOMENTS[moment])
        settings = Settings(dsn=database.dsn, jobs=jobs, threads=4, max_connections=9)
        reports = [
            run_export(
                Selection(schema="public"),
                replace(settings, output_dir=tmp_path / str(number)),
                each,
            )
            for number, each in enumerate((counting, sink))
        ]
        errors = [{code: r.success for code, r in by_code(report).items()} for report in reports]
        assert errors == [{"a": True, "b": True, "bare": False, "c": True}] * 2
        assert sink.told == counting.told
        [warning] = warned()
        assert warning.startswith("Faulty does not take an event: OSError: ")
        assert "No space left on the callers' device" in warning

    def test_in_a_tick(
        self, database: Database, tmp_path: Path, warned: Callable[[], list[str]]
    ) -> None:
        database.execute(
            "CREATE VIEW slow AS SELECT n, pg_sleep(0.4)::text AS s FROM generate_series(1, 4) AS n"
        )
        ticks: list[Any] = []
        sink = Faulty(is_tick, lambda event: (ticks.append(event), fail(event))[1])
        settings = Settings(dsn=database.dsn, output_dir=tmp_path)
        report = run_export(Selection(tables=("public.slow",)), settings, sink)
        assert [result.row_count for result in report.results] == [4]
        assert ticks
        assert len(warned()) == 1

    @pytest.mark.parametrize(
        "error",
        [
            pytest.param(AttributeError("'Event' has no attribute 'x'"), id="an attribute"),
            pytest.param(KeyError("source"), id="a key"),
            pytest.param(RecursionError(), id="without words"),
            pytest.param(StopIteration(), id="that Python uses itself"),
            pytest.param(ExceptionGroup("several", [ValueError("x")]), id="a group"),
        ],
    )
    def test_whatever_it_raises(
        self, tmp_path: Path, warned: Callable[[], list[str]], error: Exception
    ) -> None:
        def fault(_: Any) -> None:
            raise error

        sink = Faulty(lambda _: True, fault)
        [result] = export_publication_to_parquet("adhd", tmp_path, sink, dsn="host=/nowhere")
        assert "cannot connect" in (result.error or "")
        [warning] = warned()
        assert type(error).__name__ in warning

    def test_with_words_that_are_none(
        self, tmp_path: Path, warned: Callable[[], list[str]]
    ) -> None:
        class Mute(Exception):
            def __str__(self) -> str:
                raise ValueError

        def fault(_: Any) -> None:
            raise Mute

        export_source_to_parquet(
            SOURCE, tmp_path, Faulty(lambda _: True, fault), dsn="host=/nowhere"
        )
        assert "Mute" in warned()[0]

    def test_without_a_password_and_on_one_line(
        self, tmp_path: Path, warned: Callable[[], list[str]]
    ) -> None:
        def fault(_: Any) -> None:
            raise ValueError(f"postgresql://u:canary-7f3a@h/d\n\x1b[2Jx{'y' * 9000}")

        export_source_to_parquet(
            SOURCE, tmp_path, Faulty(lambda _: True, fault), dsn="host=/nowhere"
        )
        [warning] = warned()
        assert "canary" not in warning
        assert warning.isprintable()
        assert len(warning) < 1000

    @pytest.mark.parametrize("kind", ["no emit", "emit is none", "emit takes more", "run_id"])
    def test_that_is_no_store(
        self, tmp_path: Path, warned: Callable[[], list[str]], kind: str
    ) -> None:
        class Odd:
            if kind == "emit is none":
                emit = None
            elif kind != "no emit":

                def emit(self, *events: Any) -> None:
                    if kind == "emit takes more":
                        raise TypeError(f"{len(events)} of 2")

            if kind == "run_id":

                @property
                def run_id(self) -> str:
                    raise RuntimeError("no run has begun")

        [result] = export_publication_to_parquet("adhd", tmp_path, Odd(), dsn="host=/nowhere")  # type: ignore[arg-type]
        assert "cannot connect" in (result.error or "")
        [warning] = warned()
        assert warning.startswith("Odd ")

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
    def test_that_wants_an_end_gets_it(self, tmp_path: Path, kind: type[BaseException]) -> None:
        def fault(_: Any) -> None:
            raise kind

        with pytest.raises(kind):
            export_source_to_parquet(
                SOURCE, tmp_path, Faulty(lambda _: True, fault), dsn="host=/nowhere"
            )


class TestListeners:
    def test_one_that_raises_keeps_nothing_from_the_others(
        self, tmp_path: Path, warned: Callable[[], list[str]]
    ) -> None:
        before: list[Any] = []
        after: list[Any] = []

        def broken(_: Any) -> None:
            raise ValueError("a listener's fault")

        with EventStore("r", tmp_path / "e", [before.append, broken, after.append]) as store:
            for _ in range(3):
                store.emit(create_event(EventType.PROGRESS, "r"))
        assert len(before) == len(after) == 3
        assert len((tmp_path / "e").read_text().splitlines()) == 3
        [warning] = warned()
        assert "broken does not take an event: ValueError: a listener's fault" in warning

    def test_one_may_tell_the_store_itself(self) -> None:
        heard: list[str] = []
        store = EventStore("r")

        def answer(event: Any) -> None:
            heard.append(event.message)
            if event.message == "question":
                store.emit(create_event(EventType.PROGRESS, "r", message="answer"))

        store.add_listener(answer)
        store.emit(create_event(EventType.PROGRESS, "r", message="question"))
        assert heard == ["question", "answer"]


class TestCreateEvent:
    def test_takes_the_arguments_in_their_order(self) -> None:
        event = create_event(
            EventType.WARNING, "r", "p", "2026-01", "export", EventLevel.ERROR, "words", {"a": 1}
        )
        names = ("event_type", "run_id", "publication", "period", "stage", "level", "message")
        assert [getattr(event, name) for name in names] == [
            *("warning", "r", "p", "2026-01", "export", "ERROR", "words")
        ]
        assert event.details == event.context == {"a": 1}

    def test_keeps_other_keywords_as_details(self) -> None:
        given = {"rows": 3, "subject": "s", "source": "x", "path": Path("/x")}
        event = create_event(EventType.WARNING, "r", context={"a": 1}, **given)
        assert event.details == {"a": 1} | given
        assert event.subject is None

    def test_to_dict_is_json_and_says_what_the_file_says(self, tmp_path: Path) -> None:
        event = create_event(
            EventType.WARNING, "r", stage="export", source="x", path=Path("/x"), sizes=(1, 2)
        )
        event.run_id = "theirs"
        with EventStore("r", tmp_path / "e") as store:
            store.emit(event)
        written = json.loads((tmp_path / "e").read_text())
        document = event.to_dict()
        assert json.loads(json.dumps(document)) == document
        assert type(document["event_type"]) is str
        assert document["details"] == {"source": "x", "path": "/x", "sizes": [1, 2]}
        del written["sequence"], document["details"]
        assert document == written

    def test_takes_types_of_their_own(self) -> None:
        event = create_event("export_started", "r", level="NOTICE")  # type: ignore[arg-type]
        document = event.to_dict()
        assert (document["event_type"], document["level"]) == ("export_started", "NOTICE")
