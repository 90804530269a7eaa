"""The table of the round-trip suite: every row of the type map with its edges.

A row states the type, what it is written as (DuckDB's name, as DuckDB reads the file), and values
in PostgreSQL's own input text. Each table also gets a NULL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

NINES = "9" * 38

SETUP = r"""
CREATE SCHEMA staging;
CREATE SCHEMA special;
CREATE SCHEMA types;
CREATE SCHEMA "Sch""ema.{c}";
CREATE TABLE "Sch""ema.{c}"."Ta ble" (id int);
CREATE TYPE types.mood AS ENUM ('low', 'mid', 'with,comma', 'with"quote', 'NULL', '', 'é');
CREATE TYPE types.date AS ENUM ('monday', 'today');
CREATE TYPE types."json" AS ENUM ('{', 'not json');
CREATE TYPE types.pair AS (de text, fr text);
CREATE TYPE types.point AS (x int, y text);
CREATE TYPE types."uuid" AS (high int8, low int8);
CREATE DOMAIN types.geometry AS text;
CREATE DOMAIN types."numeric" AS text;
CREATE DOMAIN types.positive AS int8 CHECK (VALUE > 0);
CREATE DOMAIN types.more_positive AS types.positive CHECK (VALUE > 1);
CREATE DOMAIN types.amount AS numeric(12,2);
CREATE DOMAIN types.required AS types.amount NOT NULL DEFAULT 0;
CREATE DOMAIN types.number AS numeric;
CREATE DOMAIN types.mood_domain AS types.mood;
CREATE DOMAIN types.tags AS text[];
CREATE DOMAIN types.amounts AS types.amount[];
CREATE DOMAIN types.pair_domain AS types.pair;
CREATE DOMAIN types.span AS int4range;
CREATE DOMAIN types.padded AS char(4);
CREATE DOMAIN types.flags AS bit(3);
CREATE DOMAIN types.moment AS timestamptz(0);
CREATE DOMAIN types.reference AS regclass;
CREATE DOMAIN types.letter AS "char";
CREATE DOMAIN types.document AS json;
CREATE DOMAIN types.bytes AS bytea;
CREATE TYPE types.text_range AS RANGE (subtype = text, collation = "C");
CREATE TYPE types.float_range AS RANGE (subtype = float8);
CREATE TYPE types.all_kinds AS (
    n numeric, price numeric(8,2), at timestamptz, doc jsonb, raw json, names types.pair,
    nums int[], f float8, mood types.mood, amount types.amount, bytes bytea, span interval,
    padded char(3), flag bool, day date, r int4range, tags types.tags, ref regclass, id uuid);
