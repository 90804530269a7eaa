"""How large numbers are: what is asked for it, which need no guard, and which a shorter type."""

from __future__ import annotations

import pytest

from duckwarp.engine.column_form import ColumnForm, Unguarded
from duckwarp.engine.magnitudes import (
    HEADROOM,
    Sizes,
    is_looked_at,
    never_zero,
    shorten_type,
    sizes_from,
    sizes_query,
)
from duckwarp.engine.plan import PlannedColumn
from duckwarp.model.parquet_type import Kind, ParquetType

PRICE = ParquetType(Kind.DECIMAL, 9, 2)


def test_the_sizes_of_all_columns_are_asked_for_at_once() -> None:
    guarded = ColumnForm(select="CASE r.b", type=PRICE, unguarded=Unguarded(select="r.b", nan=""))
    columns = [
        PlannedColumn(name="a", form=ColumnForm(select="r.a", type=ParquetType(Kind.BIGINT))),
        PlannedColumn(name="b'", form=guarded),
    ]
    query = sizes_query(columns, "s", "t", "s.t AS r")
    assert query.count("pg_catalog.abs((r.a)") == query.count("pg_catalog.abs((r.b)") == 2
    assert "CASE" not in query
    assert query.count("p.attname = 'b'''") == 1
    assert "p.attname = 'a'" not in query
    assert query.endswith("FROM s.t AS r")
    assert sizes_from(["1", "2", None, "0"]) == [Sizes("1", None), Sizes("2", "0")]


@pytest.mark.parametrize(
    ("largest", "least", "want"),
    [
        pytest.param("100.00", "1.00", True, id="far enough from 0"),
        pytest.param("128", "1", True, id="just so"),
        pytest.param("128.01", "1", False, id="not quite"),
        pytest.param("0", "0", False, id="0 alone"),
        pytest.param("NaN", "1", False, id="not a number"),
        pytest.param("NaN", "NaN", False, id="no number at all"),
        pytest.param(None, None, False, id="NULL alone"),
    ],
)
def test_what_seems_never_to_be_zero(largest: str | None, least: str | None, want: bool) -> None:
    unguarded = Unguarded(select="", nan="")
    form = ColumnForm(select="", type=PRICE, unguarded=unguarded)
    assert never_zero(form, Sizes(largest, least)) is want
    assert not never_zero(ColumnForm(select="", type=PRICE), Sizes(largest, least))


@pytest.mark.parametrize(
    ("own", "largest", "want"),
    [
        pytest.param("BIGINT", "17", "SMALLINT", id="small numbers"),
        pytest.param("BIGINT", "1000000", "INTEGER", id="larger ones"),
        pytest.param("BIGINT", str(2**31 // HEADROOM), None, id="nearly as large as the shorter"),
        pytest.param("BIGINT", str(2**31 // HEADROOM - 1), "INTEGER", id="just far enough"),
        pytest.param("BIGINT", str(2**63), None, id="the largest"),
        pytest.param("INTEGER", "511", "SMALLINT", id="an integer"),
        pytest.param("INTEGER", "512", None, id="a larger integer"),
        pytest.param("SMALLINT", "1", None, id="there is no shorter one"),
        pytest.param("DECIMAL(15,2)", "0.10", "DECIMAL(4,2)", id="a share"),
        pytest.param("DECIMAL(15,2)", "50.00", "DECIMAL(9,2)", id="a quantity"),
        pytest.param("DECIMAL(15,2)", "156250", "DECIMAL(9,2)", id="a price"),
        pytest.param("DECIMAL(15,2)", "156251", None, id="a higher price"),
        pytest.param("DECIMAL(38,10)", "1000000", "DECIMAL(18,10)", id="from 16 bytes to 8"),
        pytest.param("DECIMAL(38,20)", "0.1", None, id="more fraction digits than shorter ones"),
        pytest.param("DECIMAL(9,2)", "1", "DECIMAL(4,2)", id="from 4 bytes to 2"),
        pytest.param("DECIMAL(4,2)", "0", None, id="2 bytes are the least"),
        pytest.param("DECIMAL(5,5)", "0.00001", None, id="nothing but fraction digits"),
        pytest.param("BIGINT", None, "SMALLINT", id="no numbers in the sample"),
        pytest.param("DECIMAL(15,2)", "NaN", None, id="not a number"),
        pytest.param("DECIMAL(15,2)", "Infinity", None, id="infinite"),
        pytest.param("VARCHAR", "1", None, id="text"),
        pytest.param("DOUBLE", "1", None, id="a float"),
        pytest.param("BIGINT[]", "1", None, id="a list"),
    ],
)
def test_the_shortest_type_that_holds_far_larger_numbers(
    own: str, largest: str | None, want: str | None
) -> None:
    parquet_type = ParquetType.parse(own)
    found = shorten_type(parquet_type, largest)
    assert found == (None if want is None else ParquetType.parse(want))
    if want is not None:
        assert is_looked_at(ColumnForm(select="", type=parquet_type))
