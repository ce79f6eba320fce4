"""What parent and child say to each other, and how each notices that the other has gone."""

from __future__ import annotations

import _socket
import os
import socket

import pytest

from dovecot_urlauth.service.fdpass import receive_fds
from dovecot_urlauth.service.sockets import CREDENTIALS, PeerCredentials
from dovecot_urlauth.wire.control import Access, access_line
from dovecot_urlauth.worker import link as link_module
from dovecot_urlauth.worker.link import (
    KEEP,
    KEY_SIZE,
    LEFT,
    MESSAGE_LIMIT,
    OFFER,
    TAKEN,
    ParentLink,
    link,
    send_message,
)

PEER = PeerCredentials(pid=7, uid=102, gid=105)
KEY = bytes(range(KEY_SIZE))
BOB = Access(b"bob", b"imap", (b"stream",), True)


@pytest.fixture
def dead_pipe(monkeypatch):
    """Master's dead pipe: ``close()`` is its death."""
    reader, writer = os.pipe()
    monkeypatch.setattr(link_module, "DEAD_PIPE_FD", writer)
    ends = os.fdopen(reader, "rb")
    yield ends
    ends.close()
    os.close(writer)


@pytest.fixture
def ends(dead_pipe):
    """The parent's end, and what the child makes of its own."""
    ours, theirs = link()
    yield ours, ParentLink(theirs)
    ours.close()
    theirs.close()


@pytest.fixture
def connection():
    ours, theirs = socket.socketpair()
    yield _socket.socket(fileno=ours.detach()), theirs
    theirs.close()


def test_a_connection_is_passed_with_its_peer(ends, connection):
    send_message(ends[0], CREDENTIALS.pack(PEER.pid, PEER.uid, PEER.gid), (connection[0].fileno(),))
    connection[0].close()
    given, peer = ends[1].await_connection()
    assert peer == PEER
    given.send(b"it is the same")
    assert connection[1].recv(100) == b"it is the same"
    given.close()


@pytest.mark.parametrize(("answer", "taken"), [(TAKEN, True), (KEEP, False)])
def test_an_offer_and_its_answer(ends, connection, answer, taken):
    send_message(ends[0], answer)
    assert ends[1].offer(KEY, BOB, (connection[0].fileno(), 1)) is taken
    data, fds = receive_fds(ends[0], MESSAGE_LIMIT)
    assert data == OFFER + KEY + access_line(BOB)
    assert len(fds) == 2
    for fd in fds:
        os.close(fd)
    connection[0].close()


@pytest.mark.parametrize("separate", [False, True], ids=["one socket", "two pipes"])
def test_a_client_goes_from_child_to_child(ends, connection, separate):
    client, other = os.pipe()
    fds = (connection[0].fileno(), client, other) if separate else (connection[0].fileno(), client)
    send_message(ends[0], access_line(BOB), fds)
    control, descriptors, access = ends[1].receive_client()
    assert access == BOB
    assert (descriptors.fd_in != descriptors.fd_out) is separate
    assert os.fstat(descriptors.fd_in).st_ino == os.fstat(client).st_ino
    control.close()
    connection[0].close()
    for fd in {client, other, descriptors.fd_in, descriptors.fd_out}:
        os.close(fd)


def test_the_parents_end_is_the_childs(ends, connection):
    ends[0].close()
    assert ends[1].await_connection() is None
    assert ends[1].receive_client() is None
    assert not ends[1].offer(KEY, BOB, (connection[0].fileno(),))
    ends[1].say(LEFT)
    connection[0].close()


def test_masters_end_is_the_childs(ends, dead_pipe):
    dead_pipe.close()
    assert ends[1].await_connection() is None
