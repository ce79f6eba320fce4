"""``dovecot-urlauth test URL``: would it be honoured here and now, for whom, and if not, which rule refuses it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.findings import Finding, fail, note, ok
from dovecot_urlauth.admin.live.account import find_account
from dovecot_urlauth.admin.live.failure import LiveFailure
from dovecot_urlauth.admin.live.fetch import Refused
from dovecot_urlauth.admin.live.giventext import lacks, read_url, without_tokens
from dovecot_urlauth.admin.live.ownimap import mailbox_word
from dovecot_urlauth.url.token import verify

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from dovecot_urlauth.admin.live.dovecot import LiveDovecot
    from dovecot_urlauth.url.imapurl import ImapURL


class _RefusedBy(Exception):
    """The rule by which the URL is refused."""


def judge(dovecot: LiveDovecot, text: str, reader: str | None) -> Generator[Finding, None, None]:
    """The rules in the order of the worker, then a fetch. Raises InvalidURL for what is no URL."""
    url = read_url(text)
    try:
        _check_words(dovecot, url)
        yield ok("it is signed, of this server, and has not expired")
        owner = os.fsdecode(url.user or b"")
        find_account(owner, dovecot.file)
        if place := dovecot.elsewhere(owner):
            yield note(f"the mail of {owner} is on {place}: key and message are there, too")
        else:
            yield from _check_mailbox(dovecot, url, owner)
        who = _reader(url, reader, owner)
        service = "submission" if _is(url, b"submit") else "imap"
        with dovecot.urlauth(who, service) as session:
            session.select(owner)
            answer = session.fetch(text)
            if isinstance(answer, Refused):
                why = without_tokens(answer.text) or "without a reason"
                raise _RefusedBy(f"the worker says no to {who}: {why}")
            for _ in answer.pieces:
                continue
        yield ok(f"{who} was given {answer.size} bytes")
    except _RefusedBy as rule:
        yield fail(f"refused: {rule}")
    except LiveFailure as failure:
        yield fail(str(failure))


def _check_words(dovecot: LiveDovecot, url: ImapURL) -> None:
    if lack := lacks(url):
        raise _RefusedBy(lack)
    if url.expire is not None and time.time() > url.expire:
        raise _RefusedBy("it has expired")
    host, _, port = dovecot.server.partition(":")
    if os.fsdecode(url.host or b"") != host or (url.port or 143) != int(port or 143):
        raise _RefusedBy(f"it is of another server than {dovecot.server} (imap_urlauth_host, imap_urlauth_port)")
    if not url.user:
        raise _RefusedBy("it names no user")
    if not url.uid:
        raise _RefusedBy("it names no message")


def _check_mailbox(dovecot: LiveDovecot, url: ImapURL, owner: str) -> Iterator[Finding]:
    name = os.fsdecode(url.mailbox or b"")
    mailbox = mailbox_word(name)
    with dovecot.imap(owner) as imap:
        uidvalidity = imap.uidvalidity(mailbox)
        if uidvalidity is None:
            raise _RefusedBy(f"{owner} has no mailbox {name}")
        if url.uidvalidity not in (0, uidvalidity):
            raise _RefusedBy(f"UIDVALIDITY is {uidvalidity} now: the mailbox was made anew since")
        key = imap.key(mailbox)
        if key is None:
            raise _RefusedBy(f"{name} has no key: it was reset, or no URL of it was ever signed")
        if not verify(url, key):
            raise _RefusedBy(f"the token is not of the key that {name} has: the key was reset, or the URL changed")
        yield ok(f"the token is right for {name} of {owner}")
        if not imap.has_message(mailbox, url.uid):
            raise _RefusedBy(f"the message with UID {url.uid} is gone")
        yield ok(f"the message with UID {url.uid} is there")


def _reader(url: ImapURL, reader: str | None, owner: str) -> str:
    """In whose name it is tried: whoever is asked about, whom the URL is for, or else its owner."""
    if reader is not None:
        return reader
    return os.fsdecode(url.access_user) if url.access_user else owner


def _is(url: ImapURL, application: bytes) -> bool:
    return (url.access_application or b"").lower() == application
