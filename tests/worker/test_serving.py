"""The process of a target user, played from transcripts: clients come and go, the parent does, it ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_4_1
from dovecot_urlauth.url.rules import RULES_2_4
from dovecot_urlauth.worker import client as client_module
from dovecot_urlauth.worker import serving
from dovecot_urlauth.worker.client import Client, SessionOver
from dovecot_urlauth.worker.parent.protocol import ACCEPTED, CLIENT_GONE, NOT_SHARED, parse_gone
from dovecot_urlauth.worker.parentlink import ClientUnusable
from dovecot_urlauth.worker.selecting import Selection
from dovecot_urlauth.worker.serving import TargetUserProcess
from dovecot_urlauth.worker.target import OpenedTarget, TargetUser
from tests.clock import SteppingLoop
from tests.transcript import Recorder, Transcript
from tests.worker import fakes

WORDS = {ACCEPTED: "ACCEPTED", NOT_SHARED: "NOT_SHARED"}
DIALECT = SimpleNamespace(load_url_rules=lambda: RULES_2_4, userdb_minor=4, user_log_prefix="")
CONFIG: Any = SimpleNamespace(dialect=DIALECT, userdb_path=b"auth-userdb", audit=False, settings=Settings({}))


class Link:
    """The parent, as an action of the test has it."""

    def __init__(self, transcript: Transcript, has_copies: bool) -> None:
        self._loop = transcript.loop
        self._has_copies = has_copies
        self._recorder = Recorder(transcript, "parent")
        self._given: deque[Client | Exception | None] = deque()
        self._waiting = self._loop.promise()

    def give(self, what: Client | Exception | None) -> None:
        self._given.append(what)
        self._waiting.set(None)

    async def client(self) -> Client | None:
        while not self._given:
            await self._waiting.wait()
            self._waiting = self._loop.promise()
        given = self._given.popleft()
        if isinstance(given, Exception):
            raise given
        return given

    def say(self, word: bytes) -> None:
        is_gone = word[:1] == CLIENT_GONE
        self._recorder.show(f"CLIENT_GONE {parse_gone(word)[0]}" if is_gone else WORDS[word])

    def rest(self, kept_as: str) -> bool:
        if self._has_copies:
            self._recorder.show("RESTING")
        return self._has_copies

    def close(self) -> None:
        self._recorder.show("!closed")


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Plays a transcript against the process that serves ``client`` first."""
    monkeypatch.setattr(client_module.os, "getpid", lambda: 7)

    def played(
        text: str,
        *,
        has_link: bool = True,
        has_copies: bool = False,
        served: OpenedTarget | None = None,
        engines: int = 0,
    ) -> None:
        actions: dict[str, Callable[[], object]] = {
            "second": lambda: link.give(fakes.client(transcript, "second", "control2")),
            "unusable": lambda: link.give(ClientUnusable("Too many open files")),
            "no-memory": lambda: link.give(OSError(12, "Cannot allocate memory")),
            "crash": lambda: link.give(KeyError("x")),
            "parent-gone": lambda: link.give(None),
            "master-gone": lambda: transcript.cancel(SessionOver()),
        }
        transcript = Transcript(text + "\nended\n", values={"url": fakes.signed()}, actions=actions)
        transcript.loop.on_crash = lambda name, error: transcript.log.error(f"{name}: {error!r}")
        link = Link(transcript, has_copies)

        async def open_target(user: Any, config: Any, loop: Any, log: Any, engine_started: Any) -> OpenedTarget:
            for _ in range(engines):
                engine_started()
            return served or fakes.target()

        monkeypatch.setattr(serving, "open_target", open_target)
        process = TargetUserProcess(
            transcript.loop,
            CONFIG,
            transcript.log,
            Recorder(transcript, "title").show,
            link if has_link else None,  # type: ignore[arg-type]
        )
        selection = Selection(fakes.client(transcript), TargetUser(b"alice", b"alice", None, b"key"))
        transcript.play(process.serve(selection))

    return played


