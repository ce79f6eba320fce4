"""Field lists as the stock worker takes them: each text was put to 2.3.19.1 and 2.4.1 behind HEADER.FIELDS."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.message.errors import InvalidSection
from dovecot_urlauth.message.fieldlist import parse_field_list

TAKEN = {
    b"(a)": {b"a"},
    b"  (a)  ": {b"a"},
    b" (  A  b  )": {b"a", b"b"},
    b" (a]b)": {b"a]b"},
    b" (a\\b)": {b"a\\b"},
    b" (\\)": {b"\\"},
    b" (a% *)": {b"a%", b"*"},
    b" (nil)": {b"nil"},
    b' ("a""b"c)': {b"a", b"b", b"c"},
    b' ("a\\"b")': {b'a"b'},
    b' ("")': {b""},
    b' ("a\xe4")': {b"a\xe4"},
    b" ({1}\r\na)": {b"a"},
    b" ({1+}\na b)": {b"a", b"b"},
    b" ({01}\r\nab)": {b"a", b"b"},
    b" ({+}\r\n a)": {b"", b"a"},
    b" ({3}\r\na\r\nb)": {b"a\r\n", b"b"},
    b" (a)\r": {b"a"},
    b" (a)\r\nx": {b"a"},
    b" (a)\nx": {b"a"},
    b" (a)~": {b"a"},
    b' (a) "b': {b"a"},
    b' (a) "\\': {b"a"},
    b" (a){1+": {b"a"},
    b" (a){}": {b"a"},
    b" (a){1}\r": {b"a"},
    b" (a){1}\r\n": {b"a"},
}

REFUSED = (
    b"", b" ", b"()", b" ( )", b"a", b'"a"', b"(a", b"(a))", b"(a)(b)", b"(a) b", b"\t(a)", b"\r\n(a)", b"(a)\t",
    b"(a)\rx", b"(a)\r\r\n", b"(a\tb)", b"(a\r\nb)", b"((a))", b"(a ())", b"(a(b))", b'(a"b")', b"(a{b)",
    b"(a\xe4)", b"(a\x7f)", b'("a', b'("a\nb")', b'("a\\\nb")', b"({})", b"({a})", b"({-1}\r\na)", b"({1 }\r\na)",
    b"({1}a)", b"({1}\ra)", b"({2}\r\na)", b"({1}\r\n)", b"({1++}\r\na)", b"({18446744073709551617}\r\na)",
    b"(~{1}\r\na)",
    b"(a)}", b'(a) "b"', b'(a) "b\n', b"(a){x", b"(a){1}x", b"(a){1}\r\nb", b"(a) ~{", b"(a) (", b"(a)\\",
)  # fmt: skip


@pytest.mark.parametrize("text", TAKEN)
def test_taken(text: bytes) -> None:
    assert parse_field_list(text) == TAKEN[text]


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: bytes) -> None:
    with pytest.raises(InvalidSection):
        parse_field_list(text)


#: What the grammar is made of.
BITS = (b"(", b")", b'"', b"\\", b"{", b"}", b"+", b"1", b"\r\n", b"\n", b" ", b"a", b"~")


@given(st.lists(st.sampled_from(BITS)))
def test_any_bytes_are_names_or_the_one_error(bits: list[bytes]) -> None:
    try:
        assert parse_field_list(b"(" + b"".join(bits))
    except InvalidSection:
        pass
