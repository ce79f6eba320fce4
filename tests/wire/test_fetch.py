from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.fetch import (
    LINE_LIMIT,
    LITERAL_END,
    NO_LINE,
    OK_LINE,
    CommandReader,
    EndCommand,
    State,
    UrlCommand,
    UserCommand,
    no_line,
    ok_line,
)
from dovecot_urlauth.wire.fetchreply import Accepted, Expect, Fetched, Refused, ReplyReader
from tests.wire.feeding import bytewise, outcome, same_in_pieces, summary


def _reader(state: State) -> Callable[..., Any]:
    def make() -> tuple[Callable[..., Any], Callable[..., Any]]:
        reader = CommandReader()
        if state is State.FETCH:
            reader.selected()
        return reader.receive_data, reader.next_event

    return make


def _bad(why: str) -> tuple[tuple[str, ...], str]:
    return (f"Client input error: {why}", "Session aborted: Unexpected input"), ""


ACCEPTED = [
    (State.SELECT, b"USER\talice\n", [UserCommand(b"alice")]),
    (State.SELECT, b"\n\r\nUSER\tal\x01tice\r\n", [UserCommand(b"al\tice")]),
    (State.SELECT, b"USER\t\n", [UserCommand(b"")]),
    (State.SELECT, b"USER\tno\nUSER\tyes\n", [UserCommand(b"no"), UserCommand(b"yes")]),
    (State.FETCH, b"URL\timap://x\n", [UrlCommand(b"imap://x", True, False, False)]),
    (State.FETCH, b"URL\tx\tbody\n", [UrlCommand(b"x", True, False, False)]),
    (State.FETCH, b"URL\tx\tBINARY\n", [UrlCommand(b"x", False, True, False)]),
    (State.FETCH, b"URL\tx\tbody\tbinary\n", [UrlCommand(b"x", False, True, False)]),
    (State.FETCH, b"URL\tx\tBpStruct\n", [UrlCommand(b"x", False, False, True)]),
    (State.FETCH, b"URL\tx\tbpstruct\tbinary\n", [UrlCommand(b"x", False, True, True)]),
    (State.FETCH, b"URL\tx\tbpstruct\tbody\n", [UrlCommand(b"x", True, False, True)]),
    (State.FETCH, b"URL\tx\tnewflag\t\n", [UrlCommand(b"x", True, False, False)]),
    (State.FETCH, b"URL\t\n", [UrlCommand(b"", True, False, False)]),
    (State.FETCH, b"URL\tx\nEND\n", [UrlCommand(b"x", True, False, False), EndCommand()]),
    (State.FETCH, b"END\nanything\n" + b"x" * LINE_LIMIT, [EndCommand()]),
]


@pytest.mark.parametrize(("state", "data", "commands"), ACCEPTED)
def test_accepted(state: State, data: bytes, commands: list[object]) -> None:
    assert same_in_pieces(_reader(state), data) == (commands, None)


REFUSED = [
    (State.SELECT, b"USER\n", "USER: Invalid number of parameters"),
    (State.SELECT, b"USER\ta\tb\n", "USER: Invalid number of parameters"),
    (State.SELECT, b"user\ta\n", "Unknown or inappropriate command: user"),
    (State.SELECT, b"URL\tx\n", "Unknown or inappropriate command: URL"),
    (State.SELECT, b"END\n", "Unknown or inappropriate command: END"),
    (State.SELECT, b"\tUSER\n", "Unknown or inappropriate command: "),
    (State.FETCH, b"USER\ta\n", "Unknown or inappropriate command: USER"),
    (State.FETCH, b"url\tx\n", "Unknown or inappropriate command: url"),
    (State.FETCH, b"URL\n", "URL: Missing URL parameter"),
    (State.FETCH, b"END\t\n", "END: Invalid number of parameters"),
    (State.FETCH, b"A\x01nB\n", "Unknown or inappropriate command: A?B"),
]


