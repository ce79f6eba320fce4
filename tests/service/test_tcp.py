"""TCP and TLS against a server in another thread: what is carried, and every way in which it breaks."""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dovecot_urlauth.service import tcp
from dovecot_urlauth.service.connection import ConnectionLost
from dovecot_urlauth.service.loop import Loop, TimedOut
from dovecot_urlauth.service.tcp import connect_tcp
from dovecot_urlauth.service.tls import TlsConnection

LARGE = bytes(range(256)) * 4096 * 2

PATIENCE = 30
"""Seconds that any step may take on a machine that has other work."""

Client = Callable[[Loop], Coroutine[Any, Any, None]]


def run(client: Client) -> None:
    loop = Loop()
    loop.run(client(loop))
    loop.close()


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for ``localhost`` that has signed itself, with its key."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(),
            *"-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem".split(),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (folder / "both.pem").write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return folder / "both.pem"


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Start a server for one connection; its port."""
    threads = []

    def started(life: Callable[[socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(PATIENCE)

        def live() -> None:
            with listener:
                connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE)
                life(connection)

        thread = threading.Thread(target=live)
        threads.append(thread)
        thread.start()
        port: int = listener.getsockname()[1]
        return port

    yield started
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def encrypted(pem: Path, life: Callable[[ssl.SSLSocket], None]) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    def live(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) as stream:
                life(stream)
        except (ssl.SSLError, ConnectionError):
            return

    return live


def test_a_connection(serve: Callable[..., int]) -> None:
    port = serve(lambda connection: connection.sendall(connection.recv(100)))

    async def client(loop: Loop) -> None:
        connection = await connect_tcp(loop, "127.0.0.1", port, PATIENCE)
        await connection.write(b"echo")
        assert await connection.read() == b"echo"
        connection.close()

    run(client)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    async def client(loop: Loop) -> None:
        with pytest.raises(ConnectionRefusedError):
            await connect_tcp(loop, "127.0.0.1", port, PATIENCE)
        with pytest.raises(socket.gaierror):
            await connect_tcp(loop, "no-such-host.invalid", port, PATIENCE)

    run(client)


def test_nobody_answers(silent: tuple[str, int]) -> None:
    """A listener whose backlog is full takes no further connection."""

    async def client(loop: Loop) -> None:
        with pytest.raises(TimedOut):
            await connect_tcp(loop, *silent, 0.05)

    run(client)


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """The address of a listener that takes no further connection."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        held = []
        try:
            for _ in range(3):
                filler = socket.socket()
                held.append(filler)
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            yield listener.getsockname()
        finally:
            for filler in held:
                filler.close()


def found_in_order(monkeypatch: pytest.MonkeyPatch, *found: tuple[int, Any]) -> None:
    answer = [(family, socket.SOCK_STREAM, 6, "", address) for family, address in found]
    monkeypatch.setattr(tcp, "getaddrinfo", lambda *asked: answer)


