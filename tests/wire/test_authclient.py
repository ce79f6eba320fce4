from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.authclient import (
    LINE_LIMIT,
    AuthClient,
    AuthFail,
    AuthOk,
    Cancelled,
    Ready,
    State,
)
from dovecot_urlauth.wire.readable import readable
from tests.wire.feeding import same_in_pieces

COOKIE = "957fa8fd44d2bcaa4e79fb08d01f0278"
READY = Ready(7255, bytes.fromhex(COOKIE))
HELLO_2_3 = f"VERSION\t1\t2\nMECH\tDOVECOT-TOKEN\nSPID\t7255\nCUID\t2\nCOOKIE\t{COOKIE}\nDONE\n".encode()
HELLO_2_4 = f"VERSION\t1\t4\nMECH\tDOVECOT-TOKEN\tprivate\nSPID\t7255\nCUID\t3\nCOOKIE\t{COOKIE}\nDONE\n".encode()
PARAMETERS = (b"protocol=imap-urlauth", b"final-resp-ok", b"secured")


def client(requests: int = 0) -> AuthClient:
    result = AuthClient(6221, 4, PARAMETERS)
    for _ in range(requests):
        result.request(b"session", b"resp")
    return result


def _client(requests: int = 0) -> Callable[..., Any]:
    def make() -> tuple[Callable[..., Any], Callable[..., Any]]:
        made = client(requests)
        return made.receive_data, made.next_event

    return make


def test_what_we_say() -> None:
    auth = client()
    assert auth.data_to_send() == b"VERSION\t1\t4\nCPID\t6221\n"
    assert auth.request(b"vs\tVV", b"aW1hcA==") == 1
    assert auth.data_to_send() == (
        b"AUTH\t1\tDOVECOT-TOKEN\tprotocol=imap-urlauth\tfinal-resp-ok\tsecured\tsession=vs\x01tVV\tresp=aW1hcA==\n"
    )
    assert auth.request(b"s", b"r") == 2
    assert auth.pending == 2
    auth.data_to_send()
    auth.cancel(2)
    assert auth.data_to_send() == b"CANCEL\t2\n"
    assert auth.pending == 1


@pytest.mark.parametrize("hello", [HELLO_2_3, HELLO_2_4])
def test_recorded_handshakes(hello: bytes) -> None:
    """2.3 does not say that the mechanism is private, over which the stock login panics."""
    assert same_in_pieces(_client(), hello) == ([READY], None)


TOLERATED = [
    HELLO_2_4.replace(b"CUID", b"NEWWORD"),
    HELLO_2_4.replace(b"CUID\t3\n", b"\n"),
    HELLO_2_4.replace(b"\t4\n", b"\t99\n"),
    HELLO_2_4.replace(b"MECH", b"MECH\tPLAIN\tplaintext\nMECH"),
    HELLO_2_4.replace(b"DOVECOT-TOKEN", b"dovecot-token"),
]


@pytest.mark.parametrize("hello", TOLERATED)
def test_tolerated_handshakes(hello: bytes) -> None:
    assert same_in_pieces(_client(), hello) == ([READY], None)


BROKEN = [
    (HELLO_2_4.replace(b"VERSION\t1", b"VERSION\t2"), "Auth server sent invalid version line: VERSION\t2\t4"),
    (b"SPID\t1\n", "Auth server sent invalid version line: SPID\t1"),
    (
        HELLO_2_4.replace(b"MECH\tDOVECOT-TOKEN\tprivate", b"MECH"),
        "BUG: Authentication server sent broken MECH line",
    ),
    (
        HELLO_2_4.replace(b"MECH\tDOVECOT-TOKEN\tprivate\n", b""),
        "BUG: Authentication server returned no mechanisms",
    ),
    (
        HELLO_2_4.replace(b"DOVECOT-TOKEN", b"PLAIN"),
        "Authentication server doesn't support mechanism DOVECOT-TOKEN",
    ),
    (HELLO_2_4.replace(b"7255", b"0"), "BUG: Authentication server sent invalid PID"),
    (HELLO_2_4.replace(b"7255", b"x"), "BUG: Authentication server sent invalid PID"),
    (HELLO_2_4.replace(b"SPID\t7255\n", b""), "BUG: Authentication server didn't send a PID"),
    (HELLO_2_4.replace(b"CUID\t3", b"CUID\tx"), "BUG: Authentication server sent broken CUID line"),
    (
        HELLO_2_4.replace(b"CUID", f"COOKIE\t{COOKIE}\nCUID".encode()),
        "BUG: Authentication server already sent cookie",
    ),
    (HELLO_2_4.replace(b"0278", b"02"), "BUG: Authentication server sent invalid cookie"),
    (HELLO_2_4.replace(b"0278", b"02zz"), "BUG: Authentication server sent invalid cookie"),
    (HELLO_2_4.replace(b"COOKIE", b"X"), "BUG: Authentication server didn't send a cookie"),
]


