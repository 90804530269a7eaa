"""The types of a Parquet file in text: its schema in Parquet's own notation, a column's in words.

message duckdb_schema {
  optional binary age_band (STRING);
  optional int32 referrals (INTEGER(32,true));
}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from duckwarp.files.footer import Struct

_PHYSICAL = (
    *("boolean", "int32", "int64", "int96", "float", "double", "binary"),
    "fixed_len_byte_array",
)
_FIXED_LENGTH = 7
_REPETITION = ("required", "optional", "repeated")
_CONVERTED = (
    *("UTF8", "MAP", "MAP_KEY_VALUE", "LIST", "ENUM", "DECIMAL", "DATE", "TIME_MILLIS"),
    *("TIME_MICROS", "TIMESTAMP_MILLIS", "TIMESTAMP_MICROS", "UINT_8", "UINT_16", "UINT_32"),
    *("UINT_64", "INT_8", "INT_16", "INT_32", "INT_64", "JSON", "BSON", "INTERVAL"),
)
_LIST = _CONVERTED.index("LIST")
_PLAIN = ("string", "map", "list", "enum", "date", "json", "bson", "uuid")
_INDENT = "  "
_BARE_NAME = re.compile(r"[^\s;{}()=,\"]+")
# What the notation calls otherwise than a person. The older annotations are called as the newer.
_WORDS = {
    "binary": "BYTE_ARRAY",
    "fixed_len_byte_array": "FIXED_LEN_BYTE_ARRAY",
    "UTF8": "STRING",
    **dict.fromkeys(("TIME_MILLIS", "TIME_MICROS"), "TIME"),
    **dict.fromkeys(("TIMESTAMP_MILLIS", "TIMESTAMP_MICROS"), "TIMESTAMP UTC"),
    **{f"{sign}INT_{bits}": f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
}


def schema_text(root: Struct) -> str:
    """The schema, a line for each element and the end of each group."""
    return "\n".join(["message " + _name(root) + " {", *_lines(root, _INDENT), "}"])


def _lines(group: Struct, indent: str) -> Iterator[str]:
    for element in group.children:
        physical = "group" if element.type is None else _physical(element)
        words = [_named(_REPETITION, element.repetition_type or 0), physical, _name(element)]
        annotation = _annotation(element)
        words += [f"({annotation})"] if annotation else []
        if element.children:
            yield indent + " ".join(words) + " {"
            yield from _lines(element, indent + _INDENT)
            yield indent + "}"
        else:
            yield indent + " ".join(words) + ";"


def type_text(element: Struct) -> str:
    """The type of a column in words: `STRING`, `DECIMAL(12,2)`, `LIST(INT32)`, `(INT32, DATE)`.

    Files of other writers, with older annotations, have the same words for the same types.
    """
    if element.children:
        parts = [type_text(child) for child in element.children]
        # The parts of a list are in a group of their own, in brackets already.
        is_list = element.converted_type == _LIST
        return f"LIST{parts[0]}" if is_list else f"({', '.join(parts)})"
    logical = element.logical_type
    if logical is not None and logical.integer is not None:
        return f"{'' if logical.integer.is_signed else 'U'}INT{logical.integer.bit_width}"
    if logical is not None and logical.timestamp is not None:
        return f"TIMESTAMP{' UTC' if logical.timestamp.is_adjusted_to_utc else ''}"
    if logical is not None and logical.time is not None:
        return "TIME"
    text = _annotation(element) or _named(_PHYSICAL, element.type or 0)
    return _WORDS.get(text, text.upper())


def name_text(element: Struct) -> str:
    """The name of a column, whatever its bytes are."""
    return str(element.name.decode(errors="replace"))


def _name(element: Struct) -> str:
    name = name_text(element)
    return name if _BARE_NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _physical(element: Struct) -> str:
    length = f"({element.type_length})" if element.type == _FIXED_LENGTH else ""
    return _named(_PHYSICAL, element.type) + length


def _annotation(element: Struct) -> str | None:
    if element.logical_type is not None:
        return _logical(element.logical_type)
    if element.converted_type is None:
        return None
    name = _named(_CONVERTED, element.converted_type)
    return f"DECIMAL({element.precision},{element.scale or 0})" if name == "DECIMAL" else name


def _named(names: tuple[str, ...], number: int) -> str:
    """The name that a number stands for, or that number where it is not known."""
    return names[number] if 0 <= number < len(names) else f"unknown {number}"


def _logical(logical: Struct) -> str | None:
    if logical.decimal is not None:
        return f"DECIMAL({logical.decimal.precision},{logical.decimal.scale})"
    if logical.time is not None:
        return f"TIME({_unit_and_zone(logical.time)})"
    if logical.timestamp is not None:
        return f"TIMESTAMP({_unit_and_zone(logical.timestamp)})"
    if logical.integer is not None:
        return f"INTEGER({logical.integer.bit_width},{_bool(logical.integer.is_signed)})"
    return next((name.upper() for name in _PLAIN if getattr(logical, name) is not None), None)


def _unit_and_zone(parameters: Struct) -> str:
    units = ("millis", "micros", "nanos")
    unit = next((u for u in units if getattr(parameters.unit, u, None) is not None), "unknown")
    return f"{unit.upper()},{_bool(parameters.is_adjusted_to_utc)}"


def _bool(value: bool) -> str:
    return "true" if value else "false"