def test_the_next_address_is_tried(
    serve: Callable[..., int], silent: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = serve(lambda connection: connection.sendall(b"here"))
    no_family, here = 44, ("127.0.0.1", port)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refused = listener.getsockname()
    inet = socket.AF_INET
    found_in_order(monkeypatch, (no_family, here), (inet, silent), (inet, refused), (inet, here))

    async def client(loop: Loop) -> None:
        connection = await connect_tcp(loop, "several.test", port, 2)
        assert await connection.read(seconds=PATIENCE) == b"here"
        connection.close()

    run(client)


def test_all_addresses_have_the_time_of_one(silent: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    found_in_order(monkeypatch, (socket.AF_INET, silent), (socket.AF_INET, silent))
    waits = []

    async def client(loop: Loop) -> None:
        writable = loop.writable

        async def wait(fd: int, seconds: float | None = None) -> None:
            assert seconds is not None
            waits.append(seconds)
            await writable(fd, seconds)

        monkeypatch.setattr(loop, "writable", wait)
        with pytest.raises(TimedOut):
            await connect_tcp(loop, "several.test", 1, 0.2)

    run(client)
    assert len(waits) == 2
    assert sum(waits) < 0.21


def exchange(stream: ssl.SSLSocket) -> int:
    """Send LARGE and receive as much meanwhile; how many bytes came.

    In one thread: before Python 3.13 nothing keeps two of them apart in OpenSSL, which then sees an end too early.
    """
    stream.setblocking(False)
    left, received = memoryview(LARGE), 0
    while left or received < len(LARGE):
        select.select([stream], [stream] if left else [], [], PATIENCE)
        with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            left = left[stream.send(left[:65536]) :] if left else left
        with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if received < len(LARGE):
                data = stream.recv(65536)
                assert data, f"the client ended after {received} bytes"
                received += len(data)
    stream.settimeout(PATIENCE)
    return received


def test_what_is_carried_in_both_directions_at_once(serve: Callable[..., int], pem: Path) -> None:
    def life(stream: ssl.SSLSocket) -> None:
        stream.sendall(b"%d" % exchange(stream))
        stream.unwrap()

    port = serve(encrypted(pem, life))

    async def client(loop: Loop) -> None:
        context = ssl.create_default_context(cafile=str(pem))
        stream = TlsConnection(await connect_tcp(loop, "127.0.0.1", port, PATIENCE), context, "localhost")
        await stream.handshake(PATIENCE)
        writing = loop.spawn(stream.write(LARGE, PATIENCE), "writing")
        found = b""
        while len(found) < len(LARGE):
            found += await stream.read(65536, PATIENCE)
        await writing.join(PATIENCE)
        await stream.write(b"")
        end = found[len(LARGE) :] or await stream.read(seconds=PATIENCE)
        assert (found[: len(LARGE)], end) == (LARGE, b"%d" % len(LARGE))
        assert await stream.read(seconds=PATIENCE) == b""
        stream.close()

    run(client)


def greets(stream: ssl.SSLSocket) -> None:
    stream.sendall(b"hello")


@pytest.mark.parametrize(
    ("name", "is_known", "text"),
    [("localhost", False, "self-signed|self signed"), ("another.test", True, "Hostname mismatch")],
)
def test_a_certificate_that_is_not_good_enough(
    serve: Callable[..., int], pem: Path, name: str, is_known: bool, text: str
) -> None:
    port = serve(encrypted(pem, greets))

    async def client(loop: Loop) -> None:
        context = ssl.create_default_context(cafile=str(pem) if is_known else None)
        connection = await connect_tcp(loop, "127.0.0.1", port, PATIENCE)
        stream = TlsConnection(connection, context, name)
        with pytest.raises(ConnectionLost, match=f"TLS: .*({text})"):
            await stream.handshake(PATIENCE)
        stream.close()
        assert connection.closed

    run(client)


@pytest.mark.parametrize("said", [b"* OK this is no TLS\r\n", b""])
def test_a_server_without_tls(serve: Callable[..., int], said: bytes) -> None:
    port = serve(lambda connection: connection.sendall(said))

    async def client(loop: Loop) -> None:
        context = ssl.create_default_context()
        stream = TlsConnection(await connect_tcp(loop, "127.0.0.1", port, PATIENCE), context, "localhost")
        with pytest.raises(ConnectionLost):
            await stream.handshake(PATIENCE)
        stream.close()

    run(client)


def test_a_handshake_that_drips_has_no_more_time(serve: Callable[..., int]) -> None:
    """The bytes of a record that never comes to its end."""

    def drip(connection: socket.socket) -> None:
        with suppress(ConnectionError):
            connection.sendall(b"\x16\x03\x03\x10\x00\x02\x00\x0f\xfc")
            for _ in range(200):
                connection.sendall(b"\0")
                time.sleep(0.02)

    port = serve(drip)

    async def client(loop: Loop) -> None:
        connection = await connect_tcp(loop, "127.0.0.1", port, PATIENCE)
        stream = TlsConnection(connection, ssl.create_default_context(), "localhost")
        with pytest.raises(TimedOut):
            await stream.handshake(0.2)
        stream.close()

    run(client)
