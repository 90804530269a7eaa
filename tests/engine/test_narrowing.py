"""Shorter types for numbers while they are sorted: which they are."""

from __future__ import annotations

import pytest

from duckwarp.engine.form import Form
from duckwarp.engine.narrowing import HEADROOM, may_be_narrowed, narrowed


@pytest.mark.parametrize(
    ("duckdb_type", "largest", "want"),
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
    duckdb_type: str, largest: str | None, want: str | None
) -> None:
    assert narrowed(duckdb_type, largest) == want
    if want is not None:
        assert may_be_narrowed(Form(select="", duckdb_type=duckdb_type))
