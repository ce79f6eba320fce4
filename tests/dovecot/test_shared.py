"""Mail of others: public and shared namespaces, where acl and the kernel say what the target user may read.

Ours reads natively and answers as the stock worker does; 2.4's ends with signal 11 in a namespace of type shared,
where alice's own imap is asked instead.  Everybody's files have one owner, as in most guides, unless the kernel is
what a test is about.
"""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING

import pytest

from testing.imapclient import ConnectionLost
from testing.instance import USERS, DovecotInstance
from testing.oracle import STOCK_WORKER, WORKER, WorkerLost, WorkerSession
from testing.scene import MESSAGE, Scene, Stored
from testing.versions import TUNED, Version
from tests.dovecot.test_acl import acl_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.dovecot.conftest import Installations

    Starter = Callable[..., DovecotInstance]
    Start = Callable[..., "Others"]

pytestmark = pytest.mark.in_turns

VMAIL = USERS["alice"]
SEED = int(os.environ.get("DOVECOT_URLAUTH_SEED", "1"))
ROUNDS = int(os.environ.get("DOVECOT_URLAUTH_ROUNDS", "8"))
"""How often all mailboxes get new random ACL files."""

OLD = """\
mail_debug = yes
mail_plugins = acl
plugin {
  acl = vfile%(acl)s
  acl_groups = staff,mail users
}
namespace inbox {
  inbox = yes
  separator = /
}
namespace public {
  type = public
  separator = /
  prefix = Public/
  location = maildir:BASE/home/carol/Maildir:INDEXPVT=~/public
  subscriptions = no
}
namespace shared {
  type = shared
  separator = /
  prefix = shared/%%%%u/
  location = maildir:%%%%h/Maildir:INDEXPVT=~/shared/%%%%u
  subscriptions = no
}
namespace boxes {
  type = shared
  separator = /
  prefix = boxes/%%%%n/
  location = sdbox:BASE/home/%%%%u/box
  subscriptions = no
}
"""
NEW = """\
mail_debug = yes
mail_plugins {
  acl = yes
}
acl_driver = vfile
acl_groups = staff "mail users"
%(acl)snamespace inbox {
  inbox = yes
  separator = /
}
namespace public {
  type = public
  separator = /
  prefix = Public/
  mail_path = BASE/home/carol/Maildir
  mail_index_private_path = ~/public
  subscriptions = no
}
namespace shared {
  type = shared
  separator = /
  prefix = shared/$user/
  mail_path = %%{owner_home}/Maildir
  mail_index_private_path = ~/shared/%%{owner_user}
  subscriptions = no
}
namespace boxes {
  type = shared
  separator = /
  prefix = boxes/$username/
  mail_driver = sdbox
  mail_path = BASE/home/%%{owner_user | username}/box
  subscriptions = no
}
"""
#: What stock's worker says of files that it cannot read, and both of owners that they cannot ask for.
EXPECTED = ("ACL file", "stock-worker", "imap-urlauth", "Mailbox", r"imap\(", "auth")

PLACES = {"Public/Box": "carol", "shared/bob/INBOX": "bob", "shared/bob/Box": "bob", "boxes/carol/Box": "carol"}
"""What alice calls mailboxes of others, and whose they are."""


class Others:
    """A Dovecot where bob and carol have mail, and URLs of alice's for what she may see of it."""

    def __init__(self, dovecot: DovecotInstance) -> None:
        self.dovecot = dovecot
        self.urls: dict[str, bytes] = {}
        with Scene(dovecot) as scene:
            for mailbox, owner in PLACES.items():
                own = "box/Box" if mailbox.startswith("boxes") else mailbox.rpartition("/")[2]
                if own != "INBOX":
                    scene.create(own, owner)
                stored = scene.store(mailbox=own, owner=owner)
                scene.user(owner).command(f"SELECT {own}".encode())
                self.put(mailbox, b"user=alice lr\n")
                seen = Stored("alice", mailbox, stored.uidvalidity, stored.uid)
                self.urls[mailbox] = scene.sign(seen, "authuser")

    def folder(self, mailbox: str) -> Path:
        """Where one of them lies."""
        home = self.dovecot.home(PLACES[mailbox])
        if mailbox.startswith("boxes"):
            return home / "box" / "mailboxes" / "Box" / "dbox-Mails"
        return home / "Maildir" / ("" if mailbox.endswith("INBOX") else ".Box")

    def put(self, mailbox: str, text: bytes | None, folder: Path | None = None) -> None:
        """Give a mailbox an ACL file, or none."""
        path = (folder or self.folder(mailbox)) / "dovecot-acl"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_bytes(text)
            os.chown(path, VMAIL, VMAIL)

    def answers(self, mailboxes: list[str]) -> dict[str, tuple[bool, bool]]:
        """Whether stock and ours give each mailbox's message to bob."""
        urls = [self.urls[mailbox] for mailbox in mailboxes]
        stock = [self.ask(STOCK_WORKER, url) for url in urls]
        with self.session() as session:
            ours = [self.answer(session, url) for url in urls]
        for content in (*stock, *ours):
            assert content in (MESSAGE, None)
        served = [(theirs is not None, mine is not None) for theirs, mine in zip(stock, ours)]
        return dict(zip(mailboxes, served))

    def session(self, worker: str = WORKER) -> WorkerSession:
        session = WorkerSession(self.dovecot, worker)
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        return session

    def answer(self, session: WorkerSession, url: bytes) -> bytes | None:
        """The message, None for a NO."""
        try:
            answer = session.fetch(url)
        except WorkerLost:  # stock, of a broken ACL file
            return None
        return answer.content if answer.ok else None

    def ask(self, worker: str, url: bytes) -> bytes | None:
        """The message, None for a NO."""
        if worker == STOCK_WORKER and self.dovecot.version.language == "2.4" and b"/Public/" not in url:
            with Scene(self.dovecot) as scene:
                try:
                    return scene.user("alice").fetch_url(url)
                except ConnectionLost:  # some commits before 2.4.5: of a mailbox that it may not open
                    return None
        with self.session(worker) as session:
            return self.answer(session, url)

    def roads(self) -> set[str]:
        """The stores that sessions of ours were served by, and why."""
        return {line.rpartition("store: ")[2] for line in self.dovecot.log.lines() if "store: " in line}


