"""docs/cron.md is true: its SQL, its units, its snippets and its names work as they stand."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from duckwarp.cli.usage import ExitCode
from duckwarp.doctor import Status, diagnose
from duckwarp.model.events import EventType
from duckwarp.model.results import SourceState
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from tests.conftest import RoleMaker
from tests.support import Database, Role

PAGE = (Path(__file__).parent.parent / "docs" / "cron.md").read_text(encoding="utf-8")
PROGRAM = "/opt/duckwarp/bin/duckwarp"
UNITS = dict(re.findall(r"`/etc/systemd/system/([^`]+)`:\n\n```ini\n(.*?)```", PAGE, re.DOTALL))
AGES = "adhd_summary_open_referrals_age"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def commands() -> list[str]:
    """The exports that the page has the scheduler run."""
    (crontab,) = blocks("crontab")
    cron = crontab.splitlines()[-1].split("  ")[-1]
    unit = UNITS["duckwarp-adhd.service"].replace("\\\n", " ")
    (systemd,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    return [cron, systemd]


@pytest.fixture
def reader(demo_copy: Database, make_role: RoleMaker) -> Iterator[Role]:
    """A role with the rights that the page's SQL gives, and those alone."""
    loader, role = make_role(), make_role()
    demo_copy.execute(f"REVOKE CONNECT ON DATABASE {demo_copy.name} FROM PUBLIC")
    demo_copy.execute(f"GRANT USAGE, CREATE ON SCHEMA staging TO {loader.name}")
    demo_copy.execute(f"DROP ROLE {role.name}")
    (statements,) = blocks("sql")
    for name, own in (
        ("warehouse", demo_copy.name),
        ("loader", loader.name),
        ("duckwarp_reader", role.name),
    ):
        assert name in statements
        statements = re.sub(rf"\b{name}\b", own, statements)
    demo_copy.execute(statements)
    demo_copy.execute(f"ALTER ROLE {role.name} PASSWORD '{role.password}'")
    yield role
    demo_copy.execute(f"SET ROLE {loader.name}; DROP TABLE IF EXISTS staging.later; RESET ROLE")


