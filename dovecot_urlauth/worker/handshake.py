"""The control connection's opening, worker's end: a client's fd, and for whom it fetches."""

from __future__ import annotations

from _socket import MSG_DONTWAIT, MSG_NOSIGNAL

from dovecot_urlauth.service.fdpass import close_fds, receive_fds
from dovecot_urlauth.wire.control import Access, ControlServer, Descriptors
from dovecot_urlauth.wire.lines import ProtocolError
from dovecot_urlauth.worker.channel import IDLE_TIMEOUT
from dovecot_urlauth.worker.waiting import READABLE, ConnectionOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from dovecot_urlauth.wire.control import ControlOrder
    from dovecot_urlauth.worker.waiting import Watch

READ_SIZE = 4096


class ControlRefused(Exception):
    """The peer does not speak the control protocol; ``texts`` are the error lines."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        super().__init__(*texts)
        self.texts = texts


class ControlConnection:
    """The connection to imap-urlauth: opened by it, ended by either side."""

    def __init__(self, connection: socket, order: ControlOrder, peer: str) -> None:
        self._socket = connection
        self._protocol = ControlServer(order, peer)
        self._descriptors: Descriptors | None = None

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        """Close our copy of the connection."""
        self._socket.close()

    def open(self, watch: Watch) -> tuple[Descriptors, Access]:
        """Go through the handshake; return the client's fds and its access.

        Raises ControlRefused, ConnectionOver.
        """
        self._flush()
        while True:
            self._receive(watch)
            try:
                while (event := self._protocol.next_event()) is not None:
                    if isinstance(event, Descriptors):
                        self._descriptors = event
                    elif self._descriptors is not None:
                        self._flush()
                        return self._descriptors, event
            except ProtocolError as error:
                raise ControlRefused(error.texts) from error
            self._flush()

    def check_quiet(self) -> None:
        """After the handshake imap-urlauth says nothing more; its end is ours. Raises ConnectionOver."""
        try:
            data = self._socket.recv(READ_SIZE, MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            raise ConnectionOver from error
        if data:
            raise ConnectionOver("Control session aborted: Unexpected input")
        raise ConnectionOver

    def say(self, word: bytes) -> None:
        """Send FINISHED or DISCONNECTED; imap-urlauth may be gone already."""
        try:
            self._socket.send(word, MSG_NOSIGNAL)
        except OSError:
            return

    def _receive(self, watch: Watch) -> None:
        if not watch.wait(self._socket.fileno(), READABLE, IDLE_TIMEOUT):
            raise ConnectionOver
        try:
            data, fds = receive_fds(self._socket, READ_SIZE)
        except BlockingIOError:
            return
        except ConnectionResetError as error:
            raise ConnectionOver from error  # imap-urlauth left without reading what we had said
        except OSError as error:
            raise ControlRefused((f"fd_read() failed: {error.strerror}", "FD Transfer failed")) from error
        if not data:
            raise ConnectionOver
        self._protocol.receive_data(data, fds)
        close_fds(list(self._protocol.surplus_fds()))

    def _flush(self) -> None:
        output = self._protocol.data_to_send()
        if output:
            self.say(output)
