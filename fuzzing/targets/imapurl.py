"""Any bytes are a URL or InvalidURL; the rump is the URL's own beginning, and signing that makes the URL again."""

from __future__ import annotations

from binascii import hexlify

from dovecot_urlauth.url.access import Accessor
from dovecot_urlauth.url.check import Policy, URLRefused
from dovecot_urlauth.url.check import check as check_url
from dovecot_urlauth.url.imapurl import parse
from dovecot_urlauth.url.rules import RULES_2_3, RULES_2_4
from dovecot_urlauth.url.token import mint, verify
from dovecot_urlauth.url.uri import InvalidURL

KEY = bytes(range(64))
POLICY = Policy("*", 143, b"alice")
BOB = Accessor(b"bob", b"imap", (b"submit+", b"stream"))


def seeds() -> list[bytes]:
    from tests.url.urls import RUMP

    usual = [text for text, _ in RUMP]
    odd = [
        b"".join([*usual[:place], other, *usual[place + 1 :]])
        for place, (_, others) in enumerate(RUMP)
        for other in others
    ]
    signed = b"imap://alice@h/a%2fb;UIDVALIDITY=1/;UID=2/;SECTION=1.MIME/;PARTIAL=0.9"
    signed += b";EXPIRE=2030-01-01T00:00:00Z;URLAUTH=user+b%6fb:INTERNAL:"
    return [signed + b"01" * 21, *odd]


def check(data: bytes) -> None:
    for rules in (RULES_2_3, RULES_2_4):
        try:
            url = parse(data, rules)
        except InvalidURL:
            url = None
        try:
            checked = check_url(data, BOB, POLICY, rules, 1_700_000_000, lambda user: user == b"ALICE")
        except URLRefused:
            checked = None
        if checked is not None:
            assert checked == url
            assert (checked.user or b"").lower() == b"alice"
            assert b"\0" not in (checked.mailbox or b"")
        if url is None or url.rump is None:
            continue
        assert data.startswith(url.rump)
        assert not verify(url, None)
        again = parse(url.rump + b":internal:" + hexlify(mint(KEY, url.rump)), rules)
        assert again.rump == url.rump
        assert verify(again, KEY)
        assert (again.user, again.mailbox, again.access_user) == (url.user, url.mailbox, url.access_user)
