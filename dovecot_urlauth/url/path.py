"""The path of an IMAP URL: which mailbox, message, section and bytes it names (RFC 5092, section 11).

    /mail/box;UIDVALIDITY=1/;UID=2/;SECTION=1.2/;PARTIAL=0.99

A raw ``;`` separates; one that belongs to a name is percent-encoded.  What follows another ``;`` in
the last segment is the extension (URLAUTH), handed back unread.  Texts and order of errors are
those of lib-imap/imap-url.c.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.url.uri import InvalidURL, decode, show

NUMBER_LIMIT = 2**32 - 1
OFFSET_LIMIT = 2**64 - 1
SHOWN_LIMIT = 80  # bytes of the URL in an error text


@frozen
class Partial:
    """The bytes wanted, in octets; ``size`` 0 means to the end."""

    offset: int
    size: int


@frozen
class Location:
    """What a path names; names are decoded, absent numbers are 0."""

    mailbox: bytes | None
    uidvalidity: int
    uid: int
    section: bytes | None
    partial: Partial | None
    extension: bytes | None


class _Segments:
    """The path's segments, read from left to right, and the extension once its ``;`` has been met."""

    def __init__(self, segments: list[bytes]) -> None:
        self.segments = segments
        self.at = 0
        self.extension: bytes | None = None

    @property
    def current(self) -> bytes | None:
        return self.segments[self.at] if self.at < len(self.segments) else None

    @property
    def is_last(self) -> bool:
        return self.at == len(self.segments) - 1

    def keyword(self, name: bytes) -> bytes | None:
        """The current segment's value if it is ``;name=value``."""
        current = self.current
        if current is None or current[: len(name)].upper() != name:
            return None
        return current[len(name) :]

    def cut_extension(self, value: bytes) -> bytes:
        """The value before its ``;``; the rest becomes the extension."""
        value, semicolon, rest = value.partition(b";")
        if semicolon:
            self.extension = semicolon + rest
        return value


def parse_location(segments: list[bytes]) -> Location:
    """Read a path, given as its raw segments; raises :class:`InvalidURL`."""
    reader = _Segments(segments)
    mailbox, uidvalidity = _parse_mailbox(reader)
    uid = _parse_uid(reader)
    section = _parse_section(reader) if uid else None
    partial = _parse_partial(reader) if uid else None
    rest = reader.current
    if rest is not None and (reader.extension is not None or rest or not reader.is_last):
        raise InvalidURL(f"Unexpected IMAP URL path segment: `{shorten(rest)}'")
    return Location(mailbox or None, uidvalidity, uid, section, partial, reader.extension)


def shorten(text: bytes) -> str:
    """A piece of the URL, cut to what Dovecot shows of it."""
    return show(text if len(text) <= SHOWN_LIMIT else text[: SHOWN_LIMIT - 3] + b"...")


def _parse_mailbox(reader: _Segments) -> tuple[bytes, int]:
    mailbox = bytearray()
    while (segment := reader.current) is not None and b";" not in segment:
        _append_name(mailbox, segment, reader.at)
        reader.at += 1
    if segment is None:
        return bytes(mailbox), 0
    name, _, attribute = segment.partition(b";")
    keyword, equals, number = attribute.partition(b"=")
    if keyword.upper() + equals != b"UIDVALIDITY=":
        if name:
            raise InvalidURL("Encountered stray ';' in mailbox reference")
        return bytes(mailbox), 0
    _append_name(mailbox, name, reader.at)
    if b";" in number:
        raise InvalidURL("Encountered stray ';' after UIDVALIDITY")
    uidvalidity = _nonzero(number, "UIDVALIDITY")
    reader.at += 1
    return bytes(mailbox), uidvalidity


def _append_name(mailbox: bytearray, segment: bytes, index: int) -> None:
    # Empty segments vanish, yet what follows a leading one keeps its slash: "//a" names "/a".
    if segment:
        mailbox += b"/" * (index > 0) + decode(segment)


def _parse_uid(reader: _Segments) -> int:
    value = reader.keyword(b";UID=")
    if value is None:
        return 0
    if b";" in value and not reader.is_last:
        raise InvalidURL("Encountered stray ';' in UID path segment")
    uid = _nonzero(reader.cut_extension(value), "UID")
    reader.at += 1
    return uid


def _parse_section(reader: _Segments) -> bytes | None:
    value = reader.keyword(b";SECTION=")
    if value is None:
        return None
    section = bytearray()
    while value is not None and b";" not in value:
        _append_section(section, value)
        reader.at += 1
        value = reader.current
    if value is not None and not value.startswith(b";"):
        if not reader.is_last:
            raise InvalidURL("Encountered stray ';' in SECTION path segment")
        _append_section(section, reader.cut_extension(value))
        reader.at += 1
    if not section:
        raise InvalidURL("Empty SECTION value")
    return bytes(section)


def _append_section(section: bytearray, value: bytes) -> None:
    section += b"/" * bool(section) + decode(value)


def _parse_partial(reader: _Segments) -> Partial | None:
    value = reader.keyword(b";PARTIAL=")
    if value is None:
        return None
    value = reader.cut_extension(value)
    if not value:
        raise InvalidURL("Empty PARTIAL value")
    offset, dot, length = value.partition(b".")
    size = 0
    if dot:
        if not length:
            raise InvalidURL("Empty PARTIAL size")
        size = _number(length, OFFSET_LIMIT)
        if size == 0:
            raise InvalidURL("PARTIAL size cannot be zero")
        if not offset:
            raise InvalidURL("Empty PARTIAL offset")
    partial = Partial(_number(offset, OFFSET_LIMIT), size)
    reader.at += 1
    return partial


def _nonzero(text: bytes, name: str) -> int:
    if not text:
        raise InvalidURL(f"Empty {name} value")
    number = _number(text, NUMBER_LIMIT)
    if number == 0:
        raise InvalidURL(f"{name} cannot be zero")
    return number


def _number(text: bytes, limit: int) -> int:
    if not text[:1].isdigit():
        raise InvalidURL(f"Value '{show(text)}' is not a valid IMAP number")
    digits = text.lstrip(b"0")
    # Digits with something after them are "too high" in Dovecot too.
    if not text.isdigit() or len(digits) > len(str(limit)) or int(digits or b"0") > limit:
        raise InvalidURL("IMAP number is too high")
    return int(digits or b"0")
