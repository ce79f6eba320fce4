"""A mailbox that others write to: the native store waits for them without stopping, and never lets them wait."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19
from dovecot_urlauth.message import fetch as fetch_module
from dovecot_urlauth.message.errors import PartMissing
from dovecot_urlauth.message.fetch import Request
from dovecot_urlauth.store.errors import MailboxMissing, StoreFailure
from dovecot_urlauth.store.fallback import open_store
from dovecot_urlauth.store.native import file_source
from tests.store import mboxes
from tests.store.mboxes import LONG, MAILS, Mbox, is_free, lock_of_another
from tests.store.user import KEY, user
from tests.store.waiting import LOOP, open_mailbox, wait, whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.message.steps import Steps
    from dovecot_urlauth.store.store import Mailbox

WHOLE = Request(section=b"", partial_offset=0, partial_size=None, body=True, binary=False, structure=False)
STRUCTURE = Request(section=b"7", partial_offset=0, partial_size=None, body=False, binary=False, structure=True)
SHOWN = LONG.replace(b"X-UID: 4\n", b"").replace(b"\n", b"\r\n")


def mailbox(home: Path, mails: dict[int, bytes], seconds: int = 60) -> tuple[Mbox, Mailbox]:
    """The file and the opened mailbox of a user whose mail is in mbox files."""
    (home / "mail").mkdir()
    mbox = Mbox(home / "mail", mails)
    settings = {"mail_location": "mbox:~/mail", "mbox_lock_timeout": f"{seconds} secs"}
    store = open_store(user(home, settings), DOVECOT_2_3_19, "native", None, LOOP, lambda text: None)  # type: ignore[arg-type]
    return mbox, open_mailbox(store, b"box")


def end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.close()
    process.wait()


def test_a_writer_is_waited_for(tmp_path: Path) -> None:
    mbox, opened = mailbox(tmp_path, MAILS)

    async def fetch() -> bytes:
        with lock_of_another(mbox.path) as process:
            task = LOOP.spawn(opened.fetch(1, WHOLE))
            await LOOP.sleep(0.1)
            assert not task.ended
            end(process)
        return await whole(await task.join(60))

    assert wait(fetch()) == b"A: first\r\n\r\none\r\n"


def test_a_writer_that_does_not_end(tmp_path: Path) -> None:
    mbox, opened = mailbox(tmp_path, MAILS, seconds=1)
    with lock_of_another(mbox.path) as process:
        with pytest.raises(StoreFailure, match="Timeout while waiting for lock"):
            wait(opened.fetch(1, WHOLE))
        end(process)
    opened.close()
    assert wait(whole(wait(opened.fetch(1, WHOLE)))) == b"A: first\r\n\r\none\r\n"


def test_a_client_that_takes_its_time(tmp_path: Path) -> None:
    """Between two chunks of a long message the file is free, and what is written then changes nothing."""
    mbox, opened = mailbox(tmp_path, {1: MAILS[1], 4: LONG})

    async def fetch() -> bytes:
        delivery = await opened.fetch(4, WHOLE)
        data = b""
        chunks = 0
        assert is_free(mbox.path)
        async for chunk in delivery.chunks:
            data += chunk
            chunks += 1
            assert is_free(mbox.path)
            mbox.add(b"A: new\n\nmail\n")
        assert chunks > 3
        assert len(data) == delivery.size
        return data

    assert wait(fetch()) == SHOWN


def test_line_ends_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes as long as sending does; until the file changes."""
    monkeypatch.setattr(file_source, "TICK", 0)
    mbox, opened = mailbox(tmp_path, {1: MAILS[1], 4: LONG})
    counted: list[int] = []
    count = fetch_module.whole_size

    def counting(source: Source, start: int, end: int) -> Steps[int]:
        counted.append(end)
        return count(source, start, end)

    monkeypatch.setattr(fetch_module, "whole_size", counting)
    for partial in (WHOLE, Request(section=b"", partial_offset=7, partial_size=300_000)):
        delivery = wait(opened.fetch(4, partial))
        end = 7 + 300_000 if partial.partial_size else None
        assert wait(whole(delivery)) == SHOWN[partial.partial_offset : end]
        assert len(counted) == 1
    mbox.write({1: MAILS[1], 4: LONG + b"one more\n"})
    assert wait(whole(wait(opened.fetch(4, WHOLE)))) == SHOWN + b"one more\r\n"
    assert len(counted) == 2


