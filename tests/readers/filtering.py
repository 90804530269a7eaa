"""How each reader is asked for rows: conditions in its own words, on values as Python has them."""

from __future__ import annotations

import datetime
import operator
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from docs.reading import READERS, Reader
from tests.readers.opening import evaluated
from tests.readers.questions import Filtered, Question

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


class NoSuchQuestion(Exception):
    """The reader has no words for the question."""


def rows_found(
    reader: Reader, path: Path, each: Filtered, question: Question, way: str = ""
) -> list[int]:
    """The numbers of the rows that a reader finds, in order.

    It is asked by the documentation's code, or by its `way` around. Raises what the reader raises,
    and `NoSuchQuestion`.
    """
    evaluated(reader, "path", path)  # Spark has to be there before there are conditions
    if question.operator == "JOIN":
        frame = evaluated(
            reader, _JOINS[reader.key], path, column=question.column, rows=list(question.operands)
        )
    else:
        operands = _operands(path, question, plain=bool(way))
        condition = _CONDITIONS[reader.key](each, question, operands)
        frame = evaluated(reader, way or reader.filtered, path, condition=condition)
    # A join finds a row once for each key, of which two may be equal.
    return sorted(set(_NUMBERS.get(reader.key, _by_column)(frame)))


def _operands(path: Path, question: Question, *, plain: bool) -> list[pa.Scalar]:
    """The values in these rows; `plain` has them as they are stored, without Arrow's own types."""
    column = pq.read_table(path, columns=[question.column], arrow_extensions_enabled=not plain)[
        question.column
    ]
    return [column[row] for row in question.operands]


# --- Conditions that are expressions of Python ---------------------------------------------------


def _expressed(
    question: Question,
    field: Any,
    values: Sequence[Any],
    *,
    among: str = "is_in",
    null: str = "is_null",
) -> Any:
    if question.operator == "IS NULL":
        return getattr(field, null)()
    if question.operator == "IN":
        return getattr(field, among)(list(values))
    if question.operator == "BETWEEN":
        return (field >= values[0]) & (field <= values[1])
    return _OPERATORS[question.operator](field, values[0])


def _for_arrow(each: Filtered, question: Question, operands: Sequence[pa.Scalar]) -> Any:
    import pyarrow.compute as pc

    if question.operator == "IN":
        return pc.field(question.column).isin(pa.array(operands, operands[0].type))
    return _expressed(question, pc.field(question.column), operands)


def _for_polars(each: Filtered, question: Question, operands: Sequence[pa.Scalar]) -> Any:
    import polars as pl

    values = [_python(each, operand) for operand in operands]
    return _expressed(question, pl.col(question.column), values)


def _for_daft(each: Filtered, question: Question, operands: Sequence[pa.Scalar]) -> Any:
    import daft

    values = [_python(each, operand) for operand in operands]
    return _expressed(question, daft.col(question.column), values)


def _for_datafusion(each: Filtered, question: Question, operands: Sequence[pa.Scalar]) -> Any:
    from datafusion import col, functions, lit

    values = [lit(getattr(operand, "value", operand) if each.written == "UUID" else operand)
              for operand in operands]  # fmt: skip
    if question.operator == "IN":
        return functions.in_list(col(question.column), values)
    return _expressed(question, col(question.column), values)


def _for_spark(each: Filtered, question: Question, operands: Sequence[pa.Scalar]) -> Any:
    from pyspark.sql import functions

    def literal(operand: pa.Scalar) -> Any:
        value = _python(each, operand)
        if isinstance(value, datetime.datetime):
            kind = "TIMESTAMP" if value.tzinfo else "TIMESTAMP_NTZ"
            return functions.expr(f"{kind}'{value.isoformat(sep=' ')}'")
        return functions.lit(value)

    values = [literal(operand) for operand in operands]
    return _expressed(question, functions.col(question.column), values, among="isin", null="isNull")


def _python(each: Filtered, operand: pa.Scalar) -> Any:
    value = operand.as_py()
    return value.bytes if isinstance(value, uuid.UUID) else value


# --- Conditions that are lists of what has to hold -----------------------------------------------


def _for_pandas(each: Filtered, question: Question, operands: Sequence[pa.Scalar]) -> Any:
    if question.operator == "IS NULL":
        return _for_arrow(each, question, operands)
    return _listed(question, operands)


def _for_fastparquet(each: Filtered, question: Question, operands: Sequence[pa.Scalar]) -> Any:
    # What is in one inner list has to hold together.
    return [_listed(question, [_for_numpy(_python(each, operand)) for operand in operands])]


def _for_numpy(value: Any) -> Any:
    import pandas as pd

    if isinstance(value, datetime.datetime):
        return pd.Timestamp(value.replace(tzinfo=None))
    if isinstance(value, datetime.time):
        return pd.Timedelta(value.isoformat())
    if isinstance(value, datetime.date):
        return pd.Timestamp(value)
    return float(value) if isinstance(value, Decimal) else value


def _listed(question: Question, values: Sequence[Any]) -> list[tuple[str, str, Any]]:
    column = question.column
    if question.operator == "IS NULL":
        raise NoSuchQuestion
    if question.operator == "IN":
        return [(column, "in", list(values))]
    if question.operator == "BETWEEN":
        return [(column, ">=", values[0]), (column, "<=", values[1])]
    name = {"=": "==", "<>": "!="}.get(question.operator, question.operator)
    return [(column, name, values[0])]


# --- Conditions that are text ---------------------------------------------------------------------


