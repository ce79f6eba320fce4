"""A child that was forked before its connection came.

Forking, and the first writes to memory that was shared until then, take a millisecond that no client should
wait for.  The spare child waits for the parent to pass it a connection; it ends when the parent does.
"""

from __future__ import annotations

import select
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_SEQPACKET, socket, socketpair

from dovecot_urlauth.service.environment import DEAD_PIPE_FD
from dovecot_urlauth.service.fdpass import receive_fds, send_fd
from dovecot_urlauth.service.sockets import CREDENTIALS, PeerCredentials, from_fd


class SpareChild:
    """The parent's handle."""

    __slots__ = ("_channel", "pid")

    def __init__(self, pid: int, channel: socket) -> None:
        self.pid = pid
        self._channel = channel

    def give(self, connection: socket, peer: PeerCredentials) -> bool:
        """Pass ``connection`` on; False when the child is gone. Either way this handle is used up."""
        try:
            send_fd(self._channel, CREDENTIALS.pack(peer.pid, peer.uid, peer.gid), connection.fileno())
        except OSError:
            return False
        finally:
            self.dismiss()
        return True

    def dismiss(self) -> None:
        """Close our end: a child that still waits then ends."""
        self._channel.close()


def channel() -> tuple[socket, socket]:
    """The parent's and the child's end of what a connection is passed over."""
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)


def await_connection(waiting: socket) -> tuple[socket, PeerCredentials] | None:
    """In the child: wait for a connection; None when parent or master is gone."""
    ready = select.poll()
    ready.register(waiting.fileno(), select.POLLIN)
    ready.register(DEAD_PIPE_FD, select.POLLERR)
    if any(fd == DEAD_PIPE_FD for fd, _ in ready.poll()):
        return None
    data, fds = receive_fds(waiting, CREDENTIALS.size)
    waiting.close()
    if len(data) != CREDENTIALS.size or len(fds) != 1:
        return None
    return from_fd(fds[0]), PeerCredentials(*CREDENTIALS.unpack(data))
