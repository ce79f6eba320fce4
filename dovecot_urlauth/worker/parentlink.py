"""The child's end of the line to the parent; ``link.py`` says what is said over it."""

from __future__ import annotations

from dovecot_urlauth.service.connection import Connection
from dovecot_urlauth.service.descriptor import (
    Descriptor,
    DescriptorsTruncated,
    close_all,
    receive_message,
    send_message,
)
from dovecot_urlauth.service.sockets import CREDENTIALS, PeerCredentials
from dovecot_urlauth.wire.control import access_line, parse_access
from dovecot_urlauth.wire.lines import ProtocolError
from dovecot_urlauth.worker.client import Client
from dovecot_urlauth.worker.link import MESSAGE_LIMIT, OFFER, TAKEN
from dovecot_urlauth.worker.pipes import open_connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.start.cpython import socket
    from dovecot_urlauth.wire.control import Access

FEWEST_DESCRIPTORS = 2
"""Of one client: imap-urlauth's connection and the client's socket."""


class ClientUnusable(Exception):
    """The parent sent a client that cannot be served; ``str()`` says why."""


class ParentLink:
    """Owns the child's end; whoever finds that the parent is gone has nothing more to hear."""

    def __init__(self, loop: Loop, connection: socket) -> None:
        self._loop = loop
        self._socket = connection
        connection.setblocking(False)

    def close(self) -> None:
        """Tell the parent that nobody listens any more."""
        if self._socket.fileno() >= 0:
            self._loop.forget(self._socket.fileno())
            self._socket.close()

    async def connection(self) -> tuple[Connection, PeerCredentials] | None:
        """Wait for a connection of imap-urlauth; None when the parent is gone. Raises OSError."""
        data, descriptors = await self._receive(CREDENTIALS.size)
        if len(data) != CREDENTIALS.size or len(descriptors) != 1:
            close_all(descriptors)
            return None
        return Connection(self._loop, descriptors[0]), PeerCredentials(*CREDENTIALS.unpack(data))

    async def offer(self, key: bytes, access: Access, fds: tuple[int, ...]) -> bool:
        """Whether another child is the target user and has taken the client with these descriptors."""
        try:
            send_message(self._socket, OFFER + key + access_line(access), fds)
            answer, descriptors = await self._receive(len(TAKEN))
        except OSError:
            return False
        close_all(descriptors)
        return answer == TAKEN

    async def client(self) -> Client | None:
        """Wait for one more client of the target user; None when the parent will send no more.

        Raises ClientUnusable when one came and is lost, OSError when it is unknown what has come.
        """
        try:
            data, descriptors = await self._receive(MESSAGE_LIMIT)
        except DescriptorsTruncated as error:
            raise ClientUnusable(str(error.strerror)) from error
        if not data:
            close_all(descriptors)
            return None
        try:
            return self._client(data, descriptors)
        except (ProtocolError, OSError, ValueError) as error:
            close_all(descriptors)
            raise ClientUnusable(error.text if isinstance(error, ProtocolError) else str(error)) from error

    def say(self, word: bytes) -> None:
        """One of a child's words; the parent may be gone."""
        try:
            send_message(self._socket, word)
        except OSError:
            return

    def _client(self, data: bytes, descriptors: list[Descriptor]) -> Client:
        if not FEWEST_DESCRIPTORS <= len(descriptors) <= FEWEST_DESCRIPTORS + 1:
            raise ValueError(f"{len(descriptors)} descriptors")
        access = parse_access(data.removesuffix(b"\n"))
        control = Connection(self._loop, descriptors[0])
        return Client(open_connection(self._loop, descriptors[1], descriptors[-1]), access, control)

    async def _receive(self, size: int) -> tuple[bytes, list[Descriptor]]:
        """One message, b"" when the parent is gone. Raises DescriptorsTruncated, OSError."""
        while True:
            await self._loop.readable(self._socket.fileno())
            try:
                return receive_message(self._socket, size)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                return b"", []  # the parent is gone, and had not read all that was said
