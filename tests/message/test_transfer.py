"""The decoders, against the same rules written as state machines that look at each byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.message.errors import Undecodable
from dovecot_urlauth.message.transfer import base64, quoted_printable

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def slow_base64(text: bytes) -> bytes | None:
    letters = [byte for byte in text if byte not in b" \t\r\n"]
    result = bytearray()
    bits = number = 0
    while letters and letters[0] in ALPHABET:
        bits = bits << 6 | ALPHABET.index(letters.pop(0))
        number += 1
        if number % 4:
            result += bytes([bits >> (6 - 2 * (number % 4 - 1)) & 0xFF] if number % 4 > 1 else [])
            continue
        result.append(bits & 0xFF)
    padding = {0: b"", 2: b"==", 3: b"="}.get(number % 4)
    return bytes(result) if bytes(letters) == padding else None


def slow_quoted_printable(text: bytes) -> bytes | None:
    result = bytearray()
    position = 0
    while position < len(text):
        rest = text[position:]
        spaces = len(rest) - len(rest.lstrip(b" \t"))
        if rest.startswith(b"="):
            behind = rest[1:].lstrip(b" \t")
            if behind.startswith((b"\n", b"\r\n")):
                position = len(text) - len(behind) + behind.index(b"\n") + 1
            elif len(rest) > 2 and all(byte in b"0123456789abcdefABCDEF" for byte in rest[1:3]):
                result.append(int(rest[1:3], 16))
                position += 3
            else:
                return None
        elif rest[spaces:].startswith((b"\n", b"\r\n")):
            result += b"\r\n"
            position += rest.index(b"\n") + 1
        elif rest[spaces:].startswith(b"\r") or (spaces > 76 and rest[spaces:]):
            return None
        elif not rest[spaces:]:
            break
        else:
            result += rest[: spaces or 1]
            position += spaces or 1
    return bytes(result)


def in_pieces(text: bytes, size: int) -> list[bytes]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def run(decoder: Callable[..., Any], pieces: list[bytes]) -> bytes | None:
    try:
        return b"".join(decoder(pieces))
    except Undecodable:
        return None


base64_texts = st.lists(
    st.sampled_from([b"QUJD", b"Q", b"QQ==", b"=", b" ", b"\n", b"\r\n", b"+/", b"!", b"-_", b"\t", b"\0"])
).map(b"".join)
sizes = st.sampled_from([1, 2, 5, 1000])

ESCAPES = [b"=", b"=4", b"=41", b"=3d", b"=\n", b"= \n", b"=\t\r\n", b"=zz", b"==", b"=00", b"=0A", b"=0d=0a"]
OTHERS = [b" \n", b"\n", b"\r\n", b"\r", b" ", b"\t", b" " * 75, b" " * 77, b"\t" * 400, b"abc", b"\0", b"\xe4"]
quoted_texts = st.lists(st.sampled_from(ESCAPES + OTHERS)).map(b"".join)


@given(base64_texts, sizes)
def test_base64(text: bytes, size: int) -> None:
    assert run(base64, in_pieces(text, size)) == slow_base64(text)


@given(quoted_texts, sizes)
def test_quoted_printable(text: bytes, size: int) -> None:
    assert run(quoted_printable, in_pieces(text, size)) == slow_quoted_printable(text)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (b"", b""),
        (b"QUJD", b"ABC"),
        (b"Q U\tJ\r\nD\n", b"ABC"),
        (b"QQ==", b"A"),
        (b"QR==", b"A"),
        (b"QUI =\n", b"AB"),
        (b"QQ", None),
        (b"QQ=", None),
        (b"QQ===", None),
        (b"QQ==QQ==", None),
        (b"=QQ=", None),
        (b"QU_D", None),
    ],
)
def test_base64_by_hand(text: bytes, result: bytes | None) -> None:
    assert slow_base64(text) == result
    assert run(base64, [text]) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (b"a=3D=3d=00", b"a==\0"),
        (b"a \t\nb", b"a\r\nb"),
        (b"a= \r\nb", b"ab"),
        (b"a  ", b"a"),
        (b"a" + b" " * 76 + b"b", b"a" + b" " * 76 + b"b"),
        (b"a" + b" " * 77 + b"b", None),
        (b"a" + b" " * 500 + b"\nb", b"a\r\nb"),
        (b"a\rb", None),
        (b"a\r", None),
        (b"a=", None),
        (b"a=4", None),
        (b"a=4g", None),
        (b"==\n41", None),
        (b"=0A\n", b"\n\r\n"),
    ],
)
def test_quoted_printable_by_hand(text: bytes, result: bytes | None) -> None:
    assert slow_quoted_printable(text) == result
    assert run(quoted_printable, [text]) == result


def test_the_text_of_a_refusal() -> None:
    with pytest.raises(Undecodable, match="Invalid data in MIME part"):
        list(base64([b"!"]))


def test_a_line_of_blanks_is_not_collected() -> None:
    def blanks() -> Iterator[bytes]:
        for _ in range(2000):
            yield b" " * 65536
        yield b"\nend"

    assert b"".join(quoted_printable(blanks())) == b"\r\nend"
