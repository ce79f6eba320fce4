"""The connection to imap-urlauth that login made ahead: for the next client, if it leads there."""

from __future__ import annotations

import socket
import types
from typing import TYPE_CHECKING, Any

import pytest

from dovecot_urlauth.dialect.versions import DOVECOT_2_4_2
from dovecot_urlauth.login import main
from dovecot_urlauth.login import stage as stage_module
from dovecot_urlauth.login.stage import PRECONNECT_PATIENCE, LoginStage
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.start import preconnect
from tests.clock import SteppingLoop

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


def stage(
    preconnected: socket.socket | None,
    directory: bytes = b"",
    loop: Loop | None = None,
    calls_ahead: bool = False,
) -> LoginStage:
    process: Any = types.SimpleNamespace(dialect=DOVECOT_2_4_2, loop=loop or Loop(), log=None)
    nothing: Any = None
    return LoginStage(
        process,
        nothing,
        nothing,
        directory=directory,
        preconnected=preconnected,
        calls_ahead=calls_ahead,
    )


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


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Pair]]:
    """Every connection that is made to imap-urlauth, with its other end."""
    made: list[Pair] = []

    def connect(path: bytes) -> socket.socket:
        assert path == b"imap-urlauth"
        made.append(socket.socketpair())
        made[-1][0].setblocking(False)
        made[-1][1].settimeout(0)
        return made[-1][0]

    monkeypatch.setattr(stage_module, "preconnect", connect)
    yield made
    for ours, theirs in made:
        ours.close()
        theirs.close()


def test_one_is_called_for_each_client_that_says_who_it_is(calls: list[Pair]) -> None:
    loop = SteppingLoop()
    login = stage(None, loop=loop, calls_ahead=True)

    async def clients() -> None:
        for number in (1, 2):
            login.call_ahead()
            await loop.turn()
            taken = login.take_preconnected(login.handoff_path(None))
            assert taken is not None
            assert taken.fileno() == calls[-1][0].fileno()
            assert len(calls) == number
        await loop.sleep(10)  # what was taken is not given up

    loop.run(clients())
    assert calls[0][0].fileno() >= 0


def test_never_more_than_one_waits_and_not_for_long(calls: list[Pair]) -> None:
    loop = SteppingLoop()
    login = stage(None, loop=loop, calls_ahead=True)

    async def clients() -> None:
        for _ in range(3):  # whose tokens are wrong
            login.call_ahead()
        await loop.turn()
        login.call_ahead()
        await loop.sleep(PRECONNECT_PATIENCE - 0.1)
        assert login._preconnected is calls[0][0]
        await loop.sleep(0.2)

    loop.run(clients())
    assert len(calls) == 1
    assert calls[0][1].recv(1) == b""
    assert login.take_preconnected(login.handoff_path(None)) is None


def test_who_cannot_be_called_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_module, "preconnect", lambda path: None)
    loop = SteppingLoop()
    login = stage(None, loop=loop, calls_ahead=True)

    async def clients() -> int:
        login.call_ahead()
        await loop.turn()
        await loop.turn()
        return len(loop._tasks)

    assert loop.run(clients()) == 1


def test_a_stage_for_one_client_calls_nobody(calls: list[Pair]) -> None:
    loop = SteppingLoop()
    login = stage(None, loop=loop)

    async def client() -> None:
        login.call_ahead()
        await loop.turn()

    loop.run(client())
    assert calls == []


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
