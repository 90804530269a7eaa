"""How each column is compared: PostgreSQL's own text of its values, and the same of the file's.

PostgreSQL's side is what its output functions give; where the export writes something else by
design (to_json, well-known binary, a number without the zeros of its scale), the same is asked of
the table. docs/verify.md lists those types.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from duckwarp.engine import geo, numbers
from duckwarp.engine.measure import ELEMENT_ALIAS, LOWER_BOUNDS_LOST, is_numeric, reference
from duckwarp.engine.measure import specials_of as special_kinds
from duckwarp.engine.types import COMPOSITE, filled, rule_for
from duckwarp.model.column import Column
from duckwarp.model.parquet_type import FLOATS, INTEGERS, Kind
from duckwarp.model.pg_type import PgType, ServerTraits
from duckwarp.verify.contents import FileColumn
from duckwarp.verify.filetext import text_in_duckdb

# Built-in types whose values compare alike on both sides, with the file's types that hold them.
_TYPED = {
    "int2": INTEGERS,
    "int4": INTEGERS,
    "int8": INTEGERS,
    "oid": INTEGERS,
    "float4": {Kind.FLOAT},
    "float8": {Kind.DOUBLE},
    "date": {Kind.DATE},
    "timestamp": {Kind.TIMESTAMP},
    "timestamptz": {Kind.TIMESTAMPTZ},
    "time": {Kind.TIME},
}
_MOMENTS = frozenset({"date", "timestamp", "timestamptz", "time"})
# Types whose cast to text is their output function, and quicker to ask for.
_CAST_TO_TEXT = frozenset({*_TYPED, "numeric", "timetz", "interval", "uuid", "json", "jsonb"})
_BOUNDS = r"^\[[^=]*\]="
# Since 15 the type "char" is written as the export writes it; before, as a byte.
_ESCAPED_CHAR_SINCE = 150000
_TRIM_SCALE_SINCE = 130000


class Order(Enum):
    """What the values of a column are compared as, where the least and the greatest are told."""

    NUMBER = "number"
    MOMENT = "moment"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One column that the table and the file both have.

    `value` is PostgreSQL's expression over the relation, `text` a template over that value `{v}`
    for its text, and `file_text` DuckDB's over the file's value `{d}`. `special` is the predicate
    over `{v}` of values that the file says it could not keep, None where it kept all. `is_float`
    says that there are two zeros.
    """

    name: str
    value: str
    text: str
    file_text: str
    order: Order
    special: str | None = None
    is_float: bool = False

    @property
    def kept_text(self) -> str:
        """The text of a value, or NULL of one that the file could not keep."""
        if self.special is None:
            return self.text
        return f"CASE WHEN {self.special} THEN NULL ELSE {self.text} END"


def comparison(column: Column, file: FileColumn, traits: ServerTraits) -> Comparison:
    """How `column` of the table is compared with the file's column of the same name."""
    pg_type, typmod = column.pg_type.resolved(column.typmod)
    source = reference(column, pg_type)
    kind = Kind.OTHER if file.type.is_list else file.type.kind
    if kind is Kind.DECIMAL and is_numeric(pg_type):
        return _number(column, file, traits)
    if pg_type.builtin and pg_type.kind == "base" and kind in _TYPED.get(pg_type.name, ()):
        return Comparison(
            name=column.file_name,
            value=source,
            text="{v}::pg_catalog.text",
            file_text=text_in_duckdb(file.type),
            order=Order.MOMENT if pg_type.name in _MOMENTS else Order.NUMBER,
            special=_not_kept(file, pg_type, typmod, traits, "{v}"),
            is_float=kind in FLOATS,
        )
    if pg_type.kind == "array":
        text = _array_text(pg_type, typmod, source, file, traits)
    else:
        text = _scalar_text(pg_type, source, file, traits)
    return Comparison(
        name=column.file_name,
        value=f'({text}) COLLATE "C"',
        text="{v}",
        file_text=text_in_duckdb(file.type),
        order=Order.TEXT,
    )


def _number(column: Column, file: FileColumn, traits: ServerTraits) -> Comparison:
    """A DECIMAL: as it is declared, or without the zeros that its scale adds or leaves out."""
    pg_type, typmod = column.pg_type.resolved(column.typmod)
    source = reference(column, pg_type)
    declared = numbers.declares(pg_type, typmod, file.type)
    return Comparison(
        name=column.file_name,
        value=_plain_number(pg_type, source),
        text="{v}::pg_catalog.text" if declared else _trimmed("{v}", traits),
        file_text=text_in_duckdb(file.type, all_digits=declared),
        order=Order.NUMBER,
        special=_not_kept(file, pg_type, typmod, traits, "{v}"),
    )


