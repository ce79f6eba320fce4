"""Preconnecting to the next stage: when it is done, and what becomes of the connection."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.start.preconnect import (
    first_client,
    has_spoken,
    preconnect,
    serves_one_waiting_client,
    still_there,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


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
def test_only_a_process_started_for_its_one_client_calls(
    monkeypatch: pytest.MonkeyPatch, environment: Mapping[bytes, bytes], expected: bool
) -> None:
    monkeypatch.setattr("dovecot_urlauth.start.preconnect.environ", environment)
    assert serves_one_waiting_client() is expected


def test_a_call_connects(tmp_path: Path) -> None:
    path = str(tmp_path / "next").encode()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        connection = preconnect(path)
        assert connection is not None
        assert connection.getpeername() == path.decode()
        assert not connection.getblocking()
        connection.close()


def test_nobody_to_call(tmp_path: Path) -> None:
    path = str(tmp_path / "next").encode()
    assert preconnect(path) is None
    with socket.socket(socket.AF_UNIX) as unheard:
        unheard.bind(path)
        assert preconnect(path) is None


def test_a_full_backlog_is_not_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "next").encode()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        first = preconnect(path)
        assert first is not None
        assert preconnect(path) is None
        first.close()


def test_whether_the_called_is_still_there() -> None:
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


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A listener where master leaves it, among descriptors that are none."""
    path = str(tmp_path / "listener")
    with socket.socket(socket.AF_UNIX) as listener, (tmp_path / "file").open("wb") as file:
        listener.bind(path)
        listener.listen()
        pair = socket.socketpair()
        numbers = (file.fileno(), pair[0].fileno(), listener.fileno())
        monkeypatch.setattr("dovecot_urlauth.start.preconnect.LISTENER_FDS", numbers)
        monkeypatch.setattr("dovecot_urlauth.start.preconnect.environ", {b"SOCKET_COUNT": b"1"})
        yield path
        assert listener.fileno() >= 0
        assert pair[0].send(b"still open")
        for end in pair:
            end.close()


def test_the_client_that_waits_is_accepted(listening: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(listening)
        accepted = first_client()
        assert accepted is not None
        assert not has_spoken(accepted)
        client.send(b"V")
        assert has_spoken(accepted)
        assert accepted.recv(10) == b"V"  # it was only looked at
        client.close()
        assert not has_spoken(accepted)
        accepted.close()


def test_nobody_waits_any_more(listening: str) -> None:
    assert first_client() is None


def test_several_listeners_are_left_alone(listening: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dovecot_urlauth.start.preconnect.environ", {b"SOCKET_COUNT": b"2"})
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(listening)
        assert first_client() is None


def test_a_client_that_master_has_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    environment = {b"SOCKET_COUNT": b"1", b"DOVECOT_ACCEPTED_CLIENT_LISTENER_FD": b"9"}
    monkeypatch.setattr("dovecot_urlauth.start.preconnect.environ", environment)
    monkeypatch.setattr("dovecot_urlauth.start.preconnect.ACCEPTED_CLIENT_FD", ours.detach())
    accepted = first_client()
    assert accepted is not None
    theirs.send(b"V")
    assert has_spoken(accepted)
    accepted.close()
    theirs.close()