@pytest.mark.parametrize(("state", "data", "why"), REFUSED)
def test_refused(state: State, data: bytes, why: str) -> None:
    commands, error = same_in_pieces(_reader(state), data)
    assert commands == []
    assert summary(error) == _bad(why)


def test_line_limit() -> None:
    line = b"URL\t" + b"u" * (LINE_LIMIT - 5) + b"\n"
    commands, error = same_in_pieces(_reader(State.FETCH), line)
    assert (len(commands), error) == (1, None)
    commands, error = same_in_pieces(_reader(State.FETCH), b"URL\tx\nx" + line)
    assert len(commands) == 1
    assert summary(error) == (("Session aborted: Input line too long",), "")


def test_what_follows_end_is_the_next_worker_s() -> None:
    reader = CommandReader()
    reader.receive_data(b"USER\talice\nEND\nUSER\tcarol\n")
    assert reader.next_event() == UserCommand(b"alice")
    reader.selected()
    assert reader.next_event() == EndCommand()
    assert reader.next_event() is None
    assert reader.state is State.DONE
    assert reader.surplus() == b"USER\tcarol\n"


def test_pipelined_commands_are_judged_by_the_state_they_are_reached_in() -> None:
    reader = CommandReader()
    reader.receive_data(b"USER\talice\nURL\tx\n")
    reader.next_event()
    reader.selected()
    assert reader.next_event() == UrlCommand(b"x", True, False, False)


def test_the_same_command_again_is_the_same_object() -> None:
    reader = CommandReader()
    reader.selected()

    def read(line: bytes) -> object:
        reader.receive_data(line)
        return reader.next_event()

    first = read(b"URL\tx\n")
    assert read(b"URL\tx\n") is first
    assert read(b"URL\tx\tbinary\n") == UrlCommand(b"x", False, True, False)
    assert read(b"URL\tx\n") == first
    assert read(b"END\n") == EndCommand()
    assert read(b"URL\tx\n") is None


WORDS = st.sampled_from([b"USER", b"URL", b"END", b"\t", b"\n", b"x", b"body", b"\x01"])


@given(st.sampled_from([State.SELECT, State.FETCH]), st.lists(st.one_of(WORDS, st.binary(max_size=5))))
def test_any_bytes(state: State, pieces: list[bytes]) -> None:
    same_in_pieces(_reader(state), b"".join(pieces))


@pytest.mark.parametrize(
    ("line", "wire"),
    [
        (ok_line(37), b"OK\t37\n"),
        (ok_line(0), b"OK\t0\n"),
        (ok_line(5, has_nuls=True), b"OK\thasnuls\t5\n"),
        (ok_line(5, has_nuls=True, structure=b'"a"\t\r\n'), b'OK\thasnuls\tbpstruct="a"\x01t\x01r\x01n\t5\n'),
        (no_line(), b"NO\n"),
        (no_line(b"Failed\r\nto"), b"NO\terror=Failed\x01r\x01nto\n"),
        (no_line(b""), b"NO\terror=\n"),
    ],
)
def test_reply_lines(line: bytes, wire: bytes) -> None:
    assert line == wire


def _client(*commands: Expect) -> Callable[..., Any]:
    def make() -> tuple[Callable[..., Any], Callable[..., Any]]:
        reader = ReplyReader()
        for command in commands:
            reader.expect(command)
        return reader.receive_data, reader.next_event

    return make


MESSAGE = b"From: x@y\r\nSubject: hi\r\n\r\nbody line\r\n"
ANSWERS = [
    (Expect.VERSION, b"VERSION\timap-urlauth\t2\t5\n", Accepted(Expect.VERSION)),
    (Expect.AUTH, b"ok\n", Accepted(Expect.AUTH)),
    (Expect.USER, b"OK\n", Accepted(Expect.USER)),
    (Expect.USER, b"NO\n", Refused(Expect.USER, None)),
    (Expect.END, b"OK\n", Accepted(Expect.END)),
    (Expect.URL, b"NO\n", Refused(Expect.URL, None)),
    (Expect.URL, b"NO\terror=a\x01tb\n", Refused(Expect.URL, b"a\tb")),
    (Expect.URL, b"NO\tsomething\n", Refused(Expect.URL, None)),
    (Expect.URL, b"OK\t37\n" + MESSAGE + b"\n", Fetched(MESSAGE, False, None)),
    (Expect.URL, b"OK\t0\n", Fetched(b"", False, None)),
    (Expect.URL, b'OK\tHASNULS\tunknown\tbpstruct="a"\t1\n\0\n', Fetched(b"\0", True, b'"a"')),
]


