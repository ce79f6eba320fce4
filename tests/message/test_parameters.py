"""Content types and parameters: each line was answered by the stock workers in these words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.message.parameters import content_type, parameters
from dovecot_urlauth.message.rules import RULES_2_3_13, RULES_2_3_19_DEBIAN, RULES_2_4_5, MessageRules
from dovecot_urlauth.message.tokens import Tokenizer

BOTH = {
    b";a=b": [(b"a", b"b")],
    b"; a=b; C=D": [(b"a", b"b"), (b"C", b"D")],
    b"(c);(c)a(c)=(c)b(c);c=d": [(b"a", b"b"), (b"c", b"d")],
    b';a="b c";d="\\"\\\\x\\y"': [(b"a", b"b c"), (b"d", b'"\\xy')],
    b';a="b\n c"': [(b"a", b"b c")],
    b';a="b\r\n c"': [(b"a", b"b c")],
    b';a="\0"': [(b"a", b"\xef\xbf\xbd")],
    b";a==?utf-8?q?b_c?= ;d=e": [(b"a", b"=?utf-8?q?b_c?="), (b"d", b"e")],
    b";a": [],
    b";a=": [(b"a", b"")],
    b";=b": [(b"", b"b")],
    b";a=b c;d=e": [(b"a", b"b"), (b"d", b"e")],
    b";a=b;": [(b"a", b"b")],
    b";;a=b": [],
    b';a="b': [],
    b";a=b(c": [],
    b";\xe4=\xe4": [(b"\xe4", b"\xe4")],
    b";a*b=c": [(b"a*b", b"c")],
}

JOINED = {
    b";a*=utf-8''%41": [(b"a*", b"utf-8''%41")],
    b";a*1=c;a*0=b": [(b"a", b"bc")],
    b";a*0*=x'y'%41;a*1=%41;A*2=z": [(b"A*2", b"z"), (b"a*0*", b"x'y'%41"), (b"a*1", b"%41")],
    b";a*0*=x'y'%41;a*1=%41": [(b"a*", b"x'y'%41%2541")],
    b";a*0=b;a*1*=%41": [(b"a*", b"''b%41")],
    b";a*1=b;c=d": [(b"c", b"d"), (b"a*1", b"b")],
    b";a*7=b;c*=d": [(b"a*7", b"b"), (b"c*7*", b"d")],
    b";a=1;a=2": [(b"a", b"1"), (b"a", b"2")],
    b";a**=c": [(b"a*", b"c")],
    b";a*4294967296=b": [(b"a", b"b")],
}

DECODED = {
    b";a*=utf-8''%41%C3%A4": [(b"a", b"A\xc3\xa4")],
    b";a*=iso-8859-1'en'%E4": [(b"a", b"\xc3\xa4")],
    b";a*=koi8-r''%C1": [(b"a", "\u0430".encode())],
    b";a*=KOI8R''%C1": [(b"a", "\u0430".encode())],
    b";a*=iso885915''%A4": [(b"a", "\u20ac".encode())],
    b";a*=utf16''%0%0": [(b"a", b"\xe3\x80\xa5" * 2)],
    b";a*=utf16be''%0%0": [(b"a", b"\xe2\x94\xb0" * 2)],
    b";a*=''%41": [(b"a", b"%41")],
    b";a*=x'%41": [(b"a", b"x'%41")],
    b";a*=rot13''%41": [(b"a", b"%41")],
    b";a*=utf-8''%FF": [(b"a", b"%FF")],
    b";a*=utf-8''%4": [(b"a", b"%4")],
    b";a*0*=utf-8''%C3%A4;a*1=%41;a*2*=%42": [(b"a", b"\xc3\xa4%41B")],
    b";a*1=b;a*2*=utf-8''%41": [(b"a*1", b"b"), (b"a*2", b"A")],
    b";a=1;A=2;a*=utf-8''3;a*0=4": [(b"a", b"1")],
    b";a**=c": [(b"a**", b"c")],
    b";a*4294967296=b": [(b"a", b"b")],
    b";a*4294967295=b": [(b"a*-1", b"b")],
    b";a*99999999999999999999=b": [(b"a*99999999999999999999", b"b")],
}


@pytest.mark.parametrize("text", JOINED)
def test_joined(text: bytes) -> None:
    assert parameters(Tokenizer(text), RULES_2_3_19_DEBIAN) == JOINED[text]


@pytest.mark.parametrize("text", DECODED)
def test_decoded(text: bytes) -> None:
    assert parameters(Tokenizer(text), RULES_2_4_5) == DECODED[text]


@pytest.mark.parametrize("text", BOTH)
@pytest.mark.parametrize("rules", [RULES_2_3_13, RULES_2_4_5], ids=["2.3.13", "2.4.5"])
def test_the_same_in_all_versions(text: bytes, rules: MessageRules) -> None:
    assert parameters(Tokenizer(text), rules) == BOTH[text]


def test_limit() -> None:
    text = b"".join(b";p%d=x" % number for number in range(200))
    assert len(parameters(Tokenizer(text), RULES_2_4_5)) == 128
    assert len(parameters(Tokenizer(text), RULES_2_3_13)) == 200


@pytest.mark.parametrize(
    ("text", "strict", "lenient"),
    [
        (b"text/plain", (b"text/plain", True), (b"text/plain", True)),
        (b" (c) Text (c) / (c) HTML (c) ;a=b", (b"Text/HTML", True), (b"Text/HTML", True)),
        (b"text/plain x", (b"", False), (b"text/plain", True)),
        (b"text", (b"text", False), (b"text", False)),
        (b"text x", (b"", False), (b"text", False)),
        (b"text/", (b"", False), (b"text", False)),
        (b"/plain", (b"", False), (b"/plain", True)),
        (b"text/plain (x", (b"", False), (b"text/plain", False)),
        (b"", (b"", False), (b"", False)),
    ],
)
def test_content_type(text: bytes, strict: tuple[bytes, bool], lenient: tuple[bytes, bool]) -> None:
    assert content_type(Tokenizer(text), RULES_2_3_19_DEBIAN) == strict
    if text != b"/plain":
        assert content_type(Tokenizer(text), RULES_2_3_13) == lenient


@given(st.text(st.sampled_from(";=*0'\"\\%a( )\n\0")).map(str.encode))
def test_any_text_has_parameters(text: bytes) -> None:
    for rules in (RULES_2_3_19_DEBIAN, RULES_2_4_5):
        for name, value in parameters(Tokenizer(text), rules):
            assert b"\0" not in name + value
