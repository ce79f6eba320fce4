"""The dovecot engine: a store that asks Dovecot's own ``imap``, and so is right wherever Dovecot is.

``URLFETCH`` of one's own URL runs through the very functions that the stock worker uses (imap-urlauth-fetch.c
and imap-msgpart-url.c), so drivers, plugins, namespaces and access rights are exact by construction.  Policy
stays ours: the mailbox key is read with ``GETMETADATA`` for every URL (RESETKEY may have changed it), the
caller's token is verified by us, and the engine is asked for a URL that we sign ourselves.

An engine keeps the indexes of a mailbox open after a command, and the next URLFETCH takes them as they are: mail
that came meanwhile would not be there, and expunged mail still would.  So an engine that has been used is asked
to EXAMINE the mailbox first, which makes it look; STATUS may answer from the list of mailboxes.

Dovecot 2.3's imap panics where a stock worker would give up: a part that cannot be decoded.  The next engine
then tells the reason.

A session at another backend may be lost at any moment, which is first noticed when it is needed: what had no
answer yet is asked once more, of a new session.  No command changes anything, so it may be asked twice.
"""

from __future__ import annotations

from binascii import Error as NotHex
from binascii import unhexlify

from dovecot_urlauth.message.errors import InvalidSection, PartMissing, Undecodable
from dovecot_urlauth.message.section import parse_section
from dovecot_urlauth.store.engine.dialogue import Answer, EngineSession
from dovecot_urlauth.store.engine.imap_process import EngineGone, SessionLost
from dovecot_urlauth.store.engine.own_url import own_url, quoted_mailbox
from dovecot_urlauth.store.engine.partial import begins_inside_a_line_end, one_byte_earlier, without_first_byte
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, ReadFailed, StoreError, StoreFailure
from dovecot_urlauth.store.store import Delivery, nothing
from dovecot_urlauth.wire.imapdialogue import Metadata, Status, UrlFetch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.message.request import Request
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.store.engine.dialogue import ImapStart

KEY_ENTRY = b"/private/vendor/vendor.dovecot/imap-urlauth"
KEY_DIGITS = 128
NAME_LIMIT = 4096
"""Bytes; no longer name can exist (PATH_MAX)."""
INVALID_SECTION = "Invalid section"

UNDECODABLE = {
    b"UNKNOWN-CTE": "Unknown Content-Transfer-Encoding.",
    b"PARSE": "Invalid data in MIME part",
}
"""What 2.3's worker says where its imap panics, by the response code of RFC 3516 that tells why."""

TEMPORARY = frozenset((b"SERVERBUG", b"INUSE", b"UNAVAILABLE", b"CORRUPTION", b"CONTACTADMIN", b"LIMIT"))
"""Response codes (RFC 5530) of failures that are not the mailbox name's fault."""


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
        self._log = log
        self._session: EngineSession | None = None
        self._loop = loop
        self._again: Callable[[], EngineStore] = lambda: EngineStore(user, command, log, loop)
        self._is_used = False

    def start(self) -> None:
        """Starts the engine now, without waiting for it: it gets ready while the client sends its URL."""
        if self._session is None:
            self._session = EngineSession(self._command, self._log, self._loop)

    async def open(self, mailbox: bytes, uidvalidity: int) -> EngineMailbox:
        """The mailbox with a name as in the URL, in UTF-8; its UIDVALIDITY is compared when it is read.

        Raises MailboxRefused, MailboxMissing or StoreFailure.
        """
        try:
            name = mailbox.decode()
        except UnicodeDecodeError:
            raise MailboxMissing("not UTF-8") from None
        if not 0 < len(mailbox) <= NAME_LIMIT or any(sign < " " for sign in name):
            # Dovecot makes no such names, and repeats them as they are in the text of a response
            raise MailboxMissing("no mailbox can have this name")
        opened = EngineMailbox(self, mailbox, quoted_mailbox(name), uidvalidity)
        await opened.read_key()
        return opened

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

    async def call(self, command: bytes, first: bytes = b"") -> Answer:
        """Runs a command without content, and ``first`` in an engine that has been used; raises StoreFailure."""
        session = self.session()
        try:
            return await session.call(*([first] if first and not session.is_fresh else []), command)
        except SessionLost as lost:
            self._log(f"{lost.text}: asking again")
            return await self.session().call(command)

    def rest(self) -> None:
        """Ends an engine that is in the middle of something; another one is kept."""
        if self._session is not None and not self._session.usable:
            self.close()

    def close(self) -> None:
        """Ends the engine."""
        if self._session is not None:
            self._session.close()
            self._session = None


