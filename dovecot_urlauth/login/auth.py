"""The connection to auth over ``tokenlogin``: kept for the life of the process, made again when lost.

Times are lib-auth/auth-client-connection.c's.
"""

from __future__ import annotations

import os
from time import monotonic

from dovecot_urlauth.service.sockets import connect_unix
from dovecot_urlauth.service.stream import Stream
from dovecot_urlauth.wire.authclient import AuthClient, AuthFail, AuthOk, Ready
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.service.callback_process import ServiceProcess
    from dovecot_urlauth.service.callbacks import Timer

HANDSHAKE_TIMEOUT = 30.0
RECONNECT_INTERVAL = 5.0


class AuthConnection:
    """Asks auth; replies go to the callback of the request, None standing for "auth is lost"."""

    def __init__(self, process: ServiceProcess, path: bytes, on_ready: Callable[[], None]) -> None:
        self._process = process
        self._path = path
        self._on_ready = on_ready
        self._callbacks: dict[int, Callable[[AuthOk | AuthFail | None], None]] = {}
        self._stream: Stream | None = None
        self._handshake_timer: Timer | None = None
        self._connected_at = -RECONNECT_INTERVAL
        self._protocol = self._new_protocol()
        self.handshake: Ready | None = None
        """auth's pid and cookie; None while auth is not ready."""

    def connect(self) -> None:
        """Connect and send our half of the handshake; on failure try again later."""
        self._connected_at = monotonic()
        self._protocol = self._new_protocol()
        try:
            connection = connect_unix(self._path, patience=0)
        except OSError as error:
            self._process.log.error(
                f"auth-client: conn unix:{os.fsdecode(self._path)}: "
                f"connect({os.fsdecode(self._path)}) failed: {error.strerror}"
            )
            self._reconnect_later()
            return
        self._stream = Stream(self._process.loop, connection, self._on_data, self._on_end)
        self._handshake_timer = self._process.loop.after(HANDSHAKE_TIMEOUT, self._on_handshake_timeout)
        self._stream.write(self._protocol.data_to_send())

    def ask(self, session: bytes, response: bytes, on_reply: Callable[[AuthOk | AuthFail | None], None]) -> int:
        """Send an AUTH request (``response`` in base64); return its id."""
        request_id = self._protocol.request(session, response)
        self._callbacks[request_id] = on_reply
        self._send()
        return request_id

    def cancel(self, request_id: int) -> None:
        """Withdraw a request, answered or not: auth forgets it."""
        self._callbacks.pop(request_id, None)
        self._protocol.cancel(request_id)
        self._send()

    def _send(self) -> None:
        data = self._protocol.data_to_send()
        if self._stream is not None:
            self._stream.write(data)

    def _new_protocol(self) -> AuthClient:
        dialect = self._process.dialect
        return AuthClient(os.getpid(), dialect.auth_client_minor, dialect.auth_request_parameters)

    def _on_data(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        try:
            while (event := self._protocol.next_event()) is not None:
                if isinstance(event, Ready):
                    self._on_handshake(event)
                elif isinstance(event, AuthOk | AuthFail):
                    self._callbacks.pop(event.id)(event)
        except ProtocolError as error:
            for text in error.texts:
                self._error(text)
            self._lose("")

    def _on_handshake(self, ready: Ready) -> None:
        if self._handshake_timer is not None:
            self._handshake_timer.cancel()
        self.handshake = ready
        self._on_ready()

    def _on_handshake_timeout(self) -> None:
        self._error(f"Timeout waiting for handshake from auth server. my pid={os.getpid()}, input bytes=0")
        self._lose("")

    def _on_end(self, reason: str) -> None:
        if self._callbacks:
            self._process.log.warning(
                f"Auth connection closed with {len(self._callbacks)} pending requests "
                f"(pid={os.getpid()}, {reason or 'EOF'})"
            )
        self._lose(reason)

    def _lose(self, reason: str) -> None:
        if self._handshake_timer is not None:
            self._handshake_timer.cancel()
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self.handshake = None
        callbacks = list(self._callbacks.values())
        self._callbacks.clear()
        for callback in callbacks:
            callback(None)
        self._reconnect_later()

    def _reconnect_later(self) -> None:
        wait = max(0.0, self._connected_at + RECONNECT_INTERVAL - monotonic())
        self._process.loop.after(wait, self.connect)

    def _error(self, text: str) -> None:
        self._process.log.error(f"auth-client: conn unix:{os.fsdecode(self._path)}: {text}")
