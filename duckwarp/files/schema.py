"""The Arrow schema in a Parquet file's footer: what a reader should know about each column.

Readers built on Arrow find it under the key `ARROW:schema` and give each field its metadata. Its
types are those that they derive from the file without it, so that nothing is read otherwise. Text
in, text out: the key is written by the engine.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import nanoarrow as na
from nanoarrow.ipc import StreamWriter

from duckwarp.model.column import Column
from duckwarp.model.parquet_type import Kind, ParquetType
from duckwarp.model.results import Loss

ARROW_SCHEMA_KEY = "ARROW:schema"
FIELD_KEY = "duckwarp"  # of a field's metadata that are for programs

# Arrow's type of each kind, as pyarrow derives it from what DuckDB writes. UUID and JSON are given
# as what they are stored as: pyarrow 21 and later makes its own types of the file's annotations
# then, and earlier ones leave them alone, as both do without a schema.
_TYPES = {
    Kind.BOOLEAN: na.bool_(),
    Kind.SMALLINT: na.int16(),
    Kind.INTEGER: na.int32(),
    Kind.BIGINT: na.int64(),
    Kind.UINTEGER: na.uint32(),
    Kind.FLOAT: na.float32(),
    Kind.DOUBLE: na.float64(),
    Kind.VARCHAR: na.string(),
    Kind.JSON: na.string(),
    Kind.BLOB: na.binary(),
    Kind.UUID: na.fixed_size_binary(16),
    Kind.DATE: na.date32(),
    Kind.TIME: na.time64("us"),
    Kind.TIMESTAMP: na.timestamp("us"),
    Kind.TIMESTAMPTZ: na.timestamp("us", "UTC"),
}
_LIST_ELEMENT = "element"  # what DuckDB calls it
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFacts:
    """A column as its field's metadata tells it.

    `type` is what it is written as. `losses` and `note` are those of its form: what the file does
    not keep, and what a reader should know besides. `unmarked_json` says that its text is JSON and
    not marked as such.
    """

    column: Column
    type: ParquetType
    losses: tuple[Loss, ...] = ()
    note: str | None = None
    unmarked_json: bool = False


def arrow_schema(fields: Sequence[FieldFacts], footer_keys: Iterable[tuple[str, str]] = ()) -> str:
    """The text for the footer's key `ARROW:schema`: the same for the same columns and data.

    `fields` are in the file's order. `footer_keys` are the file's other keys: pyarrow, and so
    GeoPandas, looks for them in this schema as soon as there is one.

    Raises `ValueError` for a type that is not written.
    """
    fields = [_field(facts) for facts in fields]
    schema = na.Schema(na.struct(fields), metadata=dict(footer_keys) or None)
    message = io.BytesIO()
    with StreamWriter.from_writable(message) as writer:
        writer.write_stream([], schema=schema)
    return base64.b64encode(message.getvalue().removesuffix(_END_OF_STREAM)).decode("ascii")


def _field(facts: FieldFacts) -> na.Schema:
    return na.Schema(
        _arrow_type(facts.type), name=facts.column.file_name, metadata=_metadata(facts)
    )


def _arrow_type(parquet_type: ParquetType) -> na.Schema:
    if parquet_type.is_list:
        element = _arrow_type(parquet_type.element)
        # nanoarrow's own lists call it otherwise.
        named = {_LIST_ELEMENT: na.c_schema(element)}
        return na.Schema(na.c_schema(na.list_(element)).modify(children=named))
    if parquet_type.kind is Kind.DECIMAL and parquet_type.precision:
        return na.decimal128(parquet_type.precision, parquet_type.scale)
    if parquet_type.kind not in _TYPES:
        raise ValueError(f"no Arrow type is known for {parquet_type}")
    return _TYPES[parquet_type.kind]


def _metadata(facts: FieldFacts) -> dict[str, str]:
    """What is known of the column; a key without a value is left out."""
    kept = [loss.sentence for loss in facts.losses if loss.kept]
    not_kept = [loss.sentence for loss in facts.losses if not loss.kept]
    known = {
        "postgres_type": facts.column.data_type,
        "description": facts.column.description,
        "original_name": facts.column.original_name,
        "not_kept": "; ".join(not_kept),
        "note": "; ".join([*kept, *([facts.note] if facts.note else [])]),
        FIELD_KEY: _data_text(facts),
    }
    return {key: value for key, value in known.items() if value}


def _data_text(facts: FieldFacts) -> str:
    """What programs need of the words, as JSON: how many values of which kind were not kept."""
    data: dict[str, Any] = {}
    if counts := {loss.kind: loss.count for loss in facts.losses if not loss.kept}:
        data["not_kept"] = counts
    if facts.unmarked_json:
        data["unmarked_json"] = True
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")) if data else ""
