"""What a native store holds open between URLs, and that nobody can tell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from dovecot_urlauth.config.native_settings import native_settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19
from dovecot_urlauth.message.fetch import Request
from dovecot_urlauth.store.errors import MailboxMissing, ReadFailed, Unsupported
from dovecot_urlauth.store.native.mailbox import KEPT_MAILBOXES, NativeStore
from tests.store import ondisk
from tests.store.user import GUID, KEY, make_maildir, user, write_key
from tests.store.waiting import LOOP, key_of, open_mailbox, wait, whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WHOLE = Request(section=b"")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """A maildir with one mail, and its key."""
    make_maildir(tmp_path / "Maildir", {1: b"first\r\n"})
    write_key(tmp_path)
    return tmp_path / "Maildir"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[NativeStore]:
    opened = NativeStore(native_settings(user(tmp_path), DOVECOT_2_3_19), LOOP)
    yield opened
    opened.close()


def read(store: NativeStore, uid: int = 1, mailbox: bytes = b"INBOX") -> bytes:
    opened = open_mailbox(store, mailbox)
    try:
        return wait(whole(wait(opened.fetch(uid, WHOLE))))
    finally:
        opened.close()


def key(store: NativeStore) -> bytes | None:
    return key_of(store)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_nothing_is_opened_twice_but_the_mail_and_the_dictionary(
    tmp_path: Path, inbox: Path, store: NativeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (read(store), key(store)) == (b"first\r\n", KEY)
    opened = []
    real = os.open

    def noting(path: bytes, *rest: Any, **named: Any) -> int:
        opened.append(path)
        return real(path, *rest, **named)

    monkeypatch.setattr(os, "open", noting)
    assert (read(store), key(store)) == (b"first\r\n", KEY)
    assert opened == [b"mail1:2,S", os.fsencode(tmp_path / "attributes")]


def test_a_new_mail_is_seen(inbox: Path, store: NativeStore) -> None:
    read(store)
    (inbox / "cur" / "mail2:2,S").write_bytes(b"second\r\n")
    (inbox / "dovecot-uidlist").write_bytes(ondisk.uidlist([(1, ":mail1"), (2, ":mail2")], guid=GUID))
    (inbox / "dovecot.index").write_bytes(ondisk.index([(1, 0x08), (2, 0x08)]))
    assert read(store, 2) == b"second\r\n"


def test_an_expunged_mail_is_gone(inbox: Path, store: NativeStore) -> None:
    read(store)
    (inbox / "cur" / "mail1:2,S").unlink()
    with pytest.raises(ReadFailed):
        read(store)
    (inbox / "dovecot.index").write_bytes(ondisk.index([]))
    with pytest.raises(ReadFailed, match="not found"):
        read(store)


def test_a_mailbox_that_takes_the_name_of_another(tmp_path: Path, inbox: Path, store: NativeStore) -> None:
    read(store)
    inbox.rename(tmp_path / "old")
    with pytest.raises(MailboxMissing):
        open_mailbox(store, b"INBOX")
    make_maildir(inbox, {1: b"other\r\n"})
    assert read(store) == b"other\r\n"


@pytest.mark.parametrize("name", ["cur", "new"])
def test_a_directory_that_takes_the_place_of_another(inbox: Path, store: NativeStore, name: str) -> None:
    read(store)
    (inbox / name).rename(inbox / "away")
    (inbox / name).mkdir()
    (inbox / "cur" / "mail1:2,S").write_bytes(b"other\r\n")
    assert read(store) == b"other\r\n"


def test_a_key_made_anew(tmp_path: Path, inbox: Path, store: NativeStore) -> None:
    """RESETKEY: the dictionary is replaced by a file of the same size."""
    assert key(store) == KEY
    (tmp_path / "attributes").rename(tmp_path / "old")
    write_key(tmp_path, KEY[::-1].hex().encode())
    assert key(store) == KEY[::-1]
    (tmp_path / "attributes").unlink()
    assert key(store) is None
    write_key(tmp_path)
    assert key(store) == KEY


def test_only_so_many_mailboxes_stay_open(tmp_path: Path, inbox: Path, store: NativeStore) -> None:
    names = [b"box%d" % number for number in range(3 * KEPT_MAILBOXES)]
    for name in names:
        make_maildir(tmp_path / "Maildir" / f".{name.decode()}", {1: name})
    before = descriptors()
    for name in names[:KEPT_MAILBOXES]:
        assert read(store, mailbox=name) == name
    held = descriptors()
    for name in names:
        assert read(store, mailbox=name) == name
    assert descriptors() == held
    store.close()
    assert descriptors() == before


def test_a_mailbox_that_cannot_be_opened_leaves_nothing_open(inbox: Path, store: NativeStore) -> None:
    before = descriptors()
    with pytest.raises(MailboxMissing):
        open_mailbox(store, b"INBOX", 4711)
    (inbox / "dovecot-uidlist").unlink()
    open_mailbox(store, b"INBOX")
    store.close()
    assert descriptors() == before


def test_a_uidlist_of_an_unknown_kind_leaves_nothing_open(inbox: Path, store: NativeStore) -> None:
    (inbox / "dovecot-uidlist").write_bytes(b"9 V1\n")
    opened = []
    for _ in range(3):
        with pytest.raises(Unsupported):
            key_of(store)
        opened.append(descriptors())
    assert opened[0] == opened[-1]


APART = {"mail_location": "maildir:~/Maildir:INDEX=~/index:CONTROL=~/control"}


@pytest.mark.parametrize("lost", ["index", "control"])
def test_a_mailbox_whose_parts_are_not_there_yet(tmp_path: Path, lost: str) -> None:
    """Dovecot makes them when it opens the mailbox first; nothing is left open."""
    make_maildir(tmp_path / "Maildir", {1: b"x"})
    for name in {"index", "control"} - {lost}:
        (tmp_path / name / ".INBOX").mkdir(parents=True)
    store = NativeStore(native_settings(user(tmp_path, APART), DOVECOT_2_3_19), LOOP)
    before = descriptors()
    with pytest.raises(Unsupported, match="mailbox has no index yet"):
        open_mailbox(store, b"INBOX")
    assert descriptors() == before


def test_a_mailbox_with_its_parts_apart(tmp_path: Path) -> None:
    make_maildir(tmp_path / "Maildir", {1: b"x"})
    for name, files in (("index", "dovecot.index*"), ("control", "dovecot-uidlist")):
        (tmp_path / name / ".INBOX").mkdir(parents=True)
        for path in (tmp_path / "Maildir").glob(files):
            path.rename(tmp_path / name / ".INBOX" / path.name)
    write_key(tmp_path)
    store = NativeStore(native_settings(user(tmp_path, APART), DOVECOT_2_3_19), LOOP)
    assert (read(store), key(store)) == (b"x", KEY)
    (tmp_path / "index").rename(tmp_path / "old")
    with pytest.raises(Unsupported):
        read(store)
    store.close()


def test_a_uidlist_without_a_guid(inbox: Path, store: NativeStore) -> None:
    uidlist = inbox / "dovecot-uidlist"
    uidlist.write_bytes(uidlist.read_bytes().replace(f" G{GUID}".encode(), b""))
    with pytest.raises(Unsupported, match="no GUID"):
        key(store)


def test_a_mailbox_that_nobody_opened_yet(inbox: Path, store: NativeStore) -> None:
    (inbox / "dovecot.index").write_bytes(ondisk.index([], uid_validity=0))
    with pytest.raises(Unsupported, match="never opened"):
        open_mailbox(store, b"INBOX")


def test_a_mail_that_only_the_index_has(inbox: Path, store: NativeStore) -> None:
    (inbox / "dovecot.index").write_bytes(ondisk.index([(1, 0x08), (2, 0x08)]))
    with pytest.raises(ReadFailed, match="expunged"):
        read(store, 2)
