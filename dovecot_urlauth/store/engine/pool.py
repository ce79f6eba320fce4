"""Sessions at another backend that one process's clients share: one for each URL under way, kept for the next.

A backend lets a user have so many connections from one address (``mail_max_userip_connections``), and each access
user's process here may want some.  So a process keeps to half of what its own settings allow, lets a URL wait for
its turn, and ends a session that nobody has used for a while.
"""

from __future__ import annotations

from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.store.engine.engine import EngineStore
from dovecot_urlauth.store.errors import StoreFailure
from dovecot_urlauth.store.store import Delivery

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from dovecot_urlauth.message.request import Request
    from dovecot_urlauth.service.loop import Loop, Promise
    from dovecot_urlauth.store.engine.dialogue import ImapStart
    from dovecot_urlauth.store.engine.mailbox import EngineMailbox
    from dovecot_urlauth.store.store import Ahead

TURN_SECONDS = 60.0
"""How long a URL waits for a session while others have them all."""
IDLE_SECONDS = 60.0
"""How long a session stays that nobody uses."""
ALLOWED = 10
"""Dovecot's default of mail_max_userip_connections."""
MOST = 32
"""Sessions of one process, whatever the settings allow."""


def sessions_for(allowed: int) -> int:
    """How many sessions a process may have, by ``mail_max_userip_connections``; 0 is no limit."""
    return max(1, min(allowed // 2, MOST)) if allowed else MOST


class SessionPool:
    """The sessions of one user at one backend."""

    def __init__(self, user: bytes, command: ImapStart, log: Callable[[str], None], loop: Loop, most: int) -> None:
        self.user = user
        self.host = command.host
        self._new: Callable[[], EngineStore] = lambda: EngineStore(user, command, log, loop)
        self._loop = loop
        self._most = most
        self._taken = 0
        self._free: list[tuple[EngineStore, float]] = []
        """With the moment from which on each was free, the latest last."""
        self._waiting: list[Promise[EngineStore]] = []
        self._is_swept = False

    def start(self) -> None:
        """Begin a session now, which gets ready while the client sends its URL."""
        first = self._new()
        first.start()
        self._free.append((first, self._loop.now()))
        self._sweep_later()

    async def take(self) -> EngineStore:
        """A session for one URL, which waits for its turn.  Raises StoreFailure."""
        if self._free:
            store, _ = self._free.pop()
        elif self._taken < self._most:
            store = self._new()
        else:
            return await self._turn()
        self._taken += 1
        return store

    def give_back(self, store: EngineStore) -> None:
        """The URL has its answer, or nobody waits for it any more."""
        store.rest()
        if self._waiting:
            self._waiting.pop(0).set(store)
            return
        self._taken -= 1
        self._free.append((store, self._loop.now()))
        self._sweep_later()

    async def _turn(self) -> EngineStore:
        turn: Promise[EngineStore] = self._loop.promise()
        self._waiting.append(turn)
        try:
            return await turn.wait(TURN_SECONDS)
        except BaseException as error:
            if turn.settled:
                self.give_back(await turn.wait())  # it came in the moment in which the client went
            else:
                self._waiting.remove(turn)
            if isinstance(error, TimedOut):
                raise StoreFailure(
                    f"all {self._most} sessions at the backend were busy for {TURN_SECONDS:g} seconds"
                ) from None
            raise

    def _sweep_later(self) -> None:
        if not self._is_swept:
            self._is_swept = True
            self._loop.spawn(self._sweep(), "idle sessions")

    async def _sweep(self) -> None:
        """End sessions that have been free for long, until there are none."""
        try:
            while self._free:
                _, since = self._free[0]
                await self._loop.sleep(max(0.0, since + IDLE_SECONDS - self._loop.now()))
                limit = self._loop.now() - IDLE_SECONDS
                while self._free and self._free[0][1] <= limit:
                    self._free.pop(0)[0].close()
        finally:
            self._is_swept = False


class PooledStore:
    """One client's view of the pool; a Store."""

    def __init__(self, pool: SessionPool) -> None:
        self.pool = pool

    async def open(self, mailbox: bytes, uidvalidity: int, ahead: Ahead | None = None) -> PooledMailbox:
        """As EngineStore.open, when a session is free."""
        store = await self.pool.take()
        try:
            return PooledMailbox(self.pool, store, await store.open(mailbox, uidvalidity, ahead))
        except BaseException:
            self.pool.give_back(store)
            raise

    def share(self) -> PooledStore:
        """The same for another client."""
        return PooledStore(self.pool)

    def close(self) -> None:
        """The client's mailbox was closed; sessions are for the others to use."""


class PooledMailbox:
    """A mailbox for one URL: its session is free again behind the last byte."""

    def __init__(self, pool: SessionPool, store: EngineStore, mailbox: EngineMailbox) -> None:
        self._pool = pool
        self._store: EngineStore | None = store
        self._mailbox = mailbox

    async def key(self) -> bytes | None:
        """As EngineMailbox.key."""
        return await self._mailbox.key()

    async def fetch(self, uid: int, request: Request) -> Delivery:
        """As EngineMailbox.fetch, once."""
        found = await self._mailbox.fetch(uid, request)
        if found.whole is not None:
            self.close()
            return found
        return Delivery(found.size, found.has_nuls, found.structure, self._whole(found.chunks))

    async def _whole(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            self.close()

    def close(self) -> None:
        """Let another URL have the session."""
        store, self._store = self._store, None
        if store is not None:
            self._pool.give_back(store)
