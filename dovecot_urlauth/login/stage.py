"""All the clients of one imap-urlauth-login process, and what they share (login-common/main.c)."""

from __future__ import annotations

from dovecot_urlauth.login.auth import Auth
from dovecot_urlauth.login.handoff import Handoffs
from dovecot_urlauth.login.session import Session, TooManyTokenless
from dovecot_urlauth.service.connection import Connection
from dovecot_urlauth.service.stats import SILENT, Stats
from dovecot_urlauth.start.preconnect import preconnect, still_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.login.logformat import LogFormat
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop, Task
    from dovecot_urlauth.start.cpython import socket

    class Process(Protocol):
        """What the stage needs of the process that it lives in."""

        loop: Loop
        dialect: Dialect
        log: Log

    class Title(Protocol):
        """What shows what the process does."""

        def show(self, text: str) -> None: ...


AUTH_SOCKET = b"tokenlogin"
HANDOFF_SOCKET = b"imap-urlauth"

PRECONNECT_PATIENCE = 2.0
"""Seconds that imap-urlauth is kept waiting for a client; a mail process sends its token in the first few ms."""


MOST_TOKENLESS = 100
"""Clients of one uid that have not said who they are, in one process.  A mail process has its token ready when it
connects, so whoever has waited longest among so many will not say any more."""


class LoginStage:
    """Counts the clients in the title; keeps the auth connection, and the one that was made at start."""

    is_login = True
    takes_descriptors = False

    def __init__(
        self,
        process: Process,
        title: Title,
        log_format: LogFormat,
        *,
        directory: bytes = b"",
        auth_socket: bytes = b"",
        handoff_socket: bytes = b"",
        preconnected: socket | None = None,
        calls_ahead: bool = False,
        stats: Stats = SILENT,
    ) -> None:
        """``directory`` (with its slash) is where the two sockets are, empty inside the chroot.

        ``preconnected`` is a connection to the hand-off socket that was made at start.  A stage that
        ``calls_ahead`` makes one whenever a client has said who it is.
        """
        self.loop = process.loop
        self.log = process.log
        self.dialect = process.dialect
        self.texts = process.dialect.login_texts
        self.log_format = log_format
        self.handoffs = Handoffs(process.loop, process.log, process.dialect)
        auth_path = directory + (auth_socket or AUTH_SOCKET)
        self.auth = Auth(process.loop, process.log, process.dialect, auth_path, stats)
        self._title = title
        self._directory = directory
        self._handoff_socket = handoff_socket or HANDOFF_SOCKET
        self._preconnected = preconnected
        self._calls_ahead = calls_ahead
        self._clients = 0
        self._tokenless: dict[int, list[Task[None]]] = {}
        """By uid, in the order in which they came."""
        self._last_tag = 0

    def start(self) -> None:
        """Connect to auth before the first client comes."""
        self.loop.spawn(self.auth.keep(), "auth")

    async def serve(self, connection: Connection) -> None:
        self._count(1)
        if self._preconnected is not None:
            self.loop.spawn(self._give_up_preconnected(), "preconnected")
        try:
            await Session(self, connection).serve()
        finally:
            self._count(-1)

    def child_exited(self) -> None:
        """Login processes have no children."""

    def next_tag(self) -> int:
        """A number for one hand-off, never 0."""
        self._last_tag = self._last_tag % 0xFFFFFFFF + 1
        return self._last_tag

    def handoff_path(self, override: bytes | None) -> bytes:
        """Where to hand a client; ``override`` is a socket name that auth gave (``postlogin_socket=``)."""
        name = override if override and b"/" not in override else self._handoff_socket
        return self._directory + name

    def call_ahead(self) -> None:
        """Let imap-urlauth make ready while auth looks at a token: for one at a time, since it may be wrong."""
        if self._calls_ahead and self._preconnected is None:
            self.loop.spawn(self._preconnect(), "preconnected")

    def take_preconnected(self, path: bytes) -> Connection | None:
        """The connection that was made ahead, once, if it leads to ``path`` and is still there."""
        preconnected, self._preconnected = self._preconnected, None
        if preconnected is None:
            return None
        connection = Connection(self.loop, preconnected)
        if path == self.handoff_path(None) and still_there(preconnected):
            return connection
        connection.close()
        return None

    def expect_token(self, uid: int, client: Task[None]) -> None:
        """A client's task waits for its token; too many of its uid, and the oldest of them has to go."""
        waiting = self._tokenless.setdefault(uid, [])
        waiting.append(client)
        if len(waiting) > MOST_TOKENLESS:
            waiting.pop(0).cancel(TooManyTokenless())

    def token_came(self, uid: int, client: Task[None]) -> None:
        """It has said who it is, or will not any more."""
        waiting = self._tokenless.get(uid, [])
        if client in waiting:
            waiting.remove(client)
        if not waiting:
            self._tokenless.pop(uid, None)

    async def _preconnect(self) -> None:
        if self._preconnected is None:
            self._preconnected = preconnect(self.handoff_path(None))
        if self._preconnected is not None:
            await self._give_up_preconnected()

    async def _give_up_preconnected(self) -> None:
        preconnected = self._preconnected
        await self.loop.sleep(PRECONNECT_PATIENCE)
        if self._preconnected is not None and self._preconnected is preconnected:
            self._preconnected = None
            preconnected.close()

    def _count(self, change: int) -> None:
        self._clients += change
        shown = {0: "", 1: "[pre-login]"}
        self._title.show(shown.get(self._clients, f"[{self._clients} pre-login]"))
