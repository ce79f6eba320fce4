"""Which road to the bytes a target user's session takes: ours, or Dovecot's own ``imap``.

The native store serves what it understands.  The dovecot engine serves everything else: a user whose settings
native does not understand, or the one mailbox where it meets something unknown on disk.  Both are a choice of
the administrator too.
"""

from __future__ import annotations

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.native_settings import native_settings
from dovecot_urlauth.store.errors import MailboxMissing, StoreFailure, Unsupported
from dovecot_urlauth.store.native.mailbox import NativeStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.config.mail_user import MailUser
    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.message.fetch import Request
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.store.engine.engine_start import EngineStart
    from dovecot_urlauth.store.engine.imap_process import Command
    from dovecot_urlauth.store.native.owners import FindOwner
    from dovecot_urlauth.store.store import Ahead, Delivery, Mailbox, Store

AUTO = "auto"
NATIVE = "native"
DOVECOT = "dovecot"


def open_store(
    account: MailUser,
    dialect: Dialect,
    mode: str,
    engine: EngineStart,
    loop: Loop,
    log: Callable[[str], None],
    engine_started: Callable[[], None] = lambda: None,
    find_owner: FindOwner | None = None,
) -> Store:
    """The store for ``account``; ``log`` is told which and why, at debug level.

    To be called as root, before the process becomes the user: an engine that has to find out about the user by
    itself is started here, for it may need root's rights to ask, and a chroot does not hold its program.  Nothing
    else is opened.  ``engine_started()`` is called with every engine, from which on a session may have to wait for
    another one.  ``find_owner`` asks for owners of shared mail, later and as the user.  Raises StoreFailure when
    ``mode`` is ``native`` and the native store does not understand the settings.
    """

    def start_engine(command: Command, reason: str) -> Store:
        from dovecot_urlauth.store.engine.engine import EngineStore

        log(f"store: dovecot: {reason}")
        store = EngineStore(account.name, command, log, loop)
        store.start()
        engine_started()
        return store

    def fall_back(reason: str) -> Store:
        if mode == NATIVE:
            raise StoreFailure(f"store: native: {reason}")
        return start_engine(engine.told(account), reason)

    if mode == DOVECOT:
        return start_engine(engine.asking(account.name, account.settings), "--store=dovecot")
    try:
        native = NativeStore(native_settings(account, dialect), loop, find_owner)
    except UnsupportedSetting as error:
        if mode == NATIVE:
            raise StoreFailure(f"store: native: {error.reason}") from None
        return start_engine(engine.asking(account.name, account.settings), error.reason)
    log("store: native")
    return ChosenStore(native, fall_back)


class ChosenStore:
    """The native store, and what ``fall_back`` returns for each mailbox that it does not support."""

    def __init__(self, native: NativeStore, fall_back: Callable[[str], Store], *, shared: bool = False) -> None:
        """A ``shared`` native store outlives this one."""
        self._native = native
        self._fall_back = fall_back
        self._shared = shared
        self._other: Store | None = None

    async def open(self, mailbox: bytes, uidvalidity: int, ahead: Ahead | None = None) -> Mailbox:
        """Open ``mailbox`` in whichever store has it; errors as in Store.open."""
        try:
            opened = await self._native.open(mailbox, uidvalidity)
        except Unsupported as error:
            return await self.other(error.reason).open(mailbox, uidvalidity, ahead)
        return ChosenMailbox(self, opened, mailbox, uidvalidity, ahead)

    def other(self, reason: str) -> Store:
        """The store for what native does not support.  Raises StoreFailure in mode ``native``."""
        if self._other is None:
            self._other = self._fall_back(reason)
        return self._other

    def share(self) -> Store:
        """A store for another session, over the same native store."""
        return ChosenStore(self._native, self._fall_back, shared=True)

    def close(self) -> None:
        """End the session with both."""
        if self._other is not None:
            self._other.close()
        if not self._shared:
            self._native.close()


class ChosenMailbox:
    """A mailbox of the native store that moves over to the other store when it must."""

    def __init__(
        self, store: ChosenStore, mailbox: Mailbox, name: bytes, uidvalidity: int, ahead: Ahead | None = None
    ) -> None:
        self._store = store
        self._mailbox = mailbox
        self._name = name
        self._uidvalidity = uidvalidity
        self._ahead = ahead
        self._key: bytes | None = None

    async def key(self) -> bytes | None:
        """The mailbox key; errors as in Mailbox.key."""
        try:
            self._key = await self._mailbox.key()
        except Unsupported as error:
            self._key = await (await self._reopened(error.reason)).key()
        return self._key

    async def fetch(self, uid: int, request: Request) -> Delivery:
        """A message part; errors as in Mailbox.fetch."""
        try:
            return await self._mailbox.fetch(uid, request)
        except Unsupported as error:
            other = await self._reopened(error.reason)
            if self._key not in (None, await other.key()):
                raise MailboxMissing("another mailbox has the name now, or another key") from None
            return await other.fetch(uid, request)

    def close(self) -> None:
        """Close the mailbox in whichever store it is."""
        self._mailbox.close()

    async def _reopened(self, reason: str) -> Mailbox:
        self._mailbox.close()
        other = self._store.other(reason)
        self._mailbox = await other.open(self._name, self._uidvalidity, self._ahead)
        return self._mailbox
