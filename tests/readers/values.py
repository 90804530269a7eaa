"""What readers give, in the canonical text of the type map's suite.

A value is brought there only by steps that lose nothing, so that a text that differs is a value
that differs.
"""

from __future__ import annotations

import datetime
import math
import struct
import uuid
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tests.types.harness import Text, plain, texts

_EPOCH = datetime.date(1970, 1, 1)
_MIDNIGHT = datetime.datetime.combine(_EPOCH, datetime.time())
_FLOATS = {"FLOAT": ">f", "DOUBLE": ">d"}
_TEMPORAL = ("DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
_MICROSECOND = datetime.timedelta(microseconds=1)


def arrow_texts(array: pa.Array | pa.ChunkedArray, written: str) -> list[Text]:
    """A column of Arrow's. `written` is DuckDB's name of the type in the file."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    return texts(array.cast(_plain_type(array.type, written)))


def _plain_type(kind: pa.DataType, written: str) -> pa.DataType:
    """The type that the suite knows, for one that holds the same values."""
    if written.endswith("[]"):
        return pa.list_(_plain_type(kind.value_type, written.removesuffix("[]")))
    if pa.types.is_time64(kind):
        return pa.time64("us")
    if written == "UUID" and not pa.types.is_string(kind):
        return pa.binary(16)
    return {
        pa.string_view(): pa.string(),
        pa.large_string(): pa.string(),
        pa.binary_view(): pa.binary(),
        pa.large_binary(): pa.binary(),
    }.get(kind, kind)


def python_texts(values: Iterable[Any], written: str) -> list[Text]:
    """A column of Python's, NumPy's or pandas' own values."""
    if written.endswith("[]"):
        element = written.removesuffix("[]")
        return [_list(value, element) for value in values]
    return [_text(value, written.partition("(")[0]) for value in values]


def _list(value: Any, element: str) -> Text:
    if isinstance(value, list | np.ndarray):
        return python_texts(value, element)  # type: ignore[return-value]
    return None if _missing(value) else repr(value)


def _missing(value: Any) -> bool:
    """Whether the reader shows that there is no value: pandas without Arrow has NaN for it."""
    return pd.api.types.is_scalar(value) and bool(pd.isna(value))


def _text(value: Any, written: str) -> str | None:
    if _missing(value):
        return None
    if written in _TEMPORAL:
        return _moment(value, written)
    if written == "BOOLEAN" and isinstance(value, bool | np.bool_):
        return str(value).lower()
    if written in _FLOATS and isinstance(value, float | np.floating):
        return _bits(value, written)
    return _bytes(value, written) if isinstance(value, bytes) else _number(value)


def _bits(value: Any, written: str) -> str:
    return struct.pack(_FLOATS[written], float(value)).hex()


def _bytes(value: bytes, written: str) -> str:
    is_uuid = written == "UUID" and len(value) == 16
    return str(uuid.UUID(bytes=value)) if is_uuid else value.hex()


def _number(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return plain(Decimal(repr(float(value)))) if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return plain(value)
    return str(value.item() if isinstance(value, np.generic) else value)


def _moment(value: Any, written: str) -> str:
    if isinstance(value, datetime.time):
        value = datetime.datetime.combine(_EPOCH, value) - _MIDNIGHT
    if isinstance(value, pd.Timestamp | pd.Timedelta | np.datetime64 | np.timedelta64):
        unit = "D" if written == "DATE" else "us"
        moment = value if isinstance(value, np.generic) else value.asm8
        same = moment.astype(f"{'m' if moment.dtype.kind == 'm' else 'M'}8[{unit}]")
        return str(same.astype("i8")) if same == moment else str(value)
    if isinstance(value, datetime.datetime):
        value = value - _MIDNIGHT
    if isinstance(value, datetime.timedelta):
        return str(value // _MICROSECOND)
    if isinstance(value, datetime.date) and written == "DATE":
        return str((value - _EPOCH).days)
    return repr(value)


def printed_texts(values: Iterable[Any], written: str) -> list[Text]:
    """A column of texts as a database prints them; a list is a list of texts."""
    if written.endswith("[]"):
        element = written.removesuffix("[]")
        return [None if v is None else printed_texts(v, element) for v in values]  # type: ignore[misc]
    return [None if v is None else _printed(v, written.partition("(")[0]) for v in values]


def _printed(value: str, written: str) -> str:
    # A count of days or microseconds, which `fromisoformat` may take for a date.
    if written in _TEMPORAL and value.lstrip("-").isdigit():
        return value
    try:
        return _READINGS.get(written, str)(value)
    except ValueError:
        return value


_READINGS: dict[str, Callable[[str], str]] = {
    "FLOAT": lambda text: _bits(text, "FLOAT"),
    "DOUBLE": lambda text: _bits(text, "DOUBLE"),
    "DECIMAL": lambda text: plain(Decimal(text)),
    "BLOB": lambda text: text.encode("utf-8", "surrogateescape").hex(),
    "DATE": lambda text: _moment(datetime.date.fromisoformat(text), "DATE"),
    "TIMESTAMP": lambda text: _moment(datetime.datetime.fromisoformat(text), "TIMESTAMP"),
    "TIMESTAMP WITH TIME ZONE": lambda text: _moment(datetime.datetime.fromisoformat(text), ""),
    "TIME": lambda text: _moment(datetime.time.fromisoformat(text), "TIME"),
}
