"""The connection to imap-urlauth that login made at its start: for the first client, if it leads there."""

from __future__ import annotations

import socket
import types
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.dialect.versions import DOVECOT_2_4_2
from dovecot_urlauth.login import main
from dovecot_urlauth.login.stage import LoginStage
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.start import preconnect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(5)
    yield ours, theirs
    ours.close()
    theirs.close()


def stage(preconnected: socket.socket | None, directory: bytes = b"") -> LoginStage:
    process = types.SimpleNamespace(dialect=DOVECOT_2_4_2, loop=Loop(), log=None)
    return LoginStage(process, title=None, log_format=None, directory=directory, preconnected=preconnected)  # type: ignore[arg-type]


@pytest.mark.parametrize("directory", [b"", b"token-login/"])
def test_the_first_client_gets_it(pair: Pair, directory: bytes) -> None:
    login = stage(pair[0], directory)
    path = login.handoff_path(None)
    taken = login.take_preconnected(path)
    assert taken is not None
    taken.send_now(b"x")
    assert pair[1].recv(1) == b"x"
    assert login.take_preconnected(path) is None


def test_another_socket_named_by_auth_is_connected_to(pair: Pair) -> None:
    login = stage(pair[0])
    assert login.take_preconnected(login.handoff_path(b"postlogin")) is None
    assert pair[1].recv(1) == b""
    assert login.take_preconnected(login.handoff_path(None)) is None


def test_one_that_imap_urlauth_has_closed_is_of_no_use(pair: Pair) -> None:
    login = stage(pair[0])
    pair[1].close()
    assert login.take_preconnected(login.handoff_path(None)) is None
    assert pair[0].fileno() < 0


def test_there_may_be_none() -> None:
    login = stage(None)
    assert login.take_preconnected(login.handoff_path(None)) is None


@pytest.mark.parametrize(
    ("environment", "arguments", "called"),
    [
        ({b"SERVICE_COUNT": b"1"}, [], b"token-login/imap-urlauth"),
        ({b"SERVICE_COUNT": b"1", b"RESTRICT_CHROOT": b"/run/shut"}, [], b"/run/shut/imap-urlauth"),
        ({b"SERVICE_COUNT": b"1", b"RESTRICT_CHROOT": b""}, [], b"token-login/imap-urlauth"),
        ({b"SERVICE_COUNT": b"1"}, ["-l", "another"], None),
        ({b"SERVICE_COUNT": b"1", b"PROCESS_MIN_AVAIL": b"2"}, [], None),
        ({}, [], None),
    ],
)
@pytest.mark.parametrize("client", ["speaks", "is silent", None])
def test_whom_login_calls(
    monkeypatch: pytest.MonkeyPatch,
    environment: Mapping[bytes, bytes],
    arguments: list[str],
    called: bytes | None,
    client: str | None,
) -> None:
    calls: list[bytes] = []
    monkeypatch.setattr("dovecot_urlauth.start.preconnect.environ", environment)
    monkeypatch.setattr(main, "environ", environment)
    monkeypatch.setattr(main, "first_client", lambda: client)
    monkeypatch.setattr(main, "has_spoken", lambda client: client == "speaks")
    monkeypatch.setattr(main, "preconnect", calls.append)
    monkeypatch.setattr("dovecot_urlauth.service.run.run", lambda argv, name, stage: 0)
    assert main.main(["imap-urlauth-login", *arguments]) == 0
    assert calls == ([called] if called and client == "speaks" else [])
    calls.clear()
    monkeypatch.setattr(main, "login_processes_are_full", lambda: True)
    assert main.main(["imap-urlauth-login", *arguments]) == 0
    assert calls == []


@pytest.mark.parametrize(("offset", "is_full"), [(0, False), (1, True)])
def test_master_says_that_all_are_full_by_an_offset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, offset: int, is_full: bool
) -> None:
    shared = (tmp_path / "notify").open("wb+")
    shared.seek(offset)
    monkeypatch.setattr(preconnect, "LOGIN_NOTIFY_FD", shared.fileno())
    assert preconnect.login_processes_are_full() is is_full
    shared.close()


def test_no_such_file_is_not_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preconnect, "LOGIN_NOTIFY_FD", 1_000_000)
    assert not preconnect.login_processes_are_full()
