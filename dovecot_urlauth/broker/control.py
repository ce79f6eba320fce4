"""The control connection to one worker (imap-urlauth-client.c; 2.4: imap-urlauth-worker-client.c)."""

from __future__ import annotations

import errno
import os

from dovecot_urlauth.service.connection import ConnectionLost, connect
from dovecot_urlauth.wire.control import ControlClient, Disconnected, Finished
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.connection import Connection
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.wire.control import Access

    class Descriptive(Protocol):
        """What owns a descriptor."""

        def fileno(self) -> int: ...


CONNECT_PATIENCE = 1.0


class SessionOver(Exception):
    """The client's session is over; the text is the reason in the line about the disconnect."""


async def call(loop: Loop, path: bytes) -> Connection | None:
    """A worker's connection if one is to be had at once."""
    try:
        return await connect(loop, path)
    except OSError:
        return None  # whoever needs it tries again, and says what is wrong


class Worker:
    """Serves one client until it says END."""

    def __init__(self, loop: Loop, log: Log, dialect: Dialect, path: bytes, access: Access) -> None:
        self._loop = loop
        self._log = log
        self._path = path
        self._where = os.fsdecode(path)
        user = "anonymous" if access.user is None else os.fsdecode(access.user)
        self._prefix = dialect.worker_message_prefix.format(user=user)
        self._send_error = dialect.worker_send_error
        self._protocol = ControlClient(dialect.control_order, access, f"unix:{self._where}")

    async def connect(self) -> Connection:
        """Find a worker; a full backlog is tried again for a second. Raises SessionOver."""
        try:
            return await connect(self._loop, self._path, patience=CONNECT_PATIENCE)
        except OSError as error:
            self._error(f"imap-urlauth-client: net_connect_unix({self._where}) failed: {_why(error)}")
            raise SessionOver("Failed to connect to worker") from error

    async def give(self, connection: Connection, client_in: Descriptive, client_out: Descriptive) -> None:
        """Pass the client's descriptors: what it says from now on is the worker's. Raises SessionOver."""
        try:
            for transmission in self._protocol.opening(client_in.fileno(), client_out.fileno()):
                descriptors = [] if transmission.fd is None else [transmission.fd]
                await connection.send_descriptors(transmission.data, descriptors)
        except ConnectionLost as lost:
            fd = client_out.fileno()
            self._error(self._send_error.format(path=self._where, fd=fd, error=lost.text))
            raise SessionOver("Failed to connect to worker") from lost
        self._log.debug(f"{self._prefix}Connecting to worker socket {self._where}")

    async def finish(self, connection: Connection) -> None:
        """Wait until the client has said END and is to have the next worker. Raises SessionOver."""
        try:
            while not await self._has_finished(connection):
                await self._answer(connection)
        except ProtocolError as error:
            for text in error.texts:
                self._error(text)
            raise SessionOver(error.reason) from error
        self._log.debug(f"{self._prefix}Worker finished successfully")

    async def _has_finished(self, connection: Connection) -> bool:
        """Read once. Raises ProtocolError, SessionOver."""
        try:
            data = await connection.read()
        except ConnectionLost:
            data = b""
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        while (event := self._protocol.next_event()) is not None:
            if isinstance(event, Finished):
                return True
            if isinstance(event, Disconnected):
                raise SessionOver("Client disconnected")
        return False

    async def _answer(self, connection: Connection) -> None:
        try:
            await connection.write(self._protocol.data_to_send())
        except ConnectionLost:
            self._protocol.receive_eof()

    def _error(self, text: str) -> None:
        self._log.error(self._prefix + text)


def _why(error: OSError) -> str:
    if error.errno == errno.EACCES:
        return f"Permission denied (euid={os.geteuid()} egid={os.getegid()})"
    return os.strerror(error.errno or errno.EIO)
