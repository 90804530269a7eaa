"""The file of events: whole lines, numbered, in UTC, whoever else appends and whatever the disk."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from duckwarp.model.events import EventLevel, EventType, create_event
from duckwarp.record.store import EventStore

WRITER = """
import sys
from duckwarp.model.events import EventType, create_event
from duckwarp.record.store import EventStore
run, path = sys.argv[1:]
with EventStore(run, path) as store:
    for number in range(300):
        store.emit(create_event(EventType.WARNING, run, message="x" * 20_000))
"""


def documents(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_line_has_its_number_time_and_source(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    moment = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    event = create_event(EventType.STAGE_COMPLETED, "r", stage="export", context={"source": "s"})
    with EventStore("r", path) as store:
        object.__setattr__(event, "timestamp", moment)
        store.emit(event)
        store.emit(create_event(EventType.PROGRESS, "r", level=EventLevel.DEBUG))
        store.emit(create_event(EventType.RUN_COMPLETED, "r", message="lone \udc80"))
    first, second = documents(path)
    assert (first["sequence"], first["source"], first["stage"]) == (1, "s", "export")
    assert first["timestamp"] == "2026-01-01T00:00:00.000000+00:00"
    assert (second["sequence"], second["message"]) == (2, "lone \udc80")


def test_lines_of_several_processes_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, f"run-{number}", str(path)])
        for number in range(3)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    found = documents(path)
    for number in range(3):
        of_run = [each["sequence"] for each in found if each["run_id"] == f"run-{number}"]
        assert of_run == list(range(1, 301))


def test_a_full_disk_stops_nobody_and_is_remembered() -> None:
    heard: list[str] = []
    with EventStore("r", "/dev/full", [lambda event: heard.append(event.message)]) as store:
        for message in ("a", "b"):
            store.emit(create_event(EventType.WARNING, "r", message=message))
        assert store.write_error is not None
        assert store.write_error.strerror == "No space left on device"
    assert heard == ["a", "b"]


class _SmallDisk:
    """A file on a disk that has `room_bytes` left."""

    def __init__(self, room_bytes: int) -> None:
        self.room_bytes = room_bytes
        self.content = b""

    def write(self, data: bytes) -> int:
        if not self.room_bytes:
            raise OSError(28, "No space left on device")
        taken = data[: self.room_bytes]
        self.room_bytes -= len(taken)
        self.content += taken
        return len(taken)

    def close(self) -> None: ...


def test_a_line_that_a_full_disk_has_torn_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = _SmallDisk(10_000)
    with EventStore("r", tmp_path / "e.jsonl") as store:
        file = store._file
        assert file is not None
        file.close()
        monkeypatch.setattr(file, "_file", disk)
        monkeypatch.setattr(file, "_follow", lambda: None)
        store.emit(create_event(EventType.WARNING, "r", message="a"))
        disk.room_bytes = 7
        store.emit(create_event(EventType.WARNING, "r", message="b"))
        disk.room_bytes = 10_000
        store.emit(create_event(EventType.WARNING, "r", message="c"))
    first, torn, last = disk.content.splitlines()
    assert [json.loads(line)["sequence"] for line in (first, last)] == [1, 3]
    assert len(torn) == 7
