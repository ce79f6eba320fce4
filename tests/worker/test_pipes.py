"""A client on pipes, a file or something else that is no socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dovecot_urlauth.service.connection import Connection, ConnectionLost
from dovecot_urlauth.service.descriptor import Descriptor
from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.worker.pipes import Pipes, open_connection
from tests.clock import SteppingLoop


@pytest.fixture
def loop() -> Iterator[SteppingLoop]:
    made = SteppingLoop()
    yield made
    made.close()


def read_all(loop: SteppingLoop, pipes: Connection | Pipes, count: int) -> bytes:
    async def read() -> bytes:
        return b"".join([await pipes.read_line(10) for _ in range(count)])

    return loop.run(read())


def test_not_a_byte_behind_the_line_is_taken(loop: SteppingLoop) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"END\nx")
    pipes = open_connection(loop, Descriptor(reader), Descriptor(writer))
    assert read_all(loop, pipes, 4) == b"END\n"
    assert os.read(reader, 10) == b"x"
    with pytest.raises(TimedOut):
        read_all(loop, pipes, 1)
    pipes.close()
    pipes.close()
    for fd in (reader, writer):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_a_writer_waits_for_its_reader(loop: SteppingLoop) -> None:
    reader, writer = os.pipe()
    pipes = Pipes(loop, Descriptor(os.dup(reader)), Descriptor(writer))
    data = bytes(300_000)
    received: list[bytes] = []

    async def drain() -> None:
        while sum(len(piece) for piece in received) < len(data):
            await loop.readable(reader)
            received.append(os.read(reader, 1 << 20))

    async def both() -> None:
        task = loop.spawn(drain())
        await pipes.write(data, 10)
        await task.join()

    loop.run(both())
    assert b"".join(received) == data
    with pytest.raises(TimedOut):
        loop.run(pipes.write(data, 10))
    pipes.close()
    os.close(reader)


def test_nobody_at_the_other_ends(loop: SteppingLoop) -> None:
    reader, writer = os.pipe()
    back_reader, back_writer = os.pipe()
    pipes = Pipes(loop, Descriptor(reader), Descriptor(back_writer))
    os.close(writer)
    os.close(back_reader)
    assert read_all(loop, pipes, 1) == b""
    with pytest.raises(ConnectionLost, match="Broken pipe"):
        loop.run(pipes.write(b"x"))
    pipes.close()


def test_input_from_a_file(loop: SteppingLoop, tmp_path: Path) -> None:
    path = tmp_path / "commands"
    path.write_bytes(b"END\n")
    reader, writer = os.pipe()
    pipes = Pipes(loop, Descriptor(os.open(path, os.O_RDONLY)), Descriptor(writer))
    assert read_all(loop, pipes, 5) == b"END\n"
    pipes.close()
    os.close(reader)


def test_a_directory_cannot_be_read(loop: SteppingLoop) -> None:
    folder = Descriptor(os.open("/", os.O_RDONLY))
    pipes = open_connection(loop, folder, folder)
    with pytest.raises(ConnectionLost, match="Is a directory"):
        read_all(loop, pipes, 1)
    assert isinstance(pipes, Pipes)
    assert len(set(pipes.fds)) == 1
    pipes.close()


def test_a_socket_is_a_connection(loop: SteppingLoop) -> None:
    ours, theirs = socket.socketpair()
    descriptor = Descriptor(ours.detach())
    connection = open_connection(loop, descriptor, descriptor)
    assert isinstance(connection, Connection)
    assert descriptor.closed
    connection.close()
    theirs.close()