def _for_duckdb(each: Filtered, question: Question, operands: Sequence[pa.Scalar]) -> str:
    def literal(operand: pa.Scalar) -> str:
        value = operand.as_py()
        if isinstance(value, bytes):
            return f"from_hex('{value.hex()}')"
        text = value if isinstance(value, str) else str(value)
        return "'" + text.replace("'", "''") + f"'::{each.written}"

    return _written(question, [literal(operand) for operand in operands])


def _for_chdb(each: Filtered, question: Question, operands: Sequence[pa.Scalar]) -> str:
    return _written(question, [_of_clickhouse(operand.as_py(), each) for operand in operands])


def _of_clickhouse(value: Any, each: Filtered) -> str:
    if isinstance(value, datetime.time):
        value = datetime.datetime.combine(datetime.date(1970, 1, 1), value)
    match value:
        case bytes():
            text = f"unhex('{value.hex()}')"
        case Decimal():
            scale = each.written.rpartition(",")[2].rstrip(")")
            text = f"toDecimal128('{value:f}', {scale})"
        case uuid.UUID():
            text = f"toUUID('{value}')"
        case datetime.datetime():
            moment = value.replace(tzinfo=None).isoformat(sep=" ")
            text = f"toDateTime64('{moment}', 6, 'UTC')"
        case datetime.date():
            text = f"toDate32('{value.isoformat()}')"
        case str():
            text = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        case _:
            text = f"toFloat32({value!r})" if each.written == "FLOAT" else repr(value)
    return text


def _written(question: Question, values: Sequence[str]) -> str:
    column = question.column
    if question.operator == "IN":
        return f"{column} IN ({', '.join(values)})"
    return f"{column} {question.operator} {' AND '.join(values)}"


_CONDITIONS: dict[str, Callable[[Filtered, Question, Sequence[pa.Scalar]], Any]] = {
    "pyarrow": _for_arrow,
    "pandas": _for_pandas,
    "pandas-arrow": _for_pandas,
    "polars": _for_polars,
    "duckdb": _for_duckdb,
    "datafusion": _for_datafusion,
    "daft": _for_daft,
    "chdb": _for_chdb,
    "spark": _for_spark,
    "fastparquet": _for_fastparquet,
}

# A file joined with some `rows` of its own, by a `column`: no value need be told.
_JOINS = {
    "pyarrow": "keys = pq.read_table(path, columns=[column], filters=[('n', 'in', rows)])\n"
    "pq.read_table(path).join(keys, column, join_type='left semi')",
    "pandas": "keys = pd.read_parquet(path, columns=[column], filters=[('n', 'in', rows)])\n"
    "pd.read_parquet(path).merge(keys, on=column)",
    "pandas-arrow": "more = {'dtype_backend': 'pyarrow'}\n"
    "keys = pd.read_parquet(path, columns=[column], filters=[('n', 'in', rows)], **more)\n"
    "pd.read_parquet(path, **more).merge(keys, on=column)",
    "polars": "keys = pl.scan_parquet(path).filter(pl.col('n').is_in(rows)).select(column)\n"
    "pl.scan_parquet(path).join(keys, on=column, how='semi').collect()",
    "duckdb": "file = f'read_parquet({path!r})'\n"
    "keys = f'SELECT {column} FROM {file} WHERE n IN {(*rows, -1)}'\n"
    "duckdb.sql(f'SELECT a.n FROM {file} AS a JOIN ({keys}) AS b USING ({column})')",
    "datafusion": "from datafusion import col, functions, lit\n"
    "file = SessionContext().read_parquet(path)\n"
    "keys = file.filter(functions.in_list(col('n'), [lit(row) for row in rows])).select(column)\n"
    "file.join(keys, on=column, how='semi')",
    "daft": "file = daft.read_parquet(path)\n"
    "keys = file.where(file['n'].is_in(rows)).select(column)\n"
    "file.join(keys, on=column, how='semi')",
    "chdb": "file = f'file({path!r}, Parquet)'\n"
    "keys = f'SELECT {column} FROM {file} WHERE n IN {(*rows, -1)}'\n"
    "query(f'SELECT a.n AS n FROM {file} AS a JOIN ({keys}) AS b USING ({column})')",
    "spark": "file = spark.read.parquet(path)\n"
    "keys = file.filter(file['n'].isin(rows)).select(column)\n"
    "file.join(keys, on=column, how='left_semi')",
    "fastparquet": "file = fastparquet.ParquetFile(path)\n"
    "keys = file.to_pandas(filters=[('n', 'in', rows)])\n"
    "file.to_pandas().merge(keys[keys.n.isin(rows)][[column]], on=column)",
}
assert set(_CONDITIONS) == set(_JOINS) == {reader.key for reader in READERS}


def _by_column(frame: Any) -> list[int]:
    return [int(n) for n in frame["n"].to_list()]


def missed(
    reader: Reader, question: Question, found: Sequence[int], right: Sequence[int]
) -> tuple[int, int]:
    """How many rows a reader does not find, and how many it finds that it should not."""
    skips_only = reader.skips_only and question.operator != "JOIN"
    more = 0 if skips_only else len(set(found) - set(right))
    return len(set(right) - set(found)), more


_NUMBERS: dict[str, Callable[[Any], list[int]]] = {
    "pyarrow": lambda table: table["n"].to_pylist(),
    "duckdb": lambda relation: [row[0] for row in relation.project("n").fetchall()],
    "datafusion": lambda frame: frame.select("n").to_arrow_table()["n"].to_pylist(),
    "daft": lambda frame: frame.select("n").to_pydict()["n"],
    "chdb": lambda lines: [int(line.strip("[]")) for line in lines.bytes().decode().split()[2:]],
    "spark": lambda frame: [row["n"] for row in frame.select("n").collect()],
}
