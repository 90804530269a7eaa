"""Lines at the end of a file that others rotate, and into FIFOs and streams that may be slow."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from duckwarp.model.events import EventType, create_event
from duckwarp.record import lines
from duckwarp.record.lines import LineFile
from duckwarp.record.logfile import LogFile
from duckwarp.record.store import EventStore

Write = Callable[[str], None]
Opening = Callable[[Path], tuple[Write, Callable[[], None]]]


def _events(path: Path) -> tuple[Write, Callable[[], None]]:
    store = EventStore("r", path)
    return lambda text: store.emit(create_event(EventType.WARNING, "r", message=text)), store.close


def _log(path: Path) -> tuple[Write, Callable[[], None]]:
    log = LogFile(path, str)
    return lambda text: log.listen(create_event(EventType.WARNING, "r", message=text)), log.close


@pytest.fixture(params=[_events, _log], ids=["events", "log"])
def opening(request: pytest.FixtureRequest) -> Opening:
    chosen: Opening = request.param
    return chosen


def texts(path: Path) -> list[str]:
    """Which of the words of the tests the lines have."""
    return [
        next(word for word in ("first", "second", "third") if word in line)
        for line in path.read_text().splitlines()
    ]


def test_a_file_that_was_moved_away_is_continued_in_a_new_one(
    opening: Opening, tmp_path: Path
) -> None:
    path, rotated = tmp_path / "x", tmp_path / "x.1"
    write, close = opening(path)
    write("first")
    path.rename(rotated)
    write("second")
    write("third")
    close()
    assert texts(rotated) == ["first"]
    assert texts(path) == ["second", "third"]


def test_one_that_was_removed_is_made_anew(opening: Opening, tmp_path: Path) -> None:
    write, close = opening(tmp_path / "x")
    write("first")
    (tmp_path / "x").unlink()
    write("second")
    close()
    assert texts(tmp_path / "x") == ["second"]


def test_one_that_was_made_again_by_whoever_rotates_is_continued(
    opening: Opening, tmp_path: Path
) -> None:
    """As logrotate's `create` does, with a mode of its own."""
    path = tmp_path / "x"
    write, close = opening(path)
    write("first")
    path.rename(tmp_path / "x.1")
    path.touch(mode=0o600)
    write("second")
    close()
    assert texts(tmp_path / "x.1") == ["first"]
    assert texts(path) == ["second"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_one_that_was_copied_and_truncated_goes_on_at_its_beginning(
    opening: Opening, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    write, close = opening(path)
    write("first")
    os.truncate(path, 0)
    write("second")
    close()
    assert texts(path) == ["second"]


def test_a_link_is_followed_and_may_be_led_elsewhere(opening: Opening, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.symlink_to(tmp_path / "monday")
    write, close = opening(path)
    write("first")
    path.unlink()
    path.symlink_to(tmp_path / "tuesday")
    write("second")
    close()
    assert texts(tmp_path / "monday") == ["first"]
    assert texts(tmp_path / "tuesday") == ["second"]


def test_where_no_new_file_can_be_made_the_old_one_has_the_lines(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    file = LineFile(folder / "x")
    (folder / "x").rename(tmp_path / "x.1")
    folder.rmdir()
    file.write(b"first\n")
    folder.mkdir()
    file.write(b"second\n")
    file.close()
    assert isinstance(file.error, FileNotFoundError)
    assert texts(tmp_path / "x.1") == ["first"]
    assert texts(folder / "x") == ["second"]


def test_a_fifo_in_the_place_of_a_file_that_was_moved_away_is_not_waited_for(
    tmp_path: Path,
) -> None:
    file = LineFile(tmp_path / "x")
    (tmp_path / "x").rename(tmp_path / "x.1")
    os.mkfifo(tmp_path / "x")
    file.write(b"first\n")
    file.close()
    assert "a FIFO that nobody reads" in str(file.error)
    assert texts(tmp_path / "x.1") == ["first"]


def test_a_fifo_that_somebody_reads_has_every_line(opening: Opening, tmp_path: Path) -> None:
    """Also more than fits into it, to a reader that is not quick."""
    path, found = tmp_path / "fifo", tmp_path / "found"
    os.mkfifo(path)
    count = f"import time; time.sleep(0.2); data = open({str(path)!r}, 'rb').read()"
    script = f"{count}; open({str(found)!r}, 'wb').write(data)"
    # For reading and writing, so that there is a reader at once; it goes before the other starts.
    reading = os.open(path, os.O_RDWR)
    write, close = opening(path)
    with subprocess.Popen([sys.executable, "-c", script]) as reader:
        for _ in range(3_000):
            write("first " + "x" * 100)
        os.close(reading)
        close()
        reader.wait()
    assert texts(found) == ["first"] * 3_000


def test_one_whose_reader_reads_nothing_is_not_waited_for_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "PATIENCE_SECONDS", 0.01)
    os.mkfifo(tmp_path / "fifo")
    reading = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    file = LineFile(tmp_path / "fifo")
    for _ in range(100):
        file.write(b"x" * 10_000 + b"\n")
    assert isinstance(file.error, BlockingIOError)
    assert "whoever reads it takes nothing" in str(file.error)
    # What comes after the gap is whole again.
    os.read(reading, 1_000_000)
    file.write(b"first\n")
    assert os.read(reading, 1_000_000) in (b"\nfirst\n", b"first\n")
    os.close(reading)
    file.write(b"second\n")
    file.close()


class TestWhatIsRefused:
    def test_a_fifo_that_nobody_reads(self, opening: Opening, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        with pytest.raises(OSError, match="it is a FIFO that nobody reads"):
            opening(tmp_path / "fifo")

    def test_a_folder(self, opening: Opening, tmp_path: Path) -> None:
        with pytest.raises(IsADirectoryError):
            opening(tmp_path)

    def test_a_link_to_itself(self, opening: Opening, tmp_path: Path) -> None:
        (tmp_path / "x").symlink_to(tmp_path / "x")
        with pytest.raises(OSError, match="symbolic links"):
            opening(tmp_path / "x")

    def test_a_socket(self, opening: Opening, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "s"))
            with pytest.raises(OSError, match="it is a socket, not a file"):
                opening(tmp_path / "s")
