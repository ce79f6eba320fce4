"""Waiting for the client, the control connection and master at once: plain blocking code over poll(2)."""

from __future__ import annotations

import os
import select
from _socket import MSG_NOSIGNAL, MSG_PEEK
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

IDLE_TIMEOUT = 600.0
"""Seconds without input from the client or progress of our output (imap-urlauth-worker.c, CLIENT_IDLE_TIMEOUT)."""

DIE_WITH_MASTER = 30.0
PEEK_SIZE = 65536
READABLE = select.POLLIN | select.POLLHUP | select.POLLERR


class ConnectionOver(Exception):
    """Nobody is left to talk to; ``text`` is a line for the log, empty when the end was an ordinary one."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.text = text


class ClientLost(ConnectionOver):
    """The client closed its connection; imap-urlauth wants to know."""


class Watch:
    """fds that end the wait when they become ready: the control connection, signals, master's death."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._deadline: float | None = None

    def add(self, fd: int, handler: Callable[[], None], events: int = select.POLLIN) -> None:
        """Call ``handler()`` when ``fd`` is ready; it raises ConnectionOver to end everything."""
        self._poll.register(fd, events)
        self._handlers[fd] = handler

    def remove(self, fd: int) -> None:
        self._poll.unregister(fd)
        del self._handlers[fd]

    def end_within(self, seconds: float) -> None:
        """From now on no wait lasts beyond ``seconds``."""
        self._deadline = monotonic() + seconds

    def wait(self, fd: int, events: int, seconds: float) -> bool:
        """Wait until ``fd`` has one of ``events``; False when the time is up."""
        deadline = monotonic() + seconds
        if self._deadline is not None:
            deadline = min(deadline, self._deadline)
        self._poll.register(fd, events)
        try:
            while True:
                ready = self._poll.poll(max(0, int((deadline - monotonic()) * 1000) + 1))
                for number, _ in ready:
                    if number != fd:
                        self._handlers[number]()
                if any(number == fd for number, _ in ready):
                    return True
                if monotonic() >= deadline:
                    if self._deadline is not None and deadline == self._deadline:
                        raise ConnectionOver
                    return False
        finally:
            self._poll.unregister(fd)


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
    """The client's connection as the worker sees it: lines in, replies out, time limits on both."""

    def __init__(self, watch: Watch, fd_in: int, fd_out: int, client: socket | None) -> None:
        """``client`` is the socket behind both fds, None where they are something else."""
        self._watch = watch
        self._fd_in = fd_in
        self._fd_out = fd_out
        self._client = client
        self._input = LineInput(fd_in, client)

    def read(self) -> bytes:
        """Wait for input; never returns b"". Raises ConnectionOver."""
        while True:
            try:
                data = self._input.read()
            except BlockingIOError:
                data = None
            except OSError as error:
                raise ClientLost from error
            if data:
                return data
            if data == b"":
                raise ClientLost
            if not self._watch.wait(self._fd_in, READABLE, IDLE_TIMEOUT):
                raise ConnectionOver

    def write(self, data: bytes | memoryview) -> None:
        """Send all of ``data``, however slowly the client takes it. Raises ConnectionOver."""
        view = memoryview(data)
        while view:
            try:
                sent = self._send(view)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                raise ClientLost from error
            view = view[sent:]
            if view and not sent and not self._watch.wait(self._fd_out, select.POLLOUT, IDLE_TIMEOUT):
                raise ConnectionOver("Session closed for inactivity in reading our output")

    def _send(self, view: memoryview) -> int:
        if self._client is not None:
            return self._client.send(view, MSG_NOSIGNAL)
        return os.write(self._fd_out, view)
