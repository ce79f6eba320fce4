"""The audit's lines, word for word."""

from __future__ import annotations

import pytest

from dovecot_urlauth.service.log import Log, LogPipe
from dovecot_urlauth.url.rules import RULES_2_4
from dovecot_urlauth.wire.control import Access
from dovecot_urlauth.wire.fetch import UrlCommand
from dovecot_urlauth.worker.audit import Audit
from dovecot_urlauth.worker.urlfetch import Reply
from tests.clock import SteppingLoop

URL = b"imap://alice@host/Sent/;UID=7/;SECTION=2;URLAUTH=user+bob:internal:01" + b"ab" * 20


class LinesLog(Log):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__("", LogPipe(to_master=False))
        self.lines: list[str] = []

    def info(self, text: str) -> None:
        self.lines.append(text)


def follow(
    reply: Reply | Exception, url: bytes = URL, *, user: bytes | None = b"bob", wanted: bool = True
) -> list[str]:
    loop, log = SteppingLoop(), LinesLog()
    access = Access(user, b"imap")
    audit = Audit(wanted, access, b"alice", RULES_2_4, log, loop.now)

    async def answer() -> Reply:
        await loop.sleep(0.25)
        if isinstance(reply, Exception):
            raise reply
        return reply

    loop.run(audit.follow(UrlCommand(url, True, False, False), answer()))
    return log.lines


def test_what_was_sent() -> None:
    assert follow(Reply(b"OK\t84\n", None, 84)) == [
        "URLAUTH: outcome=sent user=<bob> service=imap owner=<alice> mailbox=<Sent> uid=7 section=<2> bytes=84 "
        "seconds=0.250 reason=<>"
    ]


def test_what_was_refused_names_the_reason_that_the_client_is_not_told() -> None:
    [line] = follow(Reply(b"NO\n", refusal="URLAUTH verification failed"), user=None)
    assert line.startswith("URLAUTH: outcome=refused user=<anonymous> ")
    assert line.endswith(" bytes=0 seconds=0.250 reason=<URLAUTH verification failed>")


def test_what_broke_off_goes_on_its_way() -> None:
    log: list[str] = []
    with pytest.raises(ConnectionError):
        log = follow(ConnectionError())
    assert log == []


def test_an_aborted_answer_is_a_line() -> None:
    loop, log = SteppingLoop(), LinesLog()
    audit = Audit(True, Access(b"bob", b""), b"alice", RULES_2_4, log, loop.now)

    async def answer() -> Reply:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        loop.run(audit.follow(UrlCommand(URL, True, False, False), answer()))
    assert log.lines[0].startswith("URLAUTH: outcome=aborted user=<bob> service=- ")


def test_a_url_that_is_none() -> None:
    [line] = follow(Reply(b"NO\n", refusal="Invalid URL"), url=b"imap://%zz/secret:0123")
    assert "mailbox=<> uid=0 section=<> " in line


@pytest.mark.parametrize("mailbox", [b"a%3E%20uid=9%20x=%3C", b"a%25b"])
def test_no_name_can_forge_a_field(mailbox: bytes) -> None:
    [line] = follow(Reply(b"OK\t1\n", None, 1), url=URL.replace(b"Sent", mailbox))
    assert line.count("<") == line.count(">") == 5
    assert "%" in line


def test_no_token_is_ever_shown() -> None:
    for reply in (Reply(b"OK\t1\n", None, 1), Reply(b"NO\n", refusal="x")):
        assert "abab" not in follow(reply)[0]


def test_nothing_unless_it_is_wanted() -> None:
    assert follow(Reply(b"OK\t84\n", None, 84), wanted=False) == []
