"""TLS, and the ways to write where the server is: what was asked for is had, or the run says so."""

from __future__ import annotations

import contextlib
import selectors
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict

from duckwarp.model.errors import ConnectionFailed
from duckwarp.model.source import Selection
from tests.runs import export, published_files
from tests.support import Database

ALL_TABLES = Selection(schema="public")
SSL_REQUEST = bytes.fromhex("0000000804d2162f")


@dataclass(slots=True)
class Gate:
    """A server on TCP that stands for one on a socket; without a certificate it has no TLS."""

    target: str
    certificate: Path | None
    port: int = 0
    clear: int = 0
    encrypted: int = 0
    _open: list[socket.socket] = field(default_factory=list)

    def dsn(self, host: str = "localhost", **more: str) -> str:
        """Without encryption of another kind."""
        words = {"host": host, "port": str(self.port), "gssencmode": "disable"} | more
        return " ".join(f"{key}={value}" for key, value in words.items())

    @contextlib.contextmanager
    def listening(self) -> Iterator[Gate]:
        """Let connections in until the block ends."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            try:
                yield self
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                for each in self._open:
                    each.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        # A socket that is closed meanwhile, at the end, is no descriptor any more: ValueError.
        with contextlib.suppress(OSError, ValueError), client:
            first = client.recv(8, socket.MSG_PEEK | socket.MSG_WAITALL)
            if first == SSL_REQUEST:
                client.recv(8)
                client.sendall(b"N" if self.certificate is None else b"S")
            if first == SSL_REQUEST and self.certificate is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self.certificate, self.certificate.with_suffix(".key"))
                client = context.wrap_socket(client, server_side=True)
                self.encrypted += 1
            elif client.recv(1, socket.MSG_PEEK):
                self.clear += 1
            with client, socket.socket(socket.AF_UNIX) as server:
                server.connect(self.target)
                _pump(client, server)


def _pump(client: socket.socket, server: socket.socket) -> None:
    """Hand on what either side says until one of them ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        while True:
            for key, _ in selector.select():
                source, target = key.fileobj, key.data
                assert isinstance(source, socket.socket)
                while True:
                    data = source.recv(65_536)
                    if not data:
                        return
                    target.sendall(data)
                    # What TLS has read ahead, no selector sees.
                    if not (isinstance(source, ssl.SSLSocket) and source.pending()):
                        break


def made_certificate(path: Path) -> Path:
    """A certificate for `localhost` that nobody but itself vouches for; its key is beside it."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    more = ["-addext", "subjectAltName=DNS:localhost", "-out", str(path)]
    more += ["-keyout", str(path.with_suffix(".key"))]
    subprocess.run([*command.split(), *more], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_certificate(tmp_path_factory.mktemp("authority") / "server.crt")


@pytest.fixture
def place(database: Database) -> dict[str, str]:
    """Where a server is whose database has one table, on a socket."""
    database.execute("CREATE TABLE t AS SELECT 1 AS id")
    place = {key: str(value) for key, value in conninfo_to_dict(database.dsn).items()}
    if not place["host"].startswith("/"):
        pytest.skip("the test server is not reached over a socket")
    return place


def gate(place: dict[str, str], certificate: Path | None) -> Gate:
    return Gate(f"{place['host']}/.s.PGSQL.{place.get('port', '5432')}", certificate)


def as_in(place: dict[str, str]) -> dict[str, str]:
    return {name: place[name] for name in ("user", "dbname")}


class TestAServerWithoutEncryption:
    @pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
    def test_is_refused_by_who_asks_for_it(
        self, mode: str, place: dict[str, str], certificate: Path, tmp_path: Path
    ) -> None:
        more = {"sslmode": mode, "sslrootcert": str(certificate)} | as_in(place)
        with (
            gate(place, None).listening() as server,
            pytest.raises(ConnectionFailed, match="does not support SSL"),
        ):
            export(server.dsn(**more), ALL_TABLES, tmp_path / "output")
        assert server.clear == 0
        assert published_files(tmp_path / "output") == set()

    def test_is_read_by_who_does_not(self, place: dict[str, str], tmp_path: Path) -> None:
        with gate(place, None).listening() as server:
            dsn = server.dsn(sslmode="prefer", **as_in(place))
            [result] = export(dsn, ALL_TABLES, tmp_path).results
        assert result.error is None
        assert server.clear >= 2


class TestAServerWithEncryption:
    @pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
    def test_is_read_over_it_by_both_readers(
        self, mode: str, place: dict[str, str], certificate: Path, tmp_path: Path
    ) -> None:
        more = {"sslmode": mode, "sslrootcert": str(certificate)} | as_in(place)
        with gate(place, certificate).listening() as server:
            [result] = export(server.dsn(**more), ALL_TABLES, tmp_path).results
        assert result.error is None
        # One connection holds the snapshot, and DuckDB's own reads.
        assert server.encrypted >= 2
        assert server.clear == 0

    @pytest.mark.parametrize(
        ("host", "theirs", "words"),
        [
            pytest.param("127.0.0.1", False, "does not match host name", id="another name"),
            pytest.param("localhost", True, "certificate verify failed", id="another authority"),
        ],
    )
    def test_that_cannot_be_verified_is_refused(
        self,
        host: str,
        theirs: bool,
        words: str,
        place: dict[str, str],
        certificate: Path,
        tmp_path: Path,
    ) -> None:
        authority = made_certificate(tmp_path / "other.crt") if theirs else certificate
        more = {"sslmode": "verify-full", "sslrootcert": str(authority)} | as_in(place)
        with (
            gate(place, certificate).listening() as server,
            pytest.raises(ConnectionFailed, match=words),
        ):
            export(server.dsn(host=host, **more), ALL_TABLES, tmp_path / "output")
        assert server.clear == 0


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("host={host} port={port} user={user} dbname={dbname}", id="key=value"),
        pytest.param("postgresql://{user}@:{port}/{dbname}?host={host}", id="in the query"),
        pytest.param("postgresql://{user}@{quoted}:{port}/{dbname}", id="percent-encoded"),
    ],
)
def test_a_socket_s_folder_may_be_written_in_any_form(
    form: str, place: dict[str, str], tmp_path: Path
) -> None:
    place = {"port": "5432"} | place
    dsn = form.format(**place, quoted=quote(place["host"], safe=""))
    [result] = export(dsn, ALL_TABLES, tmp_path).results
    assert result.error is None
