"""File descriptors in messages."""

from __future__ import annotations

import os
import socket

import pytest

from dovecot_urlauth.service.fdpass import MOST_FDS, FdsTruncated, receive_fds, send_fd


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_one_fd_with_its_byte(pair):
    reader, writer = os.pipe()
    send_fd(pair[0], b"0", writer)
    data, (fd,) = receive_fds(pair[1], 100)
    assert data == b"0"
    assert not os.get_inheritable(fd)
    os.write(fd, b"same pipe")
    assert os.read(reader, 100) == b"same pipe"
    for number in (reader, writer, fd):
        os.close(number)


def test_nothing_there_is_no_end(pair):
    with pytest.raises(BlockingIOError):
        receive_fds(pair[1], 100)


def test_a_flood_of_fds_is_refused_and_leaves_none_open(pair):
    reader, writer = os.pipe()
    before = open_fds()
    socket.send_fds(pair[0], [b"0"], [reader] * (MOST_FDS * 8))
    with pytest.raises(FdsTruncated):
        receive_fds(pair[1], 100)
    assert open_fds() == before
    os.close(reader)
    os.close(writer)
