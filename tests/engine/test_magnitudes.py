"""How large numbers are: what is asked for it, and which need no guard."""

from __future__ import annotations

import pytest

from duckwarp.engine.form import Form, Unguarded
from duckwarp.engine.magnitudes import Sizes, never_zero, sizes_from, sizes_query
from duckwarp.engine.plan import PlannedColumn


def test_the_sizes_of_all_columns_are_asked_for_at_once() -> None:
    guarded = Form(
        select="CASE r.b", duckdb_type="DECIMAL(9,2)", unguarded=Unguarded(select="r.b", nan="")
    )
    columns = [
        PlannedColumn(name="a", form=Form(select="r.a", duckdb_type="BIGINT")),
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
    form = Form(select="", duckdb_type="DECIMAL(9,2)", unguarded=unguarded)
    assert never_zero(form, Sizes(largest, least)) is want
    assert not never_zero(Form(select="", duckdb_type="DECIMAL(9,2)"), Sizes(largest, least))
