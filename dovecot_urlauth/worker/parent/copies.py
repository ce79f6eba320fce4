"""Which descriptors of the parent are copies of clients', for a forked child to close.

They are numbers in one piece of memory: a child that went through the clients themselves would write to, and so
copy, a page for nearly each.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from dovecot_urlauth.service.descriptor import Descriptor


class Copies:
    """A set of descriptors."""

    __slots__ = ("_is_held",)

    def __init__(self) -> None:
        self._is_held = bytearray()
        """By number."""

    def hold(self, descriptors: Iterable[Descriptor]) -> None:
        """These are clients' from now on."""
        for fd in (descriptor.fileno() for descriptor in descriptors):
            self._is_held.extend(bytes(max(0, fd + 1 - len(self._is_held))))
            self._is_held[fd] = 1

    def release(self, descriptors: Iterable[Descriptor]) -> None:
        """These are about to be closed, or somebody else's to close."""
        for descriptor in descriptors:
            self._is_held[descriptor.fileno()] = 0

    def leave_to_parent(self) -> None:
        """In a forked child: close them all.  The parent has them open, so nothing lingers."""
        fd = self._is_held.find(1)
        while fd >= 0:
            os.close(fd)
            fd = self._is_held.find(1, fd + 1)
