"""mbox, as Debian sets Dovecot up: read natively and as by the stock worker, while others write to the file."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from testing.instance import USERS, DovecotInstance
from testing.oracle import STOCK_WORKER, WORKER, WorkerSession
from testing.scene import DECODED, MESSAGE, SECTIONS, Scene, Stored
from testing.versions import TUNED, USUAL, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dovecot.conftest import Installations

    Starter = Callable[..., DovecotInstance]

pytestmark = pytest.mark.in_turns

SHIPPED = Path("usr/share/dovecot/conf.d/10-mail.conf")
FROM = b"From carol@example.test  Thu Nov 26 10:00:00 2026\n"
LOCKS = "mbox_read_locks = flock fcntl\nmbox_write_locks = dotlock flock fcntl\n"


class Debian(DovecotInstance):
    """A Dovecot with the mail settings of Debian's package; only /var/mail is a folder of its own."""

    def _write_users(self) -> None:
        super()._write_users()
        of_debian = [version for version in USUAL if version.language == self.version.language][-1]
        shipped = (of_debian.root / SHIPPED).read_text()
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


def test_other_locks(start: Starter) -> None:
    """A writer that only locks with flock is waited for; without it in the settings it would not be."""
    dovecot = start(options="--store=native --sandbox=require", extra=LOCKS)
    assert isinstance(dovecot, Debian)
    with Scene(dovecot) as scene:
        url = scene.sign(scene.store())
    for _ in range(2):
        assert fetch(dovecot, WORKER, url) == [MESSAGE]
        time.sleep(0.2)  # long enough for all that may be remembered of it
    with (dovecot.spool / "alice").open("r+b") as file, WorkerSession(dovecot) as session:
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        fcntl.flock(file, fcntl.LOCK_EX)
        session.set_timeout(1.0)
        session.send(b"URL\t" + url + b"\n")
        with pytest.raises(TimeoutError):
            session.line()
    assert fetch(dovecot, WORKER, url) == [MESSAGE]


def test_locks_that_are_files(start: Starter) -> None:
    """A reader who may not write has none: Dovecot's own imap reads."""
    dotlocks = "mbox_read_locks = dotlock fcntl\nmbox_write_locks = dotlock fcntl\n"
    dovecot = start(extra=dotlocks)
    with Scene(dovecot) as scene:
        url = scene.sign(scene.store())
    assert fetch(dovecot, WORKER, url) == [MESSAGE]
    assert "mbox_read_locks has dotlock" in dovecot.log.wait_for("store: dovecot")


def test_a_file_that_others_have_rewritten(start: Starter) -> None:
    """What the index says is not so any more, which Dovecot finds out by reading the file."""
    dovecot = start("unexpectedly corrupted", "setegid", "dotlock")
    assert isinstance(dovecot, Debian)
    mails = [b"Subject: %d\n\nbody %d\n" % (number, number) for number in range(4)]
    dovecot.add("alice", *mails)
    with Scene(dovecot) as scene:
        alice = scene.user("alice")
        assert alice.command(b"SELECT INBOX").ok
        assert alice.command(b"UNSELECT").ok
        last = scene.store()
        urls = [scene.sign(_at(last, uid)) for uid in (1, 3, 4)] + [scene.sign(last)]
    path = dovecot.spool / "alice"
    first, _, rest = path.read_bytes().partition(b"\n\nFrom ")
    second, _, rest = rest.partition(b"\n\nFrom ")
    assert b"body 1" in second
    path.write_bytes(first + b"\n\nFrom " + rest)
    expected = [b"Subject: %d\r\n\r\nbody %d\r\n" % (number, number) for number in (0, 2, 3)] + [MESSAGE]
    for worker in (WORKER, STOCK_WORKER, WORKER):
        assert fetch(dovecot, worker, *urls) == expected
    assert "store: dovecot: mbox file" in dovecot.log.wait_for("store: dovecot")


class Writers:
    """A delivery agent and alice's own session, both at work on her INBOX until :meth:`end`."""

    def __init__(self, dovecot: Debian, scene: Scene, kept: range) -> None:
        self._dovecot = dovecot
        self._alice = scene.session("alice")
        self._kept = kept
        self._first = 1
        self._over = Event()
        self.rounds = {"delivered": 0, "changed": 0}
        self.failures: list[BaseException] = []
        self._threads = [Thread(target=self._run, args=(work,)) for work in (self._deliver, self._change)]

    def __enter__(self) -> Writers:
        assert self._alice.command(b"SELECT INBOX").ok
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        assert not self.failures

    def _run(self, work: Callable[[Random], None]) -> None:
        random = Random(1)
        try:
            while not self._over.wait(0.01):
                work(random)
        except BaseException as error:
            self.failures.append(error)

    def _deliver(self, random: Random) -> None:
        self._dovecot.add("alice", b"Subject: new\n\n" + b"y" * random.randint(0, 5000) + b"\n")
        self.rounds["delivered"] += 1

    def _change(self, random: Random) -> None:
        """Flags of the kept mails, and mails that go: behind them, and in front of them, which moves them."""
        uid = random.choice(self._kept)
        flags = random.choice([rb"(\Seen)", rb"(\Flagged \Answered)", b"($Forwarded other)", b"()"])
        commands = [b"UID STORE %d FLAGS %s" % (uid, flags)]
        commands.append(rb"UID STORE %d:%d +FLAGS (\Deleted)" % (self._kept.stop, (1 << 32) - 2))
        if self._first < self._kept.start:
            commands.append(rb"UID STORE %d +FLAGS (\Deleted)" % self._first)
            self._first += 1
        for command in (*commands, b"EXPUNGE", random.choice([b"NOOP", b"CHECK"])):
            assert self._alice.command(command).ok
        self.rounds["changed"] += 1


