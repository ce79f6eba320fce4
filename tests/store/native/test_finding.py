"""Second names of mailboxes, and mailboxes whose directories an index knows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.config.native_settings import native_settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19
from dovecot_urlauth.message.fetch import Request
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, StoreError, Unsupported
from dovecot_urlauth.store.native.mailbox import NativeStore
from tests.store import ondisk
from tests.store.native.test_list_index import GUIDS, list_index
from tests.store.user import KEY, make_maildir, user, write_key
from tests.store.waiting import LOOP, key_of, open_mailbox, wait, whole

if TYPE_CHECKING:
    from pathlib import Path

ALIAS = {"mail_plugins": "mailbox_alias", "plugin/mailbox_alias_old": "Sent", "plugin/mailbox_alias_new": "Copies"}


def store_of(home: Path, changes: dict[str, str]) -> NativeStore:
    return NativeStore(native_settings(user(home, changes), DOVECOT_2_3_19), LOOP)


def outcome(store: NativeStore, name: bytes) -> bytes | type[StoreError] | None:
    try:
        return key_of(store, name)
    except StoreError as error:
        return type(error)


def text_in(store: NativeStore, name: bytes) -> bytes:
    """The first message."""
    return wait(whole(wait(open_mailbox(store, name).fetch(1, Request(section=b"")))))


@pytest.mark.parametrize(
    ("prefix", "old"), [("", "Sent"), ("INBOX.", "Sent"), ("INBOX.", "INBOX.Sent"), ("INBOX.", "INBOX")]
)
def test_the_second_name_of_a_mailbox(tmp_path: Path, prefix: str, old: str) -> None:
    """It is a link, or nothing at all; a mailbox that is really there comes first."""
    root = tmp_path / "Maildir"
    write_key(tmp_path)
    make_maildir(root / ("" if old == "INBOX" else ".Sent"), {1: b"sent\n"})
    changes = ALIAS | {"namespace/inbox/prefix": prefix, "plugin/mailbox_alias_old": old}
    store = store_of(tmp_path, changes | {"plugin/mailbox_alias_new": f"{prefix}Copies"})
    name = f"{prefix}Copies".encode()

    assert text_in(store, name) == b"sent\r\n"
    (root / ".Copies").symlink_to(".Sent")
    assert text_in(store, name) == b"sent\r\n"
    (root / ".Copies").unlink()
    make_maildir(root / ".Copies", {1: b"copy\n"})
    assert text_in(store, name) == b"copy\r\n"
    store.close()


@pytest.mark.parametrize("layout", ["", ":LAYOUT=fs"])
def test_second_names_of_folders(tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "Maildir" / ("a/Sent" if layout else ".a.Sent")
    make_maildir(folder, {})
    write_key(tmp_path)
    separator = "/" if layout else "."
    names = {"plugin/mailbox_alias_old": f"a{separator}Sent", "plugin/mailbox_alias_new": f"b{separator}Copies"}
    more = {"plugin/mailbox_alias_old2": "Nothing", "plugin/mailbox_alias_new2": "Void"}
    store = store_of(tmp_path, ALIAS | names | more | {"mail_location": f"maildir:~/Maildir{layout}"})
    assert outcome(store, f"b{separator}Copies".encode()) == KEY
    assert outcome(store, b"Void") is MailboxMissing
    assert outcome(store, b"b") is MailboxMissing
    store.close()


def test_the_first_of_two_that_are_the_same(tmp_path: Path) -> None:
    make_maildir(tmp_path / "Maildir" / ".Sent", {})
    write_key(tmp_path)
    more = {"plugin/mailbox_alias_old2": "Nothing", "plugin/mailbox_alias_new2": "Copies"}
    store = store_of(tmp_path, ALIAS | more)
    assert outcome(store, b"Copies") == KEY
    store.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"plugin/mailbox_alias_new": "INBOX"},
        {"mail_location": "sdbox:~/box:LAYOUT=index"},
        {
            "plugin/mailbox_alias_old": "INBOX",
            "namespace/inbox/prefix": "x.",
            "plugin/mailbox_alias_new": "Copies",
        },
        {"plugin/mailbox_alias_old": ""},
    ],
)
def test_second_names_that_are_left_to_dovecot(tmp_path: Path, changes: dict[str, str]) -> None:
    more = {"namespace": "inbox other", "namespace/other/prefix": "", "namespace/other/separator": "."}
    store = store_of(tmp_path, ALIAS | more | changes)
    assert outcome(store, changes.get("plugin/mailbox_alias_new", "Copies").encode()) is Unsupported
    store.close()


LISTED = {
    "mail_location": "maildir:~/Maildir:LAYOUT=index",
    "namespace/inbox/separator": "/",
}


def make_listed(home: Path, *names: tuple[int, bytes, int, bool]) -> None:
    (home / "Maildir").mkdir(exist_ok=True)
    main, log = list_index(*names)
    (home / "Maildir" / "dovecot.list.index").write_bytes(main)
    (home / "Maildir" / "dovecot.list.index.log").write_bytes(log)


def test_mailboxes_of_a_list(tmp_path: Path) -> None:
    for uid in (1, 3):
        make_maildir(tmp_path / "Maildir" / GUIDS[uid], {1: b"mail\n"})
    write_key(tmp_path)
    make_listed(tmp_path, (1, b"INBOX", 0, True), (2, b"a.b^c", 0, False), (3, b"&AOQ-", 2, True))
    store = store_of(tmp_path, LISTED)
    assert outcome(store, b"inbox") == KEY
    assert outcome(store, "a.b^c/ä".encode()) == KEY
    assert outcome(store, b"a.b^c") is MailboxMissing
    assert outcome(store, b"Nothing") is MailboxMissing
    assert outcome(store, b"a//b") is MailboxRefused
    assert outcome(store, b"../x") is Unsupported
    make_listed(tmp_path, (1, b"INBOX", 0, True), (2, b"new", 0, False), (3, b"name", 2, True))
    assert outcome(store, "a.b^c/ä".encode()) is MailboxMissing
    assert outcome(store, b"new/name") == KEY
    store.close()


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    store = store_of(tmp_path, LISTED)
    assert outcome(store, b"Box") is Unsupported
    make_listed(tmp_path, (1, b"Box", 0, True))
    make_maildir(tmp_path / "Maildir" / GUIDS[1], {})
    write_key(tmp_path)
    assert outcome(store, b"Box") == KEY
    os.rename(tmp_path / "Maildir", tmp_path / "moved")
    assert outcome(store, b"Box") is Unsupported
    store.close()


def test_a_list_that_is_broken(tmp_path: Path) -> None:
    make_listed(tmp_path, (1, b"Box", 7, True))
    store = store_of(tmp_path, LISTED)
    assert outcome(store, b"Box") is Unsupported
    log = tmp_path / "Maildir" / "dovecot.list.index.log"
    log.write_bytes(ondisk.log_header() + ondisk.log_record(0x20000 | ondisk.EXTERNAL, b""))
    assert outcome(store, b"Box") is Unsupported
    store.close()


def test_a_name_that_leads_elsewhere_now(tmp_path: Path) -> None:
    """A mailbox that was renamed is no more what its old name stands for, though its directory is there."""
    for uid, text in ((1, b"one\n"), (2, b"two\n")):
        make_maildir(tmp_path / "Maildir" / GUIDS[uid], {1: text})
    write_key(tmp_path)
    make_listed(tmp_path, (1, b"Box", 0, True), (2, b"Other", 0, True))
    store = store_of(tmp_path, LISTED)

    assert text_in(store, b"Box") == b"one\r\n"
    make_listed(tmp_path, (1, b"Old", 0, True), (2, b"Box", 0, True))
    assert text_in(store, b"Box") == b"two\r\n"
    store.close()


def test_rights_in_mailboxes_of_a_list(tmp_path: Path) -> None:
    folder = tmp_path / "Maildir" / GUIDS[1]
    make_maildir(folder, {})
    write_key(tmp_path)
    make_listed(tmp_path, (1, b"Box", 0, True))
    acl = LISTED | {"mail_plugins": "acl", "plugin/acl": "vfile"}
    public = {
        "namespace": "inbox p",
        "namespace/p/type": "public",
        "namespace/p/prefix": "P/",
        "namespace/p/separator": "/",
    }
    store = store_of(tmp_path, acl | public)
    for text, own, others in ((b"owner lr", KEY, MailboxMissing), (b"anyone lr\nowner l", MailboxMissing, KEY)):
        (folder / "dovecot-acl").write_bytes(text)
        assert (outcome(store, b"Box"), outcome(store, b"P/Box")) == (own, others)
    store.close()
    defaults = {"namespace/p/type": "shared", "plugin/acl_defaults_from_inbox": "yes"}
    store = store_of(tmp_path, acl | public | defaults)
    assert outcome(store, b"P/Box") is Unsupported
    store.close()
