"""What is known of a dataset besides its rows, as its Parquet file says it itself.

The footer's key `duckwarp` has it as JSON, so that a file can be understood, and the catalog made
anew, without the database. Only what follows from the data and the registry is in it: no clock, no
run and no path, so that the same data give the same file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from duckwarp.model.column import Column
from duckwarp.model.dataset import Dataset, DatasetColumn
from duckwarp.model.parquet_type import ParquetType
from duckwarp.model.settings import Order
from duckwarp.model.source import Source

FOOTER_KEY = "duckwarp"
FORMAT = 1  # of the JSON; a reader of one format does not guess at another


def dataset_of(
    source: Source, columns: Sequence[Column], types: Sequence[ParquetType], order: Order
) -> Dataset:
    """`source` as it is published: its columns in the file's order, with their types there."""
    names = tuple(column.file_name for column in columns)
    return Dataset(
        code=source.code,
        name=source.name,
        schema=source.schema,
        table=source.table,
        description=source.description,
        domain=source.domain,
        tags=source.tags,
        order_by={Order.ALL: names, Order.FIRST: names[:1], Order.NONE: ()}[order],
        columns=tuple(map(_column, columns, types)),
    )


def _column(column: Column, parquet_type: ParquetType) -> DatasetColumn:
    roles = ["dimension"] * column.is_dimension + ["measure"] * column.is_measure
    return DatasetColumn(
        name=column.file_name,
        data_type=column.data_type,
        parquet_type=parquet_type,
        nullable=column.nullable,
        key=column.key,
        description=column.description,
        original_name=column.original_name or (column.name if column.renamed else None),
        role=", ".join(roles) or None,
        keywords=column.keywords,
    )


def footer_text(dataset: Dataset) -> str:
    """The text for the footer's key `duckwarp`. What is not known is left out."""
    columns = [
        _known(
            name=column.name,
            data_type=column.data_type,
            parquet_type=str(column.parquet_type),
            nullable=column.nullable,
            key=column.key,
            description=column.description,
            original_name=column.original_name,
            role=column.role,
            keywords=column.keywords,
        )
        for column in dataset.columns
    ]
    described = _known(
        format=FORMAT,
        code=dataset.code,
        name=dataset.name,
        schema=dataset.schema,
        table=dataset.table,
        description=dataset.description,
        domain=dataset.domain,
        tags=dataset.tags,
        order_by=dataset.order_by,
        columns=columns,
    )
    return json.dumps(described, ensure_ascii=False, separators=(",", ":"))


def _known(**facts: Any) -> dict[str, Any]:
    return {name: fact for name, fact in facts.items() if fact not in (None, "", (), [])}


def read_footer_text(text: str) -> Dataset:
    """The dataset that a footer describes. Raises `ValueError` for what `footer_text` never gives.

    Names that later versions may add are passed over.
    """
    try:
        described = json.loads(text)
        if described["format"] != FORMAT:
            raise ValueError(f"its description has the format {described['format']}")
        return Dataset(
            code=str(described["code"]),
            name=str(described["name"]),
            schema=str(described.get("schema", "")),
            table=str(described.get("table", "")),
            description=described.get("description"),
            domain=described.get("domain"),
            tags=tuple(described.get("tags", ())),
            order_by=tuple(described.get("order_by", ())),
            columns=tuple(map(_column_read, described.get("columns", ()))),
        )
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"its description is not duckwarp's: {error!r}") from error


def _column_read(described: dict[str, Any]) -> DatasetColumn:
    return DatasetColumn(
        name=str(described["name"]),
        data_type=str(described["data_type"]),
        parquet_type=ParquetType.parse(str(described["parquet_type"])),
        nullable=bool(described["nullable"]),
        key=described.get("key"),
        description=described.get("description"),
        original_name=described.get("original_name"),
        role=described.get("role"),
        keywords=tuple(described.get("keywords", ())),
    )
