"""Native where all is understood, Dovecot where it is not, and the rest of the session once that has happened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.dialect.dialect import Dialect
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19, DOVECOT_2_4_1, DOVECOT_2_4_2
from dovecot_urlauth.message.fetch import Request
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.store.engine import engine
from dovecot_urlauth.store.engine.engine_start import prepare_engine
from dovecot_urlauth.store.engine.imap_process import Command
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, ReadFailed, StoreFailure
from dovecot_urlauth.store.fallback import ChosenStore, open_store
from tests.store.user import KEY, SETTINGS_2_4, User, make_maildir, user, write_key
from tests.store.waiting import LOOP, first_chunk, open_mailbox, wait, whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dovecot_urlauth.store.store import Ahead, Mailbox, Store

WHOLE = Request(section=b"", partial_offset=0, partial_size=None, body=True, binary=False, structure=False)
MAILS = {3: b"a: b\n\nthree\n", 7: b"a: b\r\n\r\nseven"}


ENGINE = prepare_engine(Settings({}), b"/lib", None)


class FakeEngine:
    """Stands in for EngineStore."""

    mailbox_key = b"engine's key"

    def __init__(self, name: bytes, command: Command, log: Callable[[str], None], loop: Loop) -> None:
        assert name == b"bob"
        self.command = command
        self.opened: list[tuple[bytes, int]] = []
        self.started = False

    def start(self) -> None:
        self.started = True

    async def open(self, mailbox: bytes, uidvalidity: int, ahead: Ahead | None = None) -> FakeEngine:
        assert self.started
        self.opened.append((mailbox, uidvalidity))
        return self

    async def key(self) -> bytes:
        return self.mailbox_key

    async def fetch(self, uid: int, request: Request) -> tuple[str, int, Request]:
        return ("engine's", uid, request)

    def close(self) -> None:
        pass


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(engine, "EngineStore", FakeEngine)
    make_maildir(tmp_path / "Maildir", MAILS)
    make_maildir(tmp_path / "Maildir" / ".Sub", {1: b"sub"})
    write_key(tmp_path)
    return tmp_path


def opened(who: User, dialect: Dialect = DOVECOT_2_3_19, mode: str = "auto") -> tuple[Store, list[str]]:
    said: list[str] = []
    return open_store(who, dialect, mode, ENGINE, LOOP, said.append), said


def read(store: Store) -> bytes:
    mailbox = open_mailbox(store, b"INBOX", 0)
    assert wait(mailbox.key()) == KEY
    return content(mailbox, 3)


def content(mailbox: Mailbox, uid: int) -> bytes:
    return wait(whole(wait(mailbox.fetch(uid, WHOLE))))


def fetched(mailbox: Mailbox, uid: int) -> Any:
    """A Delivery, or what FakeEngine gives instead."""
    return wait(mailbox.fetch(uid, WHOLE))


@pytest.mark.parametrize(
    ("dialect", "base"), [(DOVECOT_2_3_19, None), (DOVECOT_2_4_1, SETTINGS_2_4), (DOVECOT_2_4_2, SETTINGS_2_4)]
)
def test_native(home: Path, dialect: Dialect, base: dict[str, str] | None) -> None:
    store, said = opened(user(home, base=base) if base else user(home), dialect)
    assert said == ["store: native"]
    inbox = open_mailbox(store, b"InBox", 1000)
    assert wait(inbox.key()) == KEY
    assert content(inbox, 3) == b"a: b\r\n\r\nthree\r\n"
    assert content(inbox, 7) == MAILS[7]
    with pytest.raises(ReadFailed, match="Message not found"):
        wait(inbox.fetch(4, WHOLE))
    inbox.close()
    assert content(open_mailbox(store, b"Sub", 0), 1) == b"sub"
    for name, uidvalidity in ((b"INBOX", 1001), (b"Missing", 0), (b"\xff", 0), (b"x" * 300, 0)):
        with pytest.raises(MailboxMissing):
            open_mailbox(store, name, uidvalidity)
    with pytest.raises(MailboxRefused):
        open_mailbox(store, b"a/b", 0)
    store.close()
    assert said == ["store: native"]


@pytest.mark.parametrize(
    "text", [b"", b"00", b"0" * 127, b"0" * 129, b"0" * 126 + b"0g", b" " * 128, b"\xff" * 128]
)
def test_key_that_is_none(home: Path, text: bytes) -> None:
    write_key(home, text)
    store, _ = opened(user(home))
    with pytest.raises(StoreFailure, match="imap-urlauth: key found for mailbox INBOX is invalid"):
        wait(open_mailbox(store, b"INBOX", 0).key())


def test_without_a_key(home: Path) -> None:
    (home / "attributes").unlink()
    store, _ = opened(user(home))
    assert wait(open_mailbox(store, b"INBOX", 0).key()) is None


SETTINGS = [
    ({"mail_location": ""}, "mail_location is not set"),
    ({"mail_location": "imapc:~/m"}, "mail_location is imapc:"),
    ({"mail_location": "maildir:~/m:INDEX=MEMORY"}, "mail_location has INDEX=MEMORY"),
    ({"mail_location": "maildir:~/%{session}"}, "variable %{session}"),
    ({"mail_plugins": "quota virtual"}, "mail_plugins has virtual"),
    ({"mail_plugins": " virtual"}, "mail_plugins has virtual"),
    ({"mail_plugins": "brand_new"}, "mail_plugins has brand_new"),
    ({"mail_attribute_dict": ""}, "no mail_attribute_dict"),
    ({"mail_attribute_dict": "redis:host=x"}, "mail attributes are in a dictionary redis:"),
    ({"mail_full_filesystem_access": "yes"}, "mail_full_filesystem_access is yes"),
    ({"namespace/inbox/inbox": "no"}, "there is not one namespace with inbox=yes"),
    ({"namespace/inbox/type": "shared"}, "namespace type is shared"),
    ({"namespace/inbox/location": "pop3c:~/mail"}, "mail_location is pop3c:"),
]


@pytest.mark.parametrize(("changes", "reason"), SETTINGS)
def test_settings_left_to_dovecot(home: Path, changes: dict[str, str], reason: str) -> None:
    store, said = opened(user(home, changes))
    open_mailbox(store, b"INBOX", 5)
    assert said[-1] == f"store: dovecot: {reason}"
    with pytest.raises(StoreFailure, match="store: native: "):
        open_mailbox(opened(user(home, changes), mode="native")[0], b"INBOX", 5)


def test_harmless_settings(home: Path) -> None:
    changes = {
        "mail_plugins": "quota fts fts_solr  mail_log notify trash",
        "namespace": "inbox list 1",
        "namespace/list/prefix": "Lists.",
        "namespace/list/location": "imapc:~/lists",
        "namespace/list/separator": ".",
        "namespace/1/disabled": "yes",
        "namespace/1/inbox": "yes",
    }
    store, said = opened(user(home, changes))
    assert wait(open_mailbox(store, b"INBOX", 0).key()) == KEY
    assert said == ["store: native"]
    open_mailbox(store, b"Lists.x", 0)
    assert said[-1] == "store: dovecot: mail_location is imapc:"


def test_no_namespace_at_all(home: Path) -> None:
    store, said = opened(user(home, {"namespace": ""}))
    assert wait(open_mailbox(store, b"INBOX", 0).key()) == KEY
    assert said == ["store: native"]


def test_chroot(home: Path) -> None:
    bob = user(home)
    bob.chroot = b"/home"
    store, said = opened(bob)
    assert said == ["store: dovecot: user has a chroot"]
    assert isinstance(store, FakeEngine)
    assert store.command.arguments[:3] == (b"dovecot/imap", b"-u", b"bob")


def test_mode_dovecot(home: Path) -> None:
    store, said = opened(user(home), mode="dovecot")
    assert isinstance(store, FakeEngine)
    assert said == ["store: dovecot: --store=dovecot"]


def test_one_odd_mailbox_goes_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not understood on disk sends this mailbox to Dovecot, and no other."""
    monkeypatch.setattr(FakeEngine, "mailbox_key", KEY)
    store, said = opened(user(home))
    assert isinstance(store, ChosenStore)
    mailbox = open_mailbox(store, b"INBOX", 1000)
    assert wait(mailbox.key()) == KEY
    assert wait(mailbox.fetch(3, WHOLE)).size
    (home / "Maildir" / "dovecot.index.log").unlink()
    assert fetched(mailbox, 3) == ("engine's", 3, WHOLE)
    assert wait(mailbox.key()) == KEY
    assert said == ["store: native", "store: dovecot: mailbox has no index yet"]
    assert content(open_mailbox(store, b"Sub"), 1) == b"sub"
    engine = open_mailbox(store, b"INBOX")
    assert isinstance(engine, FakeEngine)
    assert engine.opened == [(b"INBOX", 1000), (b"INBOX", 0)]
    assert b"-u" not in engine.command.arguments
    store.close()


