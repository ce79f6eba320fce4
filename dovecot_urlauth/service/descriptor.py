"""File descriptors in messages (SCM_RIGHTS over UNIX sockets, lib/fdpass.c), and who owns one that came.

A peer chooses what it sends, and what the last close of it does: a TCP socket with SO_LINGER and unsent data
holds whoever closes it for as long as the peer likes.  So no descriptor is left to the kernel to close inside a
receiving call, and each is made harmless before it is closed here.
"""

from __future__ import annotations

import os
from errno import EMFILE, ENOTSOCK
from struct import pack, unpack

from dovecot_urlauth.start.cpython import (
    AF_UNIX,
    CMSG_SPACE,
    MSG_CMSG_CLOEXEC,
    MSG_CTRUNC,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    MSG_PEEK,
    SCM_RIGHTS,
    SO_LINGER,
    SOCK_STREAM,
    SOL_SOCKET,
    socket,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_DESCRIPTORS = 253
"""What the kernel lets one message carry (SCM_MAX_FD); with less room it would close the rest itself."""

ANCILLARY_SPACE = CMSG_SPACE(MOST_DESCRIPTORS * 4)
NO_LINGER = pack("=ii", 0, 0)
SO_PASSRIGHTS = 83
"""Linux 6.16: whether a socket takes descriptors at all."""


class DescriptorsTruncated(OSError):
    """Descriptors were lost on the way: our table of them is full."""


class Descriptor:
    """Owns one file descriptor."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @property
    def closed(self) -> bool:
        return self._fd < 0

    def fileno(self) -> int:
        """The number, -1 when it is not ours any more."""
        return self._fd

    def detach(self) -> int:
        """Give the ownership away with the number."""
        fd, self._fd = self._fd, -1
        return fd

    def close(self) -> None:
        """Close it, without waiting for what a peer may have left in it. Twice is once."""
        if self._fd >= 0:
            close_harmless(self.detach())


def close_harmless(fd: int) -> None:
    """Close ``fd``, whatever it is, without lingering. An error of close(2) is nobody's business here."""
    try:
        connection = socket(AF_UNIX, SOCK_STREAM, 0, fd)
    except OSError:
        connection = None  # a file, a pipe: these do not linger
    try:
        if connection is None:
            os.close(fd)
        else:
            forbid_linger(connection)
            connection.close()
    except OSError:
        return


def forbid_linger(connection: socket) -> None:
    """Let close(2) return at once, whatever the peer that sent this socket has set."""
    try:
        connection.setsockopt(SOL_SOCKET, SO_LINGER, NO_LINGER)
    except OSError:
        return


def refuse_descriptors(connection: socket) -> None:
    """Take no descriptors over this socket, where the kernel (Linux 6.16) can see to that."""
    try:
        connection.setsockopt(SOL_SOCKET, SO_PASSRIGHTS, 0)
    except OSError:
        return


def send_message(connection: socket, data: bytes, descriptors: Sequence[int] = (), flags: int = 0) -> int:
    """Send ``data`` with descriptors attached to its first byte; return the bytes sent. Raises OSError."""
    rights = [(SOL_SOCKET, SCM_RIGHTS, pack(f"={len(descriptors)}i", *descriptors))] if descriptors else []
    return connection.sendmsg([data], rights, MSG_NOSIGNAL | flags)


def receive_message(connection: socket, size: int, flags: int = 0) -> tuple[bytes, list[Descriptor]]:
    """Receive up to ``size`` bytes and the descriptors that came with them, without waiting.

    Raises BlockingIOError when nothing is there, DescriptorsTruncated, OSError.
    """
    data, ancillary, received, _ = connection.recvmsg(
        size, ANCILLARY_SPACE, MSG_CMSG_CLOEXEC | MSG_DONTWAIT | flags
    )
    if not ancillary and not received & MSG_CTRUNC:
        return data, []
    descriptors = [
        Descriptor(fd)
        for level, kind, content in ancillary
        if level == SOL_SOCKET and kind == SCM_RIGHTS
        for fd in unpack(f"={len(content) // 4}i", content[: len(content) // 4 * 4])
    ]
    if received & MSG_CTRUNC:
        close_all(descriptors)
        raise DescriptorsTruncated(EMFILE, "Too many open files")
    return data, descriptors


def receive(connection: socket, size: int, flags: int = 0) -> bytes:
    """Receive bytes where no descriptor is due; those that come all the same are closed.

    Raises BlockingIOError, OSError.
    """
    data, descriptors = receive_message(connection, size, flags)
    close_all(descriptors)
    return data


def has_ended(descriptor: Descriptor) -> bool:
    """Whether the peer of a socket is gone, and has left nothing to read; what is no socket has not ended."""
    try:
        with _Borrowed(descriptor) as connection:
            return not connection.recv(1, MSG_PEEK | MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError as error:
        return error.errno != ENOTSOCK


class _Borrowed:
    """A descriptor as a socket that is not closed. Raises OSError when it is none."""

    __slots__ = ("_socket",)

    def __init__(self, descriptor: Descriptor) -> None:
        self._socket = socket(AF_UNIX, SOCK_STREAM, 0, descriptor.fileno())

    def __enter__(self) -> socket:
        return self._socket

    def __exit__(self, *_: object) -> None:
        self._socket.detach()


def close_all(descriptors: Iterable[Descriptor]) -> None:
    """Close descriptors that nobody asked for."""
    for descriptor in descriptors:
        descriptor.close()