KEPT = range(301, 307)
"""UIDs; those before them are there to go."""


def kept_mails(dovecot: Debian, scene: Scene) -> dict[bytes, bytes]:
    """Mails of many sizes that nobody removes: URL and content."""
    sizes = (1, 20, 300, 9000, 2, 40000)
    bodies = [b"%d %s" % (number, b"x" * 60 + b"\n") * size for number, size in enumerate(sizes)]
    mails = [b"Subject: kept %d\n\n%s" % (number, body) for number, body in enumerate(bodies)]
    dovecot.add("alice", *(b"Subject: %d\n\n" % number for number in range(1, KEPT.start)), *mails)
    alice = scene.user("alice")
    assert alice.command(b"SELECT INBOX").ok
    assert alice.command(b"UNSELECT").ok
    last = scene.store()
    assert last.uid == KEPT.stop
    return {scene.sign(_at(last, uid)): mail.replace(b"\n", b"\r\n") for uid, mail in zip(KEPT, mails)}


def test_never_a_wrong_byte(debian: Debian) -> None:
    """While two others write, an answer of ours is the message or a NO."""
    with Scene(debian) as scene:
        mails = kept_mails(debian, scene)
        right = wrong = refused = 0
        with Writers(debian, scene, KEPT) as writers, WorkerSession(debian) as session:
            session.access(b"bob")
            assert session.select(b"alice") == b"OK\n"
            end = time.monotonic() + 5
            while time.monotonic() < end or right + refused < 2 * len(mails):
                for url, content in mails.items():
                    answer = session.fetch(url)
                    if not answer.ok:
                        refused += 1
                    elif answer.content == content:
                        right += 1
                    else:
                        wrong += 1
    print(f"{right} right, {wrong} wrong, {refused} refused, {writers.rounds}")
    assert not wrong
    assert right
    assert min(writers.rounds.values()) > 2
    debian.log.take()  # each NO has said why


def test_always_the_right_bytes(start: Starter) -> None:
    """With Dovecot's own imap for what it has to look through first, nobody sees that others write."""
    dovecot = start()
    assert isinstance(dovecot, Debian)
    with Scene(dovecot) as scene:
        mails = kept_mails(dovecot, scene)
        with Writers(dovecot, scene, KEPT), WorkerSession(dovecot) as session:
            session.access(b"bob")
            assert session.select(b"alice") == b"OK\n"
            for _ in range(5):
                for url, content in mails.items():
                    assert session.fetch(url).content == content


def test_a_slow_client_keeps_nobody_waiting(debian: Debian) -> None:
    """Others write to the file, and move the message, while it is read; it comes whole all the same."""
    with Scene(debian) as scene:
        mails = kept_mails(debian, scene)
        url, content = max(mails.items(), key=lambda item: len(item[1]))
        with WorkerSession(debian) as session:
            session.access(b"bob")
            assert session.select(b"alice") == b"OK\n"
            session.send(b"URL\t" + url + b"\n")
            assert session.line() == b"OK\t%d\n" % len(content)
            got = session.read(100_000)
            with Writers(debian, scene, KEPT) as writers:
                before = dict(writers.rounds)
                while len(got) < len(content):
                    time.sleep(0.05)
                    more = session.read(min(100_000, len(content) - len(got)))
                    assert more, f"{len(got)} of {len(content)} bytes"
                    got += more
            assert got == content
    assert all(writers.rounds[name] > before[name] for name in before), writers.rounds


def test_who_keeps_the_file_locked(debian: Debian) -> None:
    """The stock worker, for as long as its client takes to read."""
    with Scene(debian) as scene:
        url = max(kept_mails(debian, scene).items(), key=lambda item: len(item[1]))[0]
    for worker, keeps_it in ((STOCK_WORKER, True), (WORKER, False)):
        with WorkerSession(debian, worker) as session:
            session.access(b"bob")
            assert session.select(b"alice") == b"OK\n"
            session.send(b"URL\t" + url + b"\n")
            assert session.line().startswith(b"OK\t")
            session.read(100_000)
            time.sleep(0.5)
            assert is_locked(debian.spool / "alice") == keeps_it


def is_locked(path: Path) -> bool:
    """Whether a delivery agent would have to wait."""
    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _at(stored: Stored, uid: int) -> Stored:
    """Another message of the same mailbox."""
    return replace(stored, uid=uid)
