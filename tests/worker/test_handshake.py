"""The control connection's opening over real sockets, where what matters is how the peer leaves."""

from __future__ import annotations

import _socket
import socket

import pytest

from dovecot_urlauth.wire.control import ControlOrder
from dovecot_urlauth.worker.handshake import ControlConnection, ControlRefused
from dovecot_urlauth.worker.waiting import ConnectionOver, Watch


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    adopted = _socket.socket(fileno=ours.detach())
    yield adopted, theirs
    adopted.close()
    theirs.close()


@pytest.mark.parametrize("order", list(ControlOrder), ids=lambda order: order.name)
def test_a_peer_that_leaves_needs_no_line(pair, order):
    pair[1].close()
    with pytest.raises(ConnectionOver) as over:
        ControlConnection(pair[0], order, "peer").open(Watch())
    assert over.value.text == ""


def test_a_peer_that_leaves_without_reading_needs_none_either(pair):
    """The kernel then says ECONNRESET instead of the end."""
    control = ControlConnection(pair[0], ControlOrder.VERSION_FIRST, "peer")
    control._flush()
    pair[1].close()
    with pytest.raises(ConnectionOver) as over:
        control.open(Watch())
    assert over.value.text == ""


def test_another_byte_than_a_descriptors_is_named(pair):
    pair[1].sendall(b"VERSION\n")
    with pytest.raises(ControlRefused) as refused:
        ControlConnection(pair[0], ControlOrder.FD_FIRST, "peer").open(Watch())
    assert refused.value.texts == ("fd_read() returned invalid byte 0x56", "FD Transfer failed")
