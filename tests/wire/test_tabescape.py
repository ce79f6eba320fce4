from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.tabescape import escape, fields, join, unescape

ESCAPED = [
    (b"", b""),
    (b"plain", b"plain"),
    (b"\0", b"\x010"),
    (b"\x01", b"\x011"),
    (b"\t", b"\x01t"),
    (b"\r", b"\x01r"),
    (b"\n", b"\x01n"),
    (b"a\tb\x01t", b"a\x01tb\x011t"),
    (b"\x80\xff\x02\x1f", b"\x80\xff\x02\x1f"),
]
UNUSUAL = [
    (b"\x01", b""),
    (b"a\x01", b"a"),
    (b"\x01x", b"x"),
    (b"\x01\x01", b"\x01"),
    (b"\x01\x011", b"\x011"),
    (b"\x01\xe9", b"\xe9"),
]
LINES = [
    (b"", []),
    (b"USER", [b"USER"]),
    (b"\t", [b"", b""]),
    (b"AUTH\timap\t\t", [b"AUTH", b"imap", b"", b""]),
    (b"a\x01tb\tc\x01n", [b"a\tb", b"c\n"]),
]


@pytest.mark.parametrize(("plain", "escaped"), ESCAPED)
def test_escape(plain: bytes, escaped: bytes) -> None:
    assert escape(plain) == escaped
    assert unescape(escaped) == plain


@pytest.mark.parametrize(("escaped", "plain"), UNUSUAL)
def test_unescape_takes_unknown_letters_literally(escaped: bytes, plain: bytes) -> None:
    assert unescape(escaped) == plain


@pytest.mark.parametrize(("line", "values"), LINES)
def test_fields_split_before_unescaping(line: bytes, values: list[bytes]) -> None:
    assert fields(line) == values


@given(st.binary())
def test_unescape_reverses_escape(field: bytes) -> None:
    escaped = escape(field)
    assert unescape(escaped) == field
    assert not set(escaped) & set(b"\0\t\r\n")


@given(st.lists(st.binary(), min_size=1).filter(lambda values: values != [b""]))
def test_fields_reverse_join(values: list[bytes]) -> None:
    assert fields(join(*values)) == values


@given(st.binary())
def test_fields_are_defined_for_any_bytes(line: bytes) -> None:
    assert len(fields(line)) == (line.count(b"\t") + 1 if line else 0)
