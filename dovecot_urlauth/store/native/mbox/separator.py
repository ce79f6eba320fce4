"""From_ lines: what stands between the messages of an mbox file.

lib-mail/mbox-from.c and index/mbox/istream-raw-mbox.c.  Offsets in the index point at the line end in front of a
From_ line, which belongs to no message.  What Dovecot takes for such a line is a wide field (dates in two orders,
named time zones, no seconds); here only a line is one that it certainly takes, for Dovecot is asked about others.
"""

from __future__ import annotations

START = b"From "
LINE_LIMIT = 1024
"""Bytes of a From_ line; a sender's address has some dozen, Dovecot's limit is its buffer."""

_MONTHS = b"jan feb mar apr may jun jul aug sep oct nov dec".split()
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SMALLEST = 21
"""Bytes of a date without seconds and time zone, which Dovecot wants to see."""


def separator_size(data: bytes, *, is_first: bool) -> int:
    """Size of the line end and From_ line that ``data`` begins with, 0 if it does not.

    ``is_first``: at the beginning of the file no line end comes before.
    """
    start = 0
    if not is_first:
        start = 2 if data.startswith(b"\r\n") else 1
        if data[start - 1 : start] != b"\n":
            return 0
    if data[start : start + len(START)] != START:
        return 0
    end = data.find(b"\n", start, start + LINE_LIMIT)
    if end < 0 or not is_from_line(data[start:end]):
        return 0
    return end + 1


def is_from_line(line: bytes) -> bool:
    """Whether Dovecot certainly takes ``line``, without its LF, for a From_ line."""
    sender = line[len(START) :].removesuffix(b"\r")
    if sender.startswith(b'"'):
        end = _end_of_quoted(sender)
        if end < 0:
            return False
        sender = sender[end:]
    _, space, rest = sender.partition(b" ")
    date = rest.lstrip(b" ")
    return bool(space) and len(date) >= _SMALLEST and b"\r" not in date and _is_date(date)


def _end_of_quoted(text: bytes) -> int:
    escaped = False
    for at in range(1, len(text)):
        if text[at] == 0x22 and not escaped:
            return at + 1
        escaped = text[at] == 0x5C
    return -1


def _is_date(date: bytes) -> bool:
    """``Thu Nov  9 22:33:52 2001``, with a time zone before or behind the year, or without seconds."""
    words = date.split(b" ")
    if not words[3:4] or len(words[0]) != 3:
        return False
    if not words[2]:  # asctime(3) writes a day of one digit with two spaces
        del words[2]
    if len(words) < 4:
        return False
    month, day, clock, *rest = words[1:]
    if rest and _is_zone(rest[0]):
        del rest[0]
    if month.lower() not in _MONTHS or not rest or not _is_clock(clock):
        return False
    year = _number(rest[0], 4, 4)
    days = _DAYS[_MONTHS.index(month.lower())]
    if days == 29 and year % 4:
        days = 28
    return 1970 <= year < 2100 and 1 <= _number(day, 1, 2) <= days


def _is_clock(text: bytes) -> bool:
    parts = text.split(b":")
    limits = (24, 60, 60)
    return len(parts) in (2, 3) and all(0 <= _number(part, 2, 2) < limit for part, limit in zip(parts, limits))


def _is_zone(text: bytes) -> bool:
    if text[:1] in (b"+", b"-"):
        return 0 <= _number(text[1:], 4, 4) < 2400
    return text.isalpha()


def _number(text: bytes, shortest: int, longest: int) -> int:
    return int(text) if shortest <= len(text) <= longest and text.isdigit() else -1
