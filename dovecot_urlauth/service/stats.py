"""What a service process tells Dovecot's stats process of what happens: quietly, and only what somebody wants.

The connection is made at start, as the rights to do so are given up later; then nothing is ever waited for.  Until
stats has said what it wants a few events are kept, and it is listened to when no client is kept from anything by
that: a process of one client does it when the client is served.  Without stats, or when it does not read, events
are lost; nobody is told, since nothing but a number is missing.
"""

from __future__ import annotations

import os
from time import time

from dovecot_urlauth import is_bundled
from dovecot_urlauth.service.connection import Connection, ConnectionLost
from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.start.cpython import AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dovecot_urlauth.dialect.dialect import StatsNames
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.wire.eventfilter import EventFilter
    from dovecot_urlauth.wire.stats import StatsWriter

    Fields = Mapping[str, str | int]

LISTEN_DELAY = 0.05
"""Seconds until stats is listened to first: the client for whom a process was started comes before."""
RECONNECT_PAUSE = 10.0
"""Seconds between two connections (lib-master/stats-client.c)."""
FAREWELL = 0.25
"""Seconds that a process waits at its end to hear what of its last events is wanted."""
MOST_KEPT = 200
"""Events kept until it is known which are wanted."""
MOST_UNSENT = 1 << 18
"""Bytes that stats has not read; what comes beyond them is lost."""


