"""The connection to stats, over real sockets: what is sent, what is kept, and that nothing waits."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from dovecot_urlauth.dialect.versions import STATS_2_3_18, STATS_2_4
from dovecot_urlauth.service.connection import Connection
from dovecot_urlauth.service.stats import (
    FAREWELL,
    LISTEN_DELAY,
    MOST_KEPT,
    MOST_UNSENT,
    RECONNECT_PAUSE,
    SILENT,
    ConnectionEvents,
    Stats,
)
from tests.clock import SteppingLoop
from tests.wire.statsreading import Reported, read_events

HELLO = b"VERSION\tstats-server\t4\t0\n"
ALL = b'FILTER\t(event="*")\n'
NONE = b"FILTER\t\n"
PATIENT = 5 * LISTEN_DELAY


class Peer:
    """A stats process that says what a test wants."""

    def __init__(self, folder: Path) -> None:
        self.path = os.fsencode(folder / "stats-writer")
        self.loop = SteppingLoop()
        self.heard = b""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(5)
        self._listener.setblocking(False)
        self.connection: socket.socket | None = None
        self._made: list[Stats] = []
        self._accepted: list[socket.socket] = []

    def stats(self, names: Any = STATS_2_4) -> Stats:
        self._made.append(Stats(self.loop, "imap-urlauth", self.path, names))
        return self._made[-1]

    def accept(self) -> None:
        self.connection, _ = self._listener.accept()
        self._accepted.append(self.connection)
        self.connection.setblocking(False)

    def say(self, data: bytes) -> None:
        if self.connection is None:
            self.accept()
        assert self.connection is not None
        self.connection.sendall(data)

    def read(self) -> bytes:
        """All that has come by now."""
        assert self.connection is not None
        try:
            while data := self.connection.recv(1 << 20):
                self.heard += data
        except BlockingIOError:
            pass
        return self.heard

    def events(self) -> list[Reported]:
        return read_events(self.read())

    def names(self) -> list[str]:
        return [event.name for event in self.events()] if self.read() else []

    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.loop.run(scenario())

    def close(self) -> None:
        self._listener.close()
        for connection in self._accepted:
            connection.close()
        for stats in self._made:
            stats.leave_to_parent()
        self.loop.close()


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    made = Peer(tmp_path)
    yield made
    made.close()


def test_what_came_before_the_filter_is_sent_behind_it(peer: Peer) -> None:
    async def scenario() -> None:
        stats = peer.stats()
        stats.listen()
        stats.report("early", ("imap-urlauth",), {"id": 1}, 1000.5)
        peer.say(HELLO + ALL)
        await peer.loop.sleep(PATIENT)
        stats.report("late", (), {})
        early, late = peer.events()
        assert (early.name, late.name) == ("early", "late")
        assert early.categories == {"imap-urlauth", "service:imap-urlauth"}
        assert (early.fields, early.created) == ({"id": 1}, 1000.5)
        assert late.sent >= early.sent > early.created

    peer.run(scenario)


def test_nothing_is_sent_that_nobody_wants(peer: Peer) -> None:
    async def scenario() -> None:
        stats = peer.stats()
        stats.listen()
        stats.report("early", (), {})
        peer.say(HELLO + NONE)
        await peer.loop.sleep(PATIENT)
        stats.report("late", (), {})
        assert not stats.wants("early")
        assert not stats.wants("late")
        assert peer.events() == []
        peer.say(b"FILTER\t(event=late AND category=imap-urlauth AND user=bob)\n")
        await peer.loop.sleep(PATIENT)
        stats.report("early", ("imap-urlauth",), {"user": "bob"})
        stats.report("late", (), {"user": "bob"})
        stats.report("late", ("imap-urlauth",), {"user": "carol"})
        assert (stats.wants("early"), stats.wants("late")) == (False, True)
        assert peer.events() == []
        stats.report("late", ("imap-urlauth",), {"user": "bob"})
        assert peer.names() == ["late"]

    peer.run(scenario)


def test_a_filter_that_is_not_understood_lets_everything_through(peer: Peer) -> None:
    async def scenario() -> None:
        stats = peer.stats()
        stats.listen()
        peer.say(HELLO + b"FILTER\t((\n")
        await peer.loop.sleep(PATIENT)
        stats.report("any", (), {})
        assert peer.names() == ["any"]

    peer.run(scenario)


def test_a_process_of_one_client_listens_at_its_end(peer: Peer) -> None:
    async def scenario() -> None:
        stats = peer.stats()
        stats.listen()
        stats.report("only", (), {})
        peer.say(HELLO + ALL)
        await peer.loop.turn()
        assert peer.read() == b""
        await stats.finish()
        assert peer.names() == ["only"]
        assert peer.loop.now() < LISTEN_DELAY
        stats.report("afterwards", (), {})
        assert peer.names() == ["only", "afterwards"]

    peer.run(scenario)


def test_the_end_is_not_put_off_for_a_stats_that_says_nothing(peer: Peer) -> None:
    async def scenario() -> None:
        stats = peer.stats()
        stats.listen()
        await stats.finish()
        assert peer.loop.now() == 0
        stats.report("lost", (), {})
        await stats.finish()
        assert peer.loop.now() == pytest.approx(FAREWELL, abs=0.01)

    peer.run(scenario)


def test_only_so_many_are_kept(peer: Peer) -> None:
    async def scenario() -> None:
        stats = peer.stats()
        stats.listen()
        for number in range(MOST_KEPT + 50):
            stats.report("kept", (), {"id": number})
        peer.say(HELLO + ALL)
        await peer.loop.sleep(PATIENT)
        assert [event.fields["id"] for event in peer.events()] == list(range(MOST_KEPT))

    peer.run(scenario)


def test_what_stats_does_not_read_is_lost_whole(peer: Peer) -> None:
    async def scenario() -> None:
        stats = peer.stats()
        stats.listen()
        peer.say(HELLO + ALL)
        await peer.loop.sleep(PATIENT)
        text = "x" * 8000
        for number in range(200):
            stats.report("many", ("dict",) if number > 190 else (), {"id": number, "text": text})
        assert len(stats._unsent) < MOST_UNSENT + 9000
        for _ in range(50):
            peer.read()
            await peer.loop.sleep(0.01)
        numbers = [event.fields["id"] for event in peer.events()]
        assert numbers == list(range(len(numbers)))
        assert 20 < len(numbers) < 190
        stats.report("again", ("dict",), {})
        assert peer.names()[-1] == "again"

    peer.run(scenario)


@pytest.mark.parametrize("said", [b"", b"VERSION\tstats-server\t5\t0\n", HELLO + b"NONSENSE\n"])
def test_a_lost_stats_is_called_again_after_a_while(peer: Peer, said: bytes) -> None:
    async def scenario() -> None:
        stats = peer.stats()
        stats.listen()
        peer.say(said)
        assert peer.connection is not None
        if not said:
            peer.connection.close()
        await peer.loop.sleep(PATIENT)
        stats.report("lost", (), {})
        assert not stats.wants("lost")
        await peer.loop.sleep(RECONNECT_PAUSE)
        stats.report("kept", (), {})
        peer.heard = b""
        peer.accept()
        peer.say(HELLO + ALL)
        await peer.loop.sleep(PATIENT)
        assert peer.names() == ["kept"]

    peer.run(scenario)


def test_one_that_breaks_while_it_is_written_to_is_lost_quietly(peer: Peer) -> None:
    async def scenario() -> None:
        stats = peer.stats()
        stats.listen()
        peer.say(HELLO + ALL)
        await peer.loop.sleep(PATIENT)
        for _ in range(100):
            stats.report("many", (), {"text": "x" * 8000})
        assert peer.connection is not None
        peer.connection.close()
        await peer.loop.sleep(PATIENT)
        stats.report("lost", (), {})
        assert not stats.wants("lost")

    peer.run(scenario)


@pytest.mark.parametrize("path", [None, b"stats-writer", b"/nowhere/stats-writer"])
def test_where_there_is_none_nothing_is_said(path: bytes | None) -> None:
    loop = SteppingLoop()

    async def scenario() -> None:
        stats = Stats(loop, "imap-urlauth", path, STATS_2_4)
        stats.listen()
        stats.report("lost", (), {})
        assert not stats.wants("lost")
        await loop.sleep(2 * RECONNECT_PAUSE)
        assert not stats.wants("lost")
        await stats.finish()
        stats.leave_to_parent()

    loop.run(scenario())
    loop.close()
    assert not SILENT.wants("lost")


def test_a_child_leaves_the_connection_to_its_parent(peer: Peer) -> None:
    stats = peer.stats()
    stats.report("kept", (), {})
    peer.accept()
    stats.leave_to_parent()
    stats.report("lost", (), {})
    assert not stats.wants("lost")
    assert peer.read() == b""


@pytest.mark.parametrize("bundled", [False, True])
def test_what_hearing_takes_is_loaded_before_a_chroot(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, bundled: bool
) -> None:
    """A bundle stays open behind it."""
    monkeypatch.setattr("dovecot_urlauth.service.stats.is_bundled", lambda: bundled)
    names = ("dovecot_urlauth.wire.stats", "dovecot_urlauth.wire.eventfilter")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    peer.stats().load()
    assert [name in sys.modules for name in names] == [not bundled] * 2


@pytest.mark.parametrize(
    ("names", "path", "categories", "told"),
    [
        (STATS_2_4, b"/run/auth", ("auth-client",), {"socket_path": "/run/auth"}),
        (STATS_2_4, None, ("imap-urlauth",), {}),
        (STATS_2_3_18, b"/run/auth", ("auth-client",), {"socket_path": "/run/auth"}),
        (STATS_2_3_18, None, ("imap-urlauth",), None),
    ],
)
def test_a_connection(
    peer: Peer, names: Any, path: bytes | None, categories: tuple[str, ...], told: dict[str, str] | None
) -> None:
    async def scenario() -> None:
        stats = peer.stats(names)
        stats.listen()
        peer.say(HELLO + ALL)
        ours, theirs = socket.socketpair()
        connection = Connection(peer.loop, ours)
        events = ConnectionEvents(stats, connection, categories, path=path)
        theirs.send(b"1234")
        assert await connection.read() == b"1234"
        connection.send_now(b"123456")
        events.ended("Enough")
        events.ended()
        ConnectionEvents(stats, connection, categories, path=path, is_new=False).ended()
        connection.close()
        ConnectionEvents(stats, connection, categories, path=path)
        theirs.close()
        await peer.loop.sleep(PATIENT)
        if told is None:
            assert peer.events() == []
            return
        kind = "client" if path is None else "server"
        peers = {"remote_pid": os.getpid(), "remote_uid": os.getuid()}
        if names.has_gid:
            peers["remote_gid"] = os.getgid()
        read, written = names.bytes_fields
        over = {**told, **peers, read: 4, written: 6}
        assert [(event.name, event.fields) for event in peer.events()] == [
            (f"{kind}_connection_connected", {**told, **peers}),
            (f"{kind}_connection_disconnected", {**over, "reason": "Enough"}),
            (f"{kind}_connection_disconnected", {**over, "reason": "Connection closed"}),
            (f"{kind}_connection_connected", told),
        ]

    peer.run(scenario)
