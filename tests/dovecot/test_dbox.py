"""sdbox and mdbox: served natively, through all that Dovecot does to them, with the stock worker's bytes.

The worker has ``--store=native`` and its sandbox: what it does not read itself it does not read at all.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import pytest

from testing.instance import DovecotInstance
from testing.oracle import STOCK_WORKER, WORKER, WorkerLost, WorkerSession, mailbox_keys, sign
from testing.scene import DECODED, MESSAGE, SECTIONS, Scene
from testing.versions import PIECES, TUNED, Version
from tests.dovecot.changing import LARGE, SHORT, cut_while_sent, grown_while_sent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testing.scene import Stored
    from tests.dovecot.conftest import Installations

    Starter = Callable[..., DovecotInstance]

pytestmark = pytest.mark.in_turns

NATIVE = "--store=native --sandbox=require"
OTHER = b"Subject: other\r\n\r\nanother message\r\n"


def settings(version: Version, driver: str, more: str = "") -> str:
    """A storage in several places."""
    if version.language == "2.3":
        return f"mail_location = {driver}:~/box:INDEX=~/index:CONTROL=~/control:ALT=~/alt\n{more}"
    lines = (
        f"mail_driver = {driver}\nmail_path = ~/box\nmail_index_path = ~/index\nmail_control_path = ~/control\n"
    )
    return f"{lines}mail_alt_path = ~/alt\n{more}"


@pytest.fixture(params=["sdbox", "mdbox"])
def driver(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def start(starter: Starter, installations: Installations, version: Version, driver: str) -> Starter:
    """Starts a Dovecot with this storage; the worker has the options given."""

    def started(*expected: str, options: str = NATIVE, more: str = "") -> DovecotInstance:
        ours = installations[version]
        worker = f"service {PIECES[2]} {{\n  executable = {ours.executables}/{PIECES[2]} {options}\n}}\n"
        extra = settings(version, driver, more) + worker
        return starter(DovecotInstance(version, TUNED, ours, extra=extra), *expected)

    return started


@pytest.fixture
def scene(start: Starter) -> Iterator[Scene]:
    with Scene(start()) as scene:
        yield scene


def fetched(scene: Scene, url: bytes, worker: str, owner: str) -> bytes | None:
    """What a session of its own is given by a worker."""
    with WorkerSession(scene.dovecot, worker) as session:
        session.access(b"bob")
        assert session.select(owner.encode()) == b"OK\n"
        try:
            answer = session.fetch(url)
        except WorkerLost:
            return None
    return answer.content if answer.ok else None


def same(scene: Scene, url: bytes, owner: str = "alice") -> bytes | None:
    """What both workers give."""
    answers = [fetched(scene, url, worker, owner) for worker in (STOCK_WORKER, WORKER)]
    assert answers[0] == answers[1], url
    return answers[1]


def test_everything_that_a_url_can_name(scene: Scene) -> None:
    stored = scene.store()
    bob = scene.user("bob")
    for section, content in SECTIONS.items():
        assert bob.fetch_url(scene.sign(stored, section=section)) == content, section
    for section, content in DECODED.items():
        items = bob.fetch_items(scene.sign(stored, section=section), "BINARY", "BODYPARTSTRUCTURE")
        assert items is not None
        assert items[b"BINARY"] == content
    assert bob.fetch_url(scene.sign(stored, partial="5.20")) == MESSAGE[5:25]
    scene.create("Sub/deeper")
    assert bob.fetch_url(scene.sign(scene.store(mailbox="Sub/deeper"))) == MESSAGE
    assert bob.fetch_url(scene.sign(scene.store(OTHER, owner="carol"))) == OTHER


def test_it_was_native(start: Starter) -> None:
    """By its own choice, too."""
    dovecot = start(options="", more="mail_debug = yes\n")
    with Scene(dovecot) as scene:
        assert same(scene, scene.sign(scene.store())) == MESSAGE
    dovecot.log.wait_for("store: native", 0)
    assert not [line for line in dovecot.log.lines() if "store: dovecot" in line]


def fill(scene: Scene, count: int = 30) -> dict[Stored, bytes]:
    """Messages of all sizes, and a URL for each."""
    return {
        stored: scene.sign(stored)
        for number in range(count)
        for stored in [scene.store(b"Subject: %d\r\n\r\n" % number + b"line\r\n" * (number * number))]
    }


def test_moved_and_purged_between_two_fetches(scene: Scene) -> None:
    """One session stays open through it all."""
    urls = list(fill(scene).values())
    contents = [same(scene, url) for url in urls]
    assert None not in contents
    alice = scene.user("alice")
    alice.command(b"SELECT INBOX")

    def expunge() -> None:
        assert alice.command(rb"UID STORE 2,9,25 +FLAGS (\Deleted)").ok
        assert alice.command(b"EXPUNGE").ok
        for uid in (2, 9, 25):
            contents[uid - 1] = None

    def move(*where: str) -> None:
        scene.dovecot.doveadm("altmove", "alice", *where)

    def purge() -> None:
        scene.dovecot.doveadm("purge", "alice")

    with WorkerSession(scene.dovecot) as session:
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        steps: list[Callable[[], None]] = [
            lambda: move("mailbox", "INBOX", "uid", "1:20"),
            expunge,
            purge,
            lambda: move("-r", "mailbox", "INBOX", "uid", "1:10"),
            purge,
        ]
        for step in steps:
            step()
            answers = [session.fetch(url) for url in urls]
            assert [answer.content if answer.ok else None for answer in answers] == contents
    assert files(scene.dovecot.home("alice") / "alt")
    assert [same(scene, url) for url in urls[:12]] == contents[:12]


def test_an_index_made_anew(scene: Scene) -> None:
    """doveadm force-resync, which rebuilds an mdbox with new numbers; and new UIDVALIDITY is a NO."""
    stored = fill(scene, 6)
    alice = scene.user("alice")
    alice.command(b"SELECT INBOX")
    alice.command(rb"UID STORE 2 +FLAGS (\Deleted)")
    alice.command(b"EXPUNGE")
    with WorkerSession(scene.dovecot) as session:
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        before = [session.fetch(url) for url in stored.values()]
        assert [answer.ok for answer in before] == [True, False, True, True, True, True]
        scene.dovecot.doveadm("force-resync", "alice", "INBOX")
        assert [session.fetch(url) for url in stored.values()] == before
    assert [same(scene, url) for url in stored.values()] == [
        answer.content if answer.ok else None for answer in before
    ]
    [key] = mailbox_keys(scene.dovecot.home("alice"))
    rumps = [next(iter(stored)).rump(uidvalidity=value).encode() for value in (None, 4711)]
    assert [same(scene, sign(rump, key)) for rump in rumps] == [before[0].content, None]


def test_logs_that_rotate(start: Starter, version: Version) -> None:
    """Index and map, while a session is open."""
    small = "mail_index_log_rotate_min_size = 1k\nmail_index_log_rotate_max_size = 2k\n"
    small += "mail_index_log_rotate_min_age = 0\n"
    if version.language == "2.3":
        small += "mail_index_rewrite_min_log_bytes = 512\nmail_index_rewrite_max_log_bytes = 1k\n"
    with Scene(start(more=small)) as scene, WorkerSession(scene.dovecot) as session:
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        urls: list[tuple[bytes, bytes]] = []
        for number in range(60):
            text = b"Subject: %d\r\n\r\n%d\r\n" % (number, number)
            urls.append((scene.sign(scene.store(text)), text))
            for url, content in urls[-1], urls[number // 2]:
                assert session.fetch(url).content == content
        assert [same(scene, url) for url, _ in urls[::7]] == [text for _, text in urls[::7]]


def test_a_writer_at_work(scene: Scene) -> None:
    """Mail comes, goes and is moved all the time; what stays is read right each time."""
    stored = fill(scene, 12)
    urls = {
        url: b"Subject: %d\r\n\r\n" % number + b"line\r\n" * number**2
        for number, url in enumerate(stored.values())
    }
    done = Event()

    def write() -> None:
        with scene.dovecot.imap("alice") as alice:
            alice.command(b"SELECT INBOX")
            while not done.is_set():
                for number in range(5):
                    alice.append("INBOX", b"Subject: new\r\n\r\n%d\r\n" % number)
                alice.command(rb"UID STORE 13:* +FLAGS (\Deleted)")
                alice.command(b"EXPUNGE")
                scene.dovecot.doveadm("altmove", "alice", "mailbox", "INBOX", "uid", "1:6")
                scene.dovecot.doveadm("purge", "alice")
                scene.dovecot.doveadm("altmove", "alice", "-r", "mailbox", "INBOX", "uid", "1:6")

    with ThreadPoolExecutor(1) as pool, WorkerSession(scene.dovecot) as session:
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        writer = pool.submit(write)
        try:
            deadline = time.monotonic() + 4
            while time.monotonic() < deadline:
                for url, content in urls.items():
                    assert session.fetch(url).content == content
        finally:
            done.set()
        writer.result(30)


def files(storage: Path) -> list[Path]:
    """The files with messages."""
    return sorted(path for path in storage.rglob("?.*") if path.name[0] in "um")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def spoil_the_mark(path: Path) -> None:
    content = bytearray(path.read_bytes())
    at = content.index(b"\1\2N")
    content[at : at + 2] = b"xx"
    path.write_bytes(content)


def spoil_the_header(path: Path) -> None:
    path.write_bytes(b"3" + path.read_bytes()[1:])


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES = [cut, spoil_the_mark, spoil_the_header, make_fifo, os.unlink]


def test_a_file_that_is_broken(start: Starter) -> None:
    """A NO and one line in the log, and the session goes on."""
    dovecot = start("Failed to fetch URLAUTH .*(?:dbox file|lost|not a regular file)")
    with Scene(dovecot) as scene, WorkerSession(dovecot) as session:
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        url = scene.sign(scene.store())
        assert session.fetch(url).content == MESSAGE
        scene.close()
        [file] = files(dovecot.home("alice") / "box")
        content = file.read_bytes()
        for damage in DAMAGES:
            damage(file)
            mark = dovecot.log.mark()
            assert session.fetch(url).words == (b"NO",)
            dovecot.log.wait_for("Error: ", mark)
            dovecot.log.settle()
            assert len([line for line in dovecot.log.since(mark) if "Error: " in line]) == 1
            file.unlink(missing_ok=True)
            file.write_bytes(content)
            os.chown(file, dovecot.users["alice"], dovecot.users["alice"])
            assert session.fetch(url).content == MESSAGE


def test_what_is_broken_is_left_to_dovecot(start: Starter) -> None:
    """Its own imap says what the stock worker does, and repairs; what is left is the same to both."""
    said = "Failed to fetch URLAUTH|Fatal failure while fetching|dbox|Corrupted|[Rr]ebuil|fsck|lost uid|[.]broken"
    dovecot = start(said, options="")
    with Scene(dovecot) as scene:
        for owner, damage in (("alice", cut), ("carol", spoil_the_mark), ("streamsrv", os.unlink)):
            stored = scene.store(owner=owner)
            url = scene.sign(stored)
            assert same(scene, url, owner) == MESSAGE
            [file] = files(dovecot.home(owner) / "box")
            damage(file)
            with WorkerSession(dovecot) as session:
                session.access(b"bob")
                assert session.select(owner.encode()) == b"OK\n"
                assert session.fetch(url).words[0] == b"NO"
            theirs, ours = (fetched(scene, url, worker, owner) for worker in (STOCK_WORKER, WORKER))
            # 2.4 repairs the file and cuts the message at the size of before, which it has in its cache
            assert (ours or b"").startswith(theirs or b"")


def test_a_file_that_changes_while_it_is_sent(start: Starter) -> None:
    """Cut, the mail ends before its size and the connection with it; grown, it stays what it was."""
    dovecot = start(*SHORT)
    with Scene(dovecot) as scene:
        good = scene.sign(scene.store(), "authuser")
        url = scene.sign(scene.store(LARGE), "authuser")
        *_, file = files(dovecot.home("alice") / "box")
        grown_while_sent(scene, file, url, good)
        cut_while_sent(scene, file, url)
        assert fetched(scene, good, WORKER, "alice") == MESSAGE
