"""The engine on real Dovecots: every mailbox format, the stock worker's own answers, hostile names, big mail.

Each scenario runs in a child that has entered the Dovecot's root and become the mailbox's owner, as a worker does.
"""

from __future__ import annotations

import array
import os
import pickle
import resource
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

import pytest

from dovecot_urlauth.config.ask import ask_for_values
from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.config.wanted import TARGET_USER
from dovecot_urlauth.message.errors import MessageError, PartMissing, Undecodable
from dovecot_urlauth.message.request import Request
from dovecot_urlauth.store.engine import dialogue
from dovecot_urlauth.store.engine.dialogue import LOOK_SECONDS
from dovecot_urlauth.store.engine.engine import EngineStore
from dovecot_urlauth.store.engine.engine_start import EngineStart, prepare_engine
from dovecot_urlauth.store.engine.imap_process import Command
from dovecot_urlauth.store.engine.own_url import own_url
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, ReadFailed, StoreError, StoreFailure
from dovecot_urlauth.store.native.names import to_mutf7
from dovecot_urlauth.store.store import Ahead
from dovecot_urlauth.url.token import mint
from dovecot_urlauth.wire.imapdialogue import UrlFetch
from dovecot_urlauth.wire.tabescape import unescape
from testing.imapclient import ImapClient
from testing.instance import HOST, DovecotInstance
from testing.oracle import STOCK_WORKER, WorkerSession, sign
from testing.versions import ALL_STOCK, CHOSEN, Version
from tests.store.user import User
from tests.store.waiting import LOOP, first_chunk, key_of, open_mailbox, wait, whole

pytestmark = [
    pytest.mark.dovecot,
    pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot's master runs as root"),
]

FORMATS = {"maildir": 6001, "sdbox": 6002, "mdbox": 6003, "mbox": 6004}
"""User (and format) -> uid."""

PLAIN = b"From: a@example.test\r\nSubject: =?utf-8?q?plain?=\r\n\r\none\r\ntwo\r\n"
MIXED = (
    b"From: a@example.test\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
    b"--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nsch=C3=B6n\n"
    b"--b\nContent-Type: image/png; name=\xc3\xa4\nContent-Transfer-Encoding: base64\n\nAAECAwQF\n"
    b'--b\nContent-Type: message/rfc822\n\nSubject: "in\\ner" )\n\ninside\n--b--\n'
)
BOGUS = b"MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: bogus\n\nx\n"
BROKEN = b"MIME-Version: 1.0\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\n!!!!\n"
UIDS = {1: PLAIN, 2: MIXED, 3: BOGUS, 4: BROKEN}
BIG = 30_000_000


class Begin(Protocol):
    """Makes an engine that is to serve a user."""

    def __call__(self, name: bytes, settings: Settings | None = None) -> EngineStore: ...