@pytest.mark.parametrize(("hello", "text"), BROKEN)
def test_broken_handshakes(hello: bytes, text: str) -> None:
    events, error = same_in_pieces(_client(), hello)
    assert events == []
    assert error is not None
    assert error.texts == (readable(text),)


def _fail(code: bytes = b"", reason: bytes = b"", user: bytes = b"", **fields: bytes) -> AuthFail:
    return AuthFail(1, user, code, reason, {name.encode(): value for name, value in fields.items()})


REPLIES = [
    (b"OK\t1\tuser=bob\n", AuthOk(1, b"bob", {b"user": b"bob"})),
    (b"OK\t1\tuser=bob\t\n", AuthOk(1, b"bob", {b"user": b"bob"})),
    (
        b"OK\t1\tuser=bob\t\toriginal_user=BOB\tanonymous\n",
        AuthOk(1, b"bob", {b"user": b"bob", b"original_user": b"BOB", b"anonymous": b""}),
    ),
    (b"OK\t1\tuser=b=\x01t\n", AuthOk(1, b"b=\t", {b"user": b"b=\t"})),
    (b"OK\t1\n", _fail()),
    (b"OK\t1\tuser=bob\tnologin\n", _fail(user=b"bob", nologin=b"")),
    (b"OK\t1\tuser=bob\tproxy\treason=no\n", _fail(user=b"bob", reason=b"no", proxy=b"")),
    (b"FAIL\t1\n", _fail()),
    (b"FAIL\t1\tuser=bob\tnodelay\tcode=temp_fail\n", _fail(user=b"bob", code=b"temp_fail", nodelay=b"")),
    (b"FAIL\t1\treason=go away\n", _fail(reason=b"go away")),
    (b"CONT\t1\taGk=\n", _fail()),
    (b"CONT\t1\tuser=bob\n", _fail()),
    (b"CANCELLED\t1\n", Cancelled(1)),
]


def _without_fields(event: object) -> object:
    if isinstance(event, AuthFail):
        return (event.id, event.user, event.code, event.reason)
    return event


@pytest.mark.parametrize(("line", "event"), REPLIES)
def test_replies(line: bytes, event: object) -> None:
    events, error = same_in_pieces(_client(1), HELLO_2_4 + line)
    assert error is None
    assert [_without_fields(event) for event in events] == [READY, _without_fields(event)]


def test_refusal_keeps_auths_fields() -> None:
    (_, event), _ = same_in_pieces(_client(1), HELLO_2_4 + b"FAIL\t1\tuser=bob\tnodelay\tcode=temp_fail\n")
    assert event.fields == {b"user": b"bob", b"nodelay": b"", b"code": b"temp_fail"}


BAD_REPLIES = [
    (b"NOPE\t1\n", "Auth server sent unknown response: NOPE"),
    (b"\n", "Auth server sent unknown response: "),
    (b"OK\n", "BUG: Authentication server sent broken OK line"),
    (b"FAIL\tx\n", "BUG: Authentication server sent broken FAIL line"),
    (b"OK\t0\tuser=bob\n", "BUG: Authentication server sent unknown id 0"),
    (b"OK\t2\tuser=bob\n", "BUG: Authentication server sent unknown id 2"),
]


@pytest.mark.parametrize(("line", "text"), BAD_REPLIES)
def test_bad_replies(line: bytes, text: str) -> None:
    events, error = same_in_pieces(_client(1), HELLO_2_4 + line)
    assert events == [READY]
    assert error is not None
    assert error.texts == (text,)


def test_a_reply_that_crosses_its_cancellation_is_skipped() -> None:
    auth = client(2)
    auth.receive_data(HELLO_2_4)
    assert auth.next_event() == READY
    assert auth.state is State.OPEN
    auth.cancel(1)
    auth.receive_data(b"OK\t1\tuser=bob\nCANCELLED\t1\nOK\t2\tuser=eve\nOK\t2\tuser=eve\n")
    assert auth.next_event() == Cancelled(1)
    assert auth.next_event() == AuthOk(2, b"eve", {b"user": b"eve"})
    assert auth.next_event() is None


def test_line_limit() -> None:
    line = b"X\t" + b"x" * (LINE_LIMIT - 3) + b"\n"
    assert same_in_pieces(_client(), b"VERSION\t1\t4\n" + line) == ([], None)
    _, error = same_in_pieces(_client(), b"VERSION\t1\t4\nx" + line)
    assert error is not None
    assert error.texts == ("BUG: Auth server sent us more than 16384 bytes of data",)


WORDS = [
    b"OK\t1\tuser=",
    b"FAIL\t1",
    b"CONT\t1",
    b"CANCELLED\t1",
    b"MECH\t",
    b"SPID\t",
    b"DONE",
    b"\n",
    b"\t",
    b"=",
]


@given(
    st.booleans(),
    st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=10)), max_size=12).map(b"".join),
)
def test_any_bytes(greeted: bool, data: bytes) -> None:
    same_in_pieces(_client(3), (HELLO_2_3 if greeted else b"VERSION\t1\t2\n") + data)
