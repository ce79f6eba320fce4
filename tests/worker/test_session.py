"""The story of one client, played from transcripts: every command, deadline, loss and failure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import pytest

from dovecot_urlauth.message.errors import Undecodable
from dovecot_urlauth.service.process import Terminated
from dovecot_urlauth.store.errors import ReadFailed, StoreFailure
from dovecot_urlauth.url.rules import RULES_2_4
from dovecot_urlauth.wire.fetch import UrlCommand
from dovecot_urlauth.worker import client as client_module
from dovecot_urlauth.worker.session import FAIR_SHARE, SMALL_REPLY, _answer_url, serve_client
from dovecot_urlauth.worker.target import OpenedTarget
from dovecot_urlauth.worker.urlfetch import UrlFetcher
from tests.clock import SteppingLoop
from tests.transcript import Transcript
from tests.worker import fakes

CONFIG = SimpleNamespace(dialect=SimpleNamespace(load_url_rules=lambda: RULES_2_4), audit=False)
PREFIX = "imap-urlauth[7](bob->alice): Error: "


@pytest.fixture(autouse=True)
def _pid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module.os, "getpid", lambda: 7)


def play(text: str, target: OpenedTarget | None = None, *, bytewise: bool = False, **values: object) -> Transcript:
    """Play a session from its first URL to its end; the two connections are closed by whoever began it."""
    transcript = Transcript(
        f"{text}\nended\n",
        values={"url": fakes.signed(), "error": PREFIX, **values},
        actions={"sigterm": lambda: transcript.cancel(Terminated())},
        bytewise=bytewise,
    )
    served = target or fakes.target()
    transcript.play(
        serve_client(
            transcript.loop,
            fakes.client(transcript),
            served,
            CONFIG,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            transcript.log,
        )
    )
    assert served.store is None or served.store.closed == 1  # type: ignore[attr-defined]
    return transcript


SESSIONS = {
    "urls, then END": r"""
        C: URL\t{url}
        S: OK\t3
        S: abc
        C: URL\t{url}\tbinary
        S: OK\t3
        S: abc
        C: END
        control> FINISHED
        """,
    "nothing but END": r"""
        C: END
        control> FINISHED
        """,
    "a refusal is an answer like others": r"""
        C: URL\timap://alice@h/INBOX
        S: NO\terror=Failed to fetch URLAUTH "imap://alice@h/INBOX": Invalid URL: Must be a full URLAUTH URL
        C: URL\t{url}
        S: OK\t3
        S: abc
        C: END
        control> FINISHED
        """,
    "ten minutes of silence": r"""
        ..599s
        C: URL\t{url}
        S: OK\t3
        S: abc
        ..600s
        """,
    "half a line restarts the clock, and is not enough": r"""
        ..500s
        C: URL\
        ..500s
        C: \tx\
        ..600s
        """,
    "a client that is gone": r"""
        client !close
        control> DISCONNECTED
        """,
    "one that broke off": r"""
        client !lost ECONNRESET
        control> DISCONNECTED
        """,
    "one that leaves before its answer": r"""
        client !stuck
        C: URL\t{url}
        client !close
        control> DISCONNECTED
        """,
    "one that does not read": r"""
        client !stuck
        C: URL\t{url}
        ..600s
        log: {error}Session closed for inactivity in reading our output
        """,
    "imap-urlauth is gone": "control !close",
    "its connection broke": "control !lost ECONNRESET",
    "it says something": r"""
        control< ACCESS\tbob\timap
        log: {error}Control session aborted: Unexpected input
        """,
    "SIGTERM": "!sigterm",
    "an unknown word": r"""
        C: NOOP
        log: {error}Client input error: Unknown or inappropriate command: NOOP
        log: {error}Session aborted: Unexpected input
        """,
    "USER once more": r"""
        C: USER\tcarol
        log: {error}Client input error: Unknown or inappropriate command: USER
        log: {error}Session aborted: Unexpected input
        """,
    "END with a parameter": r"""
        C: END\tx
        log: {error}Client input error: END: Invalid number of parameters
        log: {error}Session aborted: Unexpected input
        """,
}


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("name", SESSIONS)
def test_sessions(name: str, bytewise: bool) -> None:
    play(SESSIONS[name], bytewise=bytewise and "control< " not in SESSIONS[name])


def test_what_follows_end_is_not_touched() -> None:
    """It is the next worker's."""
    transcript = play("C: END\\nUSER\\tcarol\ncontrol> FINISHED")
    assert transcript.connections["client"]._input.popleft()[0] == b"USER\tcarol\n"


