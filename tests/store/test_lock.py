"""One run at a time in an output folder: the others hear who it is, or wait."""

from __future__ import annotations

import getpass
import os
import re
import socket
import threading
from pathlib import Path

import pytest

from duckwarp.model.errors import Locked, OutputUnusable
from duckwarp.store.lock import LOCK_NAME, NOTE_NAME, Holder
from duckwarp.store.staging import STAGING_FOLDER, open_staging
from tests.store.publications import names_in, publish, write_pair
from tests.store.test_staging import another_run


def test_a_second_run_hears_who_has_the_folder_and_since_when(tmp_path: Path) -> None:
    with (
        another_run(tmp_path) as (process, folder),
        pytest.raises(Locked) as caught,
        open_staging(tmp_path),
    ):
        pass
    told = str(caught.value)
    by = f"{process.pid} of {getpass.getuser()} on {socket.gethostname()}"
    assert f"the output folder {tmp_path} is held by run the-other (process {by}) since " in told
    assert re.search(r"since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00: wait for it with --wait", told)
    assert (folder / "half.parquet").exists()


def test_a_second_run_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with (
        open_staging(tmp_path, run_id="first"),
        pytest.raises(Locked, match=f"held by run first .process {os.getpid()}"),
        open_staging(tmp_path),
    ):
        pass
    with open_staging(tmp_path):
        pass
    assert names_in(tmp_path) == set()


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    with another_run(tmp_path) as (process, _):
        process.kill()
        process.wait()
    assert (tmp_path / STAGING_FOLDER / NOTE_NAME).exists()
    with open_staging(tmp_path):
        pass
    assert names_in(tmp_path) == set()


def test_a_run_that_waits_begins_when_the_other_has_ended(tmp_path: Path) -> None:
    told: list[Holder | None] = []
    with another_run(tmp_path) as (process, _):

        def on_wait(holder: Holder | None) -> None:
            told.append(holder)
            assert process.stdin is not None
            process.stdin.close()

        with open_staging(tmp_path, wait_seconds=60, on_wait=on_wait) as staging:
            process.wait()
            assert process.returncode == 0
            write_pair(staging, "a", "x")
            publish(staging, "a")
    assert [holder and holder.run_id for holder in told] == ["the-other"]
    assert names_in(tmp_path) == {"a.parquet", "a.md"}


def test_a_run_that_has_waited_long_enough_says_so(tmp_path: Path) -> None:
    with (
        another_run(tmp_path),
        pytest.raises(Locked, match=r"held after 0\.2 s by run the-other .*: wait longer with"),
        open_staging(tmp_path, wait_seconds=0.2),
    ):
        pass


def test_of_many_at_once_each_has_its_turn_alone(tmp_path: Path) -> None:
    """The folder is removed and made again between them."""
    inside: list[int] = []
    most: list[int] = []

    def run() -> None:
        for _ in range(5):
            with open_staging(tmp_path, wait_seconds=60) as staging:
                inside.append(1)
                most.append(len(inside))
                write_pair(staging, "a", "x")
                publish(staging, "a")
                inside.pop()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 20
    assert names_in(tmp_path) == {"a.parquet", "a.md"}


def test_a_note_that_is_no_note_is_not_believed(tmp_path: Path) -> None:
    with another_run(tmp_path):
        note = tmp_path / STAGING_FOLDER / NOTE_NAME
        for text in ("", "{}", "[1]", '{"pid": 1}', "x" * 100_000):
            note.write_text(text)
            with pytest.raises(Locked, match="held by another run: wait"), open_staging(tmp_path):
                pass
        note.unlink()
        note.symlink_to("/etc/passwd")
        with pytest.raises(Locked, match="held by another run: wait"), open_staging(tmp_path):
            pass


@pytest.mark.parametrize("name", [LOCK_NAME, NOTE_NAME])
def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path, name: str) -> None:
    precious, output = tmp_path / "precious", tmp_path / "output"
    precious.write_text("precious")
    (output / STAGING_FOLDER).mkdir(parents=True)
    (output / STAGING_FOLDER / name).symlink_to(precious)
    if name == LOCK_NAME:
        with pytest.raises(OutputUnusable, match="symbolic link"), open_staging(output):
            pass
    else:
        with open_staging(output):
            pass
        assert names_in(output) == set()
    assert precious.read_text() == "precious"


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path: Path) -> None:
    with open_staging(tmp_path / "a" / "b"):
        pass
    assert names_in(tmp_path) == set()
    (tmp_path / "mine").mkdir()
    with open_staging(tmp_path / "mine"):
        pass
    assert names_in(tmp_path) == {"mine"}
