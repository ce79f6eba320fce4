"""A socket that lingers, sent to where no descriptor is due, must not hold the process that receives it.

The last close of a TCP socket with SO_LINGER and unsent data waits for as long as its sender likes, in whatever
process that close happens.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from testing.scene import MESSAGE, Scene
from testing.versions import PIECES

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGIN, URLAUTH, _ = PIECES
LINGER = 8
"""Seconds that each close would take."""
PROMPT = 3.0
OWNER = "streamsrv"
"""Whose mail is asked for: not hers whose serving process other scenarios look at."""

pytestmark = pytest.mark.only("tuned")


@pytest.fixture
def lingering() -> Iterator[list[socket.socket]]:
    """TCP sockets whose unsent data nobody reads; what reads them closes after the test."""
    listener = socket.create_server(("127.0.0.1", 0))
    opened: list[socket.socket] = []
    peers = [listener]
    for _ in range(3):
        connection = socket.create_connection(listener.getsockname())
        peers.append(listener.accept()[0])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER))
        connection.setblocking(False)
        try:
            while True:
                connection.send(bytes(65536))
        except BlockingIOError:
            pass
        opened.append(connection)
    yield opened
    for peer in (*opened, *peers):
        peer.close()


def _send(connection: socket.socket, data: bytes, lingering: list[socket.socket]) -> None:
    try:
        socket.send_fds(connection, [data], [one.fileno() for one in lingering])
    except PermissionError:
        connection.sendall(data)  # Linux 6.16 and newer: the listener takes no descriptors
        for one in lingering:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
    for one in lingering:
        one.close()  # the last copy is on its way


@contextmanager
def _stopped(scene: Scene, name: str) -> Iterator[None]:
    """So that all that is sent lies there before the first byte is read."""
    stopped = [process.pid for process in scene.dovecot.processes(name)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def _expect_prompt_service(scene: Scene, user: str) -> None:
    url = scene.sign(scene.store(owner=OWNER), access=f"user+{user}")
    client = scene.user(user)
    asked = time.monotonic()
    assert client.fetch_url(url) == MESSAGE
    took = time.monotonic() - asked
    assert took < PROMPT


def test_one_that_login_reads(scene: Scene, lingering: list[socket.socket]) -> None:
    with scene.dovecot.connect("imap-urlauth") as client:
        _send(client, b"V", lingering)
        time.sleep(0.5)
        _expect_prompt_service(scene, "carol")


def test_one_that_login_does_not_read(scene: Scene, lingering: list[socket.socket]) -> None:
    """It waits behind a line over which login ends the connection."""
    scene.expect_log("not compatible with this server")
    _expect_prompt_service(scene, "bob")
    with scene.dovecot.connect("imap-urlauth") as client:
        time.sleep(0.2)
        with _stopped(scene, LOGIN):
            client.sendall(b"VERSION\timap-urlauth\t9\t0\n" + bytes(2000))
            _send(client, b"x", lingering)
        time.sleep(0.5)
        _expect_prompt_service(scene, "carol")


def test_one_that_imap_urlauth_reads(scene: Scene, lingering: list[socket.socket]) -> None:
    scene.expect_log("partial input")
    mark = scene.dovecot.log.mark()
    with scene.dovecot.connect("token-login/imap-urlauth") as login:
        _send(login, b"x", lingering)
        time.sleep(0.5)
        _expect_prompt_service(scene, "carol")
    scene.dovecot.log.wait_for("partial input", mark)


def test_one_that_imap_urlauth_does_not_read(scene: Scene, lingering: list[socket.socket]) -> None:
    """It waits behind a request over which imap-urlauth ends the connection."""
    scene.expect_log("Too large auth data_size sent")
    _expect_prompt_service(scene, "bob")
    with scene.dovecot.connect("token-login/imap-urlauth") as login:
        time.sleep(0.2)
        with _stopped(scene, URLAUTH):
            login.sendall(b"\xff" * 104 + bytes(2000))
            _send(login, b"x", lingering)
        time.sleep(0.5)
        _expect_prompt_service(scene, "carol")
