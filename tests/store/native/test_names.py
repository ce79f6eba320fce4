"""Names: mUTF-7, the refusals with Dovecot's words, and that no name leads out of the mail root."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.config.mail_location import FS, Location
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, StoreError, Unsupported
from dovecot_urlauth.store.native.layout import MailboxPlaces, Place, name_rules, places, storage_places
from dovecot_urlauth.store.native.names import (
    NameRules,
    check_utf8,
    normalize,
    storage_name,
    to_mutf7,
    unescaped,
)

MAILDIR = Location(root=b"/mail", inbox=b"/mail")
FOLDERS = Location(root=b"/mail", layout=FS)
NAMED = Location(root=b"/mail", layout=FS, directory_name=b".mails", mailboxes=b"boxes", index=b"/index")
FULL = Location(
    root=b"/mail", layout=FS, directory_name=b".mails", index=b"/index", control=b"/control",
    index_has_directory_name=True,
)  # fmt: skip

ADJACENT = "Invalid mailbox name: Has adjacent hierarchy separators"
REFUSED = [
    (MAILDIR, b"/", b"a.b", "Character not allowed in mailbox name: '.'"),
    (MAILDIR, b"/", b"..", "Character not allowed in mailbox name: '.'"),
    (MAILDIR, b"/", b"/etc", "Invalid mailbox name: Begins with hierarchy separator"),
    (MAILDIR, b"/", b"a//b", ADJACENT),
    (MAILDIR, b"/", b"a/", "Invalid mailbox name: Ends with hierarchy separator"),
    (MAILDIR, b"/", b"~a", "Invalid mailbox name: Begins with '~'"),
    (MAILDIR, b".", b"a/b", "Invalid mailbox name: Name must not have '/' characters"),
    (MAILDIR, b".", b"a..b", ADJACENT),
    (FOLDERS, b"/", b"../x", "Invalid mailbox name: Contains '..' part"),
    (FOLDERS, b"/", b"a/./b", "Invalid mailbox name: Contains '.' part"),
    (FOLDERS, b"/", b"a/cur", "Invalid mailbox name: Contains reserved name"),
    (FOLDERS, b"/", b"~root/x", "Invalid mailbox name: Begins with '~'"),
    (FOLDERS, b"/", b"a//b", ADJACENT),
    (FOLDERS, b".", b"a/b", "Character not allowed in mailbox name: '/'"),
    (NAMED, b"/", b"a/.mails", "Invalid mailbox name: Contains reserved name"),
]


@pytest.mark.parametrize(("location", "separator", "name", "text"), REFUSED)
def test_refused(location: Location, separator: bytes, name: bytes, text: str) -> None:
    with pytest.raises(MailboxRefused) as refused:
        storage_name(name, name_rules(location, separator))
    assert refused.value.text == text


PLACES = [
    (MAILDIR, b".", "Entwürfe.x", (b".Entw&APw-rfe.x",), None),
    (MAILDIR, b"/", "a/cur", (b".a.cur",), None),
    (Location(root=b"/mail", utf8=True, index=b"/index"), b".", "ü", (b".\xc3\xbc",), (b".\xc3\xbc",)),
    (FOLDERS, b"/", "a/ü", (b"a", b"&APw-"), None),
    (FOLDERS, b".", "a.b", (b"a", b"b"), None),
    (NAMED, b"/", "a/b", (b"boxes", b"a", b"b", b".mails"), (b"boxes", b"a", b"b")),
    (FULL, b"/", "a", (b"a", b".mails"), (b"a", b".mails")),
]


@pytest.mark.parametrize(("location", "separator", "name", "mail", "index"), PLACES)
def test_places(
    location: Location, separator: bytes, name: str, mail: tuple[bytes, ...], index: tuple[bytes, ...] | None
) -> None:
    found = places(location, storage_name(name.encode(), name_rules(location, separator)))
    assert (found.mail.root, found.mail.steps) == (location.root, mail)
    if index is None:
        assert found.index == found.control == found.mail
    else:
        assert (found.index.root, found.index.steps) == (b"/index", index)


def test_inbox() -> None:
    assert places(MAILDIR, b"INBOX").mail.steps == ()
    apart = Location(root=b"/mail", inbox=b"/inbox", index=b"/index")
    assert places(apart, b"INBOX").mail.root == b"/inbox"
    assert places(apart, b"INBOX").index.steps == (b".INBOX",)
    assert places(NAMED, b"INBOX").mail.steps == (b"boxes", b"INBOX", b".mails")


def test_dbox() -> None:
    plain = Location(b"/mail", FS, mailboxes=b"mailboxes", directory_name=b"dbox-Mails", driver="mdbox")
    for name in (b"INBOX", b"a"):
        mail = Place(b"/mail", (b"mailboxes", name, b"dbox-Mails"))
        assert places(plain, name) == MailboxPlaces(mail, mail, mail)
    storage = Place(b"/mail", (b"storage",))
    assert storage_places(plain) == MailboxPlaces(storage, storage, storage)
    assert name_rules(plain, b"/").reserved == (b"dbox-Mails",)


def test_dbox_in_several_places() -> None:
    apart = Location(
        b"/mail", FS, b"/in", b"/index", None, False, b"mailboxes", b"dbox-Mails", False, "mdbox", b"/alt"
    )
    found = places(apart, b"INBOX")
    assert found.mail == Place(b"/in", ())
    assert found.index == Place(b"/index", (b"mailboxes", b"INBOX"))
    assert found.alt == Place(b"/alt", (b"mailboxes", b"INBOX", b"dbox-Mails"))
    storage = storage_places(apart)
    assert storage.mail == storage.control == Place(b"/mail", (b"storage",))
    assert (storage.index, storage.alt) == (Place(b"/index", (b"storage",)), Place(b"/alt", (b"storage",)))


def test_other_formats_than_maildir_have_other_reserved_names() -> None:
    assert name_rules(FOLDERS, None).reserved == (b"cur", b"new", b"tmp")
    assert name_rules(Location(b"/mail", FS, driver="mbox"), None).reserved == ()


@pytest.mark.parametrize("name", [b"\xff", b"a\0b", b"\xc3", b"x" * 5000, b"\xed\xa0\x80"])
def test_no_name(name: bytes) -> None:
    with pytest.raises(MailboxMissing):
        check_utf8(name)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [("", b""), ("a&b", b"a&-b"), ("ä", b"&AOQ-"), ("a äö b", b"a &AOQA9g- b"), ("😀", b"&2D3eAA-"),
     ("\t", b"&AAk-"), ("台北", b"&U,BTFw-"), ("&ä&", b"&-&AOQ-&-")],
)  # fmt: skip
def test_mutf7(text: str, encoded: bytes) -> None:
    assert to_mutf7(text) == encoded


def test_normal_form() -> None:
    assert normalize("u\u0308".encode()) == "ü".encode()
    assert normalize(b"plain") == b"plain"


@given(
    st.text(alphabet="ab./~\\%\x01\x7fü😀", max_size=30) | st.text(max_size=30),
    st.sampled_from([MAILDIR, FOLDERS, NAMED, FULL]),
    st.sampled_from([b"/", b".", b"\\"]),
)
def test_no_name_leads_out_of_the_root(text: str, location: Location, separator: bytes) -> None:
    name = text.encode("utf-8", "surrogatepass")
    try:
        check_utf8(name)
        found = places(location, storage_name(name, name_rules(location, separator)))
    except StoreError:
        return
    for place in (found.mail, found.index, found.control):
        assert place.root in (b"/mail", b"/index", b"/control")
        assert not any(step in (b"", b".", b"..") or b"/" in step or b"\0" in step for step in place.steps)


ESCAPED = NameRules(b"/", b".", escape=b"^", visible_escape=b"|")
ESCAPED_FS = NameRules(b".", b"/", escape=b"%", reserved=(b"cur",))


@pytest.mark.parametrize(
    ("rules", "name", "stored"),
    [
        (ESCAPED, "a.b/c^d", b"a^2eb.c^5ed"),
        (ESCAPED, "\u00e4.\u00e4/..x", b"&AOQ-^2e&AOQ-.^2e^2ex"),
        (ESCAPED, "INBOX/a b&", b"INBOX.a b&-"),
        (ESCAPED_FS, "a/b.c%d", b"a%2fb/c%25d"),
        (ESCAPED_FS, "cur2.a", b"cur2/a"),
    ],
)
def test_escaped_names(rules: NameRules, name: str, stored: bytes) -> None:
    assert storage_name(name.encode(), rules) == stored


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        (ESCAPED, "~a"),
        (ESCAPED, "a/~b"),
        (ESCAPED, "."),
        (ESCAPED, "a/.."),
        (ESCAPED, "a|2fb"),
        (ESCAPED, "|2e|2e"),
        (ESCAPED, "a|00"),
        (ESCAPED_FS, "a.cur"),
    ],
)
def test_names_that_are_escaped_as_a_whole(rules: NameRules, name: str) -> None:
    with pytest.raises(Unsupported):
        storage_name(name.encode(), rules)


BROKEN = NameRules(b"/", b".", visible_escape=b"^")
BROKEN_UTF8 = NameRules(b"/", b".", utf8=True, visible_escape=b"^")


@pytest.mark.parametrize(
    ("rules", "name", "stored"),
    [
        (BROKEN, "a^26b", b"a&b"),
        (BROKEN, "^ff/^5e26", b"\xff.^26"),
        (BROKEN, "a^b^", b"a^b^"),
        (BROKEN, "\u00e4^fc\u00e4", b"&AOQ-\xfc&AOQ-"),
        (BROKEN, "^FF&", b"^FF&-"),
        (BROKEN_UTF8, "\u00e4^fc&", b"\xc3\xa4\xfc&"),
        (ESCAPED, "a|b|ff.", b"a|b\xff^2e"),
    ],
)
def test_bytes_that_are_no_mutf7(rules: NameRules, name: str, stored: bytes) -> None:
    assert storage_name(name.encode(), rules) == stored


@given(
    st.sampled_from((BROKEN, BROKEN_UTF8, ESCAPED)), st.text(alphabet="ab^|0123456789abcdef\u00e4&./", max_size=20)
)
def test_no_escape_leads_elsewhere(rules: NameRules, name: str) -> None:
    """Whole and cut: what two digits stand for separates nothing."""
    for cut in range(len(name) + 1):
        try:
            stored = storage_name(name[:cut].encode(), rules)
        except (MailboxRefused, Unsupported):
            continue
        assert stored.count(b".") == name[:cut].count("/")
        assert b"/" not in stored
        assert b"\0" not in stored


@given(st.text(alphabet="ab^./\u00e4", max_size=20))
def test_escapes_are_undone(part: str) -> None:
    try:
        stored = storage_name(part.encode(), NameRules(b"~", b"~", escape=b"^"))
    except (MailboxRefused, Unsupported):
        return
    assert unescaped(stored, b"^") == to_mutf7(part)


@pytest.mark.parametrize("name", ["/a", "a//b", "a/"])
def test_an_escape_character_allows_no_odd_separators(name: str) -> None:
    with pytest.raises(MailboxRefused):
        storage_name(name.encode(), ESCAPED)
