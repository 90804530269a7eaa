"""The data package says what is true of the files, in the words of its standard."""

from __future__ import annotations

import json
from typing import Any

import pytest

from duckwarp.catalog.datapackage import data_package
from duckwarp.catalog.entry import Entry
from tests.catalog.entries import column, entry


def resource(one: Entry) -> dict[str, Any]:
    package = json.loads(data_package([one]))
    assert package["$schema"] == "https://datapackage.org/profiles/2.0/datapackage.json"
    [only] = package["resources"]
    found: dict[str, Any] = only
    return found


def fields(*columns: Any) -> list[dict[str, Any]]:
    described: list[dict[str, Any]] = resource(entry(columns=columns))["schema"]["fields"]
    return described


def test_a_dataset_is_a_resource_with_its_file() -> None:
    got = resource(entry("a", description="What it is."))
    schema = got.pop("schema")
    assert schema["fields"] == []
    assert got == {
        "name": "a",
        "path": "a.parquet",
        "title": "Sample",
        "description": "What it is.",
        "format": "Parquet",
        "mediatype": "application/vnd.apache.parquet",
        "bytes": 14_339,
        "hash": f"sha256:{'ab' * 32}",
    }


def test_a_field_has_its_description_and_its_name_in_the_data_that_were_loaded() -> None:
    described = column("a", description="Ünit", original_name="A b")
    same = column("b", original_name="b")
    assert fields(described, same) == [
        {"name": "a", "type": "integer", "title": "A b", "description": "Ünit"},
        {"name": "b", "type": "integer"},
    ]


@pytest.mark.parametrize(
    ("described", "want"),
    [
        pytest.param(column(nullable=False, nulls=0), True, id="never NULL"),
        pytest.param(column(nullable=True, nulls=0), False, id="NULL tomorrow"),
        pytest.param(column(nullable=False, nulls=1), False, id="a value that was not kept"),
        pytest.param(column(nullable=False, nulls=None), False, id="nobody has counted"),
    ],
)
def test_a_field_is_required_only_where_that_is_true(described: Any, want: bool) -> None:
    [field] = fields(described)
    assert (field.get("constraints") == {"required": True}) is want


@pytest.mark.parametrize(
    ("columns", "want"),
    [
        pytest.param([column("a", key=2), column("b", key=1)], ["b", "a"], id="in its order"),
        pytest.param([column("a", key=1), column("b")], ["a"], id="of one column"),
        pytest.param([column("a")], None, id="there is none"),
        pytest.param([column("a", key=1, nulls=1)], None, id="a value of it was not kept"),
    ],
)
def test_there_is_a_primary_key_only_where_that_is_true(
    columns: list[Any], want: list[str] | None
) -> None:
    assert resource(entry(columns=columns))["schema"].get("primaryKey") == want


@pytest.mark.parametrize(
    ("parquet_type", "want"),
    [
        ("BIGINT", "integer"),
        ("DECIMAL(12,2)", "number"),
        ("DOUBLE", "number"),
        ("BOOLEAN", "boolean"),
        ("VARCHAR", "string"),
        ("DATE", "date"),
        ("TIMESTAMP WITH TIME ZONE", "datetime"),
        ("TIME", "time"),
        ("INTEGER[]", "any"),
        ("UUID", "any"),
        ("JSON", "any"),
    ],
)
def test_types_have_their_names_in_table_schema(parquet_type: str, want: str) -> None:
    [field] = fields(column("a", parquet_type))
    assert field["type"] == want


def test_the_same_entries_give_the_same_text_and_none_an_empty_list() -> None:
    assert data_package([entry("a")]) == data_package([entry("a")])
    assert json.loads(data_package([]))["resources"] == []
