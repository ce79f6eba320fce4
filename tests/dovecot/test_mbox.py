"""mbox, as Debian sets Dovecot up: read natively and as by the stock worker, while others write to the file."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testing.instance import USERS, DovecotInstance
from testing.oracle import STOCK_WORKER, WORKER, WorkerSession
from testing.scene import DECODED, MESSAGE, SECTIONS, Scene, Stored
from testing.versions import TUNED, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dovecot.conftest import Installations

    Starter = Callable[..., DovecotInstance]

SHIPPED = Path("usr/share/dovecot/conf.d/10-mail.conf")
FROM = b"From carol@example.test  Thu Nov 26 10:00:00 2026\n"
LOCKS = {
    "2.3": "mbox_read_locks = flock fcntl\nmbox_write_locks = dotlock flock fcntl\n",
    "2.4": "mbox_read_locks = flock fcntl\nmbox_write_locks = dotlock flock fcntl\n",
}


class Debian(DovecotInstance):
    """A Dovecot with the mail settings of Debian's package; only /var/mail is a folder of its own."""

    def _write_users(self) -> None:
        super()._write_users()
        shipped = (self.version.root / SHIPPED).read_text()
        lines = [line for line in shipped.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        settings = "\n".join(lines).replace("/var/mail/", f"{self.inside}/spool/")
        assert f"{self.inside}/spool/" in settings
        self.extra = settings + "\n" + self.extra
        self.spool = self.folder / "spool"
        self.spool.mkdir()
        os.chown(self.spool, 0, 8)  # group mail
        self.spool.chmod(0o2775)

    def add(self, user: str, *mails: bytes) -> None:
        """What a delivery agent does: lock, append, unlock."""
        path = self.spool / user
        with path.open("ab") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            for mail in mails:
                file.write(FROM + mail + b"\n")
            file.flush()
        os.chown(path, USERS[user], 8)


@pytest.fixture
def start(starter: Starter, installations: Installations, version: Version) -> Starter:
    def start(*expected: str, options: str = "", extra: str = "") -> DovecotInstance:
        ours = installations[version]
        worker = f"service {WORKER} {{\n  executable = {ours.executables}/{WORKER} {options}\n}}\n"
        return starter(Debian(version, TUNED, ours, f"mail_debug = yes\n{extra}{worker}"), *expected)

    return start


@pytest.fixture
def debian(start: Starter) -> Debian:
    """One whose worker is native or fails, in its sandbox."""
    started = start(options="--store=native --sandbox=require")
    assert isinstance(started, Debian)
    return started


def fetch(dovecot: DovecotInstance, worker: str, *urls: bytes) -> list[bytes | None]:
    """What one session of a worker gives for each URL; None for a NO."""
    with WorkerSession(dovecot, worker) as session:
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        answers = [session.fetch(url) for url in urls]
        return [answer.content if answer.ok else None for answer in answers]


def test_debians_default(debian: Debian) -> None:
    with Scene(debian) as scene:
        bob = scene.user("bob")
        stored = scene.store()
        urls = {section: scene.sign(stored, section=section) for section in SECTIONS}
        for section, content in SECTIONS.items():
            assert bob.fetch_url(urls[section]) == content, section
        assert fetch(debian, STOCK_WORKER, *urls.values()) == [*SECTIONS.values()]
        for section, content in DECODED.items():
            items = bob.fetch_items(scene.sign(stored, section=section), "BINARY", "BODYPARTSTRUCTURE")
            assert items is not None
            assert items[b"BINARY"] == content
        for mailbox in ("folder/within", "other"):
            scene.create(mailbox)
            url = scene.sign(scene.store(mailbox=mailbox))
            assert fetch(debian, WORKER, url) == fetch(debian, STOCK_WORKER, url) == [MESSAGE]
    assert (debian.spool / "alice").stat().st_size > len(MESSAGE) - MESSAGE.count(b"\r\n")
    assert (debian.home("alice") / "mail" / "folder" / "within").is_file()


def test_mail_of_others(debian: Debian) -> None:
    """A delivery agent's mail, whose header holds what Dovecot keeps there; and flags, which change the file."""
    own = b"Status: RO\nX-UID: 99\nContent-Length: 3\nX-Keywords: a b\n  c\n"
    mails = [b"Subject: %d\n%s\nbody %d\n" % (number, own, number) for number in range(6)]
    shown = [b"Subject: %d\r\n\r\nbody %d\r\n" % (number, number) for number in range(6)]
    debian.add("alice", *mails[:4])
    with Scene(debian) as scene:
        alice = scene.user("alice")
        assert alice.command(b"SELECT INBOX").ok
        assert alice.command(b"UNSELECT").ok
        first = scene.store()
        urls = [scene.sign(_at(first, uid)) for uid in range(1, 5)]
        assert fetch(debian, WORKER, *urls) == fetch(debian, STOCK_WORKER, *urls) == shown[:4]
        debian.add("alice", *mails[4:])
        assert alice.command(b"SELECT INBOX").ok
        assert alice.command(rb"UID STORE 1:4 +FLAGS (\Seen \Flagged $Forwarded)").ok
        assert alice.command(rb"UID STORE 2 +FLAGS (\Deleted)").ok
        assert alice.command(b"EXPUNGE").ok
        assert alice.command(b"UNSELECT").ok
        urls += [scene.sign(_at(first, uid)) for uid in (6, 7)]
        expected = [shown[0], None, *shown[2:]]
        assert fetch(debian, WORKER, *urls) == expected
        del urls[1], expected[1]
        assert fetch(debian, STOCK_WORKER, *urls) == expected


def _at(stored: Stored, uid: int) -> Stored:
    """Another message of the same mailbox."""
    return replace(stored, uid=uid)
