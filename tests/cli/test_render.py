"""What people and programs are shown of a run that has ended, from hand-made reports."""

from __future__ import annotations

import dataclasses
import json

import pytest
from rich.cells import cell_len

from duckwarp.cli import wording
from duckwarp.cli.documents import report_document
from duckwarp.cli.listing import Listing, figures, indent, make_text, words
from duckwarp.cli.render import python_call
from duckwarp.cli.report import report_page
from duckwarp.model.results import ExportResult, Loss, RunReport, SourceOutcome, SourceState
from duckwarp.model.sizes import size_text
from tests.cli.pages import lines_on, text_on

LONG_CODE = "adhd_" + "waiting_times_" * 6 + "x" * 11
NO_PRIVILEGE = 'role "reader" has no SELECT privilege on table staging.adhd_locked'


def exported(code: str = "adhd_ages", rows: int = 1304, **changes: object) -> SourceOutcome:
    result = ExportResult(
        True, code, rows, 15, 0.084, f"output/{code}.parquet", f"output/{code}.md"
    )
    outcome = SourceOutcome(
        code=code, state=SourceState.EXPORTED, result=result, size_bytes=84_000, seconds=0.4
    )
    return dataclasses.replace(outcome, **changes)  # type: ignore[arg-type]


def failed(code: str = "adhd_locked", error: str = NO_PRIVILEGE) -> SourceOutcome:
    result = ExportResult.failure(code, error)
    return SourceOutcome(
        code=code, state=SourceState.FAILED, result=result, reason=error, seconds=1.0
    )


def skipped(code: str = "adhd_absent") -> SourceOutcome:
    reason = "relation staging.tbl_absent does not exist"
    return SourceOutcome(code=code, state=SourceState.SKIPPED, reason=reason)


def report(*outcomes: SourceOutcome) -> RunReport:
    return RunReport(run_id="run", output_dir="output", outcomes=outcomes, seconds=2.5)


def page(run: RunReport, width: int | None) -> list[str]:
    return lines_on(report_page(run), width)


