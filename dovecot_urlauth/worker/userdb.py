"""Asking auth about users over ``auth-userdb`` (lib-auth/auth-master.c).

One connection that many may ask over at once.  auth answers root about everybody, and any other peer only
about users with the peer's own uid; so the connection that root made is closed with root's rights, and what is
asked later is asked as the target user.
"""

from __future__ import annotations

import os
from errno import EIO
from time import time

from dovecot_urlauth.service.connection import ConnectionLost, connect
from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.service.stats import SILENT, ConnectionEvents, Stats
from dovecot_urlauth.wire.authmaster import AuthMaster, Failed, NotFound, PassReply, UserReply
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.connection import Connection
    from dovecot_urlauth.service.loop import Loop, Promise

    Answer = UserReply | PassReply | NotFound | Failed

CONNECT_PATIENCE = 1.0
"""Seconds that a full backlog is tried again."""
LOOKUP_TIMEOUT = 155.0

CATEGORIES = ("auth-client",)
LOOKUP_STARTED, LOOKUP_FINISHED = "auth_client_userdb_lookup_started", "auth_client_userdb_lookup_finished"

INTERNAL_ERROR = "Internal error occurred. Refer to server log for more information."


class LookupFailed(Exception):
    """auth could not answer; ``str()`` says why, for the log."""


class _AuthGone(Exception):
    """The connection ended before the answer came; ``str()`` says how."""


class Userdb:
    """Asks; the connection is made at the first question, and again once when it was lost meanwhile."""

    def __init__(self, loop: Loop, dialect: Dialect, path: bytes, stats: Stats = SILENT) -> None:
        self._loop = loop
        self._dialect = dialect
        self._path = path
        self._stats = stats
        self._connection: Connection | None = None
        self._events: ConnectionEvents | None = None
        self._protocol = AuthMaster(dialect.userdb_minor)
        self._connecting: Promise[None] | None = None
        self._asked: dict[int, Promise[Answer]] = {}
        self._last_id = 0

    async def connect(self) -> None:
        """Connect now rather than at the first question. Raises LookupFailed."""
        if self._connection is not None:
            return
        if self._connecting is not None:
            await self._connecting.wait()
            return
        self._connecting = attempt = self._loop.promise()
        try:
            connection = await connect(self._loop, self._path, patience=CONNECT_PATIENCE)
        except OSError as error:
            reason = os.strerror(error.errno or EIO)
            failed = LookupFailed(f"connect({os.fsdecode(self._path)}) failed: {reason}")
            attempt.fail(failed)
            raise failed from error
        except BaseException:
            attempt.fail(_AuthGone("Interrupted"))  # who waits with us connects by itself
            raise
        finally:
            self._connecting = None
        self._connection, self._protocol = connection, AuthMaster(self._dialect.userdb_minor)
        self._events = ConnectionEvents(self._stats, connection, CATEGORIES, path=self._path)
        if not connection.send_now(self._protocol.data_to_send()):
            failed = LookupFailed(f"write({os.fsdecode(self._path)}) failed")
            self._lose(connection, failed)
            attempt.fail(failed)
            raise failed
        self._loop.spawn(self._receive(connection, self._protocol), "userdb")
        attempt.set(None)

    def close(self) -> None:
        """Forget the connection; the next question makes a new one, with the rights of that moment."""
        if self._connection is not None:
            self._lose(self._connection, _AuthGone("Disconnected"))

    async def ask(self, name: bytes, *, debug: bool) -> UserReply | None:
        """What the userdb knows of ``name``, None when there is no such user. Raises LookupFailed."""
        parameter = self._dialect.userdb_parameter
        answer = await self._answer(
            name, lambda number: self._protocol.user_lookup(number, name, parameter, debug=debug)
        )
        return answer if isinstance(answer, UserReply) else None

    async def ask_passdb(self, name: bytes) -> Mapping[bytes, bytes] | None:
        """The passdb's fields of ``name``, which root alone is told; None as above. Raises LookupFailed."""
        parameter = self._dialect.userdb_parameter.partition(b"=")[0] + b"=imap"
        answer = await self._answer(name, lambda number: self._protocol.pass_lookup(number, name, parameter))
        return answer.fields if isinstance(answer, PassReply) else None

    async def _answer(self, name: bytes, question: Callable[[int], None]) -> Answer | None:
        try:
            answer = await self._ask(name, question)
        except _AuthGone:
            try:
                answer = await self._ask(name, question)  # auth was restarted: ask the new one
            except _AuthGone as gone:
                raise LookupFailed(str(gone)) from gone
        except ValueError:
            return None  # no user can have a name that auth does not take
        if isinstance(answer, Failed):
            raise LookupFailed(os.fsdecode(answer.reason) if answer.reason else INTERNAL_ERROR)
        return answer

    async def _ask(self, name: bytes, question: Callable[[int], None]) -> Answer:
        """Raises LookupFailed, _AuthGone, ValueError."""
        number = self._last_id = self._last_id + 1
        await self.connect()
        question(number)
        connection = self._connection
        if connection is None or not connection.send_now(self._protocol.data_to_send()):
            gone = _AuthGone("Broken pipe")
            self._lose(connection, gone)
            raise gone
        promise: Promise[Answer] = self._loop.promise()
        self._asked[number] = promise
        began, error = time(), "Aborted"
        self._report(LOOKUP_STARTED, name, began)
        try:
            answer = await promise.wait(LOOKUP_TIMEOUT)
            if isinstance(answer, UserReply | PassReply):
                error = ""
            else:
                error = os.fsdecode(getattr(answer, "reason", None) or b"Lookup failed")
            return answer
        except TimedOut:
            error = "Timed out"
            raise LookupFailed(f"Auth server request timed out after {LOOKUP_TIMEOUT:.3f} secs") from None
        finally:
            self._asked.pop(number, None)
            self._report(LOOKUP_FINISHED, name, began, error)

    def _report(self, event: str, name: bytes, began: float, error: str = "") -> None:
        if self._stats.wants(event):
            key, _, service = self._stats.names.service_field
            fields = {key: service, "user": os.fsdecode(name)} | ({"error": error} if error else {})
            self._stats.report(event, CATEGORIES, fields, began)

    async def _receive(self, connection: Connection, protocol: AuthMaster) -> None:
        """Give each answer to who has asked, until auth is gone."""
        why: Exception = _AuthGone("Disconnected unexpectedly")
        try:
            while data := await connection.read():
                protocol.receive_data(data)
                while (event := protocol.next_event()) is not None:
                    if isinstance(event, UserReply | PassReply | NotFound | Failed):
                        promise = self._asked.get(event.id)
                        if promise is not None:
                            promise.set(event)
        except ConnectionLost as lost:
            why = _AuthGone(lost.text)
        except ProtocolError as error:
            why = LookupFailed(error.text)
        self._lose(connection, why)

    def _lose(self, connection: Connection | None, why: Exception) -> None:
        if connection is None or connection is not self._connection:
            return
        self._connection = None
        if self._events is not None:
            self._events.ended()
        connection.close()
        for promise in self._asked.values():
            promise.fail(why)
