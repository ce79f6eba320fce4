"""Selecting as root, played from transcripts: the handshake in both orders, USER, and every way out before it."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from dovecot_urlauth.service.descriptor import Descriptor
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.service.sockets import PeerCredentials
from dovecot_urlauth.wire.control import Access, ControlOrder
from dovecot_urlauth.worker import client as client_module
from dovecot_urlauth.worker import selecting
from dovecot_urlauth.worker.selecting import Selection, select
from dovecot_urlauth.worker.target import TargetUser
from tests.transcript import FakeConnection, Transcript

PEER = PeerCredentials(8, 97, 97)
VERSION = r"VERSION\timap-urlauth-worker\t2\t0"
OPENING = {
    ControlOrder.FD_FIRST: rf"""
        control< +fd 0\
        control< {VERSION}
        control> OK
        """,
    ControlOrder.VERSION_FIRST: rf"""
        control> {VERSION}
        control< {VERSION}
        control< +fd 0\
        control> OK
        """,
}
ACCESS = r"""
        control< ACCESS\tbob\timap
        control> OK
        """


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module.os, "getpid", lambda: 7)

    async def find(name: bytes, access: Access, *others: Any) -> TargetUser:
        return TargetUser(name, name, None, b"key")

    monkeypatch.setattr(selecting, "find_target", find)


def play(
    monkeypatch: pytest.MonkeyPatch, text: str, order: ControlOrder, *, bytewise: bool = False
) -> Selection | None:
    """What the selection ends with; whoever called closes the control connection."""
    transcript = Transcript(text + "\nended\n", bytewise=bytewise)

    def open_connection(loop: Loop, fd_in: Descriptor, fd_out: Descriptor) -> FakeConnection:
        assert fd_in is fd_out
        return transcript.connection("client")

    monkeypatch.setattr(selecting, "open_connection", open_connection)
    config: Any = SimpleNamespace(dialect=SimpleNamespace(control_order=order, user_log_prefix=""), settings=None)
    control: Any = transcript.connection("control")
    userdb: Any = None
    results: list[Selection | None] = []

    async def selected() -> None:
        results.append(await select(transcript.loop, control, PEER, config, userdb, transcript.log))

    transcript.play(selected())
    return results[0]


@pytest.mark.parametrize("order", list(ControlOrder))
@pytest.mark.parametrize("bytewise", [False, True])
def test_a_client_and_whom_it_asks_for(
    monkeypatch: pytest.MonkeyPatch, order: ControlOrder, bytewise: bool
) -> None:
    selection = play(monkeypatch, OPENING[order] + ACCESS + "C: USER\\talice\nS: OK", order, bytewise=bytewise)
    assert selection is not None
    assert selection.client.access == Access(b"bob", b"imap")
    assert selection.target.asked_for == b"alice"


FIRST = OPENING[ControlOrder.FD_FIRST]
READY = FIRST + ACCESS
PREFIX = "imap-urlauth[7](bob): Error: "
CLOSED = "client !closed\ncontrol !closed"
ENDS = {
    "nobody speaks": "..600s",
    "gone at once": "control !close",
    "gone without reading": "control !lost ECONNRESET",
    "a broken receive": """
        control !lost ENOMEM
        log: Error: fd_read() failed: Cannot allocate memory
        log: Error: FD Transfer failed
        """,
    "no descriptor": r"""
        control< 0\
        log: Error: Handshake is missing a file descriptor
        log: Error: FD Transfer failed
        """,
    "another byte": r"""
        control< VERSION
        log: Error: fd_read() returned invalid byte 0x56
        log: Error: FD Transfer failed
        """,
    "no version": r"""
        control< +fd 0\
        control< HELLO
        log: Error: imap-urlauth-worker client not compatible with this server (mixed old and new binaries?) HELLO
        log: Error: Control session aborted: Version mismatch
        """,
    "no access": FIRST
    + r"""
        control< NOOP
        log: Error: Invalid control command: NOOP
        log: Error: Control session aborted: Invalid command
        """,
    "imap-urlauth takes no word": r"""
        control !stuck
        control< +fd 0\
        control< VERSION\timap-urlauth-worker\t2\t0
        """,
    "gone before it says who": FIRST + "control !close",
    "silence before it says who": FIRST + "..600s",
    "gone before USER": READY + f"control !close\n{CLOSED}",
    "the client is gone": READY + f"client !close\ncontrol> DISCONNECTED\n{CLOSED}",
    "the client is silent": READY + f"..600s\n{CLOSED}",
    "more than was expected": READY
    + rf"""
        control< FINISHED
        log: {PREFIX}Control session aborted: Unexpected input
        {CLOSED}
        """,
    "a word out of turn": READY
    + rf"""
        C: END
        log: {PREFIX}Client input error: Unknown or inappropriate command: END
        log: {PREFIX}Session aborted: Unexpected input
        {CLOSED}
        """,
    "two names": READY
    + rf"""
        C: USER\talice\tcarol
        log: {PREFIX}Client input error: USER: Invalid number of parameters
        log: {PREFIX}Session aborted: Unexpected input
        {CLOSED}
        """,
}


@pytest.mark.parametrize("name", ENDS)
def test_ends(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    text = "\n".join(line.strip() for line in ENDS[name].splitlines())
    assert play(monkeypatch, text, ControlOrder.FD_FIRST) is None


class Silence:
    """What nobody ever says."""

    def __await__(self) -> Generator[None, None, None]:
        yield


def test_imap_urlauth_may_leave_while_auth_thinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for an answer that nobody wants any more."""

    async def find(*others: Any) -> TargetUser:
        await Silence()
        raise AssertionError("it came")

    monkeypatch.setattr(selecting, "find_target", find)
    text = READY + f"C: USER\\talice\nS: OK\ncontrol !close\n{CLOSED}"
    assert play(monkeypatch, text, ControlOrder.FD_FIRST) is None


def copies(of: socket.socket) -> int:
    """How many descriptors of this process are this socket."""
    link = f"socket:[{os.fstat(of.fileno()).st_ino}]"
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the listing's own
            found += os.readlink(f"/proc/self/fd/{name}") == link
    return found


def test_surplus_descriptors_are_closed() -> None:
    """Over real sockets: three come where one is due, and two of them are gone afterwards."""
    loop = Loop()
    ours, theirs = socket.socketpair()
    clients = [socket.socketpair() for _ in range(3)]
    socket.send_fds(theirs, [b"0"], [pair[0].fileno() for pair in clients])
    theirs.sendall(b"VERSION\timap-urlauth-worker\t2\t0\nACCESS\tbob\timap\n")
    config: Any = SimpleNamespace(
        dialect=SimpleNamespace(control_order=ControlOrder.FD_FIRST, user_log_prefix=""), settings=None
    )
    control = selecting_connection(loop, ours)
    client = loop.run(selecting._shake_hands(loop, control, PEER, config))
    assert [copies(pair[0]) for pair in clients] == [2, 1, 1]
    assert os.fstat(client.fds[1]).st_ino == os.fstat(clients[0][0].fileno()).st_ino
    client.close()
    loop.close()
    theirs.close()
    for pair in clients:
        for end in pair:
            end.close()


def selecting_connection(loop: Loop, ours: socket.socket) -> Any:
    from dovecot_urlauth.service.connection import Connection

    return Connection(loop, Descriptor(ours.detach()))
