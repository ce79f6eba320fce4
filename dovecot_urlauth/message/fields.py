"""Some fields of a header block: HEADER.FIELDS and the header of a decoded part.

lib-mail/istream-header-filter.c: fields keep their order and their folding, every line end becomes CRLF.
"""

from __future__ import annotations

from dovecot_urlauth.message.body import crlf, raw
from dovecot_urlauth.message.header import HeaderReader
from dovecot_urlauth.message.source import reaching
from dovecot_urlauth.message.window import Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.message.source import Source

#: A colon behind so many bytes is not looked for any more.
_NAME_ROOM = 64 * 1024


class FieldFilter:
    """Which fields pass: those named if ``keep``, else all but those; ``extra`` goes before the empty line.

    ``cached`` is for what Dovecot serves out of its cache of fields: names end at a NUL there, and a block
    that has no empty line ends with one more line end, which an unfinished last line takes for its own.
    """

    def __init__(
        self,
        names: frozenset[bytes],
        *,
        keep: bool,
        cached: bool = False,
        extra: bytes = b"",
    ) -> None:
        self._names = names
        self._keep = keep
        self._cached = cached
        self._extra = extra

    def read(self, source: Source, start: int, rules: MessageRules) -> Iterator[bytes]:
        """Yield the fields that pass of the block at ``start``, which ends nowhere but at an empty line.

        Long ones come in chunks; an empty chunk is a step.
        """
        for _ in reaching(source, start):
            yield b""
        window = Window(source, start)
        reader = HeaderReader(window, rules)
        position = start
        last = b""
        for field in reader.fields(start):
            if field is None:
                yield b""
                continue
            if (field.name.lower() in self._names) is self._keep:
                chunks = raw(source, position, field.end)
                if self._cached:
                    chunks = _name_cut(chunks, rules.field_name_limit)
                for last in crlf(chunks):
                    yield last
            position = field.end
        if reader.blank_line(position):
            yield self._extra + b"\r\n"
        elif self._cached:
            yield b"\n" if last.endswith(b"\r") else b"\r\n"


def _name_cut(chunks: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """Cut the name of the field at a NUL; one that is longer than ``limit`` is none."""
    head = b""
    for chunk in chunks:
        head += chunk
        if b":" in head or b"\n" in head or len(head) > _NAME_ROOM:
            break
    before, colon, value = head.partition(b":")
    name = before.rstrip(b" \t")
    if colon and b"\0" in name and b"\n" not in name and not 0 < limit < len(name):
        head = name.partition(b"\0")[0] + before[len(name) :] + colon + value
    yield head
    yield from chunks
