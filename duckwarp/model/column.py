"""Columns: what a relation has, joined with what is known about it."""

from __future__ import annotations

from dataclasses import dataclass

from duckwarp.model.pg_type import PgType


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a source.

    `position` is its place among the columns, from 1. `data_type` is the type as a person writes
    it; `pg_type` and `typmod` are what the catalog has. `original_name` is the name in the data
    that was loaded, before the warehouse made it an identifier. `key` is its place in the primary
    key, from 1, where that holds for all rows of the relation. `renamed` is its name in the file
    where an earlier column's differs in case only, which most readers take for the same.
    """

    name: str
    position: int
    data_type: str
    pg_type: PgType
    typmod: int = -1
    nullable: bool = True
    key: int | None = None
    may_select: bool = True
    description: str | None = None
    original_name: str | None = None
    is_dimension: bool = False
    is_measure: bool = False
    keywords: tuple[str, ...] = ()
    renamed: str | None = None

    @property
    def file_name(self) -> str:
        """The name of the column in the file."""
        return self.name if self.renamed is None else self.renamed
