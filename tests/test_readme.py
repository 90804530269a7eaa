"""The README is true: its commands and its Python run as they stand, and `.ci/run` has the rest."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from duckwarp import Selection
from tests.runs import export

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
BY_DUCKWARP = [command for command in COMMANDS if command.startswith("duckwarp ")]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
LOCAL_LINKS = re.findall(r"\]\((?!http)([^)]+)\)", README)


@pytest.mark.parametrize("command", BY_DUCKWARP)
def test_a_command_of_the_readme_runs(
    command: str, demo_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUCKWARP_DSN", demo_dsn)
    words = command.split()[1:]
    if words[0] in ("catalog", "verify"):
        export(demo_dsn, Selection(publication="adhd"), tmp_path / "output")
    done = subprocess.run(
        [sys.executable, "-m", "duckwarp", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--quiet" in words or done.stdout


@pytest.mark.parametrize("code", PYTHON)
def test_the_python_of_the_readme_runs(
    code: str,
    demo_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DUCKWARP_DSN", demo_dsn)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("True 1304 output/adhd_summary_open_referrals_age.parquet None")
    assert len(others) == 7


def test_every_other_command_of_the_readme_is_run_by_ci() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8") + "make check"  # lint, type and test
    shell = {"export DUCKWARP_DSN=postgresql://reader@db.example/warehouse"}
    others = set(COMMANDS) - set(BY_DUCKWARP) - shell
    assert others == {
        *("make demo", "make test", "make check", "make readers", "make bench QUICK=1"),
        "pip install .",
    }
    for command in others:
        program, *words = command.split()
        assert program in ci
        assert all(word in ci for word in words)


@pytest.mark.parametrize("link", LOCAL_LINKS)
def test_a_link_of_the_readme_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
