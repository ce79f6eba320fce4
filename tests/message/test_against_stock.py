"""Generated messages to the stock worker and to `fetch`: the same structures, the same bytes, the same refusals.

The messages are made from a seed; URLAUTH_SEED and URLAUTH_COUNT choose others and more of them.
"""

from __future__ import annotations

import os
import re
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from dovecot_urlauth.dialect.choose import choose_dialect
from dovecot_urlauth.message.fetch import MessageError, Request, fetch
from dovecot_urlauth.message.rules import MessageRules
from dovecot_urlauth.message.source import BytesSource
from dovecot_urlauth.wire.tabescape import escape, unescape
from testing.instance import HOST, DovecotInstance
from testing.oracle import STOCK_WORKER, Answer, WorkerLost, WorkerSession, mailbox_keys, sign
from testing.versions import ALL_STOCK, CHOSEN
from tests.message.messages import MessageMaker

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.dovecot,
    pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot's master runs as root"),
]

SEED = int(os.environ.get("URLAUTH_SEED", "1"))
COUNT = int(os.environ.get("URLAUTH_COUNT", "250"))

SECTIONS = [
    "", "", "", "TEXT", "HEADER", "1", "2", "3", "1.1", "1.2", "2.1", "1.1.1", "0", "1.MIME", "2.MIME", "1.1.MIME",
    "1.HEADER", "2.HEADER", "1.TEXT", "2.TEXT", "HEADER.FIELDS (subject from)", "HEADER.FIELDS.NOT (to)",
    "1.HEADER.FIELDS (subject)",
]  # fmt: skip
WISHES = [("body",), ("binary",), ("bpstruct",), ("binary", "bpstruct"), ("body", "bpstruct")]
NUMBER = re.compile(rb" [0-9]+(?=[ )]|\Z)")
FAILED = b'error=Failed to read URLAUTH "'


class Mailbox:
    """Alice's INBOX with the messages in it, read by the stock worker for bob."""

    def __init__(self, dovecot: DovecotInstance, messages: list[bytes]) -> None:
        self._dovecot = dovecot
        self._session: WorkerSession | None = None
        with dovecot.imap("alice") as imap:
            imap.command(b"SELECT INBOX")
            for number, message in enumerate(messages):
                dovecot.deliver("alice", message, f"{number}")
            assert imap.command(b"SELECT INBOX").ok
            imap.genurlauth(f"imap://alice@{HOST}/INBOX/;UID=1;URLAUTH=authuser")
        self._uids = dict(self._read_uids())
        self._key = mailbox_keys(dovecot.home("alice"))[0]

    def _read_uids(self) -> Iterator[tuple[int, int]]:
        """Number and UID of each message: an APPEND would not take their NULs."""
        _, *lines = (self._dovecot.home("alice") / "Maildir/dovecot-uidlist").read_text().splitlines()
        for line in lines:
            uid, _, name = line.partition(" ")
            yield int(name.rpartition(":")[2].split(".")[0]), int(uid)

    def fetch(self, number: int, request: Request, wishes: tuple[str, ...]) -> Answer | None:
        """The stock answer; None if it announces more than it sends.

        A worker that ended with an earlier refusal is replaced.
        """
        flags = [wish.encode() for wish in wishes]
        for _ in range(2):
            session = self._session or self._start()
            try:
                return session.fetch(escape(self._url(number, request)), *flags)
            except TimeoutError:
                self.close()
                return None
            except (WorkerLost, ConnectionError):
                self.close()
        raise AssertionError(f"the stock worker is lost at {request}")

    def _url(self, number: int, request: Request) -> bytes:
        url = f"imap://alice@{HOST}/INBOX/;UID={self._uids[number]}"
        if request.section:
            url += f"/;SECTION={quote(request.section)}"
        if request.partial_offset or request.partial_size:
            url += f"/;PARTIAL={request.partial_offset}.{request.partial_size}"
        return sign(f"{url};URLAUTH=user+bob".encode(), self._key)

    def _start(self) -> WorkerSession:
        self._session = WorkerSession(self._dovecot, STOCK_WORKER, timeout=3)
        self._session.access(b"bob")
        assert self._session.select(b"alice") == b"OK\n"
        return self._session

    def close(self) -> None:
        if self._session:
            self._session.__exit__()
        self._session = None


@pytest.fixture(params=CHOSEN, ids=lambda version: version.name)
def dovecot(request: pytest.FixtureRequest) -> Iterator[DovecotInstance]:
    instance = DovecotInstance(request.param, ALL_STOCK).start()
    yield instance
    instance.stop()


def ours(message: bytes, request: Request, rules: MessageRules) -> tuple[bytes, ...]:
    """Our answer: OK, structure and bytes; or NO and the text."""
    try:
        content = fetch(BytesSource(message), request, rules)
    except MessageError as error:
        return b"NO", error.text.encode()
    return b"OK", content.structure or b"", b"".join(content.chunks)


def theirs(answer: Answer) -> tuple[bytes, ...]:
    """The stock answer in the same form."""
    if not answer.ok:
        text = unescape(answer.words[1])
        assert text.startswith(FAILED)
        return b"NO", text.partition(b'": ')[2]
    structures = [word[9:] for word in answer.words if word.startswith(b"bpstruct=")]
    return b"OK", unescape(structures[0]) if structures else b"", answer.content


def is_known(stock: tuple[bytes, ...], own: tuple[bytes, ...], request: Request) -> bool:
    """Differences on purpose."""
    if stock[0] == own[0] == b"NO":
        # an encoded text that is cut short is an internal error there
        return stock[1].startswith(b"Internal error") and own[1] == b"Invalid data in MIME part"
    if (
        request.binary
        and request.structure
        and stock[::2] == own[::2]
        and NUMBER.sub(b"", stock[1]) == NUMBER.sub(b"", own[1])
    ):
        # sizes there wrap below zero, and what is decoded has no lines
        return True
    if b"FIELDS" in request.section and b"\x80" in stock[2]:
        # what is in a name behind a NUL is lost in the cache of fields, and shown if that has not got the field
        return stock[:2] == own[:2]
    # a range that begins behind a CR gets that CR again, and a range of a header's last byte the wrong byte
    return bool(request.partial_offset) and stock[:2] == own[:2] and stock[2][:1] == b"\r" and own[2][:1] == b"\n"


def test_same_answers(dovecot: DovecotInstance) -> None:
    random = Random(SEED)
    maker = MessageMaker(random)
    messages = [message for message in (maker.make() for _ in range(COUNT)) if message]
    mailbox = Mailbox(dovecot, messages)
    rules = choose_dialect({"DOVECOT_VERSION": dovecot.version.dovecot})[0].load_message_rules()
    compared = 0
    try:
        for number, message in enumerate(messages):
            for _ in range(4):
                wishes = random.choice(WISHES)
                partial = random.choice([(0, None)] * 4 + [(0, 7), (5, 50), (10, 1)])
                flags = [wish in wishes for wish in ("body", "binary", "bpstruct")]
                request = Request(random.choice(SECTIONS).encode(), *partial, *flags)
                answer = mailbox.fetch(number, request, wishes)
                if answer is not None:
                    stock, own = theirs(answer), ours(message, request, rules)
                    assert stock == own or is_known(stock, own, request), f"{message!r} {request}"
                    compared += 1
    finally:
        mailbox.close()
    assert compared > 3 * COUNT
