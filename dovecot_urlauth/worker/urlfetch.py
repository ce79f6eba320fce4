"""URL: from the command to the reply, in the order of lib-imap-urlauth/imap-urlauth.c.

A refusal that lies in the client's own words is explained to it, unless it is anonymous.  Everything that
would tell whether a user, a mailbox or a message exists is a bare NO, and takes as long as a wrong token.
"""

from __future__ import annotations

import os
from time import monotonic, time

from dovecot_urlauth.message.errors import InvalidSection, MessageError
from dovecot_urlauth.message.fetch import Request
from dovecot_urlauth.message.section import parse_section
from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, ReadFailed, StoreError
from dovecot_urlauth.store.store import Ahead
from dovecot_urlauth.url.access import Accessor
from dovecot_urlauth.url.check import Policy, Rule, URLRefused, check
from dovecot_urlauth.url.token import verify
from dovecot_urlauth.wire.fetch import LITERAL_END, no_line, ok_line
from dovecot_urlauth.worker.userdb import LookupFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dovecot_urlauth.message.section import Section
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.store.store import Mailbox
    from dovecot_urlauth.url.imapurl import ImapURL
    from dovecot_urlauth.url.rules import URLRules
    from dovecot_urlauth.wire.control import Access
    from dovecot_urlauth.wire.fetch import UrlCommand
    from dovecot_urlauth.worker.events import SessionEvents
    from dovecot_urlauth.worker.target import OpenedTarget
    from dovecot_urlauth.worker.userdb import Userdb

URLAUTH = b";urlauth="
REFUSAL_TIME = 0.002
"""Seconds that the refusal of a token takes, whether a user, mailbox or key was there to be looked at or not."""
LOOP_PRECISION = 0.001
"""Seconds by which a sleep of the loop may last longer: epoll counts in milliseconds."""
UNVERIFIED = "URLAUTH verification failed"
WHOLE = parse_section(b"")

SECTION, MAILBOX, TOKEN, MESSAGE, EMPTY, STORE = "section", "mailbox", "token", "message", "empty", "store"
"""The rules that refuse what has passed those of ``url.check``, as stats is told of them."""


@frozen
class Reply:
    """The first line, with what is short behind it, and the ``chunks`` that follow; None when nothing follows.

    Behind data stands its end.
    """

    line: bytes
    chunks: AsyncIterator[bytes] | None = None
    size: int = 0
    """Bytes of data."""
    refusal: str = ""
    """Why it is a NO, also where the client is not told."""
    rule: str = ""
    """Which rule makes it a NO: a word of ours, one of few."""


@frozen
class Asked:
    """A URL that was checked, and what its command asks of the store."""

    command: UrlCommand
    url: ImapURL
    request: Request
    ahead: Ahead


