"""Bounds on this side for every wait on the other: a server that falls silent ends no run for ever.

A wait is psycopg's for an answer, or DuckDB's for a whole copy. When one lasts too long without any
progress, the sockets are shut, so that each wait becomes an error. What can be told of a server
over another connection is the matter of whoever gives the `look`.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import socket
import stat
import termios
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakSet

TICK_SECONDS = 0.25
# Cleaning up may wait so long for the server: after a signal, or where the snapshot is too old.
CLEANING_SECONDS = 5.0
# A server that says it is at work, without a sign of progress, is waited for so many times longer.
WORKING_FACTOR = 12
# A share of a processor that is no mere waiting: DuckDB takes a third of one for that.
BUSY_SHARE = 0.75
_NOT_ENDED = f"the server did not answer for {CLEANING_SECONDS:g} s while the run ended"
_SOCKETS = Path("/dev/fd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the server tells over another connection.

    `state` is what its sessions do as far as it knows: one is "working" on what it was asked, or it
    is "sending" and this side does not take it, or all are "idle". `signs` differ once there is any
    progress.
    """

    state: str
    signs: str = ""


# Gives None where there is no answer within a few seconds.
Look = Callable[[], Sight | None]


class Watch:
    """Watches over the waits of a run, from `open_watch` on.

    `idle_seconds` is how long a wait may last without progress, 0 for ever; `lock_seconds` how long
    the server itself lets a session wait for a lock. `reason` is why the sockets were shut, None as
    long as they are not; `is_expired` says that they were because of `end_at`.
    """

    def __init__(self, idle_seconds: float = 0.0, lock_seconds: float = 0.0) -> None:
        self.reason: str | None = None
        self.is_expired = False
        self.look: Look = lambda: None
        self.stop_looking: Callable[[], None] = lambda: None
        self._idle_seconds = idle_seconds
        self._working_seconds = idle_seconds * WORKING_FACTOR + lock_seconds
        self._waits: dict[object, float] = {}
        self._computations: set[object] = set()
        self._marked = 0.0
        self._signs: str | None = None
        self._is_looking = False
        self._busy_seconds = self._ticked = 0.0
        self._peers: set[object] = set()
        self._others = frozenset(inode for _, inode, _ in _open_sockets())
        self._timers: list[threading.Timer] = []

    def begin(self, *, computes: bool = False) -> object:
        """A wait for the server begins; what this gives ends it.

        `computes` says that it may also be a computation of this side's, without the server.
        """
        wait = object()
        if computes:
            self._computations.add(wait)
        self._waits[wait] = time.monotonic()
        return wait

    def end(self, wait: object) -> None:
        """The wait is over, well or not."""
        self._waits.pop(wait, None)
        self._computations.discard(wait)

    def mark(self) -> None:
        """There is progress: whatever waits, the server is not silent."""
        self._marked = time.monotonic()

    def know(self, descriptor: int) -> None:
        """Remember where the connection with this socket leads: all of the run's lead there."""
        with contextlib.suppress(OSError), _borrowed(descriptor) as borrowed:
            self._peers.add(borrowed.getpeername())

    def hurry(self) -> None:
        """Shut the sockets in a few seconds, unless the run has ended by then."""
        self._shut_in(CLEANING_SECONDS, _NOT_ENDED)

    @contextlib.contextmanager
    def hurrying(self) -> Iterator[None]:
        """Let what the block waits for last a few seconds only."""
        timer = self._shut_in(CLEANING_SECONDS, _NOT_ENDED)
        try:
            yield
        finally:
            timer.cancel()

    def end_at(self, moment: float) -> None:
        """Shut the sockets a few seconds after this moment of the monotonic clock."""

        def expire() -> None:
            self.is_expired = True
            self._shut("the server did not answer when the snapshot was too old")

        self._timed(moment - time.monotonic() + CLEANING_SECONDS, expire)

    def close(self) -> None:
        """Shut nothing any more."""
        for timer in self._timers:
            timer.cancel()
        self.stop_looking()

    def check(self) -> None:
        """One look at the clock: what has lasted too long is ended."""
        now = time.monotonic()
        if self.reason is not None:
            self._shut(self.reason)  # one that was opened since
        elif self._idle_seconds:
            self._check_progress(now)
        self._busy_seconds, self._ticked = time.process_time(), now

    def _check_progress(self, now: float) -> None:
        quiet = self._quiet_seconds(now)
        if quiet < self._idle_seconds / 2:
            if self._is_looking:
                self._is_looking, self._signs = False, None
                self.stop_looking()
            return
        self._is_looking = True
        sight = self.look()
        quiet = self._quiet_seconds(time.monotonic())
        before, self._signs = self._signs, None if sight is None else sight.signs
        if sight is None:
            self._shut_after(quiet, self._idle_seconds, "has not answered for {:.0f} s")
        elif before is not None and sight.signs != before:
            self.mark()
        elif sight.state == "working":
            said = "says that it is at work, and has shown no progress for {:.0f} s"
            self._shut_after(quiet, self._working_seconds, said)
        elif self._is_this_side_busy(now, sight):
            self.mark()
        elif sight.state == "idle" and self._computations.issuperset(list(self._waits)):
            # A sort of DuckDB's that waits for a disk looks like an answer that was lost.
            self._shut_after(quiet, self._working_seconds, "has not sent anything for {:.0f} s")
        else:
            self._shut_after(quiet, self._idle_seconds, "has not sent anything for {:.0f} s")

    def _quiet_seconds(self, now: float) -> float:
        """How long the oldest wait has lasted without progress; 0 where nobody waits."""
        oldest = min(list(self._waits.values()), default=now)
        return now - max(oldest, self._marked)

    def _is_this_side_busy(self, now: float, sight: Sight) -> bool:
        """Whether it computes, or has not read what came: the server is not to blame then."""
        if sight.state == "sending":
            return any(_unread_bytes(each) for each in self._own_sockets())
        share = (time.process_time() - self._busy_seconds) / max(now - self._ticked, 1e-3)
        return share > BUSY_SHARE

    def _shut_after(self, quiet: float, limit: float, said: str) -> None:
        if quiet >= limit:
            places = sorted(map(_peer_text, self._peers))
            server = f"the server at {places[0]}" if places else "the server"
            limit_said = f"--idle-timeout {self._idle_seconds:g} allows no more"
            self._shut(f"{server} {said.format(quiet)}; {limit_said}")

    def _shut_in(self, seconds: float, reason: str) -> threading.Timer:
        return self._timed(seconds, lambda: self._shut(reason))

    def _timed(self, seconds: float, work: Callable[[], None]) -> threading.Timer:
        timer = threading.Timer(max(0.0, seconds), work)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()
        return timer

    def _shut(self, reason: str) -> None:
        self.reason = reason
        for descriptor in self._own_sockets():
            with contextlib.suppress(OSError), _borrowed(descriptor) as borrowed:
                borrowed.shutdown(socket.SHUT_RDWR)

    def _own_sockets(self) -> list[int]:
        """The sockets to the server that were opened since the watch began, DuckDB's among them.

        They are known by where they lead: libraries keep the numbers to themselves. A connection
        that the surrounding program makes to the same server meanwhile cannot be told from them.
        """
        return [
            descriptor
            for descriptor, inode, peer in _open_sockets()
            if peer in self._peers and inode not in self._others
        ]