BEGIN = """
title: [bob->alice]
"""
CLIENT_LEAVES = """
client !close
control> DISCONNECTED
client !closed
control !closed
"""
SECOND_COMES = """
!second
parent: ACCEPTED
title: [2 connections->alice]
"""
SECOND_IS_SERVED = r"""
second< URL\t{url}
second> OK\t3
second> abc
"""
SECOND_ENDS = """
second< END
control2> FINISHED
second !closed
control2 !closed
"""
TO_THE_END = """
title: [idling->alice]
parent: CLIENT_GONE 0
"""
SECOND_IS_THE_LAST = TO_THE_END.replace("0", "1")
PARENT_GOES = """
!parent-gone
parent: !closed
"""


def test_clients_come_and_go(play: Callable[..., None]) -> None:
    play(
        BEGIN
        + SECOND_COMES
        + CLIENT_LEAVES
        + "title: [bob->alice]\nparent: CLIENT_GONE 0\n"
        + SECOND_IS_SERVED
        + SECOND_ENDS
        + SECOND_IS_THE_LAST
        + PARENT_GOES
    )


def test_it_waits_for_the_next(play: Callable[..., None]) -> None:
    play(
        BEGIN
        + CLIENT_LEAVES
        + TO_THE_END
        + "..100s\n!second\nparent: ACCEPTED\ntitle: [bob->alice]\n"
        + SECOND_ENDS
        + SECOND_IS_THE_LAST
        + PARENT_GOES
    )


def test_the_parents_end_is_no_clients_end(play: Callable[..., None]) -> None:
    play(
        BEGIN
        + SECOND_COMES
        + PARENT_GOES
        + "..100s\n"
        + SECOND_IS_SERVED
        + CLIENT_LEAVES
        + "title: [bob->alice]\n"
        + SECOND_IS_SERVED
        + SECOND_ENDS
        + "title: [idling->alice]\n"
    )


@pytest.mark.parametrize(
    "trouble",
    [
        """
        !unusable
        log: Error: Client lost on its way from the parent: Too many open files
        parent: ACCEPTED
        parent: CLIENT_GONE 1
        """,
        """
        !no-memory
        log: Error: recvmsg(parent) failed: Cannot allocate memory
        parent: NOT_SHARED
        ..1s
        !no-memory
        log: Error: recvmsg(parent) failed: Cannot allocate memory
        ..1s
        """,
    ],
    ids=["a client that cannot be received", "no memory for the next message"],
)
def test_trouble_with_the_parent_costs_nobody_else(play: Callable[..., None], trouble: str) -> None:
    play(
        BEGIN
        + trouble
        + SECOND_COMES
        + SECOND_IS_SERVED
        + SECOND_ENDS
        + f"title: [bob->alice]\nparent: CLIENT_GONE {1 + trouble.count('ACCEPTED')}\n"
        + CLIENT_LEAVES
        + TO_THE_END
        + PARENT_GOES
    )


def test_not_even_trouble_that_nobody_foresaw(play: Callable[..., None]) -> None:
    play(
        BEGIN
        + "!crash\nparent: !closed\nlog: Error: link: KeyError('x')\n"
        + r"C: URL\t{url}"
        + "\n"
        + r"S: OK\t3"
        + "\nS: abc\n"
        + CLIENT_LEAVES
        + "title: [idling->alice]\n"
    )


def test_one_clients_silence_is_its_own(play: Callable[..., None]) -> None:
    """And so is a peer that does not read."""
    play(
        BEGIN
        + SECOND_COMES
        + "client !stuck\n"
        + r"C: URL\t{url}"
        + "\n..599s\n"
        + SECOND_IS_SERVED
        + "..1s\n"
        + "log: imap-urlauth[7](bob->alice): Error: Session closed for inactivity in reading our output\n"
        + "client !closed\ncontrol !closed\ntitle: [bob->alice]\nparent: CLIENT_GONE 0\n"
        + SECOND_IS_SERVED
        + SECOND_ENDS
        + SECOND_IS_THE_LAST
        + PARENT_GOES
    )


