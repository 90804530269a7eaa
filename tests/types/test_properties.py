"""What holds for whatever values: they come back from the file as they are in PostgreSQL.

Each example is a table of many values, since an export costs more than a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import Database
from tests.types.harness import (
    READERS,
    Exported,
    differences,
    expected,
    export,
    file_types,
    session,
    texts,
)

examples = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
BATCH = 80


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("properties")


def check(
    database: Database,
    folder: Path,
    type_: str,
    values: Sequence[Any],
    expression: str = "%s",
) -> tuple[Exported, str]:
    """Export the values as a column of the type, and compare what two readers find.

    `expression` makes a value of the type of what it is given. Gives back the type in the file.
    """
    database.execute("DROP SCHEMA IF EXISTS staging CASCADE; CREATE SCHEMA staging")
    database.execute(f"CREATE TABLE staging.t (n int GENERATED ALWAYS AS IDENTITY, v {type_})")
    rows = [value if isinstance(value, tuple) else (value,) for value in values]
    with database.connect() as connection:
        connection.cursor().executemany(
            f"INSERT INTO staging.t (v) VALUES ({expression})".encode(), rows
        )
    exported = export(database.dsn, folder)
    path = exported.parquet("t")
    _, written = file_types(path)
    with session(database.dsn) as asking:
        wanted = expected(asking, "staging.t", written, without_specials=True)
    assert len(wanted) == len(values)
    for reader, read in READERS.items():
        assert differences(texts(read(path)["v"]), wanted) == [], f"read by {reader}"
    return exported, written


def batches(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Lists of values or NULL, with repetitions."""
    return st.lists(st.none() | values, min_size=1, max_size=BATCH).map(lambda batch: batch * 2)


# --- Numeric -------------------------------------------------------------------------------------


@st.composite
def numerics(draw: st.DrawFn, digits: int) -> str:
    """A number of up to so many digits on either side of the point."""
    whole = draw(st.integers(0, 10 ** draw(st.integers(0, digits)) - 1))
    fraction = draw(st.text("0123456789", max_size=draw(st.integers(0, digits))))
    sign = draw(st.sampled_from(["", "-"]))
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


SPECIAL_NUMERICS = st.sampled_from(["NaN", "Infinity", "-Infinity"])


@given(st.sampled_from([4, 9, 15, 19, 25, 45]).flatmap(lambda n: batches(numerics(n))), st.data())
@examples
def test_a_numeric_without_precision_is_exact(
    module_database: Database, folder: Path, batch: list[str | None], data: st.DataObject
) -> None:
    specials = data.draw(st.lists(SPECIAL_NUMERICS, max_size=3))
    exported, written = check(module_database, folder, "numeric", batch + specials)
    assert written == _smallest_decimal(batch)
    losses = exported.outcome("t").losses
    kept = written == "VARCHAR"
    assert sum(loss.count for loss in losses) == (0 if kept else len(specials))


def _smallest_decimal(batch: Sequence[str | None]) -> str:
    """The type that the documentation promises for these numbers."""
    numbers = [text for text in batch if text is not None]
    scale = max((len(t.partition(".")[2].rstrip("0")) for t in numbers), default=0)
    digits = max((len(t.partition(".")[0].lstrip("-0")) for t in numbers), default=0)
    fitting = [precision for precision in (18, 38) if digits + scale <= precision]
    return f"DECIMAL({fitting[0]},{scale})" if fitting else "VARCHAR"


@st.composite
def declared_numerics(draw: st.DrawFn) -> tuple[int, int, list[Any]]:
    """A precision, a scale, and values that fit them, NaN among them."""
    precision = draw(st.integers(1, 50))
    scale = draw(st.integers(-5, precision + 5))
    largest = 10**precision - 1
    unscaled = st.integers(-largest, largest) | st.sampled_from([largest, -largest, 0, 1, -1])
    values = unscaled.map(lambda n: f"{n}e{-scale}")
    batch = draw(st.lists(st.none() | values | st.just("NaN"), min_size=1, max_size=BATCH))
    return precision, scale, batch


@given(declared_numerics())
@examples
def test_a_declared_numeric_is_exact(
    module_database: Database, folder: Path, drawn: tuple[int, int, list[Any]]
) -> None:
    precision, scale, batch = drawn
    type_ = f"numeric({precision},{scale})"
    exported, written = check(module_database, folder, type_, batch)
    if 0 <= scale <= precision <= 38:
        assert written == f"DECIMAL({precision},{scale})"
    elif scale < 0 and precision - scale <= 38:
        assert written == f"DECIMAL({precision - scale},0)"
    else:
        numbers = [None if t in (None, "NaN") else f"{Decimal(t):f}" for t in batch]
        assert written == _smallest_decimal(numbers)
    nans = 0 if written == "VARCHAR" else batch.count("NaN")
    assert sum(loss.count for loss in exported.outcome("t").losses) == nans


