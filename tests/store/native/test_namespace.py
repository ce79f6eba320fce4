"""Which namespace has a mailbox."""

from __future__ import annotations

import pytest

from dovecot_urlauth.config.mail_location import Location
from dovecot_urlauth.config.native_settings import Namespace
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, Unsupported
from dovecot_urlauth.store.native.namespace import find

MAIL = Location(b"/mail")
PERSONAL = Namespace(b"", b"/", MAIL, inbox=True)
PREFIXED = Namespace(b"INBOX/", b"/", MAIL, inbox=True)
LISTS = Namespace(b"Lists/", b"/", MAIL)
DEEP = Namespace(b"Lists/old/", b"/", MAIL)
ARCHIVE = Namespace(b"", b"/", MAIL)

FOUND = [
    ((PERSONAL, LISTS), b"INBOX", PERSONAL, b"INBOX"),
    ((PERSONAL, LISTS), b"inBox", PERSONAL, b"INBOX"),
    ((PERSONAL, LISTS), b"inbox/a", PERSONAL, b"INBOX/a"),
    ((PERSONAL, LISTS), b"a/b", PERSONAL, b"a/b"),
    ((PERSONAL, LISTS), b"Lists/x", LISTS, b"x"),
    ((PERSONAL, LISTS), b"lists/x", PERSONAL, b"lists/x"),
    ((PERSONAL, LISTS), b"Listsx", PERSONAL, b"Listsx"),
    ((PERSONAL, LISTS, DEEP), b"Lists/old/x", DEEP, b"x"),
    ((DEEP, LISTS, PERSONAL), b"Lists/old/x", DEEP, b"x"),
    ((PREFIXED, ARCHIVE), b"INBOX", PREFIXED, b"INBOX"),
    ((PREFIXED, ARCHIVE), b"INBOX/INBOX", PREFIXED, b"INBOX"),
    ((PREFIXED, ARCHIVE), b"inbox/a", PREFIXED, b"a"),
    ((PREFIXED, ARCHIVE), b"a", ARCHIVE, b"a"),
]


@pytest.mark.parametrize(("namespaces", "name", "namespace", "rest"), FOUND)
def test_found(namespaces: tuple[Namespace, ...], name: bytes, namespace: Namespace, rest: bytes) -> None:
    assert find(namespaces, name) == (namespace, rest)


def test_refused() -> None:
    with pytest.raises(MailboxRefused, match="'Lists/': Ends with hierarchy separator"):
        find((PERSONAL, LISTS), b"Lists/")


@pytest.mark.parametrize(
    ("namespaces", "name"),
    [((PERSONAL, LISTS), b"Lists"), ((PERSONAL, LISTS), b"Lists/INBOX")],
)
def test_left_to_dovecot(namespaces: tuple[Namespace, ...], name: bytes) -> None:
    with pytest.raises(Unsupported):
        find(namespaces, name)


def test_outside_of_all() -> None:
    with pytest.raises(MailboxMissing):
        find((PREFIXED,), b"a")
