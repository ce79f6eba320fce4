"""UNIX sockets: connecting with patience, adopting, and who is at the other end."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from dovecot_urlauth.service.sockets import accept, connect_unix, from_fd, peer_credentials


@pytest.fixture
def path(tmp_path: Path) -> bytes:
    return os.fsencode(tmp_path / "socket")


@pytest.mark.parametrize("blocking", [False, True])
def test_both_ends(path: bytes, blocking: bool) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        ours = connect_unix(path, patience=0, blocking=blocking)
        adopted = from_fd(listener.detach())
        theirs = accept(adopted)
        with pytest.raises(BlockingIOError):
            accept(adopted)
        assert ours.getblocking() is blocking
        assert peer_credentials(theirs).pid == os.getpid()
        for connection in (ours, theirs, adopted):
            connection.close()


def test_nobody_listens(path: bytes) -> None:
    with pytest.raises(FileNotFoundError):
        connect_unix(path, patience=1)


def test_a_full_backlog_is_tried_again_for_a_while(path: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        first = connect_unix(path, patience=0)
        with pytest.raises(BlockingIOError):
            connect_unix(path, patience=0.03)
        making_room = threading.Timer(0.05, lambda: listener.accept()[0].close())
        making_room.start()
        connect_unix(path, patience=5).close()
        making_room.join()
        first.close()
