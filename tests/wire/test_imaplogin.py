"""Logging in at a backend: whole, byte by byte, and at backends that are none."""

from __future__ import annotations

from base64 import b64decode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.imaplogin import LINE_LIMIT, BeginTls, Credentials, ImapLogin, LoggedIn, State
from dovecot_urlauth.wire.lines import ProtocolError

MASTER = Credentials(b"alice", b"master", b"secret")
RESPONSE = b"YWxpY2UAbWFzdGVyAHNlY3JldA=="
GREETING = b"* OK [CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN] Dovecot ready.\r\n"
QUICK = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] Dovecot ready.\r\n"
DONE = b"b OK [CAPABILITY IMAP4rev1 METADATA URLAUTH] Logged in\r\n"


def told(login: ImapLogin, data: bytes, size: int) -> tuple[list[object], bytes]:
    """The events of ``data``, given in pieces of this size, and all that was answered."""
    events, output = list[object](), b""
    for start in range(0, len(data), size):
        login.receive_data(data[start : start + size])
        while (event := login.next_event()) is not None:
            events.append(event)
            if isinstance(event, BeginTls):
                login.encrypted()
        output += login.data_to_send()
    return events, output


def test_what_a_master_user_says() -> None:
    assert MASTER.initial_response() == RESPONSE
    assert b64decode(Credentials(b"alice", b"", b"s").initial_response()) == b"\0alice\0s"
    long = Credentials(b"a" * 200, b"m", b"p" * 200).initial_response()
    assert b"\n" not in long


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (GREETING + b"+ \r\n" + DONE, b"b AUTHENTICATE PLAIN\r\n" + RESPONSE + b"\r\n"),
        (QUICK + DONE, b"b AUTHENTICATE PLAIN " + RESPONSE + b"\r\n"),
        (
            QUICK + b"* CAPABILITY IMAP4rev1\r\n" + b"b OK Logged in\r\n",
            b"b AUTHENTICATE PLAIN " + RESPONSE + b"\r\n",
        ),
        (b"* ok hello\r\n* x\r\n+\r\n" + DONE, b"b AUTHENTICATE PLAIN\r\n" + RESPONSE + b"\r\n"),
    ],
)
def test_a_login(said: bytes, answered: bytes, size: int) -> None:
    login = ImapLogin(MASTER)
    assert told(login, said, size) == ([LoggedIn()], answered)
    assert login.state is State.OPEN
    login.receive_data(b"* the session's own")
    assert login.next_event() is None
    assert login.surplus() == b"* the session's own"
    login.receive_eof()


@pytest.mark.parametrize("size", [1, 10_000])
def test_an_encrypted_login(size: int) -> None:
    """Nothing is said of the password before; what the greeting offered was not encrypted."""
    login = ImapLogin(MASTER, starttls=True)
    events, output = told(login, QUICK + b"* note\r\na OK Begin\r\n", size)
    assert (events, output) == ([BeginTls()], b"a STARTTLS\r\nb AUTHENTICATE PLAIN\r\n")
    assert told(login, b"+\r\n" + DONE, size) == ([LoggedIn()], RESPONSE + b"\r\n")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (
            b"* PREAUTH [CAPABILITY IMAP4rev1] Logged in as mallory\r\n",
            "Backend's greeting is not usable: * PREAUTH",
        ),
        (b"* BYE full\r\n", "Backend's greeting is not usable: * BYE full"),
        (b"220 smtp\r\n", "Backend's greeting is not usable: 220 smtp"),
        (b"x" * LINE_LIMIT, f"Backend sent us more than {LINE_LIMIT} bytes in a line"),
        (GREETING + b"b NO [PRIVACYREQUIRED] no\r\n", "Backend refused AUTHENTICATE: [PRIVACYREQUIRED] no"),
        (GREETING + b"b OK what?\r\n", "Backend's answer to AUTHENTICATE is not usable"),
        (
            GREETING + b"+\r\nb NO [AUTHENTICATIONFAILED] no\r\n",
            "Backend refused login: [AUTHENTICATIONFAILED] no",
        ),
        (GREETING + b"+\r\nb BAD \x1b\r\n", "Backend refused login: ?"),
        (GREETING + b"+\r\n* BYE [UNAVAILABLE] later\r\n", "Backend refused login: BYE [UNAVAILABLE] later"),
        (GREETING + b"+\r\nc OK\r\n", "Backend's answer is not usable: c OK"),
        (GREETING + b"+\r\nb YES\r\n", "Backend's answer is not usable: b YES"),
        (
            GREETING + b"+\r\nb OK [CAPABILITY IMAP4rev1 URLAUTH] in\r\n",
            "Backend has no METADATA (imap_metadata = yes is missing there)",
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 10_000])
def test_a_backend_that_is_refused(said: bytes, text: str, size: int) -> None:
    with pytest.raises(ProtocolError) as refused:
        told(ImapLogin(MASTER), said, size)
    assert refused.value.text.startswith(text)


def test_what_somebody_put_before_the_encryption_is_not_read() -> None:
    login = ImapLogin(MASTER, starttls=True)
    login.receive_data(GREETING + b"a OK Begin\r\nb OK you are in\r\n")
    with pytest.raises(ProtocolError, match="more behind its answer to STARTTLS"):
        told(login, b"\r\n", 2)
    login = ImapLogin(MASTER, starttls=True)
    with pytest.raises(ProtocolError, match="refused STARTTLS"):
        told(login, GREETING + b"a NO not here\r\n", 1)


def test_an_end_before_the_login() -> None:
    login = ImapLogin(MASTER)
    told(login, GREETING, 100)
    with pytest.raises(ProtocolError, match="before the login"):
        login.receive_eof()


LINES = [GREETING, QUICK, DONE, b"+\r\n", b"a OK x\r\n", b"\0\r\n", b"* BYE\r\n"]


@given(st.lists(st.sampled_from(LINES)), st.binary())
def test_garbage_is_refused_or_waited_for(lines: list[bytes], end: bytes) -> None:
    login = ImapLogin(MASTER)
    with suppress(ProtocolError):
        told(login, b"".join(lines) + end, 5)
    if login.state is State.OPEN:
        assert DONE in lines
