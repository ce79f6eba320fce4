"""A native mailbox: sizes that somebody noted, the seam for decoders, and turns for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dovecot_urlauth.config.mail_location import DRIVERS
from dovecot_urlauth.config.native_settings import native_settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19
from dovecot_urlauth.message import steps
from dovecot_urlauth.message.fetch import Request
from dovecot_urlauth.message.source import BytesSource
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.store.errors import MailboxMissing, StoreFailure, Unsupported
from dovecot_urlauth.store.native.driver import OPENERS, Busy, Located
from dovecot_urlauth.store.native.mailbox import QUICKLY_COUNTED, NativeStore, believable_size
from dovecot_urlauth.store.native.maildir.opened_maildir import OpenedMaildir
from tests.store import ondisk
from tests.store.dboxes import replace
from tests.store.native.compressing import COMPRESS
from tests.store.user import GUID, KEY, make_maildir, user, write_key
from tests.store.waiting import LOOP, gather, open_mailbox, wait, whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WHOLE = Request(section=b"")
BIG = 4 * QUICKLY_COUNTED


def test_every_driver_of_the_settings_can_be_opened() -> None:
    assert {rules.driver for rules in DRIVERS.values()} == OPENERS.keys()


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    make_maildir(tmp_path / "Maildir", {})
    return tmp_path / "Maildir"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[NativeStore]:
    opened = NativeStore(native_settings(user(tmp_path), DOVECOT_2_3_19), LOOP)
    yield opened
    opened.close()


def put(
    maildir: Path, mail: bytes, sizes: str = "", noted: str = "", guid: str = GUID, uid_validity: int = 1000
) -> None:
    """The mailbox's only mail, with ``sizes`` in its file's name and keys before that in the uidlist."""
    name = f"mail{sizes}"
    (maildir / "cur" / f"{name}:2,S").write_bytes(mail)
    uidlist = ondisk.uidlist([(1, f"{noted}:{name}")], guid=guid, uid_validity=uid_validity)
    replace(maildir / "dovecot-uidlist", uidlist)
    replace(maildir / "dovecot.index", ondisk.index([(1, 0x08)], uid_validity=uid_validity))


@pytest.mark.parametrize(
    "sizes", ["", ",S=3", ",S=3,W=5", ",W=5", ",S=3,W=6", ",S=3,W=4000", ",S=4000,W=4000", ",W=99999"]
)
@pytest.mark.parametrize("noted", ["", "W6 ", "W4000 ", "S4000 W4000 "])
def test_a_noted_size_that_is_too_large_is_not_announced(
    maildir: Path, store: NativeStore, sizes: str, noted: str
) -> None:
    """The client would wait for what never comes; the session was lost."""
    put(maildir, b"a\nb\n", sizes, noted)
    assert wait(whole(wait(open_mailbox(store, b"INBOX").fetch(1, WHOLE)))) == b"a\r\nb\r\n"


@pytest.mark.parametrize(
    ("stored", "noted_stored", "noted", "believed"),
    [
        (100, 100, None, None),
        (100, 100, 100, 100),
        (100, None, 90, 90),
        (100, 100, 102, None),
        (BIG, BIG, BIG, BIG),
        (BIG, BIG, BIG + 9, BIG + 9),
        (BIG, BIG, 2 * BIG, 2 * BIG),
        (BIG, BIG, 2 * BIG + 1, None),
        (BIG, BIG - 1, BIG + 9, None),
        (BIG, None, BIG + 9, None),
    ],
)
def test_which_sizes_are_believed(
    stored: int, noted_stored: int | None, noted: int | None, believed: int | None
) -> None:
    source = BytesSource(bytes(stored))
    mail = Located(source, None, noted_stored, noted)  # type: ignore[arg-type]
    assert believable_size(mail, source) == believed


def compressing(home: Path) -> NativeStore:
    """The same mail with the zlib plugin loaded."""
    return NativeStore(native_settings(user(home, {"mail_plugins": "zlib"}), DOVECOT_2_3_19), LOOP)


def fetched(store: NativeStore, request: Request = WHOLE) -> bytes:
    return wait(whole(wait(open_mailbox(store, b"INBOX").fetch(1, request))))


@pytest.mark.parametrize("form", COMPRESS)
@pytest.mark.parametrize("sizes", ["", ",S=100000,W=110000", ",S=3,W=999999"])
def test_compressed_mail(tmp_path: Path, maildir: Path, store: NativeStore, form: str, sizes: str) -> None:
    """Of either size that was noted, none but the right one is believed."""
    mail = b"long line\n" * 10_000
    put(maildir, COMPRESS[form](mail), sizes)
    opened = compressing(tmp_path)
    assert fetched(opened) == mail.replace(b"\n", b"\r\n")
    assert fetched(opened, Request(section=b"", partial_offset=99_999, partial_size=7)) == b"\r\nlong "
    assert fetched(store).startswith(COMPRESS[form](mail)[:3])  # without the plugin the bytes are the mail
    put(maildir, mail)
    assert fetched(opened) == mail.replace(b"\n", b"\r\n")
    opened.close()


def test_compressed_mail_that_is_cut(tmp_path: Path, maildir: Path) -> None:
    put(maildir, COMPRESS["gz"](b"mail\n")[:-1])
    opened = compressing(tmp_path)
    with pytest.raises(StoreFailure, match="gz: Unexpected end of data at byte"):
        fetched(opened)
    opened.close()


def test_others_have_their_turn(maildir: Path, store: NativeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(maildir, b"x" * 1_000_000)
    monkeypatch.setattr(steps, "TURN", 0.0)
    seen: list[str] = []

    async def other(loop: Loop) -> None:
        while True:
            seen.append("other")
            await loop.turn()

    async def reader() -> None:
        LOOP.spawn(other(LOOP), "other")
        content = await (await store.open(b"INBOX", 0)).fetch(1, WHOLE)
        seen.append("begins")
        await gather(content.chunks)
        seen.append("ends")

    wait(reader())
    assert seen[: seen.index("begins")].count("other") > 10
    assert seen[seen.index("begins") : seen.index("ends")].count("other") > 10


@pytest.mark.parametrize(("name", "works"), [(b"INBOX", True), (b"INBOX.INBOX", False), (b"INBOX.INBOX.a", False)])
def test_a_prefix_that_is_inbox_beside_an_escape_character(tmp_path: Path, name: bytes, works: bool) -> None:
    make_maildir(tmp_path / "Maildir", {})
    changes = {"mail_plugins": "listescape", "namespace/inbox/prefix": "INBOX."}
    opened = NativeStore(native_settings(user(tmp_path, changes), DOVECOT_2_3_19), LOOP)
    if works:
        assert open_mailbox(opened, name)
    else:
        with pytest.raises(Unsupported, match="below a prefix"):
            open_mailbox(opened, name)
    opened.close()


class SlowAttributes:
    """A dictionary whose answer is for the test to give."""

    def __init__(self) -> None:
        self.asked = LOOP.promise()
        self.answer = LOOP.promise()

    async def lookup(self, key: bytes) -> bytes | None:
        self.asked.set(None)
        await self.answer.wait(10)
        return KEY.hex().encode()

    def close(self) -> None: ...


@pytest.mark.parametrize("replaced", [False, True])
def test_another_session_has_the_mailbox_closed_meanwhile(
    maildir: Path, store: NativeStore, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    """While one waits for dict, another may open more mailboxes than are kept, or find this one moved."""
    put(maildir, b"mail\n")
    attributes = SlowAttributes()
    monkeypatch.setattr(store, "attributes", attributes)

    async def work() -> bytes:
        mailbox = await store.open(b"INBOX", 0)
        task = LOOP.spawn(mailbox.key(), "key")
        await attributes.asked.wait(10)
        if replaced:
            maildir.rename(maildir.with_name("gone"))
            make_maildir(maildir, {})
            put(maildir, b"other\n", guid="f" * 32)
        else:
            store.close()
        attributes.answer.set(None)
        assert await task.join(10) == KEY
        return await whole(await mailbox.fetch(1, WHOLE))

    if replaced:
        monkeypatch.setattr(store, "_opened", Forgetful())
        with pytest.raises(MailboxMissing, match="another mailbox"):
            wait(work())
    else:
        assert wait(work()) == b"mail\r\n"


def test_another_mailbox_while_a_writer_is_waited_for(
    tmp_path: Path, maildir: Path, store: NativeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key was the old mailbox's, so the new one's mail is not for those who have it."""
    put(maildir, b"mail\n")
    write_key(tmp_path)
    mailbox = open_mailbox(store, b"INBOX")
    assert wait(mailbox.key()) == KEY
    attempts = []

    def busy(driver: OpenedMaildir, uid: int) -> Located:
        attempts.append(uid)
        if len(attempts) > 1:
            return locate(driver, uid)
        maildir.rename(maildir.with_name("gone"))
        make_maildir(maildir, {})
        put(maildir, b"other\n", guid="f" * 32)
        store.close()
        raise Busy("locked", 10)

    locate = OpenedMaildir.locate
    monkeypatch.setattr(OpenedMaildir, "locate", busy)
    with pytest.raises(MailboxMissing, match="another mailbox"):
        wait(mailbox.fetch(1, WHOLE))
    assert attempts == [1]


