"""Clients of one process: nothing that one of them waits for makes another wait."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from testing.instance import USERS
from testing.oracle import WorkerSession, mailbox_keys, sign
from testing.processes import Process, wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import PIECES

pytestmark = pytest.mark.only("tuned")

SLOW = 2.0
"""Seconds that auth does not answer."""
PROMPT = 1.0
"""Seconds that a neighbour's URL may take meanwhile, on a busy machine."""
TURN = 0.4
"""The same while a large header is read, which takes longer in one go."""


def _serving(scene: Scene) -> list[Process]:
    return [worker for worker in scene.dovecot.processes(PIECES[2]) if USERS["alice"] in worker.uids]


@pytest.fixture
def neighbours(scene: Scene) -> Iterator[tuple[WorkerSession, WorkerSession]]:
    """Two clients of one process."""
    assert wait_for(lambda: not _serving(scene), 5)
    with ExitStack() as stack:
        clients = [stack.enter_context(WorkerSession(scene.dovecot)) for _ in range(2)]
        for client in clients:
            client.access(b"bob")
            assert client.select(b"alice") == b"OK\n"
        assert wait_for(lambda: len(_serving(scene)) == 1)
        yield clients[0], clients[1]


@contextmanager
def _stopped(process: Process) -> Iterator[None]:
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


def _times(client: WorkerSession, url: bytes, goes_on: Callable[[float], bool]) -> list[float]:
    """How long each of the client's URLs takes, one after the other."""
    began = time.monotonic()
    taken = []
    while goes_on(time.monotonic() - began):
        asked = time.monotonic()
        assert client.fetch(url).content == MESSAGE
        taken.append(time.monotonic() - asked)
        time.sleep(0.005)
    return taken


def test_a_slow_auth(scene: Scene, neighbours: tuple[WorkerSession, WorkerSession]) -> None:
    """2.4 asks auth whether another spelling of the user's name means the target user; 2.3 says no by itself."""
    first, second = neighbours
    stored = scene.store()
    url = scene.sign(stored)
    [key] = [key for key in mailbox_keys(scene.dovecot.home("alice")) if sign(stored.rump().encode(), key) == url]
    odd = sign(stored.rump().replace("alice@", "aLiCe@").encode(), key)
    with ExitStack() as stopped:
        for auth in scene.dovecot.processes("auth"):  # a worker of its own may be there, too
            stopped.enter_context(_stopped(auth))
        first.send(b"URL\t" + odd + b"\n")
        taken = _times(second, url, lambda passed: passed < SLOW)
    answer = first.answer()
    if scene.dovecot.version.language == "2.4":
        assert answer.content == MESSAGE
    assert max(taken) < PROMPT, f"median {statistics.median(taken):.6f}, longest {max(taken):.6f}"


def test_a_large_header(scene: Scene, neighbours: tuple[WorkerSession, WorkerSession]) -> None:
    """Its structure takes a second or two to find out, in which the others have their turn."""
    first, second = neighbours
    url = scene.sign(scene.store())
    head = b"".join(b"X-%d: %s\r\n" % (number, b"word, " * 100) for number in range(100_000))
    large = scene.sign(scene.store(head + b"Subject: x\r\n\r\nbody\r\n"))
    first.send(b"URL\t" + large + b"\tbpstruct\n")
    taken = _times(second, url, lambda passed: passed < SLOW)
    assert first.answer().ok
    assert max(taken) < TURN, f"median {statistics.median(taken):.6f}, longest {max(taken):.6f}"


def test_the_parents_death(scene: Scene, neighbours: tuple[WorkerSession, WorkerSession]) -> None:
    """Those who are here are served to their end, and the next ones by another process."""
    scene.expect_log(r"killed with signal 9")
    first, second = neighbours
    url = scene.sign(scene.store())
    [serving] = _serving(scene)
    os.kill(serving.parent, signal.SIGKILL)
    for client in (first, second, first):
        assert client.fetch(url).content == MESSAGE
    first.send(b"END\n")
    assert first.control_line() == b"FINISHED\n"
    assert second.fetch(url).content == MESSAGE
    assert [worker.pid for worker in _serving(scene)] == [serving.pid]
    second.close()
    assert wait_for(lambda: not _serving(scene))
