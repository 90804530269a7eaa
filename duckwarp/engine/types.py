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
from duckwarp.model.parquet_type import Kind
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
    `value` DuckDB's expression, made of what they give. `kind` is what the file has; `order` are
    the keys that sort it, the plain value if empty. `misfit` is DuckDB's predicate that finds
    special values on their way, so that a table without any is read once. `usual_bytes` is there
    where values are usually of another width than those of the kind. `why` is the reason, for the
    documentation.
    """

    types: tuple[str, ...]
    kind: Kind
    why: str
    select: str = "{c}"
    casts: tuple[str, ...] = ()
    value: str = "{d}"
    order: tuple[str, ...] = ()
    specials: tuple[Special, ...] = ()
    misfit: str | None = None
    extension: str | None = None
    obvious: bool = True
    usual_bytes: int | None = None

    @property
    def width_bytes(self) -> int:
        """A usual width, for the size of row groups."""
        return self.kind.width_bytes if self.usual_bytes is None else self.usual_bytes

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
    Rule(types=("bool",), kind=Kind.BOOLEAN, why="the same"),
    Rule(types=("int2",), kind=Kind.SMALLINT, why="the same"),
    Rule(types=("int4",), kind=Kind.INTEGER, why="the same"),
    Rule(types=("int8",), kind=Kind.BIGINT, why="the same"),
    Rule(
        types=("float4",),
        kind=Kind.FLOAT,
        why="bit for bit, with NaN, infinities and the sign of zero; every NaN is the same NaN",
        value="CASE WHEN isnan({d}) THEN 'NaN'::FLOAT ELSE {d} END",
        order=_FLOAT_ORDER,
    ),
    Rule(
        types=("float8",),
        kind=Kind.DOUBLE,
        why="bit for bit, with NaN, infinities and the sign of zero; every NaN is the same NaN",
        value="CASE WHEN isnan({d}) THEN 'NaN'::DOUBLE ELSE {d} END",
        order=_FLOAT_ORDER,
    ),
    Rule(
        types=("oid",),
        kind=Kind.UINTEGER,
        why="an object identifier has 32 bits without a sign",
        casts=("pg_catalog.int8",),
        value="{d}::UINTEGER",
    ),
    Rule(
        types=("text", "varchar", "name"),
        kind=Kind.VARCHAR,
        why="the same text in UTF-8",
        casts=TEXT,
    ),
    Rule(
        types=("citext",),
        extension="citext",
        kind=Kind.VARCHAR,
        why="the text as it was entered; sorted by its bytes, so case matters",
        casts=TEXT,
    ),
    Rule(
        types=("bpchar",),
        kind=Kind.VARCHAR,
        why="with its padding, as PostgreSQL prints it: five blanks stay five blanks",
        select="pg_catalog.textin(pg_catalog.bpcharout({c}))",
    ),
    Rule(
        types=("char",),
        kind=Kind.VARCHAR,
        why="one byte; above 127 as an octal escape (\\351), as psql shows it",
        select=_CHAR,
        usual_bytes=1,
    ),
    Rule(
        types=("bytea",),
        kind=Kind.BLOB,
        why="the same bytes",
    ),
    Rule(types=("uuid",), kind=Kind.UUID, why="the same"),
    Rule(
        types=("json",),
        kind=Kind.JSON,
        why="its text byte for byte; sorted as text; plain STRING if a reader would refuse a value",
        casts=TEXT,
    ),
    Rule(
        types=("jsonb",),
        kind=Kind.JSON,
        why="PostgreSQL's text of it; sorted as text",
        casts=TEXT,
    ),
    Rule(
        types=("date",),
        kind=Kind.DATE,
        why="all finite dates, 4714 BC to 5874897; infinity is a special value",
        specials=(_INFINITE_DATE,),
        misfit="NOT isfinite({d})",
    ),
    Rule(
        types=("timestamp",),
        kind=Kind.TIMESTAMP,
        why="to the microsecond; infinity and the last 29 years of PostgreSQL's range are special",
        specials=(_INFINITE_DATE, _LATE_TIMESTAMP),
        misfit=_MISFIT_TIMESTAMP.replace("{type}", "TIMESTAMP").replace("{zone}", ""),
    ),
    Rule(
        types=("timestamptz",),
        kind=Kind.TIMESTAMPTZ,
        why="the instant, in UTC; infinity and the last 29 years of PostgreSQL's range are special",
        specials=(_INFINITE_DATE, _LATE_TIMESTAMP),
        misfit=_MISFIT_TIMESTAMP.replace("{type}", "TIMESTAMPTZ").replace("{zone}", "+00"),
    ),
    Rule(
        types=("time",),
        kind=Kind.TIME,
        why="to the microsecond; 24:00:00 is a special value, since readers take it for 00:00:00",
        specials=(Special(kind="24:00:00", predicate="{c} = '24:00:00'"),),
        misfit="{d} = TIME '24:00:00'",
    ),
    Rule(
        types=("timetz",),
        kind=Kind.VARCHAR,
        why="Parquet's time has no offset",
        casts=TEXT,
        obvious=False,
        usual_bytes=16,
    ),
    Rule(
        types=("interval",),
        kind=Kind.VARCHAR,
        why="ISO 8601 (P1Y2M3DT4H5M6.7S): Parquet's interval has no sign and no microseconds",
        casts=TEXT,
        obvious=False,
        usual_bytes=16,
    ),
    Rule(
        types=("hstore",),
        extension="hstore",
        kind=Kind.JSON,
        why="a JSON object of strings and nulls",
        select="{extension_schema}.hstore_to_json({c})",
        casts=TEXT,
        obvious=False,
    ),
    Rule(
        types=("geometry", "geography"),
        extension="postgis",
        kind=Kind.BLOB,
        why="ISO WKB with Z and M; the file's GeoParquet key `geo` has the reference system",
        select="{extension_schema}.st_asbinary({c})",
        obvious=False,
        usual_bytes=64,
    ),
)

_BUILTIN = {name: rule for rule in RULES if rule.extension is None for name in rule.types}
_EXTENSION = {
    (rule.extension, name): rule for rule in RULES if rule.extension for name in rule.types
}

ENUM = Rule(
    types=(),
    kind=Kind.VARCHAR,
    why="the label; sorted as text",
    casts=TEXT,
    usual_bytes=12,
)
COMPOSITE = Rule(
    types=(),
    kind=Kind.JSON,
    why="a JSON object as to_json gives it: every field exact, NaN and infinity as strings; text "
    "where a type inside has a cast to json of its own, as PostGIS has",
    select="pg_catalog.to_json({c})",
    casts=TEXT,
    obvious=False,
)
# DuckDB's Parquet writer takes -0.0 and 0.0 for one entry of a dictionary, and writes the one that
# came first: a file with -0.0 has to do without dictionaries.
NEGATIVE_ZERO = "{d} = 0 AND signbit({d})"
# PostgreSQL's json takes escapes of single surrogates, such as "\ud800", that strict parsers
# refuse: DuckDB cannot read a column that is marked as JSON and has one. jsonb refuses them itself.
LAX_JSON_TYPE = "json"
MISFIT_JSON = "NOT json_valid({d})"
FALLBACK = Rule(
    types=(),
    kind=Kind.VARCHAR,
    why="PostgreSQL's own text of the value",
    select="pg_catalog.textin({output}({c}))",
    obvious=False,
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
