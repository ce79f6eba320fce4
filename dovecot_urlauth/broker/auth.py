"""The connection to auth-master: opened as root at start-up, never again (the socket is root's).

When it is lost, the process takes no more clients, serves those it has and ends; master starts a new one.
(lib-master/master-login-auth.c, lib-login/login-server-auth.c)
"""

from __future__ import annotations

import os
from time import time

from dovecot_urlauth.service.connection import Connection, ConnectionLost
from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.service.sender import Sender
from dovecot_urlauth.service.stats import SILENT, ConnectionEvents, Stats
from dovecot_urlauth.wire.authmaster import AuthMaster, NotFound, PassReply, ServerHello, UserReply
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop, Promise
    from dovecot_urlauth.start.cpython import socket
    from dovecot_urlauth.wire.authmaster import Failed
    from dovecot_urlauth.wire.handoff import Handoff

    Answer = UserReply | NotFound | Failed

LOOKUP_TIMEOUT = 155.0

CATEGORIES = ("auth-client",)
LOGIN_STARTED, LOGIN_FINISHED = "auth_master_client_login_started", "auth_master_client_login_finished"


class LookupFailed(Exception):
    """auth did not name a user; the log knows why."""


class _AuthLost(Exception):
    """The connection is gone."""


class Auth:
    """Says which user stands behind a hand-off."""

    def __init__(
        self,
        loop: Loop,
        log: Log,
        dialect: Dialect,
        connected: socket | Connection,
        stats: Stats = SILENT,
        path: bytes = b"",
    ) -> None:
        """``path`` is the socket's, for stats."""
        self._loop = loop
        self._stats = stats
        self._path = path
        self._log = log
        self._connection = connected if isinstance(connected, Connection) else Connection(loop, connected)
        self._protocol = AuthMaster(dialect.auth_master_minor)
        self._sender = Sender(loop, self._connection)
        self._connected = loop.now()
        self._greeted_at: float | None = None
        self._greeted: Promise[ServerHello] = loop.promise()
        self._waiting: dict[int, Promise[Answer]] = {}
        self._last_id = int.from_bytes(os.urandom(2), "little") // 2 * 131072

    async def keep(self) -> None:
        """Read what auth says until it is lost."""
        events = ConnectionEvents(self._stats, self._connection, CATEGORIES, path=self._path)
        self._sender.send(self._protocol.data_to_send())
        try:
            while data := await self._connection.read():
                self._take(data)
        except (ProtocolError, ConnectionLost) as lost:
            self._log.error(f"auth-master: login: {lost.text}")
        finally:
            events.ended()
            self._connection.close()
            self._greeted = self._loop.promise()
            self._greeted.fail(_AuthLost())
            for answer in list(self._waiting.values()):
                answer.fail(_AuthLost())

    async def redeem(self, handoff: Handoff) -> UserReply:
        """Ask which user stands behind ``handoff``. Raises LookupFailed."""
        self._last_id = self._last_id % 0xFFFFFFFF + 1
        request_id = self._last_id
        started, began = self._loop.now(), time()
        answer: Promise[Answer] = self._loop.promise()
        self._waiting[request_id] = answer
        self._stats.report(LOGIN_STARTED, CATEGORIES, {"id": request_id}, began)
        told: dict[str, str | int] = {"id": request_id}
        why = "Aborted"
        try:
            server = await self._greeted.wait(LOOKUP_TIMEOUT)
            if server.pid != handoff.auth_pid:
                self._log.warning(
                    f"auth-master: login: Auth server restarted (pid {handoff.auth_pid} -> {server.pid}), "
                    "aborting auth"
                )
                why = "Auth server restarted"
                raise LookupFailed
            self._protocol.request(
                request_id, handoff.client_pid, handoff.auth_id, handoff.cookie, session_pid=os.getpid()
            )
            self._sender.send(self._protocol.data_to_send())
            reply = await answer.wait(started + LOOKUP_TIMEOUT - self._loop.now())
            if isinstance(reply, UserReply):
                told["user"], why = os.fsdecode(reply.name), ""
                return reply
            why = _describe(reply)
        except TimedOut:
            why = f"Auth server request timed out after {self._loop.now() - started:.3f} secs"
        except _AuthLost:
            why = "Disconnected from auth server, aborting"
        finally:
            del self._waiting[request_id]
            self._stats.report(LOGIN_FINISHED, CATEGORIES, told | ({"error": why} if why else {}), began)
        self._log.error(
            f"auth-master: login: request [{request_id}]: Login auth request failed: {why} "
            f"({self._times(started)}, client-pid={handoff.client_pid} client-id={handoff.auth_id})"
        )
        raise LookupFailed

    def _take(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        while (event := self._protocol.next_event()) is not None:
            if isinstance(event, ServerHello):
                self._greeted_at = self._loop.now()
                self._greeted.set(event)
            elif not isinstance(event, PassReply) and event.id in self._waiting:  # else it was given up
                self._waiting[event.id].set(event)

    def _times(self, started: float) -> str:
        now = self._loop.now()
        times = f"auth connected {_msecs(now - self._connected)} msecs ago"
        if self._greeted_at is not None:
            times += f", handshake {_msecs(now - self._greeted_at)} msecs ago"
        return times + f", request took {_msecs(now - started)} msecs"


def _describe(reply: NotFound | Failed) -> str:
    if isinstance(reply, NotFound):
        return f"Authenticated user not found from userdb, auth lookup id={reply.id}"
    reason = f": {os.fsdecode(reply.reason)}" if reply.reason else ""
    return f"Internal auth failure{reason}"


def _msecs(seconds: float) -> int:
    return int(seconds * 1000)
