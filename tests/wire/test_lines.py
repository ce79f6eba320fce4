from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.lines import LineBuffer, ProtocolError
from dovecot_urlauth.wire.number import PID_MAX, UINT32_MAX, decimal
from dovecot_urlauth.wire.readable import readable
from dovecot_urlauth.wire.version import auth_version, is_version, version_fault, version_line
from tests.wire.feeding import same_in_pieces

LIMIT = 10


def _reader() -> tuple[Callable[..., Any], Callable[..., Any]]:
    buffer = LineBuffer(LIMIT)
    return buffer.append, buffer.next_line


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a", []),
        (b"a\n", [b"a"]),
        (b"a\r\nb\n", [b"a", b"b"]),
        (b"\n\n", [b"", b""]),
        (b"\r\n", [b""]),
        (b"a\r\r\n", [b"a\r"]),
        (b"\ra\n", [b"\ra"]),
        (b"123456789\n" * 3, [b"123456789"] * 3),
    ],
)
def test_lines(data: bytes, lines: list[bytes]) -> None:
    assert same_in_pieces(_reader, data) == (lines, None)


@pytest.mark.parametrize("tail", [b"", b"\n", b"5678\n"])
def test_a_line_above_the_limit_is_refused_after_the_good_ones(tail: bytes) -> None:
    lines, error = same_in_pieces(_reader, b"good\n" + b"x" * LIMIT + tail)
    assert lines == [b"good"]
    assert error is not None
    assert error.text == "Input line too long"


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    lines, error = same_in_pieces(_reader, data)
    if error is None:
        assert lines == [line.removesuffix(b"\r") for line in data.split(b"\n")[:-1]]


def test_rest_is_what_follows_the_lines_taken() -> None:
    buffer = LineBuffer(100)
    buffer.append(b"one\ntwo\nthree")
    assert buffer.next_line() == b"one"
    assert buffer.take(2) == b"tw"
    assert buffer.rest() == b"o\nthree"
    assert buffer.rest() == b""


def test_time_is_linear_in_the_bytes() -> None:
    """A long line in single bytes, many short lines in one piece: minutes if either were quadratic."""
    started = time.process_time()
    slow = LineBuffer(1 << 20)
    for _ in range(1 << 19):
        slow.append(b"x")
        assert slow.next_line() is None
    many = LineBuffer(100)
    many.append(b"x\n" * (1 << 19))
    while many.next_line() is not None:
        pass
    assert time.process_time() - started < 20


def test_an_error_shows_its_first_line_or_its_reason() -> None:
    assert ProtocolError("first", "second", reason="why").text == "first"
    assert ProtocolError(reason="why").text == "why"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"0", 0),
        (b"007", 7),
        (b"4294967295", UINT32_MAX),
        (b"4294967296", None),
        (b"", None),
        (b"-1", None),
        (b"+1", None),
        (b" 1", None),
        (b"1_0", None),
        (b"0x1", None),
        ("٣".encode(), None),
        (b"9" * 5000, None),
    ],
)
def test_decimal(field: bytes, value: int | None) -> None:
    assert decimal(field) == value


def test_decimal_maximum() -> None:
    assert decimal(b"2147483647", PID_MAX) == PID_MAX
    assert decimal(b"2147483648", PID_MAX) is None


VALID_VERSIONS = [b"VERSION\tx\t2\t0", b"VERSION\tx\t2\t99"]
INVALID_VERSIONS = [
    (b"", "didn't reply with a valid VERSION line: "),
    (b"VERSION", "didn't reply with a valid VERSION line: VERSION"),
    (b"VERSION\tx\t2", "didn't reply with a valid VERSION line: VERSION\tx\t2"),
    (b"version\tx\t2\t0", "didn't reply with a valid VERSION line: version\tx\t2\t0"),
    (b"VERSION\tx\t2\tz", "didn't reply with a valid VERSION line: VERSION\tx\t2\tz"),
    (b"VERSION\tx\t-2\t0", "didn't reply with a valid VERSION line: VERSION\tx\t-2\t0"),
    (b"VERSION\ty\t2\t0", "Received wrong socket type. We want 'x', but received 'y' (wrong socket path?)"),
    (
        b"VERSION\tx\t3\t0",
        "Socket supports major version 3, but we support only 2 (mixed old and new binaries?)",
    ),
]


@pytest.mark.parametrize("line", VALID_VERSIONS)
def test_version_accepted_whatever_the_minor(line: bytes) -> None:
    assert is_version(line, b"x", 2)
    assert version_fault(line, b"x", 2) is None


@pytest.mark.parametrize(("line", "fault"), INVALID_VERSIONS)
def test_version_refused(line: bytes, fault: str) -> None:
    assert not is_version(line, b"x", 2)
    assert version_fault(line, b"x", 2) == readable(fault)


def test_version_line_is_a_version() -> None:
    assert version_line(b"imap-urlauth", 2, 0) == b"VERSION\timap-urlauth\t2\t0\n"


@pytest.mark.parametrize(
    ("line", "version"),
    [
        (b"VERSION\t1\t2", (1, 2)),
        (b"VERSION\t1", None),
        (b"VERSION\t1\t2\t3", None),
        (b"VERSION\t1\tx", None),
        (b"SPID\t1\t2", None),
    ],
)
def test_auth_version_has_no_name(line: bytes, version: tuple[int, int] | None) -> None:
    assert auth_version(line) == version
