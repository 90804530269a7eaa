"""The soak finds out what it is there to find out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.soak import MAX_GROWTH_BYTES, Run, Soak
from benchmarks.soaking.checking import Reader, Unsound, checked, generation_in
from benchmarks.soaking.loading import Row, code_of, rests, row_of, rows_of

SCHEMA = pa.schema(
    [
        ("id", pa.int32()),
        ("generation", pa.int32()),
        ("amount", pa.decimal128(12, 2)),
        ("said", pa.string()),
    ]
)


def rows(number: int, generation: int) -> list[Row]:
    return [row_of(number, generation, id + 1) for id in range(rows_of(number, generation))]


def publish(folder: Path, number: int, generation: int, given: list[Row] | None = None) -> Path:
    """The pair of a source, whole unless other rows are given."""
    written = rows(number, generation) if given is None else given
    path = folder / f"{code_of(number)}.parquet"
    pq.write_table(pa.Table.from_pylist([row._asdict() for row in written], SCHEMA), path)
    path.with_suffix(".md").write_text(f"Rows: {len(written)}")
    return path


def exported(*numbers: int) -> dict[str, str]:
    return {code_of(number): "exported" for number in numbers}


class TestAFile:
    def test_is_of_a_generation(self, tmp_path: Path) -> None:
        assert generation_in(publish(tmp_path, 3, 7)) == 7

    @pytest.mark.parametrize(
        "spoilt",
        [
            pytest.param(lambda good: [*good[:-1], row_of(3, 8, len(good))], id="two commits"),
            pytest.param(lambda good: good[:-1], id="a row too few"),
            pytest.param(lambda good: [*good, good[-1]], id="a row twice"),
            pytest.param(lambda good: good[::-1], id="another order"),
            pytest.param(lambda good: [good[0]._replace(said="x"), *good[1:]], id="a value"),
            pytest.param(lambda good: good[:0], id="no rows"),
        ],
    )
    def test_that_is_not_whole_is_noticed(
        self, spoilt: Callable[[list[Row]], list[Row]], tmp_path: Path
    ) -> None:
        path = publish(tmp_path, 3, 7, spoilt(rows(3, 7)))
        with pytest.raises(Unsound):
            generation_in(path)

    def test_that_is_cut_short_is_noticed(self, tmp_path: Path) -> None:
        path = publish(tmp_path, 3, 7)
        path.write_bytes(path.read_bytes()[:-10])
        with pytest.raises(Unsound, match="cannot be read"):
            generation_in(path)


class TestAFolder:
    def test_of_one_commit_is_sound(self, tmp_path: Path) -> None:
        for number in (0, 1):
            publish(tmp_path, number, 5)
        found = checked(tmp_path, exported(0, 1), {})
        assert found.run_generation == 5
        assert found.generations == {code_of(0): 5, code_of(1): 5}

    def test_of_two_commits_is_not(self, tmp_path: Path) -> None:
        publish(tmp_path, 0, 5)
        publish(tmp_path, 1, 6)
        with pytest.raises(Unsound, match="no common commit"):
            checked(tmp_path, exported(0, 1), {})

    def test_may_have_a_table_that_rested_in_the_commit(self, tmp_path: Path) -> None:
        assert rests(2, 6)
        publish(tmp_path, 1, 6)
        publish(tmp_path, 2, 5)
        assert checked(tmp_path, exported(1, 2), {}).run_generation == 6
        publish(tmp_path, 1, 7)
        with pytest.raises(Unsound, match="no common commit"):
            checked(tmp_path, exported(1, 2), {})

    def test_may_have_an_older_file_of_a_source_that_failed(self, tmp_path: Path) -> None:
        publish(tmp_path, 0, 5)
        publish(tmp_path, 1, 6)
        states = exported(1) | {code_of(0): "failed"}
        assert checked(tmp_path, states, {code_of(0): 5}).run_generation == 6
        with pytest.raises(Unsound, match="has changed all the same"):
            checked(tmp_path, states, {code_of(0): 4})

    @pytest.mark.parametrize("left", [".duckwarp", "tmp_soak_00.parquet", "soak_01.md"])
    def test_with_something_left_is_not_sound(self, left: str, tmp_path: Path) -> None:
        publish(tmp_path, 0, 5)
        (tmp_path / left).touch()
        with pytest.raises(Unsound, match="unexpected"):
            checked(tmp_path, exported(0), {})

    def test_with_another_dictionary_is_not(self, tmp_path: Path) -> None:
        publish(tmp_path, 0, 5).with_suffix(".md").write_text("Rows: 1")
        with pytest.raises(Unsound, match="does not say"):
            checked(tmp_path, exported(0), {})

    def test_is_read_meanwhile(self, tmp_path: Path) -> None:
        publish(tmp_path, 0, 5, [])
        with Reader(folder=tmp_path) as reader:
            while not reader.reads:
                pass
        assert reader.faults


@pytest.mark.parametrize("sha256", ["right", "wrong"])
def test_a_catalog_that_names_another_file_is_noticed(sha256: str, tmp_path: Path) -> None:
    path = publish(tmp_path, 0, 5)
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    row = {"source_code": code_of(0), "row_count": rows_of(0, 5)}
    row["sha256"] = right if sha256 == "right" else "0" * 64
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "catalog.parquet")
    with Reader(folder=tmp_path) as reader:
        while not reader.reads:
            pass
    assert bool(reader.faults) is (sha256 == "wrong")
    if sha256 == "wrong":
        with pytest.raises(Unsound, match="describes another"):
            checked(tmp_path, exported(0), {})
    else:
        assert checked(tmp_path, exported(0), {}).run_generation == 5


def soak(*memory: int, **more: int) -> Soak:
    """Runs that were well but for what is given."""
    runs = [
        Run(states={}, reasons=(), seconds=1.0, memory_bytes=each, generation=number, **more)
        for number, each in enumerate(memory)
    ]
    return Soak(name="api", runs=runs)


class TestGrowth:
    def test_none_is_well(self) -> None:
        assert soak(*[100_000_000] * 20).faults() == []

    def test_of_memory_is_a_fault_once_all_is_warm(self) -> None:
        assert soak(1, *[100_000_000] * 19).faults() == []
        growing = [100_000_000 + number * MAX_GROWTH_BYTES // 10 for number in range(20)]
        assert "memory has grown" in soak(*growing).faults()[0]

    def test_connections_that_were_left_are_a_fault(self) -> None:
        assert soak(*[1] * 20, connections=1).faults() == ["api: connections were left"]

    def test_descriptors_and_threads_are_counted(self) -> None:
        runs = [
            Run(
                states={},
                reasons=(),
                seconds=1.0,
                memory_bytes=1,
                generation=number,
                descriptors=number // 5,
                threads=number // 5,
            )
            for number in range(20)
        ]
        assert len(Soak(name="api", runs=runs).faults()) == 2