class EngineMailbox:
    """A mailbox that exists, as far as the engine is concerned."""

    def __init__(self, store: EngineStore, mailbox: bytes, quoted: bytes, uidvalidity: int) -> None:
        self._store = store
        self._mailbox = mailbox
        self._quoted = quoted
        self._uidvalidity = uidvalidity
        self._key: bytes | None = None

    async def read_key(self) -> None:
        """Reads the mailbox key, and lets the engine see the mailbox as it is now.

        Raises MailboxMissing, MailboxRefused or StoreFailure.
        """
        command = b"GETMETADATA %s (%s)" % (self._quoted, KEY_ENTRY)
        answer = await self._store.call(command, first=b"EXAMINE " + self._quoted)
        if answer.status.condition != b"OK":
            raise await self._why_not_opened(answer.status)
        values = [event for event in answer.events if isinstance(event, Metadata)]
        if b"%" in self._quoted or b"*" in self._quoted:
            # GETMETADATA takes patterns: others may match, and that nothing does is no error.
            values = [event for event in values if b'"%s"' % event.mailbox == self._quoted]
        if not values:
            raise MailboxMissing("no mailbox has this name")
        self._key = self._decode_key(values[0].value)

    async def key(self) -> bytes | None:
        """The mailbox key, 64 bytes, as it was when the mailbox was opened; None if there is none."""
        return self._key

    async def fetch(self, uid: int, request: Request) -> Delivery:
        """What ``request`` asks for of message ``uid``.

        Raises MailboxMissing when the mailbox has another UIDVALIDITY, ReadFailed, PartMissing, Undecodable or
        StoreFailure; its chunks may raise StoreFailure.
        """
        if not (request.body or request.binary or request.structure):
            return Delivery(0, False, None, nothing())
        try:
            return await self._fetch_range(uid, request)
        except EngineGone as death:
            why = await self._why_died(death, uid, request)
            if isinstance(why, Undecodable) or not isinstance(death, SessionLost):
                raise why from None
        return await self._fetch_range(uid, request)

    def close(self) -> None:
        """Nothing is held between commands."""

    async def _fetch_range(self, uid: int, request: Request) -> Delivery:
        if not await begins_inside_a_line_end(request, lambda probe: self._read(uid, probe)):
            return await self._fetch(uid, request)
        found = await self._fetch(uid, one_byte_earlier(request))
        chunks = without_first_byte(found.chunks)
        return Delivery(found.size - 1, found.has_nuls, found.structure, chunks)

    async def _read(self, uid: int, request: Request) -> bytes:
        found = await self._fetch(uid, request)
        return b"".join([chunk async for chunk in found.chunks])

    async def _fetch(self, uid: int, request: Request) -> Delivery:
        if self._key is None:
            raise StoreFailure("a mailbox without a key cannot be read")
        store = self._store
        url = own_url(store.user, store.host, self._mailbox, self._uidvalidity, uid, request, self._key)
        session = self._store.session()
        session.send(b'URLFETCH ("%s" %s)' % (url, _items(request)))
        reply: UrlFetch | None = None
        said = b""
        while True:
            event = await session.next_event()
            if isinstance(event, UrlFetch):
                reply = event
                if reply.size:
                    chunks = session.content(reply.size)
                    return Delivery(reply.size, reply.literal8, reply.structure, chunks)
            elif isinstance(event, Status):
                if event.tag != b"*":
                    break
                said = event.text if event.condition == b"NO" else said
        if event.condition != b"OK" or reply is None:
            raise StoreFailure(f"imap: {_text(event.text)}")
        if reply.structure is None and reply.size is None:
            raise self._why_not_fetched(url, said)
        return Delivery(0, False, reply.structure, nothing())

    def _why_not_fetched(self, url: bytes, said: bytes) -> Exception:
        """The error behind ``* NO Failed to read URLAUTH "<url>": <text>.``

        One that begins with ``Failed to fetch`` is about the mailbox, which had a key: its UIDVALIDITY is
        another, or it is no more what it was.
        """
        verb, _, reason = said.removesuffix(b".").partition(b' URLAUTH "%s": ' % url)
        text = _text(reason)
        if verb != b"Failed to read":
            bad_section = text.endswith(INVALID_SECTION)
            return InvalidSection(INVALID_SECTION) if bad_section else MailboxMissing(text)
        if text == "Message part not found":
            return PartMissing(text)
        if any(text.startswith(known.removesuffix(".")) for known in UNDECODABLE.values()):
            return Undecodable(text)
        return ReadFailed(text)

    async def _why_not_opened(self, refusal: Status) -> StoreError:
        """Tells bad names, whose text the client may see, from names that merely are not there."""
        examined = (await self._store.call(b"EXAMINE " + self._quoted)).status
        if examined.condition == b"OK" or examined.code in TEMPORARY:
            return StoreFailure(f"imap: {_text(refusal.text)}")
        text = _text(_without_timing(examined.text))
        return MailboxRefused(text) if examined.code == b"CANNOT" else MailboxMissing(text)

    async def _why_died(self, death: EngineGone, uid: int, request: Request) -> Exception:
        """Asks a new engine what its predecessor died of."""
        if not request.binary:
            return death
        try:
            await self._store.call(b"EXAMINE " + self._quoted)
            command = b"UID FETCH %d BINARY.SIZE[%s]" % (uid, _part(request))
            sized = (await self._store.call(command)).status
        except StoreFailure:
            return death
        if sized.code in UNDECODABLE:
            return Undecodable(UNDECODABLE[sized.code])
        return StoreFailure(self._store.session().last_complaint or death.text)

    def _decode_key(self, value: bytes | None) -> bytes | None:
        if value is None:
            return None
        try:
            if len(value) == KEY_DIGITS:
                return unhexlify(value)
        except NotHex:
            pass
        raise StoreFailure(f"imap-urlauth: key found for mailbox {_text(self._mailbox)} is invalid")


def _items(request: Request) -> bytes:
    """The items of URLFETCH; what is asked for decoded and as it is gets decoded, as in the stock worker."""
    items = [b"BODYPARTSTRUCTURE"] if request.structure else []
    if request.binary:
        items.append(b"BINARY")
    elif request.body:
        items.append(b"BODY")
    return b" ".join(items)


def _part(request: Request) -> bytes:
    """The part number whose decoding decides about a section."""
    section = request.parsed or parse_section(request.section)
    return b".".join(b"%d" % number for number in section.path)


def _without_timing(text: bytes) -> bytes:
    """A tagged response's text without ``(0.001 + 0.000 secs).``"""
    start = text.rfind(b" (")
    return text[:start] if start >= 0 and text.endswith(b" secs).") else text.removesuffix(b".")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
