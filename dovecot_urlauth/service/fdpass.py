"""File descriptors in messages: SCM_RIGHTS over UNIX sockets (lib/fdpass.c)."""

from __future__ import annotations

import os
import struct

from dovecot_urlauth.start.cpython import (
    CMSG_SPACE,
    MSG_CMSG_CLOEXEC,
    MSG_CTRUNC,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    SCM_RIGHTS,
    SOL_SOCKET,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.start.cpython import socket

MOST_FDS = 4
"""Room for more than the one that is due, so that surplus ones are seen and closed, not cut off by the kernel."""

ANCILLARY_SPACE = CMSG_SPACE(MOST_FDS * 4)


class FdsTruncated(OSError):
    """The peer passed more file descriptors than anybody has reason to."""


def send_fd(connection: socket, data: bytes, fd: int) -> int:
    """Send ``data`` with one fd attached to its first byte; return the bytes sent. Raises OSError."""
    rights = [(SOL_SOCKET, SCM_RIGHTS, struct.pack("=i", fd))]
    return connection.sendmsg([data], rights, MSG_NOSIGNAL)


def receive_fds(connection: socket, length: int) -> tuple[bytes, list[int]]:
    """Receive up to ``length`` bytes and the fds that came with them, which the caller now owns.

    Raises BlockingIOError when nothing is there, FdsTruncated, OSError.
    """
    data, ancillary, flags, _ = connection.recvmsg(length, ANCILLARY_SPACE, MSG_CMSG_CLOEXEC | MSG_DONTWAIT)
    fds: list[int] = []
    for level, kind, content in ancillary:
        if level == SOL_SOCKET and kind == SCM_RIGHTS:
            fds.extend(struct.unpack(f"={len(content) // 4}i", content[: len(content) // 4 * 4]))
    if flags & MSG_CTRUNC:
        close_fds(fds)
        raise FdsTruncated("too many file descriptors in one message")
    return data, fds


def close_fds(fds: list[int]) -> None:
    """Close fds that nobody asked for."""
    for fd in fds:
        os.close(fd)
