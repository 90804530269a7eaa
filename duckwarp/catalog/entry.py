"""A published dataset as the catalog lists it: its description, its file, and its figures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from duckwarp.model.dataset import Dataset
from duckwarp.model.parquet_type import Kind, ParquetType
from duckwarp.model.results import ColumnStatistics

_DATES = frozenset(map(ParquetType, (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What of an export follows from neither the data nor the file.

    `snapshot_time` is when the database was in the state that the file has, and `last_load_at` what
    the registry said then. `version` is duckwarp's.
    """

    publication: str | None = None
    snapshot_time: datetime | None = None
    last_load_at: datetime | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the catalog.

    `statistics` are those of the dataset's columns, `parquet_schema` is the file's in Parquet's own
    notation. `has_dictionary` says that the Markdown page is there, too.
    """

    dataset: Dataset
    statistics: tuple[ColumnStatistics, ...]
    rows: int
    size_bytes: int
    sha256: str
    parquet_schema: str
    circumstances: Circumstances = Circumstances()
    has_dictionary: bool = True

    @property
    def code(self) -> str:
        """The source's code, which names the files."""
        return self.dataset.code

    @property
    def file_path(self) -> str:
        """The Parquet file, relative to the folder."""
        return f"{self.code}.parquet"

    @property
    def md_path(self) -> str | None:
        """The dictionary, relative to the folder."""
        return f"{self.code}.md" if self.has_dictionary else None

    @property
    def dates(self) -> tuple[str | None, str | None]:
        """The first and the last date of the first column of dates or timestamps."""
        for column, statistics in zip(self.dataset.columns, self.statistics, strict=True):
            if column.parquet_type in _DATES:
                return _date(statistics.minimum), _date(statistics.maximum)
        return None, None


def _date(text: str | None) -> str | None:
    """The date of a date or timestamp in words, its era included."""
    if text is None:
        return None
    era = " BC" if text.endswith(" BC") else ""
    return text.split(" ", maxsplit=1)[0] + era


def settled(before: Entry | None, now: Entry) -> Entry:
    """The row of a dataset after an export, when its row was `before`.

    Where the export has found the same data, from the same load, there is nothing new to tell: not
    when it looked, nor by which version, nor as part of which publication, if one is known.
    """
    if before is None:
        return now
    then = before.circumstances
    same_load = then.last_load_at == now.circumstances.last_load_at
    if same_load and replace(now, circumstances=then) == before:
        publication = then.publication or now.circumstances.publication
        return replace(before, circumstances=replace(then, publication=publication))
    publication = now.circumstances.publication or then.publication
    return replace(now, circumstances=replace(now.circumstances, publication=publication))
