"""What a reader makes of a kind of column: its own type, and whether the values are right."""

from __future__ import annotations

import importlib.metadata
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from docs import make_readers
from docs.reading import READERS, Finding, Reader, Verdict
from tests.readers.kinds import Kind
from tests.readers.opening import Frame, some, whole
from tests.types.harness import Text
from tests.types.type_cases import Case


def observed(
    reader: Reader, kind: Kind, path: Path, right: Mapping[str, list[Text]]
) -> tuple[Finding, list[str]]:
    """The finding, and in words what is wrong with which column."""
    frames: dict[str, Frame] = {}
    wrong: list[str] = []
    refused = False
    try:
        frames = dict.fromkeys(right, whole(reader, path))
    except Exception as error:
        refused = True
        wrong.append(_said(error))
        for case in kind.cases:
            try:
                frames[case.name] = some(reader, path, ["n", case.name])
            except Exception as again:
                wrong.append(f"{case.name}: {_said(again)}")
    for case in kind.cases:
        if case.name in frames:
            wrong.extend(_differences(frames[case.name], case, right[case.name]))
    return Finding(
        type=" or ".join(dict.fromkeys(_own_types(kind, frames))),
        verdict=Verdict.REFUSED if refused else Verdict.DIFFERS if wrong else Verdict.EXACT,
        others=not refused or _has_the_others(reader, path, kind),
    ), wrong


def differences(frame: Frame, case: Case, right: list[Text]) -> list[str]:
    """In words where a column is not what it should be; nothing if it is."""
    return list(_differences(frame, case, right))


def _differences(frame: Frame, case: Case, right: list[Text]) -> Iterator[str]:
    if case.name not in frame.types:
        yield f"{case.name}: there is no such column"
        return
    found = _in_order(frame, frame.texts(case.name, case.written))
    if len(found) != len(right):
        yield f"{case.name}: {len(found)} rows instead of {len(right)}"
    pairs = zip(found, right, strict=False)
    first = next(((f, r) for f, r in pairs if f != r), None)
    if first is not None:
        yield f"{case.name}: {str(first[1])[:60]} is read as {str(first[0])[:60]}"


def _in_order(frame: Frame, found: list[Text]) -> list[Text]:
    """The values in the order of the rows' numbers, where a reader has mixed the row groups."""
    if "n" not in frame.types:
        return found
    numbers = [int(str(number)) for number in frame.texts("n", "INTEGER")]
    return [found[place] for place in sorted(range(len(found)), key=numbers.__getitem__)]


def _own_types(kind: Kind, frames: Mapping[str, Frame]) -> Iterator[str]:
    """The reader's types of the columns, the digits of decimals as p and s."""
    for case in kind.cases:
        if case.name in frames and case.name in frames[case.name].types:
            own = frames[case.name].types[case.name]
            decimal = re.search(r"\((\d+),(\d+)\)", case.written)
            if decimal is not None:
                p, s = decimal.groups()
                own = re.sub(rf"\b{p}(\D+){s}\b", r"p\1s", own)
            yield own


def _has_the_others(reader: Reader, path: Path, kind: Kind) -> bool:
    """Whether the other columns of a file can be had where one is refused."""
    try:
        found = some(reader, path, ["n"]).texts("n", "INTEGER")
    except Exception:
        return False
    return found == [str(row) for row in range(kind.rows)]


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"


def version_of(reader: Reader) -> str:
    """The versions of a reader and of what it reads with."""
    own, *others = reader.packages
    of_others = "".join(f" with {each} {importlib.metadata.version(each)}" for each in others)
    return importlib.metadata.version(own) + of_others


def write_down(reader: Reader, **about: Any) -> None:
    """Record what was observed of a reader, beside what is known of it, and write the page."""
    # Workers record side by side.
    with FileLock(Path(tempfile.gettempdir()) / "duckwarp-readers.lock"):
        known = make_readers.observations()
        known[reader.key] = known.get(reader.key, {}) | about
        make_readers.OBSERVED.write_text(make_readers.saved(known), encoding="utf-8")
        if all("filters" in known.get(each.key, {}) for each in READERS):
            make_readers.PAGE.write_text(make_readers.page(known), encoding="utf-8")