class TestSummary:
    def test_at_80_columns_the_reason_stands_below_its_source(self) -> None:
        assert page(report(exported(), failed(), skipped()), 80) == [
            "source        rows  columns     size   time  state",
            "-" * 53,
            "adhd_ages    1,304       15  84.0 kB  0.4 s  exported",
            "adhd_locked                           1.0 s  failed",
            f"  {NO_PRIVILEGE}",
            "adhd_absent                                  skipped",
            "  relation staging.tbl_absent does not exist",
            "-" * 53,
            "3 sources    1,304           84.0 kB  2.5 s",
            "",
            "1 exported, 1 skipped, 1 failed. The files are in output: a .parquet and a .md",
            "for each source.",
        ]

    def test_without_a_terminal_each_source_has_one_line(self) -> None:
        got = page(report(exported(), failed(), skipped(LONG_CODE)), None)
        assert len(got) == 9
        (line,) = [line for line in got if LONG_CODE in line]
        assert line.endswith("skipped   relation staging.tbl_absent does not exist")
        assert all(line.isascii() for line in got)

    def test_a_skipped_source_is_named_once_and_is_no_error(self) -> None:
        got = "\n".join(page(report(exported(), skipped()), 80))
        assert got.count("adhd_absent") == 1
        assert "failed" not in got
        assert "1 exported, 1 skipped." in got

    def test_losses_and_notes_stand_under_the_table(self) -> None:
        loss = Loss(column="cost", kind="NaN", count=1204, outcome="written as NULL")
        got = page(report(exported(losses=(loss,), notes=("rows were filtered",))), 80)
        assert got[4:-1] == [
            "1 source   1,304           84.0 kB  2.5 s",
            "",
            "Values not kept, or kept in another form",
            "  adhd_ages.cost: 1,204 values (NaN) written as NULL",
            "",
            "Notes",
            "  adhd_ages: rows were filtered",
            "",
        ]

    def test_says_when_nothing_was_written(self) -> None:
        assert page(report(skipped()), 80)[-1] == "1 skipped. Nothing was written."

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_long_codes_and_reasons_fold_and_nothing_is_cut_off(self, width: int) -> None:
        reason = "the server ended the session: " + "because " * 30 + "END"
        got = page(report(exported(LONG_CODE), failed(error=reason)), width)
        assert max(len(line) for line in got) <= width
        run_together = "".join("".join(line.split()[:1]) for line in got)
        assert LONG_CODE in run_together
        assert " ".join(" ".join(got).split()).count("because") == 30
        assert any(line.endswith("END") for line in got)

    def test_text_for_a_file_has_no_control_characters(self) -> None:
        lines = page(report(failed("a\x1b[2Jb", "one\x07\ntwo")), None)
        assert all(line.isprintable() for line in lines)
        assert any("a\\x1b[2Jb" in line and "one\\x07 two" in line for line in lines)

    @pytest.mark.parametrize("width", [80, None])
    def test_what_looks_like_markup_is_text(self, width: int | None) -> None:
        code, reason = "[red]adhd[/red]", "no [bold]such[/] thing :smile: [/nothing]"
        got = "\n".join(page(report(failed(code, reason)), width))
        assert code in got
        assert reason in got

    def test_colours_are_for_terminals_that_want_them(self) -> None:
        run = report(exported(), failed())
        red = "\x1b[31m"
        assert red in text_on(report_page(run), 80)
        assert red not in text_on(report_page(run), 80, NO_COLOR="1")
        assert "\x1b" not in text_on(report_page(run), None, FORCE_COLOR="1")

    def test_a_file_looks_the_same_whatever_terminal_it_is_written_from(self) -> None:
        run = report(exported(), failed(), skipped(LONG_CODE))
        narrow, wide = (text_on(report_page(run), None, COLUMNS=n) for n in ("40", "200"))
        assert narrow == wide


class TestListing:
    def test_columns_in_which_nothing_stands_are_left_out(self) -> None:
        listing = Listing(words("a"), words("b"), figures("c"))
        listing.add_row("1", "", "2")
        assert lines_on([listing], None) == ["a  c", "----", "1  2"]

    def test_titles_alone_are_left_out_as_well(self) -> None:
        assert lines_on([Listing(words("a"), words("b"), asides=1)], None) == [""]

    @pytest.mark.parametrize(
        ("width", "want"),
        [
            pytest.param(40, ["a  b", "----------", "1  2, more", "3  4"], id="beside their row"),
            pytest.param(8, ["a", "-", "1", "  2,", "  more", "3", "  4"], id="below it"),
        ],
    )
    def test_asides_stand_where_there_is_room(self, width: int, want: list[str]) -> None:
        listing = Listing(words("a"), words("b"), asides=1)
        listing.add_row("1", "2, more")
        listing.add_row("3", "4")
        assert lines_on([listing], width) == want

    @pytest.mark.parametrize(
        ("text", "width", "want"),
        [
            pytest.param("one two", 10, ["one two"], id="what fits stays"),
            pytest.param("one two three", 7, ["one two", "three"], id="between words"),
            pytest.param("a aaaaaa", 3, ["a", "aaa", "aaa"], id="inside a word that is too long"),
            pytest.param("世界世界", 5, ["世界", "世界"], id="by cells, not by characters"),
            pytest.param("one\ttwo\n three", None, ["one two three"], id="no limit, one line"),
            pytest.param("ab " * 99, None, ["ab " * 98 + "ab"], id="no limit, a long line"),
        ],
    )
    def test_folds(self, text: str, width: int | None, want: list[str]) -> None:
        assert lines_on([make_text(text)], width) == want
        indented = lines_on([indent(text)], None if width is None else width + 2)
        assert indented == [f"  {line}" for line in want]

    @pytest.mark.parametrize("width", [40, 9, None])
    def test_aligns_by_what_a_terminal_shows(self, width: int | None) -> None:
        listing = Listing(words("n"), words("v"))
        for name in ("世界", "a", "e\N{COMBINING ACUTE ACCENT}"):
            listing.add_row(name, "x")
        lines = lines_on([listing], width)
        assert [cell_len(line) for line in lines[2:]] == [7, 7, 7]

    @pytest.mark.parametrize("width", [80, 120, None])
    def test_nothing_is_cut_off(self, width: int | None) -> None:
        cells = [f"{letter * 30}_{letter * 30}" for letter in "abcd"]
        listing = Listing(*map(words, "wxyz"))
        listing.add_row(*cells)
        lines = lines_on([listing], width)
        assert width is None or max(map(cell_len, lines)) <= width
        for cell in cells:
            assert "".join(lines).count(cell[0]) == 60


