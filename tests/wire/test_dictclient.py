"""The dict protocol: what the worker says, and every answer that dict may give, whole and in pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.dictclient import LINE_LIMIT, DictClient, LookupFailed, NoValue, State, Value
from dovecot_urlauth.wire.lines import ProtocolError
from dovecot_urlauth.wire.tabescape import escape, join
from tests.wire.feeding import outcome, same_in_pieces

KEY = b"priv/0b8f/vendor/vendor.dovecot/imap-urlauth"


def _asking() -> tuple[Callable[..., Any], Callable[..., Any]]:
    client = DictClient(3, b"attributes", b"bob")
    client.lookup(KEY)
    return client.receive_data, client.next_event


@pytest.mark.parametrize(
    ("major", "said"),
    [
        (2, b"H2\t2\t0\tb\x01tb\ta\x01tt\nL" + KEY + b"\n"),
        (3, b"H3\t2\t0\t\ta\x01tt\nL" + KEY + b"\tb\x01tb\n"),
        (4, b"H4\t0\t0\t\ta\x01tt\nL" + KEY + b"\tb\x01tb\n"),
    ],
)
def test_what_we_say(major: int, said: bytes) -> None:
    client = DictClient(major, b"a\tt", b"b\tb")
    client.lookup(KEY)
    assert client.data_to_send() == said
    assert client.data_to_send() == b""


ANSWERS = [
    (b"O93acf8\n", Value(b"93acf8")),
    (b"O\n", Value(b"")),
    (b"Oa\x01tb\t1\t2\t3\t4\n", Value(b"a\tb")),
    (b"Mone\x01ttwo\n", Value(b"one")),
    (b"Mo\x011tne\x01ttwo\t1\t2\n", Value(b"o\tne")),
    (b"M\n", Value(b"")),
    (b"N\n", NoValue()),
    (b"N\t1\t2\t3\t4\n", NoValue()),
    (b"F\n", LookupFailed(b"")),
    (b"Fno\x01tway\n", LookupFailed(b"no\tway")),
]


@pytest.mark.parametrize(("line", "event"), ANSWERS)
def test_answers(line: bytes, event: object) -> None:
    assert same_in_pieces(_asking, line) == ([event], None)
    assert same_in_pieces(_asking, b"*7\n+7\t" + line) == ([event], None)


INVALID = [
    (b"\n", "Invalid lookup reply: "),
    (b"X1\n", "Invalid lookup reply: X1"),
    (b"+1\tO2\n", "Invalid lookup reply: +1?O2"),
    (b"*\n", "Received invalid async-id line: *"),
    (b"*0\n", "Received invalid async-id line: *0"),
    (b"*4294967296\n", "Received invalid async-id line: *4294967296"),
    (b"*1\nO2\n", "Received reply without an async-id: O2"),
    (b"*1\n*2\n", "Received reply without an async-id: *2"),
    (b"*1\n+2\tO3\n", "Received reply for nonexistent async-id: +2?O3"),
    (b"*1\n+x\tO3\n", "Received invalid async-id line: +x?O3"),
    (b"*1\n+1\n", "Invalid lookup reply: +1"),
]


@pytest.mark.parametrize(("data", "text"), INVALID)
def test_invalid(data: bytes, text: str) -> None:
    events, error = same_in_pieces(_asking, data)
    assert events == []
    assert error is not None
    assert error.texts == (text,)


def test_nobody_has_asked() -> None:
    events, error = same_in_pieces(_asking, b"O1\nO2\n")
    assert events == [Value(b"1")]
    assert error is not None
    assert error.texts == ("Received reply without pending commands: O2",)


def test_one_question_after_the_other() -> None:
    client = DictClient(4, b"attributes", b"bob")
    states = [client.state]
    client.lookup(KEY)
    states.append(client.state)
    with pytest.raises(ValueError, match="no answer"):
        client.lookup(KEY)
    client.receive_data(b"*1\n")
    assert client.next_event() is None
    states.append(client.state)
    client.receive_data(b"+1\tN\n")
    assert client.next_event() == NoValue()
    states.append(client.state)
    assert states == [State.IDLE, State.ASKED, State.NUMBERED, State.IDLE]
    client.lookup(KEY)
    client.receive_data(b"*2\n+2\tOx\n")
    assert client.next_event() == Value(b"x")


def test_line_limit() -> None:
    line = b"O" + b"x" * (LINE_LIMIT - 2) + b"\n"
    assert outcome(*_asking(), [line]) == ([Value(line[1:-1])], None)
    _, error = outcome(*_asking(), [b"x" + line])
    assert error is not None
    assert error.texts == ("dict sent us more than 1048576 bytes in a line",)


@given(st.lists(st.binary(), min_size=1, max_size=5), st.integers(0, 0xFFFFFFFF))
def test_any_values(values: list[bytes], number: int) -> None:
    line = b"O" + escape(values[0]) if len(values) == 1 else b"M" + escape(join(*values))
    numbered = b"*%d\n+%d\t" % (number, number) if number else b""
    assert same_in_pieces(_asking, numbered + line + b"\n") == ([Value(values[0])], None)


@given(st.binary() | st.lists(st.sampled_from([b"*1", b"+1", b"O", b"M", b"\n", b"\t", b"\x01"])).map(b"".join))
def test_garbage(data: bytes) -> None:
    _, error = same_in_pieces(_asking, data)
    assert error is None or isinstance(error, ProtocolError)
