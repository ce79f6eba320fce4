"""All the sessions of one imap-urlauth process, and what they share."""

from __future__ import annotations

from dovecot_urlauth.broker.session import Session
from dovecot_urlauth.service.connection import Connection
from dovecot_urlauth.service.stats import SILENT, Stats
from dovecot_urlauth.start.preconnect import still_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from dovecot_urlauth.broker.auth import Auth
    from dovecot_urlauth.broker.identity import ServiceUsers
    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.start.cpython import socket

    class Process(Protocol):
        """What the stage needs of the process that it lives in."""

        loop: Loop
        log: Log
        dialect: Dialect

        def retire(self) -> None: ...

    class Title(Protocol):
        """What shows what the process does."""

        def show(self, text: str) -> None: ...


class BrokerStage:
    """Keeps the sessions, the connection to auth and the title."""

    is_login = False
    takes_descriptors = True

    def __init__(
        self,
        process: Process,
        title: Title,
        auth: Auth,
        users: ServiceUsers,
        worker_path: bytes,
        preconnected: socket | None = None,
        stats: Stats = SILENT,
        *,
        calls_ahead: bool = False,
    ) -> None:
        """``preconnected`` is a connection to a worker that was made at start.

        A stage that ``calls_ahead`` has a worker ready when auth has said who the client is.
        """
        self.loop = process.loop
        self.log = process.log
        self.dialect = process.dialect
        self.auth = auth
        self.users = users
        self.worker_path = worker_path
        self.stats = stats
        self.calls_ahead = calls_ahead
        self._process = process
        self._preconnected = preconnected
        self._title = title
        self._sessions: dict[Session, None] = {}
        self.show_title()

    def start(self) -> None:
        """Listen to auth from now on."""
        self.loop.spawn(self._keep_auth(), "auth")

    async def serve(self, connection: Connection) -> None:
        session = Session(self, connection)
        self._sessions[session] = None
        self.show_title()
        try:
            await session.serve()
        finally:
            del self._sessions[session]
            self.show_title()

    def child_exited(self) -> None:
        """imap-urlauth has no children."""

    def take_preconnected(self) -> Connection | None:
        """The connection to a worker that was called at start, once, if it is still there."""
        preconnected, self._preconnected = self._preconnected, None
        if preconnected is None:
            return None
        connection = Connection(self.loop, preconnected)
        if still_there(preconnected):
            return connection
        connection.close()
        return None

    def show_title(self) -> None:
        """``[idling]``, the one session's state, or how many there are."""
        if not self._sessions:
            self._title.show("[idling]")
        elif len(self._sessions) == 1:
            (session,) = self._sessions
            self._title.show(session.title)
        else:
            self._title.show(f"[{len(self._sessions)} connections]")

    async def _keep_auth(self) -> None:
        """Without auth the process serves those it has, and ends: the socket is root's."""
        try:
            await self.auth.keep()
        except Exception as error:  # what nobody foresaw in auth's lines is no reason to stay deaf
            self.loop.on_crash("auth", error)
        self._process.retire()
