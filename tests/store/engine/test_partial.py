"""Which ranges an engine is asked for, so that nobody sees where Dovecot 2.4 cuts wrongly."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.message.request import Request
from dovecot_urlauth.store.engine.partial import begins_inside_a_line_end, one_byte_earlier, without_first_byte
from tests.store.waiting import gather, wait

TEXTS = st.lists(st.sampled_from([b"\r\n", b"\r", b"a", b"bc", b"\r\n\r\n"]), max_size=12).map(b"".join)


def dovecot(mail: bytes, request: Request, *, is_2_4: bool) -> bytes:
    """The range as lib-mail cuts it, in a mail stored with CRLF."""
    offset, size = request.partial_offset, request.partial_size
    text = mail[offset:]
    if is_2_4 and offset and mail[offset - 1 : offset + 1] == b"\r\n":
        text = (b"\r" + text)[: len(text)]
    return text if size is None else text[:size]


def cut(mail: bytes, request: Request, *, is_2_4: bool) -> bytes:
    """The range as EngineMailbox.fetch puts it together."""

    async def read(probe: Request) -> bytes:
        return dovecot(mail, probe, is_2_4=is_2_4)

    async def chunks(data: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(data), 3):
            yield data[at : at + 3]

    if not wait(begins_inside_a_line_end(request, read)):
        return dovecot(mail, request, is_2_4=is_2_4)
    data = dovecot(mail, one_byte_earlier(request), is_2_4=is_2_4)
    return b"".join(wait(gather(without_first_byte(chunks(data)))))


@given(TEXTS, st.integers(0, 20), st.sampled_from([1, 2, 3, None]), st.booleans())
def test_every_range_is_right(text: bytes, offset: int, size: int | None, is_2_4: bool) -> None:
    mail = text + b"end"
    expected = mail[offset:] if size is None else mail[offset : offset + size]
    assert cut(mail, Request(b"", offset, size), is_2_4=is_2_4) == expected


@pytest.mark.parametrize(
    "request_", [Request(b""), Request(b"", 3, binary=True), Request(b"", 3, body=False, structure=True)], ids=repr
)
def test_what_costs_no_question(request_: Request) -> None:
    async def read(probe: Request) -> bytes:
        raise AssertionError(f"asked for {probe}")

    assert not wait(begins_inside_a_line_end(request_, read))
