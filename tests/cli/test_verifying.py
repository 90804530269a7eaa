"""The picture of a verification: on a terminal while it runs, and nowhere else."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest

from duckwarp.cli.verifying import shown_live


def shown(monkeypatch: pytest.MonkeyPatch, term: str, *, is_terminal: bool) -> str:
    """What standard error has got of a verification, without the movements of the cursor."""
    stream = io.StringIO()
    tells: Callable[[], bool] = lambda: is_terminal  # noqa: E731
    monkeypatch.setattr(stream, "isatty", tells)
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", "80")
    with shown_live() as progress:
        progress("adhd_[red]", 2_000, 5_000)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())


def test_a_terminal_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = shown(monkeypatch, "xterm", is_terminal=True)
    assert "verifying adhd_[red]" in picture
    assert "2,000 of 5,000 rows" in picture


@pytest.mark.parametrize(
    ("term", "is_terminal"),
    [
        pytest.param("xterm", False, id="a file"),
        pytest.param("dumb", True, id="a terminal without a cursor"),
    ],
)
def test_nothing_else_gets_anything(
    monkeypatch: pytest.MonkeyPatch, term: str, is_terminal: bool
) -> None:
    assert shown(monkeypatch, term, is_terminal=is_terminal) == ""