@dataclass
class Engine:
    """One Dovecot with mail in every format."""

    dovecot: DovecotInstance

    @property
    def is_2_3(self) -> bool:
        return self.dovecot.version.language == "2.3"

    def start(self) -> EngineStart:
        """What the worker's parent finds out as root."""
        socket_path = os.fsencode(self.dovecot.folder / "run" / "config")
        if self.is_2_3:
            return prepare_engine(Settings(ask_for_values(socket_path, TARGET_USER)), b"/usr/lib/dovecot", None)
        with self.dovecot.connect("config") as connection:
            connection.sendall(b"VERSION\tconfig\t3\t0\nREQ\n")
            ancillary: list[Any] = []
            while not ancillary:
                _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
        fds = array.array("i", ancillary[0][2])
        return prepare_engine(Settings({}), b"/usr/lib/dovecot", fds[0])

    def as_user(self, user: str, scenario: Callable[[EngineStore], Any], **settings: str) -> Any:
        """What the scenario returns, run with an engine of the user's in a process of the user's."""

        def with_one(begin: Begin) -> Any:
            store = begin(user.encode(), Settings(settings) if settings else None)
            try:
                return scenario(store)
            finally:
                store.close()

        return self.in_child(user, with_one)

    def in_child(self, user: str, scenario: Callable[[Begin], Any], first: Command | None = None) -> Any:
        """What the scenario returns, given a way to begin engines, in a process of the user's.

        An engine of the ``first`` command is started as root, and is the one that the scenario gets.
        """
        to_mutf7("ä")  # a codec of Python's is loaded on first use
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            result: tuple[Any, str | None]
            try:
                result = self._run(user, scenario, first), None
            except BaseException as error:
                result = None, f"{type(error).__name__}: {error}"
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(result, pipe)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            value, said = pickle.load(pipe)
        os.waitpid(pid, 0)
        assert said is None, said
        return value

    def _run(self, user: str, scenario: Callable[[Begin], Any], first: Command | None) -> Any:
        start = self.start()
        logged: list[str] = []
        os.chroot(self.dovecot.version.root)
        os.chdir("/")
        uid = FORMATS[user]
        early = None if first is None else EngineStore(user.encode(), first, logged.append, LOOP)
        if early is not None:
            early.start()
        os.setgroups([uid])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)

        def begin(name: bytes, settings: Settings | None = None) -> EngineStore:
            return early or EngineStore(name, start.asking(name, settings), logged.append, LOOP)

        try:
            return scenario(begin)
        except StoreFailure as failure:
            raise AssertionError(f"{failure.text}; {logged}") from failure

    def stock(self, user: str, rump: str, key: bytes, *flags: bytes) -> tuple[bytes, bytes] | bytes:
        """The stock worker's answer: the structure and content, or the error text."""
        with WorkerSession(self.dovecot, STOCK_WORKER) as session:
            session.access(b"bob")
            assert session.select(user.encode()) == b"OK\n"
            answer = session.fetch(sign(rump.encode(), key), *flags)
        words = dict(word.partition(b"=")[::2] for word in answer.words)
        if not answer.ok:
            return words.get(b"error", b"").partition(b'": ')[2]
        return unescape(words.get(b"bpstruct", b"")), answer.content


@pytest.fixture(scope="module", params=CHOSEN, ids=lambda version: version.name)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    version = request.param
    dovecot = DovecotInstance(version, ALL_STOCK, users=dict(FORMATS))
    dovecot.start()
    try:
        _give_formats(dovecot)
        dels = ["%7F"] if _makes_del(version) else []
        for user in FORMATS:
            with dovecot.imap(user) as client:
                for message in UIDS.values():
                    client.append("INBOX", message)
                for name in ("INBOX", "Entw&APw-rfe", "50%", "a &- b", *["&AH8-" for _ in dels]):
                    if name != "INBOX":
                        assert client.command(b'CREATE "%s"' % name.encode()).ok
                        client.append(name, PLAIN)
                assert client.command(b"SELECT INBOX").ok
                for mailbox in (
                    "INBOX",
                    "Entw%C3%BCrfe",
                    "50%25",
                    "a%20%26%20b",
                    *(["%7F"] * _makes_del(version)),
                ):
                    client.genurlauth(f"imap://{user}@{HOST}/{mailbox}/;UID=1;URLAUTH=authuser")
        yield Engine(dovecot)
    finally:
        dovecot.stop()


def _makes_del(version: Version) -> bool:
    """Whether a mailbox can be named by a DEL; newer ones refuse to make it."""
    return version.number < (2, 4, 2)


def _overrides(engine: Engine, user: str) -> dict[str, str]:
    """What `_give_formats` has the userdb say, as settings."""
    if engine.is_2_3:
        return {"mail_location": f"{user}:~/mail-{user}" + (":INBOX=~/inbox" if user == "mbox" else "")}
    inbox = {"mail_inbox_path": "~/inbox"} if user == "mbox" else {}
    return {"mail_driver": user, "mail_path": f"~/mail-{user}", **inbox}


def _give_formats(dovecot: DovecotInstance) -> None:
    """Each user's format comes as fields of the userdb, which the engine has to heed."""
    folder = dovecot.folder / "users"
    lines = []
    for line, name in zip(folder.read_text().splitlines(), FORMATS):
        if dovecot.version.language == "2.3":
            inbox = ":INBOX=~/inbox" if name == "mbox" else ""
            fields = f"userdb_mail={name}:~/mail-{name}{inbox}"
        else:
            inbox = " userdb_mail_inbox_path=~/inbox" if name == "mbox" else ""
            fields = f"userdb_mail_driver={name} userdb_mail_path=~/mail-{name}{inbox}"
        lines.append(line + fields + "\n")
    folder.write_text("".join(lines))


