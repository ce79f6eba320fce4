"""Lines that many tasks send over one connection: in order, and the end when one cannot be sent."""

from __future__ import annotations

import _socket
import os
import socket

from dovecot_urlauth.service.connection import Connection, ConnectionLost
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.service.sender import Sender


def test_lines_come_whole_and_in_order() -> None:
    loop = Loop()
    ours, theirs = socket.socketpair()
    connection = Connection(loop, _socket.socket(fileno=ours.detach()))
    sender = Sender(loop, connection)
    lines = [b"%d" % number * 20_000 + b"\n" for number in range(10)]

    async def send_all() -> bytes:
        for line in lines:
            sender.send(line)
            await loop.turn()
        received = b""
        while len(received) < sum(map(len, lines)):
            await loop.readable(theirs.fileno())
            received += theirs.recv(1 << 16)
        return received

    assert loop.run(send_all()) == b"".join(lines)
    connection.close()
    theirs.close()
    loop.close()


def test_what_cannot_be_sent_is_the_end_for_who_reads() -> None:
    """Whoever has asked would wait for an answer to a question that was never heard."""
    loop = Loop()
    ours, theirs = socket.socketpair()

    class Failing(Connection):
        __slots__ = ()

        async def write(self, data: bytes, seconds: float | None = None) -> None:
            raise ConnectionLost(os.strerror(5))

    connection = Failing(loop, _socket.socket(fileno=ours.detach()))

    async def ask() -> bytes:
        Sender(loop, connection).send(b"question\n")
        return await connection.read(seconds=5)

    assert loop.run(ask()) == b""
    connection.close()
    theirs.close()
    loop.close()
