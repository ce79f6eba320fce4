"""kill -9 of each process that a client's way leads through: who waits hears of it, and the next is served."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from testing.imapclient import ConnectionLost, ImapClient
from testing.instance import USERS, DovecotInstance
from testing.oracle import WorkerSession
from testing.processes import wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import PIECES, TUNED, Version
from tests.dovecot.conftest import Installations

pytestmark = pytest.mark.only("tuned")

STOCK = (" auth", " imap-login: ", r" imap\(", " master: ", " config: ", " anvil: ", "backtrace")
"""Dovecot's own processes may say what they like, and imap panics when its client leaves within a URLFETCH."""
DEATHS = (*STOCK, "killed with signal 9", "isconnected", "Connection closed", "Connection reset", "imap-urlauth")
"""What master, auth's clients and imap may say of it."""
PROMPT = 10.0
"""Seconds until somebody is served again; a busy machine forks slowly."""


def _kill(dovecot: DovecotInstance, name: str) -> list[int]:
    pids = [process.pid for process in dovecot.processes(name)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    gone = wait_for(lambda: not {process.pid for process in dovecot.processes(name)} & set(pids))
    assert gone
    return pids


def _is_served(scene: Scene, url: bytes, user: str) -> bool:
    with scene.dovecot.imap(user) as client:
        return client.fetch_url(url) == MESSAGE


@pytest.mark.parametrize("name", [*PIECES, "auth", "config"])
def test_the_next_client_is_served(scene: Scene, name: str) -> None:
    """Whatever is killed while a session is open and one more begins."""
    scene.expect_log(*DEATHS)
    url = scene.sign(scene.store(), access="authuser")
    mark = scene.dovecot.log.mark()
    bob = scene.user("bob")
    assert bob.fetch_url(url) == MESSAGE
    assert _kill(scene.dovecot, name) or name in ("config")
    began = time.monotonic()
    assert wait_for(lambda: _is_served(scene, url, "carol"), PROMPT, 0.2)
    assert time.monotonic() - began < PROMPT
    wait_for(lambda: _is_served(scene, url, "bob"), PROMPT, 0.2)
    ours = [line for line in scene.dovecot.log.since(mark) if "imap-urlauth" in line]
    assert not [line for line in ours if "Unexpected" in line or "Panic" in line]


def test_nobody_gets_half_a_mail_for_a_whole_one(scene: Scene) -> None:
    """The serving process is killed within a literal: nothing follows, and the next one serves."""
    scene.expect_log(*DEATHS)
    large = MESSAGE + b"a line of some length, so that it takes a while\r\n" * 200_000
    url = scene.sign(scene.store(large), access="authuser")
    with WorkerSession(scene.dovecot) as worker:
        worker.access(b"bob")
        assert worker.select(b"alice") == b"OK\n"
        worker.send(b"URL\t%s\tbody\n" % url)
        assert worker.line() == b"OK\t%d\n" % len(large)
        serving = [process for process in scene.dovecot.processes(PIECES[2]) if USERS["alice"] in process.uids]
        for process in serving:
            process.kill()
        received = worker.rest()
    assert serving
    assert len(received) < len(large)
    assert large.startswith(received)
    with scene.dovecot.imap("carol") as client:
        assert client.fetch_url(url) == large


@pytest.mark.parametrize("way", ["stop", "reload"])
def test_under_load(
    version: Version, installations: Installations, starter: Callable[..., DovecotInstance], way: str
) -> None:
    """Nine sessions are in their literals: a stop leaves no process, and nobody takes half a mail for a whole."""
    dovecot = DovecotInstance(version, TUNED, installations[version])
    starter(dovecot, *DEATHS)
    with Scene(dovecot) as scene:
        large = MESSAGE + b"x" * 70 + b"\r\n" * 100_000
        url = scene.sign(scene.store(large), access="authuser")
        clients = [scene.session(name) for name in ("bob", "carol", "submitsrv") * 3]
        tags = [client.send(b'URLFETCH "%s"' % url) for client in clients]
        if way == "reload":
            dovecot.signal(signal.SIGHUP)
            outcomes = {_outcome(client, tag) for client, tag in zip(clients, tags)}
            assert outcomes <= {large, None, LOST}
            assert wait_for(lambda: _is_fetched(dovecot, url, large), PROMPT, 0.2)
    # a stop finds whatever is left, and fails


LOST = b"connection lost"


def _outcome(client: ImapClient, tag: bytes) -> bytes | None:
    """The mail as a whole, NIL, or that the connection was lost: Dovecot's own processes end at a reload, too."""
    try:
        reply = client.reply(tag)
    except (ConnectionLost, ConnectionResetError):
        return LOST
    answers = reply.all(b"URLFETCH")  # none when imap has given up
    content: bytes | None = answers[0][1] if answers else None
    return content


def _is_fetched(dovecot: DovecotInstance, url: bytes, content: bytes) -> bool:
    try:
        with dovecot.imap("bob") as client:
            return client.fetch_url(url) == content
    except (OSError, ConnectionLost, AssertionError):
        return False
