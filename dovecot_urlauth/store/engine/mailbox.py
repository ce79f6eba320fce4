"""A mailbox of the dovecot engine, in IMAP commands.

An engine keeps the indexes of a mailbox open after a command, and the next URLFETCH takes them as they are: mail
that came meanwhile would not be there, and expunged mail still would.  So an engine that has been used is asked
to EXAMINE the mailbox first, which makes it look.  STATUS may answer from the list of mailboxes; a NOOP is done
behind the commands that follow it, and where the open mailbox was deleted and made again it may call the new one's
index corrupted.  Of a row of URLs, all within 20 ms of it, one look is enough, unless a message is not found.

Where the key of last time has signed the URL that the client came with, the URLFETCH is sent at once, and what it
brings proves the key: the engine holds our own URL, signed with the same key, against the key that the mailbox has
now.  Only if it brings nothing, whatever the reason, is the key asked for.

URLFETCH opens the mailbox anew.  What comes within those 20 ms is read from the mailbox that EXAMINE has opened,
if a URLFETCH has brought something of it since, and GETMETADATA says that the key is the same: 0.06 ms of
Dovecot's together.  What that does not bring, as a mail that came just now, is looked for and fetched as ever.

Dovecot 2.3's imap panics where a stock worker would give up: a part that cannot be decoded, an error of its own.
The next engine then tells the reason, and is asked for the key first: of a dictionary that is down, or a part that
cannot be decoded, only one dies.
"""

from __future__ import annotations

from binascii import Error as NotHex
from binascii import hexlify, unhexlify

from dovecot_urlauth.message.errors import InvalidSection, PartMissing, Undecodable
from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.engine.asked import Asked, asks, part, uid_fetch
from dovecot_urlauth.store.engine.dialogue import Answer, EngineSession
from dovecot_urlauth.store.engine.imap_process import EngineGone, SessionLost
from dovecot_urlauth.store.engine.own_url import own_url, quoted
from dovecot_urlauth.store.engine.partial import (
    begins_inside_a_line_end,
    may_begin_inside_a_line_end,
    one_byte_earlier,
    without_first_byte,
)
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, ReadFailed, StoreError, StoreFailure
from dovecot_urlauth.store.store import Delivery, nothing
from dovecot_urlauth.wire.imapdialogue import Fetched, Metadata, Status, UrlFetch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dovecot_urlauth.message.request import Request
    from dovecot_urlauth.store.engine.engine import EngineStore
    from dovecot_urlauth.store.store import Ahead

KEY_ENTRY = b"/private/vendor/vendor.dovecot/imap-urlauth"
KEY_DIGITS = 128
INVALID_SECTION = "Invalid section"
SHORT = 64 * 1024
"""Bytes of content that are waited for before anything is said of it."""

UNDECODABLE = {
    b"UNKNOWN-CTE": "Unknown Content-Transfer-Encoding.",
    b"PARSE": "Invalid data in MIME part",
}
"""What 2.3's worker says where its imap panics, by the response code of RFC 3516 that tells why."""

TEMPORARY = frozenset((b"SERVERBUG", b"INUSE", b"UNAVAILABLE", b"CORRUPTION", b"CONTACTADMIN", b"LIMIT"))
"""Response codes (RFC 5530) of failures that are not the mailbox name's fault."""


@frozen
class _Proof:
    """What a fetch ahead has brought; its content, if it has any, is not read yet."""

    uid: int
    request: Request
    session: EngineSession
    reply: UrlFetch | Fetched


