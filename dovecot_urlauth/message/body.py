"""Bytes of a message as IMAP sends them: every line end CRLF, partial ranges counted in such bytes, no NUL.

The rules of RFC 3501's BODY[...]<partial> as Dovecot applies them (istream-crlf.c, istream-nonuls.c): an LF
gets a CR unless one stands before it, and NUL becomes 0x80 because an IMAP literal must not hold it.
"""

from __future__ import annotations

from dovecot_urlauth.message.errors import ReadError
from dovecot_urlauth.message.lineends import completed, count
from dovecot_urlauth.message.source import CHUNK, reaching
from dovecot_urlauth.message.steps import FEW
from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.message.steps import Steps


def raw(source: Source, start: int, end: int) -> Iterator[bytes]:
    """Yield the stored bytes from ``start`` up to ``end``, or up to the end of the message.

    Empty chunks, which are steps, come first.
    """
    for _ in reaching(source, start):
        yield b""
    while start < end:
        chunk = source.read(start, min(CHUNK, end - start))
        if not chunk:
            return
        start += len(chunk)
        yield chunk


def crlf(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Complete every bare LF to CRLF."""
    after_cr = False
    for chunk in chunks:
        if after_cr and chunk.startswith(b"\n"):
            yield b"\n"
            chunk = chunk[1:]
        after_cr = chunk.endswith(b"\r")
        yield completed(chunk)


def without_nul(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Turn NUL into 0x80."""
    for chunk in chunks:
        yield nul_replaced(chunk)


def nul_replaced(text: bytes) -> bytes:
    """The text with 0x80 for each NUL."""
    return text.replace(b"\0", b"\x80") if b"\0" in text else text


def partial(chunks: Iterable[bytes], offset: int, size: int) -> Iterator[bytes]:
    """Leave out ``offset`` bytes and yield exactly ``size``; raises ReadError if there are fewer.

    What is left out becomes empty chunks, which are steps.
    """
    if not size:
        return
    for chunk in chunks:
        if offset >= len(chunk):
            offset -= len(chunk)
            yield b""
            continue
        if offset or len(chunk) - offset > size:
            chunk = chunk[offset : offset + size]
            offset = 0
        size -= len(chunk)
        yield chunk
        if not size:
            return
    if size:
        raise ReadError("Message is shorter than expected")


def virtual_size(source: Source, start: int, end: int) -> Steps[int]:
    """Size of a range with every line end CRLF; reads it all."""
    size = 0
    after_cr = False
    for chunk in raw(source, start, end):
        lines, pairs = count(chunk)
        size += len(chunk) + lines - pairs
        if after_cr and chunk.startswith(b"\n"):
            size -= 1
        after_cr = chunk.endswith(b"\r")
        yield
    return size


def total(chunks: Iterable[bytes]) -> Steps[int]:
    """How many bytes there are."""
    size = 0
    for number, chunk in enumerate(chunks, 1):
        size += len(chunk)
        if not number & FEW:
            yield
    return size


def has_nul(chunks: Iterable[bytes]) -> Steps[bool]:
    """Whether there is a NUL; reads up to the first."""
    for number, chunk in enumerate(chunks, 1):
        if b"\0" in chunk:
            return True
        if not number & FEW:
            yield
    return False


def partial_size(size: int, offset: int, limit: int | None) -> int:
    """How much of ``size`` bytes is left behind ``offset``, at most ``limit``."""
    left = max(size - offset, 0)
    return left if limit is None else min(left, limit)


@frozen
class Span:
    """A range of a message, ``size`` bytes long when every line end is CRLF."""

    start: int
    end: int
    size: int

    def read(self, source: Source, offset: int, size: int) -> Iterator[bytes]:
        """Yield ``size`` bytes from ``offset`` on, both counted in CRLF line ends."""
        if self.size == self.end - self.start:
            chunks = raw(source, self.start + offset, self.end)
            return partial(without_nul(chunks), 0, size)
        return partial(without_nul(crlf(raw(source, self.start, self.end))), offset, size)
