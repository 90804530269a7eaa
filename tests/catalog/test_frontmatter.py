"""Front matter reads back as what was known, whatever is in it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given

from duckwarp.catalog.frontmatter import front_matter
from tests.catalog.entries import column, entry
from tests.files.test_dataset import TEXT

# As generators of static sites find it: the first two lines that are three hyphens.
MATTER = re.compile(r"\A---\s*\n(.*?\n?)^---\s*$\n\n\Z", re.MULTILINE | re.DOTALL)


def read(text: str) -> dict[str, Any]:
    matched = MATTER.match(text)
    assert matched is not None, text
    found: dict[str, Any] = yaml.safe_load(matched[1])
    return found


def test_the_figures_are_in_it() -> None:
    got = front_matter(entry("a", [column("x")], tags=("adhd", "open data"), domain="mental"))
    assert got == (
        "---\ntitle: Sample\ncode: a\ndomain: mental\nrows: 3\ncolumns: 1\n"
        f"sha256: {'ab' * 32}\ntags:\n- adhd\n- open data\n---\n\n"
    )


@pytest.mark.parametrize(
    "hostile",
    [
        *("no", "null", "~", "1e3", "0x1f", "2024-01-01", "12:30", ".inf", "=", "<<", "!!int 3"),
        *("- a", "a: b", "a #b", "[a", "{a", "&a", "*a", "'", '"', "%a", "@a", "`a", "|", ">"),
        *(
            "---",
            "a\n---\nb",
            "...",
            "\n---\n",
            " a ",
            "\u2028",
            "\u0085",
            "\ufeff",
            "😀",
            "\x7f",
            "",
        ),
    ],
)
def test_hostile_text_stays_text(hostile: str) -> None:
    got = read(front_matter(entry(hostile, name=hostile, tags=(hostile, hostile))))
    assert (got["code"], got["title"], got["tags"]) == (hostile, hostile, [hostile, hostile])


@given(TEXT, TEXT)
def test_any_text_reads_back(name: str, tag: str) -> None:
    got = read(front_matter(entry("a", name=name, tags=(tag,))))
    assert (got["title"], got["tags"], got["rows"]) == (name, [tag], 3)


def test_a_digest_of_digits_stays_text() -> None:
    assert read(front_matter(entry(sha256="1" * 64)))["sha256"] == "1" * 64
