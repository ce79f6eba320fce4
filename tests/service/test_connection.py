"""Connections over real socket pairs: who owns what, and what a peer can do to whoever reads."""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.service import connection as service_connection
from dovecot_urlauth.service.connection import Connection, ConnectionLost, connect
from dovecot_urlauth.service.descriptor import Descriptor, DescriptorsTruncated, receive_message
from dovecot_urlauth.service.loop import Loop, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def adopt(loop: Loop, ours: socket.socket) -> Connection:
    return Connection(loop, Descriptor(ours.detach()))


def test_reads_and_the_end(pair: tuple[socket.socket, socket.socket]) -> None:
    loop = Loop()
    connection = adopt(loop, pair[0])
    pair[1].sendall(b"hello")

    async def work() -> list[bytes]:
        first = await connection.read(3, 5)
        second = await connection.read(seconds=5)
        pair[1].close()
        return [first, second, await connection.read(seconds=5)]

    assert loop.run(work()) == [b"hel", b"lo", b""]
    connection.close()


def test_a_read_has_its_time(pair: tuple[socket.socket, socket.socket]) -> None:
    loop = Loop()
    connection = adopt(loop, pair[0])

    async def work() -> None:
        with pytest.raises(TimedOut):
            await connection.read(seconds=0.01)

    loop.run(work())
    connection.close()


def test_a_line_and_not_a_byte_more(pair: tuple[socket.socket, socket.socket]) -> None:
    loop = Loop()
    connection = adopt(loop, pair[0])
    pair[1].sendall(b"END\nUSER\tbob\npart")

    async def work() -> list[bytes]:
        return [await connection.read_line(5) for _ in range(3)]

    assert loop.run(work()) == [b"END\n", b"USER\tbob\n", b"part"]
    connection.close()


def test_a_slow_reader_gets_all(pair: tuple[socket.socket, socket.socket]) -> None:
    loop = Loop()
    connection = adopt(loop, pair[0])
    data = os.urandom(1 << 20)
    received = bytearray()
    pair[1].setblocking(False)

    async def drain() -> None:
        while len(received) < len(data):
            await loop.readable(pair[1].fileno())
            received.extend(pair[1].recv(65536))

    async def work() -> None:
        reader = loop.spawn(drain(), "reader")
        await connection.write(data, 5)
        await reader.join(5)

    loop.run(work())
    assert received == data
    connection.close()


def room(connection: Connection) -> int:
    """Bytes that are under way when no more can be sent."""
    while connection.send_part(bytes(1 << 12)):
        pass
    return connection.sent


def test_more_is_under_way_where_much_is_to_be_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    loop = Loop()
    wide, usual = adopt(loop, pair[0]), adopt(loop, pair[1])
    wide.widen()
    assert room(wide) > 1.5 * room(usual)
    wide.close()
    usual.close()


def test_what_is_wide_already_stays_as_it_is(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_connection, "WIDE", 1 << 16)
    loop = Loop()
    wide, usual = adopt(loop, pair[0]), adopt(loop, pair[1])
    wide.widen()
    assert room(wide) == room(usual)
    wide.close()
    usual.close()


def test_a_peer_that_takes_nothing_is_given_up(pair: tuple[socket.socket, socket.socket]) -> None:
    loop = Loop()
    connection = adopt(loop, pair[0])

    async def work() -> None:
        with pytest.raises(TimedOut):
            await connection.write(bytes(1 << 22), 0.01)

    loop.run(work())
    connection.close()


def test_a_lost_peer(pair: tuple[socket.socket, socket.socket]) -> None:
    loop = Loop()
    connection = adopt(loop, pair[0])
    pair[1].close()

    async def work() -> None:
        await connection.hung_up(5)
        assert not connection.send_now(b"OK\n")
        await connection.write(b"")
        with pytest.raises(ConnectionLost, match="Broken pipe"):
            await connection.write(b"x", 5)

    loop.run(work())
    connection.close()


def test_descriptors_arrive_and_are_owned(pair: tuple[socket.socket, socket.socket]) -> None:
    loop = Loop()
    connection = adopt(loop, pair[0])
    other = Connection(loop, pair[1])
    read, write = os.pipe()

    async def work() -> bytes:
        await other.send_descriptors(b"0", [write], 5)
        data, (descriptor,) = await connection.read_message(16, 5)
        assert data == b"0"
        os.write(descriptor.fileno(), b"through it")
        descriptor.close()
        descriptor.close()
        assert descriptor.closed
        return os.read(read, 16)

    assert loop.run(work()) == b"through it"
    os.close(read)
    os.close(write)
    connection.close()
    other.close()


