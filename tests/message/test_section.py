"""The grammar of sections, and the way from their numbers to parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.message.errors import InvalidSection
from dovecot_urlauth.message.fetch import Request, fetch
from dovecot_urlauth.message.rules import RULES_2_4_5
from dovecot_urlauth.message.section import Section, Text, parse_section
from dovecot_urlauth.message.source import BytesSource
from tests.message.asking import ask, body_of

VALID = {
    b"": Section((), Text.WHOLE),
    b"1": Section((1,), Text.PART),
    b"1.02.3": Section((1, 2, 3), Text.PART),
    b"0": Section((0,), Text.PART),
    b"4294967297": Section((1,), Text.PART),
    b"99999999999999999999": Section((1661992959,), Text.PART),
    b"TEXT": Section((), Text.TEXT),
    b"header": Section((), Text.HEADER),
    b"1.mime": Section((1,), Text.MIME),
    b"1.2.Text": Section((1, 2), Text.TEXT),
    b"2.HEADER": Section((2,), Text.HEADER),
    b"HEADER.FIELDS (a)": Section((), Text.FIELDS, frozenset({b"a"})),
    b"HEADER.FIELDS  (a) ": Section((), Text.FIELDS, frozenset({b"a"})),
    b"HEADER.FIELDS(A b)": Section((), Text.FIELDS, frozenset({b"a", b"b"})),
    b'1.header.fields.not ("A \\"b" c])': Section((1,), Text.FIELDS_NOT, frozenset({b'a "b', b"c]"})),
}

INVALID = [
    b"1.", b".1", b"1..2", b"1a", b"1MIME", b"MIME", b"1.2.", b"FOO", b"1.FOO", b"HEADER.FOO", b"HEADERX", b"-1",
    b"HEADER.FIELDS", b"HEADER.FIELDS ()", b"HEADER.FIELDS (a", b"HEADER.FIELDS (a)(b)",
    b"HEADER.FIELDS a", b'HEADER.FIELDS ("a)', b"HEADER.FIELDS (a(b))", b"TEXT.1", b" 1",
    b"1 ", b"TEXT ", b"HEADER.FIELDS.NOTX (a)", b"1.\xe4", b"1\0",
]  # fmt: skip


@pytest.mark.parametrize("text", VALID)
def test_valid(text: bytes) -> None:
    assert parse_section(text) == VALID[text]


@pytest.mark.parametrize("text", INVALID)
def test_invalid(text: bytes) -> None:
    with pytest.raises(InvalidSection, match="Invalid section"):
        parse_section(text)


@given(st.text(st.sampled_from('01.MHEADRTXFILSNO ()"\\a\0')).map(str.encode) | st.binary(max_size=30))
def test_anything_is_a_section_or_invalid(text: bytes) -> None:
    try:
        section = parse_section(text)
    except InvalidSection:
        return
    assert len(section.path) == len([word for word in text.partition(b"(")[0].split(b".") if word.isdigit()])
    assert bool(section.fields) == (section.text in (Text.FIELDS, Text.FIELDS_NOT))


MESSAGE = b"""\
Subject: outer
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=o

--o
X: leaf

one
--o
Content-Type: message/rfc822

Subject: inner
 folded
To: a@b

two
--o
Content-Type: message/rfc822

Content-Type: multipart/mixed; boundary=i

--i

three
--i--
--o--
"""

PARTS = {
    b"1": b"one",
    b"0": b"one",
    b"1.1": b"one",
    b"1.MIME": b"X: leaf\r\n\r\n",
    b"1.1.MIME": b"X: leaf\r\n\r\n",
    b"2.1": b"two",
    b"2": b"Subject: inner\r\n folded\r\nTo: a@b\r\n\r\ntwo",
    b"2.MIME": b"Content-Type: message/rfc822\r\n\r\n",
    b"2.1.MIME": b"Subject: inner\r\n folded\r\nTo: a@b\r\n\r\n",
    b"2.HEADER": b"Subject: inner\r\n folded\r\nTo: a@b\r\n\r\n",
    b"2.HEADER.FIELDS (subject)": b"Subject: inner\r\n folded\r\n\r\n",
    b"2.HEADER.FIELDS.NOT (subject)": b"To: a@b\r\n\r\n",
    b"2.TEXT": b"two",
    b"3.1": b"three",
    b"3.TEXT": b"--i\r\n\r\nthree\r\n--i--\r\n",
    b"HEADER.FIELDS (SUBJECT)": b"Subject: outer\r\n\r\n",
    b"HEADER.FIELDS (none)": b"\r\n",
}

MISSING = [b"4", b"1.2", b"1.0", b"1.1.1", b"2.2", b"2.0", b"3.2", b"3.1.2", b"1.HEADER", b"1.TEXT", b"3.1.TEXT"]


@pytest.mark.parametrize("section", PARTS)
def test_part(section: bytes) -> None:
    assert body_of(MESSAGE, section) == PARTS[section]


@pytest.mark.parametrize("section", MISSING)
def test_missing_part_is_empty(section: bytes) -> None:
    assert body_of(MESSAGE, section) == b""
    assert ask(MESSAGE, section, binary=True).size == 0


def test_fields_of_a_header_without_end() -> None:
    assert body_of(b"To: a\nCc: b", b"HEADER.FIELDS (to)") == b"To: a\r\n\r\n"
    assert body_of(b"To: a\nCc: b", b"HEADER.FIELDS (cc)") == b"Cc: b\r\n"
    assert body_of(b"To: a\nCc: b", b"HEADER.FIELDS.NOT (to)") == b"Cc: b"


#: The stock worker's answers on each version, with a cache of fields that is not wholly cold; asked for FROM.
ENDLESS = {
    b"X: y\r\nFrom: a@b": b"From: a@b\r\n",
    b"X: y\r\nFrom: a@b\r": b"From: a@b\r\n",
    b"X: y\r\nFrom: a@b\r\r": b"From: a@b\r\r\n",
    b"X: y\r\nFrom: a@b\r\n": b"From: a@b\r\n\r\n",
    b"From: a@b\nX: y": b"From: a@b\r\n\r\n",
    b"From: a@b\nno colon": b"From: a@b\r\n\r\n",
    b"From: a@b\r\n\r": b"From: a@b\r\n\r\n",
    b"From: a@b\n ": b"From: a@b\r\n \r\n",
    b"From: a@b\n c": b"From: a@b\r\n c\r\n",
    b"From:": b"From:\r\n",
    b"X: y": b"\r\n",
    b"no colon": b"\r\n",
}


@pytest.mark.parametrize("structure", [False, True])
@pytest.mark.parametrize(("message", "expected"), ENDLESS.items())
def test_a_header_without_end(message: bytes, expected: bytes, structure: bool) -> None:
    """A last line without its end is completed, and nothing more; whether a structure is asked for is the same."""
    content = fetch(BytesSource(message), Request(b"HEADER.FIELDS (FROM)", structure=structure), RULES_2_4_5)
    assert (content.size, b"".join(content.chunks)) == (len(expected), expected)


def test_a_range_of_fields_is_a_slice_of_them() -> None:
    """Dovecot gives the CR where the range begins behind it, if the fields are not in its cache yet."""
    message = (Path(__file__).parents[1] / "messages/cases/header-fields-partial.eml").read_bytes()
    section = b"HEADER.FIELDS (X-A content-type)"
    assert body_of(message, section) == b"\r\n"
    assert body_of(message, section, partial=(1, 7)) == b"\n"
    assert body_of(message, section, partial=(1, 7), structure=True) == b"\n"
