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
BOB.fields = {"quota_rule": "*:5M", "empty": "", "quoted": "a'b\"c\\", "n": "12"}
BOB.settings = Settings({"hostname": "mail.test", "import_environment": "TZ NOSUCH"})
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
    ("%1.05n|%-5n|%05n|%5.n|%2.-1u|%2.-99u|%0.0n", "000ob|Bob|00Bob||b@Example.Tes|b@Example.Test|Bob"),
    ("%2.256Nn/%Nn/%Hn/%1.16Hn/%12.Hn", "70/b992cd70/4952/2/000000004952"),
    ("%Mn|%XMn|%Xi|%En", "2fc1c0beb992cd7096975cfebf9d5c3b|cfcd208495d565ef66e7dff9f98764da|3e9|Bob"),
    ("%Hu", "6c95db4"),
    ("%{md5:username}", "2fc1c0beb992cd7096975cfebf9d5c3b"),
    ("%{sha1;rounds=2,truncate=12:username}|%3{sha256;format=base64:username}", "0fbd|zZ+"),
    ("%{hostname}|%{env:TZ}", "mail.test|"),
    ("%E{userdb:quoted}", "a\\'b\\\"c\\\\"),
]
OLD_UNSUPPORTED = [
    "%x",
    "%",
    "%1",
    "%L",
    "%{",
    "%{x}",
    "%{x:user}",
    "%{sha384:user}",
    "%{sha1:nosuch}",
    "%{sha1;rounds=0:user}",
    "%{sha1;rounds=10001:user}",
    "%{sha1;rounds=x:user}",
    "%{sha1;format=octal:user}",
    "%{sha1;salt=%u:user}",
    "%{sha1;salt=x,rounds=2:user}",
    "%{sha1;other=2:user}",
    "%{pkcs5:user}",
    "%2.-5Nu",
    "%{if;%u;==;a;b;c}",
    "%{if;%{user};==;a;b;c}",
    "%l",
    "%{session}",
    "%{env:HOME}",
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
    ("50%% %u %", "50%% %u %"),
    ("%%{user}", "%{user}"),
    ("%{user | username | substr(1)}%{user|substr(0,-1)}", "obBob@Example.Tes"),
    ("%{user|username|md5}|%{user|username|hash('md5')|hexlify(6)}", "2fc1c0beb992cd7096975cfebf9d5c3b|2fc1c0"),
    ("%{user|md5(rounds=2,salt='x')|base64}|%{user | md5 % 256 | hex(2)}", "CRO7LtLj5KSF1YNzheQSRg==|38"),
    ("%{user|sha1|truncate(bits=12)}|%{user|username|truncate(2)}|%{user|sha1|substr(0,1)}", "0e79|Bo|e7"),
    ("%{user|username|reverse}|%{user|domain|ldap_dn}|%{user|index('@', 1)}", "boB|Example,dc=Test|Example.Test"),
    (
        "%{user|username|lfill(5)}|%{user|username|rfill(6,'ab')}|%{concat('a',user,1)}",
        "00Bob|Bobabab|aBob@Example.Test1",
    ),
    ("%{literal('7') + 3}|%{literal(-7)/2}|%{literal(-7) % 2}|%{literal('5')-6}|%{literal(2)*3}", "10|-3|-1|-1|6"),
    (
        "%{literal('255')|hex}|%{literal(255)|hex(4)}|%{literal(255)|hex(-4)}|%{literal('A')|hexlify(4)}",
        "ff|00ff|ff00|0041",
    ),
    ("%{literal('\\'\\t\\\\')}|%{literal(\"'\")}|%{user | substr(99) | default('x')}", "'\t\\|'|x"),
    ("%{user|substr(userdb:n, 1)}|%{user||username}|%{userdb:x|default}", "T|Bob|"),
    ("%{user|md5|truncate(bits=999)}|%{user|substr(1, 0)}", "f06ea9871488f7fc4ed063fb6d626238|"),
    ("%{user|default(1)}|%{userdb:empty|default(1)}|%{env:NOSUCH}|%{hostname}", "Bob@Example.Test|1||mail.test"),
]
NEW_UNSUPPORTED = [
    "%{user|substr(1 2)}",
    "%{user",
    "%{uid}",
    "%{user|substr}",
    "%{user|substr(a)}",
    "%{user|substr('1')}",
    "%{user|x()}",
    "%{user|lower(1)}",
    "%{user|lower(x=1)}",
    "%{userdb:x}",
    "%{missing | default('x')}",
    "%{user;}",
    "%{env:X|default('/srv')}",
    "%{userdb:x|upper|default('y')}",
    "%{user | default('x') y}",
    "%{user|default(nosuch)}",
    "%{user|substr(1",
    "%{}",
    "%{user|default()}",
    "%{username}",
    "%{userdb:x|default(1,2)}",
    "%{user|default('x)}",
    "%{user|default('\\x')}",
    "%{user|md5|lower}",
    "%{user|md5 + 1}",
    "%{user + 1}",
    "%{literal(1) / 0}",
    "%{literal(1) % -1}",
    "%{literal(1) + user}",
    "%{literal(999999999999999999) * 100}",
    "%{literal(9999999999999999999)}",
    "%{literal(1)+1+1}",
    "%{literal('9999999999999999999') + 1}",
    "%{user|hash('md4')}",
    "%{user|hash}",
    "%{user|md5('x')}",
    "%{user|md5(rounds=0)}",
    "%{user|md5(rounds='2')}",
    "%{user|md5(salt=2)}",
    "%{user|base64(pad=0)}",
    "%{user|hex}",
    "%{literal(-1)|hex}",
    "%{literal(1)|hex(999)}",
    "%{user|hexlify(-1)}",
    "%{user|truncate(99)}",
    "%{user|truncate(bits=-1)}",
    "%{user|truncate(bits=9)}",
    "%{user|truncate(bits='x')}",
    "%{literal()}",
    "%{user|substr(0,99)}",
    "%{user|substr(5,-20)}",
    "%{user|substr(9,-9)}",
    "%{user|index('@')}",
    "%{user|index('@',5)}",
    "%{user|index('',0)}",
    "%{user|index(1,0)}",
    "%{user|lfill(0)}",
    "%{user|lfill(20,'')}",
    "%{user|lfill}",
    "%{user|concat}",
    "%{user|literal(1,2)}",
    "%{user|if('a','=','b','c','d')}",
    "%{user\n}",
]


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
    assert variables_2_3.expand("%1u|%2.u", variables_2_3.variables_of(user)) == "\udcc3|\udcff"
    assert variables_2_4.expand("%{user | substr(0, 1)}", variables_2_4.variables_of(user)) == "\udcc3"


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


