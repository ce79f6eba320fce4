"""From_ lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.store.native.mbox.separator import LINE_LIMIT, is_from_line, separator_size

LINE = b"From alice@example.test  Thu Nov 26 10:00:00 2026"
GOOD = [
    LINE,
    LINE + b"\r",
    b"From x Thu Nov  9 22:33:52 2001",
    b"From x Thu Nov 9 22:33:52 2001",
    b"From x thu nOV 29 22:33:52 2001",
    b"From x Thu Nov 29 22:33 2001 remote",
    b"From x Thu Nov 29 22:33:52 2001 +0300",
    b"From x Thu Nov 29 22:33:52 -0330 2001",
    b"From x Thu Nov 29 22:33:52 MET 2001",
    b"From x Tue Feb 29 00:00:00 2000",
    b'From "a b\\" c"@d Thu Nov 29 22:33:52 2001',
    b"From  Thu Nov 29 22:33:52 2001 remote from x",
]
BAD = [
    b"",
    b"From",
    b"From x",
    b"From x Thu Nov 29 2001",
    b"From x Thu Nov 9 22:33 2001",
    b"From x Thu Non 29 22:33:52 2001",
    b"From x Thu Nov 31 22:33:52 2001",
    b"From x Thu Feb 29 22:33:52 2001",
    b"From x Thu Nov 0 22:33:52 2001",
    b"From x Thu Nov 29 24:33:52 2001",
    b"From x Thu Nov 29 22:33:5 2001",
    b"From x Thu Nov 29 22:33:52 01 remote",
    b"From x Thu Nov 29 22:33:52 +2500 2001",
    b"From x Thu Nov 29 22:33:52 +0300",
    b"From x Thursday Nov 29 22:33:52 2001",
    b"From x Thu Nov   9 22:33:52 2001",
    b'From "x Thu Nov 29 22:33:52 2001',
    b"From x Thu Nov 29 22:33:52 1901",
    b"From x Thu\rNov 29 22:33:52 2001",
    b"From a rose is a rose is a rose",
    b"From alice@example.tes Mon Mar  2`1000::0body",
]


@pytest.mark.parametrize("line", GOOD)
def test_from_lines(line: bytes) -> None:
    assert is_from_line(line)
    assert separator_size(line + b"\nmore", is_first=True) == len(line) + 1
    assert separator_size(b"\n" + line + b"\n", is_first=False) == len(line) + 2
    assert separator_size(b"\r\n" + line + b"\n", is_first=False) == len(line) + 3


@pytest.mark.parametrize("line", BAD)
def test_what_may_be_none(line: bytes) -> None:
    assert not is_from_line(line)
    assert not separator_size(line + b"\n", is_first=True)


def test_the_line_end_before() -> None:
    assert not separator_size(LINE + b"\n", is_first=False)
    assert not separator_size(b"\n" + LINE + b"\n", is_first=True)
    assert not separator_size(b"x" + LINE + b"\n", is_first=False)
    assert not separator_size(b"\r" + LINE + b"\n", is_first=False)
    assert not separator_size(b"\nfrom" + LINE[4:] + b"\n", is_first=False)


def test_cut_anywhere() -> None:
    whole = b"\n" + LINE + b"\n"
    for end in range(len(whole)):
        assert not separator_size(whole[:end], is_first=False)


def test_a_line_without_end() -> None:
    assert not separator_size(LINE + b"x" * LINE_LIMIT + b"\n", is_first=True)


@given(st.binary() | st.text(alphabet='From" x:ThuNov1290\\+\r\n', max_size=60).map(str.encode), st.booleans())
def test_garbage(data: bytes, is_first: bool) -> None:
    size = separator_size(data, is_first=is_first)
    assert 0 <= size <= len(data)
    assert not size or data[size - 1 : size] == b"\n"
