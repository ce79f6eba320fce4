"""The date-time of EXPIRE against the standard library's, and a table of what is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.url.expire import InvalidDateTime, parse_date_time

VALID = {
    b"1970-01-01T00:00:00Z": 0,
    b"1970-01-01t00:00:00z": 0,
    b"1970-01-01T00:00:00-00:00": 0,
    b"1970-01-01T01:30:00+01:30": 0,
    b"1969-12-31T00:01:00-23:59": 0,
    b"2030-01-01T00:00:00Z": 1893456000,
    b"2030-01-01T00:00:00.0123456789Z": 1893456000,
    b"2016-12-31T23:59:60Z": 1483228799,
    b"2000-02-29T12:00:00Z": 951825600,
    b"1900-01-01T00:00:00Z": -2208988800,
    b"1969-12-31T23:59:58Z": -2,
    b"9999-12-31T23:59:59Z": 253402300799,
}

INVALID = [
    b"",
    b"Z",
    b"2030-01-01",
    b"2030-01-01T00:00:00",
    b"2030-01-01T00:00Z",
    b"2030-01-01 00:00:00Z",
    b"30-01-01T00:00:00Z",
    b"2030-1-01T00:00:00Z",
    b"02030-01-01T00:00:00Z",
    b"1899-12-31T23:59:59Z",
    b"2030-00-01T00:00:00Z",
    b"2030-13-01T00:00:00Z",
    b"2030-01-00T00:00:00Z",
    b"2030-01-32T00:00:00Z",
    b"2030-04-31T00:00:00Z",
    b"2030-02-29T00:00:00Z",
    b"1900-02-29T00:00:00Z",
    b"2030-01-01T24:00:00Z",
    b"2030-01-01T00:60:00Z",
    b"2030-01-01T00:00:61Z",
    b"2030-01-01T00:00:00.Z",
    b"2030-01-01T00:00:00.1",
    b"2030-01-01T00:00:00.xZ",
    b"2030-01-01T00:00:00Zx",
    b"2030-01-01T00:00:00+24:00",
    b"2030-01-01T00:00:00+00:60",
    b"2030-01-01T00:00:00+0000",
    b"2030-01-01T00:00:00+00",
    b"2030-01-01T00:00:00+00:000",
    b"2030-01-01T00:00:00 00:00",
    b"-030-01-01T00:00:00Z",
    b"2030-01-01T00:00:\xd9\xa0Z",
    b"1969-12-31T23:59:59Z",
    b"1969-12-31T23:59:60Z",
]


@pytest.mark.parametrize("text", VALID)
def test_valid(text: bytes) -> None:
    assert parse_date_time(text) == VALID[text]


@pytest.mark.parametrize("text", INVALID)
def test_invalid(text: bytes) -> None:
    with pytest.raises(InvalidDateTime):
        parse_date_time(text)


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)),
    st.integers(-24 * 60 + 1, 24 * 60 - 1),
)
def test_agrees_with_the_standard_library(moment: Any, minutes: int) -> None:
    moment = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    assert (
        parse_date_time(moment.isoformat().encode()) == (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    )


@given(st.binary(max_size=40) | st.text("0123456789-:TtZz+.", min_size=19, max_size=30).map(str.encode))
def test_any_bytes_give_a_time_or_the_documented_error(text: bytes) -> None:
    try:
        assert isinstance(parse_date_time(text), int)
    except InvalidDateTime:
        pass
