"""PostGIS columns: their reference system, and the GeoParquet key of a file that has some.

Well-known binary holds no SRID, so it has to be told beside the values: in the footer as far as
GeoParquet can say it, and as a note. See https://geoparquet.org/releases/v1.1.0/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duckwarp.engine.types import Facts
from duckwarp.files.quoting import identifier
from duckwarp.model.pg_type import PgType

EXTENSION = "postgis"
TYPES = ("geometry", "geography")
# GeoParquet's default, longitude and latitude on WGS 84, is what PostGIS means by this SRID.
LONGITUDE_LATITUDE = 4326
UNKNOWN = 0

FIRST_SRID = "smallest SRID"
LAST_SRID = "largest SRID"
OTHER_SRIDS = "values of other SRIDs"


@dataclass(frozen=True, slots=True, kw_only=True)
class GeoColumn:
    """The reference system of a column of geometries.

    `srid` is 0 where none is known, the smallest where there are `several`. `spherical` says that
    edges are arcs on the globe.
    """

    srid: int
    several: bool
    spherical: bool

    @property
    def note(self) -> str:
        """The reference system in words."""
        known = f"SRID {self.srid}" if self.srid else "SRID unknown"
        return f"{known} and others" if self.several else known


def is_geo(pg_type: PgType) -> bool:
    """Whether the type is one of PostGIS's own that become WKB."""
    return pg_type.extension == EXTENSION and pg_type.name in TYPES


def declared_srid(typmod: int) -> int | None:
    """The SRID that the declaration imposes on all values, None where it leaves it open.

    Bits 8 to 28 of the modifier (`TYPMOD_GET_SRID` of liblwgeom), where 0 means any.
    """
    return None if typmod < 0 else (typmod & 0x0FFFFF00) >> 8 or None


def srid_measures(pg_type: PgType, typmod: int, source: str) -> dict[str, str]:
    """The aggregates that find the SRIDs of undeclared values, by the name of the measure."""
    if not is_geo(pg_type) or declared_srid(typmod) is not None:
        return {}
    return {
        FIRST_SRID: f"pg_catalog.min({_srid(pg_type, source)})",
        LAST_SRID: f"pg_catalog.max({_srid(pg_type, source)})",
    }


def other_srids_measure(pg_type: PgType, source: str, facts: Facts) -> str | None:
    """The aggregate that counts values of another SRID than the first, where there are several."""
    if not is_geo(pg_type) or facts.get(FIRST_SRID) == facts.get(LAST_SRID):
        return None
    return f"pg_catalog.count(*) FILTER (WHERE {other_srid(pg_type, source, facts)})"


def other_srid(pg_type: PgType, source: str, facts: Facts) -> str:
    """The predicate of a value of another SRID than the first that was measured."""
    srid, first = _srid(pg_type, source), facts.get(FIRST_SRID)
    return f"{srid} IS NOT NULL" if first is None else f"{srid} <> {first}"


def _srid(pg_type: PgType, source: str) -> str:
    return f"{identifier(pg_type.schema)}.st_srid({source})"


def geo_column(pg_type: PgType, typmod: int, facts: Facts) -> GeoColumn:
    """The reference system of a column, from its declaration or from what was measured."""
    spherical = pg_type.name == "geography"
    srid = declared_srid(typmod)
    if srid is None and facts.get(FIRST_SRID) is not None:
        srid = int(facts[FIRST_SRID] or UNKNOWN)
    if srid is None:
        srid = LONGITUDE_LATITUDE if spherical else UNKNOWN
    several = facts.get(FIRST_SRID) != facts.get(LAST_SRID)
    return GeoColumn(srid=srid, several=several, spherical=spherical)


def file_key(columns: Mapping[str, GeoColumn]) -> str | None:
    """The JSON of a file's GeoParquet key, None for a file without geometries."""
    if not columns:
        return None
    document = {
        "version": "1.1.0",
        "primary_column": next(iter(columns)),
        "columns": {name: _entry(column) for name, column in columns.items()},
    }
    return json.dumps(document, ensure_ascii=False)


def _entry(column: GeoColumn) -> dict[str, Any]:
    """One column's entry; a null `crs` says that the system is not told here."""
    entry: dict[str, Any] = {"encoding": "WKB", "geometry_types": []}
    if column.spherical:
        entry["edges"] = "spherical"
    if column.several or column.srid != LONGITUDE_LATITUDE:
        entry["crs"] = None
    return entry
