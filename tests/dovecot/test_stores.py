"""Which store serves a user, and with whose rights: configurations of real sites, and odd things on a disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from testing.instance import PASSWORD, USERS, DovecotInstance
from testing.oracle import STOCK_WORKER, WorkerSession
from testing.scene import MESSAGE, Scene
from testing.versions import TUNED, Version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.dovecot.conftest import Installations

VMAIL = 5010
PLAIN = b"Subject: plain\r\n\r\n" + b"line\r\n" * 1000
IDS = f"mail_uid = {VMAIL}\nmail_gid = {VMAIL}\n"
EXTRA = {
    "2.3": IDS + "import_environment = TZ BOX=mdbox\nmail_location = mdbox:~/%{env:BOX}\nrawlog_dir = %h/rawlog\n",
    "2.4": IDS + "import_environment {\n  BOX = mdbox\n}\nmail_driver = mdbox\nmail_path = ~/%{env:BOX}\n"
    "rawlog_dir = %{home}/rawlog\n",
}
AUTH = "service auth {\n  unix_listener auth-userdb {\n    mode = 0600\n    user = root\n  }\n}\n"


class VirtualUsers(DovecotInstance):
    """A Dovecot whose userdb returns no uid: the settings say who everybody is, as in the guides' "vmail"."""

    def _write_users(self) -> None:
        super()._write_users()
        lines = []
        for user in USERS:
            home = self.folder / "home" / user
            (home / "rawlog").mkdir()
            for path in (home, home / "rawlog"):
                os.chown(path, VMAIL, VMAIL)
            lines.append(f"{user}:{{PLAIN}}{PASSWORD}:::{''}:{self.inside}/home/{user}::\n")
        (self.folder / "users").write_text("".join(lines))


def test_an_engine_of_virtual_users(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version
) -> None:
    """uid and gid come from the settings, auth-userdb answers root alone, and mail comes within the session."""
    extra = EXTRA[version.language] + AUTH
    dovecot = starter(VirtualUsers(version, TUNED, installations[version], extra))
    with Scene(dovecot) as scene, WorkerSession(dovecot) as session:
        first = scene.sign(scene.store())
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        assert session.fetch(first).content == MESSAGE
        second = scene.sign(scene.store(PLAIN))
        assert session.fetch(second).content == PLAIN
        assert session.fetch(first).content == MESSAGE
        owners = {
            uid
            for process in dovecot.processes()
            if "imap-urlauth-worker" in process.title
            for uid in process.uids
        }
        assert VMAIL in owners
    assert (dovecot.home("alice") / "mdbox").exists()
    logs = [log.read_bytes() for log in (dovecot.home("alice") / "rawlog").iterdir()]
    assert any(b"GENURLAUTH" in log for log in logs)  # alice's own session
    assert not [log for log in logs if b"METADATA" in log]  # the key would be in there


def _file_of(scene: Scene, mailbox: str) -> Path:
    [mail] = (scene.dovecot.home("alice") / "Maildir" / f".{mailbox}" / "cur").iterdir()
    return mail


@pytest.mark.only("tuned")
@pytest.mark.parametrize("kind", ["own link", "root's link", "readable", "unreadable", "fifo"])
def test_whose_file_it_is(scene: Scene, kind: str) -> None:
    """The kernel says who may read; a link is Dovecot's own imap's to follow; and nobody waits for a FIFO."""
    mailbox = f"Odd{kind.replace(' ', '').replace(chr(39), '')}"
    scene.create(mailbox)
    odd, other = scene.sign(scene.store(mailbox=mailbox)), scene.sign(scene.store())
    scene.user("alice").command(f"SELECT {mailbox}".encode())
    scene.user("alice").command(rb"UID STORE 1 +FLAGS (\Seen)")
    mail = _file_of(scene, mailbox)
    if "link" in kind:
        mail.rename(mail.with_name("elsewhere"))
        mail.symlink_to("elsewhere")
        owner = USERS["alice"] if kind == "own link" else 0
        os.lchown(mail, owner, owner)
    elif kind == "fifo":
        mail.unlink()
        os.mkfifo(mail)
        scene.expect_log("is not a regular file")
    else:
        os.chown(mail, 0, 0)
        mail.chmod(0o644 if kind == "readable" else 0o600)
        scene.expect_log("Permission denied")
    served = kind not in ("fifo", "unreadable")
    with WorkerSession(scene.dovecot) as session:
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        answer = session.fetch(odd)
        assert (answer.ok, answer.content) == (served, MESSAGE if served else b"")
        assert session.fetch(other).content == MESSAGE
    if served:
        with WorkerSession(scene.dovecot, STOCK_WORKER) as stock:
            stock.access(b"bob")
            assert stock.select(b"alice") == b"OK\n"
            assert stock.fetch(odd).content == MESSAGE


@pytest.mark.only("tuned")
@pytest.mark.parametrize("size", ["99999", "4294967296"])
def test_a_noted_size_that_is_too_large(scene: Scene, size: str) -> None:
    """Stock announces it, and loses the session or hangs."""
    mailbox = f"Sizes{size}"
    scene.create(mailbox)
    url = scene.sign(scene.store(mailbox=mailbox))
    scene.user("alice").command(f"SELECT {mailbox}".encode())
    maildir = scene.dovecot.home("alice") / "Maildir" / f".{mailbox}"
    [mail] = [path for part in ("cur", "new") for path in (maildir / part).iterdir()]
    name = mail.name.partition(",W=")[0]
    mail.rename(mail.with_name(f"{name},W={size}:2,"))
    uidlist = maildir / "dovecot-uidlist"
    header, _, _ = uidlist.read_bytes().partition(b"\n")
    uidlist.write_bytes(header + f"\n1 :{name},W={size}\n".encode())
    with WorkerSession(scene.dovecot) as session:
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        assert session.fetch(url).content == MESSAGE
