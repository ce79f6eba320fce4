"""The list of field names behind HEADER.FIELDS: a parenthesised list of IMAP astrings (RFC 3501, 9).

Accepts exactly what Dovecot's own IMAP parser (lib-imap/imap-parser.c) accepts of such a text: spaces
anywhere, ``%``, ``*`` and ``\\`` in atoms, literals, nothing between a quoted string and what follows it,
and behind the list the end of the line, or an argument that is begun and not completed.
"""

from __future__ import annotations

from dovecot_urlauth.message.errors import InvalidSection

_ATOM_ENDS = frozenset(b'(){" ' + bytes(range(0x20)) + bytes(range(0x7F, 0x100)))
_LINE_ENDS = (b"\r\n", b"\n")
_LARGEST = (1 << 64) - 1


def parse_field_list(text: bytes) -> frozenset[bytes]:
    """Parse ``(Subject "From")`` into lower-case names, at least one; raises InvalidSection."""
    position = _behind_spaces(text, 0)
    if not text.startswith(b"(", position):
        raise InvalidSection
    names, position = _names(text, position + 1)
    rest = text[_behind_spaces(text, position) :]
    if not names or not (rest in (b"", b"\r") or rest.startswith(_LINE_ENDS) or _is_unfinished(rest)):
        raise InvalidSection
    return frozenset(names)


def _names(text: bytes, position: int) -> tuple[list[bytes], int]:
    """The names up to the closing parenthesis, and the position behind that."""
    names: list[bytes] = []
    while True:
        position = _behind_spaces(text, position)
        if text.startswith(b")", position):
            return names, position + 1
        read = _STRINGS.get(text[position : position + 1], _atom)
        name, position = read(text, position)
        names.append(name.lower())


def _behind_spaces(text: bytes, position: int) -> int:
    while text.startswith(b" ", position):
        position += 1
    return position


def _atom(text: bytes, position: int) -> tuple[bytes, int]:
    end = position
    while end < len(text) and text[end] not in _ATOM_ENDS:
        end += 1
    if end == position or text[end : end + 1] not in (b" ", b")"):
        raise InvalidSection
    return text[position:end], end


def _quoted(text: bytes, position: int) -> tuple[bytes, int]:
    name = bytearray()
    position += 1
    while position < len(text):
        byte = text[position]
        if byte == 0x22:
            return bytes(name), position + 1
        if byte == 0x5C:
            position += 1
        name += text[position : position + 1]
        if name.endswith((b"\r", b"\n", b"\0")):
            break
        position += 1
    raise InvalidSection


def _literal(text: bytes, position: int) -> tuple[bytes, int]:
    brace = text.find(b"}", position)
    size = _literal_size(text[position + 1 : brace])
    for line_end in _LINE_ENDS:
        start = brace + 1 + len(line_end)
        if brace >= 0 and text.startswith(line_end, brace + 1) and start + size <= len(text):
            return text[start : start + size], start + size
    raise InvalidSection


_STRINGS = {b'"': _quoted, b"{": _literal}


def _literal_size(digits: bytes) -> int:
    """The number in ``{5}`` or ``{5+}``; no digit at all is 0."""
    digits = digits.removesuffix(b"+").lstrip(b"0")
    if not digits:
        return 0
    if not digits.isdigit() or len(digits) > 20 or int(digits) > _LARGEST:
        raise InvalidSection
    return int(digits)


def _is_unfinished(rest: bytes) -> bool:
    """Whether the text ends within a string that it begins; Dovecot's parser then has seen no argument."""
    if rest.startswith(b'"'):
        inner = rest[1:].replace(b"\\\\", b"").replace(b'\\"', b"")
        return not any(byte in inner for byte in b'"\r\n')
    if rest.startswith(b"{"):
        digits, brace, content = rest[1:].partition(b"}")
        size = _literal_size(digits)
        if content in (b"", b"\r"):
            return bool(brace) or not content
        line_end = next(filter(content.startswith, _LINE_ENDS), b"")
        return bool(line_end) and len(content) - len(line_end) < size
    return rest == b"~"
