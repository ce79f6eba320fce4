"""What the native store reads beside what Dovecot's own imap reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19
from dovecot_urlauth.message.fetch import Request
from dovecot_urlauth.store.errors import ReadFailed
from dovecot_urlauth.store.fallback import open_store
from tests.store.imap import UID, Dovecot
from tests.store.user import User, user
from tests.store.waiting import LOOP, open_mailbox, wait, whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from dovecot_urlauth.store.store import Store

WHOLE = Request(section=b"", partial_offset=0, partial_size=None, body=True, binary=False, structure=False)
FLAGS = [b"", rb"\Seen", rb"\Answered \Flagged", rb"\Draft \Seen \Deleted", b"$Forwarded", rb"\Seen NonJunk"]


def bob_of(dovecot: Dovecot, changes: Mapping[str, str] | None = None) -> User:
    """The account, with Dovecot's settings."""
    bob = user(dovecot.home, {"mail_location": dovecot.location, **(changes or {})})
    bob.uid = bob.gid = UID
    return bob


def native(dovecot: Dovecot, changes: Mapping[str, str] | None = None) -> Store:
    """The native store, which must not give up, with Dovecot's settings."""
    return open_store(bob_of(dovecot, changes), DOVECOT_2_3_19, "native", None, LOOP, lambda text: None)  # type: ignore[arg-type]


def read_all(store: Store, mailbox: bytes, upto: int) -> dict[int, bytes]:
    """Every message that is found below a UID, and its key on the way."""
    opened = open_mailbox(store, mailbox)
    found = {}
    for uid in range(1, upto):
        try:
            found[uid] = wait(whole(wait(opened.fetch(uid, WHOLE))))
        except ReadFailed:
            continue
    opened.close()
    return found


def compare(dovecot: Dovecot, boxes: Mapping[bytes, bytes], changes: Mapping[str, str] | None = None) -> int:
    """Compare all messages of mailboxes (IMAP's name: the URL's name); returns how many."""
    store = native(dovecot, changes)
    total = 0
    for imap_name, url_name in boxes.items():
        expected = dovecot.mails(imap_name)
        assert read_all(store, url_name, max(expected, default=0) + 5) == expected
        total += len(expected)
    store.close()
    return total


def mail(random: Random) -> bytes:
    """A message with all kinds of line ends."""
    words = [b"word", b"\r\n", b"\n", b"\r", b"\xff", b" ", b".", b"\r\n.\r\n", b"x" * 700]
    body = b"".join(random.choices(words, k=random.randint(0, 60)))
    return b"Subject: %d\r\nFrom: a@example.test\r\n\r\n%s" % (random.randint(0, 1 << 30), body)