def read(store: EngineStore, uid: int, request: Request, mailbox: bytes = b"INBOX", uidvalidity: int = 0) -> Any:
    """The structure and content, or the error."""
    try:
        ahead = Ahead(uid, request, lambda key: True)
        content = wait(wait(store.open(mailbox, uidvalidity, ahead)).fetch(uid, request))
        data = wait(whole(content))
    except (MessageError, StoreError) as error:
        if isinstance(error, StoreFailure):
            raise
        return type(error), error.text
    return content.structure or b"", data


class Wish(TypedDict, total=False):
    """What a Request says beside the section."""

    body: bool
    binary: bool
    structure: bool


SECTIONS = [
    "",
    "HEADER",
    "TEXT",
    "1",
    "2",
    "3",
    "1.MIME",
    "3.HEADER",
    "3.TEXT",
    "HEADER.FIELDS (FROM)",
    "7",
    "3.1",
]
WISHES: list[Wish] = [
    {"body": True},
    {"body": True, "binary": True},
    {"body": False, "structure": True},
    {"body": True, "structure": True},
    {"body": True, "binary": True, "structure": True},
]


@pytest.mark.parametrize("seconds", [0.0, 60.0], ids=["opened", "open"])
@pytest.mark.parametrize("user", FORMATS)
def test_the_stock_worker_would_say_the_same(
    engine: Engine, user: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialogue, "LOOK_SECONDS", seconds)
    asked = [(uid, section, wish) for uid in (1, 2) for section in SECTIONS for wish in WISHES]

    def scenario(store: EngineStore) -> Any:
        answers = [read(store, uid, Request(section.encode(), **wish)) for uid, section, wish in asked]
        return key_of(store), answers

    key, answers = engine.as_user(user, scenario)
    for (uid, section, wish), answer in zip(asked, answers):
        rump = f"imap://{user}@{HOST}/INBOX/;UID={uid}"
        rump += f"/;SECTION={section.replace(' ', '%20')}" if section else ""
        flags = [b"body"] * (wish["body"] and not wish.get("binary")) + [b"binary"] * wish.get("binary", False)
        flags += [b"bpstruct"] * wish.get("structure", False)
        stock = engine.stock(user, rump + ";URLAUTH=authuser", key, *flags)
        expected = (PartMissing, stock.decode()) if isinstance(stock, bytes) else stock
        assert answer == expected, (uid, section, wish)


@pytest.mark.parametrize("user", FORMATS)
def test_what_was_stored_is_read(engine: Engine, user: str) -> None:
    def scenario(store: EngineStore) -> Any:
        return [
            read(store, 1, Request(b"")),
            read(store, 1, Request(b"", 3, 5)),
            read(store, 1, Request(b"", 10**6)),
            read(store, 2, Request(b"1", binary=True)),
            read(store, 2, Request(b"2", binary=True)),
            read(store, 9, Request(b"")),
        ]

    assert engine.as_user(user, scenario) == [
        (b"", PLAIN),
        (b"", PLAIN[3:8]),
        (b"", b""),
        (b"", "schön".encode()),
        (b"", bytes(range(6))),
        (ReadFailed, "Message not found"),
    ]


@pytest.mark.parametrize("user", ["maildir", "sdbox"])
def test_what_cannot_be_decoded(engine: Engine, user: str) -> None:
    """2.3's imap dies of it; the next one knows the reason, and the session goes on."""

    def scenario(store: EngineStore) -> Any:
        answers = []
        for uid in (3, 4):
            for section in (b"", b"TEXT", b"1"):
                for structure in (False, True):
                    answers.append(read(store, uid, Request(section, binary=True, structure=structure)))
        return answers, read(store, 1, Request(b""))

    answers, after = engine.as_user(user, scenario)
    dot = "." if engine.is_2_3 else ""
    assert answers[:6] == [(Undecodable, f"Unknown Content-Transfer-Encoding{dot}")] * 6
    assert answers[6:] == [(Undecodable, "Invalid data in MIME part")] * 6
    assert after == (b"", PLAIN)


