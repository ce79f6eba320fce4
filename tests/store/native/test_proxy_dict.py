"""The attribute dictionary behind dict's socket: what is asked, and every way in which no answer comes."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dovecot_urlauth.config.attribute_dict import ProxyDictSettings
from dovecot_urlauth.store.errors import StoreFailure
from dovecot_urlauth.store.native.attributes import proxy_dict
from dovecot_urlauth.store.native.attributes.attributes import open_attributes
from dovecot_urlauth.store.native.attributes.proxy_dict import ProxyDict
from tests.store.waiting import LOOP, wait

KEY = b"priv/0b8f/vendor/vendor.dovecot/imap-urlauth"
ASKED = b"H4\t0\t0\t\tattributes\nL" + KEY + b"\tbob\n"

Peer = Callable[[socket.socket], None]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., list[bytes]]]:
    """Let a peer do something to each connection; what each of them has heard."""
    heard: list[bytes] = []
    threads: list[threading.Thread] = []

    def serve(*peers: Peer) -> list[bytes]:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "dict"))
        listener.listen()

        def life() -> None:
            with listener:
                for peer in peers:
                    connection, _ = listener.accept()
                    with connection:
                        heard.append(connection.recv(4096))
                        peer(connection)

        threads.append(threading.Thread(target=life, daemon=True))
        threads[-1].start()
        return heard

    yield serve
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def saying(*pieces: bytes) -> Peer:
    def peer(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)

    return peer


@pytest.fixture
def asked(tmp_path: Path) -> ProxyDict:
    settings = ProxyDictSettings(os.fsencode(tmp_path / "dict"), b"attributes", b"bob", 4)
    opened = open_attributes(settings, LOOP)
    assert isinstance(opened, ProxyDict)
    return opened


def test_each_lookup_asks_anew(serve: Any, asked: ProxyDict) -> None:
    heard = serve(saying(b"*1\n", b"+1\tO", b"one\n"), saying(b"Otwo\n"), saying(b"N\n"))
    assert [wait(asked.lookup(KEY)) for _ in range(3)] == [b"one", b"two", None]
    asked.close()
    assert heard == [ASKED] * 3


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ((), "Disconnected, maybe for want of such a dictionary"),
        ((b"*1\n+1",), "Disconnected, maybe for want of such a dictionary"),
        ((b"Fbroken\n",), "dict-server returned failure: broken"),
        ((b"F\n",), "dict-server returned failure"),
        ((b"what?\n",), "Invalid lookup reply: what?"),
    ],
)
def test_no_answer(serve: Any, asked: ProxyDict, pieces: tuple[bytes, ...], text: str) -> None:
    serve(saying(*pieces))
    with pytest.raises(StoreFailure) as failed:
        wait(asked.lookup(KEY))
    assert failed.value.text == f"dict-client attributes: {text}"


def test_a_dict_that_says_nothing(serve: Any, asked: ProxyDict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_dict, "LOOKUP_TIMEOUT", 0.2)
    over = threading.Event()

    def peer(connection: socket.socket) -> None:
        connection.sendall(b"*1\n")
        over.wait(10)

    serve(peer)
    with pytest.raises(StoreFailure, match="timeout"):
        wait(asked.lookup(KEY))
    over.set()


def test_no_dict(asked: ProxyDict, tmp_path: Path) -> None:
    with pytest.raises(StoreFailure, match=r"net_connect_unix\(.*dict\) failed: No such file or directory$"):
        wait(asked.lookup(KEY))
    with socket.socket(socket.AF_UNIX) as nobody_listens:
        nobody_listens.bind(str(tmp_path / "dict"))
    with pytest.raises(StoreFailure, match=r"failed: Connection refused$"):
        wait(asked.lookup(KEY))


def test_nothing_stays_open(serve: Any, asked: ProxyDict) -> None:
    before = len(os.listdir("/proc/self/fd"))
    gone = threading.Event()

    def peer(connection: socket.socket) -> None:
        connection.sendall(b"O1\n")
        assert connection.recv(1) == b""
        gone.set()

    serve(peer)
    wait(asked.lookup(KEY))
    assert gone.wait(10)
    assert len(os.listdir("/proc/self/fd")) <= before + 2  # the listener and its connection, ours as well
