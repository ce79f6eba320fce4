"""The attribute dictionary ``proxy:``: Dovecot's own dict service is asked, whatever it keeps its data in.

Matches lib-dict/dict-client.c: the socket is opened when a value is wanted and with the target user's rights, as
a dict process of stock settings serves one connection at a time and root's rights are gone by then; it is closed
with the answer.  Nothing is remembered, so that a key that was reset is refused at once.
"""

from __future__ import annotations

import os
from errno import EIO

from dovecot_urlauth.service.connection import ConnectionLost, TimedOut, connect
from dovecot_urlauth.store.errors import StoreFailure
from dovecot_urlauth.wire.dictclient import DictClient, LookupFailed, NoValue, Value
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.config.attribute_dict import ProxyDictSettings
    from dovecot_urlauth.service.connection import Connection
    from dovecot_urlauth.service.loop import Loop

CONNECT_PATIENCE = 1.0
"""Seconds that a full backlog is tried again (unix_client_connect_msecs)."""
LOOKUP_TIMEOUT = 30.0
"""Seconds until an answer has to be there (DICT_CLIENT_REQUEST_TIMEOUT_MSECS)."""


class ProxyDict:
    """The dictionary of a dict service; see Attributes."""

    def __init__(self, settings: ProxyDictSettings, loop: Loop) -> None:
        self._settings = settings
        self._loop = loop

    async def lookup(self, key: bytes) -> bytes | None:
        """See Attributes.lookup; waits for dict, and each lookup for its own answer."""
        try:
            connection = await connect(self._loop, self._settings.socket, patience=CONNECT_PATIENCE)
        except OSError as error:
            reason = os.strerror(error.errno or EIO)
            raise self._failure(
                f"net_connect_unix({os.fsdecode(self._settings.socket)}) failed: {reason}"
            ) from None
        try:
            answer = await self._ask(connection, key)
        except TimedOut:
            raise self._failure(f"Dict server timeout: no reply in {LOOKUP_TIMEOUT:.0f} secs") from None
        except ConnectionLost as lost:
            raise self._failure(lost.text) from None
        except ProtocolError as error:
            raise self._failure(error.text) from None
        finally:
            connection.close()
        if isinstance(answer, LookupFailed):
            reason = os.fsdecode(answer.reason)
            raise self._failure("dict-server returned failure" + (f": {reason}" if reason else ""))
        return answer.value if isinstance(answer, Value) else None

    def close(self) -> None:
        """See Attributes.close; there is nothing that outlives a lookup."""

    async def _ask(self, connection: Connection, key: bytes) -> Value | NoValue | LookupFailed:
        """Raises TimedOut, ConnectionLost and ProtocolError."""
        deadline = self._loop.now() + LOOKUP_TIMEOUT
        protocol = DictClient(self._settings.major, self._settings.name, self._settings.user)
        protocol.lookup(key)
        await connection.write(protocol.data_to_send(), LOOKUP_TIMEOUT)
        while True:
            data = await connection.read(seconds=max(deadline - self._loop.now(), 0))
            if not data:
                raise ConnectionLost("Disconnected, maybe for want of such a dictionary")
            protocol.receive_data(data)
            if (answer := protocol.next_event()) is not None:
                return answer

    def _failure(self, why: str) -> StoreFailure:
        return StoreFailure(f"dict-client {os.fsdecode(self._settings.name)}: {why}")
