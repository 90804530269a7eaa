"""The counters of a run and what the displays make of them, from events alone."""

from __future__ import annotations

import dataclasses
import io
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from duckwarp.cli.bars import LiveBars
from duckwarp.cli.progress import PlainLines, Quiet, Tally, UnderWay
from duckwarp.model.errors import SourceError
from duckwarp.model.events import Event
from duckwarp.model.relation import Relation
from duckwarp.model.results import ExportResult, SourceOutcome, SourceState
from duckwarp.model.run_events import (
    BatchStarted,
    CopyTicked,
    Reporter,
    RunEvent,
    RunRetried,
    RunStarted,
    SourceExported,
    SourceFailed,
    SourceRetried,
    SourceSkipped,
    SourceStarted,
)
from duckwarp.model.source import Source

START = datetime(2026, 1, 17, 9, 30, tzinfo=UTC)


class Taken:
    """A sink that keeps the last event."""

    run_id = "run"
    event: Event

    def emit(self, event: Event) -> None:
        self.event = event


def event(happened: RunEvent, at: float = 0.0) -> Event:
    """The event that a run tells so many seconds after its start."""
    sink = Taken()
    Reporter(sink=sink, run_id="run", publication=None, period=None)(happened)
    return dataclasses.replace(sink.event, timestamp=START + timedelta(seconds=at))


def batch_started(sources: int) -> Event:
    return event(
        BatchStarted(sources=sources, server_host=None, server_port=None, database="warehouse")
    )


def run_started(sources: int = 2) -> list[Event]:
    return [event(RunStarted(run_id="run", output_dir="output")), batch_started(sources)]


def started(source: str = "adhd_a", expected_rows: int | None = 1000, at: float = 0.0) -> Event:
    relation = Relation(oid=1, raw_kind="r", estimated_rows=expected_rows)
    described = Source(code=source, name=source, schema="staging", table=source, relation=relation)
    return event(SourceStarted(described=described, columns=()), at)


def tick(at: float, rows_read: int, source: str = "adhd_a", **figures: Any) -> Event:
    defaults: dict[str, Any] = {"phase": "reading", "expected_rows": 1000, "file_bytes": 0}
    return event(CopyTicked(source=source, rows_read=rows_read, **(defaults | figures)), at)


def completed(source: str = "adhd_a", at: float = 4.0) -> Event:
    result = ExportResult(True, source, 1304, 15, 0.084, f"{source}.parquet", f"{source}.md")
    outcome = SourceOutcome(
        code=source, state=SourceState.EXPORTED, result=result, size_bytes=84_000, seconds=4.0
    )
    return event(SourceExported(outcome=outcome, snapshot_id="1"), at)


def failed(source: str = "adhd_b", error: str = "no privilege", at: float = 5.0) -> Event:
    outcome = SourceOutcome(code=source, state=SourceState.FAILED, reason=error, seconds=1.0)
    return event(SourceFailed(outcome=outcome), at)


def skipped(source: str = "adhd_c") -> Event:
    outcome = SourceOutcome(code=source, state=SourceState.SKIPPED, reason="there is none")
    return event(SourceSkipped(outcome=outcome, relation=f"staging.{source}"))


def tally_after(events: Iterable[Event]) -> Tally:
    tally = Tally()
    for each in events:
        tally = tally.after(each)
    return tally


def lines_of(events: Iterable[Event], display: type[Quiet] = PlainLines) -> list[str]:
    stream = io.StringIO()
    with display(stream) as lines:
        for each in events:
            lines.listen(each)
    return stream.getvalue().splitlines()


def picture(events: Iterable[Event], at: float, width: int = 80, title: str = "adhd") -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    bars = LiveBars(title, console, now=lambda: START + timedelta(seconds=at))
    for each in events:
        bars.listen(each)
    with console.capture() as capture:
        console.print(bars.draw())
    return capture.get()


class TestTally:
    def test_counts_what_has_ended_and_keeps_what_goes_on(self) -> None:
        events = [
            *run_started(sources=3),
            skipped(),
            started("adhd_a"),
            completed("adhd_a"),
            started("adhd_b"),
            failed("adhd_b"),
            started("adhd_d", at=6),
        ]
        got = tally_after(events)
        assert (got.sources, got.done, got.failed) == (3, 2, 1)
        assert [source.code for source in got.under_way] == ["adhd_d"]

    def test_a_source_that_fails_before_the_others_are_counted_is_one_of_them(self) -> None:
        events = [failed("adhd_missing"), *run_started(sources=1), started(), completed()]
        got = tally_after(events)
        assert (got.sources, got.done, got.failed) == (2, 2, 1)

    def test_follows_two_sources_at_once(self) -> None:
        events = [*run_started(), started("a"), started("b"), tick(1, 10, "a"), tick(1, 20, "b")]
        got = tally_after(events)
        assert [(s.code, s.rows_read) for s in got.under_way] == [("a", 10), ("b", 20)]

    def test_a_tick_of_a_source_that_has_ended_changes_nothing(self) -> None:
        before = tally_after([*run_started(), started(), completed()])
        assert before.after(tick(9, 5)) == before


