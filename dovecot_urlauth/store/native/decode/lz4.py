"""lz4 in Dovecot's own framing, lib-compression/iostream-lz4.h.

magic  u32 largest decompressed chunk  then: u32 size, chunk (a raw LZ4 block)         big-endian
"""

from __future__ import annotations

from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.store.native.decode.stream import PIECE, Input, corrupt, truncated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.message.source import Source

NAME = "lz4"
MAGIC = b"Dovecot-LZ4\x0d\x2a\x9b\xc5"
LARGEST_CHUNK = 1024 * 1024
"""Bytes of a chunk, stored or decompressed (ISTREAM_LZ4_CHUNK_SIZE); Dovecot writes 64 KiB."""
NUMBER = 4
CHUNKS_AT_ONCE = 64
"""Chunks that are read before others may have their turn, if they give next to nothing."""


class Lz4Stream:
    """Chunks, each of which stands for itself."""

    __slots__ = ("_decompress", "_errors", "_input", "_largest")

    def __init__(self, source: Source) -> None:
        """Raises StoreFailure, or Unsupported if this Python has no library for it."""
        self._decompress, self._errors = library()
        self._input = Input(source, len(MAGIC))
        self._largest = self._number() or 0
        if not 0 < self._largest <= LARGEST_CHUNK:
            raise corrupt(NAME, self._input.offset)

    def read(self) -> bytes | None:
        """See Stream.read; less than a chunk's size at the very end counts for nothing, as in istream-lz4.c."""
        pieces: list[bytes] = []
        size = 0
        for _ in range(CHUNKS_AT_ONCE):
            stored = self._number()
            if stored is None:
                return b"".join(pieces) if pieces else None
            pieces.append(self._chunk(stored))
            size += len(pieces[-1])
            if size >= PIECE:
                break
        return b"".join(pieces)

    def copy(self) -> Lz4Stream:
        """See Stream.copy."""
        twin = Lz4Stream.__new__(Lz4Stream)
        twin._decompress, twin._errors = self._decompress, self._errors
        twin._input = self._input.copy()
        twin._largest = self._largest
        return twin

    def _number(self) -> int | None:
        data = self._input.take(NUMBER)
        return int.from_bytes(data, "big") if len(data) == NUMBER else None

    def _chunk(self, stored: int) -> bytes:
        if not 0 < stored <= LARGEST_CHUNK:
            raise corrupt(NAME, self._input.offset)
        data = self._input.take(stored)
        if len(data) != stored:
            raise truncated(NAME, self._input.offset)
        try:
            return self._decompress(data, self._largest)
        except self._errors:
            raise corrupt(NAME, self._input.offset) from None


def library() -> tuple[Callable[[bytes, int], bytes], tuple[type[Exception], ...]]:
    """What decompresses a block to so many bytes at most, and what it raises.  Raises Unsupported."""
    try:
        from lz4.block import LZ4BlockError, decompress
    except ImportError:
        raise Unsupported("a mail is compressed by lz4, and Python's lz4 is missing") from None
    return (lambda block, largest: bytes(decompress(block, uncompressed_size=largest))), (LZ4BlockError,)