class Stats:
    """One process's connection to stats, or none."""

    def __init__(self, loop: Loop, service: str, path: bytes | None, names: StatsNames) -> None:
        """``path`` is where stats-writer is; None where nothing is to be told."""
        self.names = names
        self._loop = loop
        self._service = service
        self._path = path
        self._connection: Connection | None = None
        self._protocol: StatsWriter | None = None
        self._filter: EventFilter | None = None
        """What is wanted; None as long as stats has not said."""
        self._unwanted: set[str] = set()
        """Names that the filter does not let through, whatever else an event has."""
        self._kept: list[tuple[str, tuple[str, ...], Fields, float, float]] = []
        self._unsent = b""
        self._tried = loop.now()
        self._hurry = loop.promise()
        self._heard = loop.promise()
        self._connect()

    def wants(self, name: str) -> bool:
        """Whether to find out what an event of this name would say."""
        if self._connection is None and self._path is not None:
            self._reconnect()
        return self._connection is not None and name not in self._unwanted

    def report(self, name: str, categories: tuple[str, ...], fields: Fields, created: float | None = None) -> None:
        """Something has happened that began at ``created`` (Unix time), or now."""
        if not self.wants(name):
            return
        now = time()
        event = (name, (*categories, f"service:{self._service}"), fields, now if created is None else created, now)
        if self._filter is not None:
            self._send(*event)
        elif len(self._kept) < MOST_KEPT:
            self._kept.append(event)

    def load(self) -> None:
        """Load now what hearing from stats takes: the process cannot any more when it does."""
        if self._connection is not None and not is_bundled():
            for name in ("dovecot_urlauth.wire.stats", "dovecot_urlauth.wire.eventfilter"):
                __import__(name)

    def listen(self) -> None:
        """Hear what is wanted, as soon as nothing is in the way."""
        if self._connection is not None:
            self._loop.spawn(self._hear(self._connection), "stats")

    async def finish(self) -> None:
        """Send what is wanted of the last events; the process ends."""
        self._path = None
        if self._connection is None or (self._filter is None and not self._kept):
            return
        self._hurry.set(None)
        try:
            await self._heard.wait(FAREWELL)
        except TimedOut:
            return

    def leave_to_parent(self) -> None:
        """In a forked child: the connection is the parent's, and so is what is to be said over it."""
        self._path = None
        self._kept.clear()
        self._lose()

    def _connect(self) -> None:
        if self._path is None:
            return
        connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
        try:
            connection.connect(self._path)
        except OSError:
            connection.close()  # it is not there, has no time or is not for us; it may be another time
            return
        self._connection = Connection(self._loop, connection)

    def _reconnect(self) -> None:
        """Try again after a while, where the process still may: not behind a chroot, not as a target user."""
        if self._path is None or not self._path.startswith(b"/"):
            return
        now = self._loop.now()
        if now - self._tried >= RECONNECT_PAUSE:
            self._tried = now
            self._connect()
            self.listen()

    async def _hear(self, connection: Connection) -> None:
        """Take each filter that stats sends, until it is gone."""
        from dovecot_urlauth.wire.lines import ProtocolError
        from dovecot_urlauth.wire.stats import StatsWriter

        try:
            await self._hurry.come(LISTEN_DELAY)
        except TimedOut:
            pass
        self._protocol = protocol = StatsWriter(self._service, self.names.major)
        try:
            self._write(protocol.data_to_send())
            while data := await connection.read():
                protocol.receive_data(data)
                while (received := protocol.next_event()) is not None:
                    self._obey(received.text)
        except (ConnectionLost, ProtocolError):
            pass  # quietly
        if connection is self._connection:
            self._lose()

    def _obey(self, text: str) -> None:
        from dovecot_urlauth.wire.eventfilter import EventFilter, FilterError

        try:
            self._filter = EventFilter(text)
        except FilterError:
            self._filter = EventFilter("event=*")  # stats looks at each event itself
        self._unwanted.clear()
        kept, self._kept = self._kept, []
        for event in kept:
            self._send(*event)
        self._heard.set(None)

    def _send(self, name: str, categories: tuple[str, ...], fields: Fields, created: float, sent: float) -> None:
        from dovecot_urlauth.wire.eventfilter import Facts
        from dovecot_urlauth.wire.stats import Event, with_parents

        if self._filter is None or self._protocol is None or len(self._unsent) > MOST_UNSENT:
            return
        if self._filter.wants(Facts(name)) is False:
            self._unwanted.add(name)
            return
        facts = Facts(name, {"debug", *with_parents(categories)}, fields)
        if self._filter.wants(facts) is not False:
            self._protocol.report(Event(name, categories, fields, created, sent))
            self._write(self._protocol.data_to_send())

    def _write(self, data: bytes) -> None:
        """Send now what stats takes now, the rest when it reads on."""
        is_waiting = bool(self._unsent)
        self._unsent += data
        if not is_waiting:
            self._write_on()
            if self._unsent:
                self._loop.spawn(self._write_later(), "stats writer")

    def _write_on(self) -> None:
        if self._connection is None:
            return
        try:
            self._unsent = self._unsent[self._connection.send_part(self._unsent) :]
        except ConnectionLost:
            self._unsent = b""  # whoever listens finds out

    async def _write_later(self) -> None:
        while self._unsent and self._connection is not None:
            try:
                await self._loop.writable(self._connection.fileno())
            except OSError:
                return
            self._write_on()

    def _lose(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._protocol = self._filter = None
        self._unsent = b""
        self._unwanted.clear()
        self._heard.set(None)


class Silent(Stats):
    """Tells nobody anything: outside of Dovecot's service processes."""

    def __init__(self) -> None:
        self._connection = None
        self._path = None


SILENT = Silent()


class ConnectionEvents:
    """The two events of a connection: that it is there, and that it is over."""

    __slots__ = ("_categories", "_connection", "_created", "_kind", "_peer", "_stats")

    def __init__(
        self,
        stats: Stats,
        connection: Connection,
        categories: tuple[str, ...] = (),
        *,
        path: bytes | None = None,
        is_new: bool = True,
    ) -> None:
        """``path`` is the socket that we have called; None if we were."""
        self._stats = stats
        self._connection = connection
        self._categories = categories
        self._created = time()
        self._kind = "client" if path is None else "server"
        self._peer: dict[str, str | int] | None = None
        name = f"{self._kind}_connection_connected"
        is_told = "auth-client" in categories or stats is SILENT or stats.names.passes_clients
        if is_told and stats.wants(name):
            self._peer = _peer(connection, path, stats.names)
            if is_new:
                stats.report(name, categories, self._peer, self._created)

    def ended(self, reason: str = "Connection closed") -> None:
        """The connection is over, and about to be closed; twice is once."""
        peer, self._peer = self._peer, None
        name = f"{self._kind}_connection_disconnected"
        if peer is None or not self._stats.wants(name):
            return
        received, sent = self._stats.names.bytes_fields
        fields = {"reason": reason, **peer, received: self._connection.received, sent: self._connection.sent}
        self._stats.report(name, self._categories, fields, self._created)


def _peer(connection: Connection, path: bytes | None, names: StatsNames) -> dict[str, str | int]:
    fields: dict[str, str | int] = {} if path is None else {"socket_path": os.fsdecode(path)}
    try:
        peer = connection.peer()
    except OSError:
        return fields
    fields.update(remote_pid=peer.pid, remote_uid=peer.uid)
    if names.has_gid:
        fields["remote_gid"] = peer.gid
    return fields


__all__ = ["SILENT", "ConnectionEvents", "Stats"]