def test_what_dovecot_reads_has_the_key_that_was_given(home: Path) -> None:
    """Else a token for one mailbox would be good for another that has come to have its name."""
    store, said = opened(user(home))
    mailbox = open_mailbox(store, b"INBOX")
    assert wait(mailbox.key()) == KEY
    (home / "Maildir" / "dovecot.index.log").unlink()
    wait(mailbox.fetch(3, WHOLE))
    with pytest.raises(MailboxMissing, match="another mailbox"):
        fetched(mailbox, 3)
    assert said[-1] == "store: dovecot: mailbox has no index yet"
    store.close()


def test_a_name_outside_every_namespace_starts_no_engine(home: Path) -> None:
    changes = {"namespace/inbox/prefix": "INBOX/", "namespace/inbox/separator": "/"}
    store, said = opened(user(home, changes))
    with pytest.raises(MailboxMissing):
        open_mailbox(store, b"Elsewhere")
    assert said == ["store: native"]


@pytest.mark.parametrize("lost", ["dovecot.index.log", "dovecot-uidlist"])
def test_files_lost(home: Path, lost: str) -> None:
    (home / "Maildir" / lost).unlink()
    store, said = opened(user(home))
    assert wait(open_mailbox(store, b"INBOX", 0).key()) == b"engine's key"
    assert len(said) == 2
    with pytest.raises(StoreFailure, match="store: native: mailbox has no"):
        wait(open_mailbox(opened(user(home), mode="native")[0], b"INBOX", 0).key())


