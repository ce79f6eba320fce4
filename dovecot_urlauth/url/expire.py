"""The date-time of ``;EXPIRE=`` (RFC 3339, in the reading of lib/iso8601-date.c)."""

from __future__ import annotations

DIGITS = b"0123456789"
ZULU = (b"Z", b"z")
FIRST_YEAR = 1900  # struct tm counts from it
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
DAYS_TO_1970 = 719162  # from 0001-01-01
DATE_TIME = b"0000-00-00T00:00:00"


class InvalidDateTime(Exception):
    """The text is no date and time, or one that does not exist."""


def parse_date_time(text: bytes) -> int:
    """Unix time (seconds) of ``yyyy-mm-ddThh:mm:ss[.digits](Z|+hh:mm|-hh:mm)``.

    A leap second is the second before it, and the fraction is dropped.  Raises
    :class:`InvalidDateTime`.
    """
    fields, rest = text[: len(DATE_TIME)], text[len(DATE_TIME) :]
    if _shape(fields.upper()) != DATE_TIME:
        raise InvalidDateTime(text)
    year, month, day = int(fields[0:4]), int(fields[5:7]), int(fields[8:10])
    hour, minute, second = int(fields[11:13]), int(fields[14:16]), int(fields[17:19])
    if year < FIRST_YEAR or not 1 <= month <= 12 or not 1 <= day <= _days_in_month(year, month):
        raise InvalidDateTime(text)
    if hour > 23 or minute > 59 or second > 60:
        raise InvalidDateTime(text)
    days = _days_before_year(year) + _days_before_month(year, month) + day - 1 - DAYS_TO_1970
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + min(second, 59)
    if seconds == -1:
        raise InvalidDateTime(text)  # what mktime(3) answers when it fails
    return seconds - _offset(_skip_fraction(rest))


def _shape(text: bytes) -> bytes:
    return text.translate(bytes.maketrans(DIGITS, b"0" * 10))


def _skip_fraction(rest: bytes) -> bytes:
    if not rest.startswith(b"."):
        return rest
    after = rest[1:].lstrip(DIGITS)
    if len(after) == len(rest) - 1:
        raise InvalidDateTime(rest)
    return after


def _offset(text: bytes) -> int:
    """Seconds east of UTC."""
    if text in ZULU:
        return 0
    if _shape(text[1:]) != b"00:00" or text[:1] not in (b"+", b"-"):
        raise InvalidDateTime(text)
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 23 or minutes > 59:
        raise InvalidDateTime(text)
    seconds = (hours * 60 + minutes) * 60
    return -seconds if text.startswith(b"-") else seconds


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days_in_month(year: int, month: int) -> int:
    return MONTH_DAYS[month - 1] + (month == 2 and _is_leap(year))


def _days_before_year(year: int) -> int:
    past = year - 1
    return past * 365 + past // 4 - past // 100 + past // 400


def _days_before_month(year: int, month: int) -> int:
    return sum(_days_in_month(year, earlier) for earlier in range(1, month))
