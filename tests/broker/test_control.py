"""The control connection to a worker whose backlog is full."""

from __future__ import annotations

import socket

import pytest

from dovecot_urlauth.broker.control import WorkerConnection
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19
from dovecot_urlauth.service.callbacks import Loop
from dovecot_urlauth.service.log import Log, LogPipe
from dovecot_urlauth.wire.control import Access


class Surroundings:
    def __init__(self):
        self.loop = Loop()
        self.dialect = DOVECOT_2_3_19


@pytest.fixture
def crowded(tmp_path):
    """A worker's listener that takes nobody more for now, and what fills it."""
    path = str(tmp_path / "worker")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(0)
    waiting = socket.socket(socket.AF_UNIX)
    waiting.connect(path)
    yield path.encode(), listener, waiting
    waiting.close()
    listener.close()


def connect(path, passed, lost):
    surroundings = Surroundings()
    connection = WorkerConnection(
        surroundings,
        Log("", LogPipe(to_master=False)),
        path,
        Access(b"bob", b"imap"),
        on_passed=lambda: (passed.append(True), surroundings.loop.stop()),
        on_finished=lambda: None,
        on_lost=lost.append,
    )
    connection.connect(0, 0)
    return surroundings.loop, connection


def test_a_full_backlog_is_tried_again(crowded):
    path, listener, _ = crowded
    passed, lost = [], []
    loop, connection = connect(path, passed, lost)
    assert (passed, lost) == ([], [])
    loop.after(0.05, lambda: listener.accept()[0].close())
    loop.after(5, loop.stop)
    loop.run()
    connection.close()
    assert (passed, lost) == ([True], [])


def test_no_retry_outlives_its_client(crowded):
    """By then the client's fd number may be somebody else's."""
    path, listener, _ = crowded
    passed, lost = [], []
    loop, connection = connect(path, passed, lost)
    connection.close()
    loop.after(0.02, lambda: listener.accept()[0].close())
    loop.after(0.2, loop.stop)
    loop.run()
    assert (passed, lost) == ([], [])
