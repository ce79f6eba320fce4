"""What is made readable shows no control character, whatever it was made from."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.readable import quoted, readable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bob", "bob"),
        ("", ""),
        ("a\nb\tc\x1b[2Jd\0e\x7f", "a?b?c?[2Jd?e?"),
        ("\x85\x9b0m", "??0m"),
        ("\udcff\ud800", "??"),
        ("caf\u00e9 \u540d\u524d \u00a0", "caf\u00e9 \u540d\u524d \u00a0"),
        ("\u2028\u202egpj\u2066", "??gpj?"),
        (b"caf\xc3\xa9", "caf\u00e9"),
        (b"\xff\xc3", "??"),
        (b"\x9b2J", "?2J"),
    ],
)
def test_readable(text: str | bytes, expected: str) -> None:
    assert readable(text) == expected


@given(st.one_of(st.binary(), st.text(st.characters())))
def test_any_text_becomes_readable(text: str | bytes) -> None:
    shown = readable(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}
    shown.encode()
    assert readable(shown) == shown


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"FOO\tx\ty", "FOO?x?y"),
        (b"a" * 80, "a" * 80),
        (b"a" * 81, "a" * 77 + "..."),
        (b"\xff\xfeabc", "??abc"),
        ("é".encode() * 45, "é" * 38 + "..."),
        ("€".encode() * 30, "€" * 25 + "..."),
        (b"a\x7fb", "a?b"),
    ],
)
def test_quoted_makes_input_harmless(data: bytes, text: str) -> None:
    assert quoted(data) == text


@given(st.binary())
def test_quoted_has_no_control_characters_and_an_end(data: bytes) -> None:
    text = quoted(data)
    assert text.isprintable() or not any(ord(char) < 32 for char in text)
    assert len(text.encode()) <= 80
