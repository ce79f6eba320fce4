from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.config_text import ConfigRefused, ConfigReply, parse_lines, request
from tests.wire.feeding import bytewise

# what Dovecot 2.3.19.1 answered for module=imap-urlauth-worker
ANSWER = (
    b"\n"
    b"base_dir=/run/dovecot\n"
    b"imap_urlauth_host=example.org\n"
    b"mail_plugins= zlib acl\n"
    b"namespace=inbox 1 we\\_ird\\sna\\eme\n"
    b"namespace/inbox/mailbox/Sent\\_Messages/special_use=\\Sent\n"
    b"namespace/we\\_ird\\sna\\eme/name=we ird/na=me\n"
    b"plugin=\n"
    b"plugin/multi=a b\n"
    b"\n"
)
VALUES = {
    "base_dir": "/run/dovecot",
    "imap_urlauth_host": "example.org",
    "mail_plugins": " zlib acl",
    "namespace": "inbox 1 we\\_ird\\sna\\eme",
    "namespace/inbox/mailbox/Sent\\_Messages/special_use": "\\Sent",
    "namespace/we\\_ird\\sna\\eme/name": "we ird/na=me",
    "plugin": "",
    "plugin/multi": "a b",
}


def test_request() -> None:
    assert request(("imap-urlauth", "ssl"), "imap-urlauth") == (
        b"VERSION\tconfig\t2\t0\nREQ\tmodule=imap-urlauth\tmodule=ssl\tservice=imap-urlauth\n"
    )


def test_answer() -> None:
    reply = ConfigReply()
    reply.receive_data(ANSWER)
    assert reply.next_event() == VALUES
    assert reply.next_event() is None


def test_answer_byte_by_byte() -> None:
    reply = ConfigReply()
    answers = []
    for piece in bytewise(ANSWER):
        reply.receive_data(piece)
        answers.append(reply.next_event())
    assert answers == [None] * (len(ANSWER) - 1) + [VALUES]


def test_flags_before_the_values_are_no_settings() -> None:
    reply = ConfigReply()
    reply.receive_data(b"service=imap\tused-local\t\nmail_debug=yes\n\n")
    assert reply.next_event() == {"mail_debug": "yes"}


def test_nothing_set() -> None:
    reply = ConfigReply()
    reply.receive_data(b"\n\n")
    assert reply.next_event() == {}


def test_line_feed_within_a_value() -> None:
    assert parse_lines([b"k=a\x03b"]) == {"k": "a\nb"}


def test_value_in_another_charset() -> None:
    assert parse_lines([b"k=\xe4"])["k"].encode("utf-8", "surrogateescape") == b"\xe4"


@pytest.mark.parametrize("cut", range(len(b"\nERROR no module\n") + 1))
def test_error(cut: int) -> None:
    data = b"\nERROR no module\n"
    reply = ConfigReply()
    reply.receive_data(data[:cut])
    if cut < len(data):
        assert reply.next_event() is None
    reply.receive_data(data[cut:])
    with pytest.raises(ConfigRefused) as refused:
        reply.next_event()
    assert refused.value.text == "no module"


LINES = [b"\n", b"k=v\n", b"ERROR", b" x", b"k", b"=", b"\x03", b"\xff"]


@given(st.lists(st.sampled_from(LINES) | st.binary(max_size=20)).map(b"".join))
def test_any_bytes(data: bytes) -> None:
    assert answered(bytewise(data)) == answered([data])


def answered(pieces: list[bytes]) -> dict[str, str] | str | None:
    """The settings, the reason why there are none, or None as long as the answer is not complete."""
    reply = ConfigReply()
    try:
        for piece in pieces:
            reply.receive_data(piece)
            values = reply.next_event()
            if values is not None:
                return values
    except ConfigRefused as refused:
        return refused.text
    return None
