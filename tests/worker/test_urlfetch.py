"""URL commands against a store made for the test: what the client is told, and what the log is."""

from __future__ import annotations

import binascii
import os
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.message.errors import Undecodable
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, ReadFailed, StoreFailure, Unsupported
from dovecot_urlauth.store.store import Ahead, Delivery
from dovecot_urlauth.url.rules import RULES_2_3, RULES_2_4
from dovecot_urlauth.url.token import mint
from dovecot_urlauth.wire.authmaster import UserReply
from dovecot_urlauth.wire.control import Access
from dovecot_urlauth.wire.fetch import UrlCommand
from dovecot_urlauth.worker import urlfetch
from dovecot_urlauth.worker.target import OpenedTarget
from dovecot_urlauth.worker.urlfetch import REFUSAL_TIME, UrlFetcher, without_token
from dovecot_urlauth.worker.userdb import LookupFailed
from tests.clock import SteppingLoop
from tests.store.waiting import gather

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from dovecot_urlauth.message.fetch import Request
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.store import store as stores
    from dovecot_urlauth.url.imapurl import ImapURL
    from dovecot_urlauth.url.rules import URLRules
    from dovecot_urlauth.worker.userdb import Userdb

KEY = bytes(range(64))
SETTINGS = Settings({"imap_urlauth_host": "h"})
BOB = Access(b"bob", b"imap")
ANONYMOUS = Access(None, b"imap")


