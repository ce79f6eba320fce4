"""One client of imap-urlauth-login, from accept to hand-off."""

from __future__ import annotations

import binascii
import os
from _socket import SHUT_RDWR
from time import monotonic, time

from dovecot_urlauth.login.ending import Ending, Progress, describe_ending
from dovecot_urlauth.login.handoff import HandoffAttempt
from dovecot_urlauth.service.sockets import peer_credentials
from dovecot_urlauth.service.stream import Stream
from dovecot_urlauth.wire import login as wire
from dovecot_urlauth.wire.authclient import MECHANISM, AuthFail, AuthOk
from dovecot_urlauth.wire.handoff import Handoff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from dovecot_urlauth.login.stage import LoginStage

INACTIVITY_TIMEOUT = 180.0
AUTH_TIMEOUT = 150.0
AUTH_WAIT_WARNING = 10.0


class LoginClient:
    """States are the :class:`Progress` values; every way out goes through :meth:`_end` or :meth:`_on_done`."""

    def __init__(self, stage: LoginStage, connection: socket) -> None:
        self._stage = stage
        self._process = stage.process
        self._session = new_session_id()
        self._user = ""
        self._mechanism = ""
        self._created = self._auth_started = monotonic()
        self._protocol = wire.LoginProtocol()
        self._progress = Progress.AUTH_NOT_READY
        self._auth_id = 0
        self._fail_code = b""
        self._handoff: HandoffAttempt | None = None
        loop = self._process.loop
        self._stream = Stream(
            loop, connection, self._on_data, self._on_end, reading=False, read_size=wire.LINE_LIMIT
        )
        self._timer = loop.after(INACTIVITY_TIMEOUT, self._on_inactivity)
        self._auth_timer = loop.after(AUTH_WAIT_WARNING, self._on_auth_missing)

    def auth_ready(self) -> None:
        """auth can be asked: greet where the dialect greets, and read."""
        if self._progress is not Progress.AUTH_NOT_READY:
            return
        self._auth_timer.cancel()
        self._progress = Progress.NO_ATTEMPT
        if self._process.dialect.login_greets:
            self._stream.write(wire.GREETING)
        self._stream.read_on(True)

    def crowd_out(self) -> None:
        """All login processes are full and this client is the oldest."""
        self._end("Connection queue full", Progress.CROWDED_OUT)

    def shut_down(self) -> None:
        """The process ends."""
        self._end(self._stage.texts.shutting_down, Progress.SHUTTING_DOWN)

    def _on_data(self, data: bytes) -> None:
        self._restart_timer()
        self._protocol.receive_data(data)
        try:
            while (event := self._protocol.next_event()) is not None:
                if isinstance(event, wire.AuthRequest):
                    self._authenticate(event)
                    return
        except wire.LoginRejected as rejected:
            for text in rejected.texts:
                self._process.log.error(self._line(text))
            self._end(rejected.reason)

    def _authenticate(self, request: wire.AuthRequest) -> None:
        self._stream.read_on(False)
        try:
            peer = peer_credentials(self._stream.socket)
        except OSError as error:
            raise wire.LoginRejected(
                f"IMAP URLAUTH client's peer credentials are missing: {error.strerror}",
                reason="Invalid AUTH request",
            ) from error
        if peer.pid != request.pid:
            raise wire.peer_mismatch(request.pid, peer.pid, peer.uid)
        auth = self._stage.auth
        if auth.handshake is None:
            self._progress = Progress.AUTH_UNREACHABLE
            self._stream.write(wire.FAILED)
            self._end("Auth process broken")
            return
        self._progress = Progress.AUTHENTICATING
        self._auth_started = monotonic()
        self._mechanism = MECHANISM.decode()
        self._auth_id = auth.ask(self._session, wire.token_response(request), self._on_reply)
        self._auth_timer = self._process.loop.after(AUTH_TIMEOUT, self._on_auth_timeout)

    def _on_reply(self, reply: AuthOk | AuthFail | None) -> None:
        self._auth_timer.cancel()
        if isinstance(reply, AuthOk):
            self._user = os.fsdecode(reply.user)
            self._hand_off(reply)
            return
        self._progress = Progress.AUTH_UNREACHABLE
        if isinstance(reply, AuthFail):
            self._progress = Progress.AUTH_FAILED
            self._user = os.fsdecode(reply.user)
            self._fail_code = reply.code
        self._stream.write(wire.FAILED)
        self._end("Authentication failed")

    def _hand_off(self, reply: AuthOk) -> None:
        handshake = self._stage.auth.handshake
        if handshake is None:
            raise AssertionError("a reply of auth without its handshake")
        self._progress = Progress.HANDING_OFF
        self._restart_timer()
        request = Handoff(
            tag=self._stage.next_tag(),
            auth_pid=handshake.server_pid,
            auth_id=reply.id,
            client_pid=os.getpid(),
            cookie=handshake.cookie,
            flags=self._process.dialect.handoff.flags,
            ino=os.fstat(self._stream.socket.fileno()).st_ino,
            data=self._session + b"\0" + self._protocol.surplus(),
        )
        path = self._stage.handoff_path(reply.fields.get(b"postlogin_socket"))
        self._handoff = HandoffAttempt(
            self._process, path, request, self._stream.socket, self._on_done, self._on_handoff_failed
        )
        ahead = self._stage.take_ahead(path)
        if ahead is None:
            self._handoff.start()
        else:
            self._handoff.send(ahead)

    def _on_done(self, mail_pid: int) -> None:
        self._process.log.info(self._line(self._stage.texts.success, mail_pid=str(mail_pid)))
        self._close()

    def _on_handoff_failed(self) -> None:
        self._handoff = None
        self._stage.auth.cancel(self._auth_id)
        self._progress = Progress.HANDOFF_FAILED
        self._stream.socket.shutdown(SHUT_RDWR)
        self._end(f"Internal login failure (pid={os.getpid()} id={self._auth_id})")

    def _on_end(self, reason: str) -> None:
        closed = self._stage.texts.closed
        self._end(f"{closed}: {reason}" if reason and reason != closed else closed)

    def _on_inactivity(self) -> None:
        waited = int(monotonic() - self._auth_started)
        reasons = {
            Progress.AUTHENTICATING: "Inactivity during authentication",
            Progress.HANDING_OFF: f"Timeout while finishing login (waited {waited} secs)",
        }
        self._end(reasons.get(self._progress, "Inactivity"))

    def _on_auth_timeout(self) -> None:
        self._stage.auth.cancel(self._auth_id)
        self._progress = Progress.AUTH_FAILED
        self._fail_code = b"temp_fail"
        self._stream.write(wire.FAILED)
        self._end("Authentication failed")

    def _on_auth_missing(self) -> None:
        self._process.log.warning(
            self._line("Auth process not responding, delayed sending initial response (greeting)")
        )

    def _restart_timer(self) -> None:
        self._timer.cancel()
        self._timer = self._process.loop.after(INACTIVITY_TIMEOUT, self._on_inactivity)

    def _end(self, reason: str, cause: Progress | None = None) -> None:
        """Log the disconnect and close; ``cause`` is given where it is the process that lets go."""
        if self._stream.closed:
            return
        now = monotonic()
        ending = Ending(
            reason, self._progress, int(now - self._created), int(now - self._auth_started), self._fail_code, cause
        )
        self._process.log.info(self._line(describe_ending(ending, self._stage.texts)))
        if self._progress is Progress.AUTHENTICATING:
            self._stage.auth.cancel(self._auth_id)
        self._close()

    def _close(self) -> None:
        self._timer.cancel()
        self._auth_timer.cancel()
        if self._handoff is not None:
            self._handoff.abandon()
        self._stream.close()
        self._stage.client_gone(self)

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
        )


def new_session_id() -> bytes:
    """A session id as Dovecot's: base64 of the time in microseconds (6 bytes), the remote port and IP (zero)."""
    stamp = int(time() * 1_000_000) & 0xFFFFFFFFFFFF
    return binascii.b2a_base64(stamp.to_bytes(6, "little") + bytes(6), newline=False)
