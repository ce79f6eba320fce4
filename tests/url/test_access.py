"""Every cell of access identifier x accessor, with the words of each refusal."""

from __future__ import annotations

import pytest

from dovecot_urlauth.url.access import AccessDenied, Accessor, check_access
from dovecot_urlauth.url.imapurl import ImapURL, parse
from dovecot_urlauth.url.rules import RULES_2_4

ACCESSORS = {
    "bob": Accessor(b"bob", b"imap"),
    "anonymous": Accessor(None, b"imap"),
    "submitter": Accessor(b"srv", b"imap", (b"submit+",)),
    "streamer": Accessor(b"srv", b"imap", (b"stream",)),
    "both": Accessor(b"srv", b"imap", (b"submit+", b"stream")),
    "anonymous both": Accessor(None, b"imap", (b"submit+", b"stream")),
    "submission": Accessor(b"bob", b"submission"),
    "anonymous submission": Accessor(None, b"submission"),
    "pop3": Accessor(b"bob", b"pop3", (b"stream",)),
}

ANYBODY = set(ACCESSORS) - {"submission", "anonymous submission", "pop3"}
NAMED = {"bob", "submitter", "streamer", "both"}

#: access identifier -> who is allowed
ALLOWED = {
    "user+bob": {"bob"},
    "USER+Bob": {"bob"},
    "user+b%6fb": {"bob"},
    "user+carol": set(),
    "user+bobby": set(),
    "user+bo": set(),
    "user+anonymous": set(),
    "user+srv": {"submitter", "streamer", "both"},
    "user": set(),
    "authuser": NAMED,
    "AuthUser": NAMED,
    "authuser+x": NAMED,
    "anonymous": ANYBODY,
    "anonymous+x": ANYBODY,
    "submit+bob": {"submission", "submitter", "both"},
    "SUBMIT+BOB": {"submission", "submitter", "both"},
    "submit+carol": {"submitter", "both"},
    "submit": set(),
    "submit+anonymous": {"submitter", "both"},
    "submitx+bob": set(),
    "submi+bob": set(),
    "stream": {"streamer", "both", "anonymous both"},
    "Stream": {"streamer", "both", "anonymous both"},
    "stream+bob": set(),
    "strea": set(),
    "streamX": set(),
    "other": set(),
    "other+bob": set(),
}

DENIED = {
    ("user+carol", "bob"): "No 'user+carol' access allowed for user bob",
    ("User+c%61rol", "bob"): "No 'User+carol' access allowed for user bob",
    ("user+bob", "anonymous"): "No 'user+bob' access allowed for anonymous user",
    ("user+anonymous", "anonymous"): "No 'user+anonymous' access allowed for anonymous user",
    ("user", "bob"): "URLAUTH `user' access is missing userid",
    ("USER", "anonymous"): "URLAUTH `user' access is missing userid",
    ("authuser", "anonymous"): "No 'authuser' access allowed for anonymous user",
    ("submit+bob", "bob"): "No 'submit+bob' access allowed for user bob",
    ("submit", "submitter"): "No 'submit' access allowed for user srv",
    ("submit+bob", "anonymous both"): "No 'submit+bob' access allowed for anonymous user",
    ("stream", "submitter"): "No 'stream' access allowed for user srv",
    ("stream+x", "streamer"): "No 'stream+x' access allowed for user srv",
    ("user+bob", "submission"): "No 'user+bob' access allowed for submission service",
    ("AUTHUSER", "anonymous submission"): "No 'AUTHUSER' access allowed for submission service",
    ("submit", "submission"): "URLAUTH `submit' access is missing userid",
    ("submit+carol", "submission"): "No 'submit+carol' access allowed for user bob",
    ("submit+bob", "anonymous submission"): "No 'submit+bob' access allowed for anonymous user",
    ("anonymous", "pop3"): "No 'anonymous' access allowed for user bob",
    ("x%ff+y", "bob"): "No 'x%ff+y' access allowed for user bob",
    ("x+%ff", "bob"): "No 'x+\udcff' access allowed for user bob",
}


def url_with(access: str) -> ImapURL:
    return parse(f"imap://alice@h/INBOX/;UID=1;URLAUTH={access}".encode(), RULES_2_4)


@pytest.mark.parametrize("accessor", ACCESSORS)
@pytest.mark.parametrize("access", ALLOWED)
def test_who_is_allowed(access: str, accessor: str) -> None:
    url = url_with(access)
    if accessor in ALLOWED[access]:
        check_access(url, ACCESSORS[accessor])
    else:
        with pytest.raises(AccessDenied):
            check_access(url, ACCESSORS[accessor])


@pytest.mark.parametrize(("access", "accessor"), DENIED)
def test_words(access: str, accessor: str) -> None:
    with pytest.raises(AccessDenied) as denied:
        check_access(url_with(access), ACCESSORS[accessor])
    assert denied.value.text == DENIED[access, accessor]


def test_url_without_urlauth() -> None:
    with pytest.raises(AccessDenied) as denied:
        check_access(parse(b"imap://alice@h/INBOX/;UID=1", RULES_2_4), ACCESSORS["bob"])
    assert denied.value.text == "URL is missing URLAUTH"


def test_the_first_entry_of_an_application_decides() -> None:
    accessor = Accessor(b"bob", b"imap", (b"stream", b"stream+"))
    check_access(url_with("stream"), accessor)
    with pytest.raises(AccessDenied):
        check_access(url_with("stream+bob"), accessor)
