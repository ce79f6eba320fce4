"""TLS over a connection.  Python's ssl takes 20 ms to load, so that it is loaded by the first who makes one."""

from __future__ import annotations

from time import monotonic

from dovecot_urlauth.service.connection import READ_SIZE, Connection, ConnectionLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext, SSLError
    from typing import TypeVar

    Result = TypeVar("Result")

LARGE_READ = 64 * 1024
"""Bytes; a TLS record has 16 KiB at most."""


class TlsConnection:
    """A connection whose bytes are encrypted; one reader and one writer may wait at once."""

    def __init__(self, connection: Connection, context: SSLContext, name: str) -> None:
        """``name`` is what the certificate has to be for, if ``context`` wants one."""
        import ssl

        self._ssl = ssl
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._is_sending = False

    async def handshake(self, seconds: float) -> None:
        """Agree on keys, within ``seconds`` in all. Raises TimedOut, ConnectionLost."""
        await self._step(self._tls.do_handshake, seconds)

    async def read(self, size: int = READ_SIZE, seconds: float | None = None) -> bytes:
        """As Connection.read, in all within ``seconds``; whether an end was announced is for the protocol."""
        return await self._step(lambda: self._tls.read(size), seconds)

    async def write(self, data: bytes, seconds: float | None = None) -> None:
        """As Connection.write."""
        if data:
            await self._step(lambda: self._tls.write(data), seconds)

    def close(self) -> None:
        """End it at once."""
        self._connection.close()

    async def _step(self, operation: Callable[[], Result], seconds: float | None) -> Result:
        """One operation, however many times it waits: a peer that drips gets no more time for each drop."""
        until = None if seconds is None else monotonic() + seconds
        while True:
            try:
                result = operation()
            except self._ssl.SSLWantReadError:
                await self._send(until)
                received = await self._connection.read(LARGE_READ, _left(until))
                if received:
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
            except self._ssl.SSLError as error:
                await self._send(until)
                raise ConnectionLost(_reason(error)) from error
            else:
                await self._send(until)
                return result

    async def _send(self, until: float | None) -> None:
        """Send what is encrypted; records keep their order, since one at a time sends."""
        if self._is_sending:
            return
        self._is_sending = True
        try:
            while data := self._outgoing.read():
                await self._connection.write(data, _left(until))
        finally:
            self._is_sending = False


def _left(until: float | None) -> float | None:
    """Seconds from now to a moment of the monotonic clock."""
    return None if until is None else max(0.0, until - monotonic())


def _reason(error: SSLError) -> str:
    """OpenSSL's words without its source's line numbers."""
    said = getattr(error, "verify_message", "") or error.reason or str(error)
    return f"TLS: {said}"
