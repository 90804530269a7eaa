"""Front matter reads back as what was known, whatever is in it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from ruamel.yaml import YAML

from duckwarp.catalog.frontmatter import front_matter
from tests.catalog.entries import column, entry
from tests.files.test_dataset import TEXT

# As generators of static sites find it: the first two lines that are three hyphens.
MATTER = re.compile(r"\A---\s*\n(.*?\n?)^---\s*$\n\n\Z", re.MULTILINE | re.DOTALL)


def matter(text: str) -> str:
    matched = MATTER.match(text)
    assert matched is not None, text
    return matched[1]


def read(text: str) -> dict[str, Any]:
    """The front matter by readers of YAML 1.1 and 1.2, which have to agree."""
    found: dict[str, Any] = yaml.safe_load(matter(text))
    assert YAML(typ="safe", pure=True).load(matter(text)) == found
    return found


def test_the_figures_are_in_it() -> None:
    got = front_matter(entry("a", [column("x")], tags=("adhd", "open data"), domain="mental"))
    assert got == (
        '---\n"title": "Sample"\n"code": "a"\n"domain": "mental"\n"rows": 3\n"columns": 1\n'
        f'"sha256": "{"ab" * 32}"\n"tags":\n- "adhd"\n- "open data"\n---\n\n'
    )


WORDS = ("no", "No", "NO", "yes", "on", "Off", "y", "Y", "n", "true", "False", "null", "Null", "~")
NUMBERS = (
    *(
        "0",
        "-0",
        "+1",
        "007",
        "0o7",
        "0o17",
        "0x1f",
        "0xFF",
        "0b1",
        "0b1_0",
        "1_000",
        "1,000",
        "09",
    ),
    *(
        "5E1",
        "00E1",
        "1e10",
        "1e5",
        "1e3",
        "1E+3",
        "1e-3",
        "1.",
        ".5",
        "1.5e+3",
        "+.5",
        "1__0",
        "08",
    ),
    *(".inf", "-.Inf", "+.INF", ".nan", ".NaN", "1:30", "12:30:45", "190:20:30.15", "1.5:30", "-1"),
)
DATES = (
    "2024-01-01",
    "2024-1-1",
    "2024-01-01T00:00:00Z",
    "2001-12-14 21:59:43.10 -5",
    "2024-13-99",
)
MARKS = (
    *(
        "=",
        "<<",
        "!!int 3",
        "!a b",
        "- a",
        "-",
        "--",
        "?",
        "? a",
        ":",
        "a:",
        "a: b",
        ":a",
        "a #b",
        "#",
    ),
    *(
        "[a",
        "{a",
        "[]",
        "{}",
        "a, b",
        "&a",
        "*a",
        "'",
        '"',
        '\\"',
        "\\",
        "\\n",
        "%a",
        "@a",
        "`a",
        "|",
        ">",
    ),
    *("---", "--- a", "...", "... a", "a\n---\nb", "\n---\n", "a\n...\nb", "%YAML 1.1"),
)
BLANKS = (
    "",
    " ",
    " a ",
    "\t",
    "a\t",
    "\n",
    "a\n",
    "\r",
    "\r\n",
    "\u00a0",
    "\u3000",
    "a" * 300 + " b" * 300,
)
SPECIAL = (
    *(
        "\u0001",
        "\u0007",
        "\x1b",
        "\x7f",
        "\u0085",
        "\u009f",
        "\u2028",
        "\u2029",
        "\ufeff",
        "\ufeffa",
    ),
    *(
        "\u200b",
        "\u202e",
        "\ud7ff",
        "\ue000",
        "\ufffe",
        "\uffff",
        "😀",
        "\U0010ffff",
        "é",
        "日本語",
    ),
)


@pytest.mark.parametrize("hostile", [*WORDS, *NUMBERS, *DATES, *MARKS, *BLANKS, *SPECIAL])
def test_hostile_text_stays_text(hostile: str) -> None:
    told = entry(hostile, name=hostile, domain=hostile, tags=(hostile, hostile))
    got = read(front_matter(told))
    assert (got["code"], got["title"], got["domain"]) == (hostile, hostile, hostile)
    assert got["tags"] == [hostile, hostile]


@given(TEXT)
def test_no_reader_is_left_to_guess(text: str) -> None:
    """Every scalar is quoted but the numbers, whatever rules a reader has."""
    events = yaml.parse(matter(front_matter(entry(text, name=text, domain=text, tags=(text,)))))
    scalars = [event for event in events if isinstance(event, yaml.ScalarEvent)]
    assert [each.value for each in scalars if each.style is None] == ["3", "0"]
    assert {each.style for each in scalars} == {None, '"'}


@given(TEXT, TEXT)
def test_any_text_reads_back(name: str, tag: str) -> None:
    got = read(front_matter(entry("a", name=name, tags=(tag,))))
    assert (got["title"], got["tags"], got["rows"]) == (name, [tag], 3)


@pytest.mark.parametrize("digest", ["1" * 64, "1" * 31 + "e" + "1" * 32, "0" * 63 + "7"])
def test_a_digest_of_digits_stays_text(digest: str) -> None:
    assert read(front_matter(entry(sha256=digest)))["sha256"] == digest
