"""A client of the worker with everything that belongs to it, from one child to the next."""

from __future__ import annotations

import os

from dovecot_urlauth.worker.channel import ClientChannel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.wire.control import Access, Descriptors
    from dovecot_urlauth.worker.handshake import ControlConnection


class Guest:
    """Who asks, over which connection, and imap-urlauth's connection that brought it."""

    __slots__ = ("_descriptors", "access", "channel", "control")

    def __init__(self, control: ControlConnection, descriptors: Descriptors, access: Access) -> None:
        os.set_blocking(descriptors.fd_in, False)
        os.set_blocking(descriptors.fd_out, False)
        self.control = control
        self.access = access
        self.channel = ClientChannel(descriptors)
        self._descriptors = descriptors

    @property
    def fds(self) -> tuple[int, ...]:
        """The control connection's, then the client's one or two."""
        return tuple(dict.fromkeys((self.control.fileno(), self._descriptors.fd_in, self._descriptors.fd_out)))

    def close(self) -> None:
        """Close our copies of the descriptors; no connection is shut down."""
        self.channel.close()
        self.control.close()
