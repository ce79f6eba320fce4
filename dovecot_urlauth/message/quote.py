"""IMAP's strings: NIL, quoted or literal (RFC 3501 section 4.3), as lib-imap/imap-quote.c chooses."""

from __future__ import annotations

#: With more characters than this to escape, a literal is shorter.
_MAX_ESCAPES = 4

_TO_SPACE = bytes.maketrans(b"\t\r\n", b"   ")


def string(value: bytes) -> bytes:
    """A quoted string, or a literal where the value holds a line end, an 8-bit byte or too much to escape."""
    if value.isalnum():
        return b'"%s"' % value
    escapes = value.count(b'"') + value.count(b"\\")
    if not value.isascii() or escapes > _MAX_ESCAPES or b"\n" in value or b"\r" in value:
        return _literal(value)
    if escapes:
        value = value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"%s"' % value


def nstring(value: bytes | None) -> bytes:
    """The same, with NIL for None."""
    return b"NIL" if value is None else string(value)


def unfolded(value: bytes | None) -> bytes:
    """A field that may be folded: line ends go, and leave a blank where none follows."""
    if value is None:
        return b"NIL"
    if b"\n" in value or b"\r" in value:
        first, *rest = value.replace(b"\r", b"\n").split(b"\n")
        value = first + b"".join(_after_line_end(piece) for piece in rest)
    return string(value)


def _after_line_end(piece: bytes) -> bytes:
    return b" " + piece if piece and not piece.startswith((b" ", b"\t")) else piece


def human(value: bytes) -> bytes:
    """Text for people: runs of white space become one blank; a literal where something had to be escaped."""
    text = value.translate(_TO_SPACE).strip(b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    if text.isascii() and b'"' not in text and b"\\" not in text:
        return b'"%s"' % text
    return _literal(text)


def _literal(value: bytes) -> bytes:
    return b"{%d}\r\n%s" % (len(value), value)
