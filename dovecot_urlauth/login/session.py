"""One client of imap-urlauth-login, from accept to hand-off; :meth:`Session._lead` is the whole story."""

from __future__ import annotations

import binascii
import os
from time import time

from dovecot_urlauth.login.auth import AuthLost
from dovecot_urlauth.login.ending import Ending, Progress, describe_ending
from dovecot_urlauth.login.handoff import HandoffFailed
from dovecot_urlauth.service.connection import ConnectionLost
from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.service.process import ProcessFull, ProcessOver
from dovecot_urlauth.service.watch import unless
from dovecot_urlauth.wire import login as wire
from dovecot_urlauth.wire.authclient import MECHANISM, AuthFail
from dovecot_urlauth.wire.handoff import Handoff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, Protocol

    from dovecot_urlauth.dialect.dialect import Dialect, LoginTexts
    from dovecot_urlauth.login.auth import Answer, Auth
    from dovecot_urlauth.login.handoff import Handoffs
    from dovecot_urlauth.login.logformat import LogFormat
    from dovecot_urlauth.service.connection import Connection
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop, Result, Task, Work

    class Surroundings(Protocol):
        """What the clients of a process share."""

        loop: Loop
        log: Log
        dialect: Dialect
        texts: LoginTexts
        log_format: LogFormat
        auth: Auth
        handoffs: Handoffs

        def expect_token(self, uid: int, client: Task[None]) -> None:
            """A client of this uid is to say who it is."""

        def token_came(self, uid: int, client: Task[None]) -> None:
            """It has, or will not any more."""

        def next_tag(self) -> int:
            """A number for one hand-off."""

        def handoff_path(self, override: bytes | None) -> bytes:
            """Where to hand a client; ``override`` is what auth says of it."""

        def call_ahead(self) -> None:
            """Somebody will soon be handed to imap-urlauth, if auth knows the token."""

        def take_preconnected(self, path: bytes) -> Connection | None:
            """A connection to ``path`` that was made ahead, if there is one."""


INACTIVITY_TIMEOUT = 180.0
AUTH_WAIT_WARNING = 10.0
NO_UID = -1


class TooManyTokenless(Exception):
    """More clients of this uid have come, and this one has waited longest to say who it is."""


class _Refused(Exception):
    """The client does not come in; the text is the reason in the line about its end."""


class _Gone(Exception):
    """The client has left while it was not its turn to speak."""