@pytest.mark.parametrize(("command", "data", "reply"), ANSWERS)
def test_what_imap_accepts(command: Expect, data: bytes, reply: object) -> None:
    assert same_in_pieces(_client(command), data) == ([reply], None)


COMPLAINTS = [
    (Expect.VERSION, b"OK\n", "didn't reply with a valid VERSION line: OK"),
    (
        Expect.AUTH,
        b"VERSION\timap-urlauth\t2\t0\n",
        "Failed to authenticate to service: Got unexpected response: VERSION?imap-urlauth?2?0",
    ),
    (Expect.AUTH, b"FAILED\n", "Failed to authenticate to service: Got unexpected response: FAILED"),
    (Expect.USER, b"OK\tx\n", "Failed to select target user: Got unexpected response: OK?x"),
    (Expect.END, b"NO\n", "Failed to unselect target user: Got unexpected response: NO"),
    (Expect.URL, b"OK\n", "Unexpected URL response: OK"),
    (Expect.URL, b"ok\t0\n", "Unexpected URL response: ok?0"),
    (Expect.URL, b"no\n", "Unexpected URL response: no"),
    (Expect.URL, b"OK\tx\n", "Unexpected URL response: OK?x"),
    (Expect.URL, b"OK\tbpstruct=\t0\n", "Unexpected URL response: OK?bpstruct=?0"),
    (Expect.URL, b"\n", "Empty URL response: "),
    (Expect.URL, b"OK\t2\nabc", "no LF at end of literal (found 0x63)"),
    (Expect.URL, b"OK\t0\n\n", "Received input while no requests were pending: ?"),
]


@pytest.mark.parametrize(("command", "data", "text"), COMPLAINTS)
def test_what_imap_refuses(command: Expect, data: bytes, text: str) -> None:
    _, error = same_in_pieces(_client(command), data)
    assert summary(error) == ((text,), "")


@given(
    st.lists(st.tuples(st.binary(min_size=1), st.booleans(), st.none() | st.binary(min_size=1)), max_size=4),
)
def test_the_two_ends_agree(answers: list[tuple[bytes, bool, bytes | None]]) -> None:
    wire = b"".join(
        ok_line(len(data), has_nuls=nuls, structure=structure) + data + LITERAL_END
        for data, nuls, structure in answers
    )
    replies, error = same_in_pieces(_client(*[Expect.URL] * len(answers)), wire)
    assert error is None
    assert replies == [Fetched(*answer) for answer in answers]


ANSWER_WORDS = st.sampled_from([b"OK", b"NO", b"\t", b"\n", b"1", b"x", b"bpstruct=", b"error="])


@given(
    st.lists(st.sampled_from(list(Expect)), max_size=4),
    st.lists(st.one_of(ANSWER_WORDS, st.binary(max_size=4))).map(b"".join),
)
def test_any_answer(commands: list[Expect], data: bytes) -> None:
    """Unsolicited bytes are shown as they were read, so only the fact of the error is the same in pieces."""
    make = _client(*commands)
    feed, drain = make()
    whole = outcome(feed, drain, [data])
    feed, drain = make()
    in_pieces = outcome(feed, drain, bytewise(data))
    assert whole[0] == in_pieces[0]
    assert (whole[1] is None) == (in_pieces[1] is None)


def test_lines_without_fields() -> None:
    assert (OK_LINE, NO_LINE) == (b"OK\n", b"NO\n")
