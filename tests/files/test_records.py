"""Small tables: what is written reads back, by the engine and by others."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from duckwarp.files.records import read_records, write_records

COLUMNS = {
    "code": "VARCHAR",
    "at": "TIMESTAMP WITH TIME ZONE",
    "words": "VARCHAR[]",
    "parts": 'STRUCT("min" VARCHAR, "count" BIGINT)[]',
}
MARK = ("duckwarp", '{"kind": "a test\'s"}')
AT = datetime(2024, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
RECORDS: list[dict[str, Any]] = [
    {
        "code": "z \"quoted\" 'so' \\ \n \u202e ü 😀",
        "at": AT.isoformat(),
        "words": ["a", ""],
        "parts": [{"min": "1", "count": 2**62}, {"min": None, "count": None}],
    },
    {"code": "", "at": None, "words": [], "parts": []},
]


@pytest.mark.parametrize("name", ["t.parquet", "odd [1]*?'.parquet"])
def test_records_read_back_in_their_order(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_records(path, RECORDS, COLUMNS, MARK)
    [first, second] = read_records(path, COLUMNS, MARK)
    microseconds = (AT - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000
    assert first == RECORDS[0] | {"at": pytest.approx(microseconds, abs=0.1)}
    assert second == RECORDS[1]
    assert [found.name for found in tmp_path.iterdir()] == [name]


def test_others_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_records(path, RECORDS, COLUMNS, MARK)
    with path.open("rb") as file:
        rows = pq.read_table(file).to_pylist()
    assert rows == [RECORDS[0] | {"at": AT}, RECORDS[1]]


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        write_records(tmp_path / name, iter(RECORDS), COLUMNS, MARK)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_no_records_are_a_table_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_records(path, [], COLUMNS, MARK)
    assert read_records(path, COLUMNS, MARK) == []
    assert pq.read_schema(path).names == list(COLUMNS)


def test_a_record_may_be_long(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    long = {"code": "ü" * 2_000_000, "at": None, "words": [], "parts": []}
    write_records(path, [long], COLUMNS, MARK)
    assert read_records(path, COLUMNS, MARK) == [long]


@pytest.mark.parametrize(
    "select",
    [
        pytest.param("SELECT 1 AS code", id="other columns"),
        pytest.param(
            "SELECT '' AS code, NULL::TIMESTAMPTZ AS at, ['a'] AS words, "
            "[{'min': '', 'count': 1}] AS parts",
            id="another type inside",
        ),
        pytest.param(
            "SELECT '' AS code, NULL::TIMESTAMPTZ AS at, ['a'] AS words, "
            "[{'min': '', 'count': 1::BIGINT}] AS parts",
            id="no mark",
        ),
    ],
)
def test_a_file_of_other_making_is_refused(tmp_path: Path, select: str) -> None:
    path = tmp_path / "t.parquet"
    duckdb.sql(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    with pytest.raises(ValueError, match="not of this version of duckwarp's making"):
        read_records(path, COLUMNS, MARK)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"nonsense" * 100])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read"):
        read_records(path, COLUMNS, MARK)


def test_a_file_that_is_not_there_is_another_matter(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_records(tmp_path / "t.parquet", COLUMNS, MARK)


def test_neither_pandas_nor_pyarrow_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; "
        "from duckwarp.files.records import read_records, write_records; "
        f"path = Path({str(tmp_path / 't.parquet')!r}); mark = ('k', 'v'); "
        "columns = {'a': 'TIMESTAMP WITH TIME ZONE', 'b': 'STRUCT(c VARCHAR)[]'}; "
        "write_records(path, [{'a': '2024-01-01T00:00:00+00:00', 'b': []}], columns, mark); "
        "assert len(read_records(path, columns, mark)) == 1; "
        "assert not {'pandas', 'numpy', 'pyarrow'} & set(sys.modules), set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
