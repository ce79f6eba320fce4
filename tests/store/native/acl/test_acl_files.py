"""Where rights are written, and every way in which that cannot be read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.config.acl_settings import AclSettings
from dovecot_urlauth.config.native_settings import native_settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19
from dovecot_urlauth.message.fetch import Request
from dovecot_urlauth.store.errors import AccessDenied, MailboxMissing, StoreError, StoreFailure, Unsupported
from dovecot_urlauth.store.native.acl import acl_files
from dovecot_urlauth.store.native.acl.acl_files import Governed, MailboxAcl
from dovecot_urlauth.store.native.files import Directory
from dovecot_urlauth.store.native.layout import Place
from dovecot_urlauth.store.native.mailbox import NativeStore
from tests.store.user import KEY, make_maildir, user, write_key
from tests.store.waiting import LOOP, key_of, open_mailbox, wait, whole

if TYPE_CHECKING:
    from pathlib import Path

    from dovecot_urlauth.store.native.file_source import FileSource


@pytest.fixture
def mailbox(tmp_path: Path) -> Path:
    folder = tmp_path / "root" / ".Box"
    folder.mkdir(parents=True)
    return folder


def outcome(tmp_path: Path, **settings: object) -> type[StoreError] | None:
    """What asking for ``Box`` comes to: None is that it may be read."""
    acl = MailboxAcl(AclSettings(b"alice", frozenset((b"staff",)), **settings))  # type: ignore[arg-type]
    try:
        acl.check_own(Governed(b"Box", Place(os.fsencode(tmp_path / "root"), (b".Box",))))
    except StoreError as error:
        return type(error)
    return None


def test_a_mailboxs_own_file(tmp_path: Path, mailbox: Path) -> None:
    assert outcome(tmp_path) is None
    acl = mailbox / "dovecot-acl"
    for text, expected in (
        (b"", None), (b"owner lr", None), (b"owner l", MailboxMissing), (b"owner r", MailboxMissing),
        (b"?", StoreFailure), (b"owner l\0r", Unsupported),
    ):  # fmt: skip
        acl.write_bytes(text)
        assert outcome(tmp_path) is expected, text
        assert outcome(tmp_path, has_local_files=False) is None
    os.truncate(acl, acl_files.LIMIT_SIZE + 1)
    assert outcome(tmp_path) is Unsupported


def test_special_files(tmp_path: Path, mailbox: Path) -> None:
    acl = mailbox / "dovecot-acl"
    acl.symlink_to("other")
    assert outcome(tmp_path) is Unsupported
    acl.unlink()
    acl.mkdir()
    assert outcome(tmp_path) is StoreFailure
    acl.rmdir()
    os.mkfifo(acl)
    assert outcome(tmp_path) is StoreFailure


def test_no_such_mailbox(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    assert outcome(tmp_path) is None  # which the store will find out


def test_a_file_that_may_not_be_read(tmp_path: Path, mailbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the kernel's answer is made up."""
    path = tmp_path / "global"
    path.write_bytes(b"* owner lr\n")
    opened = Directory.file

    def deny(directory: Directory, name: bytes) -> FileSource:
        if name == b"dovecot-acl":
            raise AccessDenied("no")
        return opened(directory, name)

    monkeypatch.setattr(Directory, "file", deny)
    assert outcome(tmp_path) is MailboxMissing
    assert outcome(tmp_path, global_path=os.fsencode(path)) is None  # what holds for all users weighs more

    def deny_all(directory: Directory, name: bytes) -> FileSource:
        raise AccessDenied("no")

    monkeypatch.setattr(Directory, "file", deny_all)
    assert outcome(tmp_path, global_path=os.fsencode(path)) is AccessDenied


def test_the_kernel_denies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    with Directory.root(os.fsencode(tmp_path)) as directory:
        monkeypatch.setattr(os, "open", deny)
        with pytest.raises(AccessDenied, match="failed: Permission denied"):
            directory.file(b"x")


def test_a_global_file(tmp_path: Path, mailbox: Path) -> None:
    path = tmp_path / "global"
    settings = {"global_path": os.fsencode(path)}
    assert outcome(tmp_path, **settings) is Unsupported
    assert outcome(tmp_path, **settings, takes_global_folder=True) is None
    for text, expected in ((b"B?x owner l", MailboxMissing), (b"Bax owner l", None), (b"Box", StoreFailure)):
        path.write_bytes(text)
        assert outcome(tmp_path, **settings) is expected
    path.unlink()
    path.mkdir()
    assert outcome(tmp_path, **settings) is Unsupported
    assert outcome(tmp_path, global_path=os.fsencode(tmp_path / "global" / ("x" * 300))) is Unsupported


def test_a_folder_of_global_files(tmp_path: Path, mailbox: Path) -> None:
    folder = tmp_path / "global"
    folder.mkdir()
    settings = {"global_path": os.fsencode(folder), "takes_global_folder": True}
    assert outcome(tmp_path, **settings) is None
    (folder / "Box").write_bytes(b"anyone l")
    assert outcome(tmp_path, **settings) is MailboxMissing
    (folder / "Box").unlink()
    (folder / "Box").mkdir()
    assert outcome(tmp_path, **settings) is None
    (folder / "Box" / ".DEFAULT").write_bytes(b"anyone l")
    assert outcome(tmp_path, **settings) is MailboxMissing
    acl = MailboxAcl(AclSettings(b"alice", frozenset(), os.fsencode(folder), takes_global_folder=True))
    with pytest.raises(Unsupported):
        acl.check_own(Governed(b"Box/../Box", Place(os.fsencode(tmp_path / "root"), (b".Box",))))


def test_rights_in_the_settings(tmp_path: Path, mailbox: Path) -> None:
    for identifier, rights, expected in (
        (b"owner", b"l", MailboxMissing), (b"owner", b"lr", None), (b"owner", b"-w", None),
        (b"group-override=staff", b"-l", MailboxMissing),
    ):  # fmt: skip
        assert outcome(tmp_path, configured=((identifier, rights),)) is expected
    (mailbox / "dovecot-acl").write_bytes(b"owner r\n")
    assert outcome(tmp_path, configured=((b"owner", b"l"),)) is None
    for entry in ((b"nobody", b"l"), (b"-owner", b"l"), (b"owner", b"z")):
        assert outcome(tmp_path, configured=(entry,)) is Unsupported


def test_a_store_asks_for_each_url(tmp_path: Path) -> None:
    make_maildir(tmp_path / "Maildir", {1: b"mail\n"})
    write_key(tmp_path)
    acl = tmp_path / "Maildir" / "dovecot-acl"
    settings = user(tmp_path, {"mail_plugins": "acl", "plugin/acl": "vfile"})
    store = NativeStore(native_settings(settings, DOVECOT_2_3_19), LOOP)
    assert key_of(store) == KEY
    acl.write_bytes(b"owner l\n")
    with pytest.raises(MailboxMissing):
        open_mailbox(store, b"INBOX")
    acl.write_bytes(b"owner lr\n")
    assert wait(whole(wait(open_mailbox(store, b"inbox").fetch(1, Request(section=b""))))) == b"mail\r\n"
    store.close()
