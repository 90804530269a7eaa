"""docs/semantics.md names a test for every promise, and those tests are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "semantics.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", PAGE)
# A promise begins with its words in bold.
PROMISES = re.findall(r"^- (\*\*.*?)(?=^- |^#|\n\n|\Z)", PAGE, re.MULTILINE | re.DOTALL)
LINKS = re.findall(r"\]\((?!http)([^)#]+)(?:#([\w-]+))?\)", PAGE)


def functions_in(path: Path) -> set[str]:
    """The tests of a file, those of a class as `Class::test`."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {prefix + each.name for each in inner if isinstance(each, ast.FunctionDef)}
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}


@pytest.mark.parametrize(("path", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_named_test_is_there(path: str, test: str) -> None:
    assert test in functions_in(ROOT / path)


def test_every_promise_names_one() -> None:
    assert len(PROMISES) > 25
    without = [promise.splitlines()[0] for promise in PROMISES if "`tests/" not in promise]
    assert without == []


def test_nothing_is_named_that_is_not_looked_for() -> None:
    assert PAGE.count("tests/") - PAGE.count("`tests/test_semantics.py`") == len(NAMED)


@pytest.mark.parametrize(("link", "heading"), LINKS)
def test_a_link_leads_somewhere(link: str, heading: str) -> None:
    text = (ROOT / "docs" / link).read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    assert not heading or heading in headings
