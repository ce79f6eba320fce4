"""Clients without a process: until they ask for something, until they are gone."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from dovecot_urlauth.service import descriptor
from dovecot_urlauth.wire.control import DISCONNECTED
from dovecot_urlauth.worker.parent import forkedchild, resting
from tests.worker.parent.children import Client, Parent, played


@pytest.fixture
def parent() -> Parent:
    return Parent()


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
    watched = [os.stat(f"/proc/self/fd/{one.fileno()}").st_ino for held in clients for one in held.descriptors]
    [spare] = parent.pool._spares
    os.kill(spare.pid, signal.SIGKILL)
    assert await parent.until(lambda: parent.spares == 1 and parent.pool._spares[0] is not spare)
    await parent.turn(0.2)
    folder = Path(f"/proc/{parent.pool._spares[0].pid}/fd")
    held_by_child = {path.stat().st_ino for path in folder.iterdir() if path.exists()}
    assert len(watched) == 4
    assert not held_by_child & set(watched)


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
async def test_one_that_was_sent_and_not_read_is_anothers(parent: Parent) -> None:
    first = parent.connect(b"alice")
    pid = await parent.served_by(first)
    first.sendall(b"busy")
    second = parent.connect(b"alice")
    child = parent.pool._children[pid]
    assert await parent.until(lambda: bool(child.sent))
    first.sendall(b"rest")  # the next thing that it reads, or the second but one
    assert await parent.served_by(second)
    assert parent.released == 0


def has_end(client: Client) -> bool:
    """Whether nobody holds the client's other end any more; a child that is about to begin may."""
    try:
        return client.recv(100) == b""
    except BlockingIOError:
        return False


def count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
