"""The native store: mail read by ourselves, as the index on disk says at this moment.

Matches what imap_msgpart_url_open_mailbox makes lib-storage do: a mailbox is opened but not synchronized, so a
mail that no Dovecot session has seen yet does not exist.  Nothing is written; a format that has to lock says so
(driver.py), and this is where its locks are waited for.
"""

from __future__ import annotations

from binascii import Error as NotHex
from binascii import unhexlify

from dovecot_urlauth.message.fetch import fetching, text_at_once
from dovecot_urlauth.message.steps import Pace
from dovecot_urlauth.store.errors import MailboxMissing, StoreFailure
from dovecot_urlauth.store.native.decode import Decoding
from dovecot_urlauth.store.native.driver import Busy, open_driver
from dovecot_urlauth.store.native.finding import Finder
from dovecot_urlauth.store.store import Delivery

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import TypeVar

    from dovecot_urlauth.config.native_settings import NativeSettings
    from dovecot_urlauth.message.fetch import Request
    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.store.native.acl.acl_files import MailboxAcl
    from dovecot_urlauth.store.native.driver import Driver, Located, Lock
    from dovecot_urlauth.store.native.owners import FindOwner

    Result = TypeVar("Result")

KEY_PATH = b"priv/%s/vendor/vendor.dovecot/imap-urlauth"
"""The key's place in the attribute dictionary, by mailbox GUID (lib-storage/index/index-attribute.c)."""
KEY_DIGITS = 128


KEPT_MAILBOXES = 8
"""Mailboxes that stay open between URLs; seven or eight descriptors each."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.005, 0.25
"""Seconds until a lock is tried again; each pause is twice the last one."""
READ_AT_ONCE = 256 * 1024
"""Bytes that are read under a lock before it is given back."""
QUICKLY_COUNTED = 256 * 1024
"""Bytes of a message whose line ends are counted in 0.1 ms."""


class NativeStore:
    """Reads the mail of one user as ``settings`` say, for as many sessions as there are."""

    def __init__(self, settings: NativeSettings, loop: Loop, find_owner: FindOwner | None = None) -> None:
        """``find_owner`` asks for owners of shared mail, which without it is Unsupported."""
        from dovecot_urlauth.store.native.attributes.attributes import open_attributes

        self._settings = settings
        self.loop = loop
        self.rules = settings.message_rules
        self.attributes = open_attributes(settings.attributes, loop)
        self.decoding = Decoding(settings, self.attributes, lambda: self._fresh_driver(b"INBOX", 0).guid())
        self._acl = _acl_of(settings)
        self._finder = Finder(settings, loop, find_owner)
        self._opened: dict[bytes, Driver] = {}
        """By the mailbox's name in URLs, the one used last at the end."""

    async def open(self, mailbox: bytes, uidvalidity: int) -> NativeMailbox:
        """Open ``mailbox``.  Raises MailboxRefused, MailboxMissing, StoreFailure or Unsupported."""
        if self._finder.has_owners and await self._finder.know_owner(mailbox):
            self._close_mailboxes()
        self.check_rights(mailbox)
        return NativeMailbox(self, self._fresh_driver(mailbox, uidvalidity), mailbox, uidvalidity)

    def close(self) -> None:
        """End all sessions."""
        self._close_mailboxes()
        self._finder.close()
        self.attributes.close()

    def _close_mailboxes(self) -> None:
        while self._opened:
            self._opened.popitem()[1].close()

    def still_open(self, driver: Driver, mailbox: bytes, uidvalidity: int) -> Driver:
        """``driver``, or another one of the mailbox if somebody had it closed; raises as :meth:`open`."""
        return driver if self._opened.get(mailbox) is driver else self._fresh_driver(mailbox, uidvalidity)

    def _fresh_driver(self, mailbox: bytes, uidvalidity: int) -> Driver:
        """The mailbox as it is now.  Raises MailboxRefused, MailboxMissing, StoreFailure or Unsupported."""
        driver = self._opened.pop(mailbox, None)
        if driver is not None and not driver.is_in_place():
            driver.close()
            driver = None
        if driver is None:
            driver = self._open_driver(mailbox)
        try:
            if uidvalidity not in (0, driver.refresh()):
                raise MailboxMissing("UIDVALIDITY has changed")
        except BaseException:
            driver.close()
            raise
        self._keep(mailbox, driver)
        return driver

    def _open_driver(self, mailbox: bytes) -> Driver:
        """Raises MailboxRefused, MailboxMissing, StoreFailure or Unsupported."""
        found = self._finder.find(mailbox)
        driver = open_driver(found.location, found.stored, self._settings)
        if found.is_fixed:
            return driver
        from dovecot_urlauth.store.native.list_index import NamedMailbox

        return NamedMailbox(driver, lambda: self._finder.find(mailbox).stored, found.stored)

    def check_rights(self, mailbox: bytes) -> None:
        """Raises MailboxMissing where acl gives no right to read, and what finding a mailbox raises."""
        if self._acl is not None:
            from dovecot_urlauth.store.native.acl.governed import check_rights

            check_rights(self._acl, self._finder.find(mailbox))

    def _keep(self, mailbox: bytes, driver: Driver) -> None:
        self._opened[mailbox] = driver
        if len(self._opened) > KEPT_MAILBOXES:
            self._opened.pop(next(iter(self._opened))).close()


