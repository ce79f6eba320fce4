"""A URL in words; its token is nowhere in them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from dovecot_urlauth.admin.explain import explain
from dovecot_urlauth.url.uri import InvalidURL

RUMP = b"imap://alice@h/INBOX;UIDVALIDITY=7/;UID=1;EXPIRE=2030-01-01T12:00:00Z;URLAUTH=user+b%c3%b6b"
TOKEN = b"01" + b"c0ffee0000" * 4
NOW = 1893499200  # 2030-01-01T12:00:00Z


def words(url: bytes, now: int = NOW) -> dict[str, str]:
    return dict(explain(url, now))


@pytest.fixture(autouse=True)
def eastern_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_signed_url() -> None:
    assert list(words(RUMP + b":INTERNAL:" + TOKEN).items()) == [
        ("user", "alice"),
        ("host", "h"),
        ("mailbox", "INBOX"),
        ("uidvalidity", "7"),
        ("uid", "1"),
        ("section", "the whole message"),
        ("expires", "2030-01-01 14:00:00 +0200 (still to come)"),
        ("access", "user+b\u00f6b (the user b\u00f6b, over IMAP)"),
        ("rump", RUMP.decode()),
        ("mechanism", "INTERNAL"),
        ("token", "there (not shown)"),
    ]


def test_expiry_is_past_a_second_later() -> None:
    assert words(RUMP, NOW)["expires"].endswith("(still to come)")
    assert words(RUMP, NOW + 1)["expires"].endswith("(past)")


@pytest.mark.parametrize(
    ("url", "name", "value"),
    [
        (b"imap://a;AUTH=*@h:993/", "host", "h, port 993"),
        (b"imap://a;AUTH=*@h:993/", "auth type", "*"),
        (b"imap://h/", "user", "none"),
        (b"imap://h/", "mailbox", "none"),
        (b"imap://h/x?SUBJECT%20y", "search", "SUBJECT y"),
        (b"imap://h/x/;UID=5/;SECTION=1.MIME", "section", "1.MIME"),
        (b"imap://h/x/;UID=5/;PARTIAL=7", "partial", "from byte 7, to the end"),
        (b"imap://h/x/;UID=5/;PARTIAL=7.9", "partial", "from byte 7, 9 bytes"),
        (b"imap://h/x/;UID=5;URLAUTH=authuser", "expires", "never"),
        (b"imap://h/x/;UID=5;URLAUTH=authuser", "token", "none: the URL is not signed"),
        (b"imap://h/x/;UID=5;URLAUTH=authuser", "access", "authuser (any user who is logged in, over IMAP)"),
        (b"imap://h/x/;UID=5;URLAUTH=Anonymous", "access", "Anonymous (anybody, over IMAP)"),
        (b"imap://h/x/;UID=5;URLAUTH=submit+a", "access", "submit+a (a submission server for the user a)"),
        (b"imap://h/x/;UID=5;URLAUTH=user", "access", "user (nobody: it must name a user)"),
        (b"imap://h/x/;UID=5;URLAUTH=stream+a", "access", "stream+a (nobody: it must not name a user)"),
        (b"imap://h/x/;UID=5;URLAUTH=other+a", "access", "other+a (nobody: no service knows this)"),
        (b"imap://h/x/;UID=5;URLAUTH=user+%7Ba", "access", "user+{a (the user {a, over IMAP)"),
        (b"imap://h/x/;UID=5;URLAUTH=authuser:X:" + b"0" * 32, "token", "there, but not of Dovecot's kind"),
        (b"imap://h/%1b%ff%0a", "mailbox", "\\x1b\\udcff\\n"),
    ],
)
def test_fields(url: bytes, name: str, value: str) -> None:
    assert words(url)[name] == value


def test_the_token_is_not_shown() -> None:
    shown = " ".join(words(RUMP + b":INTERNAL:" + TOKEN).values())
    assert "c0ffee" not in shown


def test_no_url() -> None:
    with pytest.raises(InvalidURL):
        words(b"http://h/")
