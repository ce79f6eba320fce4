"""BODYPARTSTRUCTURE beside the collection of recordings: its strings, its corners, its limits."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from dovecot_urlauth.message import envelope
from dovecot_urlauth.message.errors import PartMissing, TooLarge
from dovecot_urlauth.message.parameters import FIELD_LIMIT
from dovecot_urlauth.message.quote import human, nstring, string, unfolded
from dovecot_urlauth.message.rules import RULES_2_3_19_DEBIAN, RULES_2_4_1
from tests.message.asking import ask, structure_of

PLAIN = b'"text" "plain" ("charset" "us-ascii") NIL NIL "7bit"'
REST = b"NIL NIL NIL NIL"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (b"", b'""'),
        (b"a", b'"a"'),
        (b'a"\\', b'"a\\"\\\\"'),
        (b'""\\\\', b'"\\"\\"\\\\\\\\"'),
        (b'"""""', b'{5}\r\n"""""'),
        (b"\xe4", b"{1}\r\n\xe4"),
        (b"a\nb", b"{3}\r\na\nb"),
    ],
)
def test_string(value: bytes, written: bytes) -> None:
    assert string(value) == nstring(value) == written
    assert nstring(None) == b"NIL"


@pytest.mark.parametrize(
    ("value", "written"),
    [(b"a\r\n b", b'"a b"'), (b"a\nb", b'"a b"'), (b"a\n\n\tb", b'"a\tb"'), (b"a\n", b'"a"'), (None, b"NIL")],
)
def test_unfolded(value: bytes | None, written: bytes) -> None:
    assert unfolded(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(b"  a \t\n b ", b'"a b"'), (b" ", b'""'), (b'a "b" ', b'{5}\r\na "b"'), (b"\xe4", b"{1}\r\n\xe4")],
)
def test_human(value: bytes, written: bytes) -> None:
    assert human(value) == written


def test_plain_text_forgets_how_it_was_spelled() -> None:
    message = b"Content-Type: TEXT/Plain; CHARSET=US-ASCII\nContent-Transfer-Encoding: 7BIT\n\nx\n"
    assert structure_of(message) == PLAIN + b" 3 1 " + REST
    assert structure_of(b"Content-ID: x\n" + message).startswith(b'"TEXT" "Plain" ("CHARSET" "US-ASCII")')


def test_content_fields_need_mime() -> None:
    assert structure_of(b"Content-ID: x\n\nx\n") == PLAIN + b" 3 1 " + REST
    assert structure_of(b"Content-ID: x\nMIME-Version: 1\n\nx\n") == (
        b'"text" "plain" ("charset" "us-ascii") "x" NIL "7bit" 3 1 ' + REST
    )


def test_everything_about_a_part() -> None:
    message = b"""\
MIME-Version: 1.0
Content-Type: image/png; name="a b"
Content-ID: <i>
Content-Description: d
 e
Content-Transfer-Encoding: BASE64
Content-MD5: m
Content-Disposition: attachment; filename=f
Content-Language: en, de
Content-Location: l

QQ==
"""
    assert structure_of(message) == (
        b'"image" "png" ("name" "a b") "<i>" "d e" "BASE64" 6 "m" ("attachment" ("filename" "f")) ("en" "de") "l"'
    )


def test_the_envelope_joins_addresses_and_takes_the_last_text() -> None:
    message = b"""\
Content-Type: message/rfc822

From: a@b
From: c@d
Subject: first
Subject: last
Reply-To: r@s

x
"""
    people = b'((NIL NIL "a" "b")(NIL NIL "c" "d"))'
    expected = b'(NIL "last" ' + people + b" " + people + b' ((NIL NIL "r" "s")) NIL NIL NIL NIL NIL)'
    assert expected in structure_of(message)


def test_structure_of_sections() -> None:
    message = b"""\
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: message/rfc822

Subject: s

in
--b--
"""
    assert structure_of(message, b"1.1") == structure_of(message, b"1.TEXT") == PLAIN + b" 2 0 " + REST
    assert structure_of(message, b"1.MIME").startswith(b'"message" "rfc822" NIL NIL NIL "7bit" 16 (NIL "s" NIL')
    assert structure_of(message, b"TEXT").endswith(b' "mixed" ("boundary" "b") NIL NIL NIL')
    with pytest.raises(PartMissing, match="Message part not found"):
        ask(message, b"2", structure=True)


DECODABLE = b"""\
Content-Type: multipart/mixed; boundary=b

--b

a
b
--b
Content-Transfer-Encoding: quoted-printable

a=
b
--b--
"""


def test_decoded_sizes() -> None:
    sizes = (b'"7bit" 4 1 ', b'"quoted-printable" 2 0 ')
    structure = structure_of(DECODABLE, binary=True, rules=RULES_2_3_19_DEBIAN)
    assert all(size in structure for size in sizes)
    structure = structure_of(DECODABLE, binary=True, rules=RULES_2_4_1)
    assert structure.count(b'"binary"') == 2
    assert b'"binary"' not in structure_of(b"a: b\n\nx\n", binary=True, rules=RULES_2_4_1)


def test_sizes_are_stored_ones_without_binary() -> None:
    assert b'"quoted-printable" 5 1 ' in structure_of(DECODABLE)


@pytest.mark.parametrize(
    "name", [b"Content-Type", b"Content-Disposition", b"Content-Language", b"Content-Transfer-Encoding"]
)
def test_a_field_that_is_read_in_one_step_has_a_limit(name: bytes) -> None:
    for size, refused in ((FIELD_LIMIT, False), (FIELD_LIMIT + 1, True)):
        message = b"MIME-Version: 1\n%s: %s\n\nx\n" % (name, b"(a)".ljust(size - 1) + b"b")
        with pytest.raises(TooLarge) if refused else nullcontext():
            ask(message, structure=True)


def test_a_structure_has_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    message = b"Content-Type: message/rfc822\n\nTo: a, b, c\n\n"
    monkeypatch.setattr(envelope, "WRITTEN_LIMIT", 60)
    with pytest.raises(TooLarge):
        ask(message, structure=True)
    monkeypatch.undo()
    monkeypatch.setattr(envelope, "ADDRESS_LIMIT", 6)
    with pytest.raises(TooLarge):
        ask(message, structure=True)
    monkeypatch.undo()
    assert structure_of(message).count(b"MISSING_DOMAIN") == 3
