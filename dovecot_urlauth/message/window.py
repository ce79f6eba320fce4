"""A message read from front to back through a small window, with its lines counted on the way."""

from __future__ import annotations

from dovecot_urlauth.message.lineends import count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.message.steps import Steps

#: The first read is small, for those who want no more than a header.
_FIRST_READ = 4096

#: How much is read at once after that.  Counting lines takes up to three more pieces of this size, and together
#: they stay below the 128 KiB that glibc keeps at the top of its heap (M_TOP_PAD).  With more, each piece is asked
#: of the kernel, faulted in and given back, which takes longer than all the work on it; Dovecot 2.4 sets
#: MALLOC_MMAP_THRESHOLD_ for its services, and that keeps glibc from learning better.
_READ = 32 * 1024


class Mark:
    """A place in a message and what lies before it; spelled out, since there are four of them for each part."""

    __slots__ = ("bare", "lines", "offset")

    def __init__(self, offset: int, lines: int, bare: int) -> None:
        self.offset = offset
        #: Number of LFs before the place.
        self.lines = lines
        #: Number of LFs before the place that have no CR.
        self.bare = bare


class Window:
    """The bytes around a position that only moves forward.

    ``mark`` and ``forget`` count the lines they pass, so each byte is looked at once for that.
    """

    def __init__(self, source: Source, offset: int = 0) -> None:
        self._source = source
        #: The bytes at hand, and the offset in the message of the first of them.
        self.data = b""
        self.start = offset
        self._at_end = False
        self._step = _FIRST_READ
        self._marked = Mark(offset, 0, 0)
        self._after_cr = False

    @property
    def end(self) -> int:
        """Offset behind the last byte at hand."""
        return self.start + len(self.data)

    def more(self, keep: int) -> bool:
        """Read on, keeping what lies at or behind offset ``keep``; False at the end of the message."""
        if self._at_end:
            return False
        self.forget(keep)
        chunk = self._source.read(self.end, self._step)
        self._step = _READ
        self._at_end = not chunk
        self.data += chunk
        return bool(chunk)

    def forget(self, offset: int) -> None:
        """Drop what lies before ``offset``; no mark can be set there any more."""
        if offset - self.start >= _READ // 2 or offset >= self.end:
            self.mark(offset)
            self.data = self.data[offset - self.start :]
            self.start = offset

    def has(self, offset: int, count: int = 1) -> bool:
        """Whether ``count`` bytes exist at ``offset``; reads on for them and keeps the two bytes before."""
        while offset + count > self.end:
            if not self.more(min(max(offset - 2, self._marked.offset), self.end)):
                return False
        return True

    def peek(self, offset: int, count: int) -> bytes:
        """Up to ``count`` bytes at ``offset``; fewer only at the end of the message."""
        self.has(offset, count)
        return self.data[offset - self.start : offset - self.start + count]

    def line_end(self, offset: int) -> Steps[int]:
        """Offset behind the LF of the line at ``offset``, or the end of the message; the line is not kept."""
        search = offset
        while True:
            found = self.data.find(b"\n", search - self.start)
            if found >= 0:
                return self.start + found + 1
            search = self.end
            if not self.more(max(search - 1, self.start)):
                return self.end
            yield

    def mark(self, offset: int) -> Mark:
        """Count up to ``offset``, which is not before the last mark and is still at hand."""
        last = self._marked
        if offset == last.offset:
            return last
        text = self.data[last.offset - self.start : offset - self.start]
        lines, pairs = count(text)
        if self._after_cr and text.startswith(b"\n"):
            pairs += 1
        self._after_cr = text.endswith(b"\r")
        self._marked = Mark(offset, last.lines + lines, last.bare + lines - pairs)
        return self._marked
