"""Clients without a process: until they ask for something, until they are gone."""

from __future__ import annotations

import _socket
import os
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from dovecot_urlauth.service import descriptor
from dovecot_urlauth.service.connection import Connection
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.wire.control import DISCONNECTED
from dovecot_urlauth.worker.parent import forkedchild, pool, resting
from dovecot_urlauth.worker.parent.copies import Copies
from dovecot_urlauth.worker.parent.protocol import (
    ACCEPTED,
    CONNECTION,
    KEY_SIZE,
    TAKEN,
    pack_offer,
    pack_resting,
)
from tests.worker.parent.children import ACCESS, Client, Parent, played, receive, say, tell, wait_for_any
from tests.worker.parent.test_failures import lingering_socket


@pytest.fixture
def parent() -> Iterator[Parent]:
    made = Parent()
    yield made
    assert not made.crashes


async def rest(parent: Parent, *clients: Client) -> int:
    """Let all clients of a process rest; its pid, which is nobody's any more."""
    pids = [await parent.served_by(client) for client in clients]
    clients[0].sendall(b"rest")
    assert await parent.until(lambda: pids[0] not in parent.pids)
    assert len(list(parent.pool._resting)) == len(clients)
    return pids[0]


@played
async def test_each_gets_a_process_when_it_asks(parent: Parent) -> None:
    first, second = parent.connect(b"alice"), parent.connect(b"alice")
    before = await rest(parent, first, second)
    first.sendall(b"stay")
    pid = await parent.served_by(first)
    assert pid != before
    second.sendall(b"stay")
    assert await parent.served_by(second) == pid, "the same one, as it is this target user's"
    assert not list(parent.pool._resting)
    assert parent.released == 0
    for client in (first, second):
        client.close()
    assert await parent.until(lambda: parent.released == 2)


@played
async def test_the_next_process_is_made_ready_for_the_same_format(parent: Parent) -> None:
    await rest(parent, parent.connect(b"alice"))
    assert parent.pool._last_format == "sdbox"


@played
async def test_and_can_rest_again(parent: Parent) -> None:
    client = parent.connect(b"alice")
    for _ in range(3):
        await rest(parent, client)
        client.sendall(b"stay")
    assert await parent.served_by(client)


@played
async def test_what_it_said_before_it_went_is_heard(parent: Parent) -> None:
    client = parent.connect(b"alice")
    await rest(parent, client)
    client.sendall(b"stay")
    client.shutdown(socket.SHUT_WR)
    assert await parent.served_by(client)
    assert await parent.until(lambda: parent.released == 1)


@played
async def test_one_that_goes_is_said_to_be_gone(parent: Parent) -> None:
    client = parent.connect(b"alice")
    await rest(parent, client)
    client.shutdown(socket.SHUT_RDWR)
    assert await parent.until(lambda: parent.released == 1)
    assert client.control.recv(100) == DISCONNECTED


@pytest.mark.parametrize("says", [b"", b"something"])
def test_the_control_connections_end_is_its_own(says: bytes) -> None:
    parent = Parent()

    async def scenario() -> None:
        client, other = parent.connect(b"alice"), parent.connect(b"alice")
        await rest(parent, client, other)
        if says:
            client.control.sendall(says)
        else:
            client.control.shutdown(socket.SHUT_RDWR)
        assert await parent.until(lambda: parent.released == 1 and has_end(client))
        other.sendall(b"stay")
        assert await parent.served_by(other)

    parent.run(scenario())


@played
async def test_nobody_rests_for_ever(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resting, "REST_LIMIT", 0.2)
    client = parent.connect(b"alice")
    await rest(parent, client)
    assert await parent.until(lambda: parent.released == 1 and has_end(client))


@played
async def test_who_is_given_up_is_watched_no_more(parent: Parent) -> None:
    client = parent.connect(b"alice")
    await rest(parent, client)
    held = [one.fileno() for one in next(iter(parent.pool._resting)).descriptors]
    parent.served[0].cancel(RuntimeError("the process ends"))
    for _ in range(5):
        await parent.loop.turn()
    assert not set(held) & set(parent.loop._registered)
    assert await parent.until(lambda: has_end(client))
    assert not parent.crashes


