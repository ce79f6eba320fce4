"""Asking auth: many at once, when it is slow, gone, restarted, or speaks something else."""

from __future__ import annotations

import _socket
import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from dovecot_urlauth.dialect.versions import STATS_2_3_18, STATS_2_4
from dovecot_urlauth.service.connection import Connection
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.service.stats import SILENT, Stats
from dovecot_urlauth.worker import userdb as userdb_module
from dovecot_urlauth.worker.userdb import LookupFailed, Userdb
from tests.telling import Told
from tests.transcript import Recorder, Transcript

HELLO = r"auth-userdb< VERSION\t1\t4" + "\n" + r"auth-userdb< SPID\t7"
CONNECT = r"""
auth-userdb !connect
auth-userdb> VERSION\t1\t4
"""


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Plays a transcript in which ``!name`` asks about that name, and ``name: ...`` is what came of it."""

    def played(text: str, *, bytewise: bool = False, stats: Stats = SILENT) -> None:
        transcript: Transcript
        userdb: Userdb

        def asking(name: str) -> Callable[[], object]:
            async def ask() -> None:
                recorder = Recorder(transcript, name)
                try:
                    reply = await userdb.ask(name.encode(), debug=False)
                except LookupFailed as failed:
                    recorder.show(f"failed: {failed}")
                else:
                    recorder.show("unknown" if reply is None else reply.name.decode())

            return lambda: transcript.loop.spawn(ask(), name)

        async def ask_passdb() -> None:
            recorder = Recorder(transcript, "passdb")
            try:
                recorder.show(str(await userdb.ask_passdb(b"alice")))
            except LookupFailed as failed:
                recorder.show(f"failed: {failed}")

        actions: dict[str, Callable[[], object]] = {
            **{name: asking(name) for name in ("alice", "carol", "x" * 2000)},
            "passdb": lambda: transcript.loop.spawn(ask_passdb(), "passdb"),
            "close": lambda: userdb.close(),
        }
        transcript = Transcript(text, actions=actions, bytewise=bytewise)
        monkeypatch.setattr(userdb_module, "connect", transcript.connect)
        dialect: Any = SimpleNamespace(userdb_minor=4, userdb_parameter=b"protocol=imap")
        userdb = Userdb(transcript.loop, dialect, b"/run/dovecot/auth-userdb", stats)

        async def nothing() -> None:
            """The userdb has no life of its own."""

        transcript.play(nothing())

    return played


def asked(number: int, name: str) -> str:
    return rf"auth-userdb> USER\t{number}\t{name}\tprotocol=imap" + "\n"


def answered(number: int, name: str) -> str:
    return rf"auth-userdb< USER\t{number}\t{name}\tuid=5000" + "\n"


@pytest.mark.parametrize("bytewise", [False, True])
def test_many_may_ask_at_once(play: Callable[..., None], bytewise: bool) -> None:
    """And who is answered first need not have asked first."""
    text = "!alice" + CONNECT + asked(1, "alice") + HELLO + "\n!carol\n" + asked(2, "carol")
    text += answered(2, "carol") + "carol: carol\n..100s\n" + answered(1, "alice") + "alice: alice\n"
    play(text + "auth-userdb< USER\\t9\\tnobody\\tuid=1\n", bytewise=bytewise)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (r"NOTFOUND\t1", "unknown"),
        (r"FAIL\t1", "failed: Internal error occurred. Refer to server log for more information."),
        (r"FAIL\t1\treason=no database", "failed: no database"),
        ("USER\\t1", "failed: Auth server sent invalid USER reply: USER?1"),
    ],
)
def test_answers(play: Callable[..., None], answer: str, outcome: str) -> None:
    closed = "auth-userdb !closed" if "invalid" in outcome else ""
    text = f"auth-userdb< {answer}\nalice: {outcome}\n{closed}"
    play("!alice" + CONNECT + asked(1, "alice") + HELLO + "\n" + text)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (r"PASS\t1\tproxy\thost=b2", "{b'proxy': b'', b'host': b'b2'}"),
        (r"NOTFOUND\t1", "None"),
        (r"FAIL\t1\treason=no database", "failed: no database"),
    ],
)
def test_what_the_passdb_says(play: Callable[..., None], answer: str, outcome: str) -> None:
    text = f"auth-userdb> PASS\\t1\\talice\\tprotocol=imap\n{HELLO}\nauth-userdb< {answer}\npassdb: {outcome}"
    play(f"!passdb{CONNECT}{text}")


def test_a_name_that_auth_does_not_take(play: Callable[..., None]) -> None:
    name = "x" * 2000
    play(f"!{name}{CONNECT}{name}: unknown")


def test_auth_is_silent(play: Callable[..., None]) -> None:
    text = "..154s\n!carol\n" + asked(2, "carol") + "..1s\n"
    text += (
        "alice: failed: Auth server request timed out after 155.000 secs\n" + answered(2, "carol") + "carol: carol"
    )
    play("!alice" + CONNECT + asked(1, "alice") + HELLO + "\n" + text)


@pytest.mark.parametrize("loss", ["!close", "!lost ECONNRESET"])
def test_auth_is_restarted(play: Callable[..., None], loss: str) -> None:
    text = f"auth-userdb {loss}\nauth-userdb !closed" + CONNECT + asked(2, "alice") + HELLO + "\n"
    play("!alice" + CONNECT + asked(1, "alice") + text + answered(2, "alice") + "alice: alice")


def test_and_once_more(play: Callable[..., None]) -> None:
    text = "auth-userdb !close\nauth-userdb !closed"
    play(
        "!alice"
        + CONNECT
        + asked(1, "alice")
        + text
        + CONNECT
        + asked(2, "alice")
        + text
        + "\nalice: failed: Disconnected unexpectedly"
    )


def test_it_went_between_two_questions(play: Callable[..., None]) -> None:
    text = "!alice" + CONNECT + asked(1, "alice") + HELLO + "\n" + answered(1, "alice") + "alice: alice\n"
    text += "auth-userdb !close\nauth-userdb !closed\n!carol" + CONNECT + asked(2, "carol") + HELLO + "\n"
    play(text + answered(2, "carol") + "carol: carol")


def test_nobody_answers_there(play: Callable[..., None]) -> None:
    play(
        "auth-userdb !refuse EACCES\n!alice\n"
        "alice: failed: connect(/run/dovecot/auth-userdb) failed: Permission denied"
    )


def test_auth_takes_not_even_our_version(play: Callable[..., None]) -> None:
    text = "auth-userdb !stuck\n!alice\nauth-userdb !connect\nauth-userdb !closed\n"
    play(text + "alice: failed: write(/run/dovecot/auth-userdb) failed")


def test_a_full_backlog_is_waited_for(play: Callable[..., None]) -> None:
    """By both that ask, once."""
    play(
        "auth-userdb !full\n!alice\n!carol\n..1s\n"
        "alice: failed: connect(/run/dovecot/auth-userdb) failed: Resource temporarily unavailable\n"
        "carol: failed: connect(/run/dovecot/auth-userdb) failed: Resource temporarily unavailable"
    )


def test_what_root_has_connected_is_closed(play: Callable[..., None]) -> None:
    text = "!alice" + CONNECT + asked(1, "alice") + HELLO + "\n" + answered(1, "alice") + "alice: alice\n"
    play(text + "!close\nauth-userdb !closed\n!carol" + CONNECT + asked(2, "carol"))


def test_auth_that_does_not_take_the_question(play: Callable[..., None]) -> None:
    """It is asked again over another connection, once."""
    text = "!alice" + CONNECT + asked(1, "alice") + HELLO + "\n" + answered(1, "alice") + "alice: alice\n"
    text += "auth-userdb !stuck\n!carol\nauth-userdb !closed" + CONNECT + asked(3, "carol")
    play(text + HELLO + "\n" + answered(3, "carol") + "carol: carol")


def test_the_end_of_an_old_connection_is_not_the_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who received over the old one hears of its end when the next question is on its way already."""
    loop = Loop()
    ends: list[socket.socket] = []

    async def connect(*others: Any, **options: Any) -> Connection:
        ours, theirs = socket.socketpair()
        theirs.sendall(b"VERSION\t1\t4\nSPID\t7\n")
        ends.append(theirs)
        return Connection(loop, _socket.socket(fileno=ours.detach()))

    monkeypatch.setattr(userdb_module, "connect", connect)
    dialect: Any = SimpleNamespace(userdb_minor=4, userdb_parameter=b"protocol=imap")
    userdb = Userdb(loop, dialect, b"")

    async def ask() -> bytes | None:
        await userdb.connect()
        await loop.turn()
        ends[0].close()  # and the question finds that out before the receiver does
        asking = loop.spawn(userdb.ask(b"alice", debug=False))
        for _ in range(10):
            await loop.turn()
        ends[1].sendall(b"USER\t2\talice\n")
        reply = await asking.join(10)
        return None if reply is None else reply.name

    assert loop.run(ask()) == b"alice"
    assert len(ends) == 2
    ends[1].close()
    userdb.close()
    loop.close()


