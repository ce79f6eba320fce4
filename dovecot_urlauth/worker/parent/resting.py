"""Clients that no child has, since they ask for nothing.

The parent looks whether there is something to read, and gives such a client to a child; it takes nothing.  When
either of the client's two connections ends the client is over.
"""

from __future__ import annotations

from dovecot_urlauth.service.connection import Connection
from dovecot_urlauth.service.descriptor import has_ended
from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.service.stats import SILENT, ConnectionEvents, Stats
from dovecot_urlauth.wire.control import DISCONNECTED
from dovecot_urlauth.worker.parent.policy import REST_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dovecot_urlauth.service.loop import Loop, Task
    from dovecot_urlauth.worker.parent.forkedchild import Client


class RestOver(Exception):
    """Nobody waits for this client any more."""


class RestingClients:
    """Holds each of them until it asks for something, or is gone."""

    __slots__ = ("_loop", "_stats", "_wake", "_watchers")

    def __init__(self, loop: Loop, wake: Callable[[Client], None], stats: Stats = SILENT) -> None:
        """``wake(client)`` takes back a client that asks for something."""
        self._loop = loop
        self._wake = wake
        self._stats = stats
        self._watchers: dict[Client, Task[None]] = {}

    def __iter__(self) -> Iterator[Client]:
        return iter(self._watchers)

    def add(self, client: Client) -> None:
        """Let a client rest, whose descriptors are the control connection's and its own."""
        self._watchers[client] = self._loop.spawn(self._rest(client), "resting")

    def remove(self, client: Client) -> None:
        """The client is nobody's any more; one that does not rest is let alone."""
        watcher = self._watchers.pop(client, None)
        if watcher is not None:
            watcher.cancel(RestOver())
            self._forget(client)

    async def _rest(self, client: Client) -> None:
        """From the last answer to the next command, or to the end of one of the connections."""
        control, own = client.descriptors[:2]
        watcher = self._loop.spawn(self._watch_control(control.fileno(), self._loop.current), "control")
        is_over = False
        try:
            await self._loop.readable(own.fileno(), REST_LIMIT)
        except (TimedOut, RestOver, OSError):
            is_over = True
        finally:
            watcher.cancel(RestOver())
            self._forget(client)
            self._watchers.pop(client, None)
        if is_over or has_ended(own):
            self._end(client, b"" if is_over else DISCONNECTED)
        else:
            self._wake(client)

    def _end(self, client: Client, farewell: bytes) -> None:
        """Both connections are over, and nobody has taken what may have come over them."""
        connections = []
        for descriptor in client.give_up():
            try:
                connections.append(Connection(self._loop, descriptor))
            except OSError:
                continue  # a pipe, which is closed
        for connection in reversed(connections):
            ConnectionEvents(self._stats, connection, is_new=False).ended()
        if farewell and connections:
            connections[0].send_now(farewell)
        for connection in reversed(connections):
            connection.end()
        client.gone.set(None)

    def _forget(self, client: Client) -> None:
        """Its descriptors are about to be closed, or sent."""
        for descriptor in client.descriptors[:2]:
            self._loop.forget(descriptor.fileno())

    async def _watch_control(self, fd: int, rest: Task[None]) -> None:
        """imap-urlauth says nothing more on this connection; whatever comes ends the rest."""
        await self._loop.readable(fd)
        rest.cancel(RestOver())