class TestDocument:
    def test_has_every_result_the_skipped_and_the_totals(self) -> None:
        loss = Loss(column="cost", kind="NaN", count=3, outcome="written as NULL")
        run = report(exported(losses=(loss,), notes=("a note",)), failed(), skipped())
        got = json.loads(json.dumps(report_document(run, 1)))
        assert (got["run_id"], got["output_dir"], got["exit_code"]) == ("run", "output", 1)
        assert got["version"]
        assert got["results"][0] == {
            "success": True,
            "canonical_code": "adhd_ages",
            "row_count": 1304,
            "column_count": 15,
            "parquet_size_mb": 0.084,
            "parquet_path": "output/adhd_ages.parquet",
            "metadata_path": "output/adhd_ages.md",
            "error": None,
            "state": "exported",
            "seconds": 0.4,
            "size_bytes": 84_000,
            "read": True,
            "losses": [{"column": "cost", "kind": "NaN", "count": 3, "outcome": "written as NULL"}],
            "notes": ["a note"],
        }
        assert got["results"][1]["error"] == NO_PRIVILEGE
        assert got["skipped"] == [
            {
                "canonical_code": "adhd_absent",
                "reason": "relation staging.tbl_absent does not exist",
            }
        ]
        assert got["totals"] == {
            "sources": 3,
            "exported": 1,
            "unchanged": 0,
            "skipped": 1,
            "failed": 1,
            "rows": 1304,
            "size_bytes": 84_000,
            "seconds": 2.5,
        }


class TestWording:
    @pytest.mark.parametrize(
        ("size_bytes", "want"),
        [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (99_949, "99.9 kB"),
            (99_951, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (14_201_000, "14.2 MB"),
            (2_500_000_000_000, "2,500 GB"),
        ],
    )
    def test_sizes(self, size_bytes: int, want: str) -> None:
        assert size_text(size_bytes) == want

    @pytest.mark.parametrize(
        ("seconds", "want"),
        [
            (0, "0 ms"),
            (0.0994, "99 ms"),
            (0.0995, "0.1 s"),
            (59.94, "59.9 s"),
            (59.95, "1 min 00 s"),
            (3599.4, "59 min 59 s"),
            (3599.6, "1 h 00 min"),
            (90_000, "25 h 00 min"),
        ],
    )
    def test_durations(self, seconds: float, want: str) -> None:
        assert wording.duration(seconds) == want

    @pytest.mark.parametrize(
        ("seconds", "want"), [(0.9, "0:00"), (61, "1:01"), (3761, "1:02:41"), (90_000, "25:00:00")]
    )
    def test_clocks(self, seconds: float, want: str) -> None:
        assert wording.clock(seconds) == want


@pytest.mark.parametrize(
    ("program", "want"),
    [
        pytest.param("print('a')", "python -c \"print('a')\"", id="plain"),
        pytest.param('print("$a")', "python -c 'print(\"$a\")'", id="the shell would expand it"),
    ],
)
def test_commands_to_copy_are_quoted_for_the_shell(program: str, want: str) -> None:
    assert python_call(program) == want
