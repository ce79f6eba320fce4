"""The child's end of the link to its parent; ``parent/protocol.py`` says what is said over it."""

from __future__ import annotations

from dovecot_urlauth.service.connection import Connection
from dovecot_urlauth.service.descriptor import (
    Descriptor,
    DescriptorsTruncated,
    close_all,
    receive_message,
    send_message,
)
from dovecot_urlauth.start.cpython import MSG_PEEK
from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.wire.lines import ProtocolError
from dovecot_urlauth.worker.client import Client
from dovecot_urlauth.worker.parent.protocol import (
    KEEP,
    MESSAGE_LIMIT,
    TAKEN,
    GivenConnection,
    pack_offer,
    pack_resting,
    parse_given,
)
from dovecot_urlauth.worker.pipes import open_connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.service.sockets import PeerCredentials
    from dovecot_urlauth.start.cpython import socket
    from dovecot_urlauth.wire.control import Access
    from dovecot_urlauth.worker.parent.protocol import GivenClient

FEWEST_DESCRIPTORS = 2
"""Of one client: imap-urlauth's connection and the client's socket."""


class ClientUnusable(Exception):
    """The parent sent a client that cannot be served; ``str()`` says why."""


@frozen
class GivenAgain:
    """A client that another child has been through the handshake with; it said USER with ``name``."""

    client: Client
    name: bytes


class ParentLink:
    """Owns the child's end; whoever finds that the parent is gone has nothing more to hear."""

    def __init__(self, loop: Loop, connection: socket) -> None:
        self._loop = loop
        self._socket = connection
        self._may_rest = False
        connection.setblocking(False)

    def close(self) -> None:
        """Tell the parent that nobody listens any more."""
        if self._socket.fileno() >= 0:
            self._loop.forget(self._socket.fileno())
            self._socket.close()

    def has_given(self) -> bool:
        """Whether the parent has given something already, or is gone."""
        try:
            self._socket.recv(1, MSG_PEEK)
        except OSError:
            return False
        return True

    async def given(self) -> tuple[Connection, PeerCredentials] | GivenAgain | None:
        """Wait for a connection of imap-urlauth and its peer, or a client that was another child's.

        None when the parent is gone.  Raises ClientUnusable, OSError.
        """
        received = await self._receive_given()
        if received is None:
            return None
        given, descriptors = received
        if not isinstance(given, GivenConnection):
            return GivenAgain(self._client(given, descriptors), given.name)
        if len(descriptors) != 1:
            close_all(descriptors)
            raise ClientUnusable(f"{len(descriptors)} descriptors")
        return Connection(self._loop, descriptors[0]), given.peer

    async def offer(self, key: bytes, name: bytes, access: Access, fds: tuple[int, ...]) -> bool:
        """Whether another child is the target user and has taken the client with these descriptors."""
        try:
            send_message(self._socket, pack_offer(key, name, access), fds)
            answer, descriptors = await self._receive(len(TAKEN))
        except OSError:
            return False
        close_all(descriptors)
        self._may_rest = answer == KEEP
        return answer == TAKEN

    async def client(self) -> Client | None:
        """Wait for one more client of the target user; None when the parent will send no more.

        Raises ClientUnusable when one came and is lost, OSError when it is unknown what has come.
        """
        received = await self._receive_given()
        if received is None:
            return None
        given, descriptors = received
        if isinstance(given, GivenConnection):
            close_all(descriptors)
            raise ClientUnusable("a connection")
        return self._client(given, descriptors)

    def say(self, word: bytes) -> None:
        """One of a child's words; the parent may be gone."""
        try:
            send_message(self._socket, word)
        except OSError:
            return

    def rest(self, kept_as: str) -> bool:
        """Leave all clients to the parent, if it can have them; else they are served as before."""
        try:
            return self._may_rest and send_message(self._socket, pack_resting(kept_as)) > 0
        except OSError:
            return False

    async def _receive_given(self) -> tuple[GivenConnection | GivenClient, list[Descriptor]] | None:
        try:
            data, descriptors = await self._receive(MESSAGE_LIMIT)
        except DescriptorsTruncated as error:
            raise ClientUnusable(str(error.strerror)) from error
        if not data:
            close_all(descriptors)
            return None
        try:
            return parse_given(data), descriptors
        except (ProtocolError, ValueError) as error:
            close_all(descriptors)
            raise ClientUnusable(error.text if isinstance(error, ProtocolError) else str(error)) from error

    def _client(self, given: GivenClient, descriptors: list[Descriptor]) -> Client:
        """A client from the descriptors that came with it. Raises ClientUnusable, and has closed them."""
        try:
            if not FEWEST_DESCRIPTORS <= len(descriptors) <= FEWEST_DESCRIPTORS + 1:
                raise ValueError(f"{len(descriptors)} descriptors")
            control = Connection(self._loop, descriptors[0])
            return Client(open_connection(self._loop, descriptors[1], descriptors[-1]), given.access, control)
        except (OSError, ValueError) as error:
            close_all(descriptors)
            raise ClientUnusable(str(error)) from error

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
