"""The child that waits for a connection, and the parent's handle on it."""

from __future__ import annotations

import _socket
import os
import socket

import pytest

from dovecot_urlauth.service.sockets import PeerCredentials
from dovecot_urlauth.worker import spare as spare_module
from dovecot_urlauth.worker.spare import SpareChild, await_connection, channel

PEER = PeerCredentials(pid=7, uid=102, gid=105)


@pytest.fixture
def dead_pipe(monkeypatch):
    """Master's dead pipe: ``close()`` is its death."""
    reader, writer = os.pipe()
    monkeypatch.setattr(spare_module, "DEAD_PIPE_FD", writer)
    ends = os.fdopen(reader, "rb")
    yield ends
    ends.close()
    os.close(writer)


@pytest.fixture
def connection():
    ours, theirs = socket.socketpair()
    yield _socket.socket(fileno=ours.detach()), theirs
    theirs.close()


def test_a_connection_is_passed_with_its_peer(dead_pipe, connection):
    ours, theirs = channel()
    assert SpareChild(1, ours).give(connection[0], PEER)
    connection[0].close()
    given, peer = await_connection(theirs)
    assert peer == PEER
    given.send(b"it is the same")
    assert connection[1].recv(100) == b"it is the same"
    given.close()


def test_a_child_that_is_gone_is_noticed(connection):
    ours, theirs = channel()
    theirs.close()
    assert not SpareChild(1, ours).give(connection[0], PEER)
    connection[0].close()


def test_the_parents_end_is_the_childs(dead_pipe):
    ours, theirs = channel()
    SpareChild(1, ours).dismiss()
    assert await_connection(theirs) is None


def test_masters_end_is_the_childs(dead_pipe):
    ours, theirs = channel()
    dead_pipe.close()
    assert await_connection(theirs) is None
    ours.close()
    theirs.close()
