"""A file's schema in Parquet's notation, from files of two writers."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from duckwarp.files.facts import read_facts
from tests.files.test_facts import write

BY_DUCKDB = """\
message duckdb_schema {
  optional boolean b;
  optional int32 s (INT_16);
  optional int32 u (UINT_32);
  optional float r;
  optional binary t (UTF8);
  optional int64 n (DECIMAL(12,2));
  optional int32 d (DATE);
  optional int64 m (TIMESTAMP(MICROS,false));
  optional int64 z (TIMESTAMP(MICROS,true));
  optional group l (LIST) {
    repeated group list {
      optional int32 element (INT_32);
    }
  }
  optional binary "a b; }" ;
}"""
BY_PYARROW = """\
message schema {
  required int32 i (INTEGER(8,true));
  optional binary t (STRING);
  optional fixed_len_byte_array(16) n (DECIMAL(38,1));
  optional int64 o (TIME(MICROS,false));
  required group l (LIST) {
    repeated group list {
      optional binary element (STRING);
    }
  }
}"""


def test_what_duckdb_writes(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.parquet",
        "SELECT true AS b, 1::SMALLINT AS s, 1::UINTEGER AS u, 1::FLOAT AS r, 'x' AS t, "
        "1::DECIMAL(12,2) AS n, DATE '2024-01-01' AS d, TIMESTAMP '2024-01-01' AS m, "
        "TIMESTAMPTZ '2024-01-01 00:00:00+00' AS z, [1] AS l, ''::BLOB AS \"a b; }\"",
    )
    assert read_facts(path).schema == BY_DUCKDB.replace(" ;", ";")


def test_what_pyarrow_writes(tmp_path: Path) -> None:
    schema = pa.schema(
        [
            pa.field("i", pa.int8(), nullable=False),
            pa.field("t", pa.string()),
            pa.field("n", pa.decimal128(38, 1)),
            pa.field("o", pa.time64("us")),
            pa.field("l", pa.list_(pa.string()), nullable=False),
        ]
    )
    path = tmp_path / "t.parquet"
    pq.write_table(schema.empty_table(), path)
    assert read_facts(path).schema == BY_PYARROW
