"""Small tables as Parquet files, written from plain data and read back, with a DuckDB of their own.

The engine of a run may be closed by then, and its memory is not to be held up. Rows travel as JSON
lines: values that are bound as parameters would import NumPy and pandas.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from duckwarp.files.opening import check_readable
from duckwarp.files.quoting import file_pattern, identifier, literal
from duckwarp.model.filenames import utf8_path

_MOMENT = "TIMESTAMP WITH TIME ZONE"
_LEAST_OBJECT_BYTES = 1 << 16  # DuckDB's buffers have room for two objects of this size
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_persistent_secrets": False,
}


def write_records(
    path: Path,
    records: Iterable[Mapping[str, Any]],
    columns: Mapping[str, str],
    mark: tuple[str, str],
) -> None:
    """Write `records` to `path`, in their order, as a table of `columns` (name → DuckDB's type).

    Moments are text in ISO 8601. `mark` is a key of the footer and its text. The same records give
    the same bytes. A file beside `path` is written and removed on the way. Raises `OSError`.
    """
    lines = [json.dumps(record, ensure_ascii=False).encode() for record in records]
    texts = path.with_name(f"{path.name}.json")
    try:
        texts.write_bytes(b"\n".join(lines))
        longest = max([_LEAST_OBJECT_BYTES, *(len(line) + 1 for line in lines)])
        read_as = {c: "VARCHAR" if kind == _MOMENT else kind for c, kind in columns.items()}
        kinds = ", ".join(f"{identifier(c)}: {literal(kind)}" for c, kind in read_as.items())
        selected = ", ".join(
            f"{identifier(c)}::{kind} AS {identifier(c)}" for c, kind in columns.items()
        )
        rows = (
            f"read_json({file_pattern(texts)}, format = 'newline_delimited', "
            f"columns = {{{kinds}}}, maximum_object_size = {longest})"
        )
        key, text = mark
        with closing(duckdb.connect(":memory:", config=_SETTINGS)) as connection:
            connection.execute(
                f"COPY (SELECT {selected} FROM {rows}) TO {literal(utf8_path(path))} "
                f"(FORMAT parquet, KV_METADATA {{{identifier(key)}: {literal(text)}}})"
            )
    except duckdb.Error as error:
        full = os.strerror(errno.ENOSPC) in str(error)
        reason = os.strerror(errno.ENOSPC) if full else str(error).splitlines()[0]
        raise OSError(errno.ENOSPC if full else errno.EIO, reason, str(path)) from error
    finally:
        texts.unlink(missing_ok=True)


def read_records(
    path: Path, columns: Mapping[str, str], mark: tuple[str, str]
) -> list[dict[str, Any]]:
    """The rows of a file that `write_records` has written, in its order.

    Moments are microseconds since 1970. Raises `ValueError` for a file that has not these columns
    and this mark, or cannot be read, and `OSError` where there is none.
    """
    check_readable(path)
    source = f"read_parquet({file_pattern(path)}, hive_partitioning = false)"
    key, text = mark
    try:
        with closing(duckdb.connect(":memory:", config=_SETTINGS)) as connection:
            marked = connection.execute(
                f"SELECT count(*) FROM parquet_kv_metadata({file_pattern(path)}) "
                f"WHERE key = {literal(key)}::BLOB AND value = {literal(text)}::BLOB"
            ).fetchone()
            typed = ", ".join(f"NULL::{kind} AS {identifier(c)}" for c, kind in columns.items())
            wanted, found = (
                [row[:2] for row in connection.execute(f"DESCRIBE SELECT {described}").fetchall()]
                for described in (typed, f"* FROM {source}")
            )
            if marked != (1,) or found != wanted:
                raise ValueError("it is not of this version of duckwarp's making")
            selected = ", ".join(map(_read, columns, columns.values()))
            rows = connection.execute(f"SELECT {selected} FROM {source}").fetchall()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"it cannot be read ({reason})") from error
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _read(column: str, kind: str) -> str:
    # As a moment it would need a library for time zones.
    return f"epoch_us({identifier(column)})" if kind == _MOMENT else identifier(column)
