"""The type map: how each PostgreSQL type is read, what Parquet gets, and which values do not fit.

A table with one row for each type or family (`RULES`); numeric and arrays, whose form depends on
the data, are worked out in `numbers.py` and `arrays.py` from what was measured. Types are matched
by what `pg_type` says, and only pg_catalog's own types take the built-in rows.

In the templates `{c}` is the column in PostgreSQL, under its built-in type, and `{d}` the column in
DuckDB. A *special value* is one that the Parquet type cannot hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from duckwarp.files.quoting import identifier
from duckwarp.model.pg_type import PgType

# What was measured of a column on the server: the name of a measure → its value as text.
Facts = Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Special:
    """A kind of value that does not fit, and PostgreSQL's predicate that finds it in `{c}`."""

    kind: str
    predicate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of the type map.

    `types` are names in pg_catalog; `extension` has the types of that name in an extension instead.
    `select` is PostgreSQL's expression, `casts` the types that it is cast to one after another, and
    `value` DuckDB's expression, made of what they give. `duckdb_type` is the type of `value`;
    `order` are the keys that sort it, the plain value if empty. `misfit` is DuckDB's predicate that
    finds special values on their way, so that a table without any is read once. `width_bytes` is a
    usual width, for the size of row groups. `shown` is
    the Parquet type in words, `why` the reason, both for the documentation.
    """

    types: tuple[str, ...]
    duckdb_type: str
    shown: str
    why: str
    select: str = "{c}"
    casts: tuple[str, ...] = ()
    value: str = "{d}"
    order: tuple[str, ...] = ()
    specials: tuple[Special, ...] = ()
    misfit: str | None = None
    extension: str | None = None
    json: bool = False
    obvious: bool = True
    width_bytes: int = 8

    @property
    def template(self) -> str:
        """All that PostgreSQL is asked for, over `{c}`."""
        return cast_to(self.select, self.casts)

    @property
    def casts_only(self) -> bool:
        """Whether the value itself is cast, if anything is done to it at all."""
        return self.select == "{c}"


def cast_to(expression: str, types: tuple[str, ...], suffix: str = "") -> str:
    """An expression cast to PostgreSQL's types one after another, each followed by `suffix`."""
    return expression + "".join(f"::{each}{suffix}" for each in types)


TEXT = ("pg_catalog.text",)

_INFINITE_DATE = Special(kind="infinity", predicate="{c} IN ('infinity', '-infinity')")
_LATE_TIMESTAMP = Special(
    kind="after 294247-01-10 04:00:54.775806",
    predicate="({c} > '294247-01-10 04:00:54.775806' AND {c} <> 'infinity')",
)
# DuckDB's own infinities are the ends of the range; past them the reader wraps to years before
# PostgreSQL's first.
_MISFIT_TIMESTAMP = "NOT isfinite({d}) OR {d} < {type} '4714-11-24 (BC) 00:00:00{zone}'"
# A float that is a sort key is written as the key has it, which has lost the sign of zero: the keys
# are expressions of it, and the sign a key of its own, -0.0 before 0.0. Payloads of NaN are made
# one, as PostgreSQL's own comparison and text output take them.
_FLOAT_ORDER = ("{d} + 0", "NOT signbit({d})")
# PostgreSQL 15 and later write bytes above 127 of "char" as an octal escape, earlier ones raw.
_BYTE = "{c}::pg_catalog.int4"
_CHAR = (
    f"CASE WHEN {_BYTE} < 0 THEN pg_catalog.concat('\\', ({_BYTE} + 256) >> 6, "
    f"(({_BYTE} + 256) >> 3) & 7, ({_BYTE} + 256) & 7) ELSE {{c}}::pg_catalog.text END"
)

