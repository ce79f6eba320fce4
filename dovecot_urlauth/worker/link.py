"""The line between the worker's parent and one of its children: short messages, descriptors beside them.

::

    P: <credentials>     +connection       to a spare child: serve this connection of imap-urlauth
    C: OFFER <key> <access> +fds           its client asks for the mail of the target user that key stands for
    P: TAKEN                               another child has that client now; this one is spare again
    P: KEEP                                nobody has: become that target user
    P: <access>          +fds              to the child that is the target user: one more client
    C: ADMITTED                            it is being served
    C: LEFT                                a client that it had taken over, or its own, is gone
    C: ALONE                               send no more clients here; instead of OFFER: nor this one elsewhere

The parent compares keys and passes on what it is given; it understands none of it.  Each message is a datagram,
so none can be cut short or run into the next.  Whoever finds the other end closed has nothing more to do.
"""

from __future__ import annotations

import select
from _socket import AF_UNIX, MSG_NOSIGNAL, SCM_RIGHTS, SOCK_CLOEXEC, SOCK_SEQPACKET, SOL_SOCKET, socket, socketpair
from struct import pack

from dovecot_urlauth.service.environment import DEAD_PIPE_FD
from dovecot_urlauth.service.fdpass import close_fds, receive_fds
from dovecot_urlauth.service.sockets import CREDENTIALS, PeerCredentials, from_fd
from dovecot_urlauth.wire.control import Descriptors, access_line, parse_access

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.wire.control import Access

KEY_SIZE = 32
"""Bytes of what stands for a target user."""
MESSAGE_LIMIT = 16384
"""Bytes of one message: an ACCESS line has 2048 at most when it comes to us."""

OFFER = b"O"
TAKEN = b"T"
KEEP = b"K"
ADMITTED = b"A"
LEFT = b"L"
ALONE = b"S"


def link() -> tuple[socket, socket]:
    """The parent's and the child's end."""
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)


def send_message(connection: socket, data: bytes, fds: tuple[int, ...] = (), flags: int = 0) -> None:
    """Send one message with descriptors beside it. Raises OSError."""
    rights = [(SOL_SOCKET, SCM_RIGHTS, pack(f"={len(fds)}i", *fds))] if fds else []
    connection.sendmsg([data], rights, MSG_NOSIGNAL | flags)


class ParentLink:
    """The child's end."""

    def __init__(self, connection: socket) -> None:
        self._connection = connection

    def fileno(self) -> int:
        return self._connection.fileno()

    def await_connection(self) -> tuple[socket, PeerCredentials] | None:
        """Wait for a connection of imap-urlauth; None when parent or master is gone."""
        if not self._wait():
            return None
        data, fds = receive_fds(self._connection, CREDENTIALS.size)
        if len(data) != CREDENTIALS.size or len(fds) != 1:
            close_fds(fds)
            return None
        return from_fd(fds[0]), PeerCredentials(*CREDENTIALS.unpack(data))

    def offer(self, key: bytes, access: Access, fds: tuple[int, ...]) -> bool:
        """Whether another child is the target user and has taken the client with these descriptors."""
        try:
            send_message(self._connection, OFFER + key + access_line(access), fds)
            if not self._wait():
                return False
            return self._connection.recv(len(TAKEN)) == TAKEN
        except OSError:
            return False

    def receive_client(self) -> tuple[socket, Descriptors, Access] | None:
        """One more client of the target user: imap-urlauth's connection, the client's descriptors, who it is.

        None when the parent will send no more.  Raises BlockingIOError, OSError.
        """
        data, fds = receive_fds(self._connection, MESSAGE_LIMIT)
        if not data:
            return None
        control, fd_in, *fd_out = fds
        return from_fd(control), Descriptors(fd_in, fd_out[0] if fd_out else fd_in), parse_access(data[:-1])

    def say(self, word: bytes) -> None:
        """ADMITTED, LEFT or ALONE; the parent may be gone."""
        try:
            send_message(self._connection, word)
        except OSError:
            return

    def _wait(self) -> bool:
        """Wait for a message; False when master is gone."""
        ready = select.poll()
        ready.register(self._connection.fileno(), select.POLLIN)
        ready.register(DEAD_PIPE_FD, select.POLLERR)
        return all(fd != DEAD_PIPE_FD for fd, _ in ready.poll())
