"""Sources: the datasets that may be published, and which of them a run is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from duckwarp.model.errors import UsageError
from duckwarp.model.relation import Relation
from duckwarp.model.texts import BrokenText, join_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A dataset to publish: its code, its relation, and what the registry says of it.

    `relation` is None where the catalog has no relation of that schema and name. The description is
    the registry's, else the comment of the relation. `twin` is the code of a source before it whose
    files would be the same on some systems.
    """

    code: str
    name: str
    schema: str
    table: str
    relation: Relation | None = None
    description: str | None = None
    domain: str | None = None
    tags: tuple[str, ...] = ()
    last_load_at: datetime | None = None
    registered: bool = True
    twin: str | None = None

    @property
    def broken(self) -> tuple[str, BrokenText] | None:
        """A text of the source that is none, and the registry's column that has it."""
        columns = {
            "code": (self.code,),
            "table_name": (self.table,),
            "schema_name": (self.schema,),
            "name": (self.name,),
            "description": (self.description,),
            "domain": (self.domain,),
            "tags": self.tags,
        }
        found = ((name, text) for name, texts in columns.items() for text in texts)
        return next(((name, t) for name, t in found if isinstance(t, BrokenText)), None)

    @property
    def quoted_name(self) -> str:
        """`schema.table` as `--table` takes it."""
        return join_table(self.schema, self.table)

    @property
    def qualified_name(self) -> str:
        """`schema.table` as a person writes it, unquoted; for messages only."""
        if not self.table:
            return "(the registry names no table)"
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which sources a run is about.

    From the registry: those whose code starts with `publication`, those of `codes`, or all
    (`everything`). Without it: all relations of `schema`, or those of `tables` ("schema.name", or
    "CODE=schema.name" for a table that is to have another code than its name).
    """

    publication: str | None = None
    codes: tuple[str, ...] = ()
    everything: bool = False
    schema: str | None = None
    tables: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        from_registry = bool(self.publication is not None or self.codes or self.everything)
        without_registry = bool(self.schema is not None or self.tables)
        if from_registry and without_registry:
            raise UsageError(
                "a publication, --source and --all choose from the registry, "
                "--schema and --table do without it: use one or the other"
            )
        if not (from_registry or without_registry):
            raise UsageError(
                "say what to export: a publication, --source, --all, --schema or --table"
            )
        if self.publication == "":
            raise UsageError("the publication is empty; --all exports every source")
        if self.everything and (self.publication is not None or self.codes):
            raise UsageError(
                "--all already has every source; leave out the publication and --source"
            )

    @property
    def uses_registry(self) -> bool:
        """Whether the registry of sources is read."""
        return self.schema is None and not self.tables

    def __str__(self) -> str:
        if self.everything:
            return "any source"
        if self.uses_registry:
            parts = [f'publication "{self.publication}"'] if self.publication is not None else []
            parts += [f'source "{code}"' for code in self.codes]
        else:
            parts = [f'schema "{self.schema}"'] if self.schema is not None else []
            parts += [f'table "{table}"' for table in self.tables]
        return ", ".join(parts)

    def takes(self, code: str) -> bool:
        """Whether the registry's source `code` belongs to the selection."""
        starts = self.publication is not None and code.startswith(self.publication)
        return self.everything or starts or code in self.codes
