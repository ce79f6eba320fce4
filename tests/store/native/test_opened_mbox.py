"""An mbox mailbox without Dovecot: files made from the description of the format."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dovecot_urlauth.config.mail_location import FS, MBOX, Location
from dovecot_urlauth.config.mbox_rules import MboxRules
from dovecot_urlauth.store.errors import MailboxMissing, ReadFailed, StoreError, StoreFailure, Unsupported
from dovecot_urlauth.store.native import file_source
from dovecot_urlauth.store.native.driver import Busy
from dovecot_urlauth.store.native.layout import Place
from dovecot_urlauth.store.native.mbox import mbox_mail, opened_mbox, read_lock
from dovecot_urlauth.store.native.mbox.opened_mbox import OpenedMbox
from dovecot_urlauth.store.native.mbox.places import MboxPlaces, mbox_places
from tests.store import ondisk
from tests.store.mboxes import (
    EXTENSION,
    FROM,
    GUID,
    LONG,
    MAILS,
    RULES,
    SHOWN,
    Mbox,
    content,
    is_free,
    lock_of_another,
)

if TYPE_CHECKING:
    from pathlib import Path

    from dovecot_urlauth.store.native.file_source import FileSource


@pytest.fixture
def mbox(tmp_path: Path) -> Mbox:
    return Mbox(tmp_path)


def test_messages(mbox: Mbox) -> None:
    driver = mbox.opened()
    assert driver.guid() == GUID.hex().encode()
    for uid, shown in SHOWN.items():
        assert content(driver.locate(uid)) == shown
    for uid in (0, 2, 10, 1 << 32):
        with pytest.raises(ReadFailed, match="Message not found"):
            driver.locate(uid)
    assert driver.is_in_place()
    driver.close()


def test_crlf(mbox: Mbox) -> None:
    """The CR before a From_ line's line end belongs to it, and the header shows LF alone."""
    mails = [b"A: one\r\n\r\nbody\r\n", b"A: two\r\nStatus: O\r\n\r\nbody\r\n"]
    separator = FROM.replace(b"\n", b"\r\n")
    mbox.path.write_bytes(separator + mails[0] + b"\r\n" + separator + mails[1] + b"\r\n")
    mbox.offsets = {1: 0, 2: len(separator + mails[0])}
    mbox.sync()
    driver = mbox.opened()
    assert content(driver.locate(1)) == b"A: one\n\nbody\r\n"
    assert content(driver.locate(2)) == b"A: two\n\nbody\r\n"
    mbox.offsets[2] += 1
    mbox.sync()
    driver.refresh()
    with pytest.raises(Unsupported, match="the next one"):
        driver.locate(1)


@pytest.mark.parametrize("data", [b"A: b", b"A: b\n", b"", b"\nbody", b"A: b\nStatus: O"])
def test_small_messages(mbox: Mbox, data: bytes) -> None:
    mbox.write({1: data, 2: data})
    driver = mbox.opened()
    shown = data.removesuffix(b"Status: O")
    assert [content(driver.locate(uid)) for uid in (1, 2)] == [shown, shown]


def test_offsets_that_are_in_doubt(mbox: Mbox) -> None:
    mbox.write({**MAILS, 10: b"A: says nothing\n\n", 11: b"X-UID: 7\n\nsays another\n"}, dirty=True)
    driver = mbox.opened()
    assert [content(driver.locate(uid)) for uid in SHOWN] == list(SHOWN.values())
    for uid in (10, 11):
        with pytest.raises(Unsupported, match="does not say its UID"):
            driver.locate(uid)


def test_what_dovecot_has_to_look_at_first(mbox: Mbox) -> None:
    driver = mbox.opened()
    os.utime(mbox.path, (1, 1))
    with pytest.raises(Unsupported, match="index knows"):
        driver.locate(1)
    mbox.sync()
    assert content(driver.locate(1)) == SHOWN[1]
    mbox.sync(guid=bytes(16))
    driver.refresh()
    with pytest.raises(Unsupported, match="no GUID"):
        driver.guid()


def test_mail_is_delivered(mbox: Mbox) -> None:
    """Nobody has given it a UID yet; the others are where they were, if they say who they are."""
    mbox.write({**MAILS, 10: b"A: says nothing\n\n", 11: b"X-UID: 11\n\nthe last\n"})
    driver = mbox.opened()
    shown = {**SHOWN, 11: b"\nthe last\n"}
    assert content(driver.locate(10)) == b"A: says nothing\n\n"
    for _ in range(3):
        mbox.add(b"A: new\n\n")
        assert [content(driver.locate(uid)) for uid in shown] == list(shown.values())
        with pytest.raises(Unsupported, match="does not say its UID"):
            driver.locate(10)
        with pytest.raises(ReadFailed, match="Message not found"):
            driver.locate(12)


def test_something_else_is_added(mbox: Mbox) -> None:
    """What the last message has become is for Dovecot to find out."""
    driver = mbox.opened()
    with mbox.path.open("ab") as file:
        file.write(b"no From_ line\n\n" + FROM + b"A: new\n\n")
    for uid in MAILS:
        with pytest.raises(Unsupported, match="the next one"):
            driver.locate(uid)


