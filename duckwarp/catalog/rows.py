"""`catalog.parquet`: one row for each dataset in the output folder. Which columns it has, and how a
row becomes an entry and back. Text in, text out: the file is read and written by the engine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from duckwarp.catalog.entry import Circumstances, Entry, settled
from duckwarp.files.dataset import FOOTER_KEY
from duckwarp.model.dataset import Dataset, DatasetColumn
from duckwarp.model.parquet_type import ParquetType
from duckwarp.model.results import ColumnStatistics

# What tells the catalog from a dataset that is called so, and from catalogs of other making.
MARK = (FOOTER_KEY, json.dumps({"catalog": 1}))
BYTES_PER_KB = 1000

_COLUMN_STRUCT = {
    "name": "VARCHAR",
    "data_type": "VARCHAR",
    "parquet_type": "VARCHAR",
    "description": "VARCHAR",
    "original_name": "VARCHAR",
    "role": "VARCHAR",
    "keywords": "VARCHAR[]",
    "nullable": "BOOLEAN",
    "key": "INTEGER",
    "null_count": "BIGINT",
    "min": "VARCHAR",
    "max": "VARCHAR",
}
_STRUCT_TYPE = ", ".join(f'"{name}" {kind}' for name, kind in _COLUMN_STRUCT.items())
# In the order of the file. The first ten are those that readers of the warehouse know.
COLUMNS: Mapping[str, str] = {
    "source_code": "VARCHAR",
    "domain": "VARCHAR",
    "description": "VARCHAR",
    "row_count": "BIGINT",
    "column_count": "BIGINT",
    "file_size_kb": "DOUBLE",
    "min_date": "VARCHAR",
    "max_date": "VARCHAR",
    "file_path": "VARCHAR",
    "md_path": "VARCHAR",
    "name": "VARCHAR",
    "publication": "VARCHAR",
    "schema_name": "VARCHAR",
    "table_name": "VARCHAR",
    "tags": "VARCHAR[]",
    "sha256": "VARCHAR",
    "parquet_schema": "VARCHAR",
    "order_by": "VARCHAR[]",
    "snapshot_time": "TIMESTAMP WITH TIME ZONE",
    "last_load_at": "TIMESTAMP WITH TIME ZONE",
    "duckwarp_version": "VARCHAR",
    "columns": f"STRUCT({_STRUCT_TYPE})[]",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Record = Mapping[str, Any]


def updated(entries: Iterable[Entry], exported: Iterable[Entry]) -> tuple[Entry, ...]:
    """The catalog's entries after an export; those of datasets that it left alone stay."""
    by_code = {entry.code: entry for entry in entries}
    for entry in exported:
        by_code[entry.code] = settled(by_code.get(entry.code), entry)
    return tuple(by_code[code] for code in sorted(by_code))


def record_of(entry: Entry) -> dict[str, Any]:
    """The row of an entry, as plain data."""
    dataset, circumstances = entry.dataset, entry.circumstances
    first, last = entry.dates
    columns = zip(dataset.columns, entry.statistics, strict=True)
    return {
        "source_code": dataset.code,
        "domain": dataset.domain,
        "description": dataset.description,
        "row_count": entry.rows,
        "column_count": len(dataset.columns),
        "file_size_kb": entry.size_bytes / BYTES_PER_KB,
        "min_date": first,
        "max_date": last,
        "file_path": entry.file_path,
        "md_path": entry.md_path,
        "name": dataset.name,
        "publication": circumstances.publication,
        "schema_name": dataset.schema,
        "table_name": dataset.table,
        "tags": list(dataset.tags),
        "sha256": entry.sha256,
        "parquet_schema": entry.parquet_schema,
        "order_by": list(dataset.order_by),
        "snapshot_time": _moment_text(circumstances.snapshot_time),
        "last_load_at": _moment_text(circumstances.last_load_at),
        "duckwarp_version": circumstances.version,
        "columns": [_column_record(*pair) for pair in columns],
    }


def _column_record(column: DatasetColumn, statistics: ColumnStatistics) -> dict[str, Any]:
    return {
        "name": column.name,
        "data_type": column.data_type,
        "parquet_type": str(column.parquet_type),
        "description": column.description,
        "original_name": column.original_name,
        "role": column.role,
        "keywords": list(column.keywords),
        "nullable": column.nullable,
        "key": column.key,
        "null_count": statistics.null_count,
        "min": statistics.minimum,
        "max": statistics.maximum,
    }


def _moment_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def entry_of(record: Record) -> Entry:
    """The entry of a row. Moments are microseconds since 1970 in it, as the engine reads them."""
    return Entry(
        dataset=Dataset(
            code=record["source_code"],
            name=record["name"],
            schema=record["schema_name"],
            table=record["table_name"],
            description=record["description"],
            domain=record["domain"],
            tags=tuple(record["tags"]),
            order_by=tuple(record["order_by"]),
            columns=tuple(map(_column_of, record["columns"])),
        ),
        statistics=tuple(map(_statistics_of, record["columns"])),
        rows=record["row_count"],
        size_bytes=round(record["file_size_kb"] * BYTES_PER_KB),
        sha256=record["sha256"],
        parquet_schema=record["parquet_schema"],
        circumstances=Circumstances(
            publication=record["publication"],
            snapshot_time=_moment(record["snapshot_time"]),
            last_load_at=_moment(record["last_load_at"]),
            version=record["duckwarp_version"],
        ),
        has_dictionary=record["md_path"] is not None,
    )


def _column_of(record: Record) -> DatasetColumn:
    return DatasetColumn(
        name=record["name"],
        data_type=record["data_type"],
        parquet_type=ParquetType.parse(record["parquet_type"]),
        nullable=record["nullable"],
        key=record["key"],
        description=record["description"],
        original_name=record["original_name"],
        role=record["role"],
        keywords=tuple(record["keywords"]),
    )


def _statistics_of(record: Record) -> ColumnStatistics:
    return ColumnStatistics(
        null_count=record["null_count"], minimum=record["min"], maximum=record["max"]
    )


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)
