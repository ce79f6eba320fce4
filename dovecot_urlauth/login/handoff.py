"""Giving an authenticated client to imap-urlauth: struct and fd in one message, twelve bytes back.

lib-master/master-auth.c (2.3), lib-login/login-client.c (2.4).
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.connection import ConnectionLost, connect
from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.wire import handoff as wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.connection import Connection
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop

REPLY_TIMEOUT = 90.0
CONNECT_PATIENCE = 0.5
CONNECT_PAUSE = 0.02

PROCESS_LIMIT_HINT = "read() failed: Remote closed connection (destination service { process_limit } reached?)"
REPLY_UNITS = 4
"""The size of the reply as Dovecot's log counts it, in units that it calls bytes: three numbers and a fd."""


class HandoffFailed(Exception):
    """imap-urlauth did not take the client; the log knows why."""


class _Failed(Exception):
    """What the error line is to say."""


class Handoffs:
    """Hands clients to imap-urlauth."""

    def __init__(self, loop: Loop, log: Log, dialect: Dialect) -> None:
        self._loop = loop
        self._log = log
        self._dialect = dialect

    async def hand_off(
        self, path: bytes, request: wire.Handoff, client: Connection, preconnected: Connection | None
    ) -> int:
        """Hand ``client`` to whoever listens at ``path``, over ``preconnected`` if there; return the new pid.

        Raises HandoffFailed.
        """
        started = self._loop.now()
        reply = bytearray()
        connection = preconnected
        try:
            if connection is None:
                connection = await self._connect(path)
            await self._send(connection, request, client)
            answer = await self._receive(connection, request.tag, reply)
        except _Failed as failed:
            age = int((self._loop.now() - started) * 1000)
            self._log.error(
                f"master(imap-urlauth): {failed} (client-pid={request.client_pid}, client-id={request.auth_id}, "
                f"rip=, created {age} msecs ago, received {len(reply)}/{REPLY_UNITS} bytes)"
            )
            raise HandoffFailed from failed
        finally:
            if connection is not None:
                connection.close()
        if answer.status != wire.STATUS_OK:
            raise HandoffFailed  # imap-urlauth has logged why
        return answer.mail_pid

    async def _connect(self, path: bytes) -> Connection:
        """Try again for half a second while the backlog is full."""
        started = self._loop.now()
        retries = 0
        while True:
            try:
                connection = await connect(self._loop, path)
                break
            except OSError as error:
                is_full = isinstance(error, BlockingIOError)
                if not is_full or self._loop.now() - started >= CONNECT_PATIENCE:
                    raise _Failed(f"net_connect_unix({os.fsdecode(path)}) failed: {error.strerror}") from error
            retries += 1
            await self._loop.sleep(CONNECT_PAUSE)
        if retries:
            waited = int((self._loop.now() - started) * 1_000_000)
            self._log.warning(
                f"net_connect_unix({os.fsdecode(path)}) succeeded only after {retries} retries - took {waited} us"
            )
        return connection

    async def _send(self, connection: Connection, request: wire.Handoff, client: Connection) -> None:
        message = wire.pack(self._dialect.handoff, request)
        try:
            await connection.send_descriptors(message, [client.fileno()], REPLY_TIMEOUT)
        except ConnectionLost as lost:
            raise _Failed(f"fd_send() failed: {lost.text}") from lost
        except TimedOut as late:
            raise _Failed(self._dialect.login_texts.handoff_timeout) from late

    async def _receive(self, connection: Connection, tag: int, reply: bytearray) -> wire.HandoffReply:
        """Fill ``reply``, and see that it answers this request."""
        deadline = self._loop.now() + REPLY_TIMEOUT
        while len(reply) < wire.REPLY_SIZE:
            try:
                left = max(0.0, deadline - self._loop.now())
                data = await connection.read(wire.REPLY_SIZE - len(reply), left)
            except ConnectionLost as lost:
                raise _Failed(f"read() failed: {lost.text}") from lost
            except TimedOut as late:
                raise _Failed(self._dialect.login_texts.handoff_timeout) from late
            if not data:
                raise _Failed(PROCESS_LIMIT_HINT)
            reply += data
        answer = wire.unpack_reply(bytes(reply))
        if answer.tag != tag:
            raise _Failed(f"Received reply with unknown tag {answer.tag}")
        return answer
