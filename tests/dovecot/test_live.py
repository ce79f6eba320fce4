"""The commands that ask a running Dovecot: test, share, fetch, revoke, keys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testing.instance import DovecotInstance
from testing.scene import DECODED, MESSAGE, Scene, Stored
from testing.versions import TUNED

if TYPE_CHECKING:
    from collections.abc import Callable

    from testing.executables import Installation
    from tests.dovecot.conftest import Installations, Row

pytestmark = pytest.mark.only(TUNED.name)


def run(dovecot: DovecotInstance, ours: Installation, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run the installed command where this Dovecot lives; its standard input is empty."""
    name, *rest = words
    command = dovecot.version.command(
        ours.prefix / "bin/dovecot-urlauth", name, "-c", dovecot.inside / "dovecot.conf", *rest
    )
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


@pytest.fixture
def command(
    running: DovecotInstance, row: Row, installations: Installations
) -> Callable[..., tuple[int, bytes, str]]:
    """Runs the command: exit status, what it printed, and what it complained of."""

    def call(*words: str | Path) -> tuple[int, bytes, str]:
        done = run(running, installations[row.version], *words)
        return done.returncode, done.stdout, done.stderr.decode()

    return call


def test_a_working_dovecot_passes(scene: Scene, command: Callable[..., tuple[int, bytes, str]]) -> None:
    status, printed, complaints = command("test", "--user", "alice", "--as", "bob")
    lines = printed.decode().splitlines()
    assert (status, complaints) == (0, "")
    assert lines[-1] == "URLAUTH works."
    assert [line for line in lines if not line.startswith("ok ")] == lines[-1:]
    assert "ok    bob fetched one part, decoded: 256 bytes, the right ones" in lines
    assert "ok    carol, whom it is not for, was refused" in lines
    assert any("BURL" in line for line in lines)


def test_it_finds_users_by_itself_and_leaves_no_mailbox(
    scene: Scene, command: Callable[..., tuple[int, bytes, str]]
) -> None:
    status, printed, _ = command("test")
    assert status == 0, printed.decode()
    for user in ("alice", "bob"):
        listed = scene.user(user).command(b'LIST "" *')
        assert not [line for line in listed.all(b"LIST") if b"dovecot-urlauth-test" in repr(line).encode()]


def test_one_that_is_interrupted_leaves_no_mailbox(
    scene: Scene, running: DovecotInstance, row: Row, installations: Installations
) -> None:
    """By a signal to its whole group, as the terminal's; it may have come to its end before."""
    name = installations[row.version].prefix / "bin/dovecot-urlauth"
    words = (name, "test", "-c", running.inside / "dovecot.conf", "--user", "alice", "--as", "bob")
    with subprocess.Popen(
        running.version.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout
        assert b"stored a message" in process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        printed, complaints = process.communicate(timeout=60)
    assert process.returncode in (130, 0)
    assert complaints == (b"dovecot-urlauth: interrupted\n" if process.returncode else b"")
    assert b"FAIL" not in printed
    listed = scene.user("alice").command(b'LIST "" *')
    assert not [line for line in listed.all(b"LIST") if b"dovecot-urlauth-test" in repr(line).encode()]


def test_a_message_is_shared_fetched_and_taken_back(
    scene: Scene, command: Callable[..., tuple[int, bytes, str]]
) -> None:
    scene.create("shared by command")
    stored: Stored = scene.store(mailbox="shared by command")
    place = (stored.owner, stored.mailbox)

    status, printed, _ = command("share", *place, str(stored.uid), "--for", "bob", "--expire", "7d")
    url = printed.decode().strip()
    assert status == 0
    assert scene.user("bob").fetch_url(url.encode()) == MESSAGE
    assert command("fetch", url, "--as", "bob")[:2] == (0, MESSAGE)

    status, printed, complaints = command("fetch", url, "--as", "carol")
    assert (status, printed) == (1, b"")
    assert "No 'user+bob' access allowed for user carol" in complaints
    assert url.rpartition(":")[2] not in complaints

    part = command("share", *place, str(stored.uid), "--anyone", "--part", "2")[1].decode().strip()
    assert command("fetch", part, "--as", "carol", "--decode")[:2] == (0, DECODED["2"])

    assert stored.mailbox in command("keys", "alice")[1].decode().splitlines()
    assert command("test", url)[0] == 0
    assert command("revoke", *place)[0] == 0
    assert stored.mailbox not in command("keys", "alice")[1].decode().splitlines()
    status, printed, _ = command("test", url)
    assert status == 1
    assert "has no key" in printed.decode()
    assert command("fetch", url, "--as", "bob")[0] == 1


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda url: url.partition(";URLAUTH")[0], "not signed"),
        (lambda url: url.replace("imap.example.test", "other.example.test"), "another server"),
        (lambda url: url.replace("/INBOX;", "/nowhere;"), "no mailbox nowhere"),
        (lambda url: url.replace("UIDVALIDITY=1", "UIDVALIDITY=2"), "made anew"),
        (lambda url: url.replace(";UID=", ";UID=7"), "the token is not of the key"),
        (lambda url: url[:-2] + "00", "the token is not of the key"),
    ],
    ids=["unsigned", "host", "mailbox", "uidvalidity", "uid", "token"],
)
def test_a_refused_url_is_told_its_rule(
    scene: Scene, command: Callable[..., tuple[int, bytes, str]], change: Callable[[str], str], rule: str
) -> None:
    url = change(scene.sign(scene.store()).decode())
    status, printed, _ = command("test", url, "--as", "bob")
    assert status == 1
    last, verdict = printed.decode().splitlines()[-2:]
    assert last.startswith("FAIL  refused: ")
    assert rule in last
    assert verdict == "This URL is not honoured."


