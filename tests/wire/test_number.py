"""Numbers and VERSION lines of the wire: what Dovecot takes for one, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.number import PID_MAX, UINT32_MAX, UINT64_MAX, decimal
from dovecot_urlauth.wire.version import auth_version, is_version, version_fault, version_line

NAME = b"imap-urlauth"

numbers = st.integers(0, UINT32_MAX)
words = st.sampled_from([b"VERSION", b"\t", NAME, b"2", b"0", b"-1", b"\x01", b"4294967296", b"x"])


@pytest.mark.parametrize(
    ("field", "value"),
    [(b"0", 0), (b"007", 7), (b"4294967295", UINT32_MAX), (b"4294967296", None), (b"", None), (b"-1", None),
     (b"+1", None), (b" 1", None), (b"1_0", None), ("\u0663".encode(), None), (b"0" * 64, 0), (b"0" * 65, None)],
)  # fmt: skip
def test_decimal(field: bytes, value: int | None) -> None:
    assert decimal(field) == value


@given(st.binary() | st.text("0123456789").map(str.encode), st.sampled_from([PID_MAX, UINT32_MAX, UINT64_MAX]))
def test_any_bytes_are_a_number_or_none(field: bytes, maximum: int) -> None:
    value = decimal(field, maximum)
    if value is not None:
        assert 0 <= value <= maximum
        assert field.lstrip(b"0") == (b"%d" % value).lstrip(b"0")


@given(numbers, numbers)
def test_a_line_that_is_written_is_read(major: int, minor: int) -> None:
    line = version_line(NAME, major, minor).rstrip(b"\n")
    assert is_version(line, NAME, major)
    assert version_fault(line, NAME, major) is None
    assert not is_version(line, NAME, major + 1)
    assert auth_version(b"VERSION\t%d\t%d" % (major, minor)) == (major, minor)


@given(st.lists(words | st.binary(max_size=5)).map(b"".join))
def test_any_line_is_a_version_or_not(line: bytes) -> None:
    fault = version_fault(line, NAME, 2)
    if is_version(line, NAME, 2):
        assert fault is None
    if fault is None:
        assert line.startswith(b"VERSION\t" + NAME)
    assert (auth_version(line) is not None) <= line.startswith(b"VERSION\t")
