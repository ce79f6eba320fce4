"""zstd: RFC 8878, any number of frames in a row.

The library is given one block after the other, as the blocks' own headers cut them: so it never has more than
128 KiB to give at once, however little it was given, and no frame can end early without being noticed.
"""

from __future__ import annotations

from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.store.native.decode.stream import PIECE, Input, corrupt, truncated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from dovecot_urlauth.message.source import Source

    class Decompressor(Protocol):
        """One frame's decoder."""

        def decompress(self, data: bytes) -> bytes: ...


NAME = "zstd"
MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE = b"\x2a\x4d\x18"
"""Behind a first byte of 0x50 to 0x5f."""

LARGEST_WINDOW = 26
"""Power of two of the bytes that a decoder may look back: what a process of 256 MiB has room for."""
BLOCK_HEADER = 3
RLE, RESERVED = 1, 3
LARGEST_BLOCK = 128 * 1024
CHECKSUM = 4
BLOCKS_AT_ONCE = 64
"""Blocks that are read before others may have their turn, if they give next to nothing."""


class ZstdStream:
    """Frames and their blocks."""

    __slots__ = ("_checksum", "_errors", "_frame", "_input", "_make", "_rest", "_started")

    def __init__(self, source: Source) -> None:
        """Raises Unsupported if this Python has no library for it."""
        self._make, self._errors = library()
        self._input = Input(source)
        self._rest = b""
        """Stored bytes that are read and not yet used."""
        self._frame: Decompressor | None = None
        """The decoder of the frame whose blocks are being read."""
        self._checksum = 0
        self._started = False

    def read(self) -> bytes | None:
        """See Stream.read."""
        pieces: list[bytes] = []
        size = 0
        for _ in range(BLOCKS_AT_ONCE):
            if self._frame is None and not self._begins_frame():
                break
            if self._frame is not None:
                pieces.append(self._block(self._frame))
                size += len(pieces[-1])
            if size >= PIECE:
                break
        else:
            return b"".join(pieces)
        return b"".join(pieces) if pieces else None

    def copy(self) -> None:
        """See Stream.copy."""
        return

    def _begins_frame(self) -> bool:
        """Read a frame's header, or pass a skippable frame; False at the end."""
        if self._started and not self._fill(1):
            return False
        magic = self._take(len(MAGIC))
        if magic[1:] == SKIPPABLE and magic[0] & 0xF0 == 0x50:
            self._skip(int.from_bytes(self._take(4), "little"))
            return True
        if magic != MAGIC:
            raise corrupt(NAME, self._input.offset)
        self._started = True
        descriptor = self._take(1)
        is_single = descriptor[0] & 0x20
        size_length = (1 if is_single else 0, 2, 4, 8)[descriptor[0] >> 6]
        window = b"" if is_single else self._take(1)
        dictionary = self._take((0, 1, 2, 4)[descriptor[0] & 3])
        size = self._take(size_length)
        looks_back = int.from_bytes(size, "little") if is_single else window_size(window[0])
        if looks_back > 1 << LARGEST_WINDOW:
            raise Unsupported(f"zstd mail needs a window of {looks_back} bytes")
        self._checksum = CHECKSUM if descriptor[0] & 4 else 0
        self._frame = self._make()
        self._decompress(self._frame, magic + descriptor + window + dictionary + size)
        return True

    def _block(self, frame: Decompressor) -> bytes:
        """What the next block of the frame holds; its last one ends it."""
        head = self._take(BLOCK_HEADER)
        number = int.from_bytes(head, "little")
        kind, size = number >> 1 & 3, number >> 3
        if kind == RESERVED or size > LARGEST_BLOCK:
            raise corrupt(NAME, self._input.offset)
        data = head + self._take(1 if kind == RLE else size)
        if number & 1:
            data += self._take(self._checksum)
            self._frame = None
        return self._decompress(frame, data)

    def _decompress(self, frame: Decompressor, data: bytes) -> bytes:
        try:
            return frame.decompress(data)
        except self._errors:
            raise corrupt(NAME, self._input.offset) from None

    def _skip(self, size: int) -> None:
        """Pass so many stored bytes, all of which must be there."""
        known = min(size, len(self._rest))
        self._rest = self._rest[known:]
        if size > known:
            self._input.offset += size - known - 1
            self._take(1)

    def _take(self, size: int) -> bytes:
        if not self._fill(size):
            raise truncated(NAME, self._input.offset)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def _fill(self, size: int) -> bool:
        """Whether ``size`` bytes are there."""
        while len(self._rest) < size:
            data = self._input.take()
            if not data:
                return False
            self._rest += data
        return True


def window_size(descriptor: int) -> int:
    """RFC 8878, 3.1.1.1.2."""
    base = 1 << 10 + (descriptor >> 3)
    return base + (base >> 3) * (descriptor & 7)


def library() -> tuple[Callable[[], Decompressor], tuple[type[Exception], ...]]:
    """What makes decoders, and what these raise: Python 3.14's own, or zstandard.  Raises Unsupported."""
    try:
        from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
    except ImportError:
        return _zstandard()
    options = {DecompressionParameter.window_log_max: LARGEST_WINDOW}
    return (lambda: ZstdDecompressor(options=options)), (ZstdError, EOFError)


def _zstandard() -> tuple[Callable[[], Decompressor], tuple[type[Exception], ...]]:
    try:
        from zstandard import ZstdDecompressor, ZstdError
    except ImportError:
        raise Unsupported("a mail is compressed by zstd, and Python's zstandard is missing") from None
    decompressor = ZstdDecompressor(max_window_size=1 << LARGEST_WINDOW)
    return decompressor.decompressobj, (ZstdError,)
