"""The section of an IMAP URL: which bytes of a message are meant.

RFC 3501 (section-spec) and RFC 5092 (isection); accepts exactly what ``imap_msgpart_parse`` of
lib-imap-storage/imap-msgpart.c accepts.
"""

from __future__ import annotations

from dovecot_urlauth.message.errors import InvalidSection
from dovecot_urlauth.message.fieldlist import parse_field_list
from dovecot_urlauth.start.frozen import Enum, frozen


class Text(Enum):
    """Which text of the part is wanted."""

    WHOLE = ""
    PART = "part"
    MIME = "MIME"
    TEXT = "TEXT"
    HEADER = "HEADER"
    FIELDS = "HEADER.FIELDS"
    FIELDS_NOT = "HEADER.FIELDS.NOT"


@frozen
class Section:
    """A parsed section: the part's path (empty for the message itself) and the text wanted of it."""

    path: tuple[int, ...]
    text: Text
    #: Lower-case field names of HEADER.FIELDS and HEADER.FIELDS.NOT.
    fields: frozenset[bytes] = frozenset()


_WORDS = {b"MIME": Text.MIME, b"TEXT": Text.TEXT, b"HEADER": Text.HEADER}
_FIELD_WORDS = ((b"HEADER.FIELDS.NOT", Text.FIELDS_NOT), (b"HEADER.FIELDS", Text.FIELDS))
_DIGITS = b"0123456789"


def parse_section(text: bytes) -> Section:
    """Parse the decoded text of ``;SECTION=`` (empty: no section); raises InvalidSection."""
    number, word = _split_number(text)
    if not word:
        if number.endswith(b"."):
            raise InvalidSection
        return Section(_path(number), Text.PART if number else Text.WHOLE)
    if number and not number.endswith(b"."):
        raise InvalidSection
    path = _path(number[:-1])
    word = word.upper()
    if word in _WORDS:
        if word == b"MIME" and not path:
            raise InvalidSection
        return Section(path, _WORDS[word])
    for start, kind in _FIELD_WORDS:
        if word.startswith(start):
            return Section(path, kind, parse_field_list(word[len(start) :]))
    raise InvalidSection


def _split_number(text: bytes) -> tuple[bytes, bytes]:
    """Split off the leading ``1.2.3``, with the dot behind it if there is one; dots never come in pairs."""
    rest = text.lstrip(_DIGITS + b".")
    number = text[: len(text) - len(rest)]
    twice = number.find(b"..")
    if number.startswith(b"."):
        return b"", text
    if twice >= 0:
        return text[: twice + 1], text[twice + 1 :]
    return number, rest


def _path(number: bytes) -> tuple[int, ...]:
    """Part numbers; Dovecot's wrap around at 32 bits."""
    if not number:
        return ()
    return tuple(_wrapped(digits) for digits in number.split(b"."))


def _wrapped(digits: bytes) -> int:
    if len(digits) <= 9:
        return int(digits)
    value = 0
    for digit in digits:
        value = (value * 10 + digit - 0x30) & 0xFFFFFFFF
    return value
