"""Sending over a connection that many tasks share: whole lines, in order, and nobody waits."""

from __future__ import annotations

from dovecot_urlauth.service.connection import ConnectionLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.connection import Connection
    from dovecot_urlauth.service.loop import Loop


class Sender:
    """Keeps what the peer does not take yet.

    What cannot be sent ends the connection, and so is noticed by whoever reads from it.
    """

    __slots__ = ("_connection", "_loop", "_output", "_sending")

    def __init__(self, loop: Loop, connection: Connection) -> None:
        self._loop = loop
        self._connection = connection
        self._output = b""
        self._sending = False

    def send(self, data: bytes) -> None:
        """Send ``data`` behind what was to be sent before."""
        self._output += data
        if not self._sending:
            self._sending = True
            self._loop.spawn(self._send_all(), "sender")

    async def _send_all(self) -> None:
        try:
            while self._output:
                output, self._output = self._output, b""
                await self._connection.write(output)
        except ConnectionLost:
            self._connection.shutdown()
        finally:
            self._sending = False
