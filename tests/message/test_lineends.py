"""Counting and completing line ends against the plain way of doing it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.message.lineends import completed, count

LINE = b"x" * 76

#: Lines of equal length, and everything in which they can differ.
REGULAR = {
    "LF": (LINE + b"\n") * 40,
    "CRLF": (LINE + b"\r\n") * 40,
    "cut off in a line": (LINE + b"\r\n") * 40 + b"xyz",
    "cut off in a line end": (LINE + b"\r\n") * 40 + LINE + b"\r",
    "begun in a line": b"xyz\r\n" + (LINE + b"\r\n") * 40,
    "begun in a line end": b"\n" + (LINE + b"\r\n") * 40,
    "one bare": (LINE + b"\r\n") * 20 + LINE + b"x\n" + (LINE + b"\r\n") * 20,
    "one more": (LINE + b"\r\n") * 20 + b"\n" + (LINE + b"\r\n") * 20,
    "one more in a line": (LINE + b"\r\n") * 20 + b"xx\r\n" + LINE[4:] + b"\r\n" + (LINE + b"\r\n") * 20,
    "one less": (LINE + b"\r\n") * 20 + LINE + b"xx" + (LINE + b"\r\n") * 20,
    "CR elsewhere": (LINE + b"\r\n") * 20 + LINE[1:] + b"\rx\n" + (LINE + b"\r\n") * 20,
    "empty lines": b"\r\n" * 40,
    "bare empty lines": b"\n" * 40 + b"\r",
}

line_ends = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"x", b"xx", b"xx\r\n"])).map(b"".join)


@pytest.mark.parametrize("text", REGULAR.values(), ids=REGULAR)
def test_count_of_regular_lines(text: bytes) -> None:
    assert count(text) == (text.count(b"\n"), text.count(b"\r\n"))


@given(line_ends | st.binary())
def test_count(text: bytes) -> None:
    assert count(text) == (text.count(b"\n"), text.count(b"\r\n"))


@given(line_ends | st.binary())
def test_completed(text: bytes) -> None:
    assert completed(text) == re.sub(rb"\r?\n", b"\r\n", text)
