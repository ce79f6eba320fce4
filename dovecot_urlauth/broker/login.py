"""Receiving a client from imap-urlauth-login, and telling login how it went.

lib-master/master-login.c (2.3), lib-login/login-server.c (2.4).
"""

from __future__ import annotations

import os
from _socket import MSG_NOSIGNAL
from time import monotonic

from dovecot_urlauth.service.fdpass import close_fds, receive_fds
from dovecot_urlauth.service.sockets import from_fd
from dovecot_urlauth.wire import handoff as wire
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from dovecot_urlauth.service.callback_process import ServiceProcess

READ_SIZE = 2048


class LoginConnection:
    """Ends with ``on_handoff(handoff, client)``, or with ``on_lost(text)``; text "" needs no log line."""

    def __init__(
        self,
        process: ServiceProcess,
        connection: socket,
        on_handoff: Callable[[wire.Handoff, socket], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._process = process
        self._socket = connection
        self._on_handoff = on_handoff
        self._on_lost = on_lost
        self._reader = wire.HandoffReader(process.dialect.handoff)
        self.created = monotonic()
        process.loop.watch(connection.fileno(), self._on_ready)

    def reply(self, tag: int, status: int) -> None:
        """Say how it went: login then lets go of the client, which must not hear from us before that."""
        try:
            self._socket.send(wire.pack_reply(tag, status, os.getpid()), MSG_NOSIGNAL)
        except OSError:
            return  # login is gone; the client is served all the same

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._process.loop.forget(self._socket.fileno())
            self._socket.close()

    def _on_ready(self, events: int) -> None:
        try:
            data, fds = receive_fds(self._socket, READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(f"fd_read() failed: {error.strerror}")
            return
        try:
            if not data:
                self._reader.receive_eof()
                self._lose("")
                return
            self._reader.receive_data(data, fds)
            received = self._reader.next_event()
            if received is not None:
                self._deliver(received.handoff, received.fd)
        except ProtocolError as error:
            self._lose(error.text)
        finally:
            close_fds(list(self._reader.surplus_fds()))

    def _deliver(self, handoff: wire.Handoff, fd: int) -> None:
        try:
            ino = os.fstat(fd).st_ino
            if ino != handoff.ino:
                raise ProtocolError(f"Auth request inode mismatch: {handoff.ino} != {ino}")
            client = from_fd(fd)
        except ProtocolError:
            os.close(fd)
            raise
        except OSError as error:
            os.close(fd)
            raise ProtocolError(f"fstat(fd_read client) failed: {error.strerror}") from error
        self._on_handoff(handoff, client)

    def _lose(self, text: str) -> None:
        self.close()
        self._on_lost(text)
