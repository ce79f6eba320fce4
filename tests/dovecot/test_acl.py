"""Access rights of the target user in own mailboxes: ours, read natively, and the stock worker's are the same."""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING

import pytest

from testing.instance import USERS, DovecotInstance
from testing.oracle import STOCK_WORKER, WORKER, WorkerLost, WorkerSession
from testing.scene import MESSAGE, Scene
from testing.versions import TUNED, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.dovecot.conftest import Installations

    Starter = Callable[..., DovecotInstance]

pytestmark = pytest.mark.in_turns

OLD = (
    "protocol imap-urlauth-worker {\n  mail_plugins = acl\n}\n"
    "plugin {\n  acl = vfile%s\n  acl_groups = staff,mail users\n}\n"
)
NEW = (
    "protocol imap-urlauth-worker {\n  mail_plugins {\n    acl = yes\n  }\n}\n"
    'acl_driver = vfile\nacl_groups = staff "mail users"\n'
)
#: The stock worker's texts for garbage; ours is another.
EXPECTED = ("ACL file", "stock-worker", "imap-urlauth", "Mailbox")

SEED = int(os.environ.get("DOVECOT_URLAUTH_SEED", "1"))
ROUNDS = int(os.environ.get("DOVECOT_URLAUTH_ROUNDS", "10"))
"""How often all mailboxes get new random ACL files."""
MAILBOXES = 30

LETTERS = "lrwstipekxa"
IDENTIFIERS = (
    b"owner", b"owner", b"-owner", b"user=alice", b"user=alice", b"-user=alice", b"user=bob", b"user=Alice",
    b"anyone", b"-anyone", b"anonymous", b"authenticated", b"-authenticated", b"group=staff",
    b"-group=staff", b"group=other",
    b"group-override=staff", b"-group-override=staff", b"group-override=other", b'"user=alice"', b'"-user=alice"',
    b'"group=mail users"', b'"group-override=mail users"', b'"user=al\\ice"', b"user=", b"group=",
)  # fmt: skip
RIGHTS = (
    b"lr", b"l", b"r", b"", b"lrw", b"lrwstipekxa", b"rl", b"llr", b":lookup read", b"l :read", b"l:read",
    b"r :lookup,write", b"w", b"s", b"i", b"p", b" lr", b"\tlr\t", b"lr :", b"l r", b"k :no-such-right",
    b"lr :read\tread",
)  # fmt: skip
GARBAGE = (
    b"user=alice z", b"nobody lr", b"user=alice lr read", b'"user=alice lr', b'"user=alice"lr', b"-", b"lr", b"=",
    b"\xff\xfe", b"user=alice \xc3\xa4", b"owner lrc", b" owner lr", b"Owner lr",
)  # fmt: skip
ODD_LINES = (b"", b"#owner l", b"#", b"owner lr\r", b"user=alice l\r")


def acl_file(random: Random) -> bytes | None:
    """An ACL file, or None for a mailbox without."""
    if random.random() < 0.1:
        return None
    lines = [random.choice(IDENTIFIERS) + b" " + random.choice(RIGHTS) for _ in range(random.randrange(5))]
    if random.random() < 0.1:
        lines.insert(random.randrange(len(lines) + 1), random.choice(GARBAGE))
    if random.random() < 0.2:
        lines.insert(random.randrange(len(lines) + 1), random.choice(ODD_LINES))
    return b"\n".join(lines) + random.choice((b"\n", b""))