def test_uidlist_that_does_not_belong_to_the_index(home: Path) -> None:
    path = home / "Maildir" / "dovecot-uidlist"
    path.write_bytes(path.read_bytes().replace(b"V1000 ", b"V1001 "))
    store, said = opened(user(home))
    assert fetched(open_mailbox(store, b"INBOX", 0), 3)[0] == "engine's"
    assert "UIDVALIDITY" in said[-1]


@pytest.mark.parametrize("name", ["cur/mail3:2,S", "dovecot.index", "dovecot.index.log", "dovecot-uidlist"])
def test_a_fifo_is_refused_and_a_link_goes_to_dovecot(
    home: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeEngine, "mailbox_key", KEY)
    path = home / "Maildir" / name
    makes: tuple[Callable[[], None], ...] = (lambda: os.mkfifo(path), path.mkdir)
    for make in makes:
        path.unlink()
        make()
        store, said = opened(user(home))
        with pytest.raises(StoreFailure):
            read(store)
        assert said == ["store: native"]
        store.close()
        if path.is_dir():
            path.rmdir()
            path.touch()
    path.unlink()
    path.symlink_to("/etc/passwd")
    store, said = opened(user(home))
    mailbox = open_mailbox(store, b"INBOX")
    wait(mailbox.key())
    assert fetched(mailbox, 3) == ("engine's", 3, WHOLE)
    assert said == ["store: native", f"store: dovecot: {path} is a symbolic link"]
    assert content(open_mailbox(store, b"Sub"), 1) == b"sub"


def test_a_dictionary_that_is_a_link_goes_to_dovecot(home: Path) -> None:
    (home / "attributes").rename(home / "shared")
    (home / "attributes").symlink_to("shared")
    store, said = opened(user(home))
    assert wait(open_mailbox(store, b"INBOX").key()) == b"engine's key"
    assert said[1:] == [f"store: dovecot: {home}/attributes is a symbolic link"]


def test_no_descriptor_is_left(home: Path) -> None:
    def session() -> None:
        store, _ = opened(user(home))
        for name, uid in ((b"INBOX", 3), (b"INBOX", 9), (b"Missing", 1), (b"a/b", 1), (b"Sub", 1)):
            try:
                mailbox = open_mailbox(store, name, 0)
            except (MailboxMissing, MailboxRefused):
                continue
            try:
                wait(mailbox.key())
                wait(first_chunk(wait(mailbox.fetch(uid, WHOLE)).chunks))
            except ReadFailed:
                pass
            mailbox.close()
        store.close()

    session()
    before = len(os.listdir("/proc/self/fd"))
    session()
    assert len(os.listdir("/proc/self/fd")) == before
