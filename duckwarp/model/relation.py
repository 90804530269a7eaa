"""Relations: what stands behind a source in the database."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RelationKind(StrEnum):
    """The kinds of relation that hold rows to export, by `pg_class.relkind`."""

    TABLE = "r"
    PARTITIONED = "p"
    VIEW = "v"
    MATERIALIZED_VIEW = "m"
    FOREIGN = "f"

    @property
    def label(self) -> str:
        """The kind as a person says it."""
        return _KIND_LABELS[self]


_KIND_LABELS = {
    RelationKind.TABLE: "table",
    RelationKind.PARTITIONED: "partitioned table",
    RelationKind.VIEW: "view",
    RelationKind.MATERIALIZED_VIEW: "materialized view",
    RelationKind.FOREIGN: "foreign table",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A relation as the catalog has it.

    `kind` is None for a relation that holds no rows to export (a sequence, an index, …), whose
    `relkind` stands in `raw_kind`. `estimated_rows` is the planner's estimate, None where nobody
    has counted yet; `size_bytes` is what it takes on the server's disk, without indexes,
    `heap_bytes` what each of its parts takes without TOAST, largest first: itself, partitions and
    children. `toast_bytes` is what long values take, None where nobody can tell.
    `has_foreign_part` says that a part of it lives on another server.
    `row_security_active` says that policies would hide rows from this role. `comment` is that of
    `COMMENT ON`.
    """

    oid: int
    raw_kind: str
    kind: RelationKind | None = None
    estimated_rows: int | None = None
    size_bytes: int = 0
    heap_bytes: tuple[int, ...] = ()
    toast_bytes: int | None = None
    has_foreign_part: bool = False
    may_use_schema: bool = True
    row_security_active: bool = False
    comment: str | None = None
