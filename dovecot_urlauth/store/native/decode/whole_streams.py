"""bz2 and xz, which the standard library reads through one interface.

Matches lib-compression/istream-bzlib.c, which stops behind the first stream, and istream-lzma.c of 2.3, which goes
on to the next one and gives a decoder so much memory and no more.
"""

from __future__ import annotations

from dovecot_urlauth.store.native.decode.stream import PIECE, Input, corrupt, truncated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from dovecot_urlauth.message.source import Source

    class Decompressor(Protocol):
        """What bz2.BZ2Decompressor and lzma.LZMADecompressor have in common."""

        @property
        def eof(self) -> bool: ...

        @property
        def needs_input(self) -> bool: ...

        @property
        def unused_data(self) -> bytes: ...

        def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


XZ_MEMORY = 80 * 1024 * 1024
"""Bytes for a dictionary; Dovecot's own limit."""
PADDING = b"\0"
"""What may stand behind an xz stream, in fours (The .xz File Format, 2.2)."""


class WholeStream:
    """A format whose decoders are not to be copied."""

    __slots__ = ("_decompressor", "_errors", "_input", "_make", "_name", "_rest", "_takes_more")

    def __init__(
        self,
        name: str,
        source: Source,
        make: Callable[[], Decompressor],
        errors: tuple[type[Exception], ...],
        *,
        takes_more: bool = False,
    ) -> None:
        """``errors`` are what the decoder raises; ``takes_more``: behind a stream the next one may begin."""
        self._name = name
        self._make = make
        self._errors = errors
        self._takes_more = takes_more
        self._input = Input(source)
        self._decompressor = make()
        self._rest = b""
        """Stored bytes that are read and not yet used."""

    def read(self) -> bytes | None:
        """See Stream.read."""
        if self._decompressor.eof and not self._begins_next():
            return None
        data = b""
        if self._decompressor.needs_input:
            data, self._rest = self._rest or self._input.take(), b""
            if not data:
                raise truncated(self._name, self._input.offset)
        try:
            return self._decompressor.decompress(data, PIECE)
        except self._errors:
            raise corrupt(self._name, self._input.offset) from None

    def _begins_next(self) -> bool:
        """Whether another stream follows; then its decoder is there."""
        if not self._takes_more:
            return False
        padding = 0
        rest = self._decompressor.unused_data or self._input.take()
        while rest and not (more := rest.lstrip(PADDING)):
            padding += len(rest)
            rest = self._input.take()
        if rest:
            padding += len(rest) - len(more)
            self._rest = more
            self._decompressor = self._make()
        if padding % 4:
            raise corrupt(self._name, self._input.offset)
        return bool(rest)

    def copy(self) -> None:
        """See Stream.copy."""
        return


def bz2_stream(source: Source) -> WholeStream:
    """The one stream of a ``BZh`` file."""
    from bz2 import BZ2Decompressor

    return WholeStream("bz2", source, BZ2Decompressor, (OSError, EOFError, ValueError))


def xz_stream(source: Source) -> WholeStream:
    """All streams of an xz file."""
    from lzma import FORMAT_XZ, LZMADecompressor, LZMAError

    def make() -> Decompressor:
        return LZMADecompressor(FORMAT_XZ, XZ_MEMORY)

    return WholeStream("xz", source, make, (LZMAError, EOFError), takes_more=True)