def test_a_line_without_end() -> None:
    play(
        "C: {line}\\\nlog: {error}Session aborted: Input line too long",
        line=b"URL\t" + b"x" * 65536,
    )


@pytest.mark.parametrize(
    ("failure", "answer", "line"),
    [
        (ReadFailed("Message not found"), 'NO\\terror=Failed to read URLAUTH "{url}": Message not found', ""),
        (Undecodable("bad"), 'NO\\terror=Failed to read URLAUTH "{url}": bad', ""),
        (StoreFailure("disk on fire"), "NO", 'Failed to fetch URLAUTH "{rump}": disk on fire'),
        (OSError(5, "Input/output error"), "NO", 'Failed to read URLAUTH "{rump}": read() failed: {failure}'),
        (MemoryError(), "NO", 'Failed to read URLAUTH "{rump}": Out of memory'),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_failure_before_anything_was_sent_is_no(failure: Exception, answer: str, line: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"ab"
        raise failure

    log = f"log: {{error}}{line}\n" if line else ""
    play(
        f"C: URL\\t{{url}}\nS: {answer}\n{log}C: END\ncontrol> FINISHED",
        fakes.target(3, chunks),
        rump=fakes.signed().rpartition(b":")[0].decode() + ":...",
        failure=failure,
    )


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (StoreFailure("disk on fire"), "disk on fire"),
        (ReadFailed("short"), "short"),
        (MemoryError(), "Out of memory"),
        (OSError(5, "Input/output error"), "read() failed: [Errno 5] Input/output error"),
    ],
)
def test_a_failure_in_the_middle_ends_the_session(failure: Exception, why: str) -> None:
    """The size is promised already, and half a literal must not be followed by anything."""

    def chunks() -> Iterator[bytes]:
        yield bytes(SMALL_REPLY)
        raise failure

    play(
        f"C: URL\\t{{url}}\nS: OK\\t{SMALL_REPLY * 2}\nS: {{zeros}}\\\n"
        f"log: {{error}}{why}\nlog: {{error}}Session aborted: Fatal failure while transferring URL",
        fakes.target(SMALL_REPLY * 2, chunks),
        zeros=bytes(SMALL_REPLY),
    )


def test_what_nobody_foresaw_ends_one_session() -> None:
    lines: list[str] = []

    def chunks() -> Iterable[bytes]:
        raise KeyError("x")

    transcript = Transcript("C: URL\\t{url}\nended", values={"url": fakes.signed()})
    log: SimpleNamespace = SimpleNamespace(
        pipe=SimpleNamespace(debugging=False),
        debug=lambda text: None,
        error=lines.append,
        with_prefix=lambda prefix: log,
    )
    client = fakes.client(transcript)
    transcript.play(serve_client(transcript.loop, client, fakes.target(3, chunks), CONFIG, None, log))  # type: ignore[arg-type]
    assert len(lines) == 1
    assert lines[0].startswith("Session aborted: Unexpected KeyError: 'x' at ")
    assert "test_session.py" in lines[0]


def test_who_reads_at_once_lets_the_others_have_their_turn() -> None:
    """Behind each share of one client's bytes every other task goes on once."""
    loop = SteppingLoop()
    share = bytes(FAIR_SHARE)
    seen: list[int] = []
    sent: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(4):
            sent.append(number)
            yield share

    class Eager:
        access = fakes.BOB

        async def write(self, data: bytes) -> None:
            """Takes everything at once."""

        def expect_much(self) -> None:
            """Nothing has to be widened."""

    async def other() -> None:
        while len(sent) < 4:
            seen.append(len(sent))
            await loop.turn()

    async def serve() -> None:
        loop.spawn(other())
        log = SimpleNamespace(debug=lambda text: None, pipe=SimpleNamespace(debugging=False))
        fetcher = UrlFetcher(loop, fakes.target(4 * FAIR_SHARE, chunks), fakes.BOB, RULES_2_4, None, log)  # type: ignore[arg-type]
        command = UrlCommand(fakes.signed(), body=True, binary=False, structure=False)
        await _answer_url(loop, Eager(), fetcher, command, log)  # type: ignore[arg-type]

    loop.run(serve())
    assert {1, 2, 3} <= set(seen)