def exported(dsn: str, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """An export by the program, with the connection in the environment."""
    return subprocess.run(
        [sys.executable, "-m", "duckwarp", "export", "--output", str(tmp_path), *arguments],
        env={"DUCKWARP_DSN": dsn, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


class TestTheRole:
    def test_may_export_and_nothing_else(
        self, demo_copy: Database, reader: Role, tmp_path: Path
    ) -> None:
        dsn = demo_copy.dsn_as(reader)
        done = exported(dsn, tmp_path / "out", "adhd", "--quiet")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert len(list((tmp_path / "out").glob("adhd_*.parquet"))) == 7
        for forbidden in (
            f"DELETE FROM staging.{AGES}",
            "UPDATE datawarp.tbl_data_sources SET name = ''",
            "CREATE TABLE staging.mine (id int)",
            "CREATE SCHEMA mine",
        ):
            with pytest.raises(Exception, match="permission denied"):
                Database(dsn=dsn).execute(forbidden)

    def test_is_well_for_the_doctor(
        self, demo_copy: Database, reader: Role, tmp_path: Path
    ) -> None:
        settings = Settings(dsn=demo_copy.dsn_as(reader), output_dir=tmp_path)
        diagnosis = diagnose(Selection(publication="adhd"), settings)
        warned = [(c.name, c.source) for c in diagnosis.of_status(Status.WARNING)]
        assert diagnosis.is_healthy
        assert warned == [("source", "adhd_summary_closed_referrals_reason")]

    def test_may_read_what_the_loader_creates_later(
        self, demo_copy: Database, reader: Role, tmp_path: Path
    ) -> None:
        (loader,) = demo_copy.execute("SELECT defaclrole::regrole::text FROM pg_default_acl")
        demo_copy.execute(f"SET ROLE {loader[0]}; CREATE TABLE staging.later AS SELECT 1 AS id")
        done = exported(demo_copy.dsn_as(reader), tmp_path, "--table", "staging.later", "--quiet")
        assert (done.returncode, done.stderr) == (0, "")


class TestTheCommands:
    @pytest.mark.parametrize("command", commands(), ids=["cron", "systemd"])
    def test_run_as_they_stand(self, command: str, demo_dsn: str, tmp_path: Path) -> None:
        program, _, *words = command.split()
        assert program == PROGRAM
        words = [
            str(tmp_path / Path(word).name) if word.startswith("/") else word for word in words
        ]
        done = exported(demo_dsn, tmp_path, *words)
        assert done.returncode == 0, done.stderr
        made = {path.name for path in tmp_path.iterdir()}
        assert made >= {"adhd", "adhd.jsonl", "adhd.log", "duckwarp_adhd.prom"}

    def test_the_crontab_has_no_character_that_cron_treats_alike(self) -> None:
        (crontab,) = blocks("crontab")
        assert "%" not in crontab
        assert crontab.splitlines()[-1].split()[:5] == ["15", "5", "*", "*", "*"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
class TestTheUnits:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """The units, with a program that exists."""
        assert set(UNITS) == {
            "duckwarp-adhd.service",
            "duckwarp-adhd.timer",
            "duckwarp-alert@.service",
        }
        for name, text in UNITS.items():
            (tmp_path / name).write_text(text.replace(PROGRAM, sys.executable))
        return tmp_path

    def test_are_verified(self, folder: Path) -> None:
        assert self.complaints(folder) == []

    def test_a_mistake_would_be_noticed(self, folder: Path) -> None:
        unit = folder / "duckwarp-adhd.service"
        unit.write_text(unit.read_text().replace("MemoryMax", "MemoryMacks"))
        assert len(self.complaints(folder)) == 1

    def complaints(self, folder: Path) -> list[str]:
        """What systemd says of our units; it knows of others of this machine."""
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *sorted(map(str, folder.iterdir()))],
            capture_output=True,
            text=True,
            check=False,
        )
        return [line for line in done.stderr.splitlines() if "duckwarp" in line]

    def test_are_hardened(self, folder: Path) -> None:
        """By systemd's own reckoning, where 10 is exposed and 0 is not."""
        unit = folder / "duckwarp-adhd.service"
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(unit)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def test_the_fence_is_wider_than_the_budget(self) -> None:
        unit = UNITS["duckwarp-adhd.service"]
        assert "--memory 1GB" in unit
        assert "MemoryMax=1300M" in unit


@pytest.fixture(scope="module")
def record(demo_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a run."""
    folder = tmp_path_factory.mktemp("record")
    files = ["--events", str(folder / "adhd.jsonl"), "--metrics-file", str(folder / "a.prom")]
    done = exported(demo_dsn, folder / "out", "adhd", *files)
    assert done.returncode == 0, done.stderr
    return folder


class TestTheNames:
    def test_of_metrics_are_those_that_are_written(self, record: Path) -> None:
        text = (record / "a.prom").read_text()
        written = {
            sample.name
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        named = set(re.findall(r"\bduckwarp_last_\w+", PAGE))
        assert len(named) > 2
        assert named <= written
        assert set(re.findall(r'state="(\w+)"', PAGE)) <= {state.value for state in SourceState}

    def test_of_events_are_those_that_are_written(self, record: Path) -> None:
        last = json.loads((record / "adhd.jsonl").read_text().splitlines()[-1])
        assert last["event_type"] == EventType.RUN_ENDED.value == "run_ended"
        assert last["context"]["exit_code"] == 0
        assert "timestamp" in last
        for name in re.findall(r'\.event_type == "(\w+)"', PAGE):
            assert EventType(name)

    @pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
    def test_the_questions_to_the_events_have_answers(self, record: Path) -> None:
        first, second = blocks("sh")[0].splitlines()
        for question, shortest in ((first, 20), (second, 0)):
            command = question.replace("/var/log/duckwarp/adhd.jsonl", str(record / "adhd.jsonl"))
            done = subprocess.run(
                ["sh", "-ec", command], capture_output=True, text=True, check=True
            )
            assert len(done.stdout) >= shortest
        assert done.stderr == ""

    def test_every_exit_code_is_explained(self) -> None:
        rows = re.findall(r"^\| ([\d, ]+)(?: \(.*)? \|", PAGE, re.MULTILINE)
        explained = {int(code) for row in rows for code in row.split(", ")}
        assert explained == {code.value for code in ExitCode} | {137, 4}


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="needs logrotate")
def test_the_logs_can_be_rotated_between_runs(demo_dsn: str, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir(mode=0o755)
    (snippet,) = blocks("logrotate")
    configuration = tmp_path / "logrotate.conf"
    configuration.write_text(snippet.replace("/var/log/duckwarp", str(logs)))
    configuration.chmod(0o644)
    files = ["--events", str(logs / "adhd.jsonl"), "--log-file", str(logs / "adhd.log")]
    rotate = ["logrotate", "--force", "--state", str(tmp_path / "state"), str(configuration)]
    for _ in range(2):
        done = exported(demo_dsn, tmp_path / "out", "--source", AGES, "--quiet", *files)
        assert done.returncode == 0, done.stderr
        subprocess.run(rotate, check=True, capture_output=True)
    made = {path.name for path in logs.iterdir()}
    assert made == {"adhd.jsonl.1", "adhd.jsonl.2.gz", "adhd.log.1", "adhd.log.2.gz"}
