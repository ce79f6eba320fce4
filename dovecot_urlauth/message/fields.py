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

    ``complete`` ends a block that has no empty line with one more line end; ``extra`` is put before the empty line.
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
        last = b""
        while field := reader.field(position):
            if (field.name.lower() in self._names) is self._keep:
                for last in crlf(raw(source, position, field.end)):
                    yield last
            position = field.end
        if reader.blank_line(position):
            yield self._extra + b"\r\n"
        elif self._complete:
            yield b"\n" if last.endswith(b"\r") else b"\r\n"
