"""The connection to auth-master: opened as root at start-up, never again (the socket is root's).

When it is lost, the process takes no more clients, serves those it has and ends; master starts a new one.
(lib-master/master-login-auth.c, lib-login/login-server-auth.c)
"""

from __future__ import annotations

import os
from time import monotonic

from dovecot_urlauth.service.sockets import connect_unix
from dovecot_urlauth.service.stream import Stream
from dovecot_urlauth.wire.authmaster import AuthMaster, Failed, NotFound, ServerHello, UserReply
from dovecot_urlauth.wire.lines import ProtocolError
from dovecot_urlauth.wire.value import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.service.callback_process import ServiceProcess
    from dovecot_urlauth.service.callbacks import Timer
    from dovecot_urlauth.wire.handoff import Handoff

CONNECT_PATIENCE = 1.0
LOOKUP_TIMEOUT = 155.0


@record(frozen=True, slots=True)
class LookupFailed:
    """auth did not name a user; the log knows why."""


class _Lookup:
    """One REQUEST on its way."""

    __slots__ = ("handoff", "on_reply", "started", "timer")

    def __init__(
        self, handoff: Handoff, on_reply: Callable[[UserReply | LookupFailed], None], timer: Timer
    ) -> None:
        self.handoff = handoff
        self.on_reply = on_reply
        self.started = monotonic()
        self.timer = timer


class AuthMasterConnection:
    """Redeems login requests."""

    def __init__(self, process: ServiceProcess, path: bytes) -> None:
        """Connect; raises OSError."""
        self._process = process
        self._protocol = AuthMaster(process.dialect.auth_master_minor)
        self._connected = monotonic()
        self._greeted: float | None = None
        self._server_pid: int | None = None
        self._waiting: list[int] = []
        self._lookups: dict[int, _Lookup] = {}
        self._last_id = int.from_bytes(os.urandom(2), "little") // 2 * 131072
        connection = connect_unix(path, patience=CONNECT_PATIENCE)
        self._stream = Stream(process.loop, connection, self._on_data, self._on_end)
        self._stream.write(self._protocol.data_to_send())

    def redeem(self, handoff: Handoff, on_reply: Callable[[UserReply | LookupFailed], None]) -> None:
        """Ask which user stands behind ``handoff``; the answer comes exactly once."""
        self._last_id = self._last_id % 0xFFFFFFFF + 1
        request_id = self._last_id
        timer = self._process.loop.after(LOOKUP_TIMEOUT, lambda: self._on_timeout(request_id))
        self._lookups[request_id] = _Lookup(handoff, on_reply, timer)
        if self._stream.closed:
            self._fail(request_id, "Disconnected from auth server, aborting")
        elif self._server_pid is None:
            self._waiting.append(request_id)
        else:
            self._send(request_id)

    def _send(self, request_id: int) -> None:
        handoff = self._lookups[request_id].handoff
        if handoff.auth_pid != self._server_pid:
            self._process.log.warning(
                f"auth-master: login: Auth server restarted (pid {handoff.auth_pid} -> {self._server_pid}), "
                "aborting auth"
            )
            self._answer(request_id, LookupFailed())
            return
        self._protocol.request(
            request_id, handoff.client_pid, handoff.auth_id, handoff.cookie, session_pid=os.getpid()
        )
        self._stream.write(self._protocol.data_to_send())

    def _on_data(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        try:
            while (event := self._protocol.next_event()) is not None:
                self._on_event(event)
        except ProtocolError as error:
            self._lose(error.text)

    def _on_event(self, event: ServerHello | UserReply | NotFound | Failed) -> None:
        if isinstance(event, ServerHello):
            self._greeted = monotonic()
            self._server_pid = event.pid
            waiting, self._waiting = self._waiting, []
            for request_id in waiting:
                if request_id in self._lookups:
                    self._send(request_id)
        elif event.id not in self._lookups:
            return  # given up for time
        elif isinstance(event, UserReply):
            self._answer(event.id, event)
        elif isinstance(event, NotFound):
            self._fail(event.id, f"Authenticated user not found from userdb, auth lookup id={event.id}")
        else:
            reason = f": {os.fsdecode(event.reason)}" if event.reason else ""
            self._fail(event.id, f"Internal auth failure{reason}")

    def _on_timeout(self, request_id: int) -> None:
        waited = monotonic() - self._lookups[request_id].started
        self._fail(request_id, f"Auth server request timed out after {waited:.3f} secs")

    def _on_end(self, reason: str) -> None:
        self._lose(reason)

    def _lose(self, reason: str) -> None:
        self._stream.close()
        if reason:
            self._process.log.error(f"auth-master: login: {reason}")
        for request_id in list(self._lookups):
            self._fail(request_id, "Disconnected from auth server, aborting")
        self._process.retire()

    def _fail(self, request_id: int, why: str) -> None:
        lookup = self._lookups[request_id]
        now = monotonic()
        times = f"auth connected {_msecs(now - self._connected)} msecs ago"
        if self._greeted is not None:
            times += f", handshake {_msecs(now - self._greeted)} msecs ago"
        times += f", request took {_msecs(now - lookup.started)} msecs"
        self._process.log.error(
            f"auth-master: login: request [{request_id}]: Login auth request failed: {why} "
            f"({times}, client-pid={lookup.handoff.client_pid} client-id={lookup.handoff.auth_id})"
        )
        self._answer(request_id, LookupFailed())

    def _answer(self, request_id: int, reply: UserReply | LookupFailed) -> None:
        lookup = self._lookups.pop(request_id)
        lookup.timer.cancel()
        lookup.on_reply(reply)


def _msecs(seconds: float) -> int:
    return int(seconds * 1000)
