"""UNIX sockets: connecting, accepting, and who is at the other end."""

from __future__ import annotations

import struct
from time import monotonic, sleep

from dovecot_urlauth.start.cpython import (
    AF_UNIX,
    SO_PEERCRED,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    socket,
)
from dovecot_urlauth.start.frozen import frozen

CREDENTIALS = struct.Struct("=iii")
RETRY_PAUSE = 0.01


@frozen
class PeerCredentials:
    """Who called connect(2), as the kernel noted it then."""

    pid: int
    uid: int
    gid: int


def from_fd(fd: int) -> socket:
    """Adopt a connected or listening stream socket, made non-blocking. Raises OSError if it is none."""
    adopted = socket(AF_UNIX, SOCK_STREAM, 0, fd)
    adopted.setblocking(False)
    return adopted


def accept(listener: socket) -> socket:
    """Accept one connection, non-blocking and close-on-exec. Raises OSError (BlockingIOError: none waits)."""
    fd, _ = listener._accept()  # type: ignore[attr-defined]
    return from_fd(fd)


def connect_unix(path: bytes, *, patience: float, blocking: bool = False) -> socket:
    """Connect to a UNIX stream socket; a full backlog (EAGAIN) is tried again for ``patience`` seconds.

    Raises OSError.
    """
    deadline = monotonic() + patience
    while True:
        connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
        try:
            connection.connect(path)
        except BlockingIOError:
            connection.close()
            if monotonic() >= deadline:
                raise
            sleep(RETRY_PAUSE)
        except OSError:
            connection.close()
            raise
        else:
            if blocking:
                connection.setblocking(True)
            return connection


def peer_credentials(connection: socket) -> PeerCredentials:
    """SO_PEERCRED of a UNIX socket.

    Raises OSError when there are none; a peer outside our pid namespace has pid 0, which matches nobody.
    """
    return PeerCredentials(*CREDENTIALS.unpack(connection.getsockopt(SOL_SOCKET, SO_PEERCRED, CREDENTIALS.size)))
