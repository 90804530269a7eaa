"""What a page looks like on a terminal of any width, and in a file."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable
from unittest import mock

from rich.console import RenderableType

from duckwarp.cli.render import show

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def text_on(page: Iterable[RenderableType], width: int | None, **environ: str) -> str:
    """All that is written, colours as well; to a file for no width."""
    stream = io.StringIO()
    stream.isatty = lambda: width is not None  # type: ignore[method-assign]
    defaults = {"TERM": "xterm-256color", "NO_COLOR": "", "COLUMNS": str(width or 80)}
    with mock.patch.dict(os.environ, defaults | environ):
        show(page, stream)
    return stream.getvalue()


def lines_on(page: Iterable[RenderableType], width: int | None) -> list[str]:
    """The lines as they are seen."""
    text = ESCAPES.sub("", text_on(page, width))
    return [line.rstrip() for line in text.splitlines()]
