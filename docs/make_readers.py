"""Writes docs/readers.md from what was observed; `make readers RECORD=1` observes and writes.

`readers.json` has what each reader made of each kind of column and of file; what is to be said about
that is in `reading.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs.reading import EXCEPTIONS, FILTER_EXCEPTIONS, READERS, Exceptional, Reader, Verdict

PAGE = Path(__file__).with_name("readers.md")
OBSERVED = Path(__file__).with_name("readers.json")


_MARKS = {Verdict.EXACT: "", Verdict.DIFFERS: " ≠", Verdict.REFUSED: " ✗"}

INTRODUCTION = """# Readers

Generated from what the tests observed, by `docs/make_readers.py`; do not edit. `make readers` observes
again, and fails where one of these versions makes something else of a file.

Every type of the [type map](types.md) is written, with values at its edges and NULL, and each reader's
values are held against PostgreSQL's own.

{exact} read all of them exactly.
What the others do not is listed below, with a way around where there is one.
"""

LEGEND = """The reader's own type; **≠**: some values differ, **✗**: the reader refuses the column.
Both are explained [below](#exceptions). Without a mark all values are exact. "No NULL" is a column that
has none; the others have NULLs.
"""


ORDER = """The rows are sorted in the file. Most readers give them in its order, from several row groups too;
these read row groups side by side, and need to be told:

"""

FILTERS = """`=`, `<>`, `<`, `>`, BETWEEN, IN, IS NULL and joins are asked of files of several row groups, with values
that repeat and that do not. The rows have to be those that PostgreSQL finds. **≠**: some are not, **✗**: the
reader does not compare such values; both are explained below. `condition` is in the reader's own words.

"""

DESCRIPTIONS = """Each column's description and PostgreSQL type are metadata of its field in the Arrow schema, which some
readers show:

"""

FOOTER = """
The same and more is in the footer as JSON, under the key `duckwarp`. These give its text, as in
`json.loads(text)["columns"]`, with `key` for `"duckwarp"`:

"""

SCHEMAS_ELSEWHERE = """
pandas, Spark and chDB show neither: read them with pyarrow beside.
"""


def observations(path: Path = OBSERVED) -> dict[str, Any]:
    """For each reader its `version`, findings by the `types` of columns and kinds of `files`.

    The verdicts on `filters` are by kinds of columns.
    """
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def saved(observed: dict[str, Any]) -> str:
    """The observations as text, a line for each finding."""
    text = json.dumps(observed, indent=1, ensure_ascii=False)
    return re.sub(r"(?<=\{)\s+(\"type\"[^{}]*?)\s+(?=\})", _on_one_line, text) + "\n"


def _on_one_line(finding: re.Match[str]) -> str:
    return re.sub(r"\s*\n\s*", " ", finding[1])


def page(observed: dict[str, Any]) -> str:
    """The whole page."""
    half = len(READERS) // 2
    exact = [reader.name for reader in READERS if _is_exact(observed[reader.key])]
    sections = [
        INTRODUCTION.format(exact=f"{', '.join(exact[:-1])} and {exact[-1]}"),
        "## Versions and how they open a file\n\n" + "\n".join(_opening(observed)) + "\n",
        "```python\n" + "\n".join(dict.fromkeys(reader.imports for reader in READERS)) + "\n```\n",
        "## What becomes of each type\n\n" + LEGEND,
        "\n".join(_types(observed, READERS[:half])) + "\n",
        "\n".join(_types(observed, READERS[half:])) + "\n",
        "## What becomes of each kind of file\n\n" + "\n".join(_files(observed)) + "\n",
        "## Filters\n\n" + FILTERS + "\n".join(_filters(observed)) + "\n",
        "\n".join(_filtering()) + "\n",
        "\n".join(_filter_exceptions()) + "\n",
        "## Rows in the file's order\n\n" + ORDER + "\n".join(_orders()) + "\n",
        "## Descriptions\n\n" + DESCRIPTIONS + "\n".join(_described("field")) + "\n",
        FOOTER.lstrip() + "\n".join(_described("footer")) + "\n" + SCHEMAS_ELSEWHERE,
        "## Exceptions\n",
        *_exceptions(observed),
    ]
    return "\n".join(sections).rstrip("\n") + "\n"


def _is_exact(about: dict[str, Any]) -> bool:
    verdicts = {finding["verdict"] for finding in about["types"].values()}
    return verdicts == {Verdict.EXACT.value}


def _opening(observed: dict[str, Any]) -> Iterator[str]:
    yield "| reader | version | whole | some columns |"
    yield "|---|---|---|---|"
    for reader in READERS:
        version = observed[reader.key]["version"]
        yield f"| {reader.name} | {version} | `{reader.whole}` | `{reader.some}` |"


def _types(observed: dict[str, Any], readers: tuple[Reader, ...]) -> Iterator[str]:
    yield f"| written as | {' | '.join(reader.name for reader in readers)} |"
    yield "|---" * (len(readers) + 1) + "|"
    for kind in observed[READERS[0].key]["types"]:
        cells = [_cell(observed[reader.key]["types"][kind]) for reader in readers]
        yield f"| {kind} | {' | '.join(cells)} |"


def _cell(finding: dict[str, Any]) -> str:
    own = f"`{finding['type']}`" if finding["type"] else ""
    return (own + _MARKS[Verdict(finding["verdict"])]).strip()


def _files(observed: dict[str, Any]) -> Iterator[str]:
    yield f"| file | {' | '.join(reader.name for reader in READERS)} |"
    yield "|---" * (len(READERS) + 1) + "|"
    for kind in observed[READERS[0].key]["files"]:
        verdicts = [Verdict(observed[reader.key]["files"][kind]["verdict"]) for reader in READERS]
        yield f"| {kind} | {' | '.join(_MARKS[each].strip() or 'exact' for each in verdicts)} |"


def _filters(observed: dict[str, Any]) -> Iterator[str]:
    yield f"| written as | {' | '.join(reader.name for reader in READERS)} |"
    yield "|---" * (len(READERS) + 1) + "|"
    for kind in observed[READERS[0].key]["filters"]:
        verdicts = [Verdict(observed[reader.key]["filters"][kind]) for reader in READERS]
        yield f"| {kind} | {' | '.join(_MARKS[each].strip() or 'right' for each in verdicts)} |"


def _filtering() -> Iterator[str]:
    for reader in READERS:
        skips = ", which skips row groups: other rows remain" if reader.skips_only else ""
        yield f"- {reader.name}: `{reader.filtered}`{skips}"


def _filter_exceptions() -> Iterator[str]:
    names = {reader.key: reader.name for reader in READERS}
    for each in FILTER_EXCEPTIONS:
        yield f"- {names[each.reader]}, **{'; '.join(each.kinds)}**: {each.why}."
        yield from _way_around(each, "Right")


def _orders() -> Iterator[str]:
    for reader in READERS:
        if reader.in_order is not None:
            yield f"- {reader.name}: `{reader.in_order}`"


def _described(where: str) -> Iterator[str]:
    for reader in READERS:
        code = getattr(reader, where)
        if code is not None:
            yield f"- {reader.name}: `{code}`"


def _exceptions(observed: dict[str, Any]) -> Iterator[str]:
    for reader in READERS:
        exceptions = [each for each in EXCEPTIONS if each.reader == reader.key]
        if exceptions:
            yield f"### {reader.name} {observed[reader.key]['version']}\n"
            lines = [line for each in exceptions for line in _exception(observed, each)]
            yield "\n".join(lines).rstrip("\n") + "\n"


def _exception(observed: dict[str, Any], exception: Exceptional) -> Iterator[str]:
    about = observed[exception.reader]
    findings = [(about["types"] | about["files"])[kind] for kind in exception.kinds]
    refused = Verdict.REFUSED.value in (finding["verdict"] for finding in findings)
    whole_file = not all(finding["others"] for finding in findings)
    reach = " The whole file cannot be opened then, its other columns included."
    others = " The file's other columns can be selected." if refused else ""
    yield f"- **{exception.title or '; '.join(exception.kinds)}**: {exception.why}.{reach if whole_file else others}"
    yield from _way_around(exception, "Exact")


def _way_around(exception: Exceptional, praise: str) -> Iterator[str]:
    if exception.way is not None:
        yield f"  {praise}{f' ({exception.advice})' if exception.advice else ''}:\n"
        yield "  ```python"
        yield from (f"  {line}" for line in exception.way.splitlines())
        yield "  ```\n"


if __name__ == "__main__":
    OBSERVED.write_text(saved(observations()), encoding="utf-8")
    PAGE.write_text(page(observations()), encoding="utf-8")
