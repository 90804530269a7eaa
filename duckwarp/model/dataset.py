"""A dataset: what dictionary, footer, catalog and page all say of a published source."""

from __future__ import annotations

from dataclasses import dataclass

from duckwarp.model.parquet_type import ParquetType

# The file in a folder that lists its datasets; no source has such a code.
CATALOG = "catalog.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetColumn:
    """One column: what it is called, how it is kept on either side, and what it means.

    `data_type` is PostgreSQL's type, `parquet_type` what the file has. `role` is "dimension",
    "measure", both with a comma, or None. `key` is its place in the table's primary key, from 1.
    """

    name: str
    data_type: str
    parquet_type: ParquetType
    nullable: bool = True
    key: int | None = None
    description: str | None = None
    original_name: str | None = None
    role: str | None = None
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A published source, described.

    `order_by` names the columns that the rows are in the order of, ascending, NULLs last.
    """

    code: str
    name: str
    schema: str
    table: str
    description: str | None = None
    domain: str | None = None
    tags: tuple[str, ...] = ()
    order_by: tuple[str, ...] = ()
    columns: tuple[DatasetColumn, ...] = ()

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The names of the primary key's columns, in its order."""
        keyed = [(column.key, column.name) for column in self.columns if column.key is not None]
        return tuple(name for _, name in sorted(keyed))
