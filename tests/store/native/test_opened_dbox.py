"""Opened mailboxes of sdbox and mdbox: what moves meanwhile is found, and what does not fit is left to Dovecot."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dovecot_urlauth.config.native_settings import native_settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19
from dovecot_urlauth.message.fetch import Request
from dovecot_urlauth.store.errors import MailboxMissing, ReadFailed, StoreError, Unsupported
from dovecot_urlauth.store.native import file_source
from dovecot_urlauth.store.native.files import Directory
from dovecot_urlauth.store.native.mailbox import NativeStore
from tests.store import ondisk
from tests.store.dboxes import (
    HEADER,
    MAP_VALIDITY,
    make_mdbox,
    make_sdbox,
    message,
    replace,
    write_box,
    write_index,
    write_map,
)
from tests.store.user import GUID, KEY, user, write_key
from tests.store.waiting import LOOP, key_of, open_mailbox, wait, whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dovecot_urlauth.store.native.file_source import FileSource

WHOLE = Request(section=b"")
MAILS = {3: b"three\n", 7: b"seven\r\n"}
BOX = "box/mailboxes/INBOX/dbox-Mails"


def store(home: Path, location: str = "sdbox:~/box") -> NativeStore:
    return NativeStore(native_settings(user(home, {"mail_location": location}), DOVECOT_2_3_19), LOOP)


def read(opened: NativeStore, uid: int = 3, mailbox: bytes = b"INBOX") -> bytes:
    box = open_mailbox(opened, mailbox)
    try:
        return wait(whole(wait(box.fetch(uid, WHOLE))))
    finally:
        box.close()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def make_inbox(home: Path, location: str) -> None:
    if location.startswith("sdbox"):
        make_sdbox(home / BOX, MAILS)
    else:
        make_mdbox(home / "box", {"INBOX": MAILS, "Sub/a": {1: b"sub"}})


@pytest.mark.parametrize("location", ["sdbox:~/box", "mdbox:~/box"])
def test_messages_and_key(tmp_path: Path, location: str) -> None:
    make_inbox(tmp_path, location)
    write_key(tmp_path)
    before = descriptors()
    opened = store(tmp_path, location)
    for _ in range(2):
        assert (read(opened, 3), read(opened, 7)) == (b"three\r\n", b"seven\r\n")
        assert key_of(opened) == KEY
    with pytest.raises(ReadFailed, match="not found"):
        read(opened, 4)
    for name in (b"Missing", b"Sub"):
        with pytest.raises(MailboxMissing):
            open_mailbox(opened, name)
    with pytest.raises(MailboxMissing):
        open_mailbox(opened, b"INBOX", 1001)
    opened.close()
    assert descriptors() == before


@pytest.mark.parametrize("driver", ["sdbox", "mdbox"])
def test_external_attachments(tmp_path: Path, driver: str) -> None:
    """The file of sdbox has the mailbox and the UID in its name, that of mdbox has not."""
    make_inbox(tmp_path, driver)
    (tmp_path / "att" / "ab").mkdir(parents=True)
    name = f"hash-1-{GUID}-3" if driver == "sdbox" else "hash-1"
    (tmp_path / "att" / "ab" / name).write_bytes(b"decoded")
    file = tmp_path / BOX / "u.3" if driver == "sdbox" else tmp_path / "box" / "storage" / "m.1"
    encoded = message(b"head.\nend\n", {"X": "6 14 B4 ab/hash-1", "Z": "18", "V": "21"})
    if driver == "sdbox":
        file.write_bytes(HEADER + encoded)
    else:
        write_map(tmp_path / "box" / "storage", {1: (9, 0)})
        write_box(tmp_path / BOX, {3: 1})
        file.with_name("m.9").write_bytes(HEADER + encoded)
    before = descriptors()
    where = {"mail_location": f"{driver}:~/box", "mail_attachment_dir": "~/att"}
    opened = NativeStore(native_settings(user(tmp_path, where), DOVECOT_2_3_19), LOOP)
    assert read(opened) == b"head.\r\nZGVj\r\nb2Rl\r\nZA==end\r\n"
    opened.close()
    for more, reason in (
        ({"mail_attachment_dir": ""}, "settings do not say where"),
        ({"mail_attachment_dir": "~/none"}, "is not there"),
    ):
        opened = NativeStore(native_settings(user(tmp_path, where | more), DOVECOT_2_3_19), LOOP)
        with pytest.raises(Unsupported, match=reason):
            read(opened)
        opened.close()
    assert descriptors() == before


def test_another_mailbox_of_the_same_storage(tmp_path: Path) -> None:
    make_inbox(tmp_path, "mdbox")
    assert read(store(tmp_path, "mdbox:~/box"), 1, b"Sub/a") == b"sub"


@pytest.mark.parametrize(
    ("location", "part"),
    [
        ("sdbox:~/box", "mailboxes/INBOX/dbox-Mails"),
        ("mdbox:~/box", "mailboxes/INBOX/dbox-Mails"),
        ("mdbox:~/box", "storage"),
    ],
)
def test_a_directory_that_takes_the_place_of_another(tmp_path: Path, location: str, part: str) -> None:
    make_inbox(tmp_path, location)
    opened = store(tmp_path, location)
    assert read(opened) == b"three\r\n"
    (tmp_path / "box" / part).rename(tmp_path / "old")
    if location.startswith("sdbox"):
        make_sdbox(tmp_path / BOX, {3: b"other"})
    else:
        make_mdbox(tmp_path / "box", {"INBOX": {3: b"other"}})
    assert read(opened) == b"other"


def test_the_second_storage(tmp_path: Path) -> None:
    make_sdbox(tmp_path / BOX, MAILS)
    alt = tmp_path / "alt/mailboxes/INBOX/dbox-Mails"
    alt.mkdir(parents=True)
    opened = store(tmp_path, "sdbox:~/box:ALT=~/alt")
    assert read(opened) == b"three\r\n"
    (tmp_path / BOX / "u.3").rename(alt / "u.3")
    before = descriptors()
    assert read(opened) == b"three\r\n"
    assert descriptors() == before
    with pytest.raises(Unsupported, match=r"u\.3 is lost"):
        read(store(tmp_path))


def test_the_second_storage_of_mdbox(tmp_path: Path) -> None:
    make_inbox(tmp_path, "mdbox")
    (tmp_path / "alt").mkdir()
    (tmp_path / "alt/storage").mkdir()
    (tmp_path / "box/storage/m.1").rename(tmp_path / "alt/storage/m.1")
    assert read(store(tmp_path, "mdbox:~/box:ALT=~/alt")) == b"three\r\n"
    with pytest.raises(Unsupported, match="lost"):
        read(store(tmp_path, "mdbox:~/box"))


def meanwhile(monkeypatch: pytest.MonkeyPatch, what: Callable[[], object], name: str = "look_again") -> None:
    """Do something once, after a message was not found and before it is looked for again."""
    from dovecot_urlauth.store.native.dbox.opened_dbox import OpenedDbox

    real = getattr(OpenedDbox, name)
    todo = [what]

    def doing(self: OpenedDbox, uid: int) -> None:
        if todo:
            todo.pop()()
        real(self, uid)

    monkeypatch.setattr(OpenedDbox, name, doing)


def test_a_message_that_comes_back_from_the_second_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_sdbox(tmp_path / BOX, MAILS)
    (tmp_path / BOX / "u.3").rename(tmp_path / "moving")
    meanwhile(monkeypatch, lambda: (tmp_path / "moving").rename(tmp_path / BOX / "u.3"))
    assert read(store(tmp_path)) == b"three\r\n"


def test_a_message_that_is_expunged_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_sdbox(tmp_path / BOX, MAILS)
    (tmp_path / BOX / "u.3").unlink()
    meanwhile(monkeypatch, lambda: write_index(tmp_path / BOX, [7]))
    with pytest.raises(ReadFailed, match="expunged"):
        read(store(tmp_path))


def test_another_mailbox_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks at the index again may see the one of a mailbox with another key."""
    make_inbox(tmp_path, "sdbox")
    write_key(tmp_path)
    mailbox = open_mailbox(store(tmp_path), b"INBOX")
    assert wait(mailbox.key()) == KEY
    (tmp_path / BOX / "u.3").rename(tmp_path / "moving")

    def replaced() -> None:
        write_index(tmp_path / BOX, [3], guid="f" * 32)
        (tmp_path / "moving").rename(tmp_path / BOX / "u.3")

    meanwhile(monkeypatch, replaced)
    before = descriptors()
    with pytest.raises(MailboxMissing, match="another mailbox"):
        wait(mailbox.fetch(3, WHOLE))
    assert descriptors() <= before


