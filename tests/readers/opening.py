"""How each reader opens a file, and how its own types and values are got out of what it gives.

The code that opens a file is the documentation's (`docs.reading.READERS`), run as it stands.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from docs.reading import READERS, Reader
from tests.readers.values import arrow_texts, printed_texts, python_texts
from tests.types.harness import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a reader gave: its own type of each column, and a column in canonical text."""

    types: Mapping[str, str]
    texts: Callable[[str, str], list[Text]]


def missing(reader: Reader) -> str | None:
    """What there is not that the reader needs, None if it can be used."""
    if importlib.util.find_spec(reader.module) is None:
        return f"{reader.name} is not installed: make readers"
    if reader.key == "spark" and shutil.which("java") is None:
        return "Spark needs a Java runtime"
    return None


@cache
def _names(reader: Reader) -> dict[str, Any]:
    """What the reader's imports, and what it starts once, have given names to."""
    names: dict[str, Any] = {}
    exec(reader.imports, names)
    return names


def evaluated(reader: Reader, code: str, path: Path, **names: Any) -> Any:
    """What the last line of the documentation's code gives, with the file's `path` and more."""
    *before, last = code.splitlines()
    known = _names(reader) | {"path": str(path)} | names
    exec("\n".join(before), known)
    return eval(last, known)


def opened(reader: Reader, code: str, path: Path, **names: Any) -> Frame:
    """The frame that the documentation's code gives."""
    return _FRAMES[reader.key](evaluated(reader, code, path, **names))


def whole(reader: Reader, path: Path) -> Frame:
    """A file with all its columns."""
    return opened(reader, reader.whole, path)


def some(reader: Reader, path: Path, columns: Sequence[str]) -> Frame:
    """Some columns of a file."""
    return opened(reader, reader.some, path, columns=list(columns))


def _of_arrow(table: pa.Table, types: Mapping[str, str] | None = None) -> Frame:
    own = types or {each.name: str(each.type) for each in table.schema}
    return Frame(types=own, texts=lambda name, written: arrow_texts(table[name], written))


def _of_pandas(frame: Any) -> Frame:
    def own(name: str) -> str:
        dtype = str(frame[name].dtype)
        kinds = sorted(
            {type(v).__name__ for v in frame[name].dropna()} if dtype == "object" else ()
        )
        return f"{dtype} ({', '.join(kinds)})" if kinds else dtype

    def texts(name: str, written: str) -> list[Text]:
        column = frame[name]
        if isinstance(column.dtype, pd.ArrowDtype):
            return arrow_texts(column.array.__arrow_array__(), written)
        return python_texts(column, written)

    return Frame(types={name: own(name) for name in frame.columns}, texts=texts)


def _of_polars(frame: Any) -> Frame:
    return _of_arrow(frame.to_arrow(), {name: str(dtype) for name, dtype in frame.schema.items()})


def _of_duckdb(relation: Any) -> Frame:
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    return _of_arrow(relation.to_arrow_table(), types)


def _of_daft(frame: Any) -> Frame:
    return _of_arrow(frame.to_arrow(), {each.name: str(each.dtype) for each in frame.schema()})


def _of_chdb(lines: Any) -> Frame:
    names, types, *rows = (
        json.loads(line, parse_int=str, parse_float=str)
        for line in lines.bytes().decode("utf-8", "surrogateescape").splitlines()
    )
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
    return Frame(
        types=dict(zip(names, types, strict=True)),
        texts=lambda name, written: printed_texts(_with_booleans(columns.get(name, ())), written),
    )


def _with_booleans(values: Sequence[Any]) -> list[Any]:
    """JSON's true and false are the only values that it does not give as text."""
    return [
        _with_booleans(value)
        if isinstance(value, list)
        else str(value).lower()
        if isinstance(value, bool)
        else value
        for value in values
    ]


_FRAMES: dict[str, Callable[[Any], Frame]] = {
    "pyarrow": _of_arrow,
    "pandas": _of_pandas,
    "pandas-arrow": _of_pandas,
    "polars": _of_polars,
    "duckdb": _of_duckdb,
    "datafusion": lambda frame: _of_arrow(frame.to_arrow_table()),
    "daft": _of_daft,
    "chdb": _of_chdb,
    "spark": lambda frame: _of_arrow(frame.toArrow(), dict(frame.dtypes)),
    "fastparquet": _of_pandas,
}
assert set(_FRAMES) == {reader.key for reader in READERS}
