"""One client of imap-urlauth: received from login, looked up, checked, then given to workers until it is gone.

:meth:`Session._lead` is the whole story.
"""

from __future__ import annotations

import os

from dovecot_urlauth.broker.auth import LookupFailed
from dovecot_urlauth.broker.control import SessionOver, Worker, call
from dovecot_urlauth.broker.identity import IdentityRefused, check_identity
from dovecot_urlauth.broker.login import LoginConnection, LoginLost
from dovecot_urlauth.service.connection import ConnectionLost
from dovecot_urlauth.service.process import ProcessOver
from dovecot_urlauth.service.stats import ConnectionEvents
from dovecot_urlauth.service.watch import unless
from dovecot_urlauth.wire.control import OK
from dovecot_urlauth.wire.handoff import STATUS_INTERNAL_ERROR, STATUS_OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from dovecot_urlauth.broker.auth import Auth
    from dovecot_urlauth.broker.identity import ServiceUsers
    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.connection import Connection
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.service.sockets import PeerCredentials
    from dovecot_urlauth.service.stats import Stats
    from dovecot_urlauth.wire.authmaster import UserReply
    from dovecot_urlauth.wire.control import Access
    from dovecot_urlauth.wire.handoff import Handoff

    class Surroundings(Protocol):
        """What the sessions of a process share."""

        loop: Loop
        log: Log
        dialect: Dialect
        auth: Auth
        users: ServiceUsers
        worker_path: bytes
        stats: Stats
        calls_ahead: bool
        """Whether a worker is called while auth looks up for whom."""

        def take_preconnected(self) -> Connection | None:
            """The connection to a worker that was made at start, once."""

        def show_title(self) -> None:
            """A session's title has changed."""


NO = b"NO\n"
CATEGORIES = ("imap-urlauth",)

TITLE_WAITING = "[waiting on client]"
TITLE_LOOKUP = "[auth lookup]"
TITLE_POST_LOGIN = "[post-login script]"


class _Denied(Exception):
    """The post-login script does not let the client go on; the text is the error line."""