def move_to_another_file(storage: Path) -> None:
    """What a purge does."""
    content = HEADER + message(b"three\n")
    (storage / "m.2").write_bytes(content + message(b"seven\r\n"))
    write_map(storage, {1: (2, len(HEADER)), 2: (2, len(content))})
    (storage / "m.1").unlink()


@pytest.mark.parametrize("location", ["sdbox:~/box", "mdbox:~/box"])
def test_the_same_message_again_opens_no_file(
    tmp_path: Path, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the index says that it is gone, or its file is another one."""
    monkeypatch.setattr(file_source, "TICK", 0)
    make_inbox(tmp_path, location)
    opened = store(tmp_path, location)
    assert read(opened) == b"three\r\n"
    files: list[bytes] = []
    real = Directory.file

    def noted(self: Directory, name: bytes) -> FileSource:
        files.append(name)
        return real(self, name)

    monkeypatch.setattr(Directory, "file", noted)
    assert read(opened) == b"three\r\n"
    assert files == []
    assert read(opened, 7) == b"seven\r\n"
    assert read(opened) == b"three\r\n"
    name = "u.3" if location.startswith("sdbox") else "m.1"
    assert files == [b"u.7" if name == "u.3" else b"m.1", name.encode()]
    file = tmp_path / (f"{BOX}/u.3" if name == "u.3" else "box/storage/m.1")
    replace(file, file.read_bytes().replace(b"three", b"THREE"))
    assert read(opened) == b"THREE\r\n"
    file.unlink()
    with pytest.raises(Unsupported, match="lost"):
        read(opened)
    write_index(tmp_path / BOX, [7])
    with pytest.raises((ReadFailed, Unsupported)):
        read(opened)


@pytest.mark.parametrize("tick", [0, file_source.TICK])
def test_a_purge_before_the_next_message(tmp_path: Path, tick: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_source, "TICK", tick)
    make_inbox(tmp_path, "mdbox")
    opened = store(tmp_path, "mdbox:~/box")
    assert read(opened, 3) == b"three\r\n"
    move_to_another_file(tmp_path / "box/storage")
    assert (read(opened, 3), read(opened, 7)) == (b"three\r\n", b"seven\r\n")


def test_a_purge_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_inbox(tmp_path, "mdbox")
    storage = tmp_path / "box/storage"
    write_map(storage, {1: (5, len(HEADER)), 2: (5, len(HEADER))})
    meanwhile(monkeypatch, lambda: move_to_another_file(storage))
    assert read(store(tmp_path, "mdbox:~/box")) == b"three\r\n"


def test_a_purge_while_the_message_is_read(tmp_path: Path) -> None:
    make_inbox(tmp_path, "mdbox")
    box = open_mailbox(store(tmp_path, "mdbox:~/box"), b"INBOX")
    delivery = wait(box.fetch(7, WHOLE))
    move_to_another_file(tmp_path / "box/storage")
    assert wait(whole(delivery)) == b"seven\r\n"


def test_a_rebuild_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New numbers in both indexes."""
    make_inbox(tmp_path, "mdbox")
    storage = tmp_path / "box/storage"

    def rebuild() -> None:
        write_map(storage, {11: (1, len(HEADER))}, validity=78)
        write_box(tmp_path / BOX, {3: 11}, validity=78)

    write_map(storage, {11: (1, len(HEADER))}, validity=78)
    meanwhile(monkeypatch, rebuild)
    assert read(store(tmp_path, "mdbox:~/box")) == b"three\r\n"


NUMBER = struct.pack("<I", 1)
LOST: dict[str, Callable[[Path], object]] = {
    "do not belong together": lambda box: write_map(box / "storage", {1: (1, 16)}, validity=5),
    "has lost a message": lambda box: write_map(box / "storage", {9: (1, 16)}),
    "has lost a record": lambda box: write_map(box / "storage", {1: (0, 16)}),
    "lost in the mdbox storage": lambda box: write_map(box / "storage", {1: (9, 16)}),
    "no message there": lambda box: write_map(box / "storage", {1: (1, 17)}),
    "no message there, nor anything": lambda box: write_map(box / "storage", {1: (1, 0xFFFFFFFF)}),
    "broken record": lambda box: replace(
        box / "storage/dovecot.map.index",
        ondisk.index([(1, 0)], uid_validity=MAP_VALIDITY, extensions=[(b"map", 0, b"", {1: b"12345678"})]),
    ),
    "lacks numbers": lambda box: replace(
        box / "mailboxes/INBOX/dbox-Mails/dovecot.index",
        ondisk.index([(3, 0)], extensions=[(b"mdbox-hdr", 0, NUMBER, {})]),
    ),
    "lacks numbers of the map": lambda box: replace(
        box / "mailboxes/INBOX/dbox-Mails/dovecot.index",
        ondisk.index([(3, 0)], extensions=[(b"mdbox", 0, b"", {3: NUMBER})]),
    ),
    "no index yet": lambda box: (box / "storage/dovecot.map.index.log").unlink(),
    "mdbox storage": lambda box: (box / "storage").rename(box / "away"),
    "marked deleted": lambda box: replace(
        box / "storage/dovecot.map.index.log",
        ondisk.log_header() + ondisk.log_record(0x20000 | ondisk.EXTERNAL, b""),
    ),
}


@pytest.mark.parametrize("reason", LOST)
def test_an_mdbox_that_dovecot_has_to_repair(tmp_path: Path, reason: str) -> None:
    """Nothing stays open, however often it is tried."""
    make_inbox(tmp_path, "mdbox")
    LOST[reason](tmp_path / "box")
    opened = store(tmp_path, "mdbox:~/box")
    held = []
    for _ in range(3):
        with pytest.raises(Unsupported, match=reason.partition(",")[0].partition(" of ")[0]):
            read(opened)
        held.append(descriptors())
    assert held[0] == held[-1]


def test_an_index_apart_that_is_not_there(tmp_path: Path) -> None:
    make_inbox(tmp_path, "mdbox")
    before = descriptors()
    with pytest.raises(Unsupported, match="no index yet"):
        open_mailbox(store(tmp_path, "mdbox:~/box:INDEX=~/index"), b"INBOX")
    (tmp_path / "index/mailboxes/INBOX").mkdir(parents=True)
    with pytest.raises(Unsupported, match="mdbox storage has no index"):
        open_mailbox(store(tmp_path, "mdbox:~/box:INDEX=~/index"), b"INBOX")
    (tmp_path / BOX).rename(tmp_path / "away")
    with pytest.raises(MailboxMissing):
        open_mailbox(store(tmp_path, "mdbox:~/box:INDEX=~/index"), b"INBOX")
    (tmp_path / "index/mailboxes/INBOX/dovecot.index.log").touch()
    with pytest.raises(Unsupported, match="index and no directory"):
        open_mailbox(store(tmp_path, "mdbox:~/box:INDEX=~/index"), b"INBOX")
    assert descriptors() == before


def test_an_index_apart(tmp_path: Path) -> None:
    make_sdbox(tmp_path / BOX, MAILS, tmp_path / "index/mailboxes/INBOX")
    opened = store(tmp_path, "sdbox:~/box:INDEX=~/index")
    assert read(opened) == b"three\r\n"
    (tmp_path / "index").rename(tmp_path / "old")
    with pytest.raises(Unsupported):
        read(opened)


@pytest.mark.parametrize("linked", ["mailboxes/INBOX", "storage"])
def test_an_index_that_is_a_link(tmp_path: Path, linked: str) -> None:
    """It is Dovecot's to follow, and nothing stays open."""
    make_inbox(tmp_path, "mdbox")
    for name in {"mailboxes/INBOX", "storage"} - {linked}:
        (tmp_path / "index" / name).mkdir(parents=True)
    (tmp_path / "index/mailboxes").mkdir(parents=True, exist_ok=True)
    (tmp_path / "index" / linked).symlink_to(tmp_path / "box" / linked)
    before = descriptors()
    with pytest.raises(Unsupported, match="symbolic link"):
        open_mailbox(store(tmp_path, "mdbox:~/box:INDEX=~/index"), b"INBOX")
    assert descriptors() == before


@pytest.mark.parametrize("guid", ["0" * 32, ""])
def test_a_mailbox_without_a_guid(tmp_path: Path, guid: str) -> None:
    make_sdbox(tmp_path / BOX, MAILS)
    write_index(tmp_path / BOX, [3], guid)
    if not guid:
        replace(tmp_path / BOX / "dovecot.index", ondisk.index([(3, 0)]))
    with pytest.raises(Unsupported, match="no GUID"):
        key_of(store(tmp_path))


def test_a_mailbox_that_nobody_opened_yet(tmp_path: Path) -> None:
    make_sdbox(tmp_path / BOX, MAILS)
    replace(tmp_path / BOX / "dovecot.index", ondisk.index([], uid_validity=0))
    with pytest.raises(Unsupported, match="never opened"):
        open_mailbox(store(tmp_path), b"INBOX")


@pytest.mark.parametrize("location", ["sdbox:~/box", "mdbox:~/box"])
def test_links_and_other_files(tmp_path: Path, location: str) -> None:
    make_inbox(tmp_path, location)
    path = tmp_path / (BOX + "/u.3" if location.startswith("sdbox") else "box/storage/m.1")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unsupported, match="symbolic link"):
        read(store(tmp_path, location))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreError):
        read(store(tmp_path, location))


FILES = ["mailboxes/INBOX/dbox-Mails/dovecot.index", "storage/dovecot.map.index", "storage/dovecot.map.index.log",
         "storage/m.1"]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(FILES), st.data())
def test_any_damage_to_an_mdbox(tmp_path: Path, name: str, data: st.DataObject) -> None:
    """A message or a documented error, and nothing left open."""
    make_mdbox(tmp_path / "box", {"INBOX": MAILS})
    path = tmp_path / "box" / name
    content = bytearray(path.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, 2 * len(content))) :]
    path.write_bytes(content)
    before = descriptors()
    opened = store(tmp_path, "mdbox:~/box")
    for uid in (3, 7, 9):
        try:
            read(opened, uid)
        except StoreError:
            pass
    opened.close()
    assert descriptors() == before
