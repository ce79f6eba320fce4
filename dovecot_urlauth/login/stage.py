"""All the clients of one imap-urlauth-login process (login-common/main.c)."""

from __future__ import annotations

from dovecot_urlauth.login.auth import AuthConnection
from dovecot_urlauth.login.client import LoginClient
from dovecot_urlauth.service.ahead import still_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from dovecot_urlauth.login.logformat import LogFormat
    from dovecot_urlauth.service.callback_process import ServiceProcess
    from dovecot_urlauth.service.title import ProcessTitle

AUTH_SOCKET = b"tokenlogin"
HANDOFF_SOCKET = b"imap-urlauth"

AHEAD_PATIENCE = 2.0
"""Seconds that imap-urlauth is kept waiting for a client; a mail process sends its token in the first few ms."""


class LoginStage:
    """Keeps the clients in the order they came, the auth connection they share, and the title."""

    keeps_listeners = True

    def __init__(
        self,
        process: ServiceProcess,
        title: ProcessTitle,
        log_format: LogFormat,
        *,
        directory: bytes = b"",
        auth_socket: bytes = b"",
        handoff_socket: bytes = b"",
        ahead: socket | None = None,
    ) -> None:
        """``directory`` (with its slash) is where the two sockets are, empty inside the chroot.

        ``ahead`` is a connection to the hand-off socket that was made at start.
        """
        self.process = process
        self.log_format = log_format
        self.texts = process.dialect.login_texts
        self._title = title
        self._directory = directory
        self._handoff_socket = handoff_socket or HANDOFF_SOCKET
        self._ahead = ahead
        self._clients: dict[LoginClient, None] = {}
        self._last_tag = 0
        self.auth = AuthConnection(process, directory + (auth_socket or AUTH_SOCKET), self._on_auth_ready)

    def accept(self, connection: socket) -> None:
        client = LoginClient(self, connection)
        self._clients[client] = None
        self._show_title()
        if self._ahead is not None:
            self.process.loop.after(AHEAD_PATIENCE, self._give_up_ahead)
        if self.auth.handshake is not None:
            client.auth_ready()

    def make_room(self) -> None:
        oldest = next(iter(self._clients), None)
        if oldest is not None:
            oldest.crowd_out()

    def master_died(self) -> None:
        self.terminate()

    def terminate(self) -> None:
        for client in list(self._clients):
            client.shut_down()

    def child_exited(self) -> None:
        """Login processes have no children."""

    def client_gone(self, client: LoginClient) -> None:
        del self._clients[client]
        self._show_title()
        self.process.release()

    def next_tag(self) -> int:
        """A number for one hand-off, never 0."""
        self._last_tag = self._last_tag % 0xFFFFFFFF + 1
        return self._last_tag

    def handoff_path(self, override: bytes | None) -> bytes:
        """Where to hand a client; ``override`` is a socket name that auth gave (``postlogin_socket=``)."""
        name = override if override and b"/" not in override else self._handoff_socket
        return self._directory + name

    def take_ahead(self, path: bytes) -> socket | None:
        """The connection that was made at start, once, if it leads to ``path`` and is still there."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return None
        if path == self.handoff_path(None) and still_there(ahead):
            return ahead
        ahead.close()
        return None

    def _give_up_ahead(self) -> None:
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def _on_auth_ready(self) -> None:
        for client in list(self._clients):
            client.auth_ready()

    def _show_title(self) -> None:
        count = len(self._clients)
        self._title.show({0: "", 1: "[pre-login]"}.get(count, f"[{count} pre-login]"))