class Session:
    """What is known of a client, and what the log says of its end."""

    def __init__(self, stage: Surroundings, connection: Connection) -> None:
        self._stage = stage
        self._loop = stage.loop
        self._log = stage.log
        self._login = LoginConnection(stage.loop, stage.dialect, connection)
        self._created = self._loop.now()
        self._requested = 0.0
        self._handoff: Handoff | None = None
        self._client: Connection | None = None
        self._called: Connection | None = None
        """The connection to a worker that was made while auth looked the user up."""
        self._is_over = False
        self._events: ConnectionEvents | None = None
        self._username: str | None = None
        self.title = TITLE_WAITING

    async def serve(self) -> None:
        """Lead the client to its end."""
        try:
            await self._lead()
        except LoginLost as lost:
            if str(lost):
                self._error(str(lost))
        except LookupFailed:
            self._say(NO)
        except IdentityRefused as refused:
            self._error(str(refused))
            self._say(NO)
        except _Denied as denied:
            self._log.error(str(denied))
        except SessionOver as over:
            self._disconnected(str(over))
        except ProcessOver:
            if self._username is not None:
                self._disconnected(self._stage.dialect.broker_shutting_down)
        finally:
            self._is_over = True
            self._login.end()
            if self._events is not None:
                self._events.ended()
            if self._client is not None:
                self._client.end()
            if self._called is not None:
                self._called.close()

    async def _lead(self) -> None:
        handoff, client = await self._login.receive()
        self._handoff, self._client, self._requested = handoff, client, self._loop.now()
        self._show(TITLE_LOOKUP)
        if self._stage.calls_ahead:
            self._loop.spawn(self._call_worker(), "call")
        reply = await self._look_up(handoff)
        self._username = "anonymous" if b"anonymous" in reply.fields else os.fsdecode(reply.name)
        self._log = self._log.with_prefix(f"imap-urlauth({self._username}): ")
        script = reply.fields.get(b"postlogin")
        if script:
            self._show(TITLE_POST_LOGIN)
            reply, client = await self._run_post_login(script, reply, client)
        access = self._check(reply, client)
        self._show(f"[{self._username}]")
        self._events = ConnectionEvents(self._stage.stats, client, CATEGORIES)
        while True:
            await self._give_to_worker(access, client)

    async def _call_worker(self) -> None:
        """Let a worker make ready while auth looks up whom login has proved to be somebody."""
        if not self._is_over:
            self._called = await call(self._loop, self._stage.worker_path)

    async def _look_up(self, handoff: Handoff) -> UserReply:
        """Until login is answered the client is login's. Raises LookupFailed, LoginLost."""
        try:
            reply = await unless(self._loop, self._login.stay, self._stage.auth.redeem(handoff))
        except LookupFailed:
            self._login.reply(handoff.tag, STATUS_INTERNAL_ERROR)
            raise
        self._login.reply(handoff.tag, STATUS_OK)
        return reply

    async def _run_post_login(
        self, script: bytes, reply: UserReply, client: Connection
    ) -> tuple[UserReply, Connection]:
        """What the script makes of the user, and of the client. Raises _Denied."""
        from dovecot_urlauth.broker.postlogin import PostLogin, PostLoginRefused

        try:
            reply, other = await PostLogin(self._loop, script).run(reply, client)
        except PostLoginRefused as refused:
            raise _Denied(str(refused)) from refused
        if other is not None:
            client.close()
            self._client = client = other
        return reply, client

    def _check(self, reply: UserReply, client: Connection) -> Access:
        """Raises IdentityRefused."""
        users, debug = self._stage.users, self._log.pipe.debugging
        return check_identity(reply.name, reply.fields, _credentials(client), users, debug=debug)

    async def _give_to_worker(self, access: Access, client: Connection) -> None:
        """One worker, until the client says END. Raises SessionOver."""
        stage = self._stage
        worker = Worker(self._loop, self._log, stage.dialect, stage.worker_path, access)
        connection = self._take_called() or stage.take_preconnected() or await worker.connect()
        events = ConnectionEvents(stage.stats, connection, CATEGORIES, path=stage.worker_path)
        try:
            await worker.give(connection, client, client)
            # The answer to AUTH, later to END: the client's next command already belongs to the worker.
            if not client.send_now(OK):
                raise SessionOver("Client disconnected")
            await worker.finish(connection)
        finally:
            events.ended()
            connection.close()

    def _take_called(self) -> Connection | None:
        """The worker that was called ahead, unless it has gone meanwhile."""
        called, self._called = self._called, None
        if called is None:
            return None
        try:
            is_there = called.waiting(1) != b""
        except ConnectionLost:
            is_there = False
        if is_there:
            return called
        called.close()
        return None

    def _show(self, title: str) -> None:
        self.title = title
        self._stage.show_title()

    def _say(self, line: bytes) -> None:
        """Two or three bytes into an empty socket: if they do not fit, the client is gone."""
        if self._client is not None and not self._client.send_now(line):
            self._disconnected("Client disconnected")

    def _disconnected(self, reason: str) -> None:
        prefix = self._stage.dialect.client_message_prefix.format(user=self._username)
        self._log.info(f"{prefix}Disconnected: {reason}")

    def _error(self, text: str) -> None:
        self._log.error(text + self._request_details())

    def _request_details(self) -> str:
        if not self._stage.dialect.appends_request_to_errors and self._username is not None:
            return ""
        now = self._loop.now()
        details = f"connection created {int((now - self._created) * 1000)} msecs ago"
        if self._handoff is not None:
            details += (
                f", request created {int((now - self._requested) * 1000)} msecs ago: "
                f"session={os.fsdecode(self._handoff.session)}, rip=, auth_pid={self._handoff.auth_pid}, "
                f"client-pid={self._handoff.client_pid}, client-id={self._handoff.auth_id}"
            )
        return f" ({details})"


def _credentials(client: Connection) -> PeerCredentials | None:
    try:
        return client.peer()
    except OSError:
        return None
