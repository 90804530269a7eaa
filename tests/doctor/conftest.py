"""What stands between a run and its servers: a balancer, as small as can be."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def balancer(*targets: tuple[str, int]) -> Iterator[int]:
    """A port whose connections go to the sockets or hosts of `targets` in turn."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        open_sockets: list[socket.socket] = []

        def accept() -> None:
            for number in range(1_000):
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                server = _connected(*targets[number % len(targets)])
                open_sockets.extend((client, server))
                threading.Thread(target=_pump, args=(client, server), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for each in open_sockets:
                each.close()


def _connected(host: str, port: int) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(f"{host}/.s.PGSQL.{port}")
    return connected


def _pump(client: socket.socket, server: socket.socket) -> None:
    """Hand on what either side says until one of them ends."""
    with client, server, selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        while True:
            for key, _ in selector.select():
                try:
                    data = key.fileobj.recv(65_536)  # type: ignore[union-attr]
                    if not data:
                        return
                    key.data.sendall(data)
                except OSError:
                    return