def test_an_index_of_something_else(mbox: Mbox) -> None:
    (mbox.folder / "dovecot.index").write_bytes(ondisk.index([(1, 0)]))
    driver = mbox.opened()
    with pytest.raises(Unsupported, match="nothing about"):
        driver.guid()
    (mbox.folder / "dovecot.index").write_bytes(ondisk.index([(1, 0)], uid_validity=0))
    with pytest.raises(Unsupported, match="never opened"):
        driver.refresh()
    status = mbox.path.stat()
    header = struct.pack("<QIB3x16s", status.st_size, int(status.st_mtime), 0, GUID)
    data = ondisk.index([(1, 0)], extensions=[(EXTENSION, 0, header, {})])
    (mbox.folder / "dovecot.index").write_bytes(data)
    driver.refresh()
    with pytest.raises(Unsupported, match="no offset"):
        driver.locate(1)


def test_what_is_not_there(mbox: Mbox) -> None:
    driver = mbox.opened()
    mbox.path.rename(mbox.path.with_name("elsewhere"))
    with pytest.raises(MailboxMissing):
        driver.locate(1)
    with pytest.raises(MailboxMissing):
        mbox.opened()
    mbox.path.mkdir()
    with pytest.raises(MailboxMissing):
        mbox.opened()
    mbox.path.rmdir()
    mbox.path.symlink_to("elsewhere")
    with pytest.raises(Unsupported, match="symbolic link"):
        mbox.opened().locate(1)
    mbox.path.unlink()
    os.mkfifo(mbox.path)
    with pytest.raises(StoreFailure, match="not a regular file"):
        mbox.opened().locate(1)
    mbox.path.unlink()
    mbox.write(MAILS)
    mbox.folder.rename(mbox.folder.with_name("away"))
    assert not driver.is_in_place()
    with pytest.raises(Unsupported, match="no index"):
        mbox.opened()
    mbox.folder.symlink_to("away")
    with pytest.raises(Unsupported, match="symbolic link"):
        mbox.opened()
    with pytest.raises(MailboxMissing):
        OpenedMbox(MboxPlaces(Place(b"/nowhere", ()), b"x", Place(b"/nowhere", ())), RULES)


def test_a_directory_that_may_not_be_listed(mbox: Mbox) -> None:
    mbox.path.parent.chmod(0o311)
    try:
        assert content(mbox.opened().locate(1)) == SHOWN[1]
    finally:
        mbox.path.parent.chmod(0o755)


@pytest.mark.parametrize("how", ["fcntl", "flock"])
def test_a_writer_has_the_lock(mbox: Mbox, how: str) -> None:
    driver = mbox.opened(MboxRules(read_locks=(how,), lock_seconds=7))
    with lock_of_another(mbox.path, how) as process:
        with pytest.raises(Busy, match="Timeout while waiting for lock") as busy:
            driver.locate(1)
        assert busy.value.seconds == 7
        assert content(mbox.opened(MboxRules(read_locks=())).locate(1)) == SHOWN[1]
        assert process.stdin
        process.stdin.close()
    assert content(driver.locate(1)) == SHOWN[1]


def test_a_mail_that_was_read_already_is_locked_again(mbox: Mbox) -> None:
    driver = mbox.opened(MboxRules(read_locks=("flock",)))
    for _ in range(2):
        assert content(driver.locate(1)) == SHOWN[1]
        time.sleep(2 * file_source.TICK / 1e9)  # long enough for all that may be remembered
    with lock_of_another(mbox.path, "flock"), pytest.raises(Busy):
        driver.locate(1)


def test_the_second_lock_is_taken(mbox: Mbox) -> None:
    """Then the first one is not kept either."""
    driver = mbox.opened(MboxRules(read_locks=("fcntl", "flock")))
    with lock_of_another(mbox.path, "flock") as process:
        with pytest.raises(Busy):
            driver.locate(1)
        assert is_free(mbox.path)
        assert process.stdin
        process.stdin.close()
    assert content(driver.locate(1)) == SHOWN[1]