class Arena:
    """A Dovecot, mailboxes of alice's with a message in each, and URLs for bob."""

    def __init__(self, dovecot: DovecotInstance, count: int = MAILBOXES) -> None:
        self.dovecot = dovecot
        with Scene(dovecot) as scene:
            self.urls = {}
            for number in range(count):
                scene.create(f"Box{number}")
                self.urls[f"Box{number}"] = scene.sign(scene.store(mailbox=f"Box{number}"))
            for name in self.urls:
                scene.user("alice").command(f"SELECT {name}".encode())

    def put(self, mailbox: str, text: bytes | None, mode: int = 0o600, owner: int = USERS["alice"]) -> None:
        """Give a mailbox an ACL file, or none."""
        path = self.dovecot.home("alice") / "Maildir" / f".{mailbox}" / "dovecot-acl"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_bytes(text)
            path.chmod(mode)
            os.chown(path, owner, owner)

    def served(self, worker: str, mailboxes: list[str]) -> Iterator[bool]:
        """Whether bob gets each mailbox's message; a worker that ends, as stock does for garbage, gives none."""
        session = self._session(worker)
        for mailbox in mailboxes:
            try:
                answer = session.fetch(self.urls[mailbox], b"body")
            except WorkerLost:
                session.close()
                session = self._session(worker)
                yield False
            else:
                assert answer.content == (MESSAGE if answer.ok else b"")
                yield answer.ok
                if not answer.ok and worker == STOCK_WORKER:
                    session.close()
                    session = self._session(worker)
        session.close()

    def _session(self, worker: str) -> WorkerSession:
        session = WorkerSession(self.dovecot, worker)
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        return session

    def both(self, mailboxes: list[str]) -> list[tuple[bool, bool]]:
        """What stock and ours say of each mailbox."""
        return list(zip(*(list(self.served(worker, mailboxes)) for worker in (STOCK_WORKER, WORKER))))

    def roads(self) -> set[str]:
        """The stores that sessions of ours were served by."""
        lines = self.dovecot.log.lines()
        return {line.rpartition("store: ")[2].partition(":")[0] for line in lines if "store: " in line}


@pytest.fixture
def start(starter: Starter, installations: Installations, version: Version) -> Callable[..., Arena]:
    def start(old: str = "", new: str = "", count: int = MAILBOXES) -> Arena:
        language = version.language
        extra = "mail_debug = yes\n" + (OLD % old if language == "2.3" else NEW + new)
        dovecot = DovecotInstance(version, TUNED, installations[version])
        dovecot.extra = extra.replace("BASE", str(dovecot.inside))
        return Arena(starter(dovecot, *EXPECTED), count)

    return start


CASES = {
    **{f"user=alice {letter}".encode(): False for letter in LETTERS},
    **{f"owner {letter}".encode(): False for letter in LETTERS},
    b"owner lr": True,
    b"user=alice lr": True,
    b"owner lrwstipekxa\nuser=alice l": False,
    b"owner l\nuser=alice lr": True,
    b"-owner l": False,
    b"-owner r": False,
    b"-owner w": True,
    b"owner lr\n-user=alice r": False,
    b"anyone l": True,
    b"-anyone lr": True,
    b"group=staff l": True,
    b"group-override=staff l": False,
    b"group-override=other l": True,
    b"user=bob l": True,
    b"-user=alice w\n-user=alice s": False,
    b"user=alice l\nuser=alice r": True,
    b"owner\nuser=alice :lookup read": True,
    b"": True,
    b"# owner l": True,
    b"what is this": False,
    b"owner lrz": False,
    b"owner lr\nowner lr lr": False,
    b"owner lr\n\0\n": True,
}


def test_each_right_alone_and_together(start: Callable[..., Arena]) -> None:
    arena = start(count=len(CASES))
    for mailbox, text in zip(arena.urls, CASES, strict=True):
        arena.put(mailbox, text)
    answers = dict(zip(CASES, arena.both(list(arena.urls)), strict=True))
    assert answers == {text: (allowed, allowed) for text, allowed in CASES.items()}
    mailbox = next(iter(arena.urls))
    arena.put(mailbox, b"owner lr", mode=0o600, owner=0)
    assert arena.both([mailbox]) == [(False, False)]  # it may not be read, and so takes all rights
    said = [line for line in arena.dovecot.log.lines() if "Failed to fetch URLAUTH" in line and "ACL file" in line]
    assert len(said) == 3, said
    assert "dovecot" in arena.roads()  # a NUL is for Dovecot to understand
    assert not [line for line in arena.dovecot.log.lines() if "store: dovecot: mail_plugins" in line]


