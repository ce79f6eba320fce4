"""URL: from the command to the reply, in the order of lib-imap-urlauth/imap-urlauth.c.

A refusal that lies in the client's own words is explained to it, unless it is anonymous.  Everything that
would tell whether a user, a mailbox or a message exists is a bare NO, and takes as long as a wrong token.
"""

from __future__ import annotations

import os
from time import time

from dovecot_urlauth.message.errors import InvalidSection, MessageError
from dovecot_urlauth.message.fetch import Request
from dovecot_urlauth.message.section import parse_section
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, ReadFailed, StoreFailure
from dovecot_urlauth.url.check import Policy, URLRefused, check
from dovecot_urlauth.url.token import verify
from dovecot_urlauth.wire.fetch import LITERAL_END, no_line, ok_line
from dovecot_urlauth.wire.value import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.store.store import Mailbox
    from dovecot_urlauth.url.access import Accessor
    from dovecot_urlauth.url.imapurl import ImapURL
    from dovecot_urlauth.url.rules import URLRules
    from dovecot_urlauth.wire.fetch import UrlCommand
    from dovecot_urlauth.worker.target import Target


SHORTEST_TOKEN = 32
"""Hex digits; nothing shorter behind the last colon is taken for a token (lib-imap/imap-url.c)."""


@record(frozen=True, slots=True)
class Reply:
    """The first line, and behind it ``chunks`` with their end; None when nothing follows."""

    line: bytes
    chunks: Iterator[bytes] | None = None


class Answerer:
    """Answers URL commands for one target user."""

    def __init__(
        self,
        target: Target,
        accessor: Accessor,
        rules: URLRules,
        same_user: Callable[[bytes], bool],
        log: Log,
    ) -> None:
        self._target = target
        self._accessor = accessor
        self._rules = rules
        self._same_user = same_user
        self._log = log
        self._policy = Policy(target.host, target.port, target.name)
        self._mailbox: Mailbox | None = None

    def answer(self, command: UrlCommand) -> Reply:
        """Return the reply; its chunks are valid until the next call."""
        shown = os.fsdecode(command.url)
        self._log.debug(f"Fetching URLAUTH {without_token(command.url)}")
        self._close_mailbox()
        try:
            return self._fetch(command)
        except URLRefused as refused:
            return self._no(command, f'Failed to fetch URLAUTH "{shown}": {refused.text}')
        except MailboxRefused as refused:
            return self._no(command, f'Failed to fetch URLAUTH "{shown}": Invalid URLAUTH: {refused.text}')
        except (MessageError, ReadFailed) as failed:
            return self._no(command, f'Failed to read URLAUTH "{shown}": {failed.text}')
        except MailboxMissing:
            return self._bare_no(command, "Invalid UIDVALIDITY")
        except MemoryError:
            self._log.error(f'Failed to read URLAUTH "{without_token(command.url)}": Out of memory')
            return Reply(no_line())
        except StoreFailure as failure:
            self._log.error(f'Failed to fetch URLAUTH "{without_token(command.url)}": {failure.text}')
            return Reply(no_line())

    def close(self) -> None:
        """End the session with the store."""
        self._close_mailbox()
        if self._target.store is not None:
            self._target.store.close()

    def _fetch(self, command: UrlCommand) -> Reply:
        url = check(command.url, self._accessor, self._policy, self._rules, int(time()), self._same_user)
        try:
            parse_section(url.section or b"")
        except InvalidSection as error:
            return self._bare_no(command, f"Invalid URLAUTH: {error.text}")
        if not self._open(url):
            return self._bare_no(command, "URLAUTH verification failed")
        return self._read(url, command)

    def _open(self, url: ImapURL) -> bool:
        """Open the mailbox and verify the token; without a mailbox the same work is done with a random key."""
        key = None
        if self._target.store is not None:
            try:
                self._mailbox = self._target.store.open(url.mailbox or b"", url.uidvalidity)
                key = self._mailbox.key()
            except MailboxMissing:
                key = None
        return verify(url, key)

    def _read(self, url: ImapURL, command: UrlCommand) -> Reply:
        if self._mailbox is None:
            raise AssertionError("a verified URL without its mailbox")
        wants_data = command.body or command.binary
        request = Request(
            section=url.section or b"",
            partial_offset=url.partial_offset,
            partial_size=url.partial_size or None,
            body=command.body,
            binary=command.binary,
            structure=command.structure,
        )
        content = self._mailbox.fetch(url.uid, request)
        if wants_data and content.size == 0:
            # imap forgets the line end behind a literal of no bytes, and its client waits for ever.
            self._log.debug("Fetched URLAUTH yielded empty result")
            return Reply(no_line())
        self._log.debug(
            f"Fetched URLAUTH yielded {content.size} bytes of {'binary ' * command.binary}message data"
        )
        line = ok_line(content.size, has_nuls=content.has_nuls, structure=content.structure)
        return Reply(line, _with_end(content.chunks)) if content.size else Reply(line)

    def _no(self, command: UrlCommand, text: str) -> Reply:
        """A refusal that lies in the client's own words."""
        self._log.debug(text.replace(os.fsdecode(command.url), without_token(command.url)))
        return Reply(no_line(None if self._accessor.user is None else os.fsencode(text)))

    def _bare_no(self, command: UrlCommand, why: str) -> Reply:
        self._log.debug(f'Failed to fetch URLAUTH "{without_token(command.url)}": {why}')
        return Reply(no_line())

    def _close_mailbox(self) -> None:
        if self._mailbox is not None:
            self._mailbox.close()
            self._mailbox = None


def without_token(url: bytes) -> str:
    """The URL as a log may show it: whoever has its token may use it."""
    rump, colon, token = url.rpartition(b":")
    if not colon or len(token) < SHORTEST_TOKEN:
        return os.fsdecode(url)
    return os.fsdecode(rump) + ":..."


def _with_end(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield from chunks
    yield LITERAL_END
