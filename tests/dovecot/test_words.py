"""What a real child may tell the real parent: each word in each state, over the child's own end of its link."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from dovecot_urlauth.worker.parent.protocol import (
    ACCEPTED,
    CLIENT,
    CLIENT_GONE,
    CONNECTION,
    KEEP,
    KEY_SIZE,
    NOT_SHARED,
    OFFER,
    TAKEN,
)
from testing.instance import USERS
from testing.oracle import WorkerSession
from testing.processes import Process, wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import PIECES

pytestmark = pytest.mark.only("tuned")

PIDFD_GETFD = 438
WORDS = {
    "OFFER": OFFER + bytes(KEY_SIZE) + b"\x05\0aliceACCESS\tbob\timap\n",
    "NOT_SHARED": NOT_SHARED,
    "ACCEPTED": ACCEPTED,
    "CLIENT_GONE": CLIENT_GONE,
    "TAKEN": TAKEN,
    "KEEP": KEEP,
    "CONNECTION": CONNECTION,
    "CLIENT": CLIENT,
    "an unknown word": b"?",
}
LEGAL = {"spare": (), "selecting": ("NOT_SHARED",), "serving": ("NOT_SHARED", "CLIENT_GONE")}
"""An OFFER is one only with descriptors, which these words do not have."""


def childs_end(child: Process) -> socket.socket:
    """The child's end of the link, as only root can have it."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(child.pid)
    try:
        for name in os.listdir(f"/proc/{child.pid}/fd"):
            fd = libc.syscall(PIDFD_GETFD, pidfd, int(name), 0)
            if fd < 0 or not os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
                if fd >= 0:
                    os.close(fd)
                continue
            end = socket.socket(fileno=fd)
            if end.type == socket.SOCK_SEQPACKET:
                return end
            end.close()
    finally:
        os.close(pidfd)
    raise AssertionError(f"{child.title} has no link")


def spares(scene: Scene) -> list[Process]:
    return [worker for worker in scene.dovecot.processes(PIECES[2]) if worker.title.endswith("[spare]")]


def serving(scene: Scene) -> list[Process]:
    return [worker for worker in scene.dovecot.processes(PIECES[2]) if USERS["alice"] in worker.uids]


@pytest.fixture
def bring(scene: Scene) -> Iterator[Callable[[str], Process]]:
    """Brings a child into a state."""
    with ExitStack() as stack:

        def made(state: str) -> Process:
            [spare] = wait_for(partial(spares, scene))
            if state == "spare":
                return spare
            session = stack.enter_context(WorkerSession(scene.dovecot))
            session.access(b"bob")
            if state == "selecting":
                return spare
            assert session.select(b"alice") == b"OK\n"
            [worker] = wait_for(partial(serving, scene))  # OK to USER is said before there is one
            return worker

        assert wait_for(lambda: not serving(scene))
        yield made


def flood(end: socket.socket) -> None:
    end.setblocking(True)
    for _ in range(1_000_000):
        end.send(ACCEPTED)


def is_killed(child: Process) -> bool:
    return wait_for(lambda: not child.alive)


@pytest.mark.parametrize(
    ("state", "word"), [(state, word) for state in LEGAL for word in WORDS if word not in LEGAL[state]]
)
def test_a_word_out_of_turn_is_the_childs_end(
    scene: Scene, bring: Callable[[str], Process], state: str, word: str
) -> None:
    scene.expect_log(r"child \d+ sent .*, killed", r"child \d+ killed with signal 9")
    child = bring(state)
    mark = scene.dovecot.log.mark()
    with childs_end(child) as end:
        end.send(WORDS[word])
        assert is_killed(child)
    scene.dovecot.log.wait_for(f"child {child.pid} sent {word} ", mark)
    scene.dovecot.log.wait_for(f"child {child.pid} killed with signal 9", mark)


@pytest.mark.parametrize("word", ["NOT_SHARED", "CLIENT_GONE"])
def test_a_word_that_was_said_already_is_the_childs_end(
    scene: Scene, bring: Callable[[str], Process], word: str
) -> None:
    scene.expect_log(r"child \d+ sent .*, killed", r"child \d+ killed with signal 9")
    child = bring("serving")
    with childs_end(child) as end:
        for _ in range(2):
            try:
                end.send(WORDS[word])
            except OSError:
                break
        assert is_killed(child)


def test_a_flood_of_words_is_one_word(scene: Scene, bring: Callable[[str], Process]) -> None:
    scene.expect_log(r"child \d+ sent ACCEPTED without a client, killed", r"child \d+ killed with signal 9")
    child = bring("serving")
    mark = scene.dovecot.log.mark()
    with childs_end(child) as end, pytest.raises(OSError, match=r"Broken pipe|reset"):
        flood(end)
    scene.dovecot.log.wait_for(f"child {child.pid} killed", mark)
    assert len([line for line in scene.dovecot.log.since(mark) if " sent " in line]) == 1


@pytest.mark.parametrize("state", ["spare", "serving"])
def test_a_socket_that_lingers_holds_nobody(scene: Scene, bring: Callable[[str], Process], state: str) -> None:
    """A TCP socket with unsent data and SO_LINGER, of which only the parent would have a copy."""
    scene.expect_log(r"child \d+ sent .*, killed", r"child \d+ killed with signal 9")
    url = scene.sign(scene.store())
    child = bring(state)
    with childs_end(child) as end, socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(5):
            try:
                socket.send_fds(end, [ACCEPTED], [lingering(server)])
            except OSError:
                break
        if not child.alive or state == "spare":
            assert is_killed(child)
        else:
            os.kill(child.pid, signal.SIGKILL)  # the kernel itself has refused the descriptor
        began = time.monotonic()
        assert scene.user("bob").fetch_url(url) == MESSAGE
        assert time.monotonic() - began < 3


def lingering(server: socket.socket) -> int:
    """A connection whose last close waits for 30 seconds, detached."""
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    with socket.create_connection(server.getsockname()) as made:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\x1e\0\0\0")
        try:
            while made.send(bytes(65536)):
                continue
        except BlockingIOError:
            return os.dup(made.fileno())
    raise AssertionError("the peer takes everything")
