"""One client of imap-urlauth: looked up, checked, then given to workers until it is gone."""

from __future__ import annotations

import os
from _socket import MSG_NOSIGNAL
from time import monotonic

from dovecot_urlauth.broker.auth import LookupFailed
from dovecot_urlauth.broker.control import WorkerConnection
from dovecot_urlauth.broker.identity import IdentityRefused, check_identity
from dovecot_urlauth.broker.login import LoginConnection
from dovecot_urlauth.service.sockets import peer_credentials
from dovecot_urlauth.wire.handoff import STATUS_INTERNAL_ERROR, STATUS_OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from dovecot_urlauth.broker.stage import BrokerStage
    from dovecot_urlauth.service.sockets import PeerCredentials
    from dovecot_urlauth.wire.authmaster import UserReply
    from dovecot_urlauth.wire.control import Access
    from dovecot_urlauth.wire.handoff import Handoff

OK = b"OK\n"
NO = b"NO\n"

TITLE_WAITING = "[waiting on client]"
TITLE_LOOKUP = "[auth lookup]"
TITLE_POST_LOGIN = "[post-login script]"


class Session:
    """From the login connection's accept to the client's end; the slot is released exactly once."""

    def __init__(self, stage: BrokerStage, connection: socket) -> None:
        self._stage = stage
        self._process = stage.process
        self._log = stage.process.log
        self._login = LoginConnection(stage.process, connection, self._on_handoff, self._on_login_lost)
        self._handoff: Handoff | None = None
        self._requested = 0.0
        self._client: socket | None = None
        self._access: Access | None = None
        self._worker: WorkerConnection | None = None
        self._over = False
        self.title = TITLE_WAITING
        self.username: str | None = None
        """The user's name once it is known, ``anonymous`` for an anonymous one."""

    def shut_down(self) -> None:
        """The process ends."""
        if self.username is not None:
            self._disconnect(self._process.dialect.broker_shutting_down)
        else:
            self._release()

    def _on_handoff(self, handoff: Handoff, client: socket) -> None:
        self._handoff = handoff
        self._client = client
        self._requested = monotonic()
        self.title = TITLE_LOOKUP
        self._stage.show_title()
        self._stage.auth.redeem(handoff, self._on_lookup)

    def _on_login_lost(self, text: str) -> None:
        """Before the answer login still owns the client: without login the request is void."""
        if self.username is not None:
            return
        if text or self._handoff is not None:
            self._error(text or "Login client disconnected too early")
        self._release()

    def _on_lookup(self, reply: UserReply | LookupFailed) -> None:
        if self._over or self._handoff is None or self._client is None:
            return
        if isinstance(reply, LookupFailed):
            self._login.reply(self._handoff.tag, STATUS_INTERNAL_ERROR)
            self._refuse()
            return
        self._login.reply(self._handoff.tag, STATUS_OK)
        self.username = "anonymous" if b"anonymous" in reply.fields else os.fsdecode(reply.name)
        self._log = self._log.with_prefix(f"imap-urlauth({self.username}): ")
        script = reply.fields.get(b"postlogin")
        if script:
            self._run_post_login(script, reply)
        else:
            self._check(reply)

    def _run_post_login(self, script: bytes, reply: UserReply) -> None:
        from dovecot_urlauth.broker.postlogin import PostLogin

        self._login.close()
        self.title = TITLE_POST_LOGIN
        self._stage.show_title()
        if self._client is not None:
            PostLogin(self._process, self._log, script, reply, self._client, self._on_post_login)

    def _on_post_login(self, reply: UserReply | None, client: socket | None) -> None:
        if self._over:
            return
        if client is not None:
            if self._client is not None:
                self._client.close()
            self._client = client
        if reply is None:
            self._release()
        else:
            self._check(reply)

    def _check(self, reply: UserReply) -> None:
        if self._client is None:
            raise AssertionError("a session without its client")
        try:
            self._access = check_identity(
                reply.name,
                reply.fields,
                _credentials(self._client),
                self._stage.users,
                debug=self._log.pipe.debugging,
            )
        except IdentityRefused as refused:
            self._error(str(refused))
            self._refuse()
            return
        self.title = f"[{self.username}]"
        self._stage.show_title()
        self._find_worker()

    def _find_worker(self) -> None:
        if self._client is None or self._access is None:
            raise AssertionError("a worker for nobody")
        self._worker = WorkerConnection(
            self._process,
            self._log,
            self._stage.worker_path,
            self._access,
            on_passed=self._tell_client,
            on_finished=self._find_worker,
            on_lost=self._disconnect,
        )
        client = self._client.fileno()
        ahead = self._stage.take_ahead()
        if ahead is None:
            self._worker.connect(client, client)
        else:
            self._worker.use(ahead, client, client)

    def _tell_client(self) -> None:
        """The answer to AUTH, later to END: the client's next command already belongs to the worker."""
        self._send(OK)

    def _disconnect(self, reason: str) -> None:
        if self._over:
            return
        user = f"user {self.username}: " if self._process.dialect.names_user_in_disconnect else ""
        self._log.info(f"{user}Disconnected: {reason}")
        self._release()

    def _refuse(self) -> None:
        self._send(NO)
        self._release()

    def _send(self, line: bytes) -> None:
        """Two or three bytes into an empty socket: if they do not fit, the client is gone."""
        if self._client is None:
            return
        try:
            self._client.send(line, MSG_NOSIGNAL)
        except OSError:
            self._disconnect("Client disconnected")

    def _release(self) -> None:
        if self._over:
            return
        self._over = True
        self._login.close()
        if self._worker is not None:
            self._worker.close()
        if self._client is not None:
            self._client.close()
        self._stage.session_over(self)

    def _error(self, text: str) -> None:
        self._log.error(text + self._request_details())

    def _request_details(self) -> str:
        if not self._process.dialect.appends_request_to_errors and self.username is not None:
            return ""
        now = monotonic()
        details = f"connection created {int((now - self._login.created) * 1000)} msecs ago"
        if self._handoff is not None:
            details += (
                f", request created {int((now - self._requested) * 1000)} msecs ago: "
                f"session={os.fsdecode(self._handoff.session)}, rip=, auth_pid={self._handoff.auth_pid}, "
                f"client-pid={self._handoff.client_pid}, client-id={self._handoff.auth_id}"
            )
        return f" ({details})"


def _credentials(client: socket) -> PeerCredentials | None:
    try:
        return peer_credentials(client)
    except OSError:
        return None
