"""``share``, ``fetch``, ``revoke`` and ``keys``: what people do with URLAUTH, through Dovecot and its rights."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from dovecot_urlauth.admin.live.failure import LiveFailure
from dovecot_urlauth.admin.live.fetch import Refused
from dovecot_urlauth.admin.live.giventext import lacks, read_url, without_tokens
from dovecot_urlauth.admin.live.ownimap import mailbox_name, mailbox_word
from dovecot_urlauth.admin.live.urls import access, expiry, rump, section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dovecot_urlauth.admin.live.dovecot import LiveDovecot

BAR_WIDTH = 40


@dataclass(frozen=True)
class Share:
    """What is shared, with whom and for how long; a reader of None is anybody."""

    owner: str
    mailbox: str
    uid: int
    part: str | None
    reader: str | None
    duration: str | None


def share(dovecot: LiveDovecot, wish: Share) -> str:
    """The signed URL. Raises LiveFailure, WrongUsage for what is no duration."""
    end = expiry(wish.duration, time.time())
    mailbox = mailbox_word(wish.mailbox)
    with dovecot.imap(wish.owner) as imap:
        uidvalidity = imap.uidvalidity(mailbox)
        if uidvalidity is None:
            raise LiveFailure("imap", f"{wish.owner} has no mailbox {wish.mailbox}")
        if not imap.has_message(mailbox, wish.uid):
            raise LiveFailure("imap", f"{wish.mailbox} of {wish.owner} has no message with UID {wish.uid}")
        if wish.part and not imap.has_part(wish.uid, wish.part):
            raise LiveFailure("imap", f"UID {wish.uid} in {wish.mailbox} of {wish.owner} has no part {wish.part}")
        message = rump(wish.owner, dovecot.server, wish.mailbox, uidvalidity, wish.uid)
        return imap.sign(message + section(wish.part) + end + access(wish.reader))


def reader_of(url: str) -> str:
    """Whom a URL is for. Raises LiveFailure where that is nobody in particular, InvalidURL."""
    reader = read_url(url).access_user
    if not reader:
        raise LiveFailure("url", "is for nobody in particular", "say with --as in whose name it is fetched")
    return os.fsdecode(reader)


def fetch(dovecot: LiveDovecot, url: str, reader: str, output: IO[bytes], *, decoded: bool) -> int:
    """Write what ``url`` names to ``output``, if ``reader`` may have it; return its size in bytes.

    Raises LiveFailure, InvalidURL.
    """
    parsed = read_url(url)
    owner = parsed.user
    if not owner:
        raise LiveFailure("url", "names no user, so nobody's mail")
    if lack := lacks(parsed):
        raise LiveFailure("url", lack)
    with dovecot.urlauth(reader) as session:
        session.select(owner.decode(errors="surrogateescape"))
        answer = session.fetch(url, decoded=decoded)
        if isinstance(answer, Refused):
            raise LiveFailure(
                "imap-urlauth-worker",
                without_tokens(answer.text) or "refused without a reason",
                "see: dovecot-urlauth test URL",
            )
        progress = Progress(answer.size)
        for piece in answer.pieces:
            output.write(piece)
            progress.add(len(piece))
        progress.end()
        return answer.size


def revoke(dovecot: LiveDovecot, owner: str, mailbox: str) -> None:
    """Make every URL of ``mailbox`` worthless that was ever signed. Raises LiveFailure."""
    with dovecot.imap(owner) as imap:
        imap.expect(f"reset the key of {mailbox}", b"RESETKEY", mailbox_word(mailbox))


def keys(dovecot: LiveDovecot, owner: str) -> Iterator[str]:
    """The mailboxes that have a key, so that URLs of them may be about; names as the other commands take them."""
    with dovecot.imap(owner) as imap:
        for mailbox in imap.mailboxes():
            if imap.key(mailbox) is not None:
                yield mailbox_name(mailbox)


class Progress:
    """A bar on standard error while data goes elsewhere; nothing where that is no terminal."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._done = 0
        self._shown = -1
        self._visible = sys.stderr.isatty() and not sys.stdout.isatty()

    def add(self, count: int) -> None:
        """So many more bytes have gone."""
        self._done += count
        filled = self._done * BAR_WIDTH // self._size
        if self._visible and filled != self._shown:
            self._shown = filled
            bar = "#" * filled + "-" * (BAR_WIDTH - filled)
            sys.stderr.write(f"\r[{bar}] {self._done} of {self._size} bytes")
            sys.stderr.flush()

    def end(self) -> None:
        """The line is done with."""
        if self._visible:
            sys.stderr.write("\n")
