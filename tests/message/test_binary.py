"""BINARY beside the recordings: what is decoded, what is refused, and when NULs are announced."""

from __future__ import annotations

import pytest

from dovecot_urlauth.message.errors import Undecodable
from dovecot_urlauth.message.rules import RULES_2_3_19_DEBIAN, RULES_2_4_1
from tests.message.asking import ask, decoded


def of_encoding(encoding: bytes, body: bytes) -> bytes:
    return b"Content-Transfer-Encoding: " + encoding + b"\n\n" + body


@pytest.mark.parametrize(
    ("encoding", "body", "result"),
    [
        (b"7bit", b"a=\nb", b"a=\r\nb"),
        (b"8BIT", b"\xe4\0", b"\xe4\0"),
        (b"binary (c)", b"\n", b"\r\n"),
        (b"base64", b"AAEK\n", b"\0\1\n"),
        (b"Base64; x", b"QUJD", b"ABC"),
        (b"(c) quoted-printable", b"a=3D\nb", b"a=\r\nb"),
    ],
)
def test_decoded(encoding: bytes, body: bytes, result: bytes) -> None:
    message = of_encoding(encoding, body)
    assert decoded(message, b"1") == decoded(message, b"TEXT") == result
    assert ask(message, b"1", binary=True).has_nuls == (b"\0" in result)


@pytest.mark.parametrize("encoding", [b"x", b"", b"base64 x", b"\n base64", b"base64\n ", b'"base64"'])
def test_unknown_encoding(encoding: bytes) -> None:
    message = of_encoding(encoding, b"QQ==")
    with pytest.raises(Undecodable) as refused:
        ask(message, b"1", binary=True, rules=RULES_2_3_19_DEBIAN)
    assert refused.value.text == "Unknown Content-Transfer-Encoding."
    with pytest.raises(Undecodable) as refused:
        ask(message, b"1", binary=True, rules=RULES_2_4_1)
    assert refused.value.text == "Unknown Content-Transfer-Encoding"


def test_the_last_encoding_counts() -> None:
    assert decoded(of_encoding(b"x", b"").rstrip(b"\n") + b"\n" + of_encoding(b"base64", b"QQ=="), b"1") == b"A"


def test_headers_are_rewritten() -> None:
    message = b"A: b\nContent-Transfer-Encoding: base64\nC: d\n e\n\nQUJD\n"
    assert decoded(message) == b"A: b\r\nC: d\r\n e\r\nContent-Transfer-Encoding: binary\r\n\r\nABC"


def test_headers_that_run_on_behind_their_part() -> None:
    head = b"Content-Type: multipart/x; boundary=b\n\n"
    content = ask(head + b"--b\n" * 3 + b"Content-Transfer-Encoding: base64", binary=True, structure=True)
    # each of the three delimiter lines with all that follows it, without the encoding
    text = head + b"--b\n" * (3 + 2 + 1)
    assert b"".join(content.chunks) == text.replace(b"\n", b"\r\n")


def test_a_message_without_room_for_a_header() -> None:
    head = b"Content-Type: multipart/digest; boundary=b\n\n--b\n"
    message = head + b"A\n--\n--b\nContent-Transfer-Encoding: quoted-printable\n"
    content = ask(message, binary=True, structure=True, rules=RULES_2_4_1)
    # the message in the first part is nothing, and begins at the line end before the delimiter line
    text = head + b"A\n--\n--b\n" + b"\n--b\n"
    assert b"".join(content.chunks) == text.replace(b"\n", b"\r\n")
    assert content.structure is not None
    assert content.structure.startswith(b'("message" "rfc822" NIL NIL NIL "binary" 0 (')


def test_a_multipart_is_decoded_part_by_part() -> None:
    message = b"""\
Content-Type: multipart/mixed; boundary=b

preamble
--b
Content-Transfer-Encoding: base64

QQo=
--b

b
--b--
"""
    assert decoded(message, b"TEXT") == (
        b"preamble\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\nA\n\r\n--b\r\n\r\nb\r\n--b--\r\n"
    )
    broken = message.replace(b"QQo=", b"QQo")
    with pytest.raises(Undecodable):
        ask(broken, b"1", binary=True)
    assert decoded(broken, b"2") == b"b"
    with pytest.raises(Undecodable):
        ask(broken, b"2", binary=True, structure=True)


def test_partial_ranges_are_of_decoded_bytes() -> None:
    message = of_encoding(b"base64", b"QUIAQ0Q=")
    assert decoded(message, b"1", partial=(1, 3)) == b"B\0C"
    assert decoded(message, b"1", partial=(3, None)) == b"CD"
    assert decoded(message, b"1", partial=(5, 1)) == b""


def test_nuls_are_announced_only_when_they_are_sent() -> None:
    message = of_encoding(b"base64", b"QUIAQ0Q=")
    assert ask(message, b"1", binary=True).has_nuls
    assert ask(message, b"1", binary=True, partial=(1, 2)).has_nuls
    assert not ask(message, b"1", binary=True, partial=(0, 2)).has_nuls
    assert not ask(message, b"1", binary=True, partial=(3, None)).has_nuls
    assert not ask(of_encoding(b"quoted-printable", b"a=3Db"), b"1", binary=True).has_nuls
    assert not ask(b"a: b\n\n\0", b"1", body=True).has_nuls
    assert not ask(b"a: \0\n\n", b"HEADER", binary=True).has_nuls


def test_headers_and_mime_are_not_decoded() -> None:
    message = of_encoding(b"base64", b"QQ==")
    assert decoded(message, b"HEADER") == b"Content-Transfer-Encoding: base64\r\n\r\n"
    assert decoded(message, b"1.MIME") == b"Content-Transfer-Encoding: base64\r\n\r\n"


def test_what_is_announced_is_sent() -> None:
    # stock announces the size after rewriting the header, sends the stored text, and hangs for the rest
    message = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nA: b"
    content = ask(message, binary=True)
    assert content.size == sum(map(len, content.chunks))
