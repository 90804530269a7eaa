"""Codes that stand for frequent texts: which texts get them, and that nobody can see them later."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duckwarp.engine.codes import (
    MAX_CODED_BYTES,
    MAX_CODES,
    SampledText,
    coded_texts,
    may_have_codes,
)
from duckwarp.engine.column_form import ColumnForm
from duckwarp.engine.plan import explain
from duckwarp.engine.statements import copy_statement
from duckwarp.files.quoting import literal
from duckwarp.model.parquet_type import ParquetType
from tests.engine.test_plan import integer, plan_for, relation, text


def form(parquet_type: str, **values: Any) -> ColumnForm:
    return ColumnForm(**({"select": "r.v", "type": ParquetType.parse(parquet_type)} | values))


TEXT = form("VARCHAR")


def sampled(text: str, rows: int = 10, *, position: int = 1, several: bool = True) -> SampledText:
    return SampledText(position=position, text=text, rows=rows, on_several_pages=several)


def in_all(texts: Sequence[SampledText]) -> list[SampledText]:
    """The texts and, as the server tells it, how many rows there are of each column together."""
    rows = Counter[int]()
    for each in texts:
        rows[each.position] += each.rows
    together = [
        SampledText(position=position, text=None, rows=count, on_several_pages=True)
        for position, count in rows.items()
    ]
    return [*texts, *together]


def codes_of(*texts: SampledText) -> tuple[str, ...]:
    return coded_texts(in_all(texts)).get(1, ())


class TestWhichTexts:
    def test_frequent_ones_in_the_order_of_their_bytes(self) -> None:
        words = ["Zebra", "zebra", "Ähre", "\uffff123", "\U0001f600", "Apfel"]
        want = ("Apfel", "Zebra", "zebra", "Ähre", "\uffff123", "\U0001f600")
        assert codes_of(*map(sampled, words)) == want

    def test_the_most_frequent_of_more_than_there_are_codes_for(self) -> None:
        frequent = [sampled(f"word {n:03}", 1000) for n in range(MAX_CODES)]
        others = [sampled(f"other {n}", 9) for n in range(100)]
        assert codes_of(*others, *frequent) == tuple(each.text for each in frequent)

    @pytest.mark.parametrize(
        "texts",
        [
            pytest.param([], id="no texts"),
            pytest.param([sampled("ab", 1000)], id="texts as short as a code"),
            pytest.param(
                [sampled(f"word {n}", 2) for n in range(MAX_CODES * 2)], id="too many texts"
            ),
            pytest.param(
                [sampled("often", 95), *(sampled(f"x{n}", 1, several=False) for n in range(5))],
                id="too many that are rare",
            ),
            pytest.param(
                [sampled(f"word {n}", 45, several=False) for n in range(9)],
                id="a page for each: there may be many more",
            ),
            pytest.param([sampled("x" * (MAX_CODED_BYTES + 1))], id="long ones"),
            pytest.param([sampled("é" * (MAX_CODED_BYTES // 2 + 1))], id="ones of many bytes"),
        ],
    )
    def test_none_where_codes_save_nothing(self, texts: list[SampledText]) -> None:
        assert coded_texts(in_all(texts)) == {}

    def test_each_column_has_its_own(self) -> None:
        both = [sampled("first"), sampled("second", position=3), sampled("x", position=2)]
        assert coded_texts(in_all(both)) == {1: ("first",), 3: ("second",)}

    def test_a_few_rare_ones_do_no_harm(self) -> None:
        assert codes_of(sampled("often", 98), sampled("rare", 2, several=False)) == ("often",)

    @pytest.mark.parametrize(
        ("form", "want"),
        [
            pytest.param(TEXT, True, id="text"),
            pytest.param(form("BLOB"), False, id="bytes"),
            pytest.param(form("VARCHAR[]"), False, id="a list"),
            pytest.param(form("DATE"), False, id="a date"),
            pytest.param(form("JSON"), True, id="JSON"),
            pytest.param(form("VARCHAR", order=("f({d})",)), False, id="other keys"),
        ],
    )
    def test_texts_alone_have_codes(self, form: ColumnForm, want: bool) -> None:
        assert may_have_codes(form) is want


# What is hard to keep in order: texts that are beginnings of others, the least characters, the
# names of gaps, and characters on both sides of the surrogates.
TEXTS = st.text(st.sampled_from("\x01\x02ab\"'é￿😀"), max_size=3)


def written(
    path: Path, rows: Sequence[Sequence[str | None]], codes: Sequence[Sequence[str]]
) -> bytes:
    """The file of the rows of texts, sorted in DuckDB with these codes for each column."""
    columns = [
        dataclasses.replace(text(f"t{n}"), codes=tuple(sorted(set(each), key=str.encode)))
        for n, each in enumerate(codes)
    ]
    plan = plan_for(*columns, relation=relation())
    values = ", ".join(
        f"({', '.join('NULL' if v is None else literal(v) for v in row)})" for row in rows
    )
    names = ", ".join(f"c{n}" for n in range(1, len(codes) + 1))
    casts = ", ".join(f"c{n}::VARCHAR AS c{n}" for n in range(1, len(codes) + 1))
    query = f"SELECT {casts} FROM (VALUES {values}) AS x({names})"
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(copy_statement(plan, query, str(path)))
    return path.read_bytes()


class TestNobodySeesThem:
    @settings(max_examples=150, deadline=None, print_blob=True)
    @given(
        rows=st.lists(st.tuples(st.none() | TEXTS, st.none() | TEXTS), min_size=1, max_size=40),
        first=st.lists(TEXTS, min_size=1, max_size=6),
        second=st.lists(TEXTS, max_size=6),
    )
    def test_the_file_is_the_same_whatever_has_a_code(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        rows: list[tuple[str | None, str | None]],
        first: list[str],
        second: list[str],
    ) -> None:
        folder = tmp_path_factory.mktemp("codes")
        with_codes = written(folder / "with.parquet", rows, [first, second])
        assert with_codes == written(folder / "without.parquet", rows, [[], []])
        ordered = sorted(rows, key=lambda row: [(v is None, (v or "").encode()) for v in row])
        with duckdb.connect() as connection:
            got = connection.execute(f"FROM {literal(str(folder / 'with.parquet'))}").fetchall()
        assert got == ordered

    def test_as_many_codes_as_there_may_be(self, tmp_path: Path) -> None:
        texts = [f"word {n:03}" for n in range(MAX_CODES)]
        rows = [(each, "x") for word in texts for each in (word, f"{word}\x01", f"{word}0", None)]
        with_codes = written(tmp_path / "with.parquet", rows, [texts, []])
        assert with_codes == written(tmp_path / "without.parquet", rows, [[], []])

    def test_the_plan_says_which_columns_have_them(self) -> None:
        columns = (dataclasses.replace(text("a"), codes=("x",)), text("b"), integer("n"))
        lines = explain(plan_for(*columns, relation=relation()))
        assert 'sort codes for the frequent texts of "a"' in "\n".join(lines)
        lines = explain(plan_for(*columns[1:], relation=relation()))
        assert "codes" not in "\n".join(lines)
