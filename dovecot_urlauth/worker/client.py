"""A client of the worker: who asks, over which connection, and imap-urlauth's connection that brought it."""

from __future__ import annotations

import binascii
import os

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.language import language_of
from dovecot_urlauth.service.connection import ConnectionLost
from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.service.stats import ConnectionEvents
from dovecot_urlauth.worker.pipes import Pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.config.settings import Settings
    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.connection import Connection
    from dovecot_urlauth.service.loop import Loop, Task
    from dovecot_urlauth.service.stats import Stats
    from dovecot_urlauth.wire.control import Access

IDLE_TIMEOUT = 600.0
"""Seconds without input from the client or progress of our output (imap-urlauth-worker.c, CLIENT_IDLE_TIMEOUT)."""

ANONYMOUS = "anonymous"


class SessionOver(Exception):
    """Nobody is left to talk to; ``text`` is a line for the log, empty when the end was an ordinary one."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.text = text


class ClientGone(SessionOver):
    """The client closed its connection; imap-urlauth wants to know."""


class Client:
    """One client with everything that belongs to it, from one child to the next."""

    __slots__ = ("_connection", "_events", "access", "commands", "control", "is_idle")

    def __init__(self, connection: Connection | Pipes, access: Access, control: Connection | None = None) -> None:
        """``control`` is the connection to imap-urlauth; None in stand-alone use, where there is none."""
        self._connection = connection
        self.access = access
        self.control = control
        self.commands = 0
        """How many pieces of them were read."""
        self.is_idle = False
        """Whether it has been answered all that it asked, and nothing of its next command was read."""
        self._events: list[ConnectionEvents] = []

    def report_to(self, stats: Stats, *, is_new: bool = True) -> None:
        """Tell stats of the two connections; one that another child has had is told of at its end only."""
        for connection in (self.control, self._connection):
            if connection is not None and not isinstance(connection, Pipes):
                self._events.append(ConnectionEvents(stats, connection, is_new=is_new))

    def ended(self) -> None:
        """The client is over, and not another child's."""
        for events in reversed(self._events):
            events.ended()

    @property
    def fds(self) -> tuple[int, ...]:
        """The control connection's number, then the client's one or two."""
        control = () if self.control is None else (self.control.fileno(),)
        connection = self._connection
        own = connection.fds if isinstance(connection, Pipes) else (connection.fileno(),)
        return (*control, *dict.fromkeys(own))

    async def read_line(self) -> bytes:
        """Wait for input, up to the end of a line; never returns b"". Raises SessionOver."""
        try:
            data = await self._connection.read_line(IDLE_TIMEOUT)
        except TimedOut:
            raise SessionOver from None
        except ConnectionLost as lost:
            raise ClientGone from lost
        if not data:
            raise ClientGone
        return data

    async def write(self, data: bytes) -> None:
        """Send all of ``data``, however slowly the client takes it. Raises SessionOver."""
        try:
            await self._connection.write(data, IDLE_TIMEOUT)
        except TimedOut:
            raise SessionOver("Session closed for inactivity in reading our output") from None
        except ConnectionLost as lost:
            raise ClientGone from lost

    def expect_much(self) -> None:
        """A long answer begins."""
        self._connection.widen()

    def tell_control(self, word: bytes) -> None:
        """Send FINISHED or DISCONNECTED; imap-urlauth may be gone already."""
        if self.control is not None:
            self.control.send_now(word)

    def end_with_control(self, loop: Loop) -> Task[None]:
        """From now on the end of the control connection ends the task that calls: SessionOver is raised in it.

        Cancel the task that is returned when the control connection is somebody else's to watch.
        """
        return loop.spawn(self._watch_control(loop.current), "control")

    async def _watch_control(self, task: Task[None]) -> None:
        """After the handshake imap-urlauth says nothing more; its end is ours."""
        if self.control is None:
            return
        try:
            said = await self.control.read()
        except ConnectionLost:
            said = b""
        task.cancel(SessionOver("Control session aborted: Unexpected input" if said else ""))

    def close(self) -> None:
        """Close our copies of the descriptors; no connection is shut down."""
        self._connection.close()
        if self.control is not None:
            self.control.close()


def readable_user(access: Access) -> str:
    """Who fetches, as titles and the log have it."""
    return ANONYMOUS if access.user is None else os.fsdecode(access.user)


def user_prefix(name: bytes, access: Access, dialect: Dialect, settings: Settings, session: str = "") -> str:
    """What begins the log lines about the target user ``name``, while ``access`` has its mail.

    2.3 has ``mail_log_prefix`` for them; one with variables that only a login has is as if it were not set.
    """
    if not dialect.user_log_prefix:
        return client_prefix(access)
    language = language_of(dialect)
    local, _, domain = os.fsdecode(name).partition("@")
    values = {
        "user": os.fsdecode(name),
        "username": local,
        "domain": domain,
        "service": "imap-urlauth-worker",
        "pid": str(os.getpid()),
        "session": session,
    }
    try:
        return language.expand(settings.get("mail_log_prefix", dialect.user_log_prefix), values)
    except UnsupportedSetting:
        return language.expand(dialect.user_log_prefix, values)


def new_session() -> str:
    """A name for one selected user, as Dovecot gives where nobody logs in: 16 bytes in base64, without padding."""
    return binascii.b2a_base64(os.urandom(16), newline=False).decode().rstrip("=")


def client_prefix(access: Access, target: bytes | None = None) -> str:
    """What begins the log lines about a client (imap-urlauth-worker-common.c)."""
    whose = "" if target is None else f"->{os.fsdecode(target)}"
    return f"imap-urlauth[{os.getpid()}]({readable_user(access)}{whose}): "
