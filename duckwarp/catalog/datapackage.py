"""`datapackage.json`: the folder as a Data Package, version 2 (https://datapackage.org).

Each dataset is a resource with its path, size, hash and Table Schema. Text out, no I/O.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from duckwarp.catalog.entry import Entry
from duckwarp.model.dataset import DatasetColumn
from duckwarp.model.results import ColumnStatistics

DATA_PACKAGE = "datapackage.json"
_PROFILES = "https://datapackage.org/profiles/2.0"
# A name that frictionless (5) does not know: of a file it verifies size and hash, and of a table in
# Parquet neither, which it calls invalid since its size was not measured.
_FORMAT = "Parquet"
_MEDIA_TYPE = "application/vnd.apache.parquet"
# What pandas makes of NULL in these types, and readers of data packages then meet.
_NULLS = {"integer": ["nan"], "datetime": ["NaT"]}


def data_package(entries: Sequence[Entry]) -> str:
    """The text of the file, ending in a line break."""
    package = {
        "$schema": f"{_PROFILES}/datapackage.json",
        "resources": [_resource(entry) for entry in entries],
    }
    return json.dumps(package, ensure_ascii=False, indent=2) + "\n"


def _resource(entry: Entry) -> dict[str, Any]:
    dataset = entry.dataset
    return _known(
        name=dataset.code,
        path=entry.file_path,
        title=dataset.name,
        description=dataset.description,
        format=_FORMAT,
        mediatype=_MEDIA_TYPE,
        bytes=entry.size_bytes,
        hash=f"sha256:{entry.sha256}",
        schema=_schema(entry),
    )


def _schema(entry: Entry) -> dict[str, Any]:
    columns = list(zip(entry.dataset.columns, entry.statistics, strict=True))
    key = entry.dataset.primary_key
    holds = all(_has_no_nulls(statistics) for column, statistics in columns if column.name in key)
    return {
        "$schema": f"{_PROFILES}/tableschema.json",
        "fields": [_field(*pair) for pair in columns],
        # An empty text is a value like another.
        "missingValues": [],
    } | ({"primaryKey": list(key)} if key and holds else {})


def _field(column: DatasetColumn, statistics: ColumnStatistics) -> dict[str, Any]:
    type_name = column.parquet_type.table_schema
    full = _has_no_nulls(statistics)
    renamed = column.original_name is not None and column.original_name != column.name
    return _known(
        name=column.name,
        type=type_name,
        title=column.original_name if renamed else None,
        description=column.description,
        constraints={"required": True} if full and not column.nullable else None,
        missingValues=None if full else _NULLS.get(type_name),
    )


def _has_no_nulls(statistics: ColumnStatistics) -> bool:
    """Whether the file is known to have none: a value that could not be kept is NULL, too."""
    return statistics.null_count == 0


def _known(**facts: Any) -> dict[str, Any]:
    return {name: fact for name, fact in facts.items() if fact is not None}
