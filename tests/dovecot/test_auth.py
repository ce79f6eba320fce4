"""What auth does must delay no more clients than it has to: a wrong token, its restart."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest

from testing.processes import wait_for
from testing.scene import MESSAGE, Scene

PROMPT = 1.5
OWNER = "streamsrv"
"""Whose mail is asked for: not hers whose serving process other scenarios look at."""

pytestmark = pytest.mark.only("tuned")


def _ask(scene: Scene, user: str) -> float:
    """Seconds that this user's first URL takes."""
    url = scene.sign(scene.store(owner=OWNER), access=f"user+{user}")
    client = scene.user(user)
    asked = time.monotonic()
    assert client.fetch_url(url) == MESSAGE
    return time.monotonic() - asked


def _guess_token(scene: Scene) -> socket.socket:
    client = scene.dovecot.connect("imap-urlauth")
    session, token = b"guessed", b"0" * 40
    client.sendall(b"VERSION\timap-urlauth\t2\t0\nAUTH\timap\t%d\tbob\t%s\t%s\n" % (os.getpid(), session, token))
    return client


def test_one_wrong_token_delays_nobody_else(scene: Scene) -> None:
    _ask(scene, "bob")
    for _ in range(3):
        guessing = _guess_token(scene)
        said = b""
        while not said.endswith(b"FAILED\n"):
            data = guessing.recv(100)
            assert data, said
            said += data
        guessing.close()
    took = _ask(scene, "carol")
    assert took < PROMPT


def test_clients_are_served_at_once_after_a_restart_of_auth(scene: Scene) -> None:
    """Even when login has just connected: the second restart follows on the first."""
    scene.expect_log("auth", "Killed with signal 15")
    took = 0.0
    for user in ("bob", "carol", "submitsrv"):
        url = scene.sign(scene.store(owner=OWNER), access="user+" + user)
        client = scene.user(user)
        _restart_auth(scene)
        asked = time.monotonic()
        assert client.fetch_url(url) == MESSAGE
        took = max(took, time.monotonic() - asked)
    assert took < PROMPT


def _restart_auth(scene: Scene) -> None:
    [auth] = scene.dovecot.processes("auth")
    os.kill(auth.pid, signal.SIGTERM)
    assert wait_for(lambda: auth.pid not in [process.pid for process in scene.dovecot.processes("auth")])