def test_a_writer_in_the_middle(tmp_path: Path) -> None:
    mbox, opened = mailbox(tmp_path, {4: LONG})

    async def fetch() -> bytes:
        delivery = await opened.fetch(4, WHOLE)
        data = await anext(delivery.chunks)
        with lock_of_another(mbox.path) as process:
            task = LOOP.spawn(whole_rest(delivery.chunks))
            await LOOP.sleep(0.1)
            assert not task.ended
            end(process)
        return data + await task.join(60)

    async def whole_rest(chunks: object) -> bytes:
        return b"".join([chunk async for chunk in chunks])  # type: ignore[attr-defined]

    assert wait(fetch()) == SHOWN


def test_a_message_that_goes_away(tmp_path: Path) -> None:
    mbox, opened = mailbox(tmp_path, {4: LONG, 9: MAILS[9]})

    async def fetch() -> None:
        delivery = await opened.fetch(4, WHOLE)
        await anext(delivery.chunks)
        mbox.write({9: MAILS[9]})
        with pytest.raises(StoreFailure, match="expunged"):
            async for _ in delivery.chunks:
                pass

    wait(fetch())
    assert is_free(mbox.path)


OTHER = [{"uid_validity": 2000}, {"guid": bytes(range(50, 66))}]
"""What makes another mailbox of what has the same name."""


@pytest.mark.parametrize("other", OTHER, ids=["UIDVALIDITY", "GUID"])
@pytest.mark.parametrize("mail", [MAILS[4], LONG], ids=["short", "long"])
def test_another_mailbox_has_the_file_after_the_wait(tmp_path: Path, other: dict[str, Any], mail: bytes) -> None:
    mbox, opened = mailbox(tmp_path, {4: mail})
    put_key(tmp_path, KEY)
    assert wait(opened.key()) == KEY

    def replace() -> None:
        mbox.write({4: b"A: secret\nX-UID: 4\n\n" + mail}, **other)

    with pytest.raises(MailboxMissing, match="another mailbox"):
        wait(fetched_after(mbox, opened, replace))
    assert is_free(mbox.path)


@pytest.mark.parametrize("key", [None, bytes(64)], ids=["none", "another"])
def test_a_key_that_is_reset_during_the_wait(tmp_path: Path, key: bytes | None) -> None:
    mbox, opened = mailbox(tmp_path, {4: LONG})
    put_key(tmp_path, KEY)
    assert wait(opened.key()) == KEY
    with pytest.raises(MailboxMissing, match="key was reset"):
        wait(fetched_after(mbox, opened, lambda: put_key(tmp_path, key)))
    assert is_free(mbox.path)


def test_a_key_that_stays_during_the_wait(tmp_path: Path) -> None:
    mbox, opened = mailbox(tmp_path, {4: LONG})
    put_key(tmp_path, KEY)
    assert wait(opened.key()) == KEY
    assert wait(fetched_after(mbox, opened, lambda: None)) == SHOWN


@pytest.mark.parametrize("other", OTHER, ids=["UIDVALIDITY", "GUID"])
def test_another_mailbox_in_the_middle_of_a_mail(tmp_path: Path, other: dict[str, Any]) -> None:
    """Its message has the same UID, the same header and the same size."""
    mbox, opened = mailbox(tmp_path, {4: LONG})

    async def fetch() -> None:
        delivery = await opened.fetch(4, WHOLE)
        await anext(delivery.chunks)
        mbox.write({4: LONG.replace(b"line", b"LINE")}, **other)
        with pytest.raises(StoreFailure, match="expunged"):
            async for _ in delivery.chunks:
                pass

    wait(fetch())
    assert is_free(mbox.path)


async def fetched_after(mbox: Mbox, opened: Mailbox, happens: Callable[[], None]) -> bytes:
    """Message 4, for whose lock somebody waits while something happens."""
    with lock_of_another(mbox.path) as process:
        task = LOOP.spawn(opened.fetch(4, WHOLE))
        await LOOP.sleep(0.1)
        assert not task.ended
        happens()
        end(process)
    return await whole(await task.join(60))


def put_key(home: Path, key: bytes | None) -> None:
    """The mailbox's key in the dictionary, or none."""
    entry = f"priv/{mboxes.GUID.hex()}/vendor/vendor.dovecot/imap-urlauth\n{key.hex()}\n" if key else ""
    (home / "new").write_text(entry)
    (home / "new").rename(home / "attributes")


def test_a_part_that_is_missing(tmp_path: Path) -> None:
    """Whatever ends a fetch, nothing stays locked."""
    mbox, opened = mailbox(tmp_path, {4: LONG})
    with pytest.raises(PartMissing):
        wait(opened.fetch(4, STRUCTURE))
    assert is_free(mbox.path)
