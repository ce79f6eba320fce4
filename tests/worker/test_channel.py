"""The client's connection: lines in, replies out, and the limits of patience."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from dovecot_urlauth.wire.control import Descriptors
from dovecot_urlauth.worker import channel
from dovecot_urlauth.worker.channel import FAIR_SHARE, ClientChannel, ClientLost
from dovecot_urlauth.worker.waiting import ConnectionOver, Watch


@pytest.fixture
def pair():
    """The worker's channel and the client's socket."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    fd = ours.detach()
    opened = ClientChannel(Descriptors(fd, fd))
    yield opened, theirs
    opened.close()
    theirs.close()


def read(opened):
    return Watch().converse(opened.read())


def write(opened, data):
    Watch().converse(opened.write(data))


def test_not_a_byte_behind_the_line_is_taken(pair):
    """What follows END is the next worker's."""
    pair[1].sendall(b"END\nUSER\tcarol\n")
    assert read(pair[0]) == b"END\n"
    assert pair[0]._client.recv(100) == b"USER\tcarol\n"


def test_a_line_may_come_in_pieces(pair):
    pair[1].sendall(b"UR")
    assert read(pair[0]) == b"UR"
    pair[1].sendall(b"L\tx\nEN")
    assert read(pair[0]) == b"L\tx\n"


def test_the_clients_end(pair):
    pair[1].close()
    with pytest.raises(ClientLost):
        read(pair[0])


def test_silence_has_an_end_without_a_word(pair, monkeypatch):
    monkeypatch.setattr(channel, "IDLE_TIMEOUT", 0.05)
    with pytest.raises(ConnectionOver) as over:
        read(pair[0])
    assert over.value.text == ""


def test_a_client_that_does_not_read_is_named(pair, monkeypatch):
    monkeypatch.setattr(channel, "IDLE_TIMEOUT", 0.05)
    with pytest.raises(ConnectionOver, match="Session closed for inactivity in reading our output"):
        write(pair[0], bytes(10_000_000))


def test_a_client_that_is_gone(pair):
    pair[1].close()
    with pytest.raises(ClientLost):
        write(pair[0], b"x")


def test_progress_restarts_the_clock(pair, monkeypatch):
    monkeypatch.setattr(channel, "IDLE_TIMEOUT", 0.4)
    received = []

    def read_slowly():
        while len(b"".join(received)) < 1_000_000:
            time.sleep(0.02)
            received.append(pair[1].recv(50_000))

    reader = threading.Thread(target=read_slowly)
    reader.start()
    write(pair[0], bytes(1_000_000))
    reader.join()
    assert len(b"".join(received)) == 1_000_000


def test_a_client_that_reads_at_once_waits_for_the_others_now_and_then(pair):
    waits = []

    class Noting(Watch):
        def wait(self, fd, events, seconds):
            waits.append(events)
            return super().wait(fd, events, seconds)

    for _ in range(3 * FAIR_SHARE // 10_000):
        Noting().converse(pair[0].write(bytes(10_000)))
        assert len(pair[1].recv(10_000, socket.MSG_WAITALL)) == 10_000
    assert 2 <= len(waits) <= 4


def test_pipes_are_read_by_the_byte():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.write(writer, b"END\nx")
    pipes = ClientChannel(Descriptors(reader, writer))
    assert b"".join(read(pipes) for _ in range(4)) == b"END\n"
    assert os.read(reader, 10) == b"x"
    pipes.close()
    for fd in (reader, writer):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.close(fd)
