"""The same URLs to the stock worker and to `check`: the same ones pass, the others fail with the same words.

The URLs are made from a seed; URLAUTH_SEED and URLAUTH_COUNT choose others and more of them.
"""

from __future__ import annotations

import os
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.url.access import Accessor
from dovecot_urlauth.url.check import Policy, URLRefused, check
from dovecot_urlauth.url.rules import RULES_2_3, RULES_2_4
from dovecot_urlauth.url.token import verify
from dovecot_urlauth.wire.tabescape import escape
from testing import defects
from testing.instance import HOST, DovecotInstance
from testing.oracle import STOCK_WORKER, Answer, WorkerLost, WorkerSession, mailbox_keys
from testing.scene import MESSAGE
from testing.versions import ALL_STOCK, CHOSEN, Version
from tests.url.urls import URLMaker

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.dovecot,
    pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot's master runs as root"),
]

SEED = int(os.environ.get("URLAUTH_SEED", "1"))
COUNT = int(os.environ.get("URLAUTH_COUNT", "1500"))

TEXT = ("utf-8", "surrogateescape")
RULES = {"2.3": RULES_2_3, "2.4": RULES_2_4}

#: Who asks, and how often.
ACCESSORS = {
    Accessor(b"bob", b"imap"): 10,
    Accessor(b"Bob", b"submission"): 2,
    Accessor(None, b"imap"): 1,
    Accessor(b"submitsrv", b"imap", (b"submit+",)): 2,
    Accessor(b"streamsrv", b"imap", (b"stream",)): 2,
    Accessor(b"both", b"imap", (b"submit+", b"stream")): 1,
}


class Stock:
    """The stock worker of a Dovecot, asked for alice's mail on behalf of anyone."""

    def __init__(self, dovecot: DovecotInstance) -> None:
        self._dovecot = dovecot
        self._sessions: dict[Accessor, WorkerSession] = {}

    def answer(self, url: bytes, accessor: Accessor) -> Answer:
        """The stock answer; a worker that is gone after an earlier refusal is replaced."""
        for _ in range(2):
            session = self._sessions.get(accessor) or self._start(accessor)
            try:
                return session.fetch(escape(url))
            except (WorkerLost, ConnectionError):
                self._sessions.pop(accessor).__exit__()
        raise AssertionError(f"the stock worker is lost at {url!r}")

    def _start(self, accessor: Accessor) -> WorkerSession:
        session = self._sessions[accessor] = WorkerSession(self._dovecot, STOCK_WORKER)
        applications = [b"apps=" + b",".join(accessor.applications)] if accessor.applications else []
        session.access(accessor.user or b"", accessor.service, *applications)
        assert session.select(b"alice") == b"OK\n"
        return session

    def close(self) -> None:
        for session in self._sessions.values():
            session.__exit__()


@pytest.fixture(
    scope="module",
    params=CHOSEN,
    ids=lambda version: version.name,
)
def dovecot(request: pytest.FixtureRequest) -> Iterator[DovecotInstance]:
    """A Dovecot whose alice has one message and a mailbox key made by her own imap."""
    instance = DovecotInstance(request.param, ALL_STOCK).start()
    with instance.imap("alice") as imap:
        imap.append("INBOX", MESSAGE)
        imap.genurlauth(f"imap://alice@{HOST}/INBOX/;UID=1;URLAUTH=authuser")
    yield instance
    instance.stop()


@pytest.fixture
def stock(dovecot: DovecotInstance) -> Iterator[Stock]:
    worker = Stock(dovecot)
    yield worker
    worker.close()


def differs(answer: Answer, url: bytes, accessor: Accessor, version: Version, key: bytes) -> str:
    """How the stock answer differs from what `check` and `verify` say of the URL; empty if it does not."""
    policy = Policy(HOST, 143, b"alice")
    try:
        parsed = check(
            url,
            accessor,
            policy,
            RULES[version.language],
            int(time.time()),
            lambda user: user.lower() == b"alice",
        )
    except URLRefused as refused:
        reason = f'error=Failed to fetch URLAUTH "{url.decode(*TEXT)}": {refused.text}'.encode(*TEXT)
        expected = (b"NO",) if accessor.user is None else (b"NO", escape(reason))
        # it compares neither X of `user+X` nor the whole name of an application before 2.4.3
        lax = "anyone-is-the-user" in defects.of(version, ALL_STOCK) and refused.text.startswith("No '")
        return "" if answer.words == expected or lax else f"refused with {expected}"
    if parsed.host != HOST.encode():
        return "served" if answer.ok else ""  # stock compares case in a host's name
    if verify(parsed, key):
        is_the_message = parsed.mailbox == b"INBOX" and parsed.uid == 1 and not parsed.uidvalidity
        return "not served" if is_the_message and not parsed.section and not answer.ok else ""
    return "served" if answer.ok else ""


def test_same_urls_pass_and_the_same_words_refuse(dovecot: DovecotInstance, stock: Stock) -> None:
    random = Random(SEED)
    key = mailbox_keys(dovecot.home("alice"))[0]
    maker = URLMaker(random, key)
    for _ in range(COUNT):
        url = maker.make()
        accessor = random.choices(list(ACCESSORS), list(ACCESSORS.values()))[0]
        answer = stock.answer(url, accessor)
        assert differs(answer, url, accessor, dovecot.version, key) == "", f"{url!r} for {accessor}: {answer}"
