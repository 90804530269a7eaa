"""Pictures and figures of a file, on terminals of any width."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.cells import cell_len

from duckwarp.cli.profile import bar, profile_page, shows_pictures, sparkline
from duckwarp.engine.profile import ColumnProfile, Histogram
from duckwarp.export.profile import FileProfile
from duckwarp.model.results import ColumnStatistics, FileFacts
from tests.cli.pages import lines_on

PICTURES = set("▁▂▃▄▅▆▇█▏▎▍▌▋▊▉·")


def file_profile(rows: int = 1_000) -> FileProfile:
    numbers = Histogram(low=0.0, high=9.0, counts=(*range(19), 400))
    statistics = (
        ColumnStatistics(null_count=0, minimum="0", maximum="9"),
        ColumnStatistics(null_count=125, minimum="a" * 60, maximum="日本" * 30),
        ColumnStatistics(null_count=rows),
        ColumnStatistics(),
    )
    return FileProfile(
        path=Path("output/t.parquet"),
        facts=FileFacts(
            rows=rows,
            size_bytes=1_234,
            names=("number", "a_rather_long_name_of_a_column_of_text", "nothing", "list"),
            columns=statistics,
            row_group_rows=(rows,),
        ),
        columns=(
            ColumnProfile(distinct=10, distinct_is_exact=True, histogram=numbers),
            ColumnProfile(distinct=1_234),
            ColumnProfile(distinct=0),
            ColumnProfile(),
        ),
    )


def text_of(width: int | None, *, pictures: bool, rows: int = 1_000) -> str:
    return "\n".join(lines_on(profile_page(file_profile(rows), pictures=pictures), width))


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("pictures", [True, False])
def test_no_line_is_wider_than_the_terminal(width: int, pictures: bool) -> None:
    lines = text_of(width, pictures=pictures).splitlines()
    assert max(map(cell_len, lines)) <= width
    assert any(line.startswith("number ") for line in lines)


def test_a_terminal_sees_pictures_and_the_figures() -> None:
    page = text_of(120, pictures=True)
    assert "█······· 12 %" in page
    assert "~1,200" in page
    assert " 10 " in page
    assert set(page) & PICTURES >= {"·", "█", "▁"}
    assert "aaaaaaaaaaaaaaaaaaaaaaa…" in page


def test_without_pictures_the_figures_are_whole() -> None:
    page = text_of(None, pictures=False)
    assert not set(page) & PICTURES
    assert "1.2 kB: 1,000 rows in 1 row group" in page
    assert "12 %" in page
    assert "a" * 60 in page


def test_a_file_without_rows_has_no_columns_to_tell_of() -> None:
    assert "0 rows" in text_of(80, pictures=True, rows=0)
    assert "number" not in text_of(80, pictures=True, rows=0)


@pytest.mark.parametrize(
    ("share", "want"),
    [(0.0001, "▏···"), (0.25, "█···"), (0.5, "██··"), (0.53, "██▏·"), (1.0, "████")],
)
def test_a_bar_is_as_long_as_its_share(share: float, want: str) -> None:
    assert bar(share, 4) == want


@pytest.mark.parametrize(
    ("counts", "cells", "want"),
    [
        ([0, 1, 7], 20, "·▂█"),
        ([1, 1_000_000], 20, "▁█"),
        ([5], 20, "█"),
        ([1, 1, 0, 0, 2, 2], 3, "▄·█"),
        ([1, 2, 3], 0, ""),
    ],
)
def test_a_sparkline_is_as_high_as_its_counts(counts: list[int], cells: int, want: str) -> None:
    assert sparkline(counts, cells).replace("▅", "▄") == want


@pytest.mark.parametrize(
    ("encoding", "is_terminal", "want"),
    [("utf-8", True, True), ("UTF8", True, True), ("ascii", True, False), ("utf-8", False, False)],
)
def test_pictures_are_for_terminals_that_have_them(
    encoding: str, is_terminal: bool, want: bool
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    stream.isatty = lambda: is_terminal  # type: ignore[method-assign]
    assert shows_pictures(stream) is want