@pytest.mark.parametrize("value", ["bob@example.org", "", "ä\udcff", "%{user}", "a|b}"])
def test_a_name_alone_means_what_the_lexer_says(value: str) -> None:
    values = {"user": value, "owner_user": value}
    for text in ("%{user}", "x%{owner_user}%{user}y"):
        spaced = text.replace("%{", "%{ ").replace("}", " }")
        assert variables_2_4.expand(text, values) == variables_2_4.expand(spaced, values)


def test_the_machines_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Master tells them to every process; a blank setting is none."""
    monkeypatch.setenv("DOVECOT_HOSTDOMAIN", "mail.example.test")
    monkeypatch.setenv("DOVECOT_HOSTNAME", "mail")
    somebody = User(None, name=b"bob", settings=Settings({"hostname": ""}))
    for language, text, expected in (
        (variables_2_3, "%{hostname}", "mail.example.test"),
        (variables_2_4, "%{hostname}|%{system:hostname}", "mail.example.test|mail"),
    ):
        assert language.expand(text, language.variables_of(somebody)) == expected
    monkeypatch.delenv("DOVECOT_HOSTDOMAIN")
    monkeypatch.delenv("DOVECOT_HOSTNAME")
    for text in ("%{hostname}", "%{system:hostname}"):
        with pytest.raises(UnsupportedSetting):
            variables_2_4.expand(text, variables_2_4.variables_of(somebody))