def _plain_number(pg_type: PgType, source: str) -> str:
    """Money as a number: its text is a matter of the database's locale."""
    return f"{source}::pg_catalog.numeric" if pg_type.name == "money" else source


def _trimmed(number: str, traits: ServerTraits) -> str:
    if traits.version >= _TRIM_SCALE_SINCE:
        return f"pg_catalog.trim_scale({number})::pg_catalog.text"
    text = f"{number}::pg_catalog.text"
    short = f"pg_catalog.rtrim(pg_catalog.rtrim({text}, '0'), '.')"
    return f"CASE WHEN pg_catalog.strpos({text}, '.') > 0 THEN {short} ELSE {text} END"


def _not_kept(
    file: FileColumn, pg_type: PgType, typmod: int, traits: ServerTraits, value: str
) -> str | None:
    """The predicate of what the file says that it has NULL for."""
    found = [
        special.predicate.replace("{c}", value)
        for special in special_kinds(pg_type, typmod, traits)
        if file.has_lost(special.kind)
    ]
    return " OR ".join(found) or None


def _own_text(expression: str) -> str:
    """PostgreSQL's own text of a value of any type: `concat` calls its output function.

    A composite of NULLs alone IS NULL, and is not the same as NULL.
    """
    return f"CASE WHEN {expression} IS DISTINCT FROM NULL THEN pg_catalog.concat({expression}) END"


def _scalar_text(pg_type: PgType, source: str, file: FileColumn, traits: ServerTraits) -> str:
    if _is_as_exported(pg_type, file, traits):
        exported = filled(_template(pg_type), pg_type, source)
        return _own_text(f"({exported})") if geo.is_geo(pg_type) else exported
    if pg_type.builtin and pg_type.name in ("text", "varchar"):
        return source
    if pg_type.builtin and (pg_type.name in _CAST_TO_TEXT or pg_type.name == "bool"):
        return f"{source}::pg_catalog.text"
    return _own_text(source)


def _is_as_exported(pg_type: PgType, file: FileColumn, traits: ServerTraits) -> bool:
    """Whether the file has, by design, something else than PostgreSQL's own text."""
    if pg_type.kind == "composite":
        return not pg_type.has_json_cast
    if pg_type.extension == "hstore":
        return pg_type.name == "hstore"
    if geo.is_geo(pg_type):
        return file.type.kind is Kind.BLOB
    return pg_type.builtin and pg_type.name == "char" and traits.version < _ESCAPED_CHAR_SINCE


def _template(pg_type: PgType) -> str:
    return COMPOSITE.template if pg_type.kind == "composite" else rule_for(pg_type).template


def _array_text(
    array: PgType, typmod: int, source: str, file: FileColumn, traits: ServerTraits
) -> str:
    assert array.element is not None
    element, element_typmod = array.element.resolved(typmod)
    if not file.type.is_list:
        if file.type.kind is not Kind.JSON and not file.unmarked_json:
            return _own_text(source)
        is_money = element.builtin and element.name == "money"
        plain = f"{source}::pg_catalog.numeric[]" if is_money else source
        return filled(COMPOSITE.template, array, plain)
    text = _element_text(element, element_typmod, file, traits)
    if text is None:
        own = _own_text(source)
        plain = f"pg_catalog.regexp_replace(({own}) COLLATE \"C\", '{_BOUNDS}', '')"
        return plain if file.has_lost(LOWER_BOUNDS_LOST) else own
    return (
        f"CASE WHEN {source} IS NOT NULL THEN pg_catalog.concat(ARRAY(SELECT {text} "
        f"FROM pg_catalog.unnest({source}) WITH ORDINALITY AS u({ELEMENT_ALIAS}, o) "
        "ORDER BY u.o)) END"
    )


def _element_text(
    element: PgType, typmod: int, file: FileColumn, traits: ServerTraits
) -> str | None:
    """PostgreSQL's text of an element, None where that of the whole array has it already.

    The delimiter of arrays of boxes, and perhaps of an extension's types, is not a comma.
    """
    if is_numeric(element) and file.type.kind is Kind.DECIMAL:
        text = _trimmed(_plain_number(element, ELEMENT_ALIAS), traits)
    elif _is_as_exported(element, file, traits) or element.kind == "composite":
        text = _scalar_text(element, ELEMENT_ALIAS, file, traits)
    elif element.kind == "base" and (not element.builtin or element.name == "box"):
        text = _own_text(ELEMENT_ALIAS)
    else:
        text = None
    special = _not_kept(file, element, typmod, traits, ELEMENT_ALIAS)
    if special is None:
        return text
    return f"CASE WHEN {special} THEN NULL ELSE {text or _own_text(ELEMENT_ALIAS)} END"