def test_names(engine: Engine) -> None:
    makes_del = _makes_del(engine.dovecot.version)

    def scenario(store: EngineStore) -> Any:
        wrong = [
            b"Nope",
            b"~root",
            b"a//b",
            b"*",
            b"I%",
            b"%",
            b"INBOX/",
            b"x" * 300,
            b"&",
            b'a"b\\c',
            b"\xff",
            b"..",
            b"a\t\nb",
        ]
        right = ["Entwürfe".encode(), b"50%", b"a & b", b"inbox", *([b"\x7f"] * makes_del)]
        return [read(store, 1, Request(b""), name) for name in wrong], [
            read(store, 1, Request(b""), name) for name in right
        ]

    wrong, right = engine.as_user("sdbox", scenario)
    kinds = [kind for kind, _ in wrong]
    refused = [kinds[1], kinds[2], kinds[11]]
    assert refused == [MailboxRefused] * 3
    assert wrong[1][1] == "Invalid mailbox name: Begins with '~'"
    others = [kind for index, kind in enumerate(kinds) if index not in (1, 2, 11)]
    assert set(others) <= {MailboxMissing, MailboxRefused}
    assert kinds[0] is kinds[3] is kinds[4] is kinds[5] is kinds[10] is MailboxMissing
    assert right == [(b"", PLAIN)] * (4 + makes_del)


def test_uidvalidity(engine: Engine) -> None:
    if engine.dovecot.version.dovecot == "0.0.0-37075+f28b5a92ec":
        pytest.skip("imap of this commit dies of a wrong one; it was mended in 2.4.5")
    with engine.dovecot.imap("maildir") as client:
        uidvalidity, _ = client.append("50%", PLAIN)

    def scenario(store: EngineStore) -> Any:
        return [read(store, 1, Request(b""), b"50%", number) for number in (uidvalidity, uidvalidity + 1)]

    right, wrong = engine.as_user("maildir", scenario)
    assert right == (b"", PLAIN)
    assert wrong[0] is MailboxMissing


def test_the_key_is_the_one_of_the_moment(engine: Engine) -> None:
    rump = f"imap://mdbox@{HOST}/INBOX/;UID=1;URLAUTH=authuser"

    def genurlauth() -> bytes:
        with engine.dovecot.imap("mdbox") as client:
            client.resetkey("INBOX")
            return client.genurlauth(rump)[0]

    def scenario(store: EngineStore) -> Any:
        tokens = []
        for _ in range(2):
            # Another process resets the key while this engine runs.
            signed = ask()
            key = key_of(store)
            assert key is not None
            tokens.append(signed == rump.encode() + b":internal:" + mint(key, rump.encode()).hex().encode())
        return tokens

    ours, theirs = socket.socketpair()

    def ask() -> bytes:
        ours.sendall(b"?")
        return ours.recv(4096)

    answering = os.fork()
    if answering == 0:
        ours.close()
        while theirs.recv(1):
            theirs.sendall(genurlauth())
        os._exit(0)
    theirs.close()
    try:
        assert engine.as_user("mdbox", scenario) == [True, True]
    finally:
        ours.close()
        os.waitpid(answering, 0)


def test_no_key_no_mail(engine: Engine) -> None:
    with engine.dovecot.imap("mdbox") as client:
        assert client.command(b"CREATE unsigned").ok

    assert engine.as_user("mdbox", lambda store: key_of(store, b"unsigned")) is None


