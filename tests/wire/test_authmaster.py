from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.authmaster import (
    LINE_LIMIT,
    REQUEST_LIMIT,
    AuthMaster,
    Failed,
    NotFound,
    PassReply,
    ServerHello,
    State,
    UserReply,
)
from dovecot_urlauth.wire.readable import readable
from tests.wire.feeding import same_in_pieces

HELLO = b"VERSION\t1\t4\nSPID\t6204\n"


def _master() -> tuple[Callable[..., Any], Callable[..., Any]]:
    master = AuthMaster(4)
    return master.receive_data, master.next_event


def test_what_we_say() -> None:
    master = AuthMaster(1)
    cookie = bytes.fromhex("1ecdae04f5a300000000000000000023")
    assert master.data_to_send() == b"VERSION\t1\t1\n"
    assert master.data_to_send() == b""
    master.request(314048513, 8894, 1, cookie, 8897)
    assert master.data_to_send() == (
        b"REQUEST\t314048513\t8894\t1\t1ecdae04f5a300000000000000000023\tsession_pid=8897\n"
    )
    master.user_lookup(1, b"al\tice", b"service=imap-urlauth-worker")
    master.user_lookup(2, b"alice", b"protocol=imap", debug=True)
    assert master.data_to_send() == (
        b"USER\t1\tal\x01tice\tservice=imap-urlauth-worker\nUSER\t2\talice\tprotocol=imap\tdebug\n"
    )


def test_auth_takes_1024_bytes() -> None:
    master = AuthMaster(1)
    room = REQUEST_LIMIT - len(b"USER\t1\t\tprotocol=imap\n")
    master.data_to_send()
    master.user_lookup(1, b"x" * room, b"protocol=imap")
    assert len(master.data_to_send()) == REQUEST_LIMIT
    with pytest.raises(ValueError, match="1024"):
        master.user_lookup(1, b"x" * (room + 1), b"protocol=imap")
    assert master.data_to_send() == b""


ANSWERS = [
    (
        b"USER\t314048513\tbob\tclient_service=imap\tuid=5000\tgid=5000\thome=/h/bob\tauth_mech=DOVECOT-TOKEN\n",
        UserReply(
            314048513,
            b"bob",
            {
                b"client_service": b"imap",
                b"uid": b"5000",
                b"gid": b"5000",
                b"home": b"/h/bob",
                b"auth_mech": b"DOVECOT-TOKEN",
            },
        ),
    ),
    (b"USER\t1\talice\n", UserReply(1, b"alice", {})),
    (
        b"USER\t1\talice\t\tanonymous\tmail=a=b\x01tc\t\n",
        UserReply(1, b"alice", {b"anonymous": b"", b"mail": b"a=b\tc"}),
    ),
    (
        b"PASS\t2\tuser=alice\tproxy\thost=b2\tpass=a=b\x01tc\n",
        PassReply(2, {b"user": b"alice", b"proxy": b"", b"host": b"b2", b"pass": b"a=b\tc"}),
    ),
    (b"PASS\t2\n", PassReply(2, {})),
    (b"NOTFOUND\t7\n", NotFound(7)),
    (b"FAIL\t7\n", Failed(7, None)),
    (b"FAIL\t7\treason=because\x01nof it\n", Failed(7, b"because\nof it")),
    (b"FAIL\t7\tcode=x\treason=\n", Failed(7, b"")),
]


@pytest.mark.parametrize(("line", "event"), ANSWERS)
def test_answers(line: bytes, event: object) -> None:
    assert same_in_pieces(_master, HELLO + line) == ([ServerHello(6204), event], None)


@pytest.mark.parametrize("line", [b"\n", b"LIST\t1\n", b"NEWWORD\n"])
def test_unknown_words_are_skipped(line: bytes) -> None:
    assert same_in_pieces(_master, HELLO + line + b"NOTFOUND\t1\n") == (
        [ServerHello(6204), NotFound(1)],
        None,
    )


INVALID = [
    (b"\n", "didn't reply with a valid VERSION line: "),
    (b"SPID\t1\n", "didn't reply with a valid VERSION line: SPID\t1"),
    (
        b"VERSION\t2\t0\n",
        "Socket supports major version 2, but we support only 1 (mixed old and new binaries?)",
    ),
    (b"VERSION\t1\t0\nUSER\t1\tx\n", "Authentication server didn't send valid SPID as expected: USER\t1\tx"),
    (b"VERSION\t1\t0\nSPID\n", "Authentication server didn't send valid SPID as expected: SPID"),
    (b"VERSION\t1\t0\nSPID\tx\n", "Authentication server didn't send valid SPID as expected: SPID\tx"),
    (HELLO + b"USER\n", "Auth server sent invalid USER reply: USER"),
    (HELLO + b"USER\t1\n", "Auth server sent invalid USER reply: USER?1"),
    (HELLO + b"USER\t1\t\tuid=0\n", "Auth server sent invalid USER reply: USER?1??uid=0"),
    (HELLO + b"FAIL\tx\n", "Auth server sent invalid FAIL reply: FAIL?x"),
    (HELLO + b"NOTFOUND\t4294967296\n", "Auth server sent invalid NOTFOUND reply: NOTFOUND?4294967296"),
]


@pytest.mark.parametrize(("data", "text"), INVALID)
def test_invalid(data: bytes, text: str) -> None:
    _, error = same_in_pieces(_master, data)
    assert error is not None
    assert error.texts == (readable(text),)


def test_states() -> None:
    master = AuthMaster(4)
    seen = [master.state]
    for piece in (b"VERSION\t1\t4\n", b"SPID\t1\n"):
        master.receive_data(piece)
        master.next_event()
        seen.append(master.state)
    assert seen == [State.VERSION, State.SPID, State.OPEN]


def test_line_limit() -> None:
    line = b"USER\t1\t" + b"x" * (LINE_LIMIT - 8) + b"\n"
    events, error = same_in_pieces(_master, HELLO + line)
    assert (len(events), error) == (2, None)
    _, error = same_in_pieces(_master, HELLO + b"x" + line)
    assert error is not None
    assert error.texts == ("BUG: Auth server sent us more than 8192 bytes of data",)


WORDS = [b"USER\t", b"1\t", b"name", b"FAIL\t", b"reason=", b"NOTFOUND\t", b"\n", b"\t", b"=", b"SPID\t"]


@given(
    st.sampled_from([b"", b"VERSION\t1\t1\n", HELLO]),
    st.lists(st.one_of(st.sampled_from(WORDS), st.binary())),
)
def test_any_bytes(start: bytes, pieces: list[bytes]) -> None:
    same_in_pieces(_master, start + b"".join(pieces))
