"""docs/catalog.md is true: its columns, its commands and its Python."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from duckwarp.catalog.rows import COLUMNS
from duckwarp.cli.app import main
from duckwarp.model.source import Selection
from tests.runs import export

PAGE = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text(encoding="utf-8")
COMMANDS = [line.removeprefix("$ ") for line in re.findall(r"^\$ .*$", PAGE, re.MULTILINE)]
BY_DUCKWARP = [command for command in COMMANDS if command.startswith("duckwarp ")]
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def place(demo_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `output` has a part of the sample publication."""
    folder = tmp_path_factory.mktemp("docs")
    export(demo_dsn, Selection(publication="adhd_s"), folder / "output")
    return folder


@pytest.mark.parametrize("command", BY_DUCKWARP)
def test_its_commands_run(
    command: str,
    place: Path,
    demo_dsn: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DUCKWARP_DSN", demo_dsn)
    monkeypatch.chdir(place)
    with pytest.raises(SystemExit) as ending:
        main(shlex.split(command)[1:])
    assert ending.value.code in (0, None)
    assert capsys.readouterr().out


def test_the_other_command_is_the_one_that_is_tested_elsewhere() -> None:
    others = set(COMMANDS) - set(BY_DUCKWARP)
    assert others == {"frictionless validate output/datapackage.json"}
    assert len(BY_DUCKWARP) == 5


@pytest.mark.parametrize("code", PYTHON)
def test_its_python_runs(
    code: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    exec(compile(code, "catalog.md", "exec"), {})
    assert capsys.readouterr().out
    assert len(PYTHON) == 2


def test_its_table_has_the_columns_of_the_catalog() -> None:
    table = PAGE[PAGE.index("| column |") : PAGE.index("Dates are text")]
    rows = [row for row in table.splitlines() if row]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert named == list(COLUMNS)
    [structs] = [row for row in table.splitlines() if row.startswith("| `columns`")]
    fields = re.findall(r"`(\w+)`", structs.split("|")[3])
    assert fields == re.findall(r'"(\w+)"', COLUMNS["columns"])
