"""How many more clients a process takes, and when it has served enough.

The arithmetic of lib-master/master-service.c (master_service_client_connection_accept and _destroyed):
``client_limit`` bounds the clients at one time, ``service_count`` (2.4: ``restart_request_count``) those of
the whole life.  No I/O here: the caller reports what :attr:`ClientSlots.status` says.
"""

from __future__ import annotations


class ClientSlots:
    """Counts one process's clients."""

    __slots__ = ("_exhausted", "available", "left", "total")

    def __init__(self, client_limit: int, service_count: int | None, exhausted: int) -> None:
        """``exhausted`` is the status that means "full, and never free again"."""
        self.left = service_count
        self.total = client_limit if service_count is None else min(client_limit, service_count)
        self.available = self.total
        self._exhausted = exhausted

    @property
    def idle(self) -> bool:
        return self.available == self.total

    @property
    def clients(self) -> int:
        return self.total - self.available

    @property
    def finished(self) -> bool:
        """Whether the process has served its last client and shall exit."""
        return self.left == 0

    @property
    def retired(self) -> bool:
        """Whether all the clients that may still come are here already."""
        return self.left is not None and self.left == self.clients

    @property
    def status(self) -> int:
        """The available_count to report to master."""
        return self._exhausted if self.available == 0 and self.retired else self.available

    def take(self) -> None:
        """A client came; the caller must not accept when nothing is available."""
        if self.available == 0:
            raise AssertionError("accepted a client without a free slot")
        self.available -= 1

    def release(self) -> None:
        """A client is done."""
        if self.left is None:
            self.available += 1
        elif self.left == self.total:
            self.total -= 1
            self.left -= 1
        else:
            self.left -= 1
            self.available += 1
