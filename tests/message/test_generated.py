"""What holds for every message and every section, shown on generated messages and on arbitrary bytes."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.message import body, window
from dovecot_urlauth.message.fetch import MessageError, Request, fetch
from dovecot_urlauth.message.part import Part
from dovecot_urlauth.message.rules import RULES_2_3_13, RULES_2_3_19_DEBIAN, RULES_2_4_1, RULES_2_4_5, MessageRules
from dovecot_urlauth.message.source import BytesSource
from dovecot_urlauth.message.steps import run_through
from dovecot_urlauth.message.tree import parse
from tests.message.imaplist import read
from tests.message.messages import MessageMaker

ALL_RULES = [RULES_2_3_13, RULES_2_3_19_DEBIAN, RULES_2_4_1, RULES_2_4_5]
SECTIONS = [
    b"", b"TEXT", b"HEADER", b"1", b"2", b"1.1", b"1.2", b"2.1.1", b"1.MIME", b"1.1.MIME", b"1.HEADER", b"2.TEXT",
    b"HEADER.FIELDS (subject content-type)", b"HEADER.FIELDS.NOT (to)", b"1.HEADER.FIELDS (from)",
]  # fmt: skip

BITS = [b"--", b"a", b"--a", b"\n", b"\r\n", b"\r", b":", b" ", b"\0", b"(", b'"', b";", b"=", b"=41", b"QQ=="]
LINES = [
    b"Content-Type: multipart/mixed; boundary=a\n",
    b"Content-Type: message/rfc822\n",
    b"Content-Transfer-Encoding: base64\n",
    b"Content-Transfer-Encoding: quoted-printable\n",
    b"MIME-Version: 1\n",
    b"To: a@b\n",
]
broken = st.lists(st.sampled_from(BITS + LINES)).map(b"".join)
messages = st.integers(0, 1 << 32).map(lambda seed: MessageMaker(Random(seed)).make()) | broken | st.binary()
requests = st.builds(
    Request,
    st.sampled_from(SECTIONS),
    st.integers(0, 50),
    st.none() | st.integers(1, 50),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


def answer(message: bytes, request: Request, rules: MessageRules) -> tuple[object, ...]:
    """All of an answer, or the words that refuse it."""
    try:
        content = fetch(BytesSource(message), request, rules)
        data = b"".join(content.chunks)
    except MessageError as error:
        return type(error), error.text
    assert len(data) == content.size
    assert content.has_nuls == (b"\0" in data)
    assert request.binary or not content.has_nuls
    assert (content.structure is not None) == request.structure
    return content.structure, data


@given(messages, requests, st.sampled_from(ALL_RULES))
def test_what_is_announced_is_sent(message: bytes, request: Request, rules: MessageRules) -> None:
    answer(message, request, rules)


#: Where one piece read of a message ends and the next begins.
PIECE_END = 100 * 1024


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("beginning", range(PIECE_END - 12, PIECE_END + 2))
def test_a_delimiter_line_across_the_end_of_a_piece(beginning: int, newline: bytes) -> None:
    header = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n"
    text = header + b"x" * (beginning - len(header)) + newline + b"--b--" + newline
    [part] = run_through(parse(BytesSource(text), RULES_2_4_5)).children
    assert (part.body_size.virtual, part.body_size.lines) == (beginning - len(header), 0)


@given(messages, requests, st.sampled_from([1, 2, 3, 7, 100]))
def test_pieces_of_any_size_give_the_same(message: bytes, request: Request, size: int) -> None:
    expected = answer(message, request, RULES_2_4_5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "CHUNK", size)
        patch.setattr(window, "_FIRST_READ", size)
        patch.setattr(window, "_READ", size)
        assert answer(message, request, RULES_2_4_5) == expected


@given(messages, requests)
def test_a_partial_range_is_a_piece_of_the_whole(message: bytes, request: Request) -> None:
    whole = answer(message, Request(request.section, 0, None, True, request.binary), RULES_2_4_5)
    piece = answer(message, Request(request.section, 5, 7, True, request.binary), RULES_2_4_5)
    if isinstance(whole[1], bytes):
        assert piece == (None, whole[1][5:12])
    else:
        assert piece == whole


@given(messages, st.sampled_from(ALL_RULES), st.booleans())
def test_a_structure_is_what_rfc_3501_allows(message: bytes, rules: MessageRules, binary: bool) -> None:
    structure = answer(message, Request(b"", 0, None, False, binary, True), rules)[0]
    if isinstance(structure, bytes):
        check_structure(read(structure))


def check_structure(items: list[Any]) -> None:
    """``body-type-mpart`` or ``body-type-1part``, with all of its extension data."""
    if isinstance(items[0], list):
        *parts, subtype, _, _, _, _ = items
        assert isinstance(subtype, bytes)
        for part in parts:
            check_structure(part)
        return
    kind, subtype, _, _, _, encoding, size, *rest = items
    assert all(isinstance(text, bytes) for text in (kind, subtype, encoding))
    assert isinstance(size, int)
    if kind.lower() == b"text":
        assert isinstance(rest.pop(0), int)
    elif (kind, subtype) == (b"message", b"rfc822"):
        envelope, inner, lines = rest[:3]
        del rest[:3]
        assert (len(envelope), isinstance(lines, int)) == (10, True)
        check_structure(inner)
    assert len(rest) == 4


@given(messages)
def test_parts_lie_inside_each_other_in_order(message: bytes) -> None:
    root = run_through(parse(BytesSource(message), RULES_2_4_5))
    assert (root.start.offset, root.body_end) == (0, len(message))
    check_order(root)


def check_order(part: Part) -> None:
    place = part.body.offset
    assert part.start.offset <= place
    for child in part.children:
        assert place <= child.start.offset
        check_order(child)
        place = child.body_end
    assert place <= part.body_end


@given(messages)
def test_lines_are_those_of_the_bytes(message: bytes) -> None:
    waiting = [run_through(parse(BytesSource(message), RULES_2_4_5))]
    while waiting:
        part = waiting.pop()
        waiting += part.children
        text = message[part.body.offset : part.body_end]
        size = part.body_size
        assert (size.physical, size.lines) == (len(text), text.count(b"\n"))
        assert size.virtual == len(text) + text.count(b"\n") - text.count(b"\r\n")
