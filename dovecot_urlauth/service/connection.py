"""One connected socket that somebody owns: awaits for what comes and goes, and one place that closes it.

A :class:`Connection` knows no grammar; protocol classes know no sockets.  Whoever holds the object owns the
descriptor, until :meth:`Connection.detach` gives it away or :meth:`Connection.close` ends it.
"""

from __future__ import annotations

import os
from errno import EIO

from dovecot_urlauth.service.descriptor import (
    Descriptor,
    close_all,
    forbid_linger,
    receive,
    receive_message,
    send_message,
)
from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.service.sockets import peer_credentials
from dovecot_urlauth.start.cpython import (
    AF_UNIX,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    MSG_PEEK,
    SHUT_RD,
    SHUT_RDWR,
    SO_SNDBUF,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    socket,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.service.sockets import PeerCredentials

READ_SIZE = 8192
"""Bytes read at once, where the protocol names no smaller number."""
PEEK_SIZE = 4096
"""Bytes that are looked at for a line's end."""
CONNECT_PAUSE = 0.01
"""Seconds between two attempts at a socket whose backlog is full."""
WIDE = 512 * 1024
"""Bytes under way at most where much is to be sent, as the kernel counts them: with what it adds itself."""


class ConnectionLost(Exception):
    """The connection broke; ``text`` is the system's word for it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Connection:
    """Owns one connected stream or seqpacket socket, made non-blocking."""

    __slots__ = ("_loop", "_socket", "received", "sent")

    def __init__(self, loop: Loop, connected: socket | Descriptor) -> None:
        """Take over ``connected``. Raises OSError, and has closed it, when that is no socket."""
        self._loop = loop
        if isinstance(connected, Descriptor):
            try:
                self._socket = socket(AF_UNIX, SOCK_STREAM, 0, connected.fileno())
            except OSError:
                connected.close()
                raise
            connected.detach()
        else:
            self._socket = connected
        self._socket.setblocking(False)
        self.received = self.sent = 0
        """Bytes, as Dovecot's events count them."""

    @property
    def closed(self) -> bool:
        return self._socket.fileno() < 0

    def fileno(self) -> int:
        return self._socket.fileno()

    async def read(self, size: int = READ_SIZE, seconds: float | None = None) -> bytes:
        """Up to ``size`` bytes as soon as there are any, b"" at the end. Raises TimedOut, ConnectionLost.

        Descriptors that come along are closed: whoever wants them asks for a message.
        """
        while True:
            try:
                await self._loop.readable(self.fileno(), seconds)
                data = receive(self._socket, size)
                self.received += len(data)
                return data
            except BlockingIOError:
                continue
            except OSError as error:
                raise _lost(error) from error

    async def read_message(
        self, size: int = READ_SIZE, seconds: float | None = None
    ) -> tuple[bytes, list[Descriptor]]:
        """As :meth:`read`, with the descriptors, which are the caller's from now on."""
        while True:
            try:
                await self._loop.readable(self.fileno(), seconds)
                data, descriptors = receive_message(self._socket, size)
                self.received += len(data)
                return data, descriptors
            except BlockingIOError:
                continue
            except OSError as error:
                raise _lost(error) from error

    async def read_line(self, seconds: float | None = None) -> bytes:
        """Bytes up to and with the next LF and not one more, or what there is of the line; b"" at the end.

        What follows may belong to the next reader of the same socket, so the input is looked at first, which takes
        no descriptor from it.  Raises TimedOut, ConnectionLost.
        """
        while True:
            try:
                await self._loop.readable(self.fileno(), seconds)
                waiting = self._socket.recv(PEEK_SIZE, MSG_PEEK | MSG_DONTWAIT)
                if not waiting:
                    return b""
                line = receive(self._socket, waiting.find(b"\n") + 1 or len(waiting))
                self.received += len(line)
                return line
            except BlockingIOError:
                continue
            except OSError as error:
                raise _lost(error) from error

    def waiting(self, size: int = PEEK_SIZE) -> bytes | None:
        """Up to ``size`` bytes that are there to be read, b"" at the end, None when nothing is; they stay there.

        Raises ConnectionLost.
        """
        try:
            return receive(self._socket, size, MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError as error:
            raise _lost(error) from error

    async def write(self, data: bytes, seconds: float | None = None) -> None:
        """Send all of ``data``; ``seconds`` bound each wait for a peer that takes nothing.

        Raises TimedOut, ConnectionLost.  Nothing to send is no reason to ask the kernel: a peer that has
        answered may be gone already.
        """
        sent = self.send_part(data) if data else 0
        while sent < len(data):
            await self._writable(seconds)
            sent += self.send_part(memoryview(data)[sent:])

    def widen(self) -> None:
        """Much is to be sent: have more of it under way than the usual 208 KiB.

        The peer wakes us when three quarters have been read.  What is left then must last it until we have sent
        more, and each waking takes the peer's time.
        """
        try:
            if self._socket.getsockopt(SOL_SOCKET, SO_SNDBUF) < WIDE:
                self._socket.setsockopt(SOL_SOCKET, SO_SNDBUF, WIDE // 2)  # the kernel doubles it
        except OSError:
            return  # it goes as well, more slowly

    def send_now(self, data: bytes) -> bool:
        """Send a few bytes that always fit where the peer reads; whether they did. Never waits."""
        try:
            return self.send_part(data) == len(data)
        except ConnectionLost:
            return False

    def send_part(self, data: bytes | memoryview) -> int:
        """Send what the peer takes at once; how many bytes that were. Raises ConnectionLost."""
        try:
            sent = self._socket.send(data, MSG_NOSIGNAL)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise _lost(error) from error
        self.sent += sent
        return sent

    async def send_descriptors(
        self, data: bytes, descriptors: Sequence[int], seconds: float | None = None
    ) -> None:
        """Send ``data`` with descriptors beside its first byte; they stay ours.

        Raises TimedOut, ConnectionLost.
        """
        while True:
            try:
                sent = send_message(self._socket, data, descriptors)
                self.sent += sent
                break
            except BlockingIOError:
                await self._writable(seconds)
            except OSError as error:
                raise _lost(error) from error
        await self.write(data[sent:], seconds)

    async def hung_up(self, seconds: float | None = None) -> None:
        """Wait until the peer is gone, while nobody reads. Raises TimedOut."""
        try:
            await self._loop.hung_up(self.fileno(), seconds)
        except OSError as error:
            raise _lost(error) from error

    def peer(self) -> PeerCredentials:
        """Who called connect(2). Raises OSError when the kernel does not say."""
        return peer_credentials(self._socket)

    def inode(self) -> int:
        """The socket's inode, which names it in a hand-off."""
        return os.fstat(self.fileno()).st_ino

    def shutdown(self) -> None:
        """End the connection for everybody who holds a copy of it."""
        try:
            self._socket.shutdown(SHUT_RDWR)
        except OSError:
            return  # it has ended already

    def detach(self) -> socket:
        """Give the socket away: whoever takes it closes it. Raises ValueError when it is not ours any more."""
        if self.closed:
            raise ValueError("detached from a closed connection")
        self._loop.forget(self.fileno())
        return socket(AF_UNIX, SOCK_STREAM, 0, self._socket.detach())

    def end(self) -> None:
        """Close what nobody else is to go on with; the peer cannot send any more, and hears what was said.

        What it has sent unread is received first: a descriptor in there may linger, and would be closed by the
        kernel when the last copy of this socket is.
        """
        if self.closed:
            return
        try:
            self._socket.shutdown(SHUT_RD)
            while receive(self._socket, READ_SIZE):
                pass
        except OSError:
            pass  # not connected any more
        self.close()

    def close(self) -> None:
        """Close our copy without lingering; the connection itself is not shut down. Twice is once."""
        if self.closed:
            return
        self._loop.forget(self.fileno())
        forbid_linger(self._socket)
        try:
            self._socket.close()
        except OSError:
            return  # the kernel has released the descriptor all the same

    async def _writable(self, seconds: float | None) -> None:
        try:
            await self._loop.writable(self.fileno(), seconds)
        except OSError as error:
            raise _lost(error) from error


async def connect(loop: Loop, path: bytes, *, patience: float = 0.0, pause: float = CONNECT_PAUSE) -> Connection:
    """Connect to a UNIX stream socket; a full backlog (EAGAIN) is tried again for ``patience`` seconds.

    Raises OSError.
    """
    deadline = loop.now() + patience
    while True:
        connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
        try:
            connection.connect(path)
        except BlockingIOError:
            connection.close()
            if loop.now() >= deadline:
                raise
            await loop.sleep(pause)
        except BaseException:
            connection.close()
            raise
        else:
            return Connection(loop, connection)


def _lost(error: OSError) -> ConnectionLost:
    return ConnectionLost(os.strerror(error.errno or EIO))


__all__ = [
    "READ_SIZE",
    "Connection",
    "ConnectionLost",
    "Descriptor",
    "TimedOut",
    "close_all",
    "connect",
]