class TestUnderWay:
    @pytest.mark.parametrize(
        ("changes", "want"),
        [
            pytest.param({"rows_read": 250}, 30.0, id="a quarter in 10 seconds leaves 30"),
            pytest.param({"rows_read": 1000}, 0.0, id="all rows read leaves nothing"),
            pytest.param({"rows_read": 0}, None, id="no row read yet"),
            pytest.param({"rows_read": 1001}, None, id="the estimate was too low"),
            pytest.param({"rows_read": 9, "expected_rows": None}, None, id="no estimate"),
            pytest.param({"rows_read": 500, "phase": "sorting"}, None, id="not reading any more"),
        ],
    )
    def test_tells_the_remaining_time_only_where_it_can(
        self, changes: dict[str, Any], want: float | None
    ) -> None:
        fields: dict[str, Any] = {
            "code": "adhd_a",
            "started_at": START,
            "expected_rows": 1000,
        } | changes
        assert UnderWay(**fields).seconds_left(START + timedelta(seconds=10)) == want


class TestPlainLines:
    def test_one_line_for_each_source_that_ended_and_none_for_a_skipped_one(self) -> None:
        events = [*run_started(), skipped(), started(), tick(1, 100), completed(), failed()]
        assert lines_of(events) == [
            "exported  adhd_a: 1,304 rows, 15 columns, 84.0 kB, 4.0 s (1 of 2)",
            "failed    adhd_b: no privilege (2 of 2)",
        ]

    def test_a_long_source_is_heard_of_every_30_seconds(self) -> None:
        ticks = [tick(at, at * 10) for at in range(1, 100)]
        assert lines_of([*run_started(), started(), *ticks]) == [
            "reading   adhd_a: 300 of ~1,000 rows, 10 rows/s, 30.0 s",
            "reading   adhd_a: 600 of ~1,000 rows, 10 rows/s, 1 min 00 s",
            "reading   adhd_a: 900 of ~1,000 rows, 10 rows/s, 1 min 30 s",
        ]

    @pytest.mark.parametrize(
        ("figures", "want"),
        [
            pytest.param(
                {"expected_rows": None},
                "reading   adhd_a: 3,000 rows, 100 rows/s, ",
                id="no estimate",
            ),
            pytest.param({}, "reading   adhd_a: 3,000 rows, 100 rows/s, ", id="estimate passed"),
            pytest.param({"phase": "sorting"}, "sorting   adhd_a: ", id="sorting"),
            pytest.param(
                {"phase": "writing", "file_bytes": 1_500_000},
                "writing   adhd_a: 1.5 MB, ",
                id="writing, with the size of the file",
            ),
        ],
    )
    def test_a_long_source_says_what_is_known(self, figures: dict[str, Any], want: str) -> None:
        events = [*run_started(), started(), tick(30, 3000, **figures)]
        assert lines_of(events) == [f"{want}30.0 s"]

    @pytest.mark.parametrize("display", [PlainLines, Quiet])
    def test_names_and_reasons_cannot_steer_a_terminal(self, display: type[Quiet]) -> None:
        events = [*run_started(), failed("a\x1b[2Jb", error="one\ntwo\r\x07\u202ethree\x9b")]
        (line,) = lines_of(events, display)
        assert not [c for c in line if unicodedata.category(c) in ("Cc", "Cf")]
        assert line.startswith("failed    a\\x1b[2Jb: one two \\x07\\u202ethree\\x9b")


class TestQuiet:
    def test_says_only_what_failed(self) -> None:
        events = [*run_started(), skipped(), started(), tick(31, 1), completed(), failed()]
        assert lines_of(events, Quiet) == ["failed    adhd_b: no privilege"]