def test_memory_stays_flat(engine: Engine) -> None:
    with engine.dovecot.imap("sdbox") as client:
        _, uid = client.append("a &- b", PLAIN + b"x" * 998 + b"\r\n" + (b"y" * 998 + b"\r\n") * (BIG // 1000))

    def scenario(store: EngineStore) -> Any:
        content = wait(open_mailbox(store, b"a & b").fetch(uid, Request(b"")))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        largest = total = 0

        async def measure() -> None:
            nonlocal largest, total
            async for chunk in content.chunks:
                largest = max(largest, len(chunk))
                total += len(chunk)

        wait(measure())
        return content.size, total, largest, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    size, total, largest, kilobytes = engine.as_user("sdbox", scenario)
    assert size == total > BIG
    assert largest <= 256 * 1024
    assert kilobytes < 8 * 1024


def test_an_abandoned_mail_does_not_spoil_the_next(engine: Engine) -> None:
    def scenario(store: EngineStore) -> Any:
        chunks = wait(open_mailbox(store, b"INBOX").fetch(2, Request(b""))).chunks
        before = read(store, 1, Request(b""))
        begun = wait(open_mailbox(store, b"a & b").fetch(1, Request(b""))).chunks
        wait(first_chunk(begun))
        del begun, chunks
        return before, read(store, 1, Request(b""))

    assert engine.as_user("sdbox", scenario) == ((b"", PLAIN), (b"", PLAIN))


def test_two_engines_share_one_configuration(engine: Engine) -> None:
    """2.4's configuration is one open file with one offset."""

    def scenario(begin: Begin) -> Any:
        stores = [begin(b"maildir") for _ in range(5)]
        for store in stores:
            store.start()
        answers = [read(store, 1, Request(b"")) for store in stores]
        for store in stores:
            store.close()
        return answers

    assert engine.in_child("maildir", scenario) == [(b"", PLAIN)] * 5


@pytest.mark.parametrize("user", FORMATS)
def test_an_engine_needs_no_right_that_the_user_lacks(engine: Engine, user: str) -> None:
    """auth-userdb answers nobody but root: an engine asks it as root, or is told everything and asks nobody."""
    start = engine.start()
    bob = User(
        os.fsencode(engine.dovecot.inside / "home" / user),
        start.settings.merged(_overrides(engine, user)),
        user.encode(),
        FORMATS[user],
        FORMATS[user],
    )

    def scenario(begin: Begin) -> Any:
        store = begin(b"")
        answer = read(store, 1, Request(b""))
        store.close()
        return answer

    def asking_as_the_user(begin: Begin) -> Any:
        with pytest.raises(StoreFailure):
            read(begin(user.encode()), 1, Request(b""))

    auth = engine.dovecot.folder / "run" / "auth-userdb"
    mode = auth.stat().st_mode
    auth.chmod(0o600)
    try:
        engine.in_child(user, asking_as_the_user)
        assert engine.in_child(user, scenario, start.asking(user.encode())) == (b"", PLAIN)
        told = start.told(bob)
        assert b"-u" not in told.arguments

        def told_as_the_user(begin: Begin) -> Any:
            logged: list[str] = []
            return scenario(lambda name, settings=None: EngineStore(user.encode(), told, logged.append, LOOP))

        assert engine.in_child(user, told_as_the_user) == (b"", PLAIN)
    finally:
        auth.chmod(mode)


def _meanwhile(
    engine: Engine,
    user: str,
    steps: list[Callable[[], None]],
    mailbox: bytes,
    look: Callable[[EngineStore], list[Any]] | None = None,
) -> list[Any]:
    """What a session sees after each of the steps that others take, in a mailbox of one mail: UIDs 1 to 3."""
    ours, theirs = socket.socketpair()

    def read_three(store: EngineStore) -> list[Any]:
        return [read(store, uid, Request(b""), mailbox) for uid in (1, 2, 3)]

    def scenario(store: EngineStore) -> Any:
        answers = look(store) if look else [read(store, 1, Request(b""), mailbox)]
        for _ in steps:
            ours.sendall(b"?")
            said = ours.recv(4096).decode()
            assert said == "!", said
            answers += (look or read_three)(store)
        return answers

    with engine.dovecot.imap(user) as client:
        assert client.command(b"CREATE " + mailbox).ok
        client.append(mailbox.decode(), PLAIN)
        client.genurlauth(f"imap://{user}@{HOST}/{mailbox.decode()}/;UID=1;URLAUTH=authuser")
    answering = os.fork()
    if answering == 0:
        ours.close()
        try:
            for step in steps:
                if not theirs.recv(1):
                    break
                try:
                    step()
                    time.sleep(2 * LOOK_SECONDS)
                    theirs.sendall(b"!")
                except Exception as error:
                    theirs.sendall(repr(error).encode())
        finally:
            os._exit(0)
    theirs.close()
    try:
        return list(engine.as_user(user, scenario))
    finally:
        ours.close()
        os.waitpid(answering, 0)


ABSENT = (ReadFailed, "Message not found")
AS_STORED = (b"", PLAIN)
MIXED_AS_STORED = (b"", MIXED.replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("user", FORMATS)
def test_mail_that_comes_and_goes_within_a_session(engine: Engine, user: str) -> None:
    def another() -> None:
        with engine.dovecot.imap(user) as client:
            client.append("comings", MIXED)

    def another_and_one_less() -> None:
        with engine.dovecot.imap(user) as client:
            client.append("comings", PLAIN)
            client.command(b"SELECT comings")
            client.command(rb"UID STORE 1 +FLAGS (\Deleted)")
            client.command(b"EXPUNGE")

    answers = _meanwhile(engine, user, [another, another_and_one_less], b"comings")
    assert answers[0] == AS_STORED
    assert answers[1:4] == [AS_STORED, MIXED_AS_STORED, ABSENT]
    assert answers[4:] == [ABSENT, MIXED_AS_STORED, AS_STORED]


@pytest.mark.parametrize("user", FORMATS)
def test_a_mailbox_that_becomes_another_within_a_session(engine: Engine, user: str) -> None:
    """The engine has it open, and must not take it for the one of before."""

    def sign_again(client: ImapClient) -> None:
        client.append("changing", MIXED)
        client.genurlauth(f"imap://{user}@{HOST}/changing/;UID=1;URLAUTH=authuser")

    def replace() -> None:
        with engine.dovecot.imap(user) as client:
            client.command(b"RENAME changing changed")
            client.command(b"CREATE changing")
            sign_again(client)

    def delete_and_make() -> None:
        with engine.dovecot.imap(user) as client:
            client.command(b"DELETE changing")
            client.command(b"CREATE changing")
            sign_again(client)

    def delete() -> None:
        with engine.dovecot.imap(user) as client:
            client.command(b"DELETE changing")

    answers = _meanwhile(engine, user, [replace, delete_and_make, delete], b"changing")
    assert answers[0] == AS_STORED
    assert answers[1:7] == [MIXED_AS_STORED, ABSENT, ABSENT] * 2
    assert [kind for kind, _ in answers[7:]] == [MailboxMissing] * 3


@pytest.mark.parametrize("user", ["maildir", "mdbox"])
def test_imap_holds_its_own_url_against_the_key_of_the_moment(engine: Engine, user: str) -> None:
    """Without being asked for the key in between: what it serves of a URL that we signed proves the key."""
    mailbox, keys = b"proving", list[bytes]()

    def size_of(store: EngineStore, key: bytes) -> int | None:
        url = own_url(store.user, store.host, mailbox, 0, 1, Request(b""), key)
        events = wait(store.session().call(b'URLFETCH ("%s" BODY)' % url)).events
        return next(event.size for event in events if isinstance(event, UrlFetch))

    def look(store: EngineStore) -> list[Any]:
        seen = [size_of(store, key) for key in keys]
        key = key_of(store, mailbox)
        if key is not None:
            keys.append(key)
            seen.append(size_of(store, key))
        return [seen]

    def reset() -> None:
        with engine.dovecot.imap(user) as client:
            client.command(b"SELECT proving")
            assert client.resetkey("proving").ok

    def reset_and_sign() -> None:
        reset()
        with engine.dovecot.imap(user) as client:
            client.genurlauth(f"imap://{user}@{HOST}/proving/;UID=1;URLAUTH=authuser")

    answers = _meanwhile(engine, user, [reset_and_sign, reset_and_sign, reset], mailbox, look)
    assert answers == [[len(PLAIN)], [None, len(PLAIN)], [None, None, len(PLAIN)], [None, None, None]]


@pytest.mark.parametrize("user", FORMATS)
def test_what_others_do_in_a_row_of_urls(engine: Engine, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a URL is read from was opened for those before it, here for ever."""
    monkeypatch.setattr(dialogue, "LOOK_SECONDS", 60.0)
    mailbox, keys = b"row", list[bytes | None]()

    def look(store: EngineStore) -> list[Any]:
        """Whether the key is another, and mails 1 and 2; read as if each URL had been signed with the key."""
        ahead = Ahead(1, Request(b""), lambda key: True)
        key = wait(wait(store.open(mailbox, 0, ahead)).key())
        seen = [read(store, uid, Request(b""), mailbox) for uid in (1, 2)]
        for _ in range(2):
            read(store, 1 if seen[1] == ABSENT else 2, Request(b""), mailbox)
        assert store.session().has_open(b'"row"', 0)
        keys.append(key)
        return [(key not in keys[:-1], *seen)]

    def act(*commands: bytes, added: bytes = b"", signs: bool = False) -> Callable[[], None]:
        def step() -> None:
            if b"DELETE row" in commands:
                time.sleep(1.1)  # an index is known by the second in which it was made
            with engine.dovecot.imap(user) as client:
                for command in commands:
                    assert client.command(command).ok, command
                if added:
                    client.append("row", added)
                if signs:
                    client.genurlauth(f"imap://{user}@{HOST}/row/;UID=1;URLAUTH=authuser")

        return step

    steps = [
        act(b"SELECT row", b"RESETKEY row INTERNAL", signs=True),
        act(added=MIXED),
        act(b"SELECT row", rb"UID STORE 1 +FLAGS (\Deleted)", b"EXPUNGE"),
        act(b"DELETE row", b"CREATE row", added=MIXED, signs=True),
    ]
    answers = _meanwhile(engine, user, steps, mailbox, look)
    assert answers == [
        (True, AS_STORED, ABSENT),
        (True, AS_STORED, ABSENT),
        (False, AS_STORED, MIXED_AS_STORED),
        (False, ABSENT, MIXED_AS_STORED),
        (True, MIXED_AS_STORED, ABSENT),
    ]


def test_a_range_begins_anywhere(engine: Engine) -> None:
    """Dovecot 2.4 gives a CR too many for one that begins inside a line end of a mail stored with CRLF."""
    mail = b"Subject: x\r\n\r\none\r\n\r\n\r\n\r\rtwo\r\n" + b"\r\n" * 50 + b"three\r\n"
    with engine.dovecot.imap("maildir") as client:
        assert client.command(b"CREATE ranges").ok
        client.append("ranges", PLAIN)
        client.genurlauth(f"imap://maildir@{HOST}/ranges/;UID=1;URLAUTH=authuser")
        [stored] = (engine.dovecot.home("maildir") / "mail-maildir" / ".ranges").glob("*/*,S=*")
        stored.with_name("crlf").write_bytes(mail)
        os.chown(stored.with_name("crlf"), FORMATS["maildir"], FORMATS["maildir"])
        assert client.command(b"SELECT ranges").ok

    def scenario(store: EngineStore) -> Any:
        found = {}
        # from the end: once an imap has read all of it, 2.3's dies of some ranges behind a lone CR
        for offset in reversed(range(len(mail) + 2)):
            for size in (1, 2, 7, None):
                request = Request(b"", offset, size)
                found[offset, size] = read(store, 2, request, b"ranges")[1]
        return found

    found = engine.as_user("maildir", scenario)
    for (offset, size), data in found.items():
        expected = mail[offset:] if size is None else mail[offset : offset + size]
        assert data == expected, (offset, size)


def test_plugins_are_spared(engine: Engine) -> None:
    def scenario(store: EngineStore) -> Any:
        return read(store, 1, Request(b"")), read(store, 2, Request(b"1", binary=True, structure=True))[1]

    answer = engine.as_user("sdbox", scenario, mail_plugins="quota imap_quota last_login")
    assert answer == ((b"", PLAIN), "schön".encode())


def test_another_user_gets_nothing(engine: Engine) -> None:
    """auth answers whoever asks about himself, and nobody else."""

    def scenario(begin: Begin) -> Any:
        with pytest.raises(StoreFailure) as failure:
            open_mailbox(begin(b"sdbox"), b"INBOX")
        return failure.value.text

    assert "imap died" in engine.in_child("maildir", scenario)
