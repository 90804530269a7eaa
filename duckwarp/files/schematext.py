"""The schema of a Parquet file in Parquet's own notation, as its command line tools print it.

message duckdb_schema {
  optional binary age_band (STRING);
  optional int32 referrals (INTEGER(32,true));
}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from duckwarp.files.filemetadata import LogicalType, SchemaElement, TimeParameters

_PHYSICAL = ("boolean", "int32", "int64", "int96", "float", "double", "binary")
_FIXED_LENGTH = 7
_REPETITION = ("required", "optional", "repeated")
_CONVERTED = (
    *("UTF8", "MAP", "MAP_KEY_VALUE", "LIST", "ENUM", "DECIMAL", "DATE", "TIME_MILLIS"),
    *("TIME_MICROS", "TIMESTAMP_MILLIS", "TIMESTAMP_MICROS", "UINT_8", "UINT_16", "UINT_32"),
    *("UINT_64", "INT_8", "INT_16", "INT_32", "INT_64", "JSON", "BSON", "INTERVAL"),
)
_PLAIN = ("string", "map", "list", "enum", "date", "json", "bson", "uuid")
_INDENT = "  "
_BARE_NAME = re.compile(r"[^\s;{}()=,\"]+")


def schema_text(elements: Sequence[SchemaElement]) -> str:
    """The schema, a line for each element; `elements` are its tree, root first."""
    return "\n".join(_lines(elements))


def _lines(elements: Sequence[SchemaElement]) -> Iterator[str]:
    open_groups: list[int] = []  # how many elements each group still misses
    for place, element in enumerate(elements):
        children = element.num_children or 0
        words = _words(element, is_root=place == 0)
        is_group = place == 0 or children > 0
        yield _INDENT * len(open_groups) + " ".join(words) + (" {" if is_group else ";")
        if open_groups:
            open_groups[-1] -= 1
        if is_group:
            open_groups.append(children)
        while open_groups and open_groups[-1] == 0:
            open_groups.pop()
            yield _INDENT * len(open_groups) + "}"


def _words(element: SchemaElement, *, is_root: bool) -> Iterator[str]:
    if is_root:
        yield "message"
        yield _name(element)
        return
    yield _REPETITION[element.repetition_type or 0]
    yield "group" if element.type is None else _physical(element, element.type)
    yield _name(element)
    annotation = _annotation(element)
    if annotation:
        yield f"({annotation})"


def _name(element: SchemaElement) -> str:
    name = element.name.decode(errors="replace")
    return name if _BARE_NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _physical(element: SchemaElement, number: int) -> str:
    if number == _FIXED_LENGTH:
        return f"fixed_len_byte_array({element.type_length})"
    return _PHYSICAL[number]


def _annotation(element: SchemaElement) -> str | None:
    if element.logical_type is not None:
        return _logical(element.logical_type)
    if element.converted_type is None:
        return None
    name = _CONVERTED[element.converted_type]
    return f"DECIMAL({element.precision},{element.scale})" if name == "DECIMAL" else name


def _logical(logical: LogicalType) -> str | None:
    if logical.decimal is not None:
        return f"DECIMAL({logical.decimal.precision},{logical.decimal.scale})"
    if logical.time is not None:
        return f"TIME({_unit_and_zone(logical.time)})"
    if logical.timestamp is not None:
        return f"TIMESTAMP({_unit_and_zone(logical.timestamp)})"
    if logical.integer is not None:
        return f"INTEGER({logical.integer.bit_width},{_bool(logical.integer.is_signed)})"
    named = (name for name in _PLAIN if getattr(logical, name, None) is not None)
    return next((name.upper() for name in named), None)


def _unit_and_zone(parameters: TimeParameters) -> str:
    units = ("millis", "micros", "nanos")
    unit = next((u for u in units if getattr(parameters.unit, u, None) is not None), "unknown")
    return f"{unit.upper()},{_bool(parameters.is_adjusted_to_utc)}"


def _bool(value: bool) -> str:
    return "true" if value else "false"
