"""A proxy in front of the test server that stops forwarding, and keeps all connections open."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from psycopg.conninfo import conninfo_to_dict

from tests.support import Database, dsn_with

BLOCK_BYTES = 65_536
# The most that a pattern has before it is met in two blocks.
_OVERLAP_BYTES = 200


class Proxy:
    """Forwards to the server of `database` until a client says `pattern`, which is not passed on.

    From then on nothing is forwarded any more, of no connection, also of new ones; with
    `others_go_on` only that one connection is silent. With `after_bytes`, it is silent once the
    server has sent so much in answer to the pattern. Without a pattern it is silent from the start.
    """

    def __init__(
        self,
        database: Database,
        pattern: bytes | None,
        *,
        after_bytes: int | None = None,
        others_go_on: bool = False,
    ) -> None:
        target = conninfo_to_dict(database.dsn)
        self._host, self._port = str(target["host"]), int(target.get("port") or 5432)
        self._pattern, self._after_bytes = pattern, after_bytes
        self._others_go_on = others_go_on
        self.silent = threading.Event()
        if pattern is None:
            self.silent.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.dsn = dsn_with(
            database.dsn,
            host="127.0.0.1",
            port=self._listener.getsockname()[1],
            connect_timeout=2,
            sslmode="disable",
            gssencmode="disable",
        )

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                _start(self._forward, client)

    def close(self) -> None:
        """Close everything."""
        # Whoever is in accept() is woken by that.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _forward(self, client: socket.socket) -> None:
        if self.silent.is_set() and not self._others_go_on:
            return
        server = self._connect()
        self._sockets.append(server)
        silent = threading.Event() if self._others_go_on else self.silent
        asked = threading.Event()
        _start(self._answer, client, server, silent, asked)
        said = b""
        with contextlib.suppress(OSError):
            while data := client.recv(BLOCK_BYTES):
                said = said[-_OVERLAP_BYTES:] + data
                if self._pattern is not None and self._pattern in said:
                    if self._after_bytes is None:
                        silent.set()
                        self.silent.set()
                    asked.set()
                if silent.is_set():
                    return
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _answer(
        self,
        client: socket.socket,
        server: socket.socket,
        silent: threading.Event,
        asked: threading.Event,
    ) -> None:
        answered_bytes = 0
        with contextlib.suppress(OSError):
            while data := server.recv(BLOCK_BYTES):
                answered_bytes += len(data) if asked.is_set() else 0
                if self._after_bytes is not None and answered_bytes > self._after_bytes:
                    silent.set()
                    self.silent.set()
                if silent.is_set():
                    return
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)

    def _connect(self) -> socket.socket:
        if not self._host.startswith("/"):
            return socket.create_connection((self._host, self._port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{self._host}/.s.PGSQL.{self._port}")
        return server


def _start(work: object, *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()  # type: ignore[arg-type]


@contextlib.contextmanager
def falling_silent(
    database: Database,
    pattern: bytes | None,
    *,
    after_bytes: int | None = None,
    others_go_on: bool = False,
) -> Iterator[Proxy]:
    """A proxy that falls silent, as `Proxy` says."""
    proxy = Proxy(database, pattern, after_bytes=after_bytes, others_go_on=others_go_on)
    _start(proxy.serve)
    try:
        yield proxy
    finally:
        proxy.close()
