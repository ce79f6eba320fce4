"""Sessions at another backend that are lost, and asked for once more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from dovecot_urlauth.message.errors import Undecodable
from dovecot_urlauth.message.request import Request
from dovecot_urlauth.service.connection import Connection
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.start.cpython import AF_UNIX, SOCK_STREAM, socketpair
from dovecot_urlauth.store.engine import dialogue
from dovecot_urlauth.store.engine.engine import EngineStore
from dovecot_urlauth.store.engine.imap_process import EngineGone
from dovecot_urlauth.store.engine.remote import RemoteImap
from dovecot_urlauth.store.errors import StoreFailure
from tests.store.waiting import LOOP, wait, whole

GREETING = b"* PREAUTH Logged in.\r\n"


class Session:
    """The backend's end of one session."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.say = connection.write

    async def hear(self, word: bytes) -> tuple[bytes, bytes]:
        """A command's tag, and the URL in it if it has one."""
        line = await self._connection.read_line(5)
        assert line is not None
        assert word in line, line
        return line.split()[0], line.split(b'"')[1] if b'"' in line else b""

    async def metadata(self) -> None:
        tag, _ = await self.hear(b"GETMETADATA")
        key = b"ab" * 64
        await self.say(b'* METADATA INBOX (/private/vendor/vendor.dovecot/imap-urlauth "%s")\r\n' % key)
        await self.say(tag + b" OK\r\n")

    async def urlfetch(self) -> None:
        tag, url = await self.hear(b"URLFETCH")
        await self.say(b"* URLFETCH %s (BODY {2}\r\nhi)\r\n%s OK\r\n" % (url, tag))

    async def ok(self, word: bytes, condition: bytes = b"OK") -> None:
        tag, _ = await self.hear(word)
        await self.say(b"%s %s\r\n" % (tag, condition))

    async def end(self) -> None:
        """The other side has closed."""
        assert not await self._connection.read_line(5)


Life = Callable[[Session], Awaitable[None]]


class Backend:
    """An ImapStart whose sessions live as they are told."""

    host = b"imap.test"

    def __init__(self, *lives: Life) -> None:
        self._lives = list(lives)
        self.started = 0

    def start(self, log: Callable[[str], None], loop: Loop) -> RemoteImap:
        ours, theirs = socketpair(AF_UNIX, SOCK_STREAM, 0)
        self.started += 1
        loop.spawn(self._live(self._lives.pop(0), Connection(loop, theirs)), "backend")
        return RemoteImap(loop, ours)

    async def _live(self, life: Life, connection: Connection) -> None:
        try:
            await life(Session(connection))
        finally:
            connection.close()


async def serves(session: Session) -> None:
    await session.say(GREETING)
    await session.metadata()
    await session.urlfetch()


async def fetches(session: Session) -> None:
    await session.say(GREETING)
    await session.urlfetch()


async def dies_at_the_key(session: Session) -> None:
    await session.say(GREETING)
    await session.hear(b"GETMETADATA")


async def dies_at_the_mail(session: Session) -> None:
    await session.say(GREETING)
    await session.metadata()
    await session.hear(b"URLFETCH")


async def says_bye_at_the_mail(session: Session) -> None:
    await session.say(GREETING)
    await session.metadata()
    await session.hear(b"URLFETCH")
    await session.say(b"* BYE Server shutting down.\r\n")
    await session.end()


async def dies_of_the_mail_alone(session: Session) -> None:
    await session.say(GREETING)
    await session.hear(b"URLFETCH")


async def refuses(session: Session) -> None:
    await session.say(b"* BYE backend a:143: connect failed\r\n")


async def knows_why(session: Session) -> None:
    await session.say(GREETING)
    await session.ok(b"EXAMINE")
    await session.ok(b"UID FETCH", b"NO [UNKNOWN-CTE] Bad.")


async def knows_nothing(session: Session) -> None:
    await session.say(GREETING)
    await session.ok(b"EXAMINE")
    await session.ok(b"UID FETCH")
    await session.urlfetch()


def fetch(backend: Backend, request: Request | None = None) -> bytes:
    async def fetching() -> bytes:
        store = EngineStore(b"alice", backend, lambda text: None, LOOP)
        try:
            mailbox = await store.open(b"INBOX", 0)
            return await whole(await mailbox.fetch(1, request or Request(b"")))
        finally:
            store.close()

    return wait(fetching())


