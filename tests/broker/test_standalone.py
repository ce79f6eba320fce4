"""imap-urlauth without master: one client on standard input and output."""

from __future__ import annotations

import os
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dovecot_urlauth.broker import control, standalone
from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_4_2
from dovecot_urlauth.service.descriptor import Descriptor
from dovecot_urlauth.service.run import Fatal
from dovecot_urlauth.wire.control import Access
from tests.transcript import Transcript

WORKER = r"""
    worker !connect
    worker> VERSION\timap-urlauth-worker\t2\t0
    worker> +fd 1\
    worker> +fd 0\
    worker< VERSION\timap-urlauth-worker\t2\t0\nOK
    worker> ACCESS\tbob\t
    worker< OK
"""


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """What the client reads: a pipe's other end."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    monkeypatch.setattr(standalone, "STDOUT", Descriptor(writing))
    yield lambda: os.read(reading, 100)
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("bytewise", [False, True])
def test_worker_after_worker_until_the_client_is_gone(
    monkeypatch: pytest.MonkeyPatch, output: Callable[..., Any], bytewise: bool
) -> None:
    transcript = Transcript(
        WORKER
        + "worker< FINISHED\nworker !closed"
        + WORKER
        + "worker< DISCONNECTED\nworker !closed\nlog: Info: Disconnected: Client disconnected\nended",
        bytewise=bytewise,
    )
    monkeypatch.setattr(control, "connect", transcript.connect)
    access = Access(b"bob", b"")
    transcript.play(
        standalone.serve_by_workers(transcript.loop, transcript.log, DOVECOT_2_4_2, b"/run/worker", access)
    )
    assert output() == b"OK\n"  # to END; nobody has authenticated


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Any:
    transcript = Transcript("")
    monkeypatch.setattr(standalone, "read_settings", lambda *_: Settings({"base_dir": "/nowhere"}))
    return types.SimpleNamespace(
        environment=None, dialect=DOVECOT_2_4_2, log=transcript.log, transcript=transcript
    )


def test_a_user_and_no_dovecot(monkeypatch: pytest.MonkeyPatch, start: Any, output: Callable[..., Any]) -> None:
    monkeypatch.setenv("USER", "bob")
    assert standalone.serve_standard_streams(start) == 0
    done = [line for line, _ in start.transcript._done["log"]]
    assert done == [
        "Error: user bob: worker: imap-urlauth-client: net_connect_unix(/nowhere/imap-urlauth-worker) failed: "
        "No such file or directory",
        "Info: Disconnected: Failed to connect to worker",
    ]


def test_nobody_knows_the_user(monkeypatch: pytest.MonkeyPatch, start: Any, output: Callable[..., Any]) -> None:
    monkeypatch.delenv("USER", raising=False)

    def nobody() -> None:
        raise OSError

    monkeypatch.setattr("os.getlogin", nobody)
    with pytest.raises(Fatal, match="USER environment missing"):
        standalone.serve_standard_streams(start)


def test_inetd_is_no_place_for_it(
    monkeypatch: pytest.MonkeyPatch, start: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    ours, theirs = socket.socketpair()
    monkeypatch.setattr(standalone, "STDOUT", Descriptor(ours.fileno()))
    monkeypatch.setattr("os.getuid", lambda: 0)
    with ours, theirs:
        assert standalone.serve_standard_streams(start) == 1
    assert capsys.readouterr().out.startswith("NO imap_urlauth binary must not be started from inetd")