@played
async def test_no_copy_is_left_of_who_has_gone(parent: Parent) -> None:
    """However often they came and went, and rested in between."""
    assert await parent.until(lambda: parent.spares == 1)
    before = count_descriptors()
    for _ in range(3):
        clients = [parent.connect(wish) for wish in (b"alice", b"alice", b"carol")]
        for client in clients:
            await parent.served_by(client)
        clients[0].sendall(b"rest")
        assert await parent.until(lambda: len(list(parent.pool._resting)) == 2)
        clients[1].sendall(b"stay")
        await parent.served_by(clients[1])
        for client in clients:
            client.close()
        assert await parent.until(lambda: all(task.ended for task in parent.served))
        parent.clients.clear()
    parent.dying = True
    assert await parent.until(lambda: len(parent.pids) <= 1 and count_descriptors() <= before)


@played
async def test_a_new_child_has_none_of_them(parent: Parent) -> None:
    client, other = parent.connect(b"alice"), parent.connect(b"carol")
    await rest(parent, client)
    await parent.served_by(other)
    clients = [
        *parent.pool._resting,
        *(one for child in parent.pool._children.values() for one in child.all_clients),
    ]
    assert len(clients) == 2
    watched = inodes(clients)
    [spare] = parent.pool._spares
    os.kill(spare.pid, signal.SIGKILL)
    assert await parent.until(lambda: parent.spares == 1 and parent.pool._spares[0] is not spare)
    await parent.turn(0.2)
    assert len(watched) == 4
    assert not watched & of_process(parent.pool._spares[0].pid)


@pytest.mark.parametrize("has_rested", [False, True])
@played
async def test_a_process_whose_client_the_parent_could_not_copy_may_not_rest(
    parent: Parent, monkeypatch: pytest.MonkeyPatch, has_rested: bool
) -> None:
    """Nor is it known any more for whom it asks."""
    failures = [descriptor.DescriptorsTruncated(24, "Too many open files")]

    def no_room(connection: object, size: int) -> object:
        received = descriptor.receive_message(connection, size)  # type: ignore[arg-type]
        if failures and received[1]:
            descriptor.close_all(received[1])
            raise failures.pop()
        return received

    client = parent.connect(b"alice")
    if has_rested:
        await rest(parent, client)
        client.sendall(b"stay")
    monkeypatch.setattr(forkedchild, "receive_message", no_room)
    pid = await parent.served_by(client)
    assert not parent.pool._serving
    client.sendall(b"rest")  # which it knows not to
    assert await parent.until(lambda: parent.released == 1)
    assert not any("RESTING" in line for line in parent.lines)
    assert pid not in {child.pid for child in parent.pool._children.values() if child.clients}


@played
async def test_one_that_was_sent_and_not_read_is_anothers(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "PATIENCE", 30.0)  # else it would lose the client by that
    first = parent.connect(b"alice")
    pid = await parent.served_by(first)
    first.sendall(b"unread")
    second = parent.connect(b"alice")
    assert await parent.served_by(second) != pid
    assert list(parent.pool._resting)
    assert parent.released == 0


@played
async def test_what_was_said_right_before_the_end_is_heard(parent: Parent) -> None:
    """The system may tell of a child's end before anybody has looked at what it said."""
    client = parent.connect(b"alice")
    pid = await parent.served_by(client)
    client.sendall(b"rest")
    os.waitpid(pid, 0)
    parent.pool.ended(pid)
    await parent.turn(0.1)
    assert parent.released == 0
    client.sendall(b"stay")
    assert await parent.served_by(client)


@pytest.mark.parametrize("ends", ["by itself", "killed"])
@played
async def test_a_child_that_is_forked_as_a_client_goes_has_nothing_of_it(parent: Parent, ends: str) -> None:
    """Its descriptors are closed one round later, and a spare child may be due in just that round."""
    client = parent.connect(b"alice")
    pid = await parent.served_by(client)
    assert await parent.until(lambda: parent.spares == 1)
    watched = inodes([one for child in parent.pool._children.values() for one in child.all_clients])
    [spare] = parent.pool._spares
    parent.pool._dismiss(spare)
    await parent.loop.turn()
    parent.pool._supply.want_spare(0.02)
    await parent.loop.turn()
    if ends == "killed":
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        parent.pool.ended(pid)
    else:
        client.sendall(b"END")
    time.sleep(0.05)  # both are due in the next round
    assert await parent.until(lambda: parent.released == 1 and parent.spares == 1)
    await parent.turn(0.2)
    assert len(watched) == 2
    assert not watched & of_process(parent.pool._spares[0].pid)


