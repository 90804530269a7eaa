"""What a file says of itself reads back as it was said."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckwarp.files.dataset import dataset_of, footer_text, read_footer_text
from duckwarp.model.column import Column
from duckwarp.model.dataset import Dataset, DatasetColumn
from duckwarp.model.parquet_type import Kind, ParquetType
from duckwarp.model.settings import Order
from duckwarp.model.source import Source
from tests.files.test_markdown import PG_TEXT

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
WORDS = st.lists(TEXT, max_size=3).map(tuple)
KNOWN = TEXT.filter(bool) | st.none()
COLUMNS = st.builds(
    DatasetColumn,
    name=TEXT.filter(bool),
    data_type=TEXT.filter(bool),
    parquet_type=TEXT.filter(bool).map(ParquetType.parse),
    nullable=st.booleans(),
    key=st.integers(1, 9) | st.none(),
    description=KNOWN,
    original_name=KNOWN,
    role=KNOWN,
    keywords=WORDS,
)
DATASETS = st.builds(
    Dataset,
    code=TEXT.filter(bool),
    name=TEXT.filter(bool),
    schema=TEXT,
    table=TEXT,
    description=KNOWN,
    domain=KNOWN,
    tags=WORDS,
    order_by=WORDS,
    columns=st.lists(COLUMNS, max_size=3).map(tuple),
)


@given(DATASETS)
def test_a_description_reads_back_as_it_was(dataset: Dataset) -> None:
    text = footer_text(dataset)
    assert read_footer_text(text) == dataset
    assert "\n" not in text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "not duckwarp's", id="nothing"),
        pytest.param("[]", "not duckwarp's", id="a list"),
        pytest.param("{}", "not duckwarp's", id="no format"),
        pytest.param('{"format": 2, "code": "a"}', "has the format 2", id="a later format"),
        pytest.param('{"format": 1, "code": "a"}', "not duckwarp's", id="no name"),
        pytest.param(
            '{"format": 1, "code": "a", "name": "a", "columns": [{"name": "c"}]}',
            "not duckwarp's",
            id="a column without a type",
        ),
        pytest.param(
            '{"format": 1, "code": "a", "name": "a", "columns": ["c"]}',
            "not duckwarp's",
            id="a column that is text",
        ),
    ],
)
def test_what_is_no_description_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_footer_text(text)


def test_names_that_a_later_version_adds_are_passed_over() -> None:
    said = {"format": 1, "code": "a", "name": "A", "licence": "MIT"}
    assert read_footer_text(json.dumps(said)) == Dataset(code="a", name="A", schema="", table="")


def test_what_is_not_known_is_left_out() -> None:
    told = json.loads(footer_text(Dataset(code="a", name="A", schema="s", table="t")))
    assert told == {"format": 1, "code": "a", "name": "A", "schema": "s", "table": "t"}


@pytest.mark.parametrize(
    ("order", "want"),
    [(Order.ALL, ("a", "b")), (Order.FIRST, ("a",)), (Order.NONE, ())],
)
def test_the_order_is_that_of_the_columns_that_are_sorted(
    order: Order, want: tuple[str, ...]
) -> None:
    columns = [
        Column(name=name, position=n, data_type="text", pg_type=PG_TEXT, key=3 - n)
        for n, name in enumerate(("a", "b"), start=1)
    ]
    source = Source(code="c", name="C", schema="s", table="t")
    dataset = dataset_of(source, columns, list(map(ParquetType.parse, ("VARCHAR", "JSON"))), order)
    assert dataset.order_by == want
    assert dataset.primary_key == ("b", "a")
    assert [str(column.parquet_type) for column in dataset.columns] == ["VARCHAR", "JSON"]


@pytest.mark.parametrize(
    ("dimension", "measure", "want"),
    [
        (False, False, None),
        (True, False, "dimension"),
        (False, True, "measure"),
        (True, True, "dimension, measure"),
    ],
)
def test_a_column_has_the_role_that_the_registry_gives_it(
    dimension: bool, measure: bool, want: str | None
) -> None:
    column = Column(
        name="a",
        position=1,
        data_type="text",
        pg_type=PG_TEXT,
        is_dimension=dimension,
        is_measure=measure,
    )
    source = Source(code="c", name="C", schema="s", table="t")
    dataset = dataset_of(source, [column], [ParquetType(Kind.VARCHAR)], Order.ALL)
    assert dataset.columns[0].role == want
