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

from struct import pack

from dovecot_urlauth.start.cpython import (
    AF_UNIX,
    MSG_NOSIGNAL,
    SCM_RIGHTS,
    SOCK_CLOEXEC,
    SOCK_SEQPACKET,
    SOL_SOCKET,
    socket,
    socketpair,
)

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
