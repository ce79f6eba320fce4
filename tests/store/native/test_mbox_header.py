"""Which fields of a header are shown."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.store.native.mbox.header import HIDDEN, parse_header

SHOWN = [
    (b"A: b\n\nbody", b"A: b\n\n"),
    (b"A: b\r\nC: d\r\n\r\nbody", b"A: b\nC: d\n\n"),
    (b"Status: RO\nA: b\n\n", b"A: b\n\n"),
    (
        b"sTATus : RO\nX-UID: 1\nX-Status:\nX-IMAP: 1 1\nX-IMAPbase: 1 1\nContent-Length: 9\nX-Keywords: a\n\n",
        b"\n",
    ),
    (b"X-Keywords: a\n b\n\tc\r\nA: b\n c\n\n", b"A: b\n c\n\n"),
    (b"Status\0x: RO\nA\0: b\n\n", b"A\0: b\n\n"),
    (b"Statusx: RO\nXStatus: RO\n: x\n\n", b"Statusx: RO\nXStatus: RO\n: x\n\n"),
    (b"Status\nA: b\n\n", b"Status\nA: b\n\n"),
    (b" Status: RO\n\n", b" Status: RO\n\n"),
    (b"A: b\r\r\n\n", b"A: b\r\n\n"),
    (b"A: b", b"A: b"),
    (b"A: b\nStatus: O", b"A: b\n"),
    (b"A: b\r", b"A: b\r"),
    (b"\nbody", b"\n"),
    (b"\r\nbody", b"\n"),
    (b"", b""),
    (b"\r", b"\r"),
]


@pytest.mark.parametrize(("data", "shown"), SHOWN)
def test_shown(data: bytes, shown: bytes) -> None:
    header = parse_header(data)
    assert header.shown == shown
    assert data[header.size :] == (b"body" if data.endswith(b"body") else b"")
    assert header.is_complete == (b"\n\n" in b"\n" + data.replace(b"\r\n", b"\n"))


def test_2_3_13() -> None:
    assert parse_header(b"Status\nA: b\n\n", colonless_line_is_name=True).shown == b"A: b\n\n"


@pytest.mark.parametrize(
    ("field", "uid"),
    [(b"X-UID: 12   ", 12), (b"x-uid:12", 12), (b"X-UID:\n 3", 0), (b"X-UID: 3\n ", 3), (b"X-UID:  3", 0),
     (b"X-UID: 3 4", 0), (b"X-UID: -3", 0), (b"X-UID: 99999999999", 0), (b"X-UIDs: 3", 0),
     (b"X-UID: x\nX-UID: 4", 4), (b"X-UID: 4\nX-UID: 5", 4)],
)  # fmt: skip
def test_uid(field: bytes, uid: int) -> None:
    assert parse_header(field + b"\nA: b\n\n").uid == uid


def test_a_uid_of_very_many_lines() -> None:
    """In quadratic time, half a minute."""
    began = time.process_time()
    header = parse_header(b"X-UID: 4\n" + b" \n" * 500_000 + b"\n")
    assert header.is_complete
    assert time.process_time() - began < 5


def test_cut_anywhere() -> None:
    """What is shown of whole lines is the beginning of what is shown of the whole."""
    whole = b"A: b\nX-Keywords: a\n b\nB: c\r\n d\nStatus: RO\n\nbody"
    end = whole.index(b"body")
    shown = parse_header(whole).shown
    for size in range(len(whole) + 1):
        header = parse_header(whole[:size])
        assert header.is_complete == (size >= end)
        assert header.size == min(size, end)
        assert whole[size - 1 : size] != b"\n" or shown.startswith(header.shown)


TEXT = st.lists(
    st.sampled_from([*HIDDEN, b"Status", b"A", b":", b" ", b"\t", b"\n", b"\r\n", b"\r", b"\0", b"1", b"x"])
).map(b"".join)


@given(st.binary() | TEXT, st.booleans())
def test_garbage(data: bytes, old: bool) -> None:
    """Nothing of Dovecot's own is shown, and nothing comes up that was not there."""
    header = parse_header(data, colonless_line_is_name=old)
    assert 0 <= header.size <= len(data)
    assert len(header.shown) <= header.size
    again = parse_header(header.shown, colonless_line_is_name=old)
    assert b"\r" in data or again.shown == header.shown
    lines = header.shown.split(b"\n")
    hidden = [line for line in lines if b":" in line and line.partition(b":")[0].rstrip(b" \t").lower() in HIDDEN]
    assert all(line.startswith((b" ", b"\t")) for line in hidden)