def test_an_expired_url_and_a_message_that_is_gone(
    scene: Scene, command: Callable[..., tuple[int, bytes, str]]
) -> None:
    scene.create("short-lived")
    stored = scene.store(mailbox="short-lived")
    expired = scene.sign(stored, expire="2099-01-01T00:00:00Z").decode().replace("2099", "2020")
    assert "it has expired" in command("test", expired)[1].decode()
    url = scene.sign(stored).decode()
    alice = scene.user("alice")
    assert alice.command(b'SELECT "short-lived"').ok
    assert alice.command(b"STORE 1 +FLAGS.SILENT (\\Deleted)").ok
    assert alice.command(b"EXPUNGE").ok
    assert "is gone" in command("test", url)[1].decode()


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (("share", "alice", "INBOX", "1", "--for", "bob", "--expire", "soon"), 2, "not a duration"),
        (("share", "alice", "no such", "1", "--for", "bob"), 1, "alice has no mailbox no such"),
        (("share", "alice", "INBOX", "4000000", "--for", "bob"), 1, "no message with UID 4000000"),
        (("share", "alice", "INBOX", "1", "--for", "bob", "--part", "9"), 1, "has no part 9"),
        (("share", "nobody-here", "INBOX", "1", "--for", "bob"), 1, "nobody-here"),
        (("fetch", "imap://x/INBOX", "--as", "bob"), 1, "names no user"),
        (("fetch", "http://x/", "--as", "bob"), 1, "not an IMAP URL"),
        (("test", "--user", "alice", "--as", "nobody-here"), 1, "userdb"),
        (("revoke", "alice", "no such"), 1, "alice cannot reset the key of no such"),
    ],
)
def test_what_cannot_be_done_is_said(
    scene: Scene,
    command: Callable[..., tuple[int, bytes, str]],
    words: tuple[str, ...],
    status: int,
    complaint: str,
) -> None:
    scene.expect_log(".*nobody-here.*")
    scene.store()
    got, printed, complaints = command(*words)
    assert (got, printed) == (status, b"")
    assert complaints.startswith("dovecot-urlauth: ")
    assert complaint in complaints


def test_the_monitor_sees_a_session(scene: Scene, running: DovecotInstance) -> None:
    assert scene.user("bob").fetch_url(scene.sign(scene.store())) == MESSAGE
    words = ("monitor", "--once", "--base-dir", str(running.folder / "run"))
    lines = running.output(sys.executable, "-m", "dovecot_urlauth.admin", *words).splitlines()
    counted = {line.split()[0]: line.split()[1:3] for line in lines[2:5]}
    assert counted["imap-urlauth"] == ["1", "1"]
    assert counted["imap-urlauth-worker"][1] == "1"
    assert lines[5] == "mail being read: alice"
    assert not [line for line in lines if line.startswith("warning")]


def test_a_dovecot_that_does_not_run(row: Row, installations: Installations, running: DovecotInstance) -> None:
    stopped = DovecotInstance(row.version, row.combination, installations[row.version])
    stopped.start()
    stopped._stop_master()
    try:
        done = run(stopped, installations[row.version], "test", "--user", "alice", "--as", "bob")
        assert done.returncode == 1
        assert b"no Dovecot runs with base_dir" in done.stderr
    finally:
        stopped.stop(check=False)
