"""Receiving a client from imap-urlauth-login, and telling login how it went.

lib-master/master-login.c (2.3), lib-login/login-server.c (2.4).
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.connection import Connection, ConnectionLost
from dovecot_urlauth.service.descriptor import close_all
from dovecot_urlauth.wire import handoff as wire
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.descriptor import Descriptor
    from dovecot_urlauth.service.loop import Loop

READ_SIZE = 2048


class LoginLost(Exception):
    """There will be no client, or it is void; the text is the error line, "" where none is due."""


class LoginConnection:
    """One connection from login, which carries one client."""

    def __init__(self, loop: Loop, dialect: Dialect, connection: Connection) -> None:
        self._loop = loop
        self._connection = connection
        self._reader = wire.HandoffReader(dialect.handoff)
        self._descriptors: dict[int, Descriptor] = {}

    async def receive(self) -> tuple[wire.Handoff, Connection]:
        """Wait for the client, which is the caller's from now on. Raises LoginLost."""
        try:
            while True:
                await self._read()
                event = self._next_event()
                if event is not None:
                    return event.handoff, self._adopt(event)
        finally:
            close_all(self._descriptors.values())
            self._descriptors.clear()

    async def stay(self) -> NoReturn:
        """Until it is answered login still owns the client: raises LoginLost when login is gone, or says more."""
        while True:
            await self._read()
            close_all(self._descriptors.values())
            self._descriptors.clear()
            self._next_event()

    def reply(self, tag: int, status: int) -> None:
        """Say how it went: login then lets go of the client, which must not hear from us before that.

        When login is gone the client is served all the same.
        """
        self._connection.send_now(wire.pack_reply(tag, status, os.getpid()))
        self.end()

    def end(self) -> None:
        """There is no more to say to login."""
        self._connection.end()

    async def _read(self) -> None:
        try:
            data, descriptors = await self._connection.read_message(READ_SIZE)
            self._descriptors.update((descriptor.fileno(), descriptor) for descriptor in descriptors)
            if data:
                self._reader.receive_data(data, [descriptor.fileno() for descriptor in descriptors])
                return
            self._reader.receive_eof()
        except ConnectionLost as lost:
            raise LoginLost(f"fd_read() failed: {lost.text}") from lost
        except ProtocolError as error:
            raise LoginLost(error.text) from error
        is_early = self._reader.state is wire.State.DONE
        raise LoginLost("Login client disconnected too early" if is_early else "")

    def _next_event(self) -> wire.HandoffReceived | None:
        try:
            return self._reader.next_event()
        except ProtocolError as error:
            raise LoginLost(error.text) from error

    def _adopt(self, event: wire.HandoffReceived) -> Connection:
        """The client's socket must be the one that login speaks of. Raises LoginLost."""
        descriptor = self._descriptors.pop(event.fd)
        try:
            client = Connection(self._loop, descriptor)
        except OSError as error:
            raise LoginLost(f"fstat(fd_read client) failed: {error.strerror}") from error
        inode = client.inode()
        if inode != event.handoff.ino:
            client.close()
            raise LoginLost(f"Auth request inode mismatch: {event.handoff.ino} != {inode}")
        return client