@pytest.mark.parametrize(
    ("answer", "outcome", "error"),
    [
        (r"auth-userdb< USER\t1\talice\tuid=1", "alice", {}),
        (r"auth-userdb< NOTFOUND\t1", "unknown", {"error": "Lookup failed"}),
        (r"auth-userdb< FAIL\t1\treason=no database", "failed: no database", {"error": "no database"}),
        ("..155s", "failed: Auth server request timed out after 155.000 secs", {"error": "Timed out"}),
    ],
)
@pytest.mark.parametrize("names", [STATS_2_3_18, STATS_2_4])
def test_stats_hear_of_a_lookup(
    play: Callable[..., None], answer: str, outcome: str, error: dict[str, str], names: Any
) -> None:
    told = Told(names)
    play(
        "!alice"
        + CONNECT
        + asked(1, "alice")
        + HELLO
        + f"\n{answer}\nalice: {outcome}\n!close\nauth-userdb !closed",
        stats=told,
    )
    key, _, service = names.service_field
    assert told.fields("auth_client_userdb_lookup_started") == [{key: service, "user": "alice"}]
    assert told.fields("auth_client_userdb_lookup_finished") == [{key: service, "user": "alice"} | error]
    assert told.events[0][0] == "server_connection_connected"
    assert told.events[-1][0] == "server_connection_disconnected"
