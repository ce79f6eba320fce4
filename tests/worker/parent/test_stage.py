"""The worker's process as master sees it: who may connect, the title, its children's ends."""

from __future__ import annotations

import _socket
import os
import socket
import time
from types import SimpleNamespace
from typing import Any

import pytest

from dovecot_urlauth.service.connection import Connection
from dovecot_urlauth.service.log import Log
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.service.privileges import PrivilegesKept
from dovecot_urlauth.service.process import Terminated
from dovecot_urlauth.service.run import EXIT_FATAL, EXIT_OK
from dovecot_urlauth.service.sockets import PeerCredentials
from dovecot_urlauth.service.stats import SILENT, Stats
from dovecot_urlauth.worker.parent import stage as stage_module
from dovecot_urlauth.worker.parent.stage import WorkerStage
from tests.worker.parent.children import Client, Lines, script


class Process:
    """What the stage needs of the service process."""

    def __init__(self, left: int | None) -> None:
        self.loop = Loop()
        self.pipe = Lines()
        self.log = Log("", self.pipe)
        self.dying = False
        self.slots = SimpleNamespace(left=left)
        self.environment = SimpleNamespace(service_name="imap-urlauth-worker")
        self.stats = SILENT

    def new_stats(self, loop: Loop) -> Stats:
        return SILENT

    def leave_to_parent(self) -> None:
        self.loop.close()


class Title:
    def __init__(self) -> None:
        self.shown: list[str] = []

    def show(self, text: str) -> None:
        self.shown.append(text)


class Arena:
    """A stage, and connections of imap-urlauth."""

    def __init__(self, left: int | None = None, uids: tuple[int, ...] = (os.getuid(),)) -> None:
        self.process = Process(left)
        self.title = Title()
        config: Any = SimpleNamespace()
        self.stage = WorkerStage(self.process, self.title, config, frozenset(uids))  # type: ignore[arg-type]
        ours, theirs = socket.socketpair()
        self.client = Client(ours)
        self.connection = Connection(self.process.loop, _socket.socket(fileno=theirs.detach()))

    @property
    def lines(self) -> list[str]:
        return self.process.pipe.lines

    async def reap(self) -> None:
        await self.process.loop.sleep(0.01)
        self.stage.child_exited()

    async def _play(self, scenario: Any) -> None:
        try:
            await scenario
        finally:
            self.process.dying = True
            pool = self.stage._pool
            for child in [] if pool is None else list(pool._children.values()):
                child.kill()
                os.waitpid(child.pid, 0)
                pool.ended(child.pid)  # type: ignore[union-attr]

    def run(self, scenario: Any) -> None:
        self.process.loop.run(self._play(scenario))
        self.connection.close()
        self.client.close()
        self.process.loop.close()


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_module, "live", lambda link, *rest: script(link))


def test_a_connection_from_accept_to_its_end() -> None:
    arena = Arena()

    async def scenario() -> None:
        serving = arena.process.loop.spawn(arena.stage.serve(arena.connection))
        arena.client.ask(b"alice")
        await arena.process.loop.readable(arena.client.fileno(), 60)
        assert int(arena.client.recv(100))
        assert arena.title.shown == ["[idling]", "[1 connections]"]
        arena.client.shutdown(socket.SHUT_RDWR)  # the children have copies of it
        await serving.join(5)
        assert arena.title.shown[-1] == "[idling]"
        arena.process.dying = True
        for child in list(arena.stage._pool._children.values()):  # type: ignore[union-attr]
            child.terminate()
        for _ in range(100):
            await arena.reap()
            if len(arena.lines) == 2:
                return

    arena.run(scenario())
    assert {line.partition("child ")[2].split(" ", 1)[1] for line in arena.lines} == {"killed with signal 15"}


def test_sigterm_ends_the_children() -> None:
    arena = Arena()

    async def scenario() -> None:
        serving = arena.process.loop.spawn(arena.stage.serve(arena.connection))
        arena.client.ask(b"alice")
        await arena.process.loop.sleep(0.3)
        arena.process.dying = True
        serving.cancel(Terminated())
        with pytest.raises(Terminated):
            await serving.join(5)
        for _ in range(100):
            await arena.reap()
            if not arena.stage._pool._children:  # type: ignore[union-attr]
                return
        raise AssertionError("they live")

    arena.run(scenario())
    assert all("killed with signal 15" in line for line in arena.lines)


def test_an_error_status_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_module, "live", lambda link, *rest: 89)
    arena = Arena()

    async def scenario() -> None:
        deadline = time.monotonic() + 5
        while not arena.lines and time.monotonic() < deadline:
            await arena.reap()
        arena.process.dying = True

    arena.run(scenario())
    assert arena.lines[0].endswith("returned error 89")


def test_nobody_but_imap_urlauth_may_connect() -> None:
    async def at_once(arena: Arena) -> None:
        await arena.process.loop.spawn(arena.stage.serve(arena.connection)).join(10)

    arena = Arena(uids=(12345,))
    arena.run(at_once(arena))
    assert arena.lines == [f"Connection refused: pid={os.getpid()}, uid={os.getuid()} is not imap-urlauth"]
    arena = Arena()
    arena.connection.close()
    arena.run(at_once(arena))
    assert arena.lines == ["Connection refused: no peer credentials: Bad file descriptor"]


@pytest.mark.parametrize("kept", [False, True], ids=["well", "root is kept"])
def test_the_only_client_is_served_here(monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    served: list[PeerCredentials] = []

    class Alone:
        def __init__(self, *rest: object) -> None: ...

        async def serve(self, connection: Connection, peer: PeerCredentials) -> None:
            served.append(peer)
            if kept:
                raise PrivilegesKept("root is still there")

    monkeypatch.setattr(stage_module, "Child", Alone)
    arena = Arena(left=1)
    arena.run(arena.stage.serve(arena.connection))
    assert [peer.pid for peer in served] == [os.getpid()]
    assert arena.stage.exit_status == (EXIT_FATAL if kept else EXIT_OK)
    assert arena.lines == (["root is still there"] if kept else [])
    arena.stage.child_exited()