def test_descriptors_that_nobody_asked_for_are_closed(pair: tuple[socket.socket, socket.socket]) -> None:
    loop = Loop()
    connection = adopt(loop, pair[0])
    before = len(os.listdir("/proc/self/fd"))
    socket.send_fds(pair[1], [b"x\n"], [0, 1, 2])

    async def work() -> bytes:
        return await connection.read_line(5)

    assert loop.run(work()) == b"x\n"
    assert len(os.listdir("/proc/self/fd")) == before
    connection.close()


async def end_unread(connection: Connection) -> None:
    connection.end()


@pytest.mark.parametrize(
    "receive",
    [lambda c: c.read(8, 5), lambda c: c.read_line(5), end_unread],
    ids=["read", "read_line", "unread"],
)
def test_a_socket_that_lingers_holds_nobody(
    pair: tuple[socket.socket, socket.socket], receive: Callable[[Connection], object]
) -> None:
    """A TCP socket with unsent data and SO_LINGER: who closes it last waits, unless it is made harmless."""
    loop = Loop()
    connection = adopt(loop, pair[0])
    listener = socket.create_server(("127.0.0.1", 0))
    lingering = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    lingering.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 30))
    lingering.setblocking(False)
    try:
        while True:
            lingering.send(bytes(1 << 16))
    except BlockingIOError:
        pass
    socket.send_fds(pair[1], [b"\n"], [lingering.fileno()])
    os.close(lingering.detach())

    async def work() -> float:
        began = time.monotonic()
        await receive(connection)  # type: ignore[misc]
        return time.monotonic() - began

    assert loop.run(work()) < 10
    connection.close()
    accepted.close()
    listener.close()


def test_a_full_table_of_descriptors_says_so(pair: tuple[socket.socket, socket.socket]) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    socket.send_fds(pair[1], [b"x"], [0, 1, 2])
    top = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (top + 1, hard))
    filling = []
    try:
        while True:
            filling.append(os.dup(0))
    except OSError:
        pass
    try:
        with pytest.raises(DescriptorsTruncated):
            receive_message(pair[0], 8)
    finally:
        for fd in filling:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_connection_that_lingers_is_closed_at_once() -> None:
    """What a peer has sent as its socket may be anything, and what it has set stays set."""
    loop = Loop()
    listener = socket.create_server(("127.0.0.1", 0))
    lingering = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    lingering.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 30))
    connection = Connection(loop, Descriptor(lingering.detach()))
    while connection.send_now(bytes(1 << 16)):
        pass
    began = time.monotonic()
    connection.close()
    assert time.monotonic() - began < 10
    accepted.close()
    listener.close()
    loop.close()


def test_detaching_gives_the_socket_away(pair: tuple[socket.socket, socket.socket]) -> None:
    loop = Loop()
    connection = adopt(loop, pair[0])
    detached = connection.detach()
    connection.close()
    assert connection.closed
    detached.send(b"still open")
    assert pair[1].recv(32) == b"still open"
    detached.close()
    with pytest.raises(ValueError, match="closed"):
        connection.detach()


def test_what_is_no_socket_is_refused_and_closed() -> None:
    read, write = os.pipe()
    descriptor = Descriptor(read)
    with pytest.raises(OSError, match="non-socket"):
        Connection(Loop(), descriptor)
    assert descriptor.closed
    with pytest.raises(BrokenPipeError):
        os.write(write, b"x")
    os.close(write)


def test_the_peer_is_who_the_kernel_says(pair: tuple[socket.socket, socket.socket]) -> None:
    connection = adopt(Loop(), pair[0])
    assert connection.peer().pid == os.getpid()
    assert connection.inode() == os.fstat(connection.fileno()).st_ino
    connection.close()


def test_a_full_backlog_is_tried_again_and_others_go_on(tmp_path: Path) -> None:
    loop = Loop()
    path = tmp_path / "listener"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(0)
    waiting = []
    while True:
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        waiting.append(client)
        try:
            client.connect(str(path))
        except BlockingIOError:
            break

    async def accept_one() -> None:
        listener.accept()[0].close()

    async def work() -> None:
        with pytest.raises(BlockingIOError):
            await connect(loop, os.fsencode(path))
        loop.spawn(accept_one(), "accept")
        connection = await connect(loop, os.fsencode(path), patience=5)
        connection.close()

    loop.run(work())
    for client in waiting:
        client.close()
    listener.close()


def test_nobody_listens(tmp_path: Path) -> None:
    loop = Loop()

    async def work() -> None:
        with pytest.raises(FileNotFoundError):
            await connect(loop, os.fsencode(tmp_path / "none"), patience=5)

    loop.run(work())
