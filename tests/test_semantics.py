"""docs/semantics.md names a test for every promise, and those tests are there."""

from __future__ import annotations

import re

import pytest

from tests.promises import ROOT, is_there

PAGE = (ROOT / "docs" / "semantics.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", PAGE)
# A promise begins with its words in bold.
PROMISES = re.findall(r"^- (\*\*.*?)(?=^- |^#|\n\n|\Z)", PAGE, re.MULTILINE | re.DOTALL)
LINKS = re.findall(r"\]\((?!http)([^)#]+)(?:#([\w-]+))?\)", PAGE)


@pytest.mark.parametrize(("path", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_named_test_is_there(path: str, test: str) -> None:
    assert is_there(f"{path}::{test}")


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