class EngineMailbox:
    """A mailbox that exists, as far as the engine is concerned."""

    def __init__(self, store: EngineStore, mailbox: bytes, quoted: bytes, uidvalidity: int) -> None:
        self._store = store
        self._mailbox = mailbox
        self._quoted = quoted
        self._uidvalidity = uidvalidity
        self._key: bytes | None = None
        self._proof: _Proof | None = None
        self._deadly: tuple[Asked, EngineGone] | None = None
        """The fetch ahead that an engine died of, and how."""
        #: Whether the engine was not asked to look, because it had just done so.
        self._has_just_looked = False

    async def open(self, ahead: Ahead | None) -> None:
        """Let the engine see the mailbox as it is now, read the key, and ask for what is ``ahead`` if that may be.

        Raises MailboxMissing, MailboxRefused or StoreFailure.
        """
        session = self._store.session()
        asked = self._asked_ahead(ahead)
        try:
            await self._open_with(session, asked)
        except EngineGone as gone:
            if not isinstance(gone, SessionLost):
                if asked is None or session.is_late:
                    raise
                self._deadly = asked, gone
            self._store.log(f"{gone.text}: asking again")
            self._store.forget_key(self._quoted)
            await self._open_with(self._store.session(), None)

    def _asked_ahead(self, ahead: Ahead | None) -> Asked | None:
        """The fetch that may be sent together with the question for the key."""
        if ahead is None or not asks(ahead.request) or may_begin_inside_a_line_end(ahead.request):
            return None
        key = self._store.last_key(self._quoted)
        if key is None or not ahead.is_signed_with(key):
            return None
        return Asked(ahead.uid, ahead.request, key)

    def _own_url(self, asked: Asked) -> bytes:
        store, uidvalidity = self._store, self._uidvalidity
        return own_url(store.user, store.host, self._mailbox, uidvalidity, asked.uid, asked.request, asked.key)

    async def _open_with(self, session: EngineSession, asked: Asked | None) -> None:
        """Look, and fetch what was asked for ahead; where that brings nothing, read the key."""
        self._has_just_looked = session.has_just_looked_into(self._quoted)
        looks = not session.is_fresh and not self._has_just_looked
        if asked is not None:
            command = uid_fetch(asked.uid, asked.request)
            if command is not None and session.has_open(self._quoted, self._uidvalidity):
                if await self._read_open(session, asked, command):
                    return
                looks, self._has_just_looked = True, False
            await self._send(session, asked.urlfetch(self._own_url(asked)), looks=looks)
            reply, _ = await self._reply(session)
            if reply is not None and _brings_something(reply):
                self._key, self._proof = asked.key, _Proof(asked.uid, asked.request, session, reply)
                session.has_fetched_from(self._quoted, self._uidvalidity)
                return
            looks, self._has_just_looked = self._has_just_looked, False
        await self._send(session, self._ask_for_key(), looks=looks)
        answer = await session.answer()
        if answer.status.condition != b"OK":
            raise await self._why_not_opened(answer.status)
        found = self._entry_in(answer)
        if found is None:
            raise MailboxMissing("no mailbox has this name")
        self._key = self._decode_key(found.value)
        self._store.remember_key(self._quoted, self._key)

    async def _read_open(self, session: EngineSession, asked: Asked, command: bytes) -> bool:
        """Fetch from the mailbox that is open, if that has its key still; whether it has brought something.

        Not before the key is known: where the name is another mailbox's by now, 2.3 calls that one's index
        corrupted when it reads from the one of before, and its key is lost.
        """
        found = self._entry_in(await session.call(self._ask_for_key()))
        if found is None or found.value != hexlify(asked.key):
            return False
        session.send(command)
        while not isinstance(event := await session.next_event(), Status) or event.tag == b"*":
            if isinstance(event, Fetched):
                if event.uid != asked.uid or not event.size:
                    break
                self._key, self._proof = asked.key, _Proof(asked.uid, asked.request, session, event)
                return True
        await session.skip()
        return False

    def _ask_for_key(self) -> bytes:
        return b"GETMETADATA %s (%s)" % (self._quoted, KEY_ENTRY)

    async def _send(self, session: EngineSession, command: bytes, *, looks: bool) -> None:
        """Send a command, behind one that makes the engine look, if it has to."""
        if not looks:
            session.send(command)
            return
        session.send(b"EXAMINE " + self._quoted, command)
        # that there is no such mailbox, the command finds out
        session.looks_into(self._quoted)
        await session.answer()

    def _entry_in(self, answer: Answer) -> Metadata | None:
        """What GETMETADATA said of this mailbox."""
        values = (event for event in answer.events if isinstance(event, Metadata))
        if b"%" in self._quoted or b"*" in self._quoted:
            # GETMETADATA takes patterns: others may match, and that nothing does is no error.
            values = (event for event in values if quoted(event.mailbox) == self._quoted)
        return next(values, None)

    async def key(self) -> bytes | None:
        """The mailbox key, 64 bytes, as it was when the mailbox was opened; None if there is none."""
        return self._key

    async def fetch(self, uid: int, request: Request) -> Delivery:
        """What ``request`` asks for of message ``uid``.

        Raises MailboxMissing when the mailbox has another UIDVALIDITY, ReadFailed, PartMissing, Undecodable or
        StoreFailure; its chunks may raise StoreFailure.
        """
        if not asks(request):
            return Delivery(0, False, None, nothing())
        await self._check_decodable(uid, request)
        try:
            return await self._fetch_range(uid, request)
        except EngineGone as death:
            why = await self._why_died(death, uid, request)
            if isinstance(why, Undecodable) or not isinstance(death, SessionLost):
                raise why from None
        except (ReadFailed, MailboxMissing):
            if not self._has_just_looked:
                raise
            # a row of URLs, and a mail that came just now
            await self._store.call(b"EXAMINE " + self._quoted)
        return await self._fetch_range(uid, request)

    async def _check_decodable(self, uid: int, request: Request) -> None:
        """Raises Undecodable if that was what killed the engine when it was asked for the same ahead."""
        deadly, self._deadly = self._deadly, None
        if deadly is None or not request.binary:
            return
        asked, death = deadly
        if asked.uid == uid and asked.request is request:
            why = await self._why_died(death, uid, request)
            if isinstance(why, Undecodable):
                raise why

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
        proof, self._proof = self._proof, None
        if proof is not None and proof.uid == uid and proof.request is request:
            return await _delivery(proof.reply, proof.session)
        asked, session = Asked(uid, request, self._key), self._store.session()
        url = self._own_url(asked)
        session.send(asked.urlfetch(url))
        reply, said = await self._reply(session)
        if reply is None:
            raise StoreFailure(f"imap: {_text(said)}")
        if not _brings_something(reply):
            raise self._why_not_fetched(url, said)
        return await _delivery(reply, session)

    async def _reply(self, session: EngineSession) -> tuple[UrlFetch | None, bytes]:
        """What URLFETCH brings, up to its content, if that follows; and the last NO that was said before its end.

        None if it was not done, and why it was not.
        """
        reply: UrlFetch | None = None
        said = b""
        while True:
            event = await session.next_event()
            if isinstance(event, UrlFetch):
                reply = event
                if reply.size:
                    return reply, said
            elif isinstance(event, Status):
                if event.tag != b"*":
                    break
                said = event.text if event.condition == b"NO" else said
        if event.condition != b"OK" or reply is None:
            return None, event.text
        return reply, said

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
            command = b"UID FETCH %d BINARY.SIZE[%s]" % (uid, part(request))
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


def _brings_something(reply: UrlFetch) -> bool:
    """Whether the engine let us have the message; for a refusal it brings NIL."""
    return reply.structure is not None or reply.size is not None


async def _delivery(reply: UrlFetch | Fetched, session: EngineSession) -> Delivery:
    """What is short is read at once: if it breaks off, nothing was promised yet."""
    structure = reply.structure if isinstance(reply, UrlFetch) else None
    if not reply.size:
        return Delivery(0, False, structure, nothing())
    chunks = session.content(reply.size)
    if reply.size > SHORT:
        return Delivery(reply.size, reply.literal8, structure, chunks)
    data = b"".join([chunk async for chunk in chunks])
    return Delivery(reply.size, reply.literal8, structure, _in_one(data), data)


async def _in_one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _without_timing(text: bytes) -> bytes:
    """A tagged response's text without ``(0.001 + 0.000 secs).``"""
    start = text.rfind(b" (")
    return text[:start] if start >= 0 and text.endswith(b" secs).") else text.removesuffix(b".")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
