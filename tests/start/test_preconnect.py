"""Calling the next stage ahead: when it is done, and what becomes of the connection."""

from __future__ import annotations

import socket

import pytest

from dovecot_urlauth.start.preconnect import preconnect, serves_one_waiting_client, still_there


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({b"SERVICE_COUNT": b"1", b"PROCESS_MIN_AVAIL": b"0"}, True),
        ({b"SERVICE_COUNT": b"1"}, True),
        ({b"SERVICE_COUNT": b"1", b"PROCESS_MIN_AVAIL": b"3"}, False),
        ({b"SERVICE_COUNT": b"2", b"PROCESS_MIN_AVAIL": b"0"}, False),
        ({b"SERVICE_COUNT": b"4294967295"}, False),
        ({b"PROCESS_MIN_AVAIL": b"0"}, False),
        ({}, False),
    ],
)
def test_only_a_process_started_for_its_one_client_calls(monkeypatch, environment, expected):
    monkeypatch.setattr("dovecot_urlauth.start.preconnect.environ", environment)
    assert serves_one_waiting_client() is expected


def test_a_call_connects(tmp_path):
    path = str(tmp_path / "next").encode()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        connection = preconnect(path)
        assert connection is not None
        assert connection.getpeername() == path.decode()
        assert not connection.getblocking()
        connection.close()


def test_nobody_to_call(tmp_path):
    path = str(tmp_path / "next").encode()
    assert preconnect(path) is None
    with socket.socket(socket.AF_UNIX) as unheard:
        unheard.bind(path)
        assert preconnect(path) is None


def test_a_full_backlog_is_not_waited_for(tmp_path):
    path = str(tmp_path / "next").encode()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        first = preconnect(path)
        assert first is not None
        assert preconnect(path) is None
        first.close()


def test_whether_the_called_is_still_there():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    assert still_there(ours)
    theirs.send(b"VERSION")
    assert still_there(ours)
    assert ours.recv(99) == b"VERSION"
    theirs.close()
    assert not still_there(ours)
    ours.close()
    assert not still_there(ours)