_watches: WeakSet[Watch] = WeakSet()


@contextlib.contextmanager
def open_watch(idle_seconds: float, lock_seconds: float = 0.0) -> Iterator[Watch]:
    """A watch, with a thread that looks at the clock until the block ends."""
    watch = Watch(idle_seconds, lock_seconds)
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(TICK_SECONDS):
            watch.check()
        watch.close()

    thread = threading.Thread(target=keep, name="duckwarp-watch", daemon=True)
    _watches.add(watch)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        _watches.discard(watch)


def hurry_all() -> None:
    """Let no run of this process wait for its server any longer than cleaning up may take."""
    for watch in list(_watches):
        watch.hurry()


@contextlib.contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """A socket object for a descriptor of somebody else's, which stays open."""
    with socket.socket(fileno=os.dup(descriptor)) as borrowed:
        yield borrowed


def _open_sockets() -> Iterator[tuple[int, int, object]]:
    """(descriptor, inode, where it leads) of each connected socket of this process."""
    with contextlib.suppress(OSError):
        for name in os.listdir(_SOCKETS):
            with contextlib.suppress(OSError):
                status = os.fstat(int(name))
                if stat.S_ISSOCK(status.st_mode):
                    with _borrowed(int(name)) as borrowed:
                        yield int(name), status.st_ino, borrowed.getpeername()


def _unread_bytes(descriptor: int) -> int:
    waiting = array.array("i", [0])
    with contextlib.suppress(OSError):
        fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
    return waiting[0]


def _peer_text(peer: object) -> str:
    if isinstance(peer, tuple):
        return f"{peer[0]}:{peer[1]}"
    return str(peer)
