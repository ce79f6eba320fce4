"""The dovecot engine: a store that asks Dovecot's own ``imap``, and so is right wherever Dovecot is.

``URLFETCH`` of one's own URL runs through the very functions that the stock worker uses (imap-urlauth-fetch.c
and imap-msgpart-url.c), so drivers, plugins, namespaces and access rights are exact by construction.  Policy
stays ours: the caller's token is verified by us, with the mailbox key that ``GETMETADATA`` gave, and the engine is
asked for a URL that we sign ourselves.  That it serves it proves that the key is still the mailbox's (RESETKEY may
have changed it).

A session at another backend may be lost at any moment, which is first noticed when it is needed: what had no
answer yet is asked once more, of a new session.  No command changes anything, so it may be asked twice.
"""

from __future__ import annotations

from dovecot_urlauth.store.engine.dialogue import Answer, EngineSession
from dovecot_urlauth.store.engine.imap_process import SessionLost
from dovecot_urlauth.store.engine.mailbox import EngineMailbox
from dovecot_urlauth.store.engine.own_url import quoted_mailbox
from dovecot_urlauth.store.errors import MailboxMissing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.store.engine.dialogue import ImapStart
    from dovecot_urlauth.store.store import Ahead

NAME_LIMIT = 4096
"""Bytes; no longer name can exist (PATH_MAX)."""
KEYS = 100
"""So many mailboxes' keys of last time are remembered in a session."""


class EngineStore:
    """One target user's mail; the engine starts with the first mailbox, or with ``start``.

    ``command`` starts an engine for ``user``.  One that asks the userdb is started with ``start`` while we are
    root: Dovecot then becomes the user, and changes root, by itself.  An engine that follows it is started with
    the user's rights.  ``log`` gets the engine's own complaints, one line each.
    """

    def __init__(
        self,
        user: bytes,
        command: ImapStart,
        log: Callable[[str], None],
        loop: Loop,
    ) -> None:
        self.user = user
        self.host = command.host
        self._command = command
        self.log = log
        self._session: EngineSession | None = None
        self._loop = loop
        self._again: Callable[[], EngineStore] = lambda: EngineStore(user, command, log, loop)
        self._is_used = False
        self._keys: dict[bytes, bytes] = {}
        self._last_name: tuple[bytes | None, bytes] = None, b""
        """The mailbox that was opened last, as the URL and as commands name it."""

    def start(self) -> None:
        """Starts the engine now, without waiting for it: it gets ready while the client sends its URL."""
        if self._session is None:
            self._session = EngineSession(self._command, self.log, self._loop)

    async def open(self, mailbox: bytes, uidvalidity: int, ahead: Ahead | None = None) -> EngineMailbox:
        """The mailbox with a name as in the URL, in UTF-8; its UIDVALIDITY is compared when it is read.

        Raises MailboxRefused, MailboxMissing or StoreFailure.
        """
        if mailbox != self._last_name[0]:
            self._last_name = mailbox, _quoted(mailbox)
        opened = EngineMailbox(self, mailbox, self._last_name[1], uidvalidity)
        await opened.open(ahead)
        return opened

    def last_key(self, quoted: bytes) -> bytes | None:
        """The key that a mailbox had when it was opened last in this session."""
        return self._keys.get(quoted)

    def remember_key(self, quoted: bytes, key: bytes | None) -> None:
        """Keep a mailbox's key for the next time."""
        if key is None or len(self._keys) >= KEYS:
            self._keys.clear()
        if key is not None:
            self._keys[quoted] = key

    def forget_key(self, quoted: bytes) -> None:
        """Begin with nothing ahead in a mailbox, until it has told its key again."""
        self._keys.pop(quoted, None)

    def share(self) -> EngineStore:
        """For each session an engine of its own, since one answers one question at a time; the first has this."""
        if self._is_used:
            return self._again()
        self._is_used = True
        return self

    def session(self) -> EngineSession:
        """An engine that is ready for a command, a new one if need be."""
        if self._session is not None and not self._session.usable:
            self._session.kill()
            self._session = None
        self.start()
        assert self._session is not None  # noqa: S101 - start() has seen to it
        return self._session

    async def call(self, command: bytes) -> Answer:
        """Runs a command that has no content; raises StoreFailure."""
        try:
            return await self.session().call(command)
        except SessionLost as lost:
            self.log(f"{lost.text}: asking again")
            return await self.session().call(command)

    def rest(self) -> None:
        """Ends an engine that is in the middle of something; another one is kept."""
        if self._session is not None and self._session.is_asked:
            self.close()

    def close(self) -> None:
        """Ends the engine."""
        if self._session is not None:
            self._session.close()
            self._session = None


def _quoted(mailbox: bytes) -> bytes:
    """A mailbox as commands name it.  Raises MailboxMissing for a name that none can have."""
    try:
        name = mailbox.decode()
    except UnicodeDecodeError:
        raise MailboxMissing("not UTF-8") from None
    if not 0 < len(mailbox) <= NAME_LIMIT or any(sign < " " for sign in name):
        # Dovecot makes no such names, and repeats them as they are in the text of a response
        raise MailboxMissing("no mailbox can have this name")
    return quoted_mailbox(name)
