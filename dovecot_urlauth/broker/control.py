"""The control connection to one worker (imap-urlauth-client.c; 2.4: imap-urlauth-worker-client.c)."""

from __future__ import annotations

import errno
import os
from time import monotonic

from dovecot_urlauth.service.fdpass import send_fd
from dovecot_urlauth.service.sockets import connect_unix
from dovecot_urlauth.service.stream import Stream
from dovecot_urlauth.wire.control import Access, Active, ControlClient, Finished
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable
    from typing import Protocol

    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.callbacks import Loop, Timer
    from dovecot_urlauth.service.log import Log

    class Surroundings(Protocol):
        """What a worker connection needs of the process that it lives in."""

        loop: Loop
        dialect: Dialect


CONNECT_PATIENCE = 1.0
CONNECT_PAUSE = 0.01


class WorkerConnection:
    """Gives the client to a worker and reports what becomes of it.

    Callbacks: ``on_passed()`` once the worker has the client's fd, ``on_finished()`` when the client said
    END, ``on_lost(reason)`` when the session is over.
    """

    def __init__(
        self,
        process: Surroundings,
        log: Log,
        path: bytes,
        access: Access,
        on_passed: Callable[[], None],
        on_finished: Callable[[], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._process = process
        self._log = log
        self._path = path
        self._on_passed = on_passed
        self._on_finished = on_finished
        self._on_lost = on_lost
        self._protocol = ControlClient(process.dialect.control_order, access, f"unix:{os.fsdecode(path)}")
        self._stream: Stream | None = None
        self._retry: Timer | None = None
        self._deadline = monotonic() + CONNECT_PATIENCE

    def connect(self, client_in: int, client_out: int) -> None:
        """Connect and pass the client's fds; a full backlog is tried again for a second."""
        try:
            connection = connect_unix(self._path, patience=0)
        except BlockingIOError as error:
            if monotonic() < self._deadline:
                self._retry = self._process.loop.after(CONNECT_PAUSE, lambda: self.connect(client_in, client_out))
                return
            self._refuse(f"imap-urlauth-client: net_connect_unix({self._where()}) failed: {error.strerror}")
            return
        except OSError as error:
            self._refuse(f"imap-urlauth-client: net_connect_unix({self._where()}) failed: {_why(error)}")
            return
        self.use(connection, client_in, client_out)

    def close(self) -> None:
        """Let go of the worker; a retry must not outlive the client, whose fd number may be another's then."""
        if self._retry is not None:
            self._retry.cancel()
        if self._stream is not None:
            self._stream.close()

    def use(self, connection: socket, client_in: int, client_out: int) -> None:
        """Pass the client's fds over a connection that is there already."""
        self._stream = Stream(self._process.loop, connection, self._on_data, self._on_end)
        try:
            for transmission in self._protocol.opening(client_in, client_out):
                if transmission.fd is None:
                    self._stream.write(transmission.data)
                else:
                    send_fd(connection, transmission.data, transmission.fd)
        except OSError as error:
            self._refuse(f"fd_send({self._where()}, {client_out}) failed: {error.strerror}")
            return
        self._log.debug(f"Connecting to worker socket {self._where()}")
        self._on_passed()

    def _on_data(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        try:
            while (event := self._protocol.next_event()) is not None:
                if isinstance(event, Finished):
                    self._log.debug("Worker finished successfully")
                    self.close()
                    self._on_finished()
                    return
                if not isinstance(event, Active):
                    self._on_lost("Client disconnected")
                    return
        except ProtocolError as error:
            for text in error.texts:
                self._log.error(text)
            self._on_lost(error.reason)
            return
        if self._stream is not None:
            self._stream.write(self._protocol.data_to_send())

    def _on_end(self, reason: str) -> None:
        try:
            self._protocol.receive_eof()
        except ProtocolError as error:
            self._on_lost(error.reason)

    def _refuse(self, text: str) -> None:
        self._log.error(text)
        self.close()
        self._on_lost("Failed to connect to worker")

    def _where(self) -> str:
        return os.fsdecode(self._path)


def _why(error: OSError) -> str:
    if error.errno == errno.EACCES:
        return f"Permission denied (euid={os.geteuid()} egid={os.getegid()})"
    return os.strerror(error.errno or errno.EIO)
