"""The observers notice what they are there to notice."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from docs.reading import READERS, Verdict
from tests.readers.conftest import Published
from tests.readers.kinds import KINDS
from tests.readers.observing import observed
from tests.readers.values import arrow_texts, printed_texts, python_texts

READER = next(reader for reader in READERS if reader.key == "pyarrow")
KIND = next(kind for kind in KINDS if kind.name == "INT32")


def test_a_value_that_is_not_the_right_one_is_noticed(published: Published) -> None:
    right = {"int4": [*published.right["INT32"]["int4"]]}
    assert observed(READER, KIND, published.path(KIND), right)[0].verdict is Verdict.EXACT
    right["int4"][1] = "2"
    finding, wrong = observed(READER, KIND, published.path(KIND), right)
    assert finding.verdict is Verdict.DIFFERS
    assert wrong == ["int4: 2 is read as 1"]


def test_a_missing_row_is_noticed(published: Published) -> None:
    right = {"int4": [*published.right["INT32"]["int4"], None]}
    finding, wrong = observed(READER, KIND, published.path(KIND), right)
    assert finding.verdict is Verdict.DIFFERS
    assert wrong == ["int4: 5 rows instead of 6"]


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path, published: Published) -> None:
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"PAR1 and no more")
    finding, _ = observed(READER, KIND, path, published.right["INT32"])
    assert finding.verdict is Verdict.REFUSED
    assert not finding.others


@pytest.mark.parametrize(
    ("value", "written", "text"),
    [
        pytest.param(np.float64(2**53), "BIGINT", "9007199254740992", id="a rounded integer"),
        pytest.param(np.nan, "DOUBLE", None, id="NaN, which is NULL as well"),
        pytest.param(-0.0, "DOUBLE", "8000000000000000", id="the sign of zero"),
        pytest.param(0.1, "DECIMAL(3,1)", "0.1", id="a float for a decimal"),
        pytest.param(Decimal("1.50"), "DECIMAL(3,2)", "1.5", id="a decimal"),
        pytest.param(b"\x11" * 15, "UUID", "11" * 15, id="a UUID that lost a byte"),
        pytest.param(datetime.date(1970, 1, 2), "DATE", "1", id="a date"),
        pytest.param(np.int32(1), "DATE", "np.int32(1)", id="a number for a date"),
        pytest.param(pd.Timestamp("1970-01-01 01:00"), "DATE", "1970-01-01 01:00:00", id="an hour"),
        pytest.param(pd.Timestamp(1, unit="us"), "TIMESTAMP", "1", id="a moment"),
        pytest.param(pd.Timestamp(1, unit="ns"), "TIMESTAMP", "1970-01-01 00:00:00.000000001",
                     id="a nanosecond more"),
        pytest.param(datetime.time(0, 0, 1), "TIME", "1000000", id="a time"),
        pytest.param({"a": None}, "JSON", "{'a': None}", id="parsed JSON"),
        pytest.param(np.array([1.0, np.nan]), "INTEGER[]", ["1", None], id="a list"),
        pytest.param(None, "INTEGER[]", None, id="no list"),
    ],
)  # fmt: skip
def test_a_value_of_python_is_told_as_it_is(value: Any, written: str, text: Any) -> None:
    assert python_texts([value], written) == [text]


def test_a_value_of_arrow_is_told_as_it_is() -> None:
    assert arrow_texts(pa.array([1_000], pa.time64("ns")), "TIME") == ["1"]
    with pytest.raises(pa.ArrowInvalid, match="would lose data"):
        arrow_texts(pa.array([1], pa.time64("ns")), "TIME")
    assert arrow_texts(pa.array([b"\x11" * 16]), "UUID") == ["11111111-1111-1111-1111-111111111111"]


def test_a_printed_value_is_told_as_it_is() -> None:
    assert printed_texts(["1970-01-02", "2145042905"], "DATE") == ["1", "2145042905"]
    assert printed_texts(["1970-01-01 00:00:01"], "TIME") == ["1970-01-01 00:00:01"]
    assert printed_texts(["-0", "nan"], "DOUBLE") == ["8000000000000000", "7ff8000000000000"]
    assert printed_texts([["1", None], None], "INTEGER[]") == [["1", None], None]
