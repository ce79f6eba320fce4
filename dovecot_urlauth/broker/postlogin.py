"""An administrator's post-login script: it sees the user's fields, may change them, and may say no.

Protocol ``script-login``: the client's fd goes with a VERSION line and one line of tab-escaped values; the
answer is the fields line, perhaps with another fd for the client (lib-master/master-login.c).
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.fdpass import close_fds, receive_fds, send_fd
from dovecot_urlauth.service.sockets import connect_unix, from_fd
from dovecot_urlauth.wire.authmaster import UserReply
from dovecot_urlauth.wire.tabescape import fields, join

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from dovecot_urlauth.service.callback_process import ServiceProcess
    from dovecot_urlauth.service.log import Log

VERSION = b"VERSION\tscript-login\t1\t0\n"
CONNECT_PATIENCE = 1.0
TIMEOUT = 60.0
READ_SIZE = 1024
LONGEST_ANSWER = 65536


class PostLogin:
    """Ends with ``on_done(reply, client)``: the reply is None when the user may not go on."""

    def __init__(
        self,
        process: ServiceProcess,
        log: Log,
        path: bytes,
        reply: UserReply,
        client: socket,
        on_done: Callable[[UserReply | None, socket | None], None],
    ) -> None:
        self._process = process
        self._log = log
        self._path = os.fsdecode(path)
        self._reply = reply
        self._on_done = on_done
        self._input = b""
        self._client: socket | None = None
        self._timer = process.loop.after(TIMEOUT, self._on_timeout)
        self._socket: socket | None = None
        try:
            self._socket = connect_unix(path, patience=CONNECT_PATIENCE)
            send_fd(self._socket, self._question(), client.fileno())
        except OSError as error:
            self._fail(f"net_connect_unix({self._path}) failed: {error.strerror}")
            return
        process.loop.watch(self._socket.fileno(), self._on_ready)

    def _question(self) -> bytes:
        values = [name + b"=" + value if value else name for name, value in self._reply.fields.items()]
        return VERSION + b"\t\t" + join(self._reply.name, *values) + b"\n"

    def _on_ready(self, events: int) -> None:
        if self._socket is None:
            return
        try:
            data, fds = receive_fds(self._socket, READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(f"fd_read({self._path}) failed: {error.strerror}")
            return
        self._adopt(fds)
        self._input += data
        if not data:
            self._on_end()
        elif len(self._input) > LONGEST_ANSWER:
            self._fail(f"fd_read({self._path}) failed: answer too long")

    def _adopt(self, fds: list[int]) -> None:
        if not fds:
            return
        close_fds(fds[:-1])
        if self._client is not None:
            self._client.close()
        self._client = from_fd(fds[-1])

    def _on_end(self) -> None:
        if self._input.endswith(b"\n"):
            name, *values = fields(self._input[:-1])
            pairs = (value.partition(b"=") for value in values if value)
            answer = UserReply(self._reply.id, name, {key: value for key, _, value in pairs})
            self._finish(answer)
        elif self._input:
            self._fail(f"fd_read({self._path}) failed: disconnected")
        else:
            self._fail(f"Post-login script denied access to user {os.fsdecode(self._reply.name)}")

    def _on_timeout(self) -> None:
        self._fail("Timeout waiting for post-login script to finish, aborting")

    def _fail(self, text: str) -> None:
        self._log.error(text)
        if self._client is not None:
            self._client.close()
            self._client = None
        self._finish(None)

    def _finish(self, reply: UserReply | None) -> None:
        self._timer.cancel()
        if self._socket is not None:
            self._process.loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None
        self._on_done(reply, self._client)