async def chunks_of(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


class Mailbox:
    def __init__(self, content: Delivery | Exception | None = None, key: bytes | None = KEY) -> None:
        self.content = content or Delivery(size=3, has_nuls=False, structure=None, chunks=chunks_of([b"ab", b"c"]))
        self._key = key
        self.closed = False
        self.requests: list[Request] = []

    async def key(self) -> bytes | None:
        return self._key

    async def fetch(self, uid: int, request: Request) -> Delivery:
        self.requests.append(request)
        if isinstance(self.content, Exception):
            raise self.content
        return self.content

    def close(self) -> None:
        self.closed = True


Found = Mailbox | Exception | None
"""The mailbox that the store has, how it fails to open it, or None for no store at all."""


class Store:
    def __init__(self, mailbox: Mailbox | Exception) -> None:
        self.mailbox = mailbox

    async def open(self, name: bytes, uidvalidity: int, ahead: Ahead | None = None) -> Mailbox:
        if isinstance(self.mailbox, Exception):
            raise self.mailbox
        return self.mailbox

    def close(self) -> None:
        pass


class Lines:
    """A log that keeps what it is told."""

    debugging = True

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.pipe = self

    def debug(self, text: str) -> None:
        self.lines.append(f"Debug: {text}")

    def error(self, text: str) -> None:
        self.lines.append(f"Error: {text}")


def signed(rest: str = ";URLAUTH=user+bob", key: bytes = KEY, section: str = "") -> bytes:
    rump = f"imap://alice@h/INBOX/;UID=1{section}{rest}".encode()
    return rump + b":internal:" + binascii.hexlify(mint(key, rump))


def ask(
    mailbox: Found,
    url: bytes | None = None,
    accessor: Access = BOB,
    rules: URLRules = RULES_2_3,
    userdb: Auth | None = None,
    **flags: bool,
) -> tuple[bytes, bytes, list[str]]:
    """The reply's line, its data, and the log."""
    log = Lines()
    store = None if mailbox is None else Store(mailbox)
    loop = SteppingLoop()
    target = OpenedTarget(b"alice", SETTINGS, cast("stores.Store | None", store), b"ALICE")
    fetcher = UrlFetcher(loop, target, accessor, rules, cast("Userdb", userdb), cast("Log", log))
    command = UrlCommand(url or signed(), **{"body": True, "binary": False, "structure": False, **flags})
    reply = loop.run(fetcher.fetch(command))
    data = b"" if reply.chunks is None else b"".join(loop.run(gather(reply.chunks)))
    fetcher.close()
    loop.close()
    return reply.line, data, log.lines


def content(
    size: int = 3, has_nuls: bool = False, structure: bytes | None = None, chunks: Iterable[bytes] = (b"abc",)
) -> Mailbox:
    return Mailbox(Delivery(size=size, has_nuls=has_nuls, structure=structure, chunks=chunks_of(chunks)))


def test_the_bytes_and_their_guard() -> None:
    assert ask(Mailbox())[:2] == (b"OK\t3\n", b"abc\n")


def test_what_is_whole_goes_out_in_one_piece() -> None:
    whole = Delivery(size=3, has_nuls=False, structure=None, chunks=chunks_of([b"abc"]), whole=b"abc")
    assert ask(Mailbox(whole))[:2] == (b"OK\t3\nabc\n", b"")


class Again:
    """A client that asks one thing after the other, at moments of its own."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, rules: URLRules = RULES_2_3, auth: Auth | None = None
    ) -> None:
        self.now = time.time()
        self.parsed: list[bytes] = []
        monkeypatch.setattr(urlfetch, "time", lambda: self.now)
        real = urlfetch.check

        def noted(url: bytes, *rest: Any) -> Any:
            self.parsed.append(url)
            return real(url, *rest)

        monkeypatch.setattr(urlfetch, "check", noted)
        self._loop = SteppingLoop()
        self._mailbox = Mailbox()
        target = OpenedTarget(b"alice", SETTINGS, cast("stores.Store", Store(self._mailbox)), b"ALICE")
        self._fetcher = UrlFetcher(
            self._loop, target, BOB, rules, cast("Userdb", auth), cast("Log", Lines()), refusal_time=0
        )

    def ask(self, url: bytes) -> bytes:
        return self.command(UrlCommand(url, body=True, binary=False, structure=False))

    def command(self, command: UrlCommand) -> bytes:
        return self._loop.run(self._fetcher.fetch(command)).line

    @property
    def requests(self) -> list[Request]:
        """What the store was asked for."""
        return self._mailbox.requests

    def reset_key(self) -> None:
        self._mailbox._key = bytes(64)

    def close(self) -> None:
        self._loop.close()


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> Iterator[Again]:
    client = Again(monkeypatch)
    yield client
    client.close()


def test_a_url_that_comes_again_is_read_once(again: Again) -> None:
    one, other = signed(), signed(section="/;SECTION=1")
    assert [again.ask(url) for url in (one, one, one, other, one)] == [b"OK\t3\n"] * 5
    assert again.parsed == [one, other, one]


def test_a_url_that_comes_again_may_have_expired(again: Again) -> None:
    url = signed(time.strftime(";EXPIRE=%Y-%m-%dT%H:%M:%SZ", time.gmtime(again.now + 60)) + ";URLAUTH=user+bob")
    assert [again.ask(url), again.ask(url)] == [b"OK\t3\n"] * 2
    again.now += 62
    assert b"URLAUTH has expired" in again.ask(url)


def test_a_url_that_comes_again_needs_the_key_of_now(again: Again) -> None:
    assert again.ask(signed()) == b"OK\t3\n"
    again.reset_key()
    assert again.ask(signed()) == b"NO\n"


def test_a_token_that_was_right_is_not_made_again(again: Again, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytes | None] = []
    real = urlfetch.verify

    def noted(url: ImapURL, key: bytes | None) -> bool:
        made.append(url.section)
        return real(url, key)

    monkeypatch.setattr(urlfetch, "verify", noted)
    one, other, wrong = signed(), signed(section="/;SECTION=1"), signed(key=bytes(64))
    assert [again.ask(url) for url in (one, one, wrong, wrong, other)] == [b"OK\t3\n"] * 2 + [b"NO\n"] * 2 + [
        b"OK\t3\n"
    ]
    assert made == [None, None, None, b"1"]


def test_what_is_asked_of_a_url_that_comes_again(again: Again) -> None:
    """Also where the client says it in the same words: the reader then gives the same command."""
    structure = UrlCommand(signed(), body=False, binary=False, structure=True)
    for command in (structure, structure, UrlCommand(signed(), body=True, binary=False, structure=False)):
        again.command(command)
    assert [(request.body, request.structure) for request in again.requests] == [
        (False, True),
        (False, True),
        (True, False),
    ]


def test_a_refused_url_is_refused_again(again: Again) -> None:
    carol = signed(";URLAUTH=user+carol")
    assert again.ask(carol) == again.ask(carol)
    assert b"No 'user+carol' access allowed" in again.ask(carol)
    assert again.parsed == [carol] * 3


def test_nuls_are_announced() -> None:
    assert ask(content(has_nuls=True), binary=True, body=False)[0] == b"OK\thasnuls\t3\n"


def test_structure_alone_has_no_data() -> None:
    line, data, _ = ask(content(0, structure=b'"text" "plain"', chunks=()), body=False, structure=True)
    assert (line, data) == (b'OK\tbpstruct="text" "plain"\t0\n', b"")


def test_too_large_for_memory_is_no() -> None:
    line, data, log = ask(Mailbox(MemoryError()))
    assert (line, data) == (b"NO\n", b"")
    assert log[-1].startswith("Error: Failed to read URLAUTH")
    assert log[-1].endswith("Out of memory")


def test_an_empty_result_is_no() -> None:
    """imap hangs its client on a literal of no bytes (BUGS B6)."""
    assert ask(content(0, chunks=()))[:2] == (b"NO\n", b"")


@pytest.mark.parametrize(
    "mailbox",
    [
        pytest.param(None, id="no such user"),
        pytest.param(MailboxMissing(), id="no such mailbox"),
        pytest.param(MailboxRefused("Character not allowed"), id="no mailbox can be called so"),
        pytest.param(Mailbox(key=None), id="no key"),
        pytest.param(Mailbox(key=bytes(64)), id="another key"),
    ],
)
@pytest.mark.parametrize("accessor", [BOB, ANONYMOUS], ids=["bob", "anonymous"])
def test_what_exists_is_not_told(mailbox: Found, accessor: Access) -> None:
    url = signed(";URLAUTH=anonymous")
    assert ask(mailbox, url, accessor)[:2] == (b"NO\n", b"")


@pytest.mark.parametrize(
    ("mailbox", "url", "why"),
    [
        (Mailbox(), signed(";URLAUTH=user+carol"), "No 'user+carol' access allowed for user bob"),
        (Mailbox(), signed(";EXPIRE=2001-01-01T00:00:00Z;URLAUTH=user+bob"), "URLAUTH has expired"),
    ],
)
def test_a_refusal_in_the_clients_own_words_is_explained(mailbox: Mailbox, url: bytes, why: str) -> None:
    line, data, _ = ask(mailbox, url)
    assert line.startswith(b'NO\terror=Failed to fetch URLAUTH "' + url + b'": ' + os.fsencode(why))
    assert data == b""


def test_but_not_to_the_anonymous() -> None:
    assert ask(Mailbox(), accessor=ANONYMOUS)[0] == b"NO\n"


@pytest.mark.parametrize(
    "failure", [ReadFailed("Message not found"), Undecodable("Unknown Content-Transfer-Encoding.")]
)
def test_what_cannot_be_read_is_said(failure: ReadFailed | Undecodable) -> None:
    url = signed()
    line, _, _ = ask(Mailbox(failure), url)
    assert line == b'NO\terror=Failed to read URLAUTH "' + url + b'": ' + failure.text.encode() + b"\n"


def test_a_broken_store_is_for_the_log_alone() -> None:
    line, _, log = ask(StoreFailure("disk on fire"))
    assert line == b"NO\n"
    assert [text for text in log if text.startswith("Error")] == [
        'Error: Failed to fetch URLAUTH "imap://alice@h/INBOX/;UID=1;URLAUTH=user+bob:internal:...": disk on fire'
    ]


def test_nothing_is_fetched_of_a_user_whom_nobody_has_authenticated() -> None:
    loop = SteppingLoop()
    store = cast("stores.Store", Store(Mailbox()))
    target = OpenedTarget(b"alice", SETTINGS, store, b"alice", is_anonymous=True)
    fetcher = UrlFetcher(loop, target, BOB, RULES_2_3, cast("Userdb", None), cast("Log", Lines()))
    reply = loop.run(fetcher.fetch(UrlCommand(signed(), body=True, binary=False, structure=False)))
    assert reply.line.endswith(b"Not permitted to fetch URLAUTH for user alice\n")
    loop.close()


def test_an_invalid_section_is_a_bare_no() -> None:
    assert ask(Mailbox(), signed(section="/;SECTION=MIME"))[0] == b"NO\n"


def test_the_mailbox_is_closed_at_the_end() -> None:
    mailbox = Mailbox()
    ask(mailbox)
    assert mailbox.closed


def test_the_last_url_s_mailbox_is_closed_before_the_next() -> None:
    """Of a reply with bytes, which are read between the two; one without closes its own at once."""
    mailbox, other = Mailbox(), Mailbox()
    loop = SteppingLoop()
    store = Store(mailbox)
    target = OpenedTarget(b"alice", SETTINGS, cast("stores.Store", store), b"ALICE")
    fetcher = UrlFetcher(loop, target, BOB, RULES_2_3, cast("Userdb", None), cast("Log", Lines()))
    loop.run(fetcher.fetch(UrlCommand(signed(), body=True, binary=False, structure=False)))
    assert not mailbox.closed
    store.mailbox = other
    loop.run(fetcher.fetch(UrlCommand(signed(), body=True, binary=False, structure=False)))
    assert mailbox.closed
    assert not other.closed
    fetcher.close()
    assert other.closed
    loop.close()


@pytest.mark.parametrize("accessor", [BOB, ANONYMOUS])
@pytest.mark.parametrize("mailbox", [Mailbox(), StoreFailure("x"), MailboxMissing(), Mailbox(ReadFailed("y"))])
def test_no_log_line_holds_a_token(mailbox: Mailbox | Exception, accessor: Access) -> None:
    url = signed(";URLAUTH=authuser")
    token = url.rpartition(b":")[2].decode()
    assert not [line for line in ask(mailbox, url, accessor)[2] if token in line]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (b"imap://h/x", "imap://h/x"),
        (b"imap://h/x;URLAUTH=anonymous", "imap://h/x;URLAUTH=anonymous"),
        (b"imap://h/x;URLAUTH=user+bob:internal:0123", "imap://h/x;URLAUTH=user+bob:internal:..."),
        (b"imap://h/x;urlauth=user+bob:internal:0123/y:z", "imap://h/x;urlauth=user+bob:internal:..."),
        (b"imap://h/x;URLAUTH=user+bob:0123", "imap://h/x;URLAUTH=user+bob:..."),
        (b"x:0123", "x:..."),
    ],
)
def test_whatever_stands_where_a_token_could_is_not_shown(url: bytes, shown: str) -> None:
    assert without_token(url) == shown


class Auth:
    """A userdb that gives one answer, or fails."""

    def __init__(self, answer: UserReply | Exception | None = None) -> None:
        self.answer = answer
        self.asked: list[bytes] = []

    async def ask(self, name: bytes, *, debug: bool) -> UserReply | None:
        self.asked.append(name)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def spelled(user: bytes) -> bytes:
    rump = b"imap://%s@h/INBOX/;UID=1;URLAUTH=user+bob" % user
    return rump + b":internal:" + binascii.hexlify(mint(KEY, rump))


def test_the_name_that_was_asked_for_needs_no_question() -> None:
    auth = Auth()
    assert ask(Mailbox(), spelled(b"ALICE"), rules=RULES_2_4, userdb=auth)[1] == b"abc\n"
    assert auth.asked == []


@pytest.mark.parametrize(
    ("answer", "is_served"),
    [
        (UserReply(1, b"alice", {}), True),
        (UserReply(1, b"carol", {}), False),
        (None, False),
        (LookupFailed("x"), False),
    ],
)
def test_another_spelling_is_the_userdbs_to_judge(answer: UserReply | Exception | None, is_served: bool) -> None:
    auth = Auth(answer)
    url = spelled(b"aLiCe")
    line, data, log = ask(Mailbox(), url, rules=RULES_2_4, userdb=auth)
    assert auth.asked == [b"aLiCe"]
    assert (data == b"abc\n") is is_served
    assert is_served or line.endswith(b"Not permitted to fetch URLAUTH for other user aLiCe\n")
    assert ("Error: URLAUTH userid lookup failed: x" in log) is isinstance(answer, Exception)


def test_a_spelling_is_judged_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    auth = Auth(UserReply(1, b"alice", {}))
    client = Again(monkeypatch, RULES_2_4, auth)
    url = spelled(b"aLiCe")
    assert [client.ask(url), client.ask(url)] == [b"OK\t3\n"] * 2
    auth.answer = UserReply(1, b"carol", {})
    assert client.ask(url).startswith(b"NO\terror=")
    client.close()


def test_a_name_that_no_mailbox_can_have_costs_a_tokens_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its time would tell who exists."""
    verified: list[bytes | None] = []
    monkeypatch.setattr(urlfetch, "verify", lambda url, key: verified.append(key))
    ask(MailboxRefused("Character not allowed"))
    ask(None)
    assert verified == [None, None]


def test_a_refusal_takes_as_long_whatever_there_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a mailbox takes 30 to 100 microseconds more than finding no user, which could be measured."""
    monkeypatch.setattr(urlfetch, "monotonic", time.monotonic)

    def seconds(mailbox: Found) -> float:
        began = time.monotonic()
        assert ask(mailbox, signed(key=bytes(64)))[0] == b"NO\n"
        return time.monotonic() - began

    assert (
        min(seconds(mailbox) for mailbox in (None, Mailbox(), MailboxMissing(), MailboxRefused())) >= REFUSAL_TIME
    )


@pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), MemoryError(), Unsupported("alias_for")])
def test_no_failure_of_a_store_ends_a_session(failure: Exception) -> None:
    line, _, log = ask(failure)
    assert line == b"NO\n"
    assert log[-1].startswith("Error: Failed to ")