def test_a_right_that_is_revoked_between_two_fetches(start: Callable[..., Arena]) -> None:
    """Ours asks anew each time; stock remembers for half a minute."""
    arena = start(count=1)
    [(mailbox, url)] = arena.urls.items()
    arena.put(mailbox, b"owner lr\n")
    with WorkerSession(arena.dovecot) as session:
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        assert session.fetch(url).content == MESSAGE
        for text, allowed in ((b"owner l\n", False), (b"owner lr\n", True), (b"owner zz\n", False), (None, True)):
            arena.put(mailbox, text)
            assert session.fetch(url).ok is allowed, text
    arena.put(mailbox, b"owner l\n")
    assert arena.both([mailbox]) == [(False, False)]
    assert arena.roads() == {"native"}


def test_random_files(start: Callable[..., Arena]) -> None:
    arena = start()
    random = Random(SEED)
    allowed = 0
    for _ in range(ROUNDS):
        files = {mailbox: acl_file(random) for mailbox in arena.urls}
        for mailbox, text in files.items():
            arena.put(mailbox, text)
        for text, (stock, ours) in zip(files.values(), arena.both(list(files)), strict=True):
            assert stock == ours, text
            allowed += ours
    assert ROUNDS * MAILBOXES // 10 < allowed < ROUNDS * MAILBOXES * 9 // 10
    assert arena.roads() == {"native"}


GLOBAL = """\
Box0 owner l
Box1 owner lr
Box? group=staff lr
# Box3 owner
Box3 -owner r
"Box4" user=alice lr
Box4 anyone l
*5 anyone l
Bo* group-override=other l
B*x6 owner lr
B*x6 -user=alice l
Nothing owner l
"""


@pytest.mark.parametrize("text", [GLOBAL, GLOBAL + "Box0\n", GLOBAL + "Box0 owner zz\n", ""])
def test_a_global_file(start: Callable[..., Arena], version: Version, text: str) -> None:
    if version.number >= (2, 4, 2):
        pytest.skip("2.4.5 has no file for all mailboxes")
    arena = start(":BASE/tmp/global", "acl_global_path = BASE/tmp/global\n", count=9)
    path = arena.dovecot.folder / "tmp" / "global"
    path.write_text(text)
    mailboxes = list(arena.urls)
    without = arena.both(mailboxes)
    assert all(stock == ours for stock, ours in without), without
    if text == GLOBAL:
        assert [ours for _, ours in without] == [False, True, True, False, True, True, False, True, True]
    for mailbox in mailboxes:
        arena.put(mailbox, b"user=alice lr\n-owner lr\n")
    assert all(stock == ours for stock, ours in arena.both(mailboxes))
    assert arena.roads() == {"native"}


def test_a_folder_of_global_files(start: Callable[..., Arena], version: Version) -> None:
    if version.language != "2.3":
        pytest.skip("2.4 has no such folder")
    arena = start(":BASE/tmp/global:cache_secs=0", count=6)
    folder = arena.dovecot.folder / "tmp" / "global"
    assert arena.both(["Box0"]) == [(True, True)]  # it is missing
    folder.mkdir()
    for mailbox, text in (
        ("Box0", "owner l"),
        ("Box1", "anyone lr"),
        ("Box2", "owner lr\n-user=alice r"),
        ("Box3", "??"),
    ):
        (folder / mailbox).write_text(text)
    (folder / "Box4").mkdir()
    (folder / "Box4" / ".DEFAULT").write_text("anyone l\n")
    arena.put("Box1", b"owner l\n")
    arena.put("Box5", b"owner l\n")
    assert arena.both(list(arena.urls)) == [(each, each) for each in (False, True, False, False, False, False)]
    (folder / "Box1").chmod(0o600)
    assert arena.both(["Box1"]) == [(False, False)]
    assert arena.roads() == {"native"}


def test_rights_in_the_settings(start: Callable[..., Arena], version: Version) -> None:
    if version.language != "2.4":
        pytest.skip("2.3 has no rights in its settings")
    arena = start(new="acl owner {\n  rights = l\n}\nacl group-override=staff {\n  rights = -w\n}\n", count=3)
    arena.put("Box1", b"owner r\n")
    arena.put("Box2", b"user=alice r\n")
    assert arena.both(list(arena.urls)) == [(False, False), (True, True), (False, False)]
    assert arena.roads() == {"native"}