RULES: tuple[Rule, ...] = (
    Rule(types=("bool",), duckdb_type="BOOLEAN", shown="BOOLEAN", why="the same", width_bytes=1),
    Rule(types=("int2",), duckdb_type="SMALLINT", shown="INT16", why="the same", width_bytes=2),
    Rule(types=("int4",), duckdb_type="INTEGER", shown="INT32", why="the same", width_bytes=4),
    Rule(types=("int8",), duckdb_type="BIGINT", shown="INT64", why="the same"),
    Rule(
        types=("float4",),
        duckdb_type="FLOAT",
        shown="FLOAT",
        why="bit for bit, with NaN, infinities and the sign of zero; every NaN is the same NaN",
        value="CASE WHEN isnan({d}) THEN 'NaN'::FLOAT ELSE {d} END",
        order=_FLOAT_ORDER,
        width_bytes=4,
    ),
    Rule(
        types=("float8",),
        duckdb_type="DOUBLE",
        shown="DOUBLE",
        why="bit for bit, with NaN, infinities and the sign of zero; every NaN is the same NaN",
        value="CASE WHEN isnan({d}) THEN 'NaN'::DOUBLE ELSE {d} END",
        order=_FLOAT_ORDER,
    ),
    Rule(
        types=("oid",),
        duckdb_type="UINTEGER",
        shown="UINT32",
        why="an object identifier has 32 bits without a sign",
        casts=("pg_catalog.int8",),
        value="{d}::UINTEGER",
        width_bytes=4,
    ),
    Rule(
        types=("text", "varchar", "name"),
        duckdb_type="VARCHAR",
        shown="STRING",
        why="the same text in UTF-8",
        casts=TEXT,
        width_bytes=24,
    ),
    Rule(
        types=("citext",),
        extension="citext",
        duckdb_type="VARCHAR",
        shown="STRING",
        why="the text as it was entered; sorted by its bytes, so case matters",
        casts=TEXT,
        width_bytes=24,
    ),
    Rule(
        types=("bpchar",),
        duckdb_type="VARCHAR",
        shown="STRING",
        why="with its padding, as PostgreSQL prints it: five blanks stay five blanks",
        select="pg_catalog.textin(pg_catalog.bpcharout({c}))",
        width_bytes=24,
    ),
    Rule(
        types=("char",),
        duckdb_type="VARCHAR",
        shown="STRING",
        why="one byte; above 127 as an octal escape (\\351), as psql shows it",
        select=_CHAR,
        width_bytes=1,
    ),
    Rule(
        types=("bytea",),
        duckdb_type="BLOB",
        shown="BYTE_ARRAY",
        why="the same bytes",
        width_bytes=32,
    ),
    Rule(types=("uuid",), duckdb_type="UUID", shown="UUID", why="the same", width_bytes=16),
    Rule(
        types=("json",),
        duckdb_type="VARCHAR",
        shown="JSON",
        why="its text byte for byte; sorted as text; plain STRING if a reader would refuse a value",
        casts=TEXT,
        json=True,
        width_bytes=64,
    ),
    Rule(
        types=("jsonb",),
        duckdb_type="VARCHAR",
        shown="JSON",
        why="PostgreSQL's text of it; sorted as text",
        casts=TEXT,
        json=True,
        width_bytes=64,
    ),
    Rule(
        types=("date",),
        duckdb_type="DATE",
        shown="DATE",
        why="all finite dates, 4714 BC to 5874897; infinity is a special value",
        specials=(_INFINITE_DATE,),
        misfit="NOT isfinite({d})",
        width_bytes=4,
    ),
    Rule(
        types=("timestamp",),
        duckdb_type="TIMESTAMP",
        shown="TIMESTAMP(MICROS, not UTC-adjusted)",
        why="to the microsecond; infinity and the last 29 years of PostgreSQL's range are special",
        specials=(_INFINITE_DATE, _LATE_TIMESTAMP),
        misfit=_MISFIT_TIMESTAMP.replace("{type}", "TIMESTAMP").replace("{zone}", ""),
    ),
    Rule(
        types=("timestamptz",),
        duckdb_type="TIMESTAMP WITH TIME ZONE",
        shown="TIMESTAMP(MICROS, UTC-adjusted)",
        why="the instant, in UTC; infinity and the last 29 years of PostgreSQL's range are special",
        specials=(_INFINITE_DATE, _LATE_TIMESTAMP),
        misfit=_MISFIT_TIMESTAMP.replace("{type}", "TIMESTAMPTZ").replace("{zone}", "+00"),
    ),
    Rule(
        types=("time",),
        duckdb_type="TIME",
        shown="TIME(MICROS)",
        why="to the microsecond; 24:00:00 is a special value, since readers take it for 00:00:00",
        specials=(Special(kind="24:00:00", predicate="{c} = '24:00:00'"),),
        misfit="{d} = TIME '24:00:00'",
    ),
    Rule(
        types=("timetz",),
        duckdb_type="VARCHAR",
        shown="STRING",
        why="Parquet's time has no offset",
        casts=TEXT,
        obvious=False,
        width_bytes=16,
    ),
    Rule(
        types=("interval",),
        duckdb_type="VARCHAR",
        shown="STRING",
        why="ISO 8601 (P1Y2M3DT4H5M6.7S): Parquet's interval has no sign and no microseconds",
        casts=TEXT,
        obvious=False,
        width_bytes=16,
    ),
    Rule(
        types=("hstore",),
        extension="hstore",
        duckdb_type="VARCHAR",
        shown="JSON",
        why="a JSON object of strings and nulls",
        select="{extension_schema}.hstore_to_json({c})",
        casts=TEXT,
        json=True,
        obvious=False,
        width_bytes=64,
    ),
    Rule(
        types=("geometry", "geography"),
        extension="postgis",
        duckdb_type="BLOB",
        shown="BYTE_ARRAY (ISO WKB, GeoParquet)",
        why="well-known binary with Z and M; the file's `geo` key has the reference system",
        select="{extension_schema}.st_asbinary({c})",
        obvious=False,
        width_bytes=64,
    ),
)