@pytest.mark.parametrize(
    "lives",
    [
        (serves,),
        (dies_at_the_key, serves),
        (dies_at_the_mail, fetches),
        (says_bye_at_the_mail, fetches),
        (dies_at_the_key, dies_at_the_mail, fetches),
    ],
    ids=lambda lives: "+".join(life.__name__ for life in lives),
)
def test_a_lost_session_is_made_again(lives: tuple[Life, ...]) -> None:
    backend = Backend(*lives)
    assert fetch(backend) == b"hi"
    assert backend.started == len(lives)


@pytest.mark.parametrize(
    ("lives", "said"),
    [
        ((dies_at_the_key, dies_at_the_key), "connection to the backend was lost"),
        ((dies_at_the_mail, dies_of_the_mail_alone), "connection to the backend was lost"),
        ((dies_at_the_mail, refuses), "imap: backend a:143: connect failed"),
        ((refuses,), "imap: backend a:143: connect failed"),
    ],
)
def test_it_is_made_again_once(lives: tuple[Life, ...], said: str) -> None:
    backend = Backend(*lives, serves)
    with pytest.raises(StoreFailure) as failure:
        fetch(backend)
    assert failure.value.text == said
    assert backend.started == len(lives)


def test_a_session_that_is_lost_while_it_looks_again() -> None:
    """Its successor has nothing open, and need not look."""

    async def dies_looking(session: Session) -> None:
        await serves(session)
        await session.hear(b"EXAMINE")

    async def fetching() -> None:
        store = EngineStore(b"alice", backend, lambda text: None, LOOP)
        for _ in range(2):
            mailbox = await store.open(b"INBOX", 0)
            assert await whole(await mailbox.fetch(1, Request(b""))) == b"hi"
        store.close()

    backend = Backend(dies_looking, serves)
    wait(fetching())
    assert backend.started == 2


def test_what_took_long_is_not_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "SOON_SECONDS", 0.0)
    backend = Backend(dies_at_the_mail, fetches)
    with pytest.raises(EngineGone):
        fetch(backend)
    assert backend.started == 1


def test_a_part_that_cannot_be_decoded_is_not_asked_for_again() -> None:
    with pytest.raises(Undecodable):
        fetch(Backend(dies_at_the_mail, knows_why), Request(b"1", binary=True))
    assert fetch(Backend(dies_at_the_mail, knows_nothing), Request(b"1", binary=True)) == b"hi"


async def closes(session: Session) -> None:
    """A dialer that has died."""


@pytest.mark.parametrize("first", [refuses, closes])
def test_a_login_that_failed_before_the_url_came_is_tried_again(first: Life) -> None:
    backend = Backend(first, serves)

    async def fetching() -> bytes:
        store = EngineStore(b"alice", backend, lambda text: None, LOOP)
        store.start()
        await LOOP.sleep(0.01)
        try:
            mailbox = await store.open(b"INBOX", 0)
            return await whole(await mailbox.fetch(1, Request(b"")))
        finally:
            store.close()

    assert wait(fetching()) == b"hi"
    assert backend.started == 2


def test_what_is_seen_of_a_login_before_it_is_read() -> None:
    async def life() -> None:
        ours, theirs = socketpair(AF_UNIX, SOCK_STREAM, 0)
        session, backend = RemoteImap(LOOP, ours), Connection(LOOP, theirs)
        assert not session.has_refused(), "it is under way"
        await backend.write(GREETING[:4])
        assert not session.has_refused()
        await backend.write(GREETING[4:])
        assert not session.has_refused()
        assert await session.read(5) == GREETING
        backend.close()
        assert not session.has_refused(), "it was let in"
        session.close()
        for said in (b"", b"* BYE backend a:143\r\n"):
            ours, theirs = socketpair(AF_UNIX, SOCK_STREAM, 0)
            session, backend = RemoteImap(LOOP, ours), Connection(LOOP, theirs)
            await backend.write(said)
            backend.close()
            assert session.has_refused()
            session.close()
            assert session.has_refused()

    wait(life())


def test_a_connection_that_is_reset_has_refused() -> None:
    async def life() -> None:
        ours, theirs = socketpair(AF_UNIX, SOCK_STREAM, 0)
        session = RemoteImap(LOOP, ours)
        session.send(b"u1 NOOP\r\n")
        theirs.close()  # with what it has not read
        assert session.has_refused()
        session.kill()

    wait(life())
