"""What parent and child say to each other, and how each notices that the other has gone."""

from __future__ import annotations

import _socket
import gc
import os
import resource
import socket
from collections.abc import Iterator

import pytest

from dovecot_urlauth.service.descriptor import receive_message, send_message
from dovecot_urlauth.service.sockets import PeerCredentials
from dovecot_urlauth.wire.control import Access
from dovecot_urlauth.worker.parent.forkedchild import new_link
from dovecot_urlauth.worker.parent.protocol import (
    CLIENT,
    KEEP,
    KEY_SIZE,
    MESSAGE_LIMIT,
    TAKEN,
    offer_parts,
    pack_connection,
    pack_offer,
)
from dovecot_urlauth.worker.parentlink import ClientUnusable, GivenAgain, ParentLink
from dovecot_urlauth.worker.pipes import Pipes
from tests.clock import SteppingLoop

PEER = PeerCredentials(pid=7, uid=102, gid=105)
KEY = bytes(range(KEY_SIZE))
BOB = Access(b"bob", b"imap", (b"stream",), True)
GIVEN = offer_parts(pack_offer(KEY, b"alice", BOB))[1]


@pytest.fixture
def loop() -> Iterator[SteppingLoop]:
    made = SteppingLoop()
    yield made
    made.close()


@pytest.fixture
def ends(loop: SteppingLoop) -> Iterator[tuple[_socket.socket, ParentLink]]:
    """The parent's end, and what the child makes of its own."""
    ours, theirs = new_link()
    made = ParentLink(loop, theirs)
    yield ours, made
    ours.close()
    made.close()


@pytest.fixture
def connection() -> Iterator[tuple[_socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield _socket.socket(fileno=ours.detach()), theirs
    theirs.close()


def test_a_connection_is_passed_with_its_peer(
    loop: SteppingLoop, ends: tuple[_socket.socket, ParentLink], connection: tuple[_socket.socket, socket.socket]
) -> None:
    send_message(ends[0], pack_connection(PEER), (connection[0].fileno(),))
    connection[0].close()
    received = loop.run(ends[1].given())
    assert isinstance(received, tuple)
    given, peer = received
    assert peer == PEER
    given.send_now(b"it is the same")
    assert connection[1].recv(100) == b"it is the same"
    given.close()


def test_a_child_sees_that_something_waits_and_leaves_it_there(
    loop: SteppingLoop, ends: tuple[_socket.socket, ParentLink], connection: tuple[_socket.socket, socket.socket]
) -> None:
    assert not ends[1].has_given()
    send_message(ends[0], pack_connection(PEER), (connection[0].fileno(),))
    connection[0].close()
    before = len(os.listdir("/proc/self/fd"))
    assert ends[1].has_given()
    assert len(os.listdir("/proc/self/fd")) == before
    received = loop.run(ends[1].given())
    assert isinstance(received, tuple)
    received[0].close()
    assert not ends[1].has_given()
    ends[0].close()
    assert ends[1].has_given()  # the parent's end, which is to be heard of


@pytest.mark.parametrize(("answer", "taken"), [(TAKEN, True), (KEEP, False)])
def test_an_offer_and_its_answer(
    loop: SteppingLoop,
    ends: tuple[_socket.socket, ParentLink],
    connection: tuple[_socket.socket, socket.socket],
    answer: bytes,
    taken: bool,
) -> None:
    send_message(ends[0], answer)
    assert loop.run(ends[1].offer(KEY, b"alice", BOB, (connection[0].fileno(), 1))) is taken
    data, descriptors = receive_message(ends[0], MESSAGE_LIMIT)
    assert data == pack_offer(KEY, b"alice", BOB)
    assert len(descriptors) == 2
    for descriptor in descriptors:
        descriptor.close()
    connection[0].close()


@pytest.mark.parametrize("separate", [False, True], ids=["one socket", "two pipes"])
def test_a_client_goes_from_child_to_child(
    loop: SteppingLoop,
    ends: tuple[_socket.socket, ParentLink],
    connection: tuple[_socket.socket, socket.socket],
    separate: bool,
) -> None:
    reader, writer = os.pipe()
    fds = (connection[0].fileno(), reader, writer) if separate else (connection[0].fileno(),) * 2
    send_message(ends[0], GIVEN, fds)
    client = loop.run(ends[1].client())
    assert client is not None
    assert client.access == BOB
    assert isinstance(client._connection, Pipes) is separate
    assert len(client.fds) == (3 if separate else 2)
    assert [os.fstat(fd).st_ino for fd in client.fds] == [os.fstat(fd).st_ino for fd in fds]
    client.close()
    connection[0].close()
    for fd in (reader, writer):
        os.close(fd)


def test_a_client_that_was_another_childs(
    loop: SteppingLoop, ends: tuple[_socket.socket, ParentLink], connection: tuple[_socket.socket, socket.socket]
) -> None:
    send_message(ends[0], GIVEN, (connection[0].fileno(),) * 2)
    given = loop.run(ends[1].given())
    assert isinstance(given, GivenAgain)
    assert (given.name, given.client.access) == (b"alice", BOB)
    given.client.close()
    connection[0].close()


def test_a_connection_comes_with_one_descriptor(
    loop: SteppingLoop, ends: tuple[_socket.socket, ParentLink], connection: tuple[_socket.socket, socket.socket]
) -> None:
    send_message(ends[0], pack_connection(PEER), (connection[0].fileno(),) * 2)
    with pytest.raises(ClientUnusable):
        loop.run(ends[1].given())
    connection[0].close()


@pytest.mark.parametrize("unread", [False, True], ids=["all is read", "something is unread"])
def test_the_parents_end_is_the_childs(
    loop: SteppingLoop, ends: tuple[_socket.socket, ParentLink], unread: bool
) -> None:
    if unread:
        ends[1].say(KEEP)  # the kernel then says ECONNRESET first
    ends[0].close()
    assert loop.run(ends[1].client()) is None
    assert loop.run(ends[1].given()) is None
    assert not loop.run(ends[1].offer(KEY, b"alice", BOB, (0,)))
    ends[1].say(KEEP)


@pytest.mark.parametrize(
    ("line", "count"),
    [
        (CLIENT + b"\0\0ACCESS\tbob\n", 2),
        (CLIENT, 2),
        (KEEP, 2),
        (pack_connection(PEER), 1),
        (GIVEN, 0),
        (GIVEN, 1),
        (GIVEN, 4),
    ],
)
def test_a_client_that_cannot_be_read_is_lost_alone(
    loop: SteppingLoop,
    ends: tuple[_socket.socket, ParentLink],
    connection: tuple[_socket.socket, socket.socket],
    line: bytes,
    count: int,
) -> None:
    gc.collect()  # what other tests have left behind is closed now, not in between
    before = len(os.listdir("/proc/self/fd"))
    send_message(ends[0], line, (connection[0].fileno(),) * count)
    with pytest.raises(ClientUnusable):
        loop.run(ends[1].client())
    assert len(os.listdir("/proc/self/fd")) == before
    send_message(ends[0], GIVEN, (connection[0].fileno(),) * 2)
    client = loop.run(ends[1].client())
    assert client is not None
    client.close()
    connection[0].close()


def test_a_full_table_of_descriptors_costs_one_client(
    loop: SteppingLoop, ends: tuple[_socket.socket, ParentLink], connection: tuple[_socket.socket, socket.socket]
) -> None:
    send_message(ends[0], GIVEN, (connection[0].fileno(),) * 2)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    loop.run(loop.sleep(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        with pytest.raises(ClientUnusable, match="Too many open files"):
            loop.run(ends[1].client())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    connection[0].close()
