from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.login import (
    FAILED,
    GREETING,
    LINE_LIMIT,
    AuthRequest,
    LoginProtocol,
    LoginRejected,
    State,
    VersionReceived,
    peer_mismatch,
    token_response,
)
from dovecot_urlauth.wire.readable import readable
from tests.wire.feeding import same_in_pieces

VERSION = b"VERSION\timap-urlauth\t2\t0\n"
TOKEN = b"3c8a62acd095abc1f4a1d31c801afd95ddacc835"
AUTH = b"AUTH\timap\t6216\tbob\tIyJVd+9gas1/AAAB\t" + TOKEN + b"\n"
REQUEST = AuthRequest(b"imap", 6216, b"bob", b"IyJVd+9gas1/AAAB", TOKEN)
INCOMPATIBLE = "IMAP URLAUTH client not compatible with this server (mixed old and new binaries?) "
UNEXPECTED = "IMAP URLAUTH client sent unexpected AUTH input: "


def _login() -> tuple[Callable[..., Any], Callable[..., Any]]:
    protocol = LoginProtocol()
    return protocol.receive_data, protocol.next_event


VALID = [
    (VERSION + AUTH, REQUEST),
    (VERSION.replace(b"\n", b"\r\n") + AUTH.replace(b"\n", b"\r\n"), REQUEST),
    (VERSION.replace(b"\t0", b"\t7") + AUTH, REQUEST),
    (VERSION + AUTH.replace(b"\n", b"\textra\tfields\n"), REQUEST),
    (
        VERSION + b"AUTH\tsubmission\t1\tb\x01to\x01nb\t\xff\t\n",
        AuthRequest(b"submission", 1, b"b\to\nb", b"\xff", b""),
    ),
]


@pytest.mark.parametrize(("data", "request_"), VALID)
def test_accepted(data: bytes, request_: AuthRequest) -> None:
    assert same_in_pieces(_login, data) == ([VersionReceived(), request_], None)


BAD_VERSIONS = [
    b"",
    b"VERSION\timap-urlauth\t1\t0",
    b"VERSION\timap-urlauth\t2",
    b"VERSION\timap-urlauth\t2\t",
    b"VERSION\timap-urlauth\t2\tx",
    b"VERSION\timap-urlauth\t2\t0\t0",
    b"VERSION\timap-urlauth-worker\t2\t0",
    b"version\timap-urlauth\t2\t0",
    b"AUTH\timap\t1\tbob\tsession\ttoken",
]


@pytest.mark.parametrize("line", BAD_VERSIONS)
def test_bad_version(line: bytes) -> None:
    events, error = same_in_pieces(_login, line + b"\n" + AUTH)
    assert events == []
    assert isinstance(error, LoginRejected)
    assert error.texts == (INCOMPATIBLE + readable(line),)
    assert error.reason == "Version mismatch"


BAD_AUTHS = [
    (b"", UNEXPECTED),
    (b"AUTH\timap\t1\tbob\tsession", UNEXPECTED + "AUTH\timap\t1\tbob\tsession"),
    (b"auth\timap\t1\tbob\tsession\ttoken", UNEXPECTED + "auth\timap\t1\tbob\tsession\ttoken"),
    (b"AUTH\timap\t\tbob\tsession\ttoken", UNEXPECTED + "AUTH\timap\t\tbob\tsession\ttoken"),
    (b"AUTH\timap\t-1\tbob\tsession\ttoken", UNEXPECTED + "AUTH\timap\t-1\tbob\tsession\ttoken"),
    (b"AUTH\timap\t2147483648\tb\ts\tt", UNEXPECTED + "AUTH\timap\t2147483648\tb\ts\tt"),
    (
        b"AUTH\timap\t1\tbob\x010eve\tsession\ttoken",
        UNEXPECTED + "AUTH\timap\t1\tbob\x010eve\tsession\ttoken",
    ),
    (b"AUTH\timap\t1\tbob\ts\0\ttoken", UNEXPECTED + "AUTH\timap\t1\tbob\ts\0\ttoken"),
    (b"AUTH\timap\t1\tbob\tsession\tto\x010ken", UNEXPECTED + "AUTH\timap\t1\tbob\tsession\tto\x010ken"),
    (b"AUTH\tpop3\t1\tbob\tsession\ttoken", "IMAP URLAUTH accessed from inappropriate service: pop3"),
    (b"AUTH\tIMAP\t1\tbob\tsession\ttoken", "IMAP URLAUTH accessed from inappropriate service: IMAP"),
    (b"AUTH\t\t1\tbob\tsession\ttoken", "IMAP URLAUTH accessed from inappropriate service: "),
    # the shape of the line is looked at before the service
    (b"AUTH\tpop3\tx\tbob\tsession\ttoken", UNEXPECTED + "AUTH\tpop3\tx\tbob\tsession\ttoken"),
]


