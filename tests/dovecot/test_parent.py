"""What the worker's parent may suffer, and who does not notice."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from testing.instance import DovecotInstance
from testing.oracle import WorkerSession
from testing.processes import Process
from testing.scene import MESSAGE, Scene
from testing.versions import PIECES

pytestmark = pytest.mark.only("tuned")

KILLED = r"service\(imap-urlauth-worker.*killed with signal 9"


@pytest.fixture
def session(scene: Scene) -> Iterator[Callable[[], WorkerSession]]:
    """Makes sessions of Bob's with Alice selected."""
    with ExitStack() as stack:

        def make() -> WorkerSession:
            made = stack.enter_context(WorkerSession(scene.dovecot))
            made.access(b"bob")
            assert made.select(b"alice") == b"OK\n"
            return made

        yield make


def parent(dovecot: DovecotInstance) -> Process:
    """The process that master started."""
    workers = {worker.pid: worker for worker in dovecot.processes(PIECES[2])}
    [found] = [worker for worker in workers.values() if _parent_of(worker.pid) not in workers]
    return found


def _parent_of(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])


def allow_descriptors(pid: int, limit: int) -> int:
    """Set the soft limit of a process; return what it was."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, hard))
    return soft


def test_its_death_ends_no_client(scene: Scene, session: Callable[[], WorkerSession]) -> None:
    """Nor does a client's word that nobody reads any more."""
    scene.expect_log(KILLED)
    mark = scene.dovecot.log.mark()
    url = scene.sign(scene.store())
    for _ in range(5):
        clients = [session() for _ in range(5)]
        os.kill(parent(scene.dovecot).pid, signal.SIGKILL)
        clients.pop().close()
        assert [client.fetch(url).content for client in clients] == [MESSAGE] * 4
        for client in clients:
            client.close()
    failures = [line for line in scene.dovecot.log.since(mark) if "Fatal" in line or "Unexpected" in line]
    assert [line for line in failures if "master: service(imap-urlauth-worker)" not in line] == []


def test_no_descriptor_for_a_while(scene: Scene, session: Callable[[], WorkerSession]) -> None:
    """It accepts again within about a second, whoever stays or leaves."""
    scene.expect_log(r"failed: Too many open files")
    url = scene.sign(scene.store())
    first = session()
    worker = parent(scene.dovecot)
    before = allow_descriptors(worker.pid, 3)
    waiting = scene.dovecot.connect(PIECES[2])
    time.sleep(0.2)
    allow_descriptors(worker.pid, before)
    began = time.monotonic()
    assert session().fetch(url).content == MESSAGE
    assert time.monotonic() - began < 2
    assert first.fetch(url).content == MESSAGE
    waiting.close()