class UrlFetcher:
    """Answers URL commands of one client about one target user's mail."""

    def __init__(
        self,
        loop: Loop,
        target: OpenedTarget,
        access: Access,
        rules: URLRules,
        userdb: Userdb,
        log: Log,
        *,
        refusal_time: float = REFUSAL_TIME,
        events: SessionEvents | None = None,
    ) -> None:
        """``target``'s store is this client's own, and closed with the fetcher."""
        self._refusal_time = refusal_time
        self._loop = loop
        self._target = target
        self._accessor = Accessor(access.user, access.service, access.applications)
        self._rules = rules
        self._userdb = userdb
        self._log = log
        self._policy = Policy(target.host, target.port, target.name, target.is_anonymous)
        self._mailbox: Mailbox | None = None
        self._last_checked: tuple[bytes, ImapURL] | None = None
        self._last_asked: Asked | None = None
        self._last_signed: tuple[ImapURL | None, bytes | None] = (None, None)
        """A URL whose token was right, and the key that it was made with."""
        self._events = events

    async def fetch(self, command: UrlCommand) -> Reply:
        """Return the reply; its chunks are valid until the next call. Raises what is no failure to fetch."""
        if self._log.pipe.debugging:
            self._log.debug(f"Fetching URLAUTH {without_token(command.url)}")
        self._close_mailbox()
        try:
            reply = await self._fetch(command)
        except (URLRefused, StoreError, MessageError, OSError, MemoryError) as error:
            reply = self.refuse(command, error)
        if reply.chunks is None:
            self._close_mailbox()  # others may wait for what it holds
        return reply

    def refuse(self, command: UrlCommand, error: Exception) -> Reply:
        """The NO for a failure that :meth:`fetch` or the chunks of its reply met."""
        if isinstance(error, URLRefused):
            return self._no(command, "fetch", error.text, error.rule.value)
        if isinstance(error, MailboxRefused | MailboxMissing):
            return self._bare_no(command, "Invalid UIDVALIDITY", MAILBOX)
        if isinstance(error, MessageError | ReadFailed):
            return self._no(command, "read", error.text, MESSAGE)
        verb, why = _broken(error)
        self._log.error(f'Failed to {verb} URLAUTH "{without_token(command.url)}": {why}')
        return Reply(no_line(), refusal=why, rule=STORE)

    def close(self) -> None:
        """End the session with the store."""
        self._close_mailbox()
        if self._target.store is not None:
            self._target.store.close()

    async def _fetch(self, command: UrlCommand) -> Reply:
        url = self._checked_before(command.url) or await self._check(command.url)
        asked = self._last_asked
        if asked is None or asked.url is not url or asked.command is not command:
            try:
                section = parse_section(url.section) if url.section else WHOLE
            except InvalidSection as error:
                return self._bare_no(command, f"Invalid URLAUTH: {error.text}", SECTION)
            request = _request(url, section, command)
            ahead = Ahead(url.uid, request, lambda key: verify(url, key))
            asked = self._last_asked = Asked(command, url, request, ahead)
        began = monotonic()
        mailbox, key, why = await self._open(url, asked.ahead)
        if not self._is_signed(url, key) or mailbox is None:
            await self._wait_until(began + self._refusal_time)
            return self._bare_no(command, why, TOKEN if mailbox is not None else MAILBOX)
        return await self._read(mailbox, url, asked.request)

    async def _check(self, url: bytes) -> ImapURL:
        """Everything that can be said before a mailbox is opened. Raises URLRefused."""
        spellings: list[bytes] = []

        def note(user: bytes) -> bool:
            spellings.append(user)
            return True

        checked = check(url, self._accessor, self._policy, self._rules, int(time()), note)
        for user in spellings:
            if not await self._is_target(user):
                raise URLRefused(self._rules.other_user.format(user=os.fsdecode(user)), Rule.USER)
        self._last_checked = None if spellings else (url, checked)
        return checked

    def _checked_before(self, text: bytes) -> ImapURL | None:
        """The URL that was checked last, if this is it and time has not changed the answer.

        A client that wants a structure first and then the parts, or a part in pieces of its own, names it again.
        """
        last, url = self._last_checked or (b"", None)
        if url is None or text != last or (url.expire is not None and int(time()) > url.expire):
            return None
        return url

    async def _is_target(self, user: bytes) -> bool:
        """Whether the userdb knows ``user`` under the target's name."""
        if user == self._target.asked_for:
            return True
        try:
            reply = await self._userdb.ask(user, debug=self._log.pipe.debugging)
        except LookupFailed as error:
            self._log.error(f"URLAUTH userid lookup failed: {error}")
            return False
        return reply is not None and reply.name == self._target.name

    def _is_signed(self, url: ImapURL, key: bytes | None) -> bool:
        """Whether the token was made with ``key``: for the same two once more it is."""
        signed, signed_with = self._last_signed
        if key is not None and url is signed and key == signed_with:
            return True
        if not verify(url, key):
            return False
        self._last_signed = (url, key)
        return True

    async def _open(self, url: ImapURL, ahead: Ahead) -> tuple[Mailbox | None, bytes | None, str]:
        """The mailbox, its key, and what a refusal is to be put down to in the log.

        Where there is no such mailbox, or none of that name can be, the token is verified all the same, with a
        random key: neither the answer nor, as far as can be, its time tells which mailboxes there are.
        """
        if self._target.store is None:
            return None, None, UNVERIFIED
        try:
            self._mailbox = await self._target.store.open(url.mailbox or b"", url.uidvalidity, ahead)
            began = time()
            key = await self._mailbox.key()
            if self._events is not None:
                self._events.looked_up_key(began, found=key is not None)
            return self._mailbox, key, UNVERIFIED
        except MailboxRefused as refused:
            return None, None, f"Invalid URLAUTH: {refused.text}"
        except MailboxMissing:
            return None, None, UNVERIFIED

    async def _wait_until(self, moment: float) -> None:
        """Wait for a moment of the monotonic clock, which the loop alone would miss by up to a millisecond."""
        await self._loop.sleep(moment - monotonic() - LOOP_PRECISION)
        while monotonic() < moment:
            await self._loop.turn()

    async def _read(self, mailbox: Mailbox, url: ImapURL, request: Request) -> Reply:
        began = time()
        content = await mailbox.fetch(url.uid, request)
        if self._events is not None:
            self._events.opened_mail(url, began)
        if (request.body or request.binary) and content.size == 0:
            # imap forgets the line end behind a literal of no bytes, and its client waits for ever.
            self._log.debug("Fetched URLAUTH yielded empty result")
            return Reply(no_line(), refusal="empty result", rule=EMPTY)
        if self._log.pipe.debugging:
            kind = "binary message" if request.binary else "message"
            self._log.debug(f"Fetched URLAUTH yielded {content.size} bytes of {kind} data")
        line = ok_line(content.size, has_nuls=content.has_nuls, structure=content.structure)
        if content.whole:
            return Reply(line + content.whole + LITERAL_END, size=content.size)
        return Reply(line, _with_end(content.chunks), content.size) if content.size else Reply(line)

    def _no(self, command: UrlCommand, verb: str, why: str, rule: str) -> Reply:
        """A refusal that lies in the client's own words."""
        self._log.debug(f'Failed to {verb} URLAUTH "{without_token(command.url)}": {why}')
        if self._accessor.user is None:
            return Reply(no_line(), refusal=why, rule=rule)
        text = f'Failed to {verb} URLAUTH "{os.fsdecode(command.url)}": {why}'
        return Reply(no_line(os.fsencode(text)), refusal=why, rule=rule)

    def _bare_no(self, command: UrlCommand, why: str, rule: str) -> Reply:
        self._log.debug(f'Failed to fetch URLAUTH "{without_token(command.url)}": {why}')
        return Reply(no_line(), refusal=why, rule=rule)

    def _close_mailbox(self) -> None:
        if self._mailbox is not None:
            self._mailbox.close()
            self._mailbox = None


