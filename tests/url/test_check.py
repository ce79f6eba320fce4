"""The ten checks: the words of each refusal, and that the first one that fails speaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.url.access import Accessor
from dovecot_urlauth.url.check import Policy, URLRefused, check
from dovecot_urlauth.url.imapurl import ImapURL
from dovecot_urlauth.url.rules import RULES_2_3, RULES_2_4, URLRules

BOB = Accessor(b"bob", b"imap")
POLICY = Policy("h", 143, b"alice")
NOW = 1893456000  # 2030-01-01T00:00:00Z
TOKEN = b"01" * 21

NAME = b"imap://alice@h"
TAIL = b";URLAUTH=user+bob:INTERNAL:" + TOKEN
GOOD = NAME + b"/INBOX/;UID=1" + TAIL


def ask(
    url: bytes,
    *,
    accessor: Accessor = BOB,
    policy: Policy = POLICY,
    rules: URLRules = RULES_2_4,
    now: int = NOW,
    same_user: Callable[..., Any] = lambda _: False,
) -> ImapURL | None:
    return check(url, accessor, policy, rules, now, same_user)


def refusal(url: bytes, **others: Any) -> str:
    with pytest.raises(URLRefused) as refused:
        ask(url, **others)
    return refused.value.text


def test_a_good_url() -> None:
    parsed = ask(GOOD)
    assert parsed
    assert (parsed.mailbox, parsed.uid, parsed.token) == (b"INBOX", 1, bytes.fromhex(TOKEN.decode()))


REFUSED = [
    (b"x", "Invalid URLAUTH: Relative URL not allowed"),
    (NAME + b"/;UID=1" + TAIL, "Invalid URL: Must be a full URLAUTH URL"),
    (NAME + b"/INBOX/;UID=1", "Invalid URL: Must be a full URLAUTH URL"),
    (NAME + b"/INBOX/;UID=1;URLAUTH=user+bob", "Invalid URL: Must be a full URLAUTH URL"),
    (NAME + b"/INBOX", "Invalid URL: Must be a full URLAUTH URL"),
    (NAME + b"/INBOX?ALL", "Invalid URL: Must be a full URLAUTH URL"),
    (b"imap://h/INBOX/;UID=1" + TAIL, "Invalid URLAUTH: Missing user name"),
    (b"imap://;AUTH=*@h/INBOX/;UID=1" + TAIL, "Invalid URLAUTH: Missing user name"),
    (GOOD.replace(b"INTERNAL", b"external"), "Unsupported URLAUTH mechanism: external"),
    (GOOD.replace(b";URL", b";EXPIRE=2029-12-31T23:59:59Z;URL"), "URLAUTH has expired"),
    (GOOD.replace(b"+bob", b"+carol"), "No 'user+carol' access allowed for user bob"),
    (GOOD.replace(b"@h", b"@h.x"), "Invalid URL: Inappropriate host name"),
    (GOOD.replace(b"@h", b"@*"), "Invalid URLAUTH: Invalid host identifier"),
    (GOOD.replace(b"@h", b"@h:993"), "Invalid URL: Inappropriate server port"),
    (GOOD.replace(b"alice", b"al%C3%AFce"), "Not permitted to fetch URLAUTH for other user al\u00efce"),
]


@pytest.mark.parametrize(("url", "text"), REFUSED)
def test_refused(url: bytes, text: str) -> None:
    assert refusal(url) == text


def test_the_first_check_that_fails_speaks() -> None:
    """A URL with every fault loses them one by one, in the order of the checks."""
    url = b"imap://x.y:1/;UID=1;EXPIRE=2001-01-01T00:00:00Z;URLAUTH=user+carol:other:" + TOKEN + b"#"
    for mend, text in [
        ((b"#", b"#"), "Invalid URLAUTH: Fragment component not allowed in IMAP URL"),
        ((b"#", b""), "Invalid URL: Must be a full URLAUTH URL"),
        ((b"/;UID", b"/INBOX/;UID"), "Invalid URLAUTH: Missing user name"),
        ((b"//x.y", b"//eve@x.y"), "Unsupported URLAUTH mechanism: other"),
        ((b"other", b"internal"), "URLAUTH has expired"),
        ((b"2001", b"2031"), "No 'user+carol' access allowed for user bob"),
        ((b"carol", b"bob"), "Invalid URL: Inappropriate host name"),
        ((b"@x.y", b"@h"), "Invalid URL: Inappropriate server port"),
        ((b":1/", b":143/"), "Not permitted to fetch URLAUTH for other user eve"),
    ]:
        url = url.replace(*mend)
        assert refusal(url) == text
    ask(url.replace(b"eve", b"alice"))


EXPIRY = [(NOW - 1, True), (NOW, True), (NOW + 1, False)]


@pytest.mark.parametrize(("now", "valid"), EXPIRY)
def test_the_second_of_expiry_is_still_good(now: int, valid: bool) -> None:
    url = GOOD.replace(b";URL", b";EXPIRE=2030-01-01T00:00:00Z;URL")
    if valid:
        ask(url, now=now)
    else:
        assert refusal(url, now=now) == "URLAUTH has expired"


def test_expiry_before_1970() -> None:
    url = GOOD.replace(b";URL", b";EXPIRE=1970-01-01T00:59:59+01:00;URL")
    assert refusal(url) == "URLAUTH has expired"


@pytest.mark.parametrize(
    ("server", "host", "port"),
    [
        (b"h", "*", 143),
        (b"anything.else", "*", 143),
        (b"h:143", "h", 143),
        (b"h:", "h", 143),
        (b"h.", "h", 143),
        (b"H", "h", 143),
        (b"h", "H", 143),
        (b"h:993", "h", 993),
        (b"[::1]", "[::1]", 143),
    ],
)
def test_servers_that_are_this_one(server: bytes, host: str, port: int) -> None:
    ask(GOOD.replace(b"@h", b"@" + server), policy=Policy(host, port, b"alice"))


@pytest.mark.parametrize(("server", "host", "port"), [(b"h", "h", 993), (b"h", "::1", 143), (b"h", "", 143)])
def test_servers_that_are_not(server: bytes, host: str, port: int) -> None:
    assert refusal(GOOD.replace(b"@h", b"@" + server), policy=Policy(host, port, b"alice")).startswith(
        "Invalid URL: Inappropriate"
    )


def test_another_spelling_of_the_target_user() -> None:
    url = GOOD.replace(b"alice", b"ALICE")
    asked = []

    def same_user(user: bytes) -> bool:
        asked.append(user)
        return user == b"ALICE"

    ask(url, same_user=same_user)
    assert asked == [b"ALICE"]
    assert refusal(url, rules=RULES_2_3, same_user=same_user) == "Not permitted to fetch URLAUTH for user ALICE"
    ask(GOOD, same_user=same_user)
    assert asked == [b"ALICE"], "the userdb is asked only by 2.4, and only if the names differ"


def test_an_anonymous_target() -> None:
    policy = Policy("h", 143, b"alice", target_is_anonymous=True)
    assert refusal(GOOD, policy=policy) == "Anonymous logins not permitted to fetch URLAUTH"
    assert refusal(GOOD, policy=policy, rules=RULES_2_3) == "Not permitted to fetch URLAUTH for user alice"


def test_braces_in_a_user_name_are_text() -> None:
    url = GOOD.replace(b"alice", b"%7Buser%7D%25s")
    assert refusal(url) == "Not permitted to fetch URLAUTH for other user {user}%s"


@given(
    st.binary(max_size=200) | st.builds(lambda tail: GOOD[:-10] + tail, st.binary(max_size=30)),
    st.sampled_from([RULES_2_3, RULES_2_4]),
)
def test_any_bytes_give_a_url_or_the_documented_error(url: bytes, rules: URLRules) -> None:
    text = ""
    try:
        assert isinstance(ask(url, rules=rules), ImapURL)
    except URLRefused as refused:
        text = refused.text
    text.encode("utf-8", "surrogateescape")