_BUILTIN = {name: rule for rule in RULES if rule.extension is None for name in rule.types}
_EXTENSION = {
    (rule.extension, name): rule for rule in RULES if rule.extension for name in rule.types
}

ENUM = Rule(
    types=(),
    duckdb_type="VARCHAR",
    shown="STRING",
    why="the label; sorted as text",
    casts=TEXT,
    width_bytes=12,
)
COMPOSITE = Rule(
    types=(),
    duckdb_type="VARCHAR",
    shown="JSON",
    why="a JSON object as to_json gives it: every field exact, NaN and infinity as strings; text "
    "where a type inside has a cast to json of its own, as PostGIS has",
    select="pg_catalog.to_json({c})",
    casts=TEXT,
    json=True,
    obvious=False,
    width_bytes=64,
)
# DuckDB's Parquet writer takes -0.0 and 0.0 for one entry of a dictionary, and writes the one that
# came first: a file with -0.0 has to do without dictionaries.
SIGNED_TYPES = frozenset({"FLOAT", "DOUBLE"})
NEGATIVE_ZERO = "{d} = 0 AND signbit({d})"
# PostgreSQL's json takes escapes of single surrogates, such as "\ud800", that strict parsers
# refuse: DuckDB cannot read a column that is marked as JSON and has one. jsonb refuses them itself.
LAX_JSON_TYPE = "json"
MISFIT_JSON = "NOT json_valid({d})"
FALLBACK = Rule(
    types=(),
    duckdb_type="VARCHAR",
    shown="STRING",
    why="PostgreSQL's own text of the value",
    select="pg_catalog.textin({output}({c}))",
    obvious=False,
    width_bytes=24,
)


def rule_for(pg_type: PgType) -> Rule:
    """The row of the map for a type that is neither a domain nor an array nor numeric."""
    if pg_type.builtin and pg_type.kind == "base" and pg_type.name in _BUILTIN:
        return _BUILTIN[pg_type.name]
    if pg_type.extension is not None and (pg_type.extension, pg_type.name) in _EXTENSION:
        return _EXTENSION[pg_type.extension, pg_type.name]
    if pg_type.kind == "enum":
        return ENUM
    if pg_type.kind == "composite" and not pg_type.has_json_cast:
        return COMPOSITE
    return FALLBACK


def filled(template: str, pg_type: PgType, reference: str) -> str:
    """A template of PostgreSQL's side with the column, and what belongs to its type, put in."""
    parts = {
        "{c}": reference,
        "{output}": pg_type.output_function,
        "{extension_schema}": identifier(pg_type.schema),
    }
    # All at once: the name of a column may look like a placeholder itself.
    return _PLACEHOLDER.sub(lambda match: parts[match[0]], template)


_PLACEHOLDER = re.compile(r"\{(?:c|output|extension_schema)\}")