def _request(url: ImapURL, section: Section, command: UrlCommand) -> Request:
    """What the URL and the command's flags ask for."""
    return Request(
        section=url.section or b"",
        partial_offset=url.partial_offset,
        partial_size=url.partial_size or None,
        body=command.body,
        binary=command.binary,
        structure=command.structure,
        parsed=section,
    )


def without_token(url: bytes) -> str:
    """The URL as a log may show it: whoever has its token may use it.

    Nothing is shown of what stands where a token could, however short or misplaced it is.
    """
    start = url.lower().find(URLAUTH)
    if start >= 0:
        access, *rest = url[start:].split(b":", 2)  # the mechanism is shown if something stands behind it
        return os.fsdecode(url[:start] + b":".join([access, *rest[:-1]])) + (":..." if rest else "")
    head, colon, last = url.rpartition(b":")
    if not colon or last.startswith(b"//"):
        return os.fsdecode(url)
    return os.fsdecode(head) + ":..."


def _broken(error: Exception) -> tuple[str, str]:
    """What went wrong at doing what, where nobody but the administrator can help."""
    if isinstance(error, StoreError):
        return "fetch", error.text
    return "read", "Out of memory" if isinstance(error, MemoryError) else f"read() failed: {error}"


async def _with_end(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk
    yield LITERAL_END
