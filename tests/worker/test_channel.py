"""Waiting for the client, the control connection and master at once."""

from __future__ import annotations

import _socket
import os
import select
import socket
import threading
import time

import pytest

from dovecot_urlauth.worker import channel
from dovecot_urlauth.worker.channel import ClientChannel, ClientLost, ConnectionOver, Watch


@pytest.fixture
def client():
    """The worker's end and the client's."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    adopted = _socket.socket(fileno=ours.detach())
    adopted.setblocking(False)
    yield adopted, theirs
    adopted.close()
    theirs.close()


def worker_channel(adopted, watch=None):
    fd = adopted.fileno()
    return ClientChannel(watch or Watch(), fd, fd, adopted)


def test_not_a_byte_behind_the_line_is_taken(client):
    """What follows END is the next worker's."""
    client[1].sendall(b"END\nUSER\tcarol\n")
    assert worker_channel(client[0]).read() == b"END\n"
    assert client[0].recv(100) == b"USER\tcarol\n"


def test_a_line_may_come_in_pieces(client):
    reader = worker_channel(client[0])
    client[1].sendall(b"UR")
    assert reader.read() == b"UR"
    client[1].sendall(b"L\tx\nEN")
    assert reader.read() == b"L\tx\n"


def test_the_clients_end(client):
    client[1].close()
    with pytest.raises(ClientLost):
        worker_channel(client[0]).read()


def test_silence_has_an_end_without_a_word(client, monkeypatch):
    monkeypatch.setattr(channel, "IDLE_TIMEOUT", 0.05)
    with pytest.raises(ConnectionOver) as over:
        worker_channel(client[0]).read()
    assert over.value.text == ""


def test_a_client_that_does_not_read_is_named(client, monkeypatch):
    monkeypatch.setattr(channel, "IDLE_TIMEOUT", 0.05)
    with pytest.raises(ConnectionOver, match="Session closed for inactivity in reading our output"):
        worker_channel(client[0]).write(bytes(10_000_000))


def test_progress_restarts_the_clock(client, monkeypatch):
    monkeypatch.setattr(channel, "IDLE_TIMEOUT", 0.4)
    received = []

    def read_slowly():
        while len(b"".join(received)) < 1_000_000:
            time.sleep(0.02)
            received.append(client[1].recv(50_000))

    reader = threading.Thread(target=read_slowly)
    reader.start()
    worker_channel(client[0]).write(bytes(1_000_000))
    reader.join()
    assert len(b"".join(received)) == 1_000_000


def test_another_fd_ends_the_wait(client):
    reader, writer = os.pipe()
    watch = Watch()

    def end():
        raise ConnectionOver("the other one")

    watch.add(reader, end)
    os.write(writer, b"x")
    with pytest.raises(ConnectionOver, match="the other one"):
        worker_channel(client[0], watch).read()
    os.close(reader)
    os.close(writer)


def test_a_deadline_ends_every_wait(client):
    watch = Watch()
    watch.end_within(0.05)
    with pytest.raises(ConnectionOver):
        worker_channel(client[0], watch).read()


def test_wait_says_when_the_time_is_up(client):
    assert not Watch().wait(client[0].fileno(), select.POLLIN, 0.01)


def test_pipes_are_read_by_the_byte():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.write(writer, b"END\nx")
    pipes = ClientChannel(Watch(), reader, writer, None)
    assert b"".join(pipes.read() for _ in range(4)) == b"END\n"
    assert os.read(reader, 10) == b"x"
    os.close(reader)
    os.close(writer)
