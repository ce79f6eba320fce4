"""The section of an IMAP URL: which bytes of a message are meant.

RFC 3501 (section-spec) and RFC 5092 (isection); accepts exactly what ``imap_msgpart_parse`` of
lib-imap-storage/imap-msgpart.c accepts.
"""

from __future__ import annotations

from dovecot_urlauth.message.errors import InvalidSection
from dovecot_urlauth.wire.value import Enum, record


class Text(Enum):
    """Which text of the part is wanted."""

    WHOLE = ""
    PART = "part"
    MIME = "MIME"
    TEXT = "TEXT"
    HEADER = "HEADER"
    FIELDS = "HEADER.FIELDS"
    FIELDS_NOT = "HEADER.FIELDS.NOT"


@record(frozen=True, slots=True)
class Section:
    """A parsed section: the part's path (empty for the message itself) and the text wanted of it."""

    path: tuple[int, ...]
    text: Text
    #: Lower-case field names of HEADER.FIELDS and HEADER.FIELDS.NOT.
    fields: frozenset[bytes] = frozenset()


_WORDS = {b"MIME": Text.MIME, b"TEXT": Text.TEXT, b"HEADER": Text.HEADER}
_FIELD_WORDS = ((b"HEADER.FIELDS.NOT", Text.FIELDS_NOT), (b"HEADER.FIELDS", Text.FIELDS))
_DIGITS = b"0123456789"
_ATOM_ENDS = b'(){ %*"\\]' + bytes(range(0x20)) + bytes(range(0x7F, 0x100))
_ASTRING_ENDS = bytes(set(_ATOM_ENDS) - {0x5D})


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
            return Section(path, kind, _field_list(word[len(start) :]))
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


def _field_list(text: bytes) -> frozenset[bytes]:
    """Parse ``(Subject "From")``: at least one astring in parentheses and nothing behind them."""
    text = text[1:] if text.startswith(b" ") else text
    if not text.startswith(b"("):
        raise InvalidSection
    names = []
    position = 1
    while not text.startswith(b")", position):
        name, position = _astring(text, position)
        names.append(name.lower())
        if text.startswith(b" ", position):
            position += 1
        elif not text.startswith(b")", position):
            raise InvalidSection
    if not names or text[position + 1 :]:
        raise InvalidSection
    return frozenset(names)


def _astring(text: bytes, position: int) -> tuple[bytes, int]:
    if text.startswith(b'"', position):
        return _quoted(text, position + 1)
    end = position
    while end < len(text) and text[end] not in _ASTRING_ENDS:
        end += 1
    if end == position:
        raise InvalidSection
    return text[position:end], end


def _quoted(text: bytes, position: int) -> tuple[bytes, int]:
    name = bytearray()
    while position < len(text):
        byte = text[position]
        if byte == 0x22:
            return bytes(name), position + 1
        if byte in b"\r\n\0":
            break
        if byte == 0x5C:
            position += 1
        name += text[position : position + 1]
        position += 1
    raise InvalidSection
