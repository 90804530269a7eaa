"""PostgreSQL's types as `pg_type` has them, and what a plan has to know of the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from duckwarp.model.texts import BrokenText

TypeKind = Literal["base", "array", "domain", "enum", "composite", "range", "multirange", "pseudo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PgType:
    """One row of `pg_type`, with what it is made of.

    `element` is an array's element type, `base` a domain's type with its own `base_typmod`.
    `output_function` is quoted and schema-qualified, ready for SQL. `reaches` has the names of all
    built-in types inside it, itself included. `extension` is the extension that owns the type.
    `has_json_cast` says that `to_json` follows a cast to json of a type inside it, which may leave
    out what it likes.
    """

    oid: int
    name: str
    schema: str
    kind: TypeKind
    output_function: str
    element: PgType | None = None
    base: PgType | None = None
    base_typmod: int = -1
    not_null: bool = False
    extension: str | None = None
    reaches: frozenset[str] = frozenset()
    has_json_cast: bool = False

    @property
    def builtin(self) -> bool:
        """Whether it is one of PostgreSQL's own."""
        return self.schema == "pg_catalog"

    @property
    def broken_name(self) -> BrokenText | None:
        """The first of its names, and of those of what it is made of, that is no text."""
        names = (self.name, self.schema, self.output_function, self.extension)
        found = next((name for name in names if isinstance(name, BrokenText)), None)
        inside = self.element or self.base
        return found or (inside.broken_name if inside is not None else None)

    def resolved(self, typmod: int) -> tuple[PgType, int]:
        """The type under all its domains, with the type modifier that holds for the values."""
        if self.base is None:
            return self, typmod
        return self.base.resolved(self.base_typmod)

    @property
    def forbids_null(self) -> bool:
        """Whether a domain on the way to the base type is NOT NULL."""
        return self.not_null or (self.base is not None and self.base.forbids_null)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTraits:
    """What the plan has to know of the server.

    `version` is `server_version_num`, `encoding` the database's, `money_scale` the number of
    fraction digits that `lc_monetary` gives the type money, `block_bytes` the size of a page.
    """

    version: int
    encoding: str
    money_scale: int
    block_bytes: int