@pytest.mark.parametrize("other", [{"uid_validity": 2000}, {"guid": "f" * 32}], ids=["UIDVALIDITY", "GUID"])
def test_another_mailbox_in_the_same_directory(
    maildir: Path, store: NativeStore, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    """While one waits for dict, another session has the shared driver look at what is there now."""
    put(maildir, b"mail\n")
    attributes = SlowAttributes()
    monkeypatch.setattr(store, "attributes", attributes)

    async def work() -> bytes:
        mailbox = await store.open(b"INBOX", 1000)
        task = LOOP.spawn(mailbox.key(), "key")
        await attributes.asked.wait(10)
        put(maildir, b"other\n", ",new", **other)
        await store.open(b"INBOX", 0)
        attributes.answer.set(None)
        await task.join(10)
        return await whole(await mailbox.fetch(1, WHOLE))

    with pytest.raises(MailboxMissing, match="another mailbox"):
        wait(work())


def test_rights_that_are_taken_while_a_writer_is_waited_for(
    tmp_path: Path, maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(maildir, b"mail\n")
    settings = native_settings(user(tmp_path, {"mail_plugins": "acl", "plugin/acl": "vfile"}), DOVECOT_2_3_19)
    store = NativeStore(settings, LOOP)
    mailbox = open_mailbox(store, b"INBOX")
    attempts = []

    def busy(driver: OpenedMaildir, uid: int) -> Located:
        attempts.append(uid)
        (maildir / "dovecot-acl").write_text("owner l\n")
        raise Busy("locked", 10)

    monkeypatch.setattr(OpenedMaildir, "locate", busy)
    with pytest.raises(MailboxMissing, match="right"):
        wait(mailbox.fetch(1, WHOLE))
    assert attempts == [1]
    store.close()


class Forgetful(dict[bytes, Any]):
    """Keeps nothing open."""

    def get(self, key: bytes, default: Any = None) -> Any:
        return None