def test_a_file_that_takes_the_name_meanwhile(mbox: Mbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking; the next attempt finds the new one."""
    driver = mbox.opened()
    take = opened_mbox.ReadLock.take

    def take_late(lock: opened_mbox.ReadLock) -> None:
        mbox.path.rename(mbox.path.with_name("old"))
        mbox.write({1: b"A: new\n\n"})
        take(lock)

    with monkeypatch.context() as patch:
        patch.setattr(opened_mbox.ReadLock, "take", take_late)
        with pytest.raises(Busy, match="replaced"):
            driver.locate(1)
    assert content(driver.locate(1)) == b"A: new\n\n"


def test_places() -> None:
    location = Location(b"/home/bob/mail", FS, inbox=b"/var/mail/bob", driver=MBOX)
    assert mbox_places(location, b"INBOX") == MboxPlaces(
        Place(b"/var/mail", ()), b"bob", Place(b"/home/bob/mail", (b".imap", b"INBOX"))
    )
    assert mbox_places(location, b"a/b/c") == MboxPlaces(
        Place(b"/home/bob/mail", (b"a", b"b")), b"c", Place(b"/home/bob/mail", (b"a", b"b", b".imap", b"c"))
    )
    apart = Location(b"/m", FS, index=b"/i", driver=MBOX)
    assert mbox_places(apart, b"INBOX") == MboxPlaces(
        Place(b"/m", ()), b"INBOX", Place(b"/i", (b".imap", b"INBOX"))
    )
    root = Location(b"/m", FS, inbox=b"/bob", driver=MBOX)
    assert mbox_places(root, b"INBOX").directory == Place(b"/", ())
    for name in (b".imap", b".imap/x", b"x/.imap/y", b"x.lock", b"a/x.lock"):
        with pytest.raises(Unsupported):
            mbox_places(location, name)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_garbage(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever the file holds and the index says, the answer is a message of the file or a refusal."""
    mbox = Mbox(tmp_path_factory.mktemp("garbage"))
    good = mbox.path.read_bytes()
    cut = data.draw(st.integers(0, len(good)))
    mbox.path.write_bytes(
        data.draw(st.sampled_from([good, good[:cut], good[cut:], good[:cut] + b"\n" + good[cut:]]))
    )
    where = (
        st.integers(0, len(good) + 5) | st.integers(0, (1 << 64) - 1) | st.sampled_from([*mbox.offsets.values()])
    )
    mbox.offsets = {uid: data.draw(where) for uid in mbox.offsets}
    mbox.sync(dirty=data.draw(st.booleans()))
    driver = mbox.opened()
    for uid in mbox.offsets:
        try:
            shown = content(driver.locate(uid))
        except StoreError:
            continue
        assert len(shown) <= len(good)
        # a header may be empty, and a line without a colon is no field
        assert b"X-UID:" not in (b"\n" + shown).partition(b"\n\n")[0]
    driver.close()


def test_the_kernels_layout_of_a_lock() -> None:
    """struct flock as it is packed in read_lock.py: the kernel gives it back with its fields in their places."""
    with open("/dev/null", "rb") as file:
        answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0))
    assert struct.unpack("hhqqi4x", answer)[0] == fcntl.F_UNLCK


def test_a_file_system_without_locks(mbox: Mbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dovecot may know what to do."""

    def refuse(fd: int, kind: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patch:
        patch.setitem(read_lock.METHODS, "fcntl", refuse)
        with pytest.raises(Unsupported, match=r"fcntl\(\) failed with mbox: No locks"):
            mbox.opened().locate(1)
    mbox.write({1: LONG})
    located = mbox.opened().locate(1)
    assert located.lock
    located.lock.release()
    monkeypatch.setitem(read_lock.METHODS, "fcntl", refuse)
    with pytest.raises(StoreFailure, match="No locks"):
        located.lock.take()
    located.file.close()


def test_what_was_found_is_remembered(mbox: Mbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the file or the index changes; and for a tick after a change anything may."""
    looks: list[int] = []
    find = opened_mbox.find

    def look(file: FileSource, where: mbox_mail.Stretch, rules: MboxRules) -> mbox_mail.Found:
        looks.append(where.uid)
        return find(file, where, rules)

    monkeypatch.setattr(opened_mbox, "find", look)
    driver = mbox.opened()
    for _ in range(2):
        assert content(driver.locate(1)) == SHOWN[1]
    assert looks == [1, 1]
    monkeypatch.setattr(file_source, "TICK", 0)
    for _ in range(3):
        for uid, shown in SHOWN.items():
            assert content(driver.locate(uid)) == shown
    assert looks == [1, 1, *SHOWN]
    mbox.write({1: b"A: anew\nX-UID: 1\n\n"})
    assert content(driver.locate(1)) == b"A: anew\n\n"
    with pytest.raises(ReadFailed, match="Message not found"):
        driver.locate(4)


def test_a_size_that_was_counted_is_remembered(mbox: Mbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a message that is not read at once, and until the file changes."""
    mbox.write({1: LONG, 4: MAILS[4]})
    driver = mbox.opened()

    def size_known() -> int | None:
        located = driver.locate(1)
        assert located.lock
        located.lock.release()
        located.file.close()
        if located.virtual_size is None:
            assert located.counted
            located.counted(500_000)
        else:
            assert located.stored_size == located.source.size
        return located.virtual_size

    assert [size_known(), size_known()] == [None, None]  # the file has just been written
    monkeypatch.setattr(file_source, "TICK", 0)
    assert [size_known(), size_known()] == [None, 500_000]
    mbox.write({1: LONG + b"more\n", 4: MAILS[4]})
    assert size_known() is None
    assert driver.locate(4).virtual_size is None
    monkeypatch.setattr(opened_mbox, "COUNTED", 1)
    mbox.write({1: LONG, 4: LONG})
    first, second = driver.locate(1), driver.locate(4)
    for located in (first, second):
        assert located.counted
        located.counted(500_000)
        located.file.close()
    assert [driver.locate(uid).virtual_size for uid in (1, 4)] == [500_000, None]
