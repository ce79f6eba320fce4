"""One connected socket in the loop: bytes in by callback, bytes out as fast as the peer reads."""

from __future__ import annotations

import os

from dovecot_urlauth.service.callbacks import READ, WRITE
from dovecot_urlauth.start.cpython import MSG_NOSIGNAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.service.callbacks import Loop
    from dovecot_urlauth.start.cpython import socket

READ_SIZE = 8192
"""Bytes read at once, where the protocol names no smaller number."""


class Stream:
    """Owns the socket. ``on_data(bytes)`` gets what arrives, ``on_end(reason)`` the end or the error, once."""

    __slots__ = ("_events", "_loop", "_on_data", "_on_end", "_output", "_read_size", "_reading", "socket")

    def __init__(
        self,
        loop: Loop,
        connection: socket,
        on_data: Callable[[bytes], None],
        on_end: Callable[[str], None],
        *,
        reading: bool = True,
        read_size: int = READ_SIZE,
    ) -> None:
        self.socket = connection
        self._loop = loop
        self._on_data = on_data
        self._on_end = on_end
        self._output = b""
        self._reading = reading
        self._read_size = read_size
        self._events = -1
        self._watch()

    @property
    def closed(self) -> bool:
        return self.socket.fileno() < 0

    def read_on(self, reading: bool) -> None:
        """Stop or resume reading; what arrives meanwhile waits in the kernel."""
        if self._reading != reading and not self.closed:
            self._reading = reading
            self._watch()

    def write(self, data: bytes) -> None:
        """Send ``data``, keeping what the peer does not take yet. A lost peer is reported by ``on_end``.

        Nothing to send is no reason to ask the kernel: a peer that has answered may be gone already.
        """
        if self.closed or not data:
            return
        self._output += data
        self._flush()

    def close(self) -> None:
        """Close our copy of the socket; the connection itself is not shut down."""
        if not self.closed:
            self._loop.forget(self.socket.fileno())
            self.socket.close()

    def _watch(self) -> None:
        events = (READ if self._reading else 0) | (WRITE if self._output else 0)
        if events != self._events:
            self._events = events
            self._loop.watch(self.socket.fileno(), self._on_ready, events)

    def _on_ready(self, events: int) -> None:
        if events & WRITE and self._output:
            self._flush()
        if self.closed:
            return
        if self._reading:
            self._read()
        elif not events & (READ | WRITE):
            self._end("Connection closed")  # an error or a hang-up while nobody reads

    def _read(self) -> None:
        try:
            data = self.socket.recv(self._read_size)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(os.strerror(error.errno or 0))
            return
        if data:
            self._on_data(data)
        else:
            self._end("")

    def _flush(self) -> None:
        try:
            sent = self.socket.send(self._output, MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._end(os.strerror(error.errno or 0))
            return
        self._output = self._output[sent:]
        self._watch()

    def _end(self, reason: str) -> None:
        self._loop.forget(self.socket.fileno())
        self._on_end(reason)
