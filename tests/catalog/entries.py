"""Entries of a catalog, of which a test states only what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from duckwarp.catalog.entry import Circumstances, Entry
from duckwarp.model.dataset import Dataset, DatasetColumn
from duckwarp.model.parquet_type import ParquetType
from duckwarp.model.results import ColumnStatistics

Described = tuple[DatasetColumn, ColumnStatistics]


def column(
    name: str = "a",
    parquet_type: str = "INTEGER",
    *,
    nulls: int | None = 0,
    low: str | None = None,
    high: str | None = None,
    **known: Any,
) -> Described:
    """A column and the statistics of it."""
    statistics = ColumnStatistics(null_count=nulls, minimum=low, maximum=high)
    kept: dict[str, Any] = {"data_type": "integer"} | known
    kept["parquet_type"] = ParquetType.parse(parquet_type)
    return DatasetColumn(name=name, **kept), statistics


def entry(code: str = "sample", columns: Sequence[Described] = (), **known: Any) -> Entry:
    """An entry of a file of 14,339 bytes; what is known is of the dataset, the file or the run."""
    run = {name: known.pop(name) for name in list(known) if name in Circumstances.__slots__}
    file = {name: known.pop(name) for name in list(known) if name in Entry.__slots__}
    described = {"name": "Sample", "schema": "staging", "table": "tbl_sample"} | known
    return Entry(
        dataset=Dataset(code=code, columns=tuple(c for c, _ in columns), **described),
        statistics=tuple(statistics for _, statistics in columns),
        circumstances=Circumstances(**run),
        **({"rows": 3, "size_bytes": 14_339, "sha256": "ab" * 32, "parquet_schema": "m"} | file),
    )
