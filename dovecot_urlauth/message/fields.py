"""Some fields of a header block: HEADER.FIELDS and the header of a decoded part.

lib-mail/istream-header-filter.c: fields keep their order and their folding, every line end becomes CRLF.
"""

from __future__ import annotations

from dovecot_urlauth.message.body import crlf, raw
from dovecot_urlauth.message.header import HeaderReader
from dovecot_urlauth.message.window import Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.message.source import Source


class FieldFilter:
    """Which fields pass: those named if ``keep``, else all but those.

    ``complete`` ends a block that has no empty line with one; ``extra`` is a line put before the empty line.
    """

    def __init__(
        self, names: frozenset[bytes], *, keep: bool, complete: bool = False, extra: bytes = b""
    ) -> None:
        self._names = names
        self._keep = keep
        self._complete = complete
        self._extra = extra

    def read(self, source: Source, start: int, rules: MessageRules) -> Iterator[bytes]:
        """Yield the fields that pass of the block at ``start``, which ends nowhere but at an empty line."""
        window = Window(source, start)
        reader = HeaderReader(window, rules)
        position = start
        ended = True
        while field := reader.field(position):
            if (field.name.lower() in self._names) is self._keep:
                yield from crlf(raw(source, position, field.end))
                ended = field.newline > 0
            position = field.end
        if reader.blank_line(position):
            yield self._extra + b"\r\n"
        elif self._complete:
            yield b"\r\n" if ended else b"\r\n\r\n"
