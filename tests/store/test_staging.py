"""The output folder: files appear complete or not at all, and dead runs leave nothing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from duckwarp.model.errors import OutputUnusable, SourceError
from duckwarp.model.filenames import check_code
from duckwarp.store.staging import (
    STAGING_FOLDER,
    discard,
    open_staging,
)
from tests.store.publications import names_in, publish, write_pair

NOBODY = 65534


class TestCodes:
    @pytest.mark.parametrize(
        ("code", "want"),
        [
            pytest.param("", "it is empty", id="empty"),
            pytest.param("  ", "it is empty", id="only blanks"),
            pytest.param("../x", "leave the output folder", id="the folder above"),
            pytest.param("a/b", "leave the output folder", id="a folder below"),
            pytest.param("/etc/passwd", "leave the output folder", id="an absolute path"),
            pytest.param("a\\b", "leave the output folder", id="a backslash"),
            pytest.param("..", "starts with a dot", id="two dots"),
            pytest.param(".duckwarp", "starts with a dot", id="hidden"),
            pytest.param("a\0b", "control character", id="NUL"),
            pytest.param("a\nb", "control character", id="a line break"),
            pytest.param("a\x7fb", "control character", id="DEL"),
            pytest.param("x" * 201, "201 bytes, more than 200", id="long"),
            pytest.param("é" * 101, "202 bytes, more than 200", id="long in bytes"),
            pytest.param("a\udc80", "is not UTF-8", id="half a character"),
            pytest.param("catalog", "reserved", id="the catalog's"),
            pytest.param("datapackage", "reserved", id="the data package's"),
            pytest.param("CATALOG", "reserved", id="the catalog's in capitals"),
            pytest.param("Index", "reserved", id="the page of a folder"),
            pytest.param("current", "reserved", id="the present set"),
            pytest.param("SHA256SUMS", "reserved", id="the list of hashes"),
            pytest.param("\u017fha256sums", "reserved", id="a letter whose capital is another's"),
            pytest.param("~root", "starts with ~", id="a home folder"),
            pytest.param("$HOME", r"starts with \$", id="a variable"),
            pytest.param("%PATH%", "starts with %", id="a variable of Windows"),
            pytest.param("-rf", "starts with -", id="an option"),
            pytest.param("C:foo", "the character :", id="a drive"),
            pytest.param('a"b', 'the character "', id="a quote"),
            pytest.param("a|b", r"the character \|", id="a pipe"),
            pytest.param("a?", r"the character \?", id="a wildcard"),
            pytest.param("a*", r"the character \*", id="another wildcard"),
            pytest.param("<a>", "the character <", id="a redirection"),
            pytest.param("a.", "ends with a dot", id="a dot at the end"),
            pytest.param("a ", "ends with a dot or a blank", id="a blank at the end"),
            pytest.param(" a", "starts with a blank", id="a blank at the beginning"),
            pytest.param("a\xa0", "ends with a dot or a blank", id="a blank of another width"),
            pytest.param("a\u202eb", r"U\+202E", id="a turn of the direction"),
            pytest.param("a\u2066b", r"U\+2066", id="an isolated direction"),
            pytest.param("a\u200bb", r"U\+200B", id="a blank without width"),
            pytest.param("\ufeffa", r"U\+FEFF", id="a byte order mark"),
            pytest.param("a\x85b", r"U\+0085", id="a control of Latin-1"),
            pytest.param("a\u2028b", r"U\+2028", id="a separator of lines"),
            *(
                pytest.param(code, "a device's", id=f"the device {code}")
                for code in ("con", "CON", "nul.txt", "com1", "Lpt9.a.b", "aux", "prn", "com²")
            ),
        ],
    )
    def test_a_code_that_is_no_sane_file_name_is_refused(self, code: str, want: str) -> None:
        with pytest.raises(SourceError, match=want) as caught:
            check_code(code)
        assert str(caught.value).isprintable()

    def test_a_backslash_is_shown_as_it_is(self) -> None:
        with pytest.raises(SourceError, match=r'the code "a\\b" cannot'):
            check_code("a\\b")

    @pytest.mark.parametrize(
        "code",
        [
            *("a", "x" * 200, "é" * 100, "a.b", "a b", "A-1_2", "a..b", "a$b", "50%", "&'", "表"),
            *(
                "console",
                "com10",
                "com",
                "catalogue",
                "my_index",
                "cafe\u0301",
                "عربي",
                "ไทย",
                "a~",
            ),
            *("a=b", "a,b;c", "(a)", "a@b", "😀"),
        ],
    )
    def test_a_sane_one_is_taken_and_can_be_written(self, code: str, tmp_path: Path) -> None:
        check_code(code)
        with open_staging(tmp_path) as staging:
            write_pair(staging, code, "x")
            publish(staging, code)
        assert names_in(tmp_path) == {f"{code}.parquet", f"{code}.md"}


class TestStaging:
    def test_nothing_is_visible_before_it_is_published(self, tmp_path: Path) -> None:
        with open_staging(tmp_path) as staging:
            write_pair(staging, "a", "x")
            assert [path.name for path in tmp_path.iterdir()] == [STAGING_FOLDER]
            assert staging.folder.parent == tmp_path / STAGING_FOLDER

    def test_nobody_else_may_look_into_it(self, tmp_path: Path) -> None:
        with open_staging(tmp_path) as staging:
            for folder in (staging.folder, staging.folder.parent):
                assert folder.stat().st_mode & 0o777 == 0o700

    def test_what_a_failed_source_has_staged_is_discarded(self, tmp_path: Path) -> None:
        with open_staging(tmp_path) as staging:
            write_pair(staging, "a", "x")
            discard(staging, "a")
            discard(staging, "a")
            assert names_in(staging.folder) == set()


# Opens the staging area in a folder, writes into it, and waits to be killed.
HOLDING = """
import sys
from pathlib import Path
from duckwarp.store.staging import open_spill, open_staging
from duckwarp.model.settings import Settings
settings = Settings(temp_dir=sys.argv[2] if len(sys.argv) > 2 else None)
with (
    open_staging(Path(sys.argv[1]), run_id="the-other") as staging,
    open_spill(staging, settings) as spill,
):
    (staging.folder / "half.parquet").write_text("half")
    spill.folder.mkdir(exist_ok=True)
    (spill.folder / "spilled").write_text("spilled")
    print(staging.folder, flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_run(*folders: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that holds an output folder, and its staging area there; and a temporary one."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, *map(str, folders)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, Path(process.stdout.readline().rstrip("\n"))
        finally:
            process.kill()


class TestOtherRuns:
    def test_what_a_killed_run_left_is_removed_by_the_next(self, tmp_path: Path) -> None:
        with another_run(tmp_path) as (process, folder):
            assert (folder / "half.parquet").exists()
            process.kill()
            process.wait()
        assert (folder / "half.parquet").exists()
        with open_staging(tmp_path) as staging:
            assert not folder.exists()
            assert staging.folder.exists()
        assert names_in(tmp_path) == set()

    def test_what_a_living_run_spills_elsewhere_is_kept(self, tmp_path: Path) -> None:
        """The temporary folder of the one is the output folder of the other."""
        output, shared = tmp_path / "output", tmp_path / "shared"
        shared.mkdir()
        with another_run(output, shared) as (process, folder):
            with open_staging(shared) as staging:
                write_pair(staging, "a", "x")
                publish(staging, "a")
            assert (folder / "half.parquet").read_text() == "half"
            assert any(path.name == "spilled" for path in shared.rglob("*"))
            _, _ = process.communicate()
            assert process.returncode == 0
        assert names_in(shared) == {"a.parquet", "a.md"}
        assert not output.exists()

    def test_files_of_others_in_the_output_folder_are_left_alone(self, tmp_path: Path) -> None:
        for name in ("notes.txt", ".hidden", "run-1", "tmp_a.parquet"):
            (tmp_path / name).write_text("mine")
        (tmp_path / STAGING_FOLDER).mkdir()
        (tmp_path / STAGING_FOLDER / "README").write_text("mine")
        before = names_in(tmp_path)
        with open_staging(tmp_path):
            pass
        assert names_in(tmp_path) == before

    def test_a_run_that_fails_leaves_nothing(self, tmp_path: Path) -> None:
        def fail() -> None:
            with open_staging(tmp_path) as staging:
                write_pair(staging, "a", "x")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail()
        assert names_in(tmp_path) == set()

    def test_a_link_that_a_dead_run_s_folder_is_said_to_be_is_not_followed(
        self, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "precious").write_text("precious")
        output = tmp_path / "output"
        (output / STAGING_FOLDER).mkdir(parents=True)
        (output / STAGING_FOLDER / "run-0").symlink_to(outside)
        with open_staging(output):
            pass
        assert (outside / "precious").read_text() == "precious"


OPENING_AS_NOBODY = f"""
import os, sys
from pathlib import Path
from duckwarp.store.staging import open_staging
if os.geteuid() == 0:
    os.setuid({NOBODY})
with open_staging(Path(sys.argv[1])):
    pass
"""


class TestUnusableFolders:
    def test_a_folder_is_made_with_its_parents(self, tmp_path: Path) -> None:
        with open_staging(tmp_path / "a" / "b") as staging:
            write_pair(staging, "x", "x")
            publish(staging, "x")
        assert names_in(tmp_path / "a" / "b") == {"x.parquet", "x.md"}

    def test_a_link_to_a_folder_is_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        with open_staging(tmp_path / "link") as staging:
            write_pair(staging, "x", "x")
            publish(staging, "x")
        assert names_in(tmp_path / "real") == {"x.parquet", "x.md"}

    def test_a_file_in_its_place_or_above_it_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("precious")
        with (
            pytest.raises(OutputUnusable, match="file: it is not a folder"),
            open_staging(tmp_path / "file"),
        ):
            pass
        with (
            pytest.raises(OutputUnusable, match="Not a directory"),
            open_staging(tmp_path / "file" / "below"),
        ):
            pass
        assert (tmp_path / "file").read_text() == "precious"

    def test_a_link_in_the_place_of_the_staging_area_is_refused(self, tmp_path: Path) -> None:
        outside, output = tmp_path / "outside", tmp_path / "output"
        outside.mkdir()
        output.mkdir()
        (output / STAGING_FOLDER).symlink_to(outside)
        with (
            pytest.raises(OutputUnusable, match=r"\.duckwarp in it is a symbolic link"),
            open_staging(output),
        ):
            pass
        assert names_in(outside) == set()

    def test_a_folder_that_may_not_be_written_is_named(self) -> None:
        """In another process, as another user: root may write anywhere."""
        with tempfile.TemporaryDirectory() as folder:
            locked = Path(folder, "locked")
            locked.mkdir(mode=0o555)
            Path(folder).chmod(0o755)
            process = subprocess.run(
                [sys.executable, "-c", OPENING_AS_NOBODY, locked],
                capture_output=True,
                text=True,
                check=False,
            )
        assert process.returncode == 1
        assert f"cannot write to the output folder {locked}: Permission denied" in process.stderr