# --- Moments -------------------------------------------------------------------------------------

# Days from 2000-01-01 to the ends of the types; see the table of date and time types in the manual.
FIRST_DAY, LAST_DATE, LAST_MOMENT_DAY = -2_451_545, 2_145_031_948, 106_751_982
LAST_READABLE_DAY = LAST_MOMENT_DAY - 10_956
DAY_US = 86_400_000_000


def days(last: int) -> st.SearchStrategy[int]:
    """Days, the ends and the turns of the calendar more often than others."""
    edges = [FIRST_DAY, FIRST_DAY + 1, -730_485, -730_120, -10_957, -10_958, 0, last - 1, last]
    return st.sampled_from(edges) | st.integers(FIRST_DAY, last) | st.integers(-800_000, 800_000)


@given(batches(days(LAST_DATE)), st.lists(st.sampled_from(["infinity", "-infinity"]), max_size=2))
@examples
def test_a_date_is_exact(
    module_database: Database, folder: Path, batch: list[int | None], specials: list[str]
) -> None:
    values: list[Any] = [(day, None) for day in batch] + [(None, each) for each in specials]
    expression = "coalesce(date '2000-01-01' + %s::int, %s::date)"
    exported, written = check(module_database, folder, "date", values, expression)
    assert written == "DATE"
    assert sum(loss.count for loss in exported.outcome("t").losses) == len(specials)


MOMENTS = st.tuples(
    days(LAST_READABLE_DAY) | st.integers(LAST_READABLE_DAY, LAST_MOMENT_DAY),
    st.sampled_from([0, 1, DAY_US - 1]) | st.integers(0, DAY_US - 1),
)


@pytest.mark.parametrize("type_", ["timestamp", "timestamptz"])
@given(batch=batches(MOMENTS))
@examples
def test_a_moment_is_exact_or_told(
    module_database: Database, folder: Path, type_: str, batch: list[tuple[int, int] | None]
) -> None:
    zone = "+00" if type_ == "timestamptz" else ""
    expression = (
        f"{type_} '2000-01-01{zone}' + %s::int * interval '24 hours' "
        "+ %s::int8 * interval '1 microsecond'"
    )
    values = [(None, None) if moment is None else moment for moment in batch]
    exported, written = check(module_database, folder, type_, values, expression)
    assert written == {"timestamptz": "TIMESTAMP WITH TIME ZONE"}.get(type_, "TIMESTAMP")
    # DuckDB's last moment but one: 2**63 - 2 µs after 1970.
    late = [m for m in batch if m and m[0] * DAY_US + m[1] > 2**63 - 2 - 10_957 * DAY_US]
    assert sum(loss.count for loss in exported.outcome("t").losses) == len(late)


# --- Text and arrays -----------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@pytest.mark.parametrize("type_", ["text", "varchar", "char(45)"])
@given(batch=batches(TEXT))
@examples
def test_a_text_is_exact(
    module_database: Database, folder: Path, type_: str, batch: list[str | None]
) -> None:
    exported, written = check(module_database, folder, type_, batch)
    assert written == "VARCHAR"
    assert exported.outcome("t").losses == ()


@pytest.mark.parametrize(
    ("type_", "elements", "written"),
    [
        pytest.param("text[]", TEXT, "VARCHAR[]", id="text"),
        pytest.param("int8[]", st.integers(-(2**63), 2**63 - 1), "BIGINT[]", id="int8"),
        pytest.param("float8[]", st.floats(allow_nan=False), "DOUBLE[]", id="float8"),
        pytest.param("bytea[]", st.binary(max_size=20), "BLOB[]", id="bytea"),
    ],
)
@given(data=st.data())
@examples
def test_an_array_is_exact(
    module_database: Database,
    folder: Path,
    type_: str,
    elements: st.SearchStrategy[Any],
    written: str,
    data: st.DataObject,
) -> None:
    batch = data.draw(batches(st.lists(st.none() | elements, max_size=6)))
    exported, found = check(module_database, folder, type_, batch, f"%s::{type_}")
    assert found == written
    assert exported.outcome("t").losses == ()