@pytest.mark.parametrize(("line", "text"), BAD_AUTHS)
def test_bad_auth(line: bytes, text: str) -> None:
    events, error = same_in_pieces(_login, VERSION + line + b"\n")
    assert events == [VersionReceived()]
    assert isinstance(error, LoginRejected)
    assert error.texts == (readable(text),)
    assert error.reason == "Unexpected input"


def test_line_limit() -> None:
    filler = LINE_LIMIT - len(AUTH)
    events, error = same_in_pieces(_login, VERSION + AUTH[:-1] + b"\t" + b"x" * (filler - 1) + b"\n")
    assert (len(events), error) == (2, None)
    events, error = same_in_pieces(_login, VERSION + AUTH[:-1] + b"\t" + b"x" * filler + b"\n")
    assert events == [VersionReceived()]
    assert isinstance(error, LoginRejected)
    assert error.texts == ()
    assert error.reason == "Input buffer full"


def test_what_follows_auth_is_left_unread() -> None:
    protocol = LoginProtocol()
    protocol.receive_data(VERSION + AUTH + b"USER\talice\n")
    protocol.next_event()
    protocol.next_event()
    assert protocol.state is State.DONE
    protocol.receive_data(b"x" * LINE_LIMIT)
    assert protocol.next_event() is None
    assert protocol.surplus() == b"USER\talice\n" + b"x" * LINE_LIMIT


def test_recorded_token_response() -> None:
    assert token_response(REQUEST) == (
        b"aW1hcAA2MjE2AGJvYgBJeUpWZCs5Z2FzMS9BQUFCADNjOGE2MmFjZDA5NWFiYzFmNGExZDMxYzgwMWFmZDk1ZGRhY2M4MzU="
    )


@pytest.mark.parametrize("field", ["service", "user", "session", "token"])
def test_token_response_refuses_a_nul(field: str) -> None:
    values: dict[str, Any] = {"service": b"imap", "pid": 1, "user": b"u", "session": b"s", "token": b"t"} | {
        field: b"a\0b"
    }
    with pytest.raises(ValueError, match="NUL"):
        token_response(AuthRequest(**values))


def test_peer_mismatch() -> None:
    error = peer_mismatch(1, 2, 5000)
    assert error.text == (
        "IMAP URLAUTH client sent invalid session pid 1 in AUTH request: "
        "it did not match peer credentials (pid=2, uid=5000)"
    )
    assert error.reason == "Invalid AUTH request"


def test_words_to_the_client() -> None:
    assert GREETING == VERSION
    assert FAILED == b"FAILED\n"


LINES = st.lists(
    st.one_of(
        st.sampled_from([VERSION, AUTH, b"AUTH\t", b"\t", b"\n", b"\x010", b"imap", b"1", b"x" * 500]),
        st.binary(max_size=20),
    ),
    max_size=12,
).map(b"".join)


@given(LINES)
def test_any_bytes_give_a_checked_request_or_the_error(data: bytes) -> None:
    events, error = same_in_pieces(_login, data)
    assert error is None or isinstance(error, LoginRejected)
    for event in events:
        if isinstance(event, AuthRequest):
            parts = binascii.a2b_base64(token_response(event)).split(b"\0")
            assert parts == [event.service, b"%d" % event.pid, event.user, event.session, event.token]