class TestLiveBars:
    def test_shows_how_far_the_run_and_the_source_are(self) -> None:
        events = [*run_started(), started("adhd_b", at=1), tick(11, 250, "adhd_b")]
        got = picture([*events, completed("adhd_a")], at=11)
        assert "adhd " in got
        assert "1 of 2 sources  0:11" in got
        assert "adhd_b" in got
        assert "0:10, 0:30 left" in got
        assert "reading" in got
        assert "250 of ~1,000 rows, 25 rows/s" in got

    def test_says_that_sources_failed(self) -> None:
        assert "1 of 2 sources, 1 failed" in picture([*run_started(), failed()], at=5)

    def test_says_what_it_does_before_the_sources_are_known(self) -> None:
        assert "looking at the database" in picture([], at=0)

    @pytest.mark.parametrize(
        ("figures", "shown"),
        [
            pytest.param({}, "1,300 rows, 130 rows/s", id="the estimate was passed"),
            pytest.param(
                {"expected_rows": None}, "1,300 rows, 130 rows/s", id="there is no estimate"
            ),
            pytest.param({"phase": "sorting"}, "sorting", id="a sort has no end to show"),
            pytest.param(
                {"phase": "writing", "file_bytes": 1_500_000}, "1.5 MB", id="nor has writing"
            ),
        ],
    )
    def test_promises_no_end_where_none_is_known(self, figures: dict[str, Any], shown: str) -> None:
        got = picture([*run_started(), started(), tick(10, 1300, **figures)], at=10)
        assert shown in got
        assert "~" not in got
        assert "left" not in got

    @pytest.mark.parametrize("width", [72, 80, 120, 200])
    def test_leaves_room_for_the_echo_of_ctrl_c(self, width: int) -> None:
        code = "adhd_" + "x" * 95
        events = [*run_started(), started(code), tick(10, 412_123_456, code, expected_rows=10**9)]
        got = picture(events, at=10, width=width, title="t" * 100).splitlines()
        assert len(got) == 4
        assert all(len(line) <= width - len("^C") for line in got)
        assert max(len(line.rstrip()) for line in got) > 30

    def test_text_that_looks_like_markup_is_shown_as_it_is(self) -> None:
        got = picture([*run_started(), started("[red]a[/]")], at=1, title="[bold]")
        assert "[red]a[/]" in got
        assert "[bold]" in got

    def test_leaves_nothing_on_the_screen(self) -> None:
        screen = io.StringIO()
        console = Console(file=screen, width=80, force_terminal=True, color_system=None)
        with LiveBars("adhd", console) as bars:
            bars.listen(started())
            console.print("in between")
        assert "looking at the database" in screen.getvalue()
        erase_line_and_go_up = "\x1b[1A\x1b[2K"
        assert screen.getvalue().endswith(erase_line_and_go_up)


RETRY: dict[str, Any] = {
    "retry": 1,
    "retries": 2,
    "wait_seconds": 2.25,
    "failure": SourceError("the server\nis away"),
}


def source_retried(at: float, source: str) -> Event:
    return event(SourceRetried(source=source, **RETRY), at)


def run_retried(at: float, done: int = 0, dropped: int = 0) -> Event:
    return event(RunRetried(sources_done=done, sources_dropped=dropped, **RETRY), at)


class TestWhatIsTriedAgain:
    def test_a_line_says_what_when_and_why(self) -> None:
        stream = io.StringIO()
        with PlainLines(stream) as lines:
            for each in (*run_started(), started(), source_retried(1, "adhd_a"), run_retried(2)):
                lines.listen(each)
        assert stream.getvalue().splitlines() == [
            "retrying  adhd_a: in 2.2 s, 1 of 2: the server is away",
            "retrying  the run: in 2.2 s, 1 of 2: the server is away",
        ]

    def test_on_a_terminal_the_line_stays(self) -> None:
        console = Console(file=io.StringIO(), force_terminal=True, width=100)
        with LiveBars("adhd", console) as bars:
            bars.listen(source_retried(1, "adhd_a"))
        assert isinstance(console.file, io.StringIO)
        assert "retrying  adhd_a: in 2.2 s, 1 of 2: the server is away" in console.file.getvalue()

    def test_on_a_terminal_the_bar_says_how_often_until_the_run_goes_on(self) -> None:
        console = Console(file=io.StringIO(), force_terminal=True, width=100)
        bars = LiveBars("adhd", console)

        def drawn() -> str:
            with console.capture() as capture:
                console.print(bars.draw())
            return capture.get()

        bars.listen(run_started()[0])
        assert "looking at the database" in drawn()
        bars.listen(run_retried(1))
        assert "trying again, 1 of 2" in drawn()
        bars.listen(batch_started(1))
        assert "trying again" not in drawn()
        bars.listen(source_retried(1, "adhd_a"))
        assert "trying again" not in drawn()

    def test_those_who_want_failures_only_hear_nothing(self) -> None:
        stream = io.StringIO()
        with Quiet(stream) as quiet:
            quiet.listen(source_retried(1, "adhd_a"))
        assert stream.getvalue() == ""

    def test_a_run_that_begins_again_counts_what_is_kept(self) -> None:
        tally = Tally()
        again = [run_retried(3, done=1), batch_started(1)]
        for each in (*run_started(), started(), completed(), started("adhd_b"), *again):
            tally = tally.after(each)
        assert (tally.done, tally.sources, tally.under_way) == (1, 2, ())
        tally = tally.after(run_retried(4, dropped=1))
        assert tally.done == 0
        for each in (*run_started()[1:], started(at=5), completed(at=6)):
            tally = tally.after(each)
        assert (tally.done, tally.sources) == (1, 2)
