"""Header blocks: fields with their places, and the filters that IMAP needs of them.

RFC 5322 section 2.2 as lib-mail/message-header-parser.c reads it: an empty line ends the block, a line that
begins with a blank continues the field before it, blanks around the colon do not matter.
"""

from __future__ import annotations

from dovecot_urlauth.message.window import Mark, Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.message.source import Source

#: Dovecot keeps no more than this of the values of one header block; the rest of them is cut off.
BLOCK_LIMIT = 10 * 1024 * 1024

_BLANKS = b" \t"
_BLANK = (b" ", b"\t")


class Field:
    """One field: its lines' place, its name (as written, cut at a NUL) and, if asked for, its value."""

    __slots__ = ("end", "name", "newline", "start", "value")

    def __init__(self, start: int) -> None:
        self.start = start
        #: Offset behind the last line's end, and the size of that line end (0 at the end of the message).
        self.end = start
        self.newline = 0
        self.name = b""
        #: The lines joined by LF, without the blanks behind the colon.
        self.value = b""


class HeaderReader:
    """Reads one header block, field by field."""

    def __init__(self, window: Window, rules: MessageRules) -> None:
        self._window = window
        self._rules = rules
        self._room = BLOCK_LIMIT

    def blank_line(self, offset: int) -> int:
        """Size of the empty line at ``offset`` that ends the block; 0 if there is something else."""
        start = self._window.peek(offset, 2)
        if start.startswith(b"\n"):
            return 1
        return 2 if start == b"\r\n" else 0

    def field(self, offset: int) -> Field | None:
        """The field that begins at ``offset``; None at the end of the message or at the empty line."""
        if not self._window.has(offset) or self.blank_line(offset):
            return None
        field = Field(offset)
        field.name, first = _split(self._line(field), self._rules)
        value = bytearray(first[: self._room])
        while self._window.peek(field.end, 1) in _BLANK:
            line = self._line(field)
            if len(value) < self._room:
                value += b"\n" + line[: self._room - len(value)]
        field.value = bytes(value)
        self._room -= len(value)
        return field

    def _line(self, field: Field) -> bytes:
        """Read the line at the field's end, which moves behind it; gives what there is room for."""
        window = self._window
        start = field.end
        found = window.data.find(b"\n", start - window.start)
        if found >= 0:
            text = window.data[start - window.start : found]
            field.end = window.start + found + 1
            field.newline = 1
        else:
            text = self._long_line(field)
        if field.newline and text.endswith(b"\r"):
            field.newline = 2
            text = text[:-1]
        return text

    def _long_line(self, field: Field) -> bytes:
        """A line that is not wholly at hand: collect it while it is read on for."""
        window = self._window
        pieces: list[bytes] = []
        room = self._room
        position = field.end
        while True:
            found = window.data.find(b"\n", position - window.start)
            end = window.start + found if found >= 0 else max(window.end - 1, position)
            piece = window.data[position - window.start : end - window.start]
            pieces.append(piece[:room])
            room -= len(pieces[-1])
            position = end
            if found >= 0:
                break
            if not window.more(position):
                pieces.append(window.data[position - window.start :][:room])
                position = window.end
                break
        field.newline = 1 if found >= 0 else 0
        field.end = position + field.newline
        return b"".join(pieces)


def _split(line: bytes, rules: MessageRules) -> tuple[bytes, bytes]:
    """Split a field's first line into name and value."""
    name, colon, value = line.partition(b":")
    if not colon:
        return (line.partition(b"\0")[0], b"") if rules.colonless_line_is_name else (b"", line)
    name = name.rstrip(_BLANKS)
    if rules.field_name_limit and len(name) > rules.field_name_limit:
        return b"", line
    text = value.lstrip(_BLANKS)
    return name.partition(b"\0")[0], text or value[1:]


def header_end(source: Source, rules: MessageRules) -> Mark:
    """The place behind the message's header block and its empty line."""
    window = Window(source)
    reader = HeaderReader(window, rules)
    position = 0
    while field := reader.field(position):
        position = field.end
    return window.mark(position + reader.blank_line(position))
