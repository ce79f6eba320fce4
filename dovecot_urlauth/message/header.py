"""Header blocks: fields with their places, and the filters that IMAP needs of them.

RFC 5322 section 2.2 as lib-mail/message-header-parser.c reads it: an empty line ends the block, a line that
begins with a blank continues the field before it, blanks around the colon do not matter.
"""

from __future__ import annotations

from dovecot_urlauth.message.source import reaching
from dovecot_urlauth.message.steps import OFTEN
from dovecot_urlauth.message.window import Mark, Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.message.steps import Steps

#: Dovecot keeps no more than this of the values of one header block; the rest of them is cut off.
BLOCK_LIMIT = 10 * 1024 * 1024

#: What is collected of a line beyond that, so that a value is not cut short by its name.
_NAME_ROOM = 64 * 1024

#: Dovecot has no more than this of a line at hand, and divides a longer one before the last blank in it.
_LINE_AT_HAND = 8192

_BLANKS = b" \t"
_BLANK = (b" ", b"\t")


class Field:
    """One field: its lines' place, its name (as written, cut at a NUL) and its value."""

    __slots__ = ("end", "is_folded", "name", "newline", "start", "value")

    def __init__(
        self, start: int, end: int, newline: int, name: bytes, value: bytes, *, is_folded: bool = False
    ) -> None:
        self.start = start
        #: Offset behind the last line's end, and the size of that line end (0 at the end of the message).
        self.end = end
        self.newline = newline
        self.name = name
        #: The lines joined by LF, but for those that are one blank, without the blanks behind the colon.
        self.value = value
        self.is_folded = is_folded


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

    def fields(self, offset: int) -> Iterator[Field | None]:
        """The fields from ``offset`` up to the empty line or the end of the message; a None is a step."""
        window = self._window
        number = 0
        while True:
            number += 1
            if not number & OFTEN:
                yield None
            data = window.data
            first = offset - window.start
            behind = data.find(b"\n", first)
            if behind < 0 or behind + 1 >= len(data) or data[behind + 1] in _BLANKS:
                field = yield from self._long_field(offset)
                if field is None:
                    return
            else:
                line = data[first:behind]
                newline = 1
                if line.endswith(b"\r"):
                    line = line[:-1]
                    newline = 2
                if not line:
                    return
                name, value = _split(line, newline, self._rules)
                value = value[: self._room]
                self._room -= len(value)
                field = Field(offset, window.start + behind + 1, newline, name, value)
            yield field
            offset = field.end

    def _long_field(self, offset: int) -> Steps[Field | None]:
        """A field that has more than one line, or that is not wholly at hand; None if there is none."""
        if not self._window.has(offset) or self.blank_line(offset):
            return None
        line, end, newline = self._line(offset) or (yield from self._long_line(offset))
        name, first = _split(line, newline, self._rules)
        value = bytearray(first[: self._room])
        number = 0
        while self._window.peek(end, 1) in _BLANK:
            number += 1
            if not number & OFTEN:
                yield None
            line, end, newline = self._line(end) or (yield from self._long_line(end))
            if len(value) < self._room:
                # Dovecot notes no line end before a line that is a single blank
                value += (b"\n" if len(line) > 1 else b"") + line[: self._room - len(value)]
        self._room -= len(value)
        return Field(offset, end, newline, name, bytes(value), is_folded=number > 0)

    def _line(self, offset: int) -> tuple[bytes, int, int] | None:
        """The text of a line, the offset behind it, and the size of its end; None if it is not wholly at hand."""
        window = self._window
        found = window.data.find(b"\n", offset - window.start)
        if found < 0:
            return None
        text = window.data[offset - window.start : found]
        if text.endswith(b"\r"):
            return text[:-1], window.start + found + 1, 2
        return text, window.start + found + 1, 1

    def _long_line(self, offset: int) -> Steps[tuple[bytes, int, int]]:
        """The same for such a line: collect it, as far as there is room for it, while it is read on for."""
        window = self._window
        text = bytearray()
        position = offset
        found = -1
        while found < 0:
            found = window.data.find(b"\n", position - window.start)
            # the last byte stays at hand: if it is a CR it belongs to the line's end
            end = window.start + found if found >= 0 else max(window.end - 1, position)
            self._collect(text, position, end)
            position = end
            if found < 0:
                if not window.more(position):
                    self._collect(text, position, window.end)
                    return bytes(text), window.end, 0
                yield None
        if window.data[position - window.start - 1 : position - window.start] == b"\r":
            return bytes(text.removesuffix(b"\r")), position + 1, 2
        return bytes(text), position + 1, 1

    def _collect(self, text: bytearray, first: int, behind: int) -> None:
        window = self._window
        room = max(self._room + _NAME_ROOM - len(text), 0)
        text += window.data[first - window.start : behind - window.start][:room]


def _split(line: bytes, newline: int, rules: MessageRules) -> tuple[bytes, bytes]:
    """Split a field's first line, which has a line end of so many bytes, into name and value."""
    name, colon, value = line.partition(b":")
    if not colon or len(name) >= _LINE_AT_HAND:
        return (line.partition(b"\0")[0], b"") if rules.colonless_line_is_name else (b"", line)
    name = name.rstrip(_BLANKS)
    if rules.field_name_limit and len(name) > rules.field_name_limit:
        return b"", line
    rest = b""
    if len(line) + newline >= _LINE_AT_HAND:
        # only the blanks of the first piece are dropped
        shown = value[: _LINE_AT_HAND - len(line) + len(value)]
        cut = max(shown.rfind(b" "), shown.rfind(b"\t"))
        if cut >= 0 or not shown:
            cut = max(cut, 0)
            value, rest = value[:cut], value[cut:]
    text = value.lstrip(_BLANKS)
    return name.partition(b"\0")[0], (text or value[1:]) + rest


def header_end(source: Source, rules: MessageRules) -> Steps[Mark]:
    """The place behind the message's header block and its empty line."""
    yield from reaching(source, 0)
    window = Window(source)
    reader = HeaderReader(window, rules)
    position = 0
    for field in reader.fields(0):
        if field is None:
            yield
        else:
            position = field.end
    return window.mark(position + reader.blank_line(position))
