"""Variables of both configuration languages, and everything in them that is left to Dovecot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.config import variables_2_3, variables_2_4
from dovecot_urlauth.config.account import Account
from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.mail_user import MailUser
from dovecot_urlauth.config.settings import Settings
from tests.store.user import User

BOB = User(b"/home/bob", name=b"Bob@Example.Test", uid=1001, gid=1002)
BOB.fields = {"quota_rule": "*:5M", "empty": ""}
NO_DOMAIN = User(None, name=b"bob")

OLD = [
    ("", ""),
    ("/var/mail/%u", "/var/mail/Bob@Example.Test"),
    ("%n|%d|%h|%i", "Bob|Example.Test|/home/bob|1001"),
    ("%{user}|%{username}|%{domain}|%{home}", "Bob@Example.Test|Bob|Example.Test|/home/bob"),
    ("%{uid}:%{gid}:%s", "1001:1002:imap-urlauth-worker"),
    ("%Lu %Ud %LUn", "bob@example.test EXAMPLE.TEST BOB"),
    ("%1n/%1.1n/%2.5n/%9n", "B/o/b/Bob"),
    ("%-2.1n/%-9.9n/%1.9u", "o/Bob/ob@Exampl"),
    ("%1Ln/%LRn", "b/bob"),
    ("%Dd", "Example,dc=Test"),
    ("100%%", "100%"),
    ("%{userdb:quota_rule}|%{userdb:x}|%{userdb:x:y}|%{userdb:quota_rule:y}|%{userdb:empty:y}", "*:5M||y|*:5M|"),
    ("%1.2{userdb:quota_rule}", ":5"),
]
OLD_UNSUPPORTED = [
    "%1.05n",
    "%-5n",
    "%x",
    "%",
    "%{",
    "%{x}",
    "%Hu",
    "%2.256Nu",
    "%Mu",
    "%{if;%u;==;a;b;c}",
    "%l",
    "%{session}",
    "%05n",
]

NEW = [
    ("/var/mail/%{user}", "/var/mail/Bob@Example.Test"),
    ("%{user | username}@%{user|domain}", "Bob@Example.Test"),
    ("%{home}/x %{owner_user}", "/home/bob/x Bob@Example.Test"),
    ("%{user | username | lower}%{user|upper}", "bobBOB@EXAMPLE.TEST"),
    ("%{user | username | substr(0, 1)}/%{user|substr(-4)}", "B/Test"),
    ("%{userdb:missing | default('x y')}%{user|default(home)}", "x yBob@Example.Test"),
    ("%{userdb:quota_rule} %{userdb:quota_rule | default('x') | lower}%{userdb:empty|default('z')}", "*:5M *:5mz"),
    ("%{protocol}", "imap"),
    ("50%%", "50%"),
    ("%{user | username | substr(1)}", "ob"),
    ("%{user | default()}", "Bob@Example.Test"),
]
NEW_UNSUPPORTED = ["%u", "%", "%{user", "%{uid}", "%{user|md5}", "%{user|substr}", "%{user|substr(a)}",
                   "%{user|x()}", "%{user|lower(1)}", "%{userdb:x}", "%{missing | default('x')}",
                   "%{env:X|default('/srv')}", "%{userdb:x|default|md5}", "%{user | substr(0, -1)}",
                   "%{user|default('x') y}", "%{user|default(nosuch)}", "%{user|substr(1",
                   "%{}"]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), OLD)
def test_old(text: str, expected: str) -> None:
    assert variables_2_3.expand(text, variables_2_3.variables_of(BOB)) == expected


@pytest.mark.parametrize("text", OLD_UNSUPPORTED)
def test_old_unsupported(text: str) -> None:
    with pytest.raises(UnsupportedSetting):
        variables_2_3.expand(text, variables_2_3.variables_of(BOB))


@pytest.mark.parametrize(("text", "expected"), NEW)
def test_new(text: str, expected: str) -> None:
    assert variables_2_4.expand(text, variables_2_4.variables_of(BOB)) == expected


@pytest.mark.parametrize("text", NEW_UNSUPPORTED)
def test_new_unsupported(text: str) -> None:
    with pytest.raises(UnsupportedSetting):
        variables_2_4.expand(text, variables_2_4.variables_of(BOB))


def test_missing_values() -> None:
    assert variables_2_3.expand("%n[%d]", variables_2_3.variables_of(NO_DOMAIN)) == "bob[]"
    assert variables_2_4.expand("[%{user|domain}]", variables_2_4.variables_of(NO_DOMAIN)) == "[]"
    for text, language in (("%h", variables_2_3), ("%{home}", variables_2_4)):
        with pytest.raises(UnsupportedSetting):
            language.expand(text, language.variables_of(NO_DOMAIN))


def test_names_that_are_not_ascii() -> None:
    user = User(b"/h", name=b"\xc3\xa4\xff")
    assert variables_2_3.expand("%u", variables_2_3.variables_of(user)) == "ä\udcff"
    with pytest.raises(UnsupportedSetting):
        variables_2_3.expand("%1u", variables_2_3.variables_of(user))
    with pytest.raises(UnsupportedSetting):
        variables_2_4.expand("%{user | substr(0, 1)}", variables_2_4.variables_of(user))


def test_every_account_is_a_user() -> None:
    account: MailUser = Account(b"bob", 1, 2, (2,), None, None, None, None, Settings({}), {"x": "y"})
    assert variables_2_3.expand("%u %{userdb:x}", variables_2_3.variables_of(account)) == "bob y"


@given(st.text(alphabet="%{}|()uhndLU10.-,'\"user home", max_size=30) | st.text())
def test_any_text(text: str) -> None:
    for language in (variables_2_3, variables_2_4):
        try:
            assert isinstance(language.expand(text, language.variables_of(BOB)), str)
        except UnsupportedSetting:
            pass
