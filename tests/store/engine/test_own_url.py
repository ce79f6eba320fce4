"""What the engine is asked for must be read by an IMAP server as what was meant."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dovecot_urlauth.message.request import Request
from dovecot_urlauth.store.engine.engine_start import OUR_HOST
from dovecot_urlauth.store.engine.own_url import own_url, quoted_mailbox
from dovecot_urlauth.url.imapurl import parse
from dovecot_urlauth.url.rules import RULES_2_3
from dovecot_urlauth.url.token import verify

KEY = bytes(range(64))

octets = st.binary(min_size=1, max_size=20).filter(lambda text: b"\0" not in text)
names = octets.filter(lambda name: not name.endswith(b"/") and b"//" not in name and not name.startswith(b"/"))


@given(
    octets,
    names,
    st.integers(0, 2**32 - 1),
    st.integers(1, 2**32 - 1),
    st.builds(Request, octets | st.just(b""), st.integers(0, 2**40), st.none() | st.integers(1, 2**40)),
)
@example(b"a@b", b"INBOX;UIDVALIDITY=3/;UID=4", 0, 1, Request(b"HEADER.FIELDS (To)", 7))
@example(b"u", b"..", 0, 1, Request(b"1"))
@example(b"a;AUTH=*", b".", 1, 1, Request(b"/;PARTIAL=1", 0, 5))
def test_own_url_says_what_was_asked(
    user: bytes, mailbox: bytes, uidvalidity: int, uid: int, request: Request
) -> None:
    url = parse(own_url(user, OUR_HOST, mailbox, uidvalidity, uid, request, KEY), RULES_2_3)
    assert (url.user, url.host, url.mailbox, url.uidvalidity) == (user, OUR_HOST, mailbox, uidvalidity)
    assert (url.uid, url.section or b"") == (uid, request.section)
    assert (url.partial_offset, url.partial_size or None) == (request.partial_offset, request.partial_size)
    assert (url.access_application, url.access_user) == (b"authuser", None)
    assert verify(url, KEY)
    assert not verify(url, bytes(64))


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("INBOX", b'"INBOX"'),
        ("Entwürfe", b'"Entw&APw-rfe"'),
        ("a&b", b'"a&-b"'),
        ('a"b\\c', b'"a\\"b\\\\c"'),
        ("日本語/x", b'"&ZeVnLIqe-/x"'),
        ("\U0001f600", b'"&2D3eAA-"'),
        ("~peter/mail/台北/日本語", b'"~peter/mail/&U,BTFw-/&ZeVnLIqe-"'),
    ],
)
def test_quoted_mailbox(name: str, quoted: bytes) -> None:
    assert quoted_mailbox(name) == quoted