class Session:
    """What is known of a client, how far it has come, and what the log says in the end."""

    def __init__(self, stage: Surroundings, connection: Connection) -> None:
        self._stage = stage
        self._loop = stage.loop
        self._log = stage.log
        self._connection = connection
        self._protocol = wire.LoginProtocol()
        self._session = new_session_id()
        self._user = ""
        self._mechanism = ""
        self._created = self._auth_started = self._loop.now()
        self._progress = Progress.AUTH_NOT_READY
        self._fail_code = b""

    async def serve(self) -> None:
        """Let the client in and hand it on, or say in the log why not; the caller closes our copy."""
        try:
            await self._lead()
        except wire.LoginRejected as rejected:
            for text in rejected.texts:
                self._log.error(self._line(text))
            self._end(rejected.reason)
        except _Refused as refused:
            self._end(str(refused))
        except (_Gone, ConnectionLost) as loss:
            self._end(self._describe_loss(loss))
        except TimedOut:
            self._end("Inactivity")
        except TooManyTokenless:
            self._end("Too many connections without a token")
        except ProcessFull:
            self._end("Connection queue full", Progress.CROWDED_OUT)
        except ProcessOver:
            self._end(self._stage.texts.shutting_down, Progress.SHUTTING_DOWN)

    async def _lead(self) -> None:
        await self._unless_gone(self._wait_for_auth())
        self._progress = Progress.NO_ATTEMPT
        if self._stage.dialect.login_greets and not self._connection.send_now(wire.GREETING):
            raise ConnectionLost("")
        request = await self._await_token()
        self._check_peer(request)
        auth_id, answer = await self._unless_gone(self._authenticate(request))
        self._user = os.fsdecode(answer.reply.user)
        if isinstance(answer.reply, AuthFail):
            self._progress = Progress.AUTH_FAILED
            self._fail_code = answer.reply.code
            self._say_failed("Authentication failed")
        self._progress = Progress.HANDING_OFF
        mail_pid = await self._unless_gone(self._hand_off(auth_id, answer))
        self._log.info(self._line(self._stage.texts.success, mail_pid=str(mail_pid)))

    async def _unless_gone(self, work: Work[Result]) -> Result:
        return await unless(self._loop, self._leave, work)

    async def _leave(self) -> NoReturn:
        """Wait until the client is gone, while nobody reads. Raises _Gone."""
        try:
            await self._connection.hung_up()
        except ConnectionLost:
            pass  # which is one way to be gone
        raise _Gone

    async def _wait_for_auth(self) -> None:
        """Until auth can be asked nothing is read, and 2.4 does not greet. Raises TimedOut."""
        auth = self._stage.auth
        auth.call()
        try:
            await auth.ready(AUTH_WAIT_WARNING)
        except TimedOut:
            self._log.warning(
                self._line("Auth process not responding, delayed sending initial response (greeting)")
            )
            await auth.ready(INACTIVITY_TIMEOUT - AUTH_WAIT_WARNING)

    async def _await_token(self) -> wire.AuthRequest:
        """What the client says it is, beside not too many others of its uid. Raises TooManyTokenless as well."""
        try:
            uid = self._connection.peer().uid
        except OSError:
            uid = NO_UID  # which is refused as soon as it has said something
        client = self._loop.current
        self._stage.expect_token(uid, client)
        try:
            return await self._read_request()
        finally:
            self._stage.token_came(uid, client)

    async def _read_request(self) -> wire.AuthRequest:
        """VERSION and AUTH, each byte of them within the time. Raises LoginRejected, ConnectionLost, TimedOut."""
        seconds = self._created + INACTIVITY_TIMEOUT - self._loop.now()
        while True:
            data = await self._connection.read(wire.LINE_LIMIT, seconds)
            if not data:
                raise ConnectionLost("")
            seconds = INACTIVITY_TIMEOUT
            self._protocol.receive_data(data)
            while (event := self._protocol.next_event()) is not None:
                if isinstance(event, wire.AuthRequest):
                    return event

    def _check_peer(self, request: wire.AuthRequest) -> None:
        """The client must be the process that it says it is. Raises LoginRejected."""
        try:
            peer = self._connection.peer()
        except OSError as error:
            raise wire.LoginRejected(
                f"IMAP URLAUTH client's peer credentials are missing: {error.strerror}",
                reason="Invalid AUTH request",
            ) from error
        if not peer.pid:
            raise wire.LoginRejected(
                "IMAP URLAUTH client's peer credentials are missing: it lives in another pid namespace",
                reason="Invalid AUTH request",
            )
        if peer.pid != request.pid:
            raise wire.peer_mismatch(request.pid, peer.pid, peer.uid)

    async def _authenticate(self, request: wire.AuthRequest) -> tuple[int, Answer]:
        """Ask auth about the token. Raises _Refused."""
        if not self._stage.auth.is_ready:
            self._progress = Progress.AUTH_UNREACHABLE
            self._say_failed("Auth process broken")
        self._progress = Progress.AUTHENTICATING
        self._mechanism = MECHANISM.decode()
        self._auth_started = self._loop.now()
        self._stage.call_ahead()
        try:
            return await self._stage.auth.ask(self._session, wire.token_response(request))
        except AuthLost:
            self._progress = Progress.AUTH_UNREACHABLE
        except TimedOut:
            self._progress = Progress.AUTH_FAILED
            self._fail_code = b"temp_fail"
        self._say_failed("Authentication failed")

    async def _hand_off(self, auth_id: int, answer: Answer) -> int:
        """Give the client to imap-urlauth, with all it has said so far; return who has it. Raises _Refused."""
        request = Handoff(
            tag=self._stage.next_tag(),
            auth_pid=answer.server.server_pid,
            auth_id=auth_id,
            client_pid=os.getpid(),
            cookie=answer.server.cookie,
            flags=self._stage.dialect.handoff.flags,
            ino=self._connection.inode(),
            data=self._session + b"\0" + self._protocol.surplus(),
        )
        path = self._stage.handoff_path(answer.reply.fields.get(b"postlogin_socket"))
        try:
            return await self._stage.handoffs.hand_off(
                path, request, self._connection, self._stage.take_preconnected(path)
            )
        except HandoffFailed:
            self._stage.auth.cancel(auth_id)
            self._progress = Progress.HANDOFF_FAILED
            self._connection.shutdown()
            raise _Refused(f"Internal login failure (pid={os.getpid()} id={auth_id})") from None

    def _say_failed(self, reason: str) -> NoReturn:
        self._connection.send_now(wire.FAILED)
        raise _Refused(reason)

    def _describe_loss(self, loss: _Gone | ConnectionLost) -> str:
        closed = self._stage.texts.closed
        reason = loss.text if isinstance(loss, ConnectionLost) else "Connection closed"
        return f"{closed}: {reason}" if reason and reason != closed else closed

    def _end(self, reason: str, cause: Progress | None = None) -> None:
        """Log the disconnect; ``cause`` is given where it is the process that lets go."""
        now = self._loop.now()
        ending = Ending(
            reason,
            self._progress,
            int(now - self._created),
            int(now - self._auth_started),
            self._fail_code,
            cause,
        )
        self._log.info(self._line(describe_ending(ending, self._stage.texts)))
        if self._progress is not Progress.HANDING_OFF:  # else imap-urlauth may have the client by now
            self._connection.end()

    def _line(self, message: str, mail_pid: str = "") -> str:
        return self._stage.log_format.line(
            message,
            {
                "user": self._user,
                "mechanism": self._mechanism,
                "mail_pid": mail_pid,
                "secured": "secured",
                "session": self._session.decode(),
            },
            self._log.error,
        )


def new_session_id() -> bytes:
    """A session id as Dovecot's: base64 of the time in microseconds (6 bytes), the remote port and IP (zero)."""
    stamp = int(time() * 1_000_000) & 0xFFFFFFFFFFFF
    return binascii.b2a_base64(stamp.to_bytes(6, "little") + bytes(6), newline=False)
