"""Tab-escaped fields, the alphabet of every line that Dovecot's processes say to each other.

A line is a row of fields with a TAB between two of them.  Inside a field the five bytes that would break a
line or a C string are written as 0x01 and a letter (lib/strescape.c)::

    NUL 01 '0'    0x01 01 '1'    TAB 01 't'    CR 01 'r'    LF 01 'n'

Reading splits on TAB first and unescapes each piece afterwards.  An unknown letter stands for itself, an
escape byte at the very end for nothing.
"""

from __future__ import annotations

_ESCAPES = (  # the escape byte itself must come first
    (b"\x01", b"\x011"),
    (b"\x00", b"\x010"),
    (b"\t", b"\x01t"),
    (b"\r", b"\x01r"),
    (b"\n", b"\x01n"),
)
_MEANING = {0x30: 0x00, 0x31: 0x01, 0x74: 0x09, 0x72: 0x0D, 0x6E: 0x0A}


def escape(field: bytes) -> bytes:
    """The field without NUL, 0x01, TAB, CR and LF in the clear."""
    for plain, escaped in _ESCAPES:
        field = field.replace(plain, escaped)
    return field


def unescape(field: bytes) -> bytes:
    """The reverse of :func:`escape`; defined for any bytes."""
    mark = field.find(b"\x01")
    if mark < 0:
        return field
    result = bytearray(field[:mark])
    while mark >= 0:
        letter = field[mark + 1 : mark + 2]
        if letter:
            result.append(_MEANING.get(letter[0], letter[0]))
        following = field.find(b"\x01", mark + 2)
        result += field[mark + 2 :] if following < 0 else field[mark + 2 : following]
        mark = following
    return bytes(result)


def fields(line: bytes) -> list[bytes]:
    """The unescaped fields of a line without its LF; an empty line has none."""
    return [unescape(field) for field in line.split(b"\t")] if line else []


def join(*values: bytes) -> bytes:
    """A line, without LF, whose :func:`fields` are the values."""
    return b"\t".join([escape(value) for value in values])


__all__ = ["escape", "fields", "join", "unescape"]
