"""What a run may use of the memory: what was allowed, or a share of what is free, or it refuses."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from duckwarp.engine import memory
from duckwarp.engine.memory import (
    DEFAULT_BYTES,
    Budget,
    check_columns,
    free_memory_bytes,
    memory_budget,
)
from duckwarp.model.errors import RunError, SourceError, UsageError
from duckwarp.model.settings import MIN_MEMORY_BYTES, Settings
from duckwarp.model.sizes import parse_size, size_text

MB = 1_000_000
GB = 1000 * MB
# What version 1 has for no limit.
UNLIMITED_1 = 9_223_372_036_854_771_712


class Machine:
    """Makes the files in which the kernel tells of control groups, below a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "cgroup"
        self.root.mkdir()
        self.membership = folder / "membership"

    def is_in(self, *lines: str) -> None:
        """The groups of the process, as /proc/self/cgroup has them."""
        self.membership.write_text("".join(f"{line}\n" for line in lines))

    def group(self, path: str, limit: int | str, used: int, inactive_file: int = 0) -> None:
        """A group of version 2."""
        self._write(
            path,
            {
                "memory.max": limit,
                "memory.current": used,
                "memory.stat": f"anon 1\ninactive_file {inactive_file}\nactive_file 99999999",
            },
        )

    def group_1(self, path: str, limit: int, used: int, inactive_file: int = 0) -> None:
        """A group of version 1."""
        self._write(
            f"memory/{path}",
            {
                "memory.limit_in_bytes": limit,
                "memory.usage_in_bytes": used,
                "memory.stat": f"cache 7\ninactive_file 3\ntotal_inactive_file {inactive_file}",
            },
        )

    def _write(self, path: str, files: dict[str, int | str]) -> None:
        folder = self.root / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(f"{content}\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine without control groups."""
    made = Machine(tmp_path)
    monkeypatch.setattr(memory, "_CGROUPS", made.root)
    monkeypatch.setattr(memory, "_MEMBERSHIP", made.membership)
    return made


class TestFreeMemory:
    """The test machine has more free than the groups here."""

    def test_without_control_groups_it_is_the_machine_s(self, machine: Machine) -> None:
        assert not machine.membership.exists()
        available = psutil.virtual_memory().available
        assert free_memory_bytes() == pytest.approx(available, rel=0.2)

    def test_a_group_has_what_is_left_of_its_limit(self, machine: Machine) -> None:
        machine.is_in("0::/service")
        machine.group("service", 300 * MB, 100 * MB)
        assert free_memory_bytes() == 200 * MB

    def test_in_a_container_the_own_group_is_the_root(self, machine: Machine) -> None:
        machine.is_in("0::/")
        machine.group("", 300 * MB, 120 * MB)
        assert free_memory_bytes() == 180 * MB

    def test_a_group_around_it_may_have_less(self, machine: Machine) -> None:
        machine.is_in("0::/slice/service/scope")
        machine.group("slice", 250 * MB, 200 * MB)
        machine.group("slice/service", "max", 100 * MB)
        machine.group("slice/service/scope", 300 * MB, 100 * MB)
        assert free_memory_bytes() == 50 * MB

    def test_a_group_beside_it_does_not_matter(self, machine: Machine) -> None:
        machine.is_in("0::/slice/mine")
        machine.group("slice/mine", 300 * MB, 0)
        machine.group("slice/other", 100 * MB, 0)
        machine.group("slice/mine/below", 100 * MB, 0)
        assert free_memory_bytes() == 300 * MB

    def test_max_is_no_limit(self, machine: Machine) -> None:
        without = free_memory_bytes()
        machine.is_in("0::/service")
        machine.group("service", "max", 1)
        assert free_memory_bytes() == pytest.approx(without, rel=0.2)

    def test_files_in_the_cache_can_be_dropped(self, machine: Machine) -> None:
        machine.is_in("0::/service")
        machine.group("service", 300 * MB, 290 * MB, inactive_file=150 * MB)
        assert free_memory_bytes() == 160 * MB

    def test_a_group_beyond_its_limit_has_nothing(self, machine: Machine) -> None:
        machine.is_in("0::/service")
        machine.group("service", 300 * MB, 310 * MB)
        assert free_memory_bytes() == 0

    def test_version_1_has_other_names(self, machine: Machine) -> None:
        machine.is_in("7:cpu,cpuacct:/docker/x", "4:memory:/docker/x", "1:name=systemd:/docker/x")
        machine.group_1("docker/x", 300 * MB, 200 * MB, inactive_file=30 * MB)
        machine.group_1("docker", UNLIMITED_1, 10)
        machine.group_1("", UNLIMITED_1, 10)
        assert free_memory_bytes() == 130 * MB

    def test_version_1_in_a_container_names_a_folder_that_is_not_there(
        self, machine: Machine
    ) -> None:
        machine.is_in("4:memory:/docker/of-the-host", "0::/")
        machine.group_1("", 300 * MB, 100 * MB)
        assert free_memory_bytes() == 200 * MB

    def test_version_1_without_a_limit_has_none(self, machine: Machine) -> None:
        without = free_memory_bytes()
        machine.is_in("4:memory:/")
        machine.group_1("", UNLIMITED_1, 10)
        assert free_memory_bytes() == pytest.approx(without, rel=0.2)

    @pytest.mark.parametrize(
        "content", ["", "nonsense", "0::", "a:b", "0::/../..", "0::/\x00", "4:memory:"]
    )
    def test_what_cannot_be_read_is_no_limit(self, machine: Machine, content: str) -> None:
        machine.membership.write_text(content)
        assert free_memory_bytes() > GB


class TestBudget:
    @pytest.mark.parametrize(
        "process_bytes", [MIN_MEMORY_BYTES, 400 * MB, 512 * MB, GB, 2 * GB, 64 * GB]
    )
    def test_duckdb_gets_what_python_and_libpq_leave(self, process_bytes: int) -> None:
        got = memory_budget(Settings(memory_bytes=process_bytes))
        assert got.process_bytes == process_bytes
        left = process_bytes - got.duckdb_bytes
        assert left >= 130 * MB + process_bytes * 0.1
        assert got.duckdb_bytes >= 50 * MB

    def test_more_memory_is_more_for_duckdb(self) -> None:
        got = [
            memory_budget(Settings(memory_bytes=n * MB)).duckdb_bytes
            for n in range(MIN_MEMORY_BYTES // MB, 4000)
        ]
        assert got == sorted(got)
        assert got[-1] > 2 * GB

    @pytest.mark.parametrize(
        ("free_bytes", "want"),
        [
            pytest.param(100 * GB, DEFAULT_BYTES, id="much is free: the default"),
            pytest.param(2 * DEFAULT_BYTES, DEFAULT_BYTES, id="twice the default"),
            pytest.param(GB, GB // 2, id="half of what is free, where that is less"),
            pytest.param(2 * MIN_MEMORY_BYTES, MIN_MEMORY_BYTES, id="the least"),
        ],
    )
    def test_without_a_choice_it_is_the_default_or_half_of_what_is_free(
        self, monkeypatch: pytest.MonkeyPatch, free_bytes: int, want: int
    ) -> None:
        monkeypatch.setattr(memory, "free_memory_bytes", lambda: free_bytes)
        assert memory_budget(Settings()).process_bytes == want

    def test_a_group_s_limit_bounds_the_default(self, machine: Machine) -> None:
        machine.is_in("0::/service")
        machine.group("service", 800 * MB, 100 * MB)
        assert memory_budget(Settings()).process_bytes == 350 * MB

    def test_where_too_little_is_free_the_run_refuses_and_says_how_much_it_needs(
        self, machine: Machine
    ) -> None:
        machine.is_in("0::/service")
        machine.group("service", 2 * MIN_MEMORY_BYTES - 2 * MB, 0)
        with pytest.raises(RunError) as caught:
            memory_budget(Settings())
        assert size_text(MIN_MEMORY_BYTES - MB) in str(caught.value)
        assert f"at least {size_text(MIN_MEMORY_BYTES)}" in str(caught.value)
        assert "--memory" in str(caught.value)

    def test_what_is_allowed_is_taken_whatever_is_free(self, machine: Machine) -> None:
        machine.is_in("0::/service")
        machine.group("service", 10 * MB, 0)
        budget = memory_budget(Settings(memory_bytes=MIN_MEMORY_BYTES))
        assert isinstance(budget, Budget)
        assert budget.process_bytes == MIN_MEMORY_BYTES

    @pytest.mark.parametrize("columns", [101, 150, 400, 401, 777, 1234, 1599, 1600])
    def test_many_columns_are_refused_with_what_suffices(self, columns: int) -> None:
        with pytest.raises(SourceError) as caught:
            check_columns(columns, MIN_MEMORY_BYTES)
        said = str(caught.value)
        assert said.startswith(f"{columns:,} columns need at least --memory ")
        assert said.endswith(f", not {size_text(MIN_MEMORY_BYTES)}")
        asked = said.partition("--memory ")[2].partition(", not")[0]
        check_columns(columns, parse_size(asked))
        with pytest.raises(SourceError):
            check_columns(columns, parse_size(asked) - 2 * MB)

    @pytest.mark.parametrize("columns", [1, 15, 100])
    def test_a_usual_number_of_columns_needs_no_more_than_the_minimum(self, columns: int) -> None:
        check_columns(columns, MIN_MEMORY_BYTES)

    @pytest.mark.parametrize("memory_bytes", [MIN_MEMORY_BYTES - 1, 1, 0, -1])
    def test_less_than_the_minimum_is_refused_with_the_minimum(self, memory_bytes: int) -> None:
        with pytest.raises(UsageError) as caught:
            Settings(memory_bytes=memory_bytes)
        assert f"the minimum is {size_text(MIN_MEMORY_BYTES)}" in str(caught.value)
        assert str(caught.value).startswith("--memory ")