@pytest.fixture
def start(starter: Starter, installations: Installations, version: Version) -> Start:
    def start(old: str = "", new: str = "") -> Others:
        dovecot = DovecotInstance(version, TUNED, installations[version])
        dovecot.users = dict.fromkeys(USERS, VMAIL)
        text = OLD % {"acl": old} if version.language == "2.3" else NEW % {"acl": new}
        # carol's and bob's own sdbox, in which they make what alice sees below boxes/
        own = "namespace own {\n  separator = /\n  prefix = box/\n  subscriptions = no\n  %s\n}\n" % (
            "location = sdbox:~/box" if version.language == "2.3" else "mail_driver = sdbox\n  mail_path = ~/box"
        )
        (dovecot.folder / "global").touch(0o644)
        dovecot.extra = (text + own).replace("BASE", str(dovecot.inside))
        return Others(starter(dovecot, *EXPECTED))

    return start


CASES = {
    b"user=alice lr": True,
    b"user=alice r": False,
    b"user=alice l": False,
    b"user=alice wstipekxa": False,
    b"owner lr": False,
    b"group=staff lr": True,
    b"group=other lr": False,
    b"group-override=staff l\nuser=alice lr": False,
    b"anyone lr": True,
    b"authenticated l\nanyone r": False,
    b"authenticated lr\nuser=alice l": False,
    b"anyone lr\n-user=alice r": False,
    b"-user=bob lr\nanyone lr": True,
    b"user=bob lr": False,
    b"": False,
    b"user=alice lrz": False,
    b"user=alice lr\n-anyone r": False,
}


def test_each_right_in_each_place(start: Start) -> None:
    others = start()
    mailboxes = list(PLACES)
    for text, allowed in CASES.items():
        for mailbox in mailboxes:
            others.put(mailbox, text)
        assert others.answers(mailboxes) == dict.fromkeys(mailboxes, (allowed, allowed)), text
    with others.session() as session:
        for mailbox, url in others.urls.items():
            for now in (b"user=alice lr", b"user=alice l", b"group=staff lr", None):
                others.put(mailbox, now)
                expected = MESSAGE if now and now.endswith(b"lr") else None
                assert others.answer(session, url) == expected, (mailbox, now)
    assert others.roads() == {"native"}


def test_the_kernel_and_the_userdb(start: Start) -> None:
    """What the target user's rights do not reach is a NO, and so is an owner whom nobody knows."""
    others = start()
    mailbox, url = "shared/bob/Box", others.urls["shared/bob/Box"]
    assert others.answers([mailbox]) == {mailbox: (True, True)}
    [mail] = (others.folder(mailbox) / "cur").iterdir()
    os.chown(mail, 0, 0)
    assert others.answers([mailbox]) == {mailbox: (False, False)}
    os.chown(mail, VMAIL, VMAIL)
    os.chown(others.dovecot.home("bob"), 0, 0)
    assert others.answers([mailbox]) == {mailbox: (False, False)}
    os.chown(others.dovecot.home("bob"), VMAIL, VMAIL)
    for name in (b"/shared/nobody/Box", b"/shared/b%26b/Box", b"/shared/../Box", b"/shared/alice/Box", b"/shared"):
        odd = url.replace(b"/shared/bob/Box", name)
        assert others.ask(WORKER, odd) is None, name
    assert others.answers([mailbox]) == {mailbox: (True, True)}
    assert "native" in others.roads()


def test_random_files_and_defaults(start: Start, version: Version) -> None:
    """Entries of mailboxes, of the directories that they lie in, and of a file for all."""
    has_global = version.number < (2, 4, 2)
    others = start(
        ":BASE/global\n  acl_defaults_from_inbox = yes",
        "acl_defaults_from_inbox = yes\n" + ("acl_global_path = BASE/global\n" if has_global else ""),
    )
    random = Random(SEED)
    roots = [others.dovecot.home("carol") / "Maildir", others.dovecot.home("carol") / "box" / "mailboxes"]
    allowed = 0
    for _ in range(ROUNDS):
        if has_global:
            (others.dovecot.folder / "global").write_bytes(global_file(random))
        files = {mailbox: acl_file(random) for mailbox in PLACES}
        for mailbox, text in files.items():
            others.put(mailbox, text)
        for root in roots:
            others.put("", acl_file(random), root)
        for mailbox, (stock, ours) in others.answers(list(files)).items():
            assert stock == ours, (mailbox, files)
            allowed += ours
    assert 0 < allowed < ROUNDS * len(PLACES)
    assert others.roads() == {"native"}


def global_file(random: Random) -> bytes:
    """Some lines for some mailboxes, most of them without a word about alice."""
    patterns = [b"Public", b"Public/Box", b"shared/bob", b"shared/*", b"boxes/carol", b"*/Box", b"Nothing"]
    lines = []
    for _ in range(random.randrange(3)):
        who = random.choice((b"anyone", b"user=alice", b"user=bob", b"-user=alice", b"group=staff", b"owner"))
        lines.append(b"%s %s %s\n" % (random.choice(patterns), who, random.choice((b"lr", b"l", b"r"))))
    return b"".join(lines)