"""


@dataclass(frozen=True, slots=True)
class Sql:
    """A value as an expression, where the type's input text cannot say it."""

    expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One type with its values.

    `compare` says how a value in the file is held against PostgreSQL's: by its text, by letting
    PostgreSQL make the value again of the JSON, as arrays within an array, or as a hstore.
    `expected` stands in for PostgreSQL's text where that is not what the type map promises. `needs`
    names an extension, `since` the first version of PostgreSQL that has the type or the values.
    """

    name: str
    type: str
    written: str
    values: tuple[str | Sql, ...]
    compare: Literal["text", "populate", "nested", "hstore"] = "text"
    expected: tuple[str, ...] | None = None
    null: bool = True
    needs: str | None = None
    since: int = 0


def case(name: str, type_: str, written: str, *values: str | Sql, **options: object) -> Case:
    """A row of the table."""
    return Case(name=name, type=type_, written=written, values=values, **options)  # type: ignore[arg-type]


STRANGE_TEXTS = (
    "ordinary", "", " ", "     ", "NULL", "null", "\\N", "é", "e\u0301", "日本語", "😀",
    "\U0010ffff", "\ufeffbom", "\uffff", "\u0001\u001f\u007f", "tab\tnewline\nreturn\r", "it's",
    'say "hi"', "back\\slash", "{1,2}", "$$", "%s", "a" * 100_000,
)  # fmt: skip

_JSON_TEXTS = (
    "null", "0", '""', "[]", "{}", "true", '"text"', '  [1 ,2]  ', '{"b":1, "a":2,  "b":3}',
    '{"n":1.10,"big":12345678901234567890123}', r'{"z":"a\u0000b"}', r'"\ud83d\ude00"', "1e400",
    '{"é":"日本語"}', "-0", "-0.0", '{"a":{"b":[1,[2,{"c":null}]]}}',
)  # fmt: skip

SCALARS = (
    case("bool", "bool", "BOOLEAN", "t", "f"),
    case("int2", "int2", "SMALLINT", "0", "1", "-32768", "32767"),
    case("int4", "int4", "INTEGER", "0", "1", "-2147483648", "2147483647"),
    case("int8", "int8", "BIGINT", "0", "9007199254740993", "-9223372036854775808",
         "9223372036854775807"),
    case("oid", "oid", "UINTEGER", "0", "1", "4294967295"),
    case("float4", "float4", "FLOAT", "0", "-0", "1.1", "16777217", "3.4028235e38",
         "-3.4028235e38", "1.1754944e-38", "1e-45", "NaN", "Infinity", "-Infinity"),
    case("float8", "float8", "DOUBLE", "0", "-0", "1.1", "0.30000000000000004",
         "1.7976931348623157e308", "-1.7976931348623157e308", "2.2250738585072014e-308", "5e-324",
         "NaN", "Infinity", "-Infinity"),
    case("money", "money", "DECIMAL(19,2)", "0", "1234.50", "-0.01", "-92233720368547758.08",
         "92233720368547758.07"),
    case("text", "text", "VARCHAR", *STRANGE_TEXTS),
    case("varchar", "varchar", "VARCHAR", *STRANGE_TEXTS),
    case("varchar_5", "varchar(5)", "VARCHAR", "", "ab", "ab   ", "     ", "éééé😀"),
    case("name", "name", "VARCHAR", "", "nm", "n" * 63, "é" * 31),
    case("char_5", "char(5)", "VARCHAR", "", "ab", "ab   ", " ab", "éééé😀"),
    case("char_1", "char", "VARCHAR", "", "a", "é"),
    case("bpchar", "bpchar", "VARCHAR", "", "ab", "ab   ", since=160000),
    case("quoted_char", '"char"', "VARCHAR", "", "a", " ", "\\", Sql('127::int4::"char"'),
         Sql('(-128)::int4::"char"'), Sql('(-23)::int4::"char"'), Sql('(-1)::int4::"char"'),
         expected=("", "a", " ", "\\", "\x7f", "\\200", "\\351", "\\377")),
    case("bytea", "bytea", "BLOB", "\\x", "\\x00", "\\x00ff5c7830", "\\x" + "ab" * 50_000),
    case("uuid", "uuid", "UUID", "00000000-0000-0000-0000-000000000000",
         "ffffffff-ffff-ffff-ffff-ffffffffffff", "80000000-0000-0000-0000-000000000001",
         "7fffffff-ffff-ffff-ffff-ffffffffffff", "11111111-2222-3333-4444-555555555555"),
    case("json", "json", "JSON", *_JSON_TEXTS),
    case("jsonb", "jsonb", "JSON", *(t for t in _JSON_TEXTS if "u0000" not in t)),
    case("xml", "xml", "VARCHAR", "<a>1</a>", "", "<a b=\"&amp;\">é</a><c/>",
         "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a/>", needs="libxml"),
)  # fmt: skip

NUMERICS = (
    case("numeric_10_2", "numeric(10,2)", "DECIMAL(10,2)", "0", "1.10", "99999999.99",
         "-99999999.99", "0.01", "-0.01"),
    case("numeric_1_0", "numeric(1)", "DECIMAL(1,0)", "0", "9", "-9"),
    case("numeric_4_4", "numeric(4,4)", "DECIMAL(4,4)", "0", "0.9999", "-0.0001"),
    case("numeric_18_0", "numeric(18)", "DECIMAL(18,0)", "0", "9" * 18, "-" + "9" * 18),
    case("numeric_19_1", "numeric(19,1)", "DECIMAL(19,1)", "0", "9" * 18 + ".9"),
    case("numeric_38_0", "numeric(38)", "DECIMAL(38,0)", "0", NINES, "-" + NINES),
    case("numeric_38_38", "numeric(38,38)", "DECIMAL(38,38)", "0", "0." + NINES, "-0." + NINES,
         "0." + "0" * 37 + "1"),
    case("numeric_38_10", "numeric(38,10)", "DECIMAL(38,10)", "0", "9" * 28 + "." + "9" * 10),
    case("numeric_negative_scale", "numeric(5,-3)", "DECIMAL(8,0)", "0", "12345678", "-99999000",
         "499", "500"),
    case("numeric_negative_scale_38", "numeric(30,-8)", "DECIMAL(38,0)", "0",
         "9" * 30 + "0" * 8),
    case("numeric_negative_scale_large", "numeric(36,-4)", "DECIMAL(38,0)", "0", "1234567890000",
         "1" + "0" * 37),
    case("numeric_negative_scale_too_large", "numeric(36,-4)", "VARCHAR", "0", "9" * 36 + "0000"),
    case("numeric_scale_above", "numeric(3,6)", "DECIMAL(18,6)", "0", "0.000123", "-0.000999"),
    case("numeric_scale_far_above", "numeric(2,30)", "DECIMAL(38,30)", "0", "99e-30", "-1e-30"),
    case("numeric_50_5", "numeric(50,5)", "DECIMAL(18,1)", "0", "123456.5", "-2"),
    case("numeric_50_5_large", "numeric(50,5)", "VARCHAR", "0", "9" * 45 + ".99999", "1.10000"),
    case("numeric_none_narrow", "numeric", "DECIMAL(18,3)", "0", "1.10", "123456789012345.678",
         "-0.001"),
    case("numeric_none_wide", "numeric", "DECIMAL(38,9)", "0", "12345678901234567890.123456789"),
    case("numeric_none_38", "numeric", "DECIMAL(38,0)", NINES, "-" + NINES, "0"),
    case("numeric_none_small", "numeric", "DECIMAL(38,38)", "1e-38", "-0." + NINES, "0.0"),
    case("numeric_none_trailing", "numeric", "DECIMAL(18,1)", "1.5000", "2.000", "1e3"),
    case("numeric_none_zero", "numeric", "DECIMAL(18,0)", "0", "0.000", "-0.0"),
    case("numeric_none_18", "numeric", "DECIMAL(18,0)", "9" * 18),
    case("numeric_none_19", "numeric", "DECIMAL(38,0)", "9" * 19),
    case("numeric_none_text", "numeric", "VARCHAR", "1e200", "1.10", "1e-30", "0", "-0.00"),
    case("numeric_none_39", "numeric", "VARCHAR", NINES + ".9", "0.10"),
    case("numeric_none_longest", "numeric", "VARCHAR", "9" * 131072, "0." + "0" * 16382 + "1"),
    case("numeric_none_all_null", "numeric", "DECIMAL(18,0)"),
)  # fmt: skip

MOMENTS = (
    case("date", "date", "DATE", "4714-11-24 BC", "0001-12-31 BC", "0001-01-01", "1582-10-10",
         "1969-12-31", "1970-01-01", "2024-02-29", "9999-12-31", "10000-01-01", "5874897-12-31"),
    case("timestamp", "timestamp", "TIMESTAMP", "4714-11-24 00:00:00 BC", "0001-01-01 00:00:00",
         "1969-12-31 23:59:59.999999", "1970-01-01 00:00:00", "2024-02-29 12:34:56.789012",
         "9999-12-31 23:59:59.999999", "294247-01-10 04:00:54.775806"),
    case("timestamptz", "timestamptz", "TIMESTAMP WITH TIME ZONE", "4714-11-24 00:00:00+00 BC",
         "0001-01-01 00:00:00+00", "1969-12-31 23:59:59.999999+00", "1970-01-01 00:00:00+00",
         "2024-02-29 12:34:56.789012+13:59", "9999-12-31 23:59:59.999999+00",
         "294247-01-10 04:00:54.775806+00"),
    case("timestamp_0", "timestamp(0)", "TIMESTAMP", "2024-02-29 12:34:56.5", "1970-01-01"),
    case("timestamp_3", "timestamp(3)", "TIMESTAMP", "2024-02-29 12:34:56.7891", "1970-01-01"),
    case("timestamptz_6", "timestamptz(6)", "TIMESTAMP WITH TIME ZONE",
         "2024-02-29 12:34:56.7890129+00"),
    case("time", "time", "TIME", "00:00:00", "00:00:00.000001", "12:34:56.789", "23:59:59.999999"),
    case("time_0", "time(0)", "TIME", "00:00:00", "12:34:56.5", "23:59:59"),
    case("timetz", "timetz", "VARCHAR", "00:00:00+00", "12:00:00-05:30", "00:30:00+13:59",
         "24:00:00+00", "10:00:00+13:59:30", "23:59:59.999999-15:59:59", "24:00:00-15:59:59"),
    case("timetz_2", "timetz(2)", "VARCHAR", "12:00:00.125+01"),
    case("interval", "interval", "VARCHAR", "0", "1 hour", "-1 mons", "1 mon -3 days 04:00",
         "-00:00:00.000001", "1 year 2 mons 3 days 04:05:06.7", "-178000000 years",
         "178000000 years", "2147483647 mons 2147483647 days 2562047788:00:54.775807"),
    case("interval_infinite", "interval", "VARCHAR", "infinity", "-infinity", since=170000),
    case("interval_year_to_month", "interval year to month", "VARCHAR", "1-2", "-1 mon", "0"),
    case("interval_day_to_minute", "interval day to minute", "VARCHAR", "3 04:05:06.7"),
    case("interval_second_2", "interval second(2)", "VARCHAR", "1.239", "-0.001"),
)  # fmt: skip

TEXTUAL = (
    case("tsvector", "tsvector", "VARCHAR", "", "a fat cat", "'it''s':1A 'b\\\\c':2,3"),
    case("tsquery", "tsquery", "VARCHAR", "", "fat & !rat <-> (a | b:*)"),
    case("bit_5", "bit(5)", "VARCHAR", "00101", "00000", "11111"),
    case("bit_1", "bit", "VARCHAR", "0", "1"),
    case("varbit", "varbit", "VARCHAR", "", "0", "000", "1" * 200),
    case("varbit_12", "varbit(12)", "VARCHAR", "", "000000000001"),
    case("inet", "inet", "VARCHAR", "::1", "10.0.0.1/24", "10.0.0.1", "0.0.0.0/0", "::/0",
         "::ffff:1.2.3.4"),
    case("cidr", "cidr", "VARCHAR", "10.0.0.0/8", "::/0", "::1/128", "0.0.0.0/0", "1.2.3.4"),
    case("macaddr", "macaddr", "VARCHAR", "08:00:2b:01:02:03", "00:00:00:00:00:00"),
    case("macaddr8", "macaddr8", "VARCHAR", "08:00:2b:01:02:03:04:05", "ff:ff:ff:ff:ff:ff:ff:ff"),
    case("pg_lsn", "pg_lsn", "VARCHAR", "0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"),
    case("jsonpath", "jsonpath", "VARCHAR", "$", "strict $.a[*] ? (@ > 1)"),
    case("regclass", "regclass", "VARCHAR", "0", "pg_catalog.pg_class",
         '"Sch""ema.{c}"."Ta ble"', "4294967295"),
    case("regtype", "regtype", "VARCHAR", "0", "timestamp with time zone", "types.date", "int4[]"),
    case("regproc", "regproc", "VARCHAR", "0", "pg_catalog.now"),
    case("regprocedure", "regprocedure", "VARCHAR", "0", "pg_catalog.abs(int4)"),
    case("regoper", "regoper", "VARCHAR", "0", "pg_catalog.||/"),
    case("regoperator", "regoperator", "VARCHAR", "0", "pg_catalog.+(int4,int4)"),
    case("regconfig", "regconfig", "VARCHAR", "0", "pg_catalog.english"),
    case("regdictionary", "regdictionary", "VARCHAR", "0", "pg_catalog.simple"),
    case("regnamespace", "regnamespace", "VARCHAR", "0", '"Sch""ema.{c}"'),
    case("regrole", "regrole", "VARCHAR", "0", "4294967295"),
    case("regcollation", "regcollation", "VARCHAR", "0", 'pg_catalog."C"'),
    case("txid_snapshot", "txid_snapshot", "VARCHAR", "10:20:10,14,15", "1:1:"),
    case("pg_snapshot", "pg_snapshot", "VARCHAR", "10:20:10,14,15", "1:1:"),
    case("xid", "xid", "VARCHAR", "0", "4294967295"),
    case("xid8", "xid8", "VARCHAR", "0", "18446744073709551615"),
    case("cid", "cid", "VARCHAR", "0", "4294967295"),
    case("tid", "tid", "VARCHAR", "(0,1)", "(4294967295,65535)"),
    case("refcursor", "refcursor", "VARCHAR", "", "c1"),
    case("int2vector", "int2vector", "VARCHAR", "", "1 -2 3"),
    case("oidvector", "oidvector", "VARCHAR", "", "1 4294967295"),
    case("aclitem", "aclitem", "VARCHAR", Sql("pg_catalog.makeaclitem(0, 0, 'SELECT', false)")),
    case("point", "point", "VARCHAR", "(0,0)", "(1.1,-0)", "(NaN,Infinity)"),
    case("line", "line", "VARCHAR", "{1,2,3}", "{0,-1,5e-324}"),
    case("lseg", "lseg", "VARCHAR", "[(0,0),(1,1)]"),
    case("box", "box", "VARCHAR", "(1,1),(0,0)"),
    case("path", "path", "VARCHAR", "[(0,0),(1,1)]", "((0,0),(1,1),(2,0))"),
    case("polygon", "polygon", "VARCHAR", "((0,0),(1,1),(2,0))"),
    case("circle", "circle", "VARCHAR", "<(0,0),1>"),
    case("int4range", "int4range", "VARCHAR", "empty", "(,)", "[1,3]", "[-2147483648,)"),
    case("int8range", "int8range", "VARCHAR", "[9007199254740993,9223372036854775807)"),
    case("numrange", "numrange", "VARCHAR", "[1.50,)", "empty", "(NaN,)", "(,)"),
    case("daterange", "daterange", "VARCHAR", "[2020-02-01,2020-03-04)", "empty",
         "[2020-01-01,infinity)", "[4714-11-24 BC,5874897-12-31)"),
    case("tsrange", "tsrange", "VARCHAR", "[2020-02-01 00:00,2020-03-04 00:00)"),
    case("tstzrange", "tstzrange", "VARCHAR", "[2020-02-01 00:00+01,2020-03-04 00:00+00)",
         "(,infinity)", "[-infinity,2020-01-01 00:00+00]"),
    case("text_range", "types.text_range", "VARCHAR", '["a b","c""d")', '["",z]', "(,)"),
    case("float_range", "types.float_range", "VARCHAR", "[0.30000000000000004,Infinity]"),
    case("int4multirange", "int4multirange", "VARCHAR", "{}", "{[1,3),[5,7)}", "{(,)}"),
    case("tstzmultirange", "tstzmultirange", "VARCHAR", "{}",
         "{[2020-02-01 00:00+01,2020-02-02 00:00+00)}"),
    case("float_multirange", "types.float_multirange", "VARCHAR", "{[1.1,2)}"),
    case("enum", "types.mood", "VARCHAR", "low", "with,comma", 'with"quote', "NULL", "", "é"),
    case("enum_called_date", "types.date", "VARCHAR", "monday", "today"),
    case("enum_called_json", 'types."json"', "VARCHAR", "{", "not json"),
    case("domain_called_geometry", "types.geometry", "VARCHAR", "", "no WKB at all"),
    case("domain_called_numeric", 'types."numeric"', "VARCHAR", "", "no number"),
    case("citext", "citext", "VARCHAR", "", "MixedCase", "ÉCLAIR", needs="citext"),
    case("ltree", "ltree", "VARCHAR", "", "a.b.c", needs="ltree"),
    case("lquery", "lquery", "VARCHAR", "a.*{1,2}.!b", needs="ltree"),
    case("cube", "cube", "VARCHAR", "(0)", "(1.1, -2),(3, 4)", needs="cube"),
    case("seg", "seg", "VARCHAR", "1.10 .. 2.0", "<5", needs="seg"),
    case("isbn", "isbn", "VARCHAR", "978-0-393-04002-9", needs="isn"),
    case("query_int", "query_int", "VARCHAR", "1&(2|!3)", needs="intarray"),
    case("lo", "lo", "UINTEGER", "0", "4294967295", needs="lo"),
    case("vector", "vector(3)", "VARCHAR", "[1,-2.5,0]", needs="vector"),
)  # fmt: skip

DOMAINS = (
    case("domain_int8", "types.positive", "BIGINT", "1", "9223372036854775807"),
    case("domain_of_domain", "types.more_positive", "BIGINT", "2", "9223372036854775807"),
    case("domain_numeric_12_2", "types.amount", "DECIMAL(12,2)", "0", "9999999999.99", "-0.01"),
    case("domain_not_null", "types.required", "DECIMAL(12,2)", "0", "1.10", null=False),
    case("domain_numeric", "types.number", "DECIMAL(18,2)", "1.25", "0"),
    case("domain_enum", "types.mood_domain", "VARCHAR", "low", "NULL", ""),
    case("domain_array", "types.tags", "VARCHAR[]", "{}", '{a,NULL,"NULL",""}'),
    case("domain_array_of_domain", "types.amounts", "DECIMAL(12,2)[]", "{}", "{1.10,NULL,0}"),
    case("domain_composite", "types.pair_domain", "JSON", "(,)", '("",x)', compare="populate"),
    case("domain_range", "types.span", "VARCHAR", "empty", "[1,3)"),
    case("domain_char_4", "types.padded", "VARCHAR", "", "ab", "abcd"),
    case("domain_bit_3", "types.flags", "VARCHAR", "001"),
    case("domain_timestamptz_0", "types.moment", "TIMESTAMP WITH TIME ZONE",
         "2024-02-29 12:34:56.5+01"),
    case("domain_regclass", "types.reference", "VARCHAR", '"Sch""ema.{c}"."Ta ble"'),
    case("domain_quoted_char", "types.letter", "VARCHAR", "a", Sql('(-23)::int4::"char"'),
         expected=("a", "\\351")),
    case("domain_json", "types.document", "JSON", '{"b":1, "a":2,  "b":3}'),
    case("domain_bytea", "types.bytes", "BLOB", "\\x", "\\x00ff"),
)  # fmt: skip

ARRAYS = (
    case("array_bool", "bool[]", "BOOLEAN[]", "{}", "{NULL}", "{t,NULL,f}"),
    case("array_int2", "int2[]", "SMALLINT[]", "{}", "{NULL}", "{-32768,0,32767}"),
    case("array_int4", "int4[]", "INTEGER[]", "{}", "{NULL}", "{1,NULL,-2147483648}"),
    case("array_int8", "int8[]", "BIGINT[]", "{}", "{9007199254740993,NULL}"),
    case("array_oid", "oid[]", "UINTEGER[]", "{}", "{0,NULL,4294967295}"),
    case("array_float4", "float4[]", "FLOAT[]", "{}", "{-0,NULL,0,NaN,Infinity,1.1}"),
    case("array_float8", "float8[]", "DOUBLE[]", "{}", "{-0,NULL,0,NaN,-Infinity,5e-324}"),
    case("array_numeric_8_2", "numeric(8,2)[]", "DECIMAL(8,2)[]", "{}", "{1.10,NULL,-999999.99}"),
    case("array_numeric_5_m3", "numeric(5,-3)[]", "DECIMAL(8,0)[]", "{}", "{12345678,NULL}"),
    case("array_numeric", "numeric[]", "DECIMAL(18,2)[]", "{}", "{1.25,NULL,0,-3}"),
    case("array_numeric_wide", "numeric[]", "DECIMAL(38,9)[]",
         "{12345678901234567890.123456789,NULL}"),
    case("array_numeric_text", "numeric[]", "VARCHAR[]", "{1e200,NULL}", "{1.10}"),
    case("array_numeric_empty", "numeric[]", "DECIMAL(18,0)[]", "{}", "{NULL}"),
    case("array_money", "money[]", "DECIMAL(19,2)[]", "{}", "{1.5,NULL,-2000}"),
    case("array_text", "text[]", "VARCHAR[]", "{}", "{NULL}", '{NULL,"NULL","",a}',
         r'{"comma,inside","quote\"inside","back\\slash","{brace}",😀}'),
    case("array_varchar_5", "varchar(5)[]", "VARCHAR[]", "{}", '{"ab ",NULL}'),
    case("array_name", "name[]", "VARCHAR[]", "{}", "{nm,NULL}"),
    case("array_char_3", "char(3)[]", "VARCHAR[]", "{}", '{a,NULL," x",""}'),
    case("array_bytea", "bytea[]", "BLOB[]", "{}", r'{"\\x","\\x00ff",NULL}'),
    case("array_uuid", "uuid[]", "VARCHAR[]", "{}",
         "{00000000-0000-0000-0000-000000000000,NULL,ffffffff-ffff-ffff-ffff-ffffffffffff}"),
    case("array_json", "json[]", "VARCHAR[]", "{}", r'{"null",NULL,"{\"b\":1, \"a\":2}"}'),
    case("array_jsonb", "jsonb[]", "VARCHAR[]", "{}", r'{"null",NULL,"{\"a\": 1}","[1,2]"}'),
    case("array_date", "date[]", "DATE[]", "{}", '{"4714-11-24 BC",NULL,5874897-12-31}'),
    case("array_timestamp", "timestamp[]", "TIMESTAMP[]", "{}",
         '{"4714-11-24 00:00:00 BC",NULL,"294247-01-10 04:00:54.775806"}'),
    case("array_timestamptz", "timestamptz[]", "TIMESTAMP WITH TIME ZONE[]", "{}",
         '{"2024-02-29 12:34:56.789012+01",NULL}'),
    case("array_time", "time[]", "TIME[]", "{}", "{00:00:00,NULL,23:59:59.999999}"),
    case("array_timetz", "timetz[]", "VARCHAR[]", "{}", "{12:00:00-05:30,NULL}"),
    case("array_interval", "interval[]", "VARCHAR[]", "{}", '{-1 mons,NULL}'),
    case("array_bit_3", "bit(3)[]", "VARCHAR[]", "{}", "{101,NULL}"),
    case("array_varbit", "varbit[]", "VARCHAR[]", "{}", '{101,NULL,""}'),
    case("array_inet", "inet[]", "VARCHAR[]", "{}", "{::1,NULL,10.0.0.1/24}"),
    case("array_macaddr", "macaddr[]", "VARCHAR[]", "{}", "{08:00:2b:01:02:03,NULL}"),
    case("array_regclass", "regclass[]", "VARCHAR[]", "{}", "{pg_catalog.pg_class,NULL}"),
    case("array_tsvector", "tsvector[]", "VARCHAR[]", "{}", '{a fat cat,NULL,""}'),
    case("array_point", "point[]", "VARCHAR[]", "{}", '{"(1.1,-0)",NULL}'),
    case("array_aclitem", "aclitem[]", "VARCHAR[]", "{}",
         Sql("ARRAY[pg_catalog.makeaclitem(0, 0, 'SELECT', false), NULL]")),
    case("array_int4range", "int4range[]", "VARCHAR[]", "{}", '{"[1,3)",NULL,empty}'),
    case("array_multirange", "int4multirange[]", "VARCHAR[]", "{}", '{"{[1,3)}",NULL,"{}"}'),
    case("array_xid8", "xid8[]", "VARCHAR[]", "{}", "{18446744073709551615,NULL}"),
    case("array_quoted_char", '"char"[]', "VARCHAR[]", "{}", "{a,NULL}"),
    case("array_xml", "xml[]", "VARCHAR[]", "{}", "{<a/>,NULL}", needs="libxml"),
    case("array_enum", "types.mood[]", "VARCHAR[]", "{}", r'{"with,comma",NULL,"NULL",""}'),
    case("array_enum_called_date", "types.date[]", "VARCHAR[]", "{}", "{today,NULL}"),
    case("array_domain_int8", "types.positive[]", "BIGINT[]", "{}", "{1,NULL,2}"),
    case("array_domain_amount", "types.amount[]", "DECIMAL(12,2)[]", "{}", "{1.25,NULL}"),
    case("array_domain_number", "types.number[]", "DECIMAL(18,1)[]", "{}", "{1.5,NULL}"),
    case("array_domain_enum", "types.mood_domain[]", "VARCHAR[]", "{}", '{low,NULL,"NULL"}'),
    case("array_domain_char_4", "types.padded[]", "VARCHAR[]", "{}", "{ab,NULL}"),
    case("array_domain_bytea", "types.bytes[]", "BLOB[]", "{}", r'{"\\x00ff",NULL}'),
    case("array_domain_geometry", "types.geometry[]", "VARCHAR[]", "{}", "{x,NULL}"),
    case("array_citext", "citext[]", "VARCHAR[]", "{}", "{Aa,bB,NULL}", needs="citext"),
    case("array_ltree", "ltree[]", "VARCHAR[]", "{}", "{a.b,NULL}", needs="ltree"),
    case("array_hstore", "hstore[]", "VARCHAR[]", "{}", r'{"\"a\"=>\"1\"",NULL}', needs="hstore",
         compare="hstore"),
    case("array_cube", "cube[]", "VARCHAR[]", "{}", '{"(1, 2)",NULL}', needs="cube"),
)  # fmt: skip

AS_JSON = (
    case("composite", "types.pair", "JSON", "(,)", "(a,)", '("",b)', '("comma, ","quote "" \\\\")',
         compare="populate"),
    case("composite_called_point", "types.point", "JSON", "(1,x)", "(,)", compare="populate"),
    case("composite_called_uuid", 'types."uuid"', "JSON", "(9223372036854775807,-1)",
         compare="populate"),
    case("composite_nested", "types.all_kinds", "JSON",
         Sql("""(1.5, 2.25, '2020-01-01+00', '{"k":1}', '{"b": 1,  "a":2}', ('a','b'),
             '{1,2}', '-0', 'with"quote', 1.1, '\\x00ff', '-1 mons', 'a', true, 'infinity',
             '[1,3)', '{x,NULL}', 'pg_catalog.pg_class',
             '11111111-2222-3333-4444-555555555555')::types.all_kinds"""),
         Sql("""('NaN', 'NaN', '-infinity', NULL, NULL, NULL, NULL, 'NaN', NULL, NULL, '\\x',
             NULL, '', NULL, '4714-11-24 BC', 'empty', '{}', 0, NULL)::types.all_kinds"""),
         Sql("""('12345678901234567890.5', 0, NULL, '"null"', '[null]', (NULL,NULL), '{}',
             'Infinity', '', NULL, NULL, 'P1Y', NULL, false, NULL, NULL, NULL, NULL,
             NULL)::types.all_kinds"""),
         compare="populate"),
    case("array_composite", "types.pair[]", "JSON", "{}", "{NULL}", r'{"(x,y)",NULL,"(,)"}',
         compare="populate"),
    case("array_domain_composite", "types.pair_domain[]", "JSON", "{}", r'{"(x,y)",NULL}',
         compare="populate"),
    case("array_of_domain_of_array", "types.tags[]", "JSON", "{}", r'{"{a,b}",NULL,"{}"}',
         compare="nested"),
    case("int4_dimensions", "int4[]", "JSON", "{1,2}", "{{1,2},{3,4}}", "{}", "{{{7}}}",
         "{{1,NULL}}", compare="populate"),
    case("text_dimensions", "text[]", "JSON", '{{a,NULL},{"NULL",""}}', "{}", compare="populate"),
    case("float8_dimensions", "float8[]", "JSON", "{{1.1,-0},{NaN,Infinity}}", compare="populate"),
    case("numeric_dimensions", "numeric(8,2)[]", "JSON", "{{1.10,NaN},{NULL,0}}",
         compare="populate"),
    case("date_dimensions", "date[]", "JSON", "{{infinity},{4714-11-24 BC}}", compare="populate"),
    case("bytea_dimensions", "bytea[]", "JSON", r'{{"\\x00ff"},{"\\x"}}', compare="populate"),
    case("char_3_dimensions", "char(3)[]", "JSON", "{{a,b}}", compare="populate"),
    case("interval_dimensions", "interval[]", "JSON", "{{-1 mons,0}}", compare="populate"),
    case("timetz_dimensions", "timetz[]", "JSON", "{{12:00:00-05:30}}", compare="populate"),
    case("enum_dimensions", "types.mood[]", "JSON", "{{low,NULL}}", compare="populate"),
    case("money_dimensions", "money[]", "JSON", "{{1234.5,-1},{NULL,0}}", compare="populate"),
    case("domain_dimensions", "types.amounts", "JSON", "{{1.10},{2}}", compare="populate"),
    case("hstore", "hstore", "JSON", "", 'a=>1, b=>NULL, "q x"=>"y"', '"\\"\\\\"=>"é"',
         needs="hstore", compare="hstore"),
)  # fmt: skip

CASES = (*SCALARS, *NUMERICS, *MOMENTS, *TEXTUAL, *DOMAINS, *ARRAYS, *AS_JSON)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialCase:
    """A type with values that its Parquet type cannot hold.

    `kept` are values that it can, `special` those that it cannot, each with its kind.
    """

    name: str
    type: str
    written: str
    kept: tuple[str, ...]
    special: tuple[tuple[str, str], ...]

    @property
    def values(self) -> tuple[str, ...]:
        """All values, the kept ones first."""
        return (*self.kept, *(value for value, _ in self.special))


def special(
    name: str, type_: str, written: str, kept: tuple[str, ...], *values: tuple[str, str]
) -> SpecialCase:
    """A row of the table of special values."""
    return SpecialCase(name=name, type=type_, written=written, kept=kept, special=values)


LATE = "after 294247-01-10 04:00:54.775806"
NAN, INFINITE, LATE_HOUR = "NaN", "infinity", "24:00:00"
BOUNDS = "lower bounds other than 1"

SPECIAL_CASES = (
    special("numeric_10_2", "numeric(10,2)", "DECIMAL(10,2)", ("0", "1.10"), ("NaN", NAN)),
    special("numeric_38_0", "numeric(38)", "DECIMAL(38,0)", (NINES,), ("NaN", NAN), ("NaN", NAN)),
    special("numeric_5_m3", "numeric(5,-3)", "DECIMAL(8,0)", ("1000",), ("NaN", NAN)),
    special("numeric_3_6", "numeric(3,6)", "DECIMAL(18,6)", ("0.000123",), ("NaN", NAN)),
    special("numeric_50_5", "numeric(50,5)", "DECIMAL(18,1)", ("1.5",), ("NaN", NAN)),
    special("numeric_none", "numeric", "DECIMAL(18,1)", ("0", "7.5"), ("NaN", NAN),
            ("Infinity", INFINITE), ("-Infinity", INFINITE)),
    special("numeric_only_special", "numeric", "DECIMAL(18,0)", (), ("NaN", NAN),
            ("Infinity", INFINITE)),
    special("domain_amount", "types.amount", "DECIMAL(12,2)", ("0",), ("NaN", NAN)),
    special("domain_not_null", "types.required", "DECIMAL(12,2)", ("0",), ("NaN", NAN)),
    special("date", "date", "DATE", ("5874897-12-31", "4714-11-24 BC"), ("infinity", INFINITE),
            ("-infinity", INFINITE)),
    special("timestamp", "timestamp", "TIMESTAMP",
            ("294247-01-10 04:00:54.775806", "4714-11-24 00:00:00 BC"), ("infinity", INFINITE),
            ("-infinity", INFINITE), ("294247-01-10 04:00:54.775807", LATE),
            ("294276-12-31 23:59:59.999999", LATE)),
    special("timestamp_late", "timestamp", "TIMESTAMP", ("2026-01-15",),
            ("294247-01-10 04:00:54.775807", LATE)),
    special("timestamp_latest", "timestamp", "TIMESTAMP", ("2026-01-15",),
            ("294276-12-31 23:59:59.999999", LATE)),
    special("timestamp_later", "timestamp", "TIMESTAMP", ("2026-01-15",),
            ("294247-01-10 04:00:54.775808", LATE)),
    special("timestamptz", "timestamptz", "TIMESTAMP WITH TIME ZONE",
            ("294247-01-10 04:00:54.775806+00",), ("infinity", INFINITE),
            ("294247-01-10 04:00:54.775807+00", LATE)),
    special("timestamptz_latest", "timestamptz", "TIMESTAMP WITH TIME ZONE", ("2026-01-15+00",),
            ("294276-12-31 23:59:59+00", LATE)),
    special("domain_moment", "types.moment", "TIMESTAMP WITH TIME ZONE", ("2026-01-15+00",),
            ("-infinity", INFINITE)),
    special("time", "time", "TIME", ("00:00:00", "23:59:59.999999"), ("24:00:00", LATE_HOUR)),
    special("time_0", "time(0)", "TIME", ("23:59:59",), ("24:00", LATE_HOUR)),
    special("array_numeric_8_2", "numeric(8,2)[]", "DECIMAL(8,2)[]", ("{1.10,NULL}", "{}"),
            ("{NaN,1}", NAN)),
    special("array_numeric", "numeric[]", "DECIMAL(18,1)[]", ("{1.5,NULL}",), ("{1,NaN}", NAN),
            ("{Infinity}", INFINITE)),
    special("array_amount", "types.amounts", "DECIMAL(12,2)[]", ("{1.5}",), ("{NaN}", NAN)),
    special("array_date", "date[]", "DATE[]", ("{2026-01-15,NULL}",), ("{infinity}", INFINITE)),
    special("array_timestamp", "timestamp[]", "TIMESTAMP[]", ("{2026-01-15,NULL}",),
            ("{-infinity}", INFINITE), ("{294276-12-31 23:59:59.999999}", LATE)),
    special("array_time", "time[]", "TIME[]", ("{00:00:00}",), ("{24:00:00,NULL}", LATE_HOUR)),
    special("array_bounds", "int4[]", "INTEGER[]", ("{7,8,9}",), ("[0:2]={7,8,9}", BOUNDS),
            ("[5:5]={1}", BOUNDS), ("[-1:0]={NULL,2}", BOUNDS)),
    special("array_text_bounds", "text[]", "VARCHAR[]", ("{a}",), ("[2:3]={a,NULL}", BOUNDS)),
)  # fmt: skip


def parameters(cases: tuple[Case, ...] | tuple[SpecialCase, ...]) -> list[object]:
    """The cases as pytest takes them."""
    return [pytest.param(each, id=each.name) for each in cases]