@pytest.mark.parametrize("cycles", [6])
def test_who_accepts_what_it_does_not_read_leaves_nothing_here(cycles: int) -> None:
    parent = Parent(taken_over)

    async def scenario() -> None:
        counts = []
        for _ in range(cycles):
            first = parent.connect(b"alice")
            await parent.served_by(first)
            second = parent.connect(b"alice")
            assert await parent.until(lambda: len(list(parent.pool._resting)) == 2)
            first.close()
            second.close()
            assert await parent.until(lambda: all(task.ended for task in parent.served))
            parent.clients.clear()
            await parent.turn(0.1)
            counts.append(count_descriptors())
        assert counts[-1] <= counts[1]

    parent.run(scenario())


def taken_over(link: _socket.socket) -> int:
    """Says ACCEPTED for a client that it leaves where it is, and then RESTING."""
    while True:
        message, fds = receive(link)
        if not fds:
            return 0
        control = socket.socket(fileno=fds[0])
        control.setblocking(True)
        own = socket.recv_fds(control, 100, 1)[1][0] if message[:1] == CONNECTION else fds[1]
        say(link, pack_offer(b"alice".ljust(KEY_SIZE), b"alice", ACCESS), control.fileno(), own)
        if receive(link)[0] != TAKEN:
            break
    tell(socket.socket(fileno=own))
    wait_for_any([link.fileno()])
    say(link, ACCEPTED)
    say(link, pack_resting())
    return 0


@played
async def test_a_process_that_does_not_end_is_ended(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "FAREWELL", 0.2)
    client = parent.connect(b"alice")
    pid = await parent.served_by(client)
    client.sendall(b"stays")
    assert await parent.until(lambda: pid not in parent.pids)
    assert parent.lines == [f"child {pid} has no clients and does not end, killed"]
    client.sendall(b"stay")
    assert await parent.served_by(client)


@played
async def test_what_lingers_in_a_connection_holds_nobody(parent: Parent) -> None:
    """imap-urlauth has let go of its copy, so that ours is the last, with a socket in it that nobody has taken."""
    client = parent.connect(b"alice")
    await rest(parent, client)
    lingering, kept = lingering_socket()
    client.control.shutdown(socket.SHUT_RDWR)
    socket.send_fds(client, [b"x"], [lingering])
    os.close(lingering)
    began = time.monotonic()
    assert await parent.until(lambda: parent.released == 1)
    assert time.monotonic() - began < 3
    for end in kept:
        end.close()


def test_the_control_connection_is_closed_last() -> None:
    """imap-urlauth keeps its copy of the client's for as long, and closes what lingers in there."""
    closed: list[int] = []

    class Held(descriptor.Descriptor):
        def close(self) -> None:
            closed.append(self.fileno())

    client = forkedchild.Client(b"", [Held(7), Held(5)], Loop().promise(), Copies())
    client.let_go()
    assert closed == [5, 7]


@pytest.mark.parametrize("ends", ["own", "control"])
@played
async def test_stats_hear_of_an_end_that_only_the_parent_sees(
    parent: Parent, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    told: list[tuple[int, bool]] = []

    class Events:
        def __init__(self, stats: object, connection: Connection, *, is_new: bool) -> None:
            self._of = os.fstat(connection.fileno()).st_ino, is_new

        def ended(self) -> None:
            told.append(self._of)

    monkeypatch.setattr(resting, "ConnectionEvents", Events)
    client = parent.connect(b"alice")
    await rest(parent, client)
    control, own = inodes_in_order(parent.pool._resting)
    (client if ends == "own" else client.control).shutdown(socket.SHUT_RDWR)
    assert await parent.until(lambda: parent.released == 1)
    assert told == [(own, False), (control, False)]


def has_end(client: Client) -> bool:
    """Whether nobody holds the client's other end any more; a child that is about to begin may."""
    try:
        return client.recv(100) == b""
    except BlockingIOError:
        return False


def count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def inodes_in_order(clients: Iterable[forkedchild.Client]) -> list[int]:
    return [os.fstat(one.fileno()).st_ino for client in clients for one in client.descriptors]


def inodes(clients: Iterable[forkedchild.Client]) -> set[int]:
    return set(inodes_in_order(clients))


def of_process(pid: int) -> set[int]:
    """Inodes of what a process has open."""
    return {path.stat().st_ino for path in Path(f"/proc/{pid}/fd").iterdir() if path.exists()}