def _acl_of(settings: NativeSettings) -> MailboxAcl | None:
    if settings.acl is None:
        return None
    from dovecot_urlauth.store.native.acl.acl_files import MailboxAcl

    return MailboxAcl(settings.acl)


class NativeMailbox:
    """One mailbox, to be used before another one is opened."""

    __slots__ = (
        "_driver",
        "_guid",
        "_is_fresh",
        "_key_text",
        "_loop",
        "_mail",
        "_name",
        "_step",
        "_store",
        "_uid_validity",
        "_uid_validity_asked",
    )

    def __init__(self, store: NativeStore, driver: Driver, name: bytes, uid_validity: int) -> None:
        """``driver`` is ``store``'s, and fresh; ``uid_validity`` is what was asked for, which may be 0."""
        self._store = store
        self._loop = store.loop
        self._driver = driver
        self._uid_validity = driver.uid_validity
        self._uid_validity_asked = uid_validity
        self._name = name
        self._step = store.loop.steps
        """That of the loop when the driver was looked at."""
        self._is_fresh = True
        """The driver has looked for this very request: at the first, when the mailbox was opened."""
        self._guid: bytes | None = None
        """The GUID of the mailbox whose key was given; no other one's mail may be."""
        self._key_text: bytes | None = None
        self._mail: Located | None = None

    async def key(self) -> bytes | None:
        """The mailbox's 64-byte key.  Raises MailboxMissing, StoreFailure or Unsupported."""
        self._guid = self._driver.guid()
        text = self._key_text = await self._store.attributes.lookup(KEY_PATH % self._guid)
        self._open_again()
        if text is None:
            return None
        try:
            if len(text) == KEY_DIGITS:
                return unhexlify(text)
        except NotHex:
            pass
        name = self._name.decode("utf-8", "surrogateescape")
        raise StoreFailure(f"imap-urlauth: key found for mailbox {name} is invalid")

    async def fetch(self, uid: int, request: Request) -> Delivery:
        """A part of message ``uid``.  Raises ReadFailed, message errors, StoreFailure or Unsupported."""
        self.close()
        if not self._is_fresh:
            self._driver.refresh()
        self._is_fresh = False
        try:
            mail = self._mail = self._locate(uid)
        except Busy as busy:
            mail = self._mail = await self._when_not_busy(lambda: self._locate(uid), self._ask_again, busy)
        store = self._store
        try:
            source = mail.source
            is_plain = not mail.is_encoded or store.decoding.is_plain
            if is_plain and mail.complete is None and believable_size(mail, source) is None:
                text = text_at_once(source, request)
                if text is not None:
                    return Delivery(len(text), False, None, _all_of(text), text)
            pace = Pace(self._loop.turn, self._loop.now)
            if not is_plain:
                source = await store.decoding.decoded(source, pace, self._driver.guid)
            if mail.complete is not None:
                source = mail.complete(source)
            steps = fetching(source, request, store.rules, believable_size(mail, source), mail.counted)
            content = await pace.run(steps)
        finally:
            if mail.lock is not None:
                mail.lock.release()
        chunks = pace.chunks(content.chunks)
        if mail.lock is not None and content.whole is None:
            chunks = self._under_lock(chunks, mail.lock)
        return Delivery(content.size, content.has_nuls, content.structure, chunks, content.whole)

    def _locate(self, uid: int) -> Located:
        """The message; whoever looks for it, or gets its lock, looks at the mailbox anew and may see another."""
        self._open_again()
        mail = self._driver.locate(uid)
        try:
            self._check_same(self._driver)
        except BaseException:
            mail.file.close()
            raise
        return mail

    def _open_again(self) -> None:
        """Have the mailbox open, whatever happened while somebody was waited for.

        Raises MailboxMissing if another one has the name now, and what opening a mailbox raises.
        """
        if self._step == self._loop.steps:
            return
        driver = self._store.still_open(self._driver, self._name, self._uid_validity_asked)
        self._check_same(driver)
        self._driver = driver
        self._step = self._loop.steps

    def _check_same(self, driver: Driver) -> None:
        """Raises MailboxMissing unless this is the mailbox that was opened, and whose key was given.

        Other sessions use the driver, too: each lets it see what is there now.
        """
        is_same = driver.uid_validity == self._uid_validity
        if not is_same or (self._guid is not None and self._guid != driver.guid()):
            raise MailboxMissing("another mailbox has the name now")

    async def _ask_again(self) -> None:
        """Whether what was allowed still is, after somebody was waited for.

        Raises MailboxMissing if the key is another one, or none, or the mailbox may not be read any more.
        """
        self._store.check_rights(self._name)
        if self._guid is not None:
            if await self._store.attributes.lookup(KEY_PATH % self._guid) != self._key_text:
                raise MailboxMissing("the key was reset")

    async def _under_lock(self, chunks: AsyncIterator[bytes], lock: Lock) -> AsyncIterator[bytes]:
        """The chunks, some at once under the lock, and handed on without it: who takes them may take his time."""
        last = False
        while not last:
            held: list[bytes] = []
            await self._when_not_busy(lock.take)
            try:
                while not last and sum(map(len, held)) < READ_AT_ONCE:
                    chunk = await anext(chunks, None)
                    if chunk is None:
                        last = True
                    else:
                        held.append(chunk)
            finally:
                lock.release()
            for chunk in held:
                yield chunk

    async def _when_not_busy(
        self,
        act: Callable[[], Result],
        ask_again: Callable[[], Awaitable[None]] | None = None,
        busy: Busy | None = None,
    ) -> Result:
        """What ``act`` returns, once no writer is in the way; ``ask_again`` comes before each further attempt.

        ``busy`` is what a first attempt came to, if there was one.  Raises Busy when it takes too long.
        """
        began: float | None = None
        pause = SHORTEST_PAUSE
        while True:
            if busy is None:
                try:
                    return act()
                except Busy as error:
                    busy = error
            now = self._loop.now()
            began = now if began is None else began
            if now - began >= busy.seconds:
                raise busy
            busy = None
            await self._loop.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            if ask_again is not None:
                await ask_again()

    def close(self) -> None:
        """Close the mail; the store keeps the mailbox itself for the next URL."""
        if self._mail is not None:
            self._mail.file.close()
            self._mail = None


async def _all_of(text: bytes) -> AsyncIterator[bytes]:
    if text:
        yield text


def believable_size(mail: Located, source: Source) -> int | None:
    """The virtual size that was noted, or None: the line ends are to be counted, which doubles the reading.

    A size that is too large is announced and never reached, which ends the session; one that is not larger than
    what is stored cannot be.  Of a large message the note is believed if the size noted beside it is right, and
    if it leaves each line its CR.
    """
    noted, stored = mail.virtual_size, source.size
    if noted is None or noted <= stored:
        return noted
    is_likely = mail.stored_size == stored and noted <= 2 * stored
    return noted if is_likely and stored > QUICKLY_COUNTED else None
