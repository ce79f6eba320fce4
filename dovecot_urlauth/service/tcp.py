"""A TCP connection to another machine, and TLS over it.

Names are looked up with getaddrinfo(3), which waits without turning the loop: only a process that serves one
user's connections may ask for one.
"""

from __future__ import annotations

import os
from errno import EINPROGRESS
from ssl import MemoryBIO, SSLContext, SSLError, SSLWantReadError

from dovecot_urlauth.service.connection import READ_SIZE, Connection, ConnectionLost
from dovecot_urlauth.start.cpython import (
    SO_ERROR,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    getaddrinfo,
    socket,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from dovecot_urlauth.service.loop import Loop

    Result = TypeVar("Result")

LARGE_READ = 64 * 1024
"""Bytes; a TLS record has 16 KiB at most."""


async def connect_tcp(loop: Loop, host: str, port: int, seconds: float) -> Connection:
    """Connect to the first address of ``host`` that answers; ``seconds`` for each.

    Raises TimedOut, OSError.
    """
    error: OSError = OSError(0, "no address")
    for family, _, _, _, address in getaddrinfo(host, port, 0, SOCK_STREAM):
        connecting = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
        connection = Connection(loop, connecting)
        try:
            code = connecting.connect_ex(address)
            if code == EINPROGRESS:
                await loop.writable(connecting.fileno(), seconds)
                code = connecting.getsockopt(SOL_SOCKET, SO_ERROR)
            if code == 0:
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        error = OSError(code, os.strerror(code))
    raise error


class TlsConnection:
    """A connection whose bytes are encrypted; one reader and one writer may wait at once."""

    def __init__(self, connection: Connection, context: SSLContext, name: str) -> None:
        """``name`` is what the certificate has to be for, if ``context`` wants one."""
        self._connection = connection
        self._incoming, self._outgoing = MemoryBIO(), MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._is_sending = False

    async def handshake(self, seconds: float) -> None:
        """Agree on keys. Raises TimedOut, ConnectionLost."""
        await self._step(self._tls.do_handshake, seconds)

    async def read(self, size: int = READ_SIZE, seconds: float | None = None) -> bytes:
        """As Connection.read; whether an end was announced is for the protocol above, which knows what is due."""
        return await self._step(lambda: self._tls.read(size), seconds)

    async def write(self, data: bytes, seconds: float | None = None) -> None:
        """As Connection.write."""
        if data:
            await self._step(lambda: self._tls.write(data), seconds)

    def close(self) -> None:
        """End it at once."""
        self._connection.close()

    async def _step(self, operation: Callable[[], Result], seconds: float | None) -> Result:
        while True:
            try:
                result = operation()
            except SSLWantReadError:
                await self._send(seconds)
                received = await self._connection.read(LARGE_READ, seconds)
                if received:
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
            except SSLError as error:
                await self._send(seconds)
                raise ConnectionLost(_reason(error)) from error
            else:
                await self._send(seconds)
                return result

    async def _send(self, seconds: float | None) -> None:
        """Send what is encrypted; records keep their order, since one at a time sends."""
        if self._is_sending:
            return
        self._is_sending = True
        try:
            while data := self._outgoing.read():
                await self._connection.write(data, seconds)
        finally:
            self._is_sending = False


def _reason(error: SSLError) -> str:
    """OpenSSL's words without its source's line numbers."""
    said = getattr(error, "verify_message", "") or error.reason or str(error)
    return f"TLS: {said}"
