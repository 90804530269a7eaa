"""Codes as names of files: which can be one everywhere, and how a name gets to the disk and back.

Names are UTF-8 on the disk. Python's own functions write text in the encoding of the locale, and
DuckDB and Arrow write it in UTF-8: where the two differ, each is given a text of its own for the
same bytes.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from duckwarp.model.errors import SourceError, UsageError

PARQUET, MARKDOWN = ".parquet", ".md"
MAX_CODE_BYTES = 200
# What an output folder has, or may have one day, that is no source's, in any case: the catalog and
# the data package, the lists of what is there and of what has changed, the page that a web server
# shows for the folder, and the names by which sets of files are switched.
RESERVED_CODES = frozenset(
    {"catalog", "datapackage", "sha256sums", "changes", "index", "current", "next", "generations"}
)
# "Naming Files, Paths, and Namespaces" of Windows; they are devices with any ending, too.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[1-9¹²³])\s*(?:\.|$)")
_FORBIDDEN = re.compile(r'[<>:"|?*]')
# A home folder, an option, a variable; a dot hides a file.
_LEADING = ".~-$%"
# Controls, formats (those of the direction of writing among them), separators of lines.
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp"})
_MOST_SHOWN = 60


def check_code(code: str, advice: str = "") -> None:
    """Raises `SourceError`, with `advice`, for a code that is no name for a file everywhere."""
    problem = _problem_with(code)
    if problem is not None:
        then = f": {advice}" if advice else ""
        raise SourceError(f'the code "{_shown(code)}" cannot be a file name: {problem}{then}')


def _problem_with(code: str) -> str | None:
    """Why the code is no file name, None if it is one."""
    try:
        size_bytes = len(code.encode())
    except UnicodeEncodeError:
        return "it is not UTF-8"
    unseen = next((c for c in code if unicodedata.category(c) in _UNSEEN), None)
    forbidden = _FORBIDDEN.search(code)
    problems = {
        "it is empty": not code.strip(),
        "it has a slash, and would leave the output folder": "/" in code or "\\" in code,
        f"it has the control character U+{ord(unseen or ' '):04X}": unseen is not None,
        f"it has the character {forbidden and forbidden[0]}": forbidden is not None,
        "it starts with a dot": code.startswith("."),
        f"it starts with {code[:1]}": code.startswith(tuple(_LEADING)),
        "it starts with a blank": code[:1].isspace(),
        "it ends with a dot or a blank": code[-1:].isspace() or code.endswith("."),
        f"it has {size_bytes} bytes, more than {MAX_CODE_BYTES}": size_bytes > MAX_CODE_BYTES,
        "the name is reserved": code.casefold() in RESERVED_CODES,
        "the name is a device's on Windows": _DEVICE.match(code.casefold()) is not None,
    }
    return next((problem for problem, applies in problems.items() if applies), None)


def _shown(code: str) -> str:
    """The beginning of a code, with escapes for what cannot be printed."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in code[:_MOST_SHOWN]
    )


def find_twins(codes: Iterable[str]) -> dict[str, str]:
    """The codes that name the same file as one before them on some systems, each with that one.

    macOS and Windows take upper and lower case for the same, macOS also the composed and the
    decomposed form of a letter.
    """
    twins: dict[str, str] = {}
    first: dict[str, str] = {}
    for code in codes:
        before = first.setdefault(_folded(code), code)
        if before != code:
            twins[code] = before
    return twins


def _folded(code: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", code).casefold())


def name_on_disk(name: str) -> str:
    """The name of a file as Python's functions take it, so that it is UTF-8 on the disk."""
    return os.fsdecode(name.encode())


def name_from_disk(name: str) -> str:
    r"""The name of a file, as Python's functions give it, as text.

    What of it is no UTF-8 comes as escapes (`\xe9`), which no code has.
    """
    return os.fsencode(name).decode(errors="backslashreplace")


def name_from_shell(argument: str) -> str:
    """A name that was typed: in UTF-8 where its bytes are that, else as the locale has it."""
    try:
        return os.fsencode(argument).decode()
    except UnicodeError:
        return argument


def parquet_in(folder: Path, code: str) -> Path:
    """Where a folder has the Parquet file of a source."""
    return folder / name_on_disk(f"{code}{PARQUET}")


def markdown_in(folder: Path, code: str) -> Path:
    """Where a folder has the dictionary of a source."""
    return folder / name_on_disk(f"{code}{MARKDOWN}")


def code_of(path: Path) -> str:
    """The code of the source whose Parquet file this would be."""
    return name_from_disk(path.name).removesuffix(PARQUET)


def utf8_path(path: Path) -> str:
    """The path as DuckDB and Arrow take it. Raises `UsageError` for one that is not UTF-8."""
    try:
        return os.fsencode(path).decode()
    except UnicodeDecodeError as error:
        shown = name_from_disk(str(path))
        raise UsageError(
            f"the path {shown} is not UTF-8, as DuckDB takes them: rename the folder, or name "
            "another one"
        ) from error
