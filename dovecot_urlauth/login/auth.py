"""The connection to auth over ``tokenlogin``: kept for the life of the process, made again when lost.

One task keeps it; whoever has a question awaits the answer.  Times are lib-auth/auth-client-connection.c's.
"""

from __future__ import annotations

import os
from time import time

from dovecot_urlauth.service.connection import ConnectionLost, connect
from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.service.sender import Sender
from dovecot_urlauth.service.stats import SILENT, ConnectionEvents, Stats
from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.wire.authclient import MECHANISM, AuthClient, AuthFail, AuthOk, Ready
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.connection import Connection
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop, Promise

HANDSHAKE_TIMEOUT = 30.0
RECONNECT_INTERVAL = 5.0
ANSWER_TIMEOUT = 150.0

CATEGORIES = ("auth-client",)
REQUEST_STARTED, REQUEST_FINISHED = "auth_client_request_started", "auth_client_request_finished"


class AuthLost(Exception):
    """auth is not there, or went away before it answered."""


@frozen
class Answer:
    """What auth says of one client; ``server`` is the auth process that said it."""

    reply: AuthOk | AuthFail
    server: Ready


class Auth:
    """Asks auth for all the clients of the process."""

    def __init__(self, loop: Loop, log: Log, dialect: Dialect, path: bytes, stats: Stats = SILENT) -> None:
        self._loop = loop
        self._log = log
        self._dialect = dialect
        self._path = path
        self._stats = stats
        self._where = os.fsdecode(path)
        self._protocol = self._new_protocol()
        self._sender: Sender | None = None
        self._server: Ready | None = None
        self._ready: Promise[None] = loop.promise()
        self._called: Promise[None] = loop.promise()
        self._waiting: dict[int, Promise[Answer]] = {}

    async def keep(self) -> None:
        """Be connected: again five seconds after the last attempt, or as soon as a client comes."""
        while True:
            started = self._loop.now()
            try:
                await self._live()
            except Exception as error:  # what nobody foresaw: the clients that asked are told, the others live on
                self._loop.on_crash("auth", error)
            self._called = self._loop.promise()
            try:
                await self._called.wait(max(0.0, started + RECONNECT_INTERVAL - self._loop.now()))
            except TimedOut:
                continue

    def call(self) -> None:
        """A client has come, for whom auth will be wanted."""
        self._called.set(None)

    @property
    def is_ready(self) -> bool:
        """Whether auth can be asked now."""
        return self._server is not None

    async def ready(self, seconds: float) -> None:
        """Wait until auth can be asked. Raises TimedOut."""
        await self._ready.wait(seconds)

    async def ask(self, session: bytes, response: bytes) -> tuple[int, Answer]:
        """Ask about a client (``response`` in base64); return the question's id and the answer.

        Raises AuthLost, TimedOut.  A question that nobody waits for any more is withdrawn.
        """
        if self._sender is None or self._server is None:
            raise AuthLost
        request_id = self._protocol.request(session, response)
        answer: Promise[Answer] = self._loop.promise()
        self._waiting[request_id] = answer
        self._sender.send(self._protocol.data_to_send())
        began, error, user = time(), "Authentication failed", b""
        self._report(REQUEST_STARTED, request_id, session, began)
        try:
            given = await answer.wait(ANSWER_TIMEOUT)
            user, error = given.reply.user, "" if isinstance(given.reply, AuthOk) else error
            return request_id, given
        except AuthLost:
            error = "Lost connection to server"
            raise
        except Exception as failure:
            error = "Timed out" if isinstance(failure, TimedOut) else "Aborted"
            self.cancel(request_id)
            raise
        finally:
            self._report(REQUEST_FINISHED, request_id, session, began, user=user, error=error)

    def cancel(self, request_id: int) -> None:
        """Withdraw a question, answered or not: auth forgets it."""
        self._waiting.pop(request_id, None)
        self._protocol.cancel(request_id)
        if self._sender is not None:
            self._sender.send(self._protocol.data_to_send())

    async def _live(self) -> None:
        """One connection, from connect to loss."""
        try:
            connection = await connect(self._loop, self._path)
        except OSError as error:
            self._error(f"connect({self._where}) failed: {error.strerror}")
            return
        self._protocol = self._new_protocol()
        self._sender = Sender(self._loop, connection)
        self._sender.send(self._protocol.data_to_send())
        events = ConnectionEvents(self._stats, connection, CATEGORIES, path=self._path)
        try:
            await self._shake_hands(connection)
            while True:
                await self._read(connection)
        except TimedOut:
            self._error(f"Timeout waiting for handshake from auth server. my pid={os.getpid()}, input bytes=0")
        except ProtocolError as error:
            for text in error.texts:
                self._error(text)
        except ConnectionLost as lost:
            if self._waiting:
                self._log.warning(
                    f"Auth connection closed with {len(self._waiting)} pending requests "
                    f"(pid={os.getpid()}, {lost.text})"
                )
        finally:
            events.ended()
            connection.close()
            self._lose()

    async def _shake_hands(self, connection: Connection) -> None:
        deadline = self._loop.now() + HANDSHAKE_TIMEOUT
        while self._server is None:
            await self._read(connection, max(0.0, deadline - self._loop.now()))

    async def _read(self, connection: Connection, seconds: float | None = None) -> None:
        data = await connection.read(seconds=seconds)
        if not data:
            raise ConnectionLost("EOF")
        self._protocol.receive_data(data)
        while (event := self._protocol.next_event()) is not None:
            if isinstance(event, Ready):
                self._server = event
                self._ready.set(None)
            elif isinstance(event, AuthOk | AuthFail) and self._server is not None:
                self._waiting.pop(event.id).set(Answer(event, self._server))

    def _lose(self) -> None:
        self._sender = None
        self._server = None
        if self._ready.settled:
            self._ready = self._loop.promise()
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            answer.fail(AuthLost())

    def _new_protocol(self) -> AuthClient:
        return AuthClient(os.getpid(), self._dialect.auth_client_minor, self._dialect.auth_request_parameters)

    def _report(
        self, name: str, request_id: int, session: bytes, began: float, *, user: bytes = b"", error: str = ""
    ) -> None:
        if not self._stats.wants(name):
            return
        names = self._stats.names
        service_key, service, _ = names.service_field
        fields: dict[str, str | int] = {"id": request_id, "mechanism": MECHANISM.decode(), service_key: service}
        fields.update(transport=names.secured, session=os.fsdecode(session))
        if user:
            fields["user"] = os.fsdecode(user)
        if error:
            fields["error"] = error
        self._stats.report(name, CATEGORIES, fields, began)

    def _error(self, text: str) -> None:
        self._log.error(f"auth-client: conn unix:{self._where}: {text}")