def test_master_is_gone_for_long(play: Callable[..., None]) -> None:
    play(
        BEGIN
        + SECOND_COMES
        + "!master-gone\nclient !closed\ncontrol !closed\ntitle: [bob->alice]\nparent: CLIENT_GONE 0\n"
        + "second !closed\ncontrol2 !closed\n"
        + SECOND_IS_THE_LAST
    )


RESTS = """
parent: RESTING
parent: !closed
"""


def test_who_asks_for_nothing_is_left_to_the_parent(play: Callable[..., None]) -> None:
    play(
        BEGIN
        + SECOND_COMES
        + r"C: URL\t{url}"
        + "\n"
        + r"S: OK\t3"
        + "\nS: abc\n..0.6s\n"
        + SECOND_IS_SERVED
        + "..0.9s\n..1s\n"
        + RESTS
        + "client !closed\ncontrol !closed\ntitle: [bob->alice]\n"
        + "second !closed\ncontrol2 !closed\ntitle: [idling->alice]\n",
        has_copies=True,
    )


@pytest.mark.parametrize("rests", [True, False])
def test_stats_do_not_hear_of_an_end_that_is_none(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch, rests: bool
) -> None:
    ended: list[Client] = []
    monkeypatch.setattr(Client, "ended", lambda client: ended.append(client))
    end = "..1s\n" + RESTS + "client !closed\ncontrol !closed\ntitle: [idling->alice]\n"
    play(BEGIN + (end if rests else CLIENT_LEAVES + TO_THE_END + PARENT_GOES), has_copies=rests)
    assert len(ended) == (0 if rests else 1)


@pytest.mark.parametrize(
    "asks", ["client< URL\\", "client !stuck\nclient< URL\\t{url}"], ids=["half a command", "takes nothing"]
)
def test_who_is_not_done_is_not(play: Callable[..., None], asks: str) -> None:
    play(
        BEGIN
        + asks
        + "\n..500s\n"
        + SECOND_COMES
        + SECOND_IS_SERVED
        + "..5s\n!master-gone\nclient !closed\ncontrol !closed\ntitle: [bob->alice]\nparent: CLIENT_GONE 0\n"
        + "second !closed\ncontrol2 !closed\n"
        + SECOND_IS_THE_LAST,
        has_copies=True,
    )


def test_a_process_without_clients_is_the_parents_to_end(play: Callable[..., None]) -> None:
    play(BEGIN + CLIENT_LEAVES + TO_THE_END + "..100s\n" + PARENT_GOES, has_copies=True)


@pytest.mark.parametrize("engines", [1, 3])
def test_an_engine_is_said_once(play: Callable[..., None], engines: int) -> None:
    play("parent: NOT_SHARED\n" + BEGIN + CLIENT_LEAVES + TO_THE_END + PARENT_GOES, engines=engines)


def test_without_a_store_nobody_else_comes(play: Callable[..., None]) -> None:
    served = OpenedTarget(b"alice", fakes.SETTINGS, None, b"alice")
    text = BEGIN + r"C: URL\t{url}" + "\n..1s\nS: NO\n" + CLIENT_LEAVES + TO_THE_END + PARENT_GOES
    play("parent: NOT_SHARED\n" + text, served=served)


def test_the_only_client_of_a_process(play: Callable[..., None]) -> None:
    play(BEGIN + CLIENT_LEAVES + "title: [idling->alice]", has_link=False)


def test_what_is_only_made_ready_by_keeps_nothing_from_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise MemoryError

    monkeypatch.setattr("dovecot_urlauth.worker.rehearsal.format_of", broken)
    config: Any = SimpleNamespace(dialect=DOVECOT_2_4_1, userdb_path=b"")
    unused: Any = None
    somebody: Any = object()
    process = TargetUserProcess(SteppingLoop(), config, unused, unused, None)
    process._account = somebody
    assert process._format() == ""
