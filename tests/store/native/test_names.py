"""Names: mUTF-7, the refusals with Dovecot's words, and that no name leads out of the mail root."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.config.mail_location import FS, Location
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, StoreError
from dovecot_urlauth.store.native.layout import name_rules, places
from dovecot_urlauth.store.native.names import check_utf8, normalize, storage_name, to_mutf7

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
