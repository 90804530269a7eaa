"""What is no file where a file is expected: it is named, nothing waits for it, the rest goes on."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from duckwarp.doctor import diagnose
from duckwarp.model.errors import OutputUnusable
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from duckwarp.store.staging import open_staging
from tests.runs import by_code, export
from tests.support import Database

PATIENCE_SECONDS = 100
PUBLIC = Selection(schema="public")


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)


def _device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # that of /dev/zero, without an end
    except PermissionError:
        pytest.skip("only root makes devices")


def _loop(path: Path) -> None:
    path.symlink_to(path)


THINGS: dict[str, Callable[[Path], None]] = {
    "a FIFO": os.mkfifo,
    "a folder": Path.mkdir,
    "a socket": _socket,
    "a device": _device,
}
LINKS: dict[str, Callable[[Path], None]] = {
    "nowhere": lambda path: path.symlink_to("/nowhere"),
    "itself": _loop,
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.fixture
def two(database: Database) -> Database:
    database.execute("CREATE TABLE a AS SELECT 1 AS n; CREATE TABLE b AS SELECT 2 AS n")
    return database


@pytest.fixture
def published(two: Database, tmp_path: Path) -> Path:
    export(two, PUBLIC, tmp_path / "out")
    return tmp_path / "out"


def put(thing: Callable[[Path], None], path: Path) -> None:
    path.unlink(missing_ok=True)
    thing(path)


def duckwarp(database: Database, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, which is ended where it waits for ever."""
    return subprocess.run(
        [sys.executable, "-m", "duckwarp", *arguments],
        env=os.environ | {"DUCKWARP_DSN": database.dsn},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def is_file(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


class TestExport:
    @pytest.mark.parametrize("name", ["a.parquet", "a.md"])
    @pytest.mark.parametrize("what", THINGS)
    def test_the_source_fails_and_the_others_are_published(
        self, two: Database, published: Path, what: str, name: str
    ) -> None:
        put(THINGS[what], published / name)
        two.execute("INSERT INTO a VALUES (11); INSERT INTO b VALUES (12)")
        before = (published / "b.parquet").read_bytes()
        done = duckwarp(two, "export", "--schema", "public", "-o", str(published), "--json")
        assert done.returncode == 1, done.stderr
        a, b = json.loads(done.stdout)["results"]
        told = f"cannot write {published / name}: it is {what}, not a file; move it away"
        assert (a["error"], b["success"]) == (told, True)
        assert not is_file(published / name)
        assert (published / "b.parquet").read_bytes() != before

    @pytest.mark.parametrize("name", ["a.parquet", "a.md", "datapackage.json"])
    @pytest.mark.parametrize("where", LINKS)
    def test_a_link_is_replaced_and_not_followed(
        self, two: Database, published: Path, where: str, name: str
    ) -> None:
        put(LINKS[where], published / name)
        done = duckwarp(two, "export", "--schema", "public", "-o", str(published), "--quiet")
        assert (done.returncode, done.stderr) == (0, "")
        assert is_file(published / name)

    @pytest.mark.parametrize("name", ["catalog.parquet", "datapackage.json"])
    @pytest.mark.parametrize("what", THINGS)
    def test_without_a_place_for_the_catalog_no_run_starts(
        self, two: Database, published: Path, what: str, name: str
    ) -> None:
        put(THINGS[what], published / name)
        done = duckwarp(two, "export", "--schema", "public", "-o", str(published))
        assert done.returncode == 3
        assert name in done.stderr
        assert f"it is {what}, not a file; move it away" in done.stderr
        assert not is_file(published / name)

    @pytest.mark.parametrize("where", LINKS)
    def test_a_catalog_that_is_a_link_is_not_followed(
        self, two: Database, published: Path, where: str
    ) -> None:
        put(LINKS[where], published / "catalog.parquet")
        done = duckwarp(two, "export", "--schema", "public", "-o", str(published))
        assert done.returncode == 3
        assert "catalog.parquet cannot be used: it is a symbolic link" in done.stderr
        done = duckwarp(two, "catalog", "rebuild", "-o", str(published))
        assert done.returncode == 0, done.stderr
        assert is_file(published / "catalog.parquet")

    @pytest.mark.parametrize("what", ["a FIFO", "a folder"])
    @pytest.mark.parametrize("name", ["lock", "holder.json", "exports.json", "run-1", "run-2.lock"])
    def test_in_the_hidden_folder_nothing_is_waited_for(
        self, two: Database, published: Path, what: str, name: str
    ) -> None:
        hidden = published / ".duckwarp"
        hidden.mkdir(mode=0o700)
        THINGS[what](hidden / name)
        arguments = ["--schema", "public", "-o", str(published), "--skip-unchanged"]
        done = duckwarp(two, "export", *arguments)
        if name == "lock":
            assert done.returncode == 3
            assert f"{hidden / name}: it is {what}, not a file; move it away" in done.stderr
        else:
            assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize("what", ["a FIFO", "a folder"])
    def test_a_journal_that_is_none_begins_nothing(
        self, two: Database, published: Path, what: str
    ) -> None:
        dead = published / ".duckwarp" / "run-1"
        dead.mkdir(parents=True, mode=0o700)
        THINGS[what](dead / "journal.json")
        done = duckwarp(two, "export", "--schema", "public", "-o", str(published))
        assert done.returncode == 0, done.stderr
        assert not dead.exists()

    @pytest.mark.parametrize("what", ["a FIFO", "a socket", "a device"])
    @pytest.mark.parametrize("option", ["--output", "--temp-dir"])
    def test_in_the_place_of_a_folder_it_is_named(
        self, two: Database, tmp_path: Path, what: str, option: str
    ) -> None:
        THINGS[what](tmp_path / "thing")
        arguments = ["-o", str(tmp_path / "out"), option, str(tmp_path / "thing")]
        done = duckwarp(two, "export", "--schema", "public", *arguments)
        assert done.returncode == 3
        assert f"folder {tmp_path / 'thing'}: " in done.stderr

    @pytest.mark.parametrize("what", ["a FIFO", "a socket", "a device"])
    def test_in_the_place_of_the_hidden_folder_it_is_named(
        self, two: Database, tmp_path: Path, what: str
    ) -> None:
        THINGS[what](tmp_path / ".duckwarp")
        done = duckwarp(two, "export", "--schema", "public", "-o", str(tmp_path))
        assert done.returncode == 3
        assert ".duckwarp in it is not a folder: move it away" in done.stderr


class TestOtherCommands:
    @pytest.mark.parametrize(
        ("what", "options"),
        [
            *((what, ["--offline"]) for what in THINGS | LINKS),
            *((what, []) for what in ("a FIFO", "a folder", "nowhere")),
            ("a FIFO", ["--quick"]),
        ],
    )
    def test_verify_names_the_file_and_looks_at_the_others(
        self, two: Database, published: Path, what: str, options: list[str]
    ) -> None:
        put((THINGS | LINKS)[what], published / "a.parquet")
        chosen = [] if options == ["--offline"] else ["--schema", "public"]
        done = duckwarp(two, "verify", "-o", str(published), "--json", *chosen, *options)
        assert done.returncode == 1, done.stderr
        a, b = json.loads(done.stdout)["verdicts"]
        kind = what if what in THINGS else "a symbolic link"
        assert f"it is {kind}, not a file" in " ".join(a["reasons"])
        assert (a["agreement"], b["agreement"]) == ("different", "equal")

    @pytest.mark.parametrize("options", [["--table", "public.a"], ["--offline"]], ids=str)
    @pytest.mark.parametrize("what", ["a FIFO", "a device", "nowhere"])
    def test_verify_names_a_catalog_that_is_none(
        self, two: Database, published: Path, what: str, options: list[str]
    ) -> None:
        put((THINGS | LINKS)[what], published / "catalog.parquet")
        done = duckwarp(two, "verify", "-o", str(published), *options)
        kind = what if what in THINGS else "a symbolic link"
        assert done.returncode == 3
        assert f"catalog.parquet cannot be used: it is {kind}, not a file" in done.stderr

    @pytest.mark.parametrize("what", ["a FIFO", "a folder", "a device", "nowhere"])
    def test_describe_names_the_file(self, demo_dsn: str, tmp_path: Path, what: str) -> None:
        code = "adhd_summary_open_referrals_age"
        (THINGS | LINKS)[what](tmp_path / f"{code}.parquet")
        done = duckwarp(Database(dsn=demo_dsn), "describe", code, "-o", str(tmp_path))
        kind = what if what in THINGS else "a symbolic link"
        assert done.returncode == 1
        assert f"{code}.parquet cannot be read: " in done.stderr
        assert f"it is {kind}, not a file" in done.stderr

    @pytest.mark.parametrize("what", THINGS | LINKS)
    def test_the_catalog_is_made_of_the_other_files(
        self, two: Database, published: Path, what: str
    ) -> None:
        put((THINGS | LINKS)[what], published / "a.parquet")
        done = duckwarp(two, "catalog", "rebuild", "-o", str(published), "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        kind = what if what in THINGS else "a symbolic link"
        assert f"it is {kind}, not a file" in json.dumps(found)
        shown = json.loads((published / "datapackage.json").read_text())
        assert [each["name"] for each in shown["resources"]] == ["b"]

    @pytest.mark.parametrize("what", THINGS)
    def test_a_catalog_cannot_be_shown_nor_made_in_its_place(
        self, two: Database, published: Path, what: str
    ) -> None:
        path = published / "catalog.parquet"
        put(THINGS[what], path)
        for command in (["catalog"], ["catalog", "rebuild"]):
            done = duckwarp(two, *command, "-o", str(published))
            assert done.returncode == 3
            assert str(path) in done.stderr
            assert f"it is {what}, not a file" in done.stderr
        assert not is_file(path)

    @pytest.mark.parametrize("name", ["a.parquet", "a.md", "catalog.parquet", ".duckwarp"])
    @pytest.mark.parametrize("what", ["a FIFO", "a device"])
    def test_doctor_names_it(self, two: Database, published: Path, what: str, name: str) -> None:
        put(THINGS[what], published / name)
        done = duckwarp(two, "doctor", "--schema", "public", "-o", str(published))
        assert done.returncode == 3
        expected = f"it is {what}, not a file" if name != ".duckwarp" else "is not a folder"
        assert expected in done.stdout
        assert name in done.stdout


class TestRecord:
    @pytest.mark.parametrize("option", ["--events", "--log-file", "--metrics-file"])
    @pytest.mark.parametrize("what", ["a FIFO", "a folder", "a socket"])
    def test_it_is_named_and_no_run_starts(
        self, two: Database, tmp_path: Path, what: str, option: str
    ) -> None:
        THINGS[what](tmp_path / "thing")
        arguments = ["--schema", "public", "-o", str(tmp_path / "out")]
        done = duckwarp(two, "export", *arguments, option, str(tmp_path / "thing"))
        assert done.returncode == 3
        reason = (
            "directory" if what == "a folder" and option != "--metrics-file" else f"it is {what}"
        )
        assert f" to {tmp_path / 'thing'}: " in done.stderr
        assert reason in done.stderr
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("what", ["a device", *LINKS])
    def test_metrics_take_the_place_of_a_file_only(
        self, two: Database, tmp_path: Path, what: str
    ) -> None:
        (THINGS | LINKS)[what](tmp_path / "m.prom")
        arguments = ["--schema", "public", "-o", str(tmp_path / "out")]
        done = duckwarp(two, "export", *arguments, "--metrics-file", str(tmp_path / "m.prom"))
        kind = what if what in THINGS else "a symbolic link"
        assert done.returncode == 3
        assert f"it is {kind}, not a file; move it away" in done.stderr

    @pytest.mark.parametrize("option", ["--events", "--log-file"])
    def test_a_record_may_go_to_a_stream(self, two: Database, tmp_path: Path, option: str) -> None:
        arguments = ["--schema", "public", "-o", str(tmp_path / "out"), "--quiet"]
        done = duckwarp(two, "export", *arguments, option, "/dev/stdout")
        assert (done.returncode, done.stderr) == (0, "")
        assert "ended with exit code 0" in done.stdout.splitlines()[-1]


class TestWhoseFolderItIs:
    NOBODY = 65534

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
    @pytest.mark.parametrize("option", ["--output", "--temp-dir"])
    def test_another_user_s_hidden_folder_is_refused(
        self, two: Database, tmp_path: Path, option: str
    ) -> None:
        hidden = tmp_path / "place" / ".duckwarp"
        hidden.mkdir(parents=True, mode=0o700)
        os.chown(hidden, self.NOBODY, self.NOBODY)
        arguments = ["-o", str(tmp_path / "out"), option, str(tmp_path / "place")]
        done = duckwarp(two, "export", "--schema", "public", *arguments)
        assert done.returncode == 3
        assert ".duckwarp in it belongs to user nobody and this run to user root: " in done.stderr
        assert list(hidden.iterdir()) == []
        found = diagnose(None, Settings(dsn=two.dsn, output_dir=hidden.parent))
        assert any("belongs to user nobody" in check.finding for check in found.checks)

    @pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
    def test_one_that_others_may_write_is_refused(
        self, two: Database, tmp_path: Path, mode: int
    ) -> None:
        (tmp_path / ".duckwarp").mkdir()
        (tmp_path / ".duckwarp").chmod(mode)
        done = duckwarp(two, "export", "--schema", "public", "-o", str(tmp_path))
        assert done.returncode == 3
        assert f"can be written by others (mode {mode:o})" in done.stderr

    def test_an_output_folder_that_others_may_write_is_none_of_our_business(
        self, two: Database, tmp_path: Path
    ) -> None:
        tmp_path.chmod(0o777)
        assert by_code(export(two, PUBLIC, tmp_path))["a"].success


@pytest.mark.skipif(shutil.which("chattr") is None, reason="needs chattr")
@pytest.mark.parametrize("publish", ["together", "each"])
@pytest.mark.parametrize("name", ["a.parquet", "a.md", "catalog.parquet", "datapackage.json"])
def test_a_file_that_may_not_be_replaced_is_named(
    two: Database, published: Path, name: str, publish: str
) -> None:
    try:
        subprocess.run(["chattr", "+i", str(published / name)], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        pytest.skip("no file can be made immutable here")
    of_the_folder = name in ("catalog.parquet", "datapackage.json") and publish == "each"
    try:
        two.execute("INSERT INTO a VALUES (11)")
        if of_the_folder:
            # The catalog is written once more at the end, where nothing else is to be told.
            with pytest.raises(OutputUnusable, match=f"{name}: Operation not permitted"):
                export(two, PUBLIC, published, publish=publish)
        else:
            report = export(two, PUBLIC, published, publish=publish)
    finally:
        subprocess.run(["chattr", "-i", str(published / name)], check=True)
    if not of_the_folder:
        told = f"cannot write {published / name}: Operation not permitted"
        assert by_code(report)["a"].error == told
    with open_staging(published):
        pass
