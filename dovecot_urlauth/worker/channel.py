"""The client's connection as the worker sees it: lines in, replies out, time limits on both."""

from __future__ import annotations

import os
from _socket import AF_UNIX, MSG_NOSIGNAL, MSG_PEEK, SO_DOMAIN, SOCK_STREAM, SOL_SOCKET, socket

from dovecot_urlauth.worker.waiting import READABLE, WRITABLE, ConnectionOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.wire.control import Descriptors
    from dovecot_urlauth.worker.waiting import Conversation

IDLE_TIMEOUT = 600.0
"""Seconds without input from the client or progress of our output (imap-urlauth-worker.c, CLIENT_IDLE_TIMEOUT)."""

PEEK_SIZE = 4096
"""Bytes that are looked at for a line's end; a longer line comes in pieces."""
FAIR_SHARE = 1 << 20
"""Bytes after which a client that reads as fast as we write lets the others have their turn."""


class ClientLost(ConnectionOver):
    """The client closed its connection; imap-urlauth wants to know."""


class LineInput:
    """Takes one line at a time from a socket or pipe, and not a byte more.

    What follows END belongs to the next worker, so on a socket the input is peeked at first.
    """

    def __init__(self, fd: int, client: socket | None) -> None:
        self._fd = fd
        self._client = client

    def read(self) -> bytes:
        """Bytes up to and with the next LF, or what there is of the line. b"" at the end.

        Raises BlockingIOError, OSError.
        """
        if self._client is None:
            return os.read(self._fd, 1)
        waiting = self._client.recv(PEEK_SIZE, MSG_PEEK)
        return self._client.recv(waiting.find(b"\n") + 1 or len(waiting)) if waiting else b""


class ClientChannel:
    """Reads and writes are conversations; both raise ConnectionOver."""

    def __init__(self, descriptors: Descriptors) -> None:
        """Adopt the client's descriptors, which may be one socket, or something else."""
        self._descriptors = descriptors
        self._client = _as_socket(descriptors)
        self._input = LineInput(descriptors.fd_in, self._client)
        self._unbroken = 0

    def read(self) -> Conversation[bytes]:
        """Wait for input, up to the end of a line; never returns b"".

        It always waits: the next command is rarely there already, and if it is, other clients go first.
        """
        while True:
            if not (yield self._descriptors.fd_in, READABLE, IDLE_TIMEOUT):
                raise ConnectionOver
            try:
                data = self._input.read()
            except BlockingIOError:
                continue
            except OSError as error:
                raise ClientLost from error
            if not data:
                raise ClientLost
            return data

    def write(self, data: bytes) -> Conversation[None]:
        """Send all of ``data``, however slowly the client takes it."""
        view = memoryview(data)[self._send(data) :]
        while view or self._unbroken >= FAIR_SHARE:
            if not (yield self._descriptors.fd_out, WRITABLE, IDLE_TIMEOUT):
                raise ConnectionOver("Session closed for inactivity in reading our output")
            self._unbroken = 0
            if view:
                view = view[self._send(view) :]

    def close(self) -> None:
        """Close our copies of the descriptors; the connection itself is not shut down."""
        if self._client is not None:
            self._client.close()
            return
        for fd in {self._descriptors.fd_in, self._descriptors.fd_out}:
            os.close(fd)

    def _send(self, data: bytes | memoryview) -> int:
        """How much of ``data`` is on its way now."""
        try:
            if self._client is not None:
                sent = self._client.send(data, MSG_NOSIGNAL)
            else:
                sent = os.write(self._descriptors.fd_out, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise ClientLost from error
        self._unbroken += sent
        return sent


def _as_socket(descriptors: Descriptors) -> socket | None:
    """The client's socket; None when its fds are pipes or two different things."""
    if descriptors.fd_in != descriptors.fd_out:
        return None
    client = socket(AF_UNIX, SOCK_STREAM, 0, descriptors.fd_in)
    try:
        client.getsockopt(SOL_SOCKET, SO_DOMAIN)
    except OSError:
        client.detach()
        return None
    return client
