"""Giving an authenticated client to imap-urlauth: struct and fd in one message, twelve bytes back.

lib-master/master-auth.c (2.3), lib-login/login-client.c (2.4).
"""

from __future__ import annotations

import errno
import os
from time import monotonic

from dovecot_urlauth.service.fdpass import send_fd
from dovecot_urlauth.service.sockets import connect_unix
from dovecot_urlauth.service.stream import Stream
from dovecot_urlauth.wire import handoff as wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from dovecot_urlauth.service.callback_process import ServiceProcess
    from dovecot_urlauth.service.callbacks import Timer

REPLY_TIMEOUT = 90.0
CONNECT_PATIENCE = 0.5
CONNECT_PAUSE = 0.02

PROCESS_LIMIT_HINT = "read() failed: Remote closed connection (destination service { process_limit } reached?)"


class HandoffAttempt:
    """One attempt; ends with ``on_done(mail_pid)`` or, after an error line, with ``on_failed()``."""

    def __init__(
        self,
        process: ServiceProcess,
        path: bytes,
        request: wire.Handoff,
        client: socket,
        on_done: Callable[[int], None],
        on_failed: Callable[[], None],
    ) -> None:
        self._process = process
        self._path = path
        self._request = request
        self._client = client
        self._on_done = on_done
        self._on_failed = on_failed
        self._started = monotonic()
        self._reply = b""
        self._stream: Stream | None = None
        self._timer: Timer | None = None
        self._retries = 0

    def start(self) -> None:
        """Connect, trying again for half a second while the backlog is full, then send."""
        try:
            connection = connect_unix(self._path, patience=0)
        except BlockingIOError as error:
            if monotonic() - self._started >= CONNECT_PATIENCE:
                self._fail_to_connect(error)
                return
            self._retries += 1
            self._timer = self._process.loop.after(CONNECT_PAUSE, self.start)
            return
        except OSError as error:
            self._fail_to_connect(error)
            return
        if self._retries:
            waited = int((monotonic() - self._started) * 1_000_000)
            self._process.log.warning(
                f"net_connect_unix({os.fsdecode(self._path)}) succeeded only after "
                f"{self._retries} retries - took {waited} us"
            )
        self.send(connection)

    def send(self, connection: socket) -> None:
        """Send over this connection, which is ours from now on."""
        message = wire.pack(self._process.dialect.handoff, self._request)
        self._stream = Stream(self._process.loop, connection, self._on_data, self._on_end)
        try:
            sent = send_fd(connection, message, self._client.fileno())
        except OSError as error:
            self._fail(f"fd_send() failed: {os.strerror(error.errno or errno.EIO)}")
            return
        self._stream.write(message[sent:])
        self._timer = self._process.loop.after(REPLY_TIMEOUT, self._on_timeout)

    def abandon(self) -> None:
        """Forget the attempt without a word."""
        if self._timer is not None:
            self._timer.cancel()
        if self._stream is not None:
            self._stream.close()

    def _on_data(self, data: bytes) -> None:
        self._reply += data
        if len(self._reply) < wire.REPLY_SIZE:
            return
        reply = wire.unpack_reply(self._reply[: wire.REPLY_SIZE])
        if reply.tag != self._request.tag:
            self._fail(f"Received reply with unknown tag {reply.tag}")
        elif reply.status != wire.STATUS_OK:
            self.abandon()
            self._on_failed()  # imap-urlauth has logged why
        else:
            self.abandon()
            self._on_done(reply.mail_pid)

    def _on_end(self, reason: str) -> None:
        self._fail(f"read() failed: {reason}" if reason else PROCESS_LIMIT_HINT)

    def _on_timeout(self) -> None:
        self._fail(self._process.dialect.login_texts.handoff_timeout)

    def _fail_to_connect(self, error: OSError) -> None:
        self._fail(f"net_connect_unix({os.fsdecode(self._path)}) failed: {error.strerror}")

    def _fail(self, reason: str) -> None:
        self.abandon()
        age = int((monotonic() - self._started) * 1000)
        # Dovecot counts the reply in units that it calls bytes; four are three numbers and a fd.
        self._process.log.error(
            f"master(imap-urlauth): {reason} (client-pid={self._request.client_pid}, "
            f"client-id={self._request.auth_id}, rip=, created {age} msecs ago, "
            f"received {len(self._reply)}/{4} bytes)"
        )
        self._on_failed()
