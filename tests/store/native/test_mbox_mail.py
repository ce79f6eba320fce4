"""Long messages of an mbox file: read chunk by chunk, with a lock for each, while others write."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.store.errors import StoreFailure
from dovecot_urlauth.store.native import file_source
from dovecot_urlauth.store.native.driver import Busy
from dovecot_urlauth.store.native.mbox import mbox_mail, opened_mbox
from dovecot_urlauth.store.native.mbox.opened_mbox import IN_MEMORY
from tests.store.mboxes import FROM, LONG, MAILS, Mbox, content, is_free, lock_of_another

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dovecot_urlauth.config.mbox_rules import MboxRules
    from dovecot_urlauth.store.native.driver import Located
    from dovecot_urlauth.store.native.file_source import FileSource


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[tuple[Mbox, Located]]:
    mbox = Mbox(tmp_path, {1: MAILS[1], 4: LONG, 9: MAILS[9]})
    mail = mbox.opened().locate(4)
    assert mail.source.size > IN_MEMORY
    yield mbox, mail
    mail.file.close()


def take(mail: Located) -> None:
    assert mail.lock
    mail.lock.take()


def release(mail: Located) -> None:
    assert mail.lock
    mail.lock.release()


def test_any_piece(mail: tuple[Mbox, Located]) -> None:
    _, located = mail
    shown = LONG.replace(b"X-UID: 4\n", b"")
    assert content(located) == shown
    for offset, length in ((0, 3), (5, 10), (8, 1), (9, 1), (10, 1), (len(shown) - 2, 9), (len(shown), 5)):
        assert located.source.read(offset, length) == shown[offset : offset + length]


def test_who_has_the_lock(mail: tuple[Mbox, Located]) -> None:
    mbox, located = mail
    assert not is_free(mbox.path)
    release(located)
    assert is_free(mbox.path)
    with lock_of_another(mbox.path) as process:
        with pytest.raises(Busy):
            take(located)
        assert process.stdin
        process.stdin.close()
    take(located)
    assert not is_free(mbox.path)
    other = mbox.opened().locate(4)
    other.file.close()
    assert not is_free(mbox.path)  # closing one description of the file has not ended the other's lock
    located.file.close()
    assert is_free(mbox.path)


def test_mail_is_added(mail: tuple[Mbox, Located]) -> None:
    mbox, located = mail
    for _ in range(3):
        release(located)
        mbox.add(b"A: new\n\nmail\n")
        take(located)
        assert content(located) == LONG.replace(b"X-UID: 4\n", b"")


def test_the_last_message_is_not_the_last_any_more(tmp_path: Path) -> None:
    mbox = Mbox(tmp_path, {1: MAILS[1], 4: LONG})
    located = mbox.opened().locate(4)
    for new in (b"", b"A: new\n\nmail\n", b"A: more\n\n"):
        release(located)
        if new:
            mbox.add(new)
        else:
            os.utime(mbox.path)
        take(located)
        assert content(located) == LONG.replace(b"X-UID: 4\n", b"")
    located.file.close()


def test_dovecot_moves_it(mail: tuple[Mbox, Located]) -> None:
    mbox, located = mail
    release(located)
    mbox.write({4: LONG.replace(b"X-UID: 4\n", b"X-UID: 4   \nStatus: RO\n"), 9: MAILS[9]})
    take(located)
    assert content(located) == LONG.replace(b"X-UID: 4\n", b"")


def test_a_new_file_takes_the_name(mail: tuple[Mbox, Located]) -> None:
    """Nobody writes to the old one any more."""
    mbox, located = mail
    release(located)
    new = mbox.path.with_name("new")
    new.write_bytes(FROM + b"A: other\n\n\n")
    new.rename(mbox.path)
    take(located)
    assert content(located) == LONG.replace(b"X-UID: 4\n", b"")


def test_the_mailbox_is_closed_meanwhile(tmp_path: Path) -> None:
    """Others have asked for many mailboxes; the message itself is open."""
    mbox = Mbox(tmp_path, {1: MAILS[1], 4: LONG})
    driver = mbox.opened()
    located = driver.locate(4)
    release(located)
    driver.close()
    for _ in range(2):
        take(located)
        assert content(located) == LONG.replace(b"X-UID: 4\n", b"")
        release(located)
        mbox.add(b"A: new\n\n")
    located.file.close()
    with pytest.raises(StoreFailure, match="closed"):
        take(located)


def test_dovecot_expunges_it(mail: tuple[Mbox, Located]) -> None:
    mbox, located = mail
    release(located)
    mbox.write({1: MAILS[1], 9: LONG})
    with pytest.raises(StoreFailure, match="expunged"):
        take(located)


def test_others_remove_it(mail: tuple[Mbox, Located]) -> None:
    """A twin of the message now lies where it lay, but it has another UID."""
    mbox, located = mail
    release(located)
    twin = LONG.replace(b"X-UID: 4", b"X-UID: 9")
    mbox.path.write_bytes(FROM + MAILS[1] + b"\n" + FROM + twin + b"\n" + FROM + twin + b"\n")
    with pytest.raises(StoreFailure, match="changed"):
        take(located)


@pytest.mark.parametrize("cut", [3, 100, 1000])
def test_others_cut_the_file(mail: tuple[Mbox, Located], cut: int) -> None:
    mbox, located = mail
    release(located)
    os.truncate(mbox.path, mbox.path.stat().st_size - cut)
    if cut < len(FROM + MAILS[9]):
        take(located)
        assert content(located) == LONG.replace(b"X-UID: 4\n", b"")
    else:
        with pytest.raises(StoreFailure, match="changed"):
            take(located)


def test_an_old_file_is_not_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has not changed since a while is the same; what was just written may change within a tick."""
    mbox = Mbox(tmp_path, {4: LONG})
    located = mbox.opened().locate(4)
    looks: list[int] = []
    find = mbox_mail.find

    def look(file: FileSource, where: mbox_mail.Stretch, rules: MboxRules) -> mbox_mail.Found:
        looks.append(1)
        return find(file, where, rules)

    monkeypatch.setattr(opened_mbox, "find", look)
    release(located)
    take(located)
    assert len(looks) == 1
    monkeypatch.setattr(file_source, "TICK", 0)
    for _ in range(3):
        release(located)
        take(located)
    assert len(looks) == 2
    located.file.close()
