"""Text as Markdown that reads back as that text, whatever it holds. Knows nothing of the page.

Names, descriptions and values come from people and language models and are never trusted. What
leaves here reads as text in CommonMark and GFM. HTML goes out as entities, which every Markdown
reader knows; a character that has no shape, or turns the direction of the text, is spelled out
(`\\u202e`).
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator


def paragraphs(text: str | None) -> Iterator[str]:
    """The paragraphs of a longer text, each of its lines on a line of its own.

    Indentation is dropped. Two blanks end a line: the line break that every Markdown reader knows.
    """
    lines = [line.strip() for line in (text or "").splitlines()]
    for filled, group in itertools.groupby(lines, key=bool):
        if filled:
            yield "  \n".join(_guarded(prose(line)) for line in group)


def prose(text: str) -> str:
    """Running text on one line, to stand after something else; empty where `text` is blank."""
    line = " ".join(text.replace("\t", " ").splitlines())
    return _escaped(_visible(line.strip()))


def code(text: str) -> str:
    """A code span that shows `text`, which is not empty, with its backticks and outer blanks.

    The fence and its padding are CommonMark's (section 6.1, code spans).
    """
    shown = _visible(text)
    runs = {len(run) for run in re.findall("`+", shown)}
    fence = "`" * next(length for length in itertools.count(1) if length not in runs)
    blanks = shown.startswith(" ") and shown.endswith(" ") and shown.strip(" ")
    padding = " " if blanks or "`" in (shown[0], shown[-1]) else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


# Only what CommonMark or GFM would act upon, so that ordinary text stays as it was written: an
# underscore inside a word, "R&D" and "<5" are left alone.
_MARKUP = re.compile(r"(?P<entity><(?=[A-Za-z/!?])|&(?=#?\w+;))|[\\`*\[|~]|(?<![^\W_])_")
_ENTITIES = {"<": "&lt;", "&": "&amp;"}
_ADDRESS = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)


def _escaped(text: str) -> str:
    return "".join(map(_escaped_word, re.split(r"(\s+)", text)))


def _escaped_word(word: str) -> str:
    escaped = _MARKUP.sub(
        lambda match: _ENTITIES[match[0]] if match["entity"] else f"\\{match[0]}", word
    )
    # GFM links a bare address, and would take the backslashes for a part of it.
    return word if escaped == word else _ADDRESS.sub(r"\\\g<0>", escaped)


# What makes a line a heading, a quotation, a list, a rule or the underline of a heading. The
# backslash goes before the last character matched.
_BLOCK_START = re.compile(
    r"""
      ^\#(?=\#{0,5}(\s|$))
    | ^>
    | ^[-+](?=\s|$)
    | ^[-=:](?=[-=:\s]*$)
    | ^\d{1,9}[.)](?=\s|$)
    """,
    re.VERBOSE,
)


def _guarded(line: str) -> str:
    return _BLOCK_START.sub(lambda match: f"{match[0][:-1]}\\{match[0][-1]}", line)


_SHAPELESS = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # emoji and the scripts of Iran and India are written with these
_SPELLED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _visible(text: str) -> str:
    """`text` with each character spelled out that cannot be seen: controls, marks of direction."""
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    if unicodedata.category(character) not in _SHAPELESS or character in _JOINERS:
        return character
    number = ord(character)
    spelled = f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"
    return _SPELLED.get(character, spelled)
