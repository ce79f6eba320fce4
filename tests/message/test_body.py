"""Line ends, NULs and partial ranges, against the plainest way to say what they are."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.message import body, lineends
from dovecot_urlauth.message.errors import ReadError
from dovecot_urlauth.message.fetch import Request, fetch, text_at_once
from dovecot_urlauth.message.rules import RULES_2_4_5
from dovecot_urlauth.message.source import CHUNK, BytesSource
from tests.message.asking import body_of

texts = st.text(st.sampled_from("\r\n\0ab:")).map(str.encode)
partials = st.tuples(st.integers(0, 20), st.none() | st.integers(1, 20))


def crlf(text: bytes) -> bytes:
    return re.sub(rb"(?<!\r)\n", b"\r\n", text)


def cut(text: bytes, partial: tuple[int, int | None]) -> bytes:
    offset, size = partial
    return text[offset:] if size is None else text[offset : offset + size]


@given(texts)
def test_line_ends_are_counted_and_completed(text: bytes) -> None:
    assert lineends.count(text) == (text.count(b"\n"), text.count(b"\r\n"))
    assert lineends.completed(text) == crlf(text)


@given(texts, partials)
def test_a_short_message_at_once(text: bytes, partial: tuple[Any, ...]) -> None:
    request = Request(b"", *partial)
    assert text_at_once(BytesSource(text), request) == b"".join(
        fetch(BytesSource(text), request, RULES_2_4_5).chunks
    )


@pytest.mark.parametrize(
    "request_",
    [
        Request(b"TEXT"),
        Request(b"", binary=True),
        Request(b"", structure=True),
        Request(b"", body=False, structure=True),
        Request(b"", body=False),
    ],
)
def test_what_takes_more_than_that(request_: Request) -> None:
    assert text_at_once(BytesSource(b"a: b\n\nc"), request_) is None


def test_a_long_message_is_read_in_pieces() -> None:
    assert text_at_once(BytesSource(b"x" * CHUNK), Request(b"")) == b"x" * CHUNK
    assert text_at_once(BytesSource(b"x" * (CHUNK + 1)), Request(b"")) is None


@given(texts, partials)
def test_whole_message(text: bytes, partial: tuple[Any, ...]) -> None:
    expected = cut(crlf(text).replace(b"\0", b"\x80"), partial)
    assert body_of(text, partial=partial) == expected


@given(texts, st.sampled_from([1, 2, 3]))
def test_pieces_of_any_size_give_the_same(text: bytes, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "CHUNK", size)
        assert body_of(text) == crlf(text).replace(b"\0", b"\x80")


@given(texts)
def test_header_and_text_are_the_message(text: bytes) -> None:
    assert body_of(text, b"HEADER") + body_of(text, b"TEXT") == body_of(text)


def test_the_known_size_is_believed() -> None:
    source = BytesSource(b"a\nb\r\n")
    content = fetch(source, Request(b""), RULES_2_4_5, virtual_size=6)
    assert b"".join(content.chunks) == b"a\r\nb\r\n"
    # with no bare LF to be expected, none is looked for
    content = fetch(source, Request(b""), RULES_2_4_5, virtual_size=5)
    assert b"".join(content.chunks) == b"a\nb\r\n"
    content = fetch(source, Request(b"", 1, 2), RULES_2_4_5, virtual_size=6)
    assert b"".join(content.chunks) == b"\r\n"


def test_too_large_a_known_size_is_an_error_not_silence() -> None:
    content = fetch(BytesSource(b"a\nb"), Request(b""), RULES_2_4_5, virtual_size=100)
    assert content.size == 100
    with pytest.raises(ReadError):
        b"".join(content.chunks)


class OneReadSource:
    """Notes what is read, and reads nothing twice."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.read_bytes = 0

    def read(self, offset: int, length: int) -> bytes:
        assert offset == self.read_bytes
        length = min(length, self.size - offset)
        self.read_bytes += length
        return b"x" * length


def test_a_whole_message_of_known_size_is_read_once() -> None:
    source = OneReadSource(1_000_000)
    content = fetch(source, Request(b""), RULES_2_4_5, virtual_size=source.size)
    assert source.read_bytes == 0
    assert sum(map(len, content.chunks)) == source.read_bytes == 1_000_000
