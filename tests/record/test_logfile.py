"""The log for people: its lines, and how the usual tools rotate it."""

from __future__ import annotations

import re
from pathlib import Path

from duckwarp.cli.wording import one_line
from duckwarp.model.events import EventLevel, EventType, create_event
from duckwarp.record.logfile import LogFile


def tell(log: LogFile, message: str, level: EventLevel = EventLevel.INFO) -> None:
    log.listen(create_event(EventType.WARNING, "run-1", level=level, message=message))


def test_a_line_has_time_level_run_and_words(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", one_line)
    tell(log, "first\nof two lines, a colour: \x1b[31m, half a character: \udc80")
    tell(log, "not for people", EventLevel.DEBUG)
    tell(log, "second", EventLevel.WARNING)
    log.close()
    first, second = (tmp_path / "x.log").read_text(encoding="utf-8").splitlines()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(rf"{stamp} INFO    run-1 first of two lines, .*", first)
    assert first.isprintable()
    assert re.fullmatch(rf"{stamp} WARNING run-1 second", second)


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    log = LogFile(path, one_line)
    tell(log, "before")
    path.rename(tmp_path / "x.log.1")
    tell(log, "after")
    log.close()
    assert (tmp_path / "x.log.1").read_text().endswith("before\n")
    assert path.read_text().endswith("after\n")
    assert len(path.read_text().splitlines()) == 1


def test_an_existing_file_is_continued(tmp_path: Path) -> None:
    for message in ("one", "two"):
        log = LogFile(tmp_path / "x.log", one_line)
        tell(log, message)
        log.close()
    assert len((tmp_path / "x.log").read_text().splitlines()) == 2


def test_a_full_disk_and_a_lost_folder_stop_nobody(tmp_path: Path) -> None:
    full = LogFile(Path("/dev/full"), one_line)
    folder = tmp_path / "logs"
    folder.mkdir()
    lost = LogFile(folder / "x.log", one_line)
    (folder / "x.log").unlink()
    folder.rmdir()
    for log in (full, lost):
        tell(log, "a")
        tell(log, "b")
        log.close()
        assert log.write_error is not None
