"""Header fields beside what structures show of them: lines longer than Dovecot has at hand."""

from __future__ import annotations

import pytest

from dovecot_urlauth.message.header import HeaderReader
from dovecot_urlauth.message.rules import RULES_2_4_5
from dovecot_urlauth.message.source import BytesSource
from dovecot_urlauth.message.window import Window

#: A line of so many bytes, with its line end, is divided.
DIVIDED = 8192


def value(text: bytes) -> bytes:
    """The value of the message's first field."""
    field = next(filter(None, HeaderReader(Window(BytesSource(text)), RULES_2_4_5).fields(0)))
    assert field is not None
    return field.value


@pytest.mark.parametrize(
    ("blanks", "kept"),
    [(b"", b""), (b" ", b" "), (b"  ", b" "), (b"\t", b"\t"), (b"\t \t", b" \t"), (b" " * 100, b" " * 99)],
)
def test_blanks_before_a_long_value(blanks: bytes, kept: bytes) -> None:
    text = b"x" * DIVIDED
    assert value(b"A:" + blanks + text + b"\n\n") == kept + text


def test_blanks_before_a_long_value_with_a_blank_in_the_first_piece() -> None:
    text = b"x" * 8000 + b" " + b"x" * 8000
    assert value(b"A:  " + text + b"\n\n") == text


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_the_length_from_which_a_line_is_divided(newline: bytes) -> None:
    room = DIVIDED - len(b"A: " + newline)
    assert value(b"A: " + b"x" * (room - 1) + newline + newline) == b"x" * (room - 1)
    assert value(b"A: " + b"x" * room + newline + newline) == b" " + b"x" * room


def test_a_colon_that_is_the_last_of_a_piece() -> None:
    name = b"A" + b" " * (DIVIDED - 2)
    assert value(name + b": x\n\n") == b" x"
    assert value(name + b":x\n\n") == b"x"


def test_a_colon_that_is_too_far_away() -> None:
    assert value(b"A" + b" " * DIVIDED + b": x\n\n").endswith(b": x")
    assert value(b"A" + b" " * 8000 + b": x\n\n") == b"x"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"a (b\n ", b"a (b "),
        (b"a (b\r\n\t\r\n", b"a (b\t"),
        (b"a (b\n \n c", b"a (b \n c"),
        (b"a (b\n  ", b"a (b\n  "),
        (b"a (b\n \r\r\n", b"a (b\n \r"),
    ],
)
def test_a_line_that_is_one_blank_has_no_line_end_before_it(lines: bytes, expected: bytes) -> None:
    assert value(b"To: " + lines) == expected
